"""How events are told while an answer is assembled: each with its number, or not at all.

What happens in an answer is decided in one place for all clients. One that wants no stream gets the response alone, and
for it no event is made: it is told in the same words, to nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Protocol, TypeVarTuple

from trunkline.protocol.events import Event

Fields = TypeVarTuple("Fields")


class Tell(Protocol):
    """Tells an event, by its type and its fields but the first, which is its number."""

    def __call__(self, event: Callable[[int, *Fields], Event], /, *fields: *Fields) -> None: ...


class Events:
    """The events of one answer in their order; `told` are those that nobody took yet."""

    __slots__ = ("number", "told")

    def __init__(self) -> None:
        self.number: Callable[[], int] = count().__next__
        self.told: list[Event] = []

    def tell(self, event: Callable[[int, *Fields], Event], /, *fields: *Fields) -> None:
        self.told.append(event(self.number(), *fields))

    def take(self) -> list[Event]:
        told, self.told = self.told, []
        return told


def tell_nobody(event: Callable[[int, *Fields], Event], /, *fields: *Fields) -> None:
    """Tell nothing, of which nothing was made."""
