"""The references of a JSON schema: what leads where, what leads back, what nothing leads to.

Reads and changes no more than that; `definitions`, the older name, is the same as `$defs` here.
"""

from __future__ import annotations

from trunkline.adapters.encoding.schemas import Schema, parts_of, target_of


def cyclic_references(root: Schema) -> frozenset[str]:
    """The references that lead back to where they stand, by any way."""
    uses: dict[str, set[str]] = {}
    waiting = references(root)
    while waiting:
        reference = waiting.pop()
        if reference not in uses:
            target = target_of(root, reference)
            uses[reference] = set() if target is None else references(target)
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


def only_used(schema: Schema) -> Schema:
    """The schema with those definitions alone that it leads to; what else stands there may break a rule for nothing."""
    used: set[str] = set()
    waiting = list(references(schema))
    while waiting:
        reference = waiting.pop()
        if reference not in used:
            used.add(reference)
            target = target_of(schema, reference)
            waiting += references(target) if target is not None else ()
    paths = [reference.split("/") for reference in used]
    names = {path[2].replace("~1", "/").replace("~0", "~") for path in paths if len(path) > 2}
    kept = {name: part for name, part in schema["$defs"].items() if name in names}
    rest = {key: value for key, value in schema.items() if key != "$defs"}
    return {**rest, "$defs": kept} if kept else rest


def references(schema: Schema) -> set[str]:
    """The references in a schema, but for those in its definitions."""
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        node = renamed(waiting.pop())
        if isinstance(reference := node.get("$ref"), str):
            found.add(reference)
        waiting += parts_of({key: value for key, value in node.items() if key != "$defs"})
    return found


def renamed(node: Schema) -> Schema:
    """`$defs` for `definitions`, its older name, in the node and in its reference."""
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/definitions/"):
        node = {**node, "$ref": "#/$defs/" + reference.removeprefix("#/definitions/")}
    if "definitions" in node:
        older = node["definitions"]
        node = {key: value for key, value in node.items() if key != "definitions"}
        node["$defs"] = {**older, **node.get("$defs", {})} if isinstance(older, dict) else node.get("$defs", {})
    return node


def all_parts(schema: Schema) -> list[Schema]:
    """The schema and all schemas in it."""
    found = [schema]
    for node in found:
        found += parts_of(node)
    return found
