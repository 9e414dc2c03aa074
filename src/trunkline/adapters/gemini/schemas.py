"""Narrows JSON schemas to what Gemini reads, in either of the two languages it has for them.

It does not choose between them; that is a quirk. Sources:
https://ai.google.dev/gemini-api/docs/structured-output and https://ai.google.dev/api/caching#Schema, seen 2026-11-22.
"""

from __future__ import annotations

from trunkline.adapters.encoding.schemas import Schema, inlined, mapped
from trunkline.protocol.items import Json

_JSON_SCHEMA_KEYWORDS = frozenset(
    {
        "$anchor",
        "$defs",
        "$id",
        "$ref",
        "additionalProperties",
        "anyOf",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "oneOf",
        "prefixItems",
        "properties",
        "propertyOrdering",
        "required",
        "title",
        "type",
    }
)
"""What `responseJsonSchema` and `parametersJsonSchema` take; `definitions` is not among them, but `$defs` is."""

_OPENAPI_KEYWORDS = frozenset(
    {
        "anyOf",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "nullable",
        "pattern",
        "properties",
        "propertyOrdering",
        "required",
        "title",
        "type",
    }
)
"""What the older `responseSchema` and `parameters` take."""

_STRING_FORMATS = frozenset({"date-time", "enum"})
"""Of the formats of strings the older language takes only these; another one is a 400."""


def json_schema(schema: Schema) -> Schema:
    """The schema with the keywords Gemini knows; what says the same in unknown ones is rewritten."""
    if "definitions" in schema:
        schema = inlined(schema)
    return mapped(schema, lambda node: _kept(_rewritten(node), _JSON_SCHEMA_KEYWORDS))


def openapi_schema(schema: Schema) -> Schema:
    """The schema in Gemini's older language: without references, null as a flag, enums only of strings."""
    return mapped(inlined(schema), lambda node: _kept(_older(_rewritten(node)), _OPENAPI_KEYWORDS))


def _kept(node: Schema, keywords: frozenset[str]) -> Schema:
    return {key: value for key, value in node.items() if key in keywords}


def _rewritten(node: Schema) -> Schema:
    """Say `const` as an enum of one, and fold the parts of `allOf` into the node."""
    for part in node.get("allOf") or ():
        if isinstance(part, dict):
            node = {**_rewritten(part), **{key: value for key, value in node.items() if key != "allOf"}}
    if "const" in node and "enum" not in node:
        node = {**node, "enum": [node["const"]]}
    return node


def _older(node: Schema) -> Schema:
    changed = dict(node)
    if "oneOf" in changed:
        changed.setdefault("anyOf", changed.pop("oneOf"))
    _flag_null(changed)
    choices = changed["enum"] = [value for value in changed.get("enum") or () if value is not None]
    if choices and all(isinstance(value, str) for value in choices):
        changed["type"] = "string"
    else:
        del changed["enum"]
    if changed.get("type") == "string" and changed.get("format") not in _STRING_FORMATS:
        changed.pop("format", None)
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
