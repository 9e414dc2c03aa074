"""Narrows a JSON schema to what a dialect accepts; every function gives back a new schema and leaves its input alone.

Does not validate schemas or documents. What a dialect cannot express is left out, so the model is asked for less
than the client wrote, never for something else.
"""

from __future__ import annotations

from collections.abc import Callable, Set

from trunkline.protocol.items import Json
from trunkline.protocol.tools import FunctionTool

Schema = dict[str, Json]

NO_ARGUMENTS: Schema = {"type": "object", "properties": {}}

MAX_DEPTH = 64
"""Deeper schemas are cut: what is below may be anything."""

MAX_SCHEMAS = 20_000
"""The most schemas that inlining references may make."""

_SCHEMA_KEYS = frozenset(
    {
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_LIST_KEYS = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
_MAP_KEYS = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})


def parameters_of(tool: FunctionTool) -> Schema:
    """The tool's parameters as an object schema; a tool without arguments gets one without properties."""
    if not tool.parameters:
        return NO_ARGUMENTS
    if tool.parameters.get("type") == "object" and "properties" not in tool.parameters:
        return {**tool.parameters, "properties": {}}
    return tool.parameters


def closed(schema: Schema) -> Schema:
    """Make every object strict: no other properties, all of them required. For `strict` requests only."""

    def close(node: Schema) -> Schema:
        if node.get("type") == "object" or "properties" in node:
            properties = node.get("properties") or {}
            return {**node, "properties": properties, "additionalProperties": False, "required": list(properties)}
        return node

    return mapped(schema, close)


def without(schema: Schema, keywords: Set[str]) -> Schema:
    """Leave out the named keywords everywhere; properties that happen to have such a name stay."""
    return mapped(schema, lambda node: {key: value for key, value in node.items() if key not in keywords})


def only(schema: Schema, keywords: Set[str]) -> Schema:
    """Keep only the named keywords everywhere."""
    return mapped(schema, lambda node: {key: value for key, value in node.items() if key in keywords})


def inlined(schema: Schema) -> Schema:
    """Replace every local `$ref` by what it points to.

    A reference into itself, or one of more than `MAX_SCHEMAS`, becomes a schema that takes anything.
    """
    return _Inliner(schema).node(schema, (), 0)


def mapped(schema: Schema, change: Callable[[Schema], Schema], depth: int = 0) -> Schema:
    """Apply `change` to the schema and to every schema inside it, from the outside in."""
    if depth > MAX_DEPTH:
        return {}
    return {key: _below(key, value, change, depth + 1) for key, value in change(schema).items()}


def _below(key: str, value: Json, change: Callable[[Schema], Schema], depth: int) -> Json:
    if isinstance(value, dict):
        if key in _MAP_KEYS:
            return {name: mapped(v, change, depth) if isinstance(v, dict) else v for name, v in value.items()}
        if key in _SCHEMA_KEYS:
            return mapped(value, change, depth)
    elif isinstance(value, list) and key in _LIST_KEYS:
        return [mapped(v, change, depth) if isinstance(v, dict) else v for v in value]
    return value


class _Inliner:
    """Counts what it copies: references that double at each step would otherwise grow without bound."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._room = MAX_SCHEMAS

    def node(self, node: Schema, inside: tuple[str, ...], depth: int) -> Schema:
        self._room -= 1
        if depth > MAX_DEPTH or self._room < 0:
            return {}
        reference = node.get("$ref")
        if isinstance(reference, str):
            siblings = {key: value for key, value in node.items() if key != "$ref"}
            target = _target(self._root, reference)
            if reference in inside or target is None:
                return siblings
            return self.node({**target, **siblings}, (*inside, reference), depth + 1)
        kept = {key: value for key, value in node.items() if key not in ("$defs", "definitions")}
        return {key: self._below(key, value, inside, depth + 1) for key, value in kept.items()}

    def _below(self, key: str, value: Json, inside: tuple[str, ...], depth: int) -> Json:
        if isinstance(value, dict):
            if key in _MAP_KEYS:
                return {n: self.node(v, inside, depth) if isinstance(v, dict) else v for n, v in value.items()}
            if key in _SCHEMA_KEYS:
                return self.node(value, inside, depth)
        elif isinstance(value, list) and key in _LIST_KEYS:
            return [self.node(v, inside, depth) if isinstance(v, dict) else v for v in value]
        return value


def _target(root: Schema, reference: str) -> Schema | None:
    """Follow a JSON pointer of the form `#/a/b`; None when it leaves the document or leads nowhere."""
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        return None
    here: Json = root
    for step in reference[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(here, dict) or name not in here:
            return None
        here = here[name]
    return here if isinstance(here, dict) else None
