"""Opens the loops of a JSON schema that holds itself, for a grammar that must be able to leave them.

Gemini follows a loop only so far and takes one only if an answer need not go round it: a property of it may be absent,
or a list in it may be empty. It says so of its API and in its errors (see the row in `schema_subsets.py`). That one
branch of several leaves the loop is not enough.
"""

from __future__ import annotations

from trunkline.adapters.encoding.schemas import Schema, target_of
from trunkline.protocol.items import Json


def open_loops(schema: Schema) -> bool | None:
    """Require no property that leads round a loop; whether one was, or None where a loop has no property to leave.

    Changes the schema it is given.
    """
    is_changed = False
    forced = _forced(schema)
    while (loop := _loop_in(forced)) is not None:
        here, after = loop
        node = target_of(schema, here)
        if node is None or not _release(node, after):
            return None
        is_changed = True
        forced = _forced(schema)
    return is_changed


def _forced(schema: Schema) -> dict[str, set[str]]:
    """Each reference in the schema and the references that what it points to cannot do without."""
    found: dict[str, set[str]] = {}
    waiting = [reference for part in _all_parts(schema) if isinstance(reference := part.get("$ref"), str)]
    while waiting:
        reference = waiting.pop()
        if reference not in found:
            target = target_of(schema, reference)
            found[reference] = set() if target is None else _needed(target)
            waiting += found[reference]
    return found


def _needed(node: Schema) -> set[str]:
    """The references that a value of this schema cannot do without, in any of its branches."""
    reference = node.get("$ref")
    if isinstance(reference, str):
        return {reference}
    needed: set[str] = set()
    required = node.get("required") or ()
    for name, part in (node.get("properties") or {}).items():
        if name in required:
            needed |= _needed_in(part)
    for key in ("anyOf", "oneOf", "prefixItems"):
        for part in node.get(key) or ():
            needed |= _needed_in(part)
    if node.get("minItems"):
        needed |= _needed_in(node.get("items"))
    return needed


def _needed_in(part: Json) -> set[str]:
    return _needed(part) if isinstance(part, dict) else set()


def _release(node: Schema, reference: str) -> bool:
    """Take a requirement out of the node, or out of what it cannot do without, so that it does without a reference."""
    required = node.get("required") or ()
    for name, part in (node.get("properties") or {}).items():
        if name in required and reference in _needed_in(part):
            node["required"] = [each for each in required if each != name]
            return True
    parts = [part for key in ("anyOf", "oneOf", "prefixItems") for part in node.get(key) or ()]
    if node.get("minItems"):
        parts.append(node.get("items"))
    return any(_release(part, reference) for part in parts if isinstance(part, dict) and reference in _needed(part))


def _loop_in(forced: dict[str, set[str]]) -> tuple[str, str] | None:
    """A step of a loop: a reference, and one that it needs and that needs it in turn."""
    for start in forced:
        for after in forced[start]:
            seen, waiting = {after}, [after]
            while waiting:
                here = waiting.pop()
                if here == start:
                    return start, after
                news = forced.get(here, set()) - seen
                seen |= news
                waiting += news
    return None


def _all_parts(schema: Schema) -> list[Schema]:
    found: list[Schema] = []
    waiting: list[Json] = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            found.append(value)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found
