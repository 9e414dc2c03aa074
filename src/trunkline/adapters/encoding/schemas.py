"""Walks JSON schemas; every function gives back a new schema and leaves its input alone.

It validates neither schemas nor documents, and knows no dialect.
"""

from __future__ import annotations

from collections.abc import Callable

from trunkline.protocol.items import Json

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


def inlined(schema: Schema) -> Schema:
    """Replace every local `$ref` by what it points to.

    A reference into itself, or one of more than `MAX_SCHEMAS`, becomes a schema that takes anything.
    """
    return _Inliner(schema).node(schema, (), 0)


def parts_of(node: Schema) -> list[Schema]:
    """The schemas that stand directly in a schema."""
    found: list[Json] = []
    for key, value in node.items():
        if isinstance(value, dict) and key in _MAP_KEYS:
            found += value.values()
        elif isinstance(value, dict) and key in _SCHEMA_KEYS:
            found.append(value)
        elif isinstance(value, list) and key in _LIST_KEYS:
            found += value
    return [part for part in found if isinstance(part, dict)]


def rewritten(schema: Schema, change: Callable[[Schema], Schema], depth: int = 0) -> Schema:
    """Change every schema in a schema, the outer ones first; what is deeper than `MAX_DEPTH` stays."""
    if depth > MAX_DEPTH:
        return schema
    return {key: _rewritten_below(key, value, change, depth + 1) for key, value in change(schema).items()}


def _rewritten_below(key: str, value: Json, change: Callable[[Schema], Schema], depth: int) -> Json:
    if isinstance(value, dict) and key in _MAP_KEYS:
        return {
            name: rewritten(part, change, depth) if isinstance(part, dict) else part for name, part in value.items()
        }
    if isinstance(value, dict) and key in _SCHEMA_KEYS:
        return rewritten(value, change, depth)
    if isinstance(value, list) and key in _LIST_KEYS:
        return [rewritten(part, change, depth) if isinstance(part, dict) else part for part in value]
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
            target = target_of(self._root, reference)
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


def target_of(root: Schema, reference: str) -> Schema | None:
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
