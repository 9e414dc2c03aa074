"""Gives a tool's parameters the root that every provider wants of them: one object, and no union of several.

Anthropic and OpenAI refuse the whole request for one tool with another root, which servers of tools send all the same
(langchain-ai/langchain#39271, anomalyco/opencode#35516, PostHog/posthog#61359).
"""

from __future__ import annotations

from msgspec import Struct

from trunkline.adapters.encoding.schemas import MAX_DEPTH, Schema, target_of
from trunkline.protocol.items import Json

_UNIONS = ("anyOf", "oneOf")
_REFUSED = frozenset({"allOf", "anyOf", "enum", "not", "oneOf"})
"""Keywords that may not stand at the root."""
_LEADING_ON = _REFUSED | {"$ref"}
"""Keywords for which the root says something else than it seems to."""


class Rooted(Struct, frozen=True):
    """A schema with an object at its root; `is_wider` where it allows what the one given does not."""

    schema: Schema
    is_wider: bool = False


def rooted(schema: Schema) -> Rooted | None:
    """Write the schema as one object; None where it is of something else, or no schema."""
    try:
        return _as_object(schema)
    except (AttributeError, KeyError, TypeError, ValueError):
        # Nobody has checked that it is a schema: any value may stand under any keyword.
        return None


def _as_object(schema: Schema) -> Rooted | None:
    if schema.get("type") == "object" and "properties" in schema and _LEADING_ON.isdisjoint(schema):
        # Nearly every tool's is one object already.
        return Rooted(schema)
    root = _resolved(schema, schema)
    told = ""
    for part in root.get("allOf") or ():
        if isinstance(part, dict):
            root = _merged(root, _resolved(part, schema), alike=True)
    is_wider = bool(root.keys() & (_REFUSED - {"allOf"}))
    for union in _UNIONS:
        branches = [_resolved(part, schema) for part in root.get(union) or () if isinstance(part, dict)]
        objects = [branch for branch in branches if _may_be_object(branch)]
        if branches and not objects and not _is_object(root):
            return None
        root = _with_branches(root, objects)
        told = told or _required_in_words(union, objects)
    if not _may_be_object(root):
        return None
    kept = {key: value for key, value in root.items() if key not in _REFUSED}
    if kept.get("type") != "object" or "properties" not in kept:
        kept = {**kept, "type": "object", "properties": kept.get("properties") or {}}
    if told:
        kept["description"] = f"{kept['description']} {told}" if isinstance(kept.get("description"), str) else told
    return Rooted(schema if kept == schema else kept, is_wider)


def _resolved(node: Schema, root: Schema) -> Schema:
    """The node with what its reference points to in it; definitions stay where they are."""
    for _ in range(MAX_DEPTH):
        reference = node.get("$ref")
        target = target_of(root, reference) if isinstance(reference, str) else None
        if target is None:
            break
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _is_object(node: Schema) -> bool:
    return node.get("type") == "object" or "properties" in node


def _may_be_object(node: Schema) -> bool:
    kind = node.get("type")
    if kind is None:
        return "items" not in node and "enum" not in node and "const" not in node
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def _with_branches(root: Schema, branches: list[Schema]) -> Schema:
    """The root with the properties of all branches; required is what all of them require."""
    if not branches:
        return root
    shared = [name for name in branches[0].get("required") or () if all(name in _required(each) for each in branches)]
    for branch in branches:
        root = _merged(root, {key: value for key, value in branch.items() if key != "required"}, alike=False)
    required = list(dict.fromkeys([*(root.get("required") or ()), *shared]))
    # What one branch forbids another may need.
    is_open = any(branch.get("additionalProperties") is not False for branch in branches)
    if is_open and root.get("additionalProperties") is False and any("properties" in branch for branch in branches):
        root = {key: value for key, value in root.items() if key != "additionalProperties"}
    return {**root, "required": required} if required else root


def _merged(root: Schema, part: Schema, *, alike: bool) -> Schema:
    """The root with what a part of it says; `alike`: both hold, else either may."""
    merged = dict(root)
    properties: dict[str, Json] = dict(merged.get("properties") or {})
    for name, said in (part.get("properties") or {}).items():
        if name not in properties or properties[name] == said:
            properties[name] = said
        else:
            union = "allOf" if alike else "anyOf"
            known = properties[name].get(union) if isinstance(properties[name], dict) else None
            known = known if isinstance(known, list) and properties[name].keys() == {union} else [properties[name]]
            properties[name] = {union: known if said in known else [*known, said]}
    if properties:
        merged["properties"] = properties
    if part.get("required"):
        merged["required"] = list(dict.fromkeys([*(merged.get("required") or ()), *part["required"]]))
    for key, value in part.items():
        if key not in ("properties", "required", "$defs", "definitions", "title", "description"):
            merged.setdefault(key, value)
    return merged


def _required(node: Schema) -> list[str]:
    return [name for name in node.get("required") or () if isinstance(name, str)]


def _required_in_words(union: str, branches: list[Schema]) -> str:
    sets = [", ".join(_required(branch)) for branch in branches]
    if len(sets) < 2 or not all(sets):
        return ""
    return f"Give {'exactly' if union == 'oneOf' else 'at least'} one of these: {'; '.join(sets)}."
