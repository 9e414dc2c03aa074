"""Writes a client's schema in the subset of it that a grammar takes (`schema_subsets.py`), for every dialect.

What says the same in other words is rewritten; a bound that the grammar does not know is left out, and said to be; a
shape that it cannot hold (a map, a schema that holds itself) makes no schema at all, as what would go out instead would
forbid the very answers that were asked for.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec
from msgspec import Struct

from trunkline.adapters.encoding.schema_limits import fits, measured
from trunkline.adapters.encoding.schema_loops import open_loops
from trunkline.adapters.encoding.schema_references import all_parts, cyclic_references, only_used, references, renamed
from trunkline.adapters.encoding.schema_subsets import Refusal, Subset
from trunkline.adapters.encoding.schemas import MAX_DEPTH, MAX_SCHEMAS, Schema, inlined, rewritten, target_of
from trunkline.protocol.items import Json


class Written(Struct, frozen=True):
    """A schema as a grammar takes it.

    `is_closed`: it asks for more than the client did, since strict objects are closed and have all their properties.
    `is_wider`: it asks for less, since a bound had no place.
    """

    schema: Schema
    is_closed: bool = False
    is_wider: bool = False


BOUNDS = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "allOf",
        "anyOf",
        "const",
        "contains",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "if",
        "items",
        "maxContains",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minContains",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "not",
        "oneOf",
        "pattern",
        "patternProperties",
        "prefixItems",
        "properties",
        "propertyNames",
        "required",
        "then",
        "type",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
    }
)
"""The keywords that say something of the value; to leave out another one loses nothing."""

_SPOKEN = frozenset({"$defs", "description", "title"})
"""What stays at the top of a node whose values become alternatives."""


_MAX_KEPT_BYTES = 4096
"""A longer schema is written anew each time, so that what is kept has a bound."""

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder().decode
_UNENCODABLE = (TypeError, ValueError, RecursionError)


class _UnheldError(Exception):
    """The grammar has no place for a shape."""


def write_schema(schema: Schema, subset: Subset, *, is_strict: bool, may_cut: bool = False) -> Written | None:
    """Write the schema; None where the grammar cannot hold its shape, or not so much of it.

    `may_cut`: maps lose what they hold and references are followed only so far, so that there is nearly always one.
    What is given back is shared, and nobody may change it.
    """
    try:
        said = _encode(schema)
    except _UNENCODABLE:
        return _written(schema, subset, is_strict, may_cut)
    if len(said) > _MAX_KEPT_BYTES:
        return _written(schema, subset, is_strict, may_cut)
    return _kept(said, subset, is_strict, may_cut)


@lru_cache(maxsize=256)
def _kept(said: bytes, subset: Subset, is_strict: bool, may_cut: bool) -> Written | None:
    """The schema that was written before: a conversation comes with the same tools at every turn."""
    return _written(_decode(said), subset, is_strict, may_cut)


def _written(schema: Schema, subset: Subset, is_strict: bool, may_cut: bool) -> Written | None:
    try:
        return _Writer(schema, subset, is_strict=is_strict, may_cut=may_cut).written()
    except (_UnheldError, AttributeError, KeyError, TypeError, ValueError):
        # Nobody has checked that it is a schema: any value may stand under any keyword.
        return None


def pruned(schema: Schema, refusal: Refusal) -> Written:
    """The schema as it is, but for what a server refuses in any."""
    lost: list[str] = []

    def prune(node: Schema) -> Schema:
        refused = [key for key in node if key in refusal.keywords]
        pattern = node.get("pattern")
        if refusal.pattern and isinstance(pattern, str) and re.search(refusal.pattern, pattern):
            refused.append("pattern")
        lost.extend(refused)
        return {key: value for key, value in node.items() if key not in refused} if refused else node

    return Written(rewritten(schema, prune), is_wider=not BOUNDS.isdisjoint(lost))


class _Writer:
    """One schema being written: `room` bounds what is copied in the place of references."""

    def __init__(self, root: Schema, subset: Subset, *, is_strict: bool, may_cut: bool) -> None:
        self._subset = subset
        self._is_strict = is_strict
        self._may_cut = may_cut
        self._room = MAX_SCHEMAS
        self._is_closed = self._is_wider = False
        self._given = root
        self._root = renamed(root)
        self._cyclic = cyclic_references(self._root)

    def written(self) -> Written:
        if self._cyclic and not self._subset.has_cycles:
            self._cut()
        root = self._resolved(self._root) if self._subset.has_references else inlined(self._given)
        schema = self._node(root, 0, 0)
        if isinstance(schema.get("$defs"), dict):
            schema = only_used(schema)
        self._check_whole(schema)
        return Written(schema, self._is_closed, self._is_wider)

    def _check_whole(self, schema: Schema) -> None:
        """Raise _UnheldError for a schema that cannot be held though each of its parts can."""
        subset = self._subset
        if self._cyclic and subset.opens_loops:
            was_opened = open_loops(schema)
            if was_opened is None:
                raise _UnheldError
            self._is_wider |= was_opened
        if subset.limits is not None and not fits(measured(schema), subset.limits):
            raise _UnheldError
        if subset.demands_object and (schema.get("type") != "object" or "anyOf" in schema):
            raise _UnheldError

    def _node(self, node: Schema, depth: int, objects: int) -> Schema:
        self._room -= 1
        if depth > MAX_DEPTH or self._room < 0:
            self._cut()
            return {}
        node = self._plain(node)
        if "$ref" in node:
            return {key: self._below(key, value, depth, objects) for key, value in node.items()}
        self._check_shape(node)
        if _is_object(node):
            objects += 1
            if self._subset.max_depth is not None and objects > self._subset.max_depth:
                raise _UnheldError
            node = self._object(node)
        kept = {}
        for key, value in node.items():
            if key in self._subset.keywords:
                kept[key] = self._below(key, value, depth, objects)
            elif key in BOUNDS and not (key == "additionalProperties" and not isinstance(value, dict)):
                self._is_wider = True
        return kept

    def _below(self, key: str, value: Json, depth: int, objects: int) -> Json:
        match key:
            case "properties" | "$defs" if isinstance(value, dict):
                # Definitions begin anew: where they are used is not known here.
                objects = 0 if key == "$defs" else objects
                return {name: self._any(part, depth, objects) for name, part in value.items()}
            case "anyOf" | "oneOf" | "prefixItems" if isinstance(value, list):
                return [self._any(part, depth, objects) for part in value]
            case "items" | "additionalProperties" if isinstance(value, dict):
                written = self._node(value, depth + 1, objects)
                if key == "additionalProperties" and self._subset.loose_maps:
                    self._is_wider |= any(part.keys() & {"anyOf", "required"} for part in all_parts(written))
                return written
            case _:
                return value

    def _any(self, part: Json, depth: int, objects: int) -> Json:
        """A schema in a place where true and false may stand, for anything and nothing."""
        if isinstance(part, dict):
            return self._node(part, depth + 1, objects)
        if part is False:
            self._cut()
        return self._node({}, depth + 1, objects)

    def _cut(self) -> None:
        """Go on without a shape that has no place, or raise _UnheldError."""
        if not self._may_cut:
            raise _UnheldError
        self._is_wider = True

    # The same in other words

    def _plain(self, node: Schema) -> Schema:
        """Say in the keywords that are known what others say too."""
        subset = self._subset
        node = self._folded(renamed(node))
        if isinstance(node.get("$ref"), str):
            node = self._alone(node)
            if "$ref" in node:
                return node
        if "const" in node and "const" not in subset.keywords:
            value = node["const"]
            node = {key: part for key, part in node.items() if key != "const"}
            node.setdefault("enum", [value])
        if "oneOf" in node and "oneOf" not in subset.keywords and "anyOf" not in node:
            # One of is any of: the branches of what clients send exclude each other by themselves.
            node = {("anyOf" if key == "oneOf" else key): value for key, value in node.items()}
        if subset.demands_type or subset.flags_null:
            node = _typed(node)
        node = _older(node) if subset.flags_null else _with_null(node)
        return self._enumerated(self._bounded(node))

    def _folded(self, node: Schema) -> Schema:
        """Fold the parts of `allOf` into the node, which says what they say in common."""
        for _ in range(MAX_DEPTH):
            parts = node.get("allOf")
            if not isinstance(parts, list):
                return node
            rest = {key: value for key, value in node.items() if key != "allOf"}
            reference = parts[0].get("$ref") if len(parts) == 1 and isinstance(parts[0], dict) else None
            if isinstance(reference, str) and not rest.keys() & (BOUNDS | {"$ref"}):
                return {**rest, **parts[0]}
            for part in parts:
                if isinstance(part, dict):
                    rest = self._joined(rest, self._resolved(renamed(part)))
            node = rest
        raise _UnheldError

    def _joined(self, node: Schema, part: Schema) -> Schema:
        """Both of two schemas; where they say different things of one value, the first is kept."""
        joined = dict(node)
        for one, other in ((node, part), (part, node)):
            # What one says of all further properties would hold for the other's too.
            is_bound = one.get("additionalProperties", True) is not True
            self._is_wider |= is_bound and bool((other.get("properties") or {}).keys() - (one.get("properties") or {}))
        for key, value in part.items():
            if key == "$defs":
                continue
            if key not in joined or joined[key] == value:
                joined[key] = value
            elif key == "required":
                joined[key] = list(dict.fromkeys([*joined[key], *value]))
            elif key == "properties" and isinstance(value, dict):
                self._is_wider |= any(joined[key].get(name, said) != said for name, said in value.items())
                joined[key] = {**value, **joined[key]}
            elif key == "additionalProperties" and value is False:
                joined[key] = False
            elif key in BOUNDS:
                self._is_wider = True
        return joined

    def _alone(self, node: Schema) -> Schema:
        """A reference as it may stand: alone. What is said beside it is laid over a copy of what it points to."""
        reference = node["$ref"]
        others = node.keys() - {"$ref", "$defs"}
        if target_of(self._root, reference) is None:
            # It leads out of the document, or nowhere.
            self._cut()
            return {key: value for key, value in node.items() if key != "$ref"}
        if others and reference not in self._cyclic:
            copied = self._resolved(node)
            return self._plain(copied)
        self._is_wider |= bool(others & BOUNDS)
        return {key: node[key] for key in ("$ref", "$defs") if key in node}

    def _resolved(self, node: Schema) -> Schema:
        """The node with what its reference points to in it, and no reference at its top."""
        seen: set[str] = set()
        while isinstance(reference := node.get("$ref"), str):
            target = target_of(self._root, reference)
            if target is None or reference in seen:
                raise _UnheldError
            seen.add(reference)
            own = {key: value for key, value in node.items() if key != "$ref"}
            node = self._joined(own, renamed({key: value for key, value in target.items() if key != "definitions"}))
        return node

    def _bounded(self, node: Schema) -> Schema:
        """Leave out the values of known keywords that the grammar does not know."""
        subset = self._subset
        lost = set()
        # In the older language numbers have formats as well, and all are taken.
        is_number = subset.flags_null and node.get("type") in ("integer", "number")
        if subset.formats is not None and "format" in node and node["format"] not in subset.formats and not is_number:
            lost.add("format")
        pattern = node.get("pattern")
        if subset.refuses_pattern and isinstance(pattern, str) and re.search(subset.refuses_pattern, pattern):
            lost.add("pattern")
        least = node.get("minItems")
        if subset.max_min_items is not None and isinstance(least, int) and least > subset.max_min_items:
            lost.add("minItems")
        if "const" in node and type(node["const"]) not in subset.enum_types:
            lost.add("const")
        return self._without(node, lost)

    def _enumerated(self, node: Schema) -> Schema:
        """Leave only such values in an enum as the grammar takes, and say null beside them; or leave the enum out."""
        values, types = node.get("enum"), self._subset.enum_types
        if not isinstance(values, list) or all(type(value) in types for value in values):
            return node
        kept = [value for value in values if type(value) in types]
        kinds = node["type"] if isinstance(node.get("type"), list) else [node["type"]] if "type" in node else None
        if len(kept) + values.count(None) < len(values) or "anyOf" in node or "oneOf" in node:
            return self._without(node, {"enum"})
        if kinds is not None and "null" not in kinds:
            return {**node, "enum": kept}
        rest = {key: value for key, value in node.items() if key not in _SPOKEN and key not in ("enum", "type")}
        others = [kind for kind in kinds or () if kind != "null"]
        if others:
            rest["type"] = others[0] if len(others) == 1 else others
        spoken = {key: value for key, value in node.items() if key in _SPOKEN}
        if not kept:
            return {**spoken, "type": "null"}
        return {**spoken, "anyOf": [{**rest, "enum": kept}, {"type": "null"}]}

    def _without(self, node: Schema, lost: set[str]) -> Schema:
        if not lost:
            return node
        self._is_wider = True
        return {key: value for key, value in node.items() if key not in lost}

    # Shapes

    def _check_shape(self, node: Schema) -> None:
        """Raise _UnheldError for a shape without a place."""
        subset = self._subset
        if not subset.has_maps and is_map(node):
            self._cut()
        if subset.demands_type and not node.keys() & {"type", "anyOf"}:
            raise _UnheldError
        if subset.demands_items and _lacks_items(node):
            raise _UnheldError

    def _object(self, node: Schema) -> Schema:
        """Close an object as the grammar wants it, unless it is a map."""
        subset = self._subset
        properties = node.get("properties") or {}
        if not isinstance(properties, dict):
            raise _UnheldError
        changed = dict(node)
        if is_map(node):
            if not properties or not subset.requires_some or node.get("required"):
                return changed
        elif self._is_strict and subset.requires_all:
            given = frozenset(node.get("required") or ())
            changed["required"] = [
                name for name in properties if name in given or not self._goes_round(properties[name])
            ]
            self._is_closed |= given != frozenset(changed["required"])
        if (self._is_strict or subset.closes) and not is_map(node):
            known = [name for name in changed.get("required") or () if name in properties]
            if len(known) < len(changed.get("required") or ()):
                self._is_wider = True
                changed["required"] = known
            changed["properties"] = properties
            changed["additionalProperties"] = False
            self._is_closed |= self._is_strict and node.get("additionalProperties") is not False
        if subset.requires_some and not changed.get("required"):
            if not properties:
                raise _UnheldError
            changed["required"] = list(properties)
            self._is_closed |= self._is_strict
        return changed

    def _goes_round(self, part: Json) -> bool:
        """Whether what a property holds may lead back to where it stands, and must be able not to."""
        if not self._cyclic or not self._subset.opens_loops or not isinstance(part, dict):
            return False
        return not self._cyclic.isdisjoint(references(part))


def is_map(node: Schema) -> bool:
    """Whether the node is an object whose properties may have names that it does not say."""
    if not _is_object(node):
        return False
    rest = node.get("additionalProperties")
    if isinstance(rest, dict) or rest is True or node.get("patternProperties"):
        return True
    return rest is None and "properties" not in node


def _is_object(node: Schema) -> bool:
    kind = node.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in node


def _lacks_items(node: Schema) -> bool:
    kind = node.get("type")
    return (kind == "array" or (isinstance(kind, list) and "array" in kind)) and not isinstance(node.get("items"), dict)


def _with_null(node: Schema) -> Schema:
    """`nullable`, of another schema language, as a type."""
    if node.get("nullable") is not True:
        return node
    node = {key: value for key, value in node.items() if key != "nullable"}
    kind = node.get("type")
    if isinstance(kind, str):
        node["type"] = [kind, "null"]
    elif isinstance(node.get("anyOf"), list):
        node["anyOf"] = [*node["anyOf"], {"type": "null"}]
    if isinstance(node.get("enum"), list) and None not in node["enum"]:
        node["enum"] = [*node["enum"], None]
    return node


_TYPE_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def _typed(node: Schema) -> Schema:
    """Name the type that the other keywords tell."""
    if node.keys() & {"type", "anyOf"}:
        return node
    if "properties" in node:
        return {**node, "type": "object"}
    if "items" in node:
        return {**node, "type": "array"}
    values = node["enum"] if isinstance(node.get("enum"), list) else [node["const"]] if "const" in node else []
    names = list(dict.fromkeys(_TYPE_NAMES.get(type(value), "") for value in values))
    if not names or "" in names:
        return node
    return {**node, "type": names[0] if len(names) == 1 else names}


def _older(node: Schema) -> Schema:
    """Null as a flag, and enums only of strings."""
    changed = dict(node)
    _flag_null(changed)
    if isinstance(changed.get("enum"), list):
        changed["enum"] = [value for value in changed["enum"] if value is not None]
        if not changed["enum"]:
            del changed["enum"]
        elif all(isinstance(value, str) for value in changed["enum"]):
            changed["type"] = "string"
    return changed


def _flag_null(node: dict[str, Json]) -> None:
    """Take null out of a list of types, and out of alternatives, and say `nullable` instead."""
    types = node.get("type")
    if isinstance(types, list):
        others = [name for name in types if name != "null"]
        if len(others) < len(types):
            node["nullable"] = True
        if len(others) == 1:
            node["type"] = others[0]
        else:
            del node["type"]
            node.setdefault("anyOf", [{"type": name} for name in others])
    choices = node.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        node["nullable"] = True
        node["anyOf"] = [choice for choice in choices if choice != {"type": "null"}]
