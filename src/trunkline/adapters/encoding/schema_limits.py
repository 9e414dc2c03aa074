"""How much a JSON schema holds, and how much of it a grammar takes.

Counts what is written and does not follow references: no vendor says whether it counts a definition where it stands or
where it is used.
"""

from __future__ import annotations

from msgspec import Struct

from trunkline.adapters.encoding.schemas import Schema, parts_of
from trunkline.protocol.items import Json

MANY_VALUES = 250
"""An enum of more strings than this has a limit of its own at OpenAI."""


class Extent(Struct, frozen=True, kw_only=True):
    """What a schema holds, all its parts together; lengths are in characters.

    `names`: the length of the names of properties and definitions and of the strings in enums and constants. `values`:
    those of all enums. `long_enum`: the length of the strings of the longest enum that has more than MANY_VALUES.
    `optional`: properties that are not required. `unions`: places where more than one type may stand.
    """

    properties: int = 0
    names: int = 0
    values: int = 0
    long_enum: int = 0
    optional: int = 0
    unions: int = 0

    def __add__(self, other: Extent) -> Extent:
        return Extent(
            properties=self.properties + other.properties,
            names=self.names + other.names,
            values=self.values + other.values,
            long_enum=max(self.long_enum, other.long_enum),
            optional=self.optional + other.optional,
            unions=self.unions + other.unions,
        )


class Limits(Struct, frozen=True, kw_only=True):
    """The most of each that a grammar takes; None where nothing is said."""

    properties: int | None = None
    names: int | None = None
    values: int | None = None
    long_enum: int | None = None
    optional: int | None = None
    unions: int | None = None


def fits(extent: Extent, limits: Limits) -> bool:
    """Whether a schema of this extent is within the limits."""
    for name in Limits.__struct_fields__:
        most = getattr(limits, name)
        if most is not None and getattr(extent, name) > most:
            return False
    return True


def measured(schema: Schema) -> Extent:
    """Count what a schema holds, with its definitions."""
    total, waiting = Extent(), [schema]
    while waiting:
        node = waiting.pop()
        total += _measured_alone(node)
        waiting += parts_of(node)
    return total


def _measured_alone(node: Schema) -> Extent:
    properties = node["properties"] if isinstance(node.get("properties"), dict) else {}
    definitions = node["$defs"] if isinstance(node.get("$defs"), dict) else {}
    values = node["enum"] if isinstance(node.get("enum"), list) else []
    strings = [value for value in [*values, node.get("const")] if isinstance(value, str)]
    in_enum = _length([value for value in values if isinstance(value, str)])
    return Extent(
        properties=len(properties),
        names=_length(properties) + _length(definitions) + _length(strings),
        values=len(values),
        long_enum=in_enum if len(values) > MANY_VALUES else 0,
        optional=len(properties.keys() - _required(node)),
        unions=int(isinstance(node.get("anyOf"), list) or isinstance(node.get("type"), list)),
    )


def _length(texts: dict[str, Json] | list[str]) -> int:
    return sum(len(text) for text in texts)


def _required(node: Schema) -> set[str]:
    required = node.get("required")
    return {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
