"""Writes a client's schema in the subset of it that a grammar takes (`schema_subsets.py`), for every dialect.

What says the same in other words is rewritten; a bound that the grammar does not know is left out, and said to be; a
shape that it cannot hold (a map, a schema that holds itself) makes no schema at all, as what would go out instead would
forbid the very answers that were asked for.
"""

from __future__ import annotations

from msgspec import Struct

from trunkline.adapters.encoding.schema_subsets import Subset
from trunkline.adapters.encoding.schemas import MAX_DEPTH, MAX_SCHEMAS, Schema, inlined, parts_of, target_of
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

_PLAIN = (str, int, float, bool, type(None))


class _UnheldError(Exception):
    """The grammar has no place for a shape."""


def write_schema(schema: Schema, subset: Subset, *, is_strict: bool, may_cut: bool = False) -> Written | None:
    """Write the schema; None where the grammar cannot hold its shape.

    `may_cut`: maps lose what they hold and references are followed only so far, so that there is nearly always one.
    """
    try:
        return _Writer(schema, subset, is_strict=is_strict, may_cut=may_cut).written()
    except (_UnheldError, AttributeError, KeyError, TypeError, ValueError):
        # Nobody has checked that it is a schema: any value may stand under any keyword.
        return None


class _Writer:
    """One schema being written: `room` bounds what is copied in the place of references."""

    def __init__(self, root: Schema, subset: Subset, *, is_strict: bool, may_cut: bool) -> None:
        self._subset = subset
        self._is_strict = is_strict
        self._may_cut = may_cut
        self._room = MAX_SCHEMAS
        self._is_closed = self._is_wider = False
        self._given = root
        self._root = _renamed(root)
        self._cyclic = _cyclic_references(self._root)

    def written(self) -> Written:
        if self._cyclic and not self._subset.has_cycles:
            self._cut()
        root = self._resolved(self._root) if self._subset.has_references else inlined(self._given)
        schema = self._node(root, 0, 0)
        if "$defs" in schema and not _references(schema):
            schema = {key: value for key, value in schema.items() if key != "$defs"}
        if self._subset.demands_object and (schema.get("type") != "object" or "anyOf" in schema):
            raise _UnheldError
        return Written(schema, self._is_closed, self._is_wider)

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
                return self._node(value, depth + 1, objects)
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
        node = self._folded(_renamed(node))
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
        node = _older(node) if subset.flags_null else _with_null(node)
        if subset.demands_type:
            node = _typed(node)
        return self._bounded(node)

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
                    rest = self._joined(rest, self._resolved(_renamed(part)))
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
            node = self._joined(own, _renamed({key: value for key, value in target.items() if key != "definitions"}))
        return node

    def _bounded(self, node: Schema) -> Schema:
        """Leave out the values of known keywords that the grammar does not know."""
        subset = self._subset
        lost = set()
        # In the older language numbers have formats as well, and all are taken.
        is_number = subset.flags_null and node.get("type") in ("integer", "number")
        if subset.formats is not None and "format" in node and node["format"] not in subset.formats and not is_number:
            lost.add("format")
        least = node.get("minItems")
        if subset.max_min_items is not None and isinstance(least, int) and least > subset.max_min_items:
            lost.add("minItems")
        if subset.demands_type:
            if not all(isinstance(value, _PLAIN) for value in node.get("enum") or ()):
                lost.add("enum")
            if not isinstance(node.get("const"), _PLAIN):
                lost.add("const")
        if subset.flags_null and not all(isinstance(value, str) for value in node.get("enum") or ("",)):
            lost.add("enum")
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
        changed = dict(node)
        if is_map(node):
            if not properties or not subset.requires_some or node.get("required"):
                return changed
        elif self._is_strict and subset.requires_all:
            changed["required"] = list(properties)
            self._is_closed |= set(node.get("required") or ()) != set(properties)
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


def _renamed(node: Schema) -> Schema:
    """`$defs` for `definitions`, its older name, in the node and in its reference."""
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/definitions/"):
        node = {**node, "$ref": "#/$defs/" + reference.removeprefix("#/definitions/")}
    if "definitions" in node:
        older = node["definitions"]
        node = {key: value for key, value in node.items() if key != "definitions"}
        node["$defs"] = {**older, **node.get("$defs", {})} if isinstance(older, dict) else node.get("$defs", {})
    return node


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
        if changed["enum"] and all(isinstance(value, str) for value in changed["enum"]):
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


def _cyclic_references(root: Schema) -> frozenset[str]:
    """The references that lead back to where they stand, by any way."""
    uses: dict[str, set[str]] = {}
    waiting = _references(root)
    while waiting:
        reference = waiting.pop()
        if reference not in uses:
            target = target_of(root, reference)
            uses[reference] = set() if target is None else _references(target)
            waiting |= uses[reference] - uses.keys()
    return frozenset(reference for reference in uses if _leads_to(reference, reference, uses))


def _leads_to(start: str, end: str, uses: dict[str, set[str]]) -> bool:
    seen: set[str] = set()
    waiting = set(uses[start])
    while waiting:
        here = waiting.pop()
        if here == end:
            return True
        if here not in seen:
            seen.add(here)
            waiting |= uses.get(here, set())
    return False


def _references(schema: Schema) -> set[str]:
    """The references in a schema, but for those in its definitions."""
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        node = _renamed(waiting.pop())
        if isinstance(reference := node.get("$ref"), str):
            found.add(reference)
        waiting += parts_of({key: value for key, value in node.items() if key != "$defs"})
    return found
