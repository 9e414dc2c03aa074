"""How much work a schema can make of an answer, told before it is checked.

Theory of operation. A schema comes from a client, and a few lines of it can ask for more work than there is time: two
references to a part which has two references to the next double it with each step, and so does `unevaluatedProperties`
around itself, for which all within is looked at again. So what a schema comes to with each of its references written
out is counted, without writing it out. One that leads back to itself in a single place costs no more for each value of
the answer than what is counted; from two places on it can double with each level, and counts as beyond measure.
"""

from __future__ import annotations

from typing import Final

from trunkline.protocol.opaque import Json

_AGAIN: Final = frozenset({"unevaluatedProperties", "unevaluatedItems"})
_TIMES_AGAIN: Final = 4
_NAMES: Final = frozenset({"$id", "id"})
"""Within a part that has its own, the same reference means another place."""

_STORES: Final = frozenset({"$defs", "definitions"})
_OTHER_REFERENCES: Final = frozenset({"$dynamicRef", "$recursiveRef"})


class Unmeasured(ValueError):
    """What a schema comes to cannot be told."""


def parts_of(schema: Json) -> int:
    """How many parts a schema has, its references written out. Raises Unmeasured; RecursionError for a deep one."""
    counting = _Counting(schema)
    counted, returns = counting.over("#", schema)
    if returns and counting.looks_again:
        raise Unmeasured("it leads back to itself within what is looked at again")
    return counted


class _Counting:
    def __init__(self, schema: Json) -> None:
        self._schema = schema
        self._counted: dict[str, tuple[int, int]] = {}
        self._open: set[str] = set()
        self._led_back_to: set[str] = set()
        self._returns = 0
        self.looks_again = False

    def over(self, name: str, part: Json) -> tuple[int, int]:
        """Count the parts of what has this name, and the references in it that lead back."""
        before = self._returns
        self._open.add(name)
        counted = self._count(part)
        self._open.remove(name)
        returns = self._returns - before
        if returns > 1 and name in self._led_back_to:
            raise Unmeasured("it leads back to itself in several places")
        return counted, returns

    def _count(self, part: Json) -> int:
        if isinstance(part, list):
            return 1 + sum(map(self._count, part))
        if not isinstance(part, dict):
            return 1
        if part is not self._schema and any(isinstance(part.get(name), str) for name in _NAMES):
            raise Unmeasured("a part of it is a schema by itself")
        counted = 1
        for key, value in part.items():
            if key in _STORES and part is self._schema:
                continue  # counted where they are referred to
            is_reference = isinstance(value, str) and (key == "$ref" or key in _OTHER_REFERENCES)
            counted += self._referred(key, str(value)) if is_reference else self._count(value)
        if _AGAIN.isdisjoint(part):
            return counted
        self.looks_again = True
        return counted * _TIMES_AGAIN

    def _referred(self, key: str, to: str) -> int:
        if key != "$ref":
            raise Unmeasured("what it refers to is known only as it is checked")
        if to in self._open:
            self._led_back_to.add(to)
            self._returns += 1
            return 1
        if (known := self._counted.get(to)) is None:
            known = self._counted[to] = self.over(to, self._at(to))
        else:
            self._returns += known[1]
        return known[0]

    def _at(self, to: str) -> Json:
        """The part that a reference names by its place."""
        if not to.startswith("#/") or "%" in to:
            raise Unmeasured("it refers to something that is not named by its place")
        part = self._schema
        for step in to[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(part, dict) and name in part:
                part = part[name]
            elif isinstance(part, list) and name.isdecimal() and int(name) < len(part):
                part = part[int(name)]
            else:
                raise Unmeasured("it refers to nothing")
        return part
