"""Thoughts back where they stood in their answer, for histories of clients that keep them apart from all else.

A Chat client has one list for a turn's thoughts and another for its calls, and takes them so to the next API too.
Whoever signs the parts of an answer one by one then gets proofs on other parts than it gave them for: Gemini refuses a
call whose signature stands on the text before it (https://ai.google.dev/gemini-api/docs/thought-signatures, seen
2026-11-28). The tag of a proof tells its place (`stream/seals.py`). A thought is only ever moved back, behind words and
calls of the same turn that it came after; one whose place is not there any more stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.protocol.items import InputItem, Message, ReasoningItem
from trunkline.protocol.pairs import Call, Output, is_from_outside
from trunkline.stream.seals import unseal

_Place = tuple[bool, int]
"""Whether after a text, and after how many calls."""


def placed(items: tuple[InputItem, ...]) -> tuple[InputItem, ...]:
    """The input with each thought where its tag says that it stood; the same object where all stand there."""
    if ReasoningItem not in map(type, items):
        return items
    found: list[InputItem] = []
    turn: list[InputItem] = []
    for item in items:
        if is_from_outside(item) or isinstance(item, Output):
            found += _in_order(turn)
            turn = []
            found.append(item)
        else:
            turn.append(item)
    found += _in_order(turn)
    return tuple(found) if any(now is not was for now, was in zip(found, items, strict=True)) else items


def _in_order(turn: Sequence[InputItem]) -> Sequence[InputItem]:
    """One turn of the model, which may be several answers: what a thought came after is then there already."""
    places = {at: place for at, item in enumerate(turn) if (place := _place_of(item)) != (False, 0)}
    if not places:
        return turn
    all_before = _before(turn)
    found: list[InputItem] = []
    waiting: list[tuple[_Place, InputItem]] = []
    for at, item in enumerate(turn):
        stood = places.get(at)
        if stood is not None and not _is_reached(stood, all_before[at]) and _is_reached(stood, all_before[-1]):
            waiting.append((stood, item))
            continue
        found.append(item)
        reached = [each for each in waiting if _is_reached(each[0], all_before[at + 1])]
        found += [thought for _, thought in reached]
        waiting = [each for each in waiting if each not in reached]
    return found


def _before(turn: Sequence[InputItem]) -> list[_Place]:
    """What stands before each item, and before the end."""
    place: _Place = (False, 0)
    found = [place]
    for item in turn:
        place = (place[0] or isinstance(item, Message), place[1] + isinstance(item, Call))
        found.append(place)
    return found


def _is_reached(place: _Place, before: _Place) -> bool:
    return place[0] <= before[0] and place[1] <= before[1]


def _place_of(item: InputItem) -> _Place:
    if not isinstance(item, ReasoningItem):
        return (False, 0)
    origin = unseal(item.encrypted_content or item.signature or "")
    return (False, 0) if origin is None else (origin.after_text, origin.calls_before)
