"""Where a client of Messages wrote what a request says, as Anthropic writes paths: `messages.0.content.1`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from trunkline.protocol.paths import Paths
from trunkline.protocol.reading import Step, shown

Where = tuple[Step, ...]
"""The steps to a value, innermost first."""

_PLAIN_STEP: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAMES: Final = {"input": "messages", "max_output_tokens": "max_tokens"}


class Parted(NamedTuple):
    """Where an item began that has several parts, or a result that has some, and where each of them came from."""

    first: Where
    parts: tuple[Where, ...]


Place = Where | Parted
"""Where an item stands: with its only part, where it is a message; with parts of which it is not known, where not."""


class MessagesPaths(Paths, frozen=True):
    """`places` are those of the items; of an input of nothing but texts none are kept."""

    truncates: bool = False
    places: tuple[Place, ...] = ()

    def spelled(self, *steps: Step) -> str:
        match steps:
            case ("input", int() as item, *inside) if item < len(self.places):
                return spelled(reversed(_where(self.places[item], inside)))
            case ("input", *_):
                return "messages"
            case (str() as member, *more):
                return spelled((_NAMES.get(member, member), *more))
            case _:
                return spelled(steps)


PATHS_OF_TEXTS: Final = MessagesPaths()


def first_of(place: Place) -> Where:
    """Where an item began."""
    return place.first if isinstance(place, Parted) else place


def spelled(steps: Iterable[Step]) -> str:
    """Spell a path from the outside in; odd keys are quoted and cut."""
    return ".".join([_step(step) for step in steps])


def _where(place: Place, inside: list[Step]) -> Where:
    parts: tuple[Where, ...] = ()
    if isinstance(place, Parted):
        parts = place.parts
    elif inside[:1] == ["content"]:
        parts = (place,)
    match inside:
        case (_, int() as part, *members) if part < len(parts):
            # Whatever it is, it stands in there: as data, or as a link to them.
            return ("source", *parts[part]) if members else parts[part]
        case _:
            return first_of(place)


def _step(step: Step) -> str:
    plain = str(step)
    return plain if _PLAIN_STEP.fullmatch(plain) else shown(plain)
