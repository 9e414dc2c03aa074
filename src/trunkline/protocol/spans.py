"""What of an input may be left out, and what of it only together: whole turns, and whole rounds of the last one.

It leaves nothing out and counts nothing; `plugins/truncating.py` does.

Theory of operation. A *turn* begins with a message of the user's side and goes on to before the next one; what stands
before the first such message is a turn as well. Within a turn the model goes in *rounds*: its thoughts, words and
calls, and the results of these calls, wherever they stand, for clients put messages between. A round belongs to the
turn in which it begins, unless one of its results comes in the last turn: then to that. So who leaves out a turn or a
round leaves no call without its result, no result without its call, and no thought without what was thought about.

Instructions in the input, tools that are offered there, and what stands for a history that was made shorter already
are *fixed*; so are the last message of the user and in the last turn all but the rounds that are complete and not the
last: the model has to go on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from trunkline.protocol.items import AdditionalTools, InputItem, Message, ToolSearchCallItem, ToolSearchOutput
from trunkline.protocol.opaque import ServerItem
from trunkline.protocol.pairs import CALL_NAMES, answered_call, call_id_of, is_from_outside, pairs_of

_FIXED: Final = (AdditionalTools, ToolSearchCallItem, ToolSearchOutput)
_FIXED_TYPES: Final = frozenset({"compaction", "context_compaction", "configuration_update", "mcp_list_tools"})
_ANSWERS: Final = ("_output", "_response")
"""How the types of items end that answer a call of OpenAI's own tools."""

_ANSWERED_APART: Final = frozenset(
    {"apply_patch_call", "computer_call", "mcp_approval_request", "program", "shell_call"}
)
"""The calls of these tools whose results are items of their own."""


class Spans(NamedTuple):
    """The places of an input's items, each in one of these; `turns` and `rounds` from the oldest on."""

    fixed: tuple[int, ...]
    turns: tuple[tuple[int, ...], ...]
    rounds: tuple[tuple[int, ...], ...]


class _Round:
    """What the model did until somebody answered; `turn` is that in which it began."""

    __slots__ = ("due", "has_calls", "places", "turn")

    def __init__(self, turn: int) -> None:
        self.turn = turn
        self.places: list[int] = []
        self.due: set[str] = set()
        self.has_calls = False

    @property
    def last(self) -> int:
        """The last of its places."""
        return self.places[-1]

    @property
    def is_complete(self) -> bool:
        """Whether it has calls, and all of them their results."""
        return self.has_calls and not self.due


def spans_of(items: Sequence[InputItem]) -> Spans:
    """Find the turns and rounds of an input."""
    return _Reading(items).spans()


class _Reading:
    """One input being read; `_open` is the round that goes on."""

    def __init__(self, items: Sequence[InputItem]) -> None:
        self._items = items
        self._calls = {result: call for call, result in pairs_of(items).items()}
        self._fixed: list[int] = []
        self._users: list[list[int]] = [[]]
        self._rounds: list[_Round] = []
        self._open: _Round | None = None
        self._by_place: dict[int, _Round] = {}
        self._by_id: dict[str, _Round] = {}

    def spans(self) -> Spans:
        for place, item in enumerate(self._items):
            if is_fixed(item):
                self._fixed.append(place)
            elif is_from_outside(item):
                self._open = None
                self._users.append([place])
            elif (answered := self._answered(place, item)) is not None:
                self._open = None
                answered.places.append(place)
            else:
                self._go_on(place, item)
        return self._told()

    def _answered(self, place: int, item: InputItem) -> _Round | None:
        """The round of the call that an item answers; None for what answers none."""
        if (call := self._calls.get(place)) is not None:
            found = self._by_place[call]
            found.due.discard(str(call_id_of(self._items[call])))
            return found
        if type(item) in CALL_NAMES:
            # The same result said twice goes with the call, too.
            return self._by_id.get(answered_call(item, self._items, {}) or "")
        if isinstance(item, ServerItem) and item.type.endswith(_ANSWERS):
            named = str(item.get("call_id") or item.get("approval_request_id"))
            if (answered := self._by_id.get(named)) is not None:
                answered.due.discard(named)
            return answered
        return None

    def _go_on(self, place: int, item: InputItem) -> None:
        """Add to the round that goes on, or begin one."""
        found = self._open
        if found is None:
            found = self._open = _Round(len(self._users) - 1)
            self._rounds.append(found)
        found.places.append(place)
        call_id = call_id_of(item)
        if call_id is None and isinstance(item, ServerItem) and item.type in _ANSWERED_APART:
            call_id = str(item.get("call_id") or item.get("id"))
        if call_id is not None:
            found.has_calls = True
            found.due.add(call_id)
            self._by_place[place] = self._by_id[call_id] = found

    def _told(self) -> Spans:
        *turns, asked = self._users
        fixed, rounds = [*self._fixed, *asked], []
        last_user = asked[0] if asked else -1
        latest = max([each.last for each in self._rounds], default=-1)
        for each in self._rounds:
            if each.turn < len(turns) and each.last < last_user:
                turns[each.turn] += each.places
            elif each.is_complete and each.last < latest and each is not self._rounds[-1]:
                rounds.append(tuple(each.places))
            else:
                fixed += each.places
        return Spans(tuple(sorted(fixed)), tuple([tuple(sorted(turn)) for turn in turns if turn]), tuple(rounds))


def is_fixed(item: InputItem) -> bool:
    """Whether an item is never left out: it says what holds for all that follows."""
    if type(item) is Message:
        return item.role == "system" or item.role == "developer"
    return isinstance(item, _FIXED) or (isinstance(item, ServerItem) and item.type in _FIXED_TYPES)
