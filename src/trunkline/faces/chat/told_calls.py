"""The calls of an answer while it is told: which index and id each has, and which of them were cut.

When they are told is `telling.py`'s, which says by which rules they end.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from trunkline.faces.chat.spelling import Custom, Function, ToolCall
from trunkline.stream.deltas import Arguments, FunctionCall, Slot

_NOTHING = "{}"
"""What a call of a function says that is called with nothing."""


class ToldCalls:
    """The calls so far, in the order they began; `ids` yields random tokens without end.

    `_last` are the indices of those after which nothing but calls was said.
    """

    __slots__ = ("_all", "_by_slot", "_call_ids", "_ids", "_last", "_latest")

    def __init__(self, ids: Iterator[str]) -> None:
        self._ids = ids
        self._all: list[_Call] = []
        self._by_slot: dict[Slot, _Call] = {}
        self._call_ids: set[str] = set()
        self._last: set[int] = set()
        self._latest: _Call | None = None

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, said: FunctionCall) -> ToolCall | None:
        """Begin a call; None where it is said again word for word while it is open."""
        before = self._by_slot.get(said.slot)
        if before is not None:
            if before.said == said and not before.is_closed:
                return None
            before.is_closed = True
        call = self._by_slot[said.slot] = self._latest = _Call(said, len(self._all))
        self._all.append(call)
        self._last.add(call.index)
        return call.begun(self._call_id(said.call_id))

    def hear(self, delta: Arguments) -> ToolCall | None:
        """Hear more of what a call is called with; None where there is nothing to tell."""
        call = self._by_slot.get(delta.slot)
        if call is None or call.is_closed or not delta.text:
            return None
        if call.is_empty and not call.is_custom and delta.text.strip() == "null":
            return None  # some models write this for a tool without parameters
        self._latest = call
        self._last.add(call.index)
        call.is_empty = False
        return call.more(delta.text)

    def close(self, slot: Slot) -> None:
        """Close the call of a slot, if there is one: it takes no more."""
        call = self._by_slot.get(slot)
        if call is not None:
            call.is_closed = True

    def leave(self) -> None:
        """Hear that something else is said after the calls."""
        self._last.clear()

    def end(self, *, is_cut: bool) -> tuple[list[ToolCall], frozenset[int]]:
        """End all: what is left to tell of those that were called with nothing, and the indices of those cut."""
        cut = frozenset(call.index for call in self._all if is_cut and self._may_be_half(call))
        whole = [call for call in self._all if call.index not in cut]
        return [call.more(_NOTHING) for call in whole if call.is_empty and not call.is_custom], cut

    def _may_be_half(self, call: _Call) -> bool:
        return call.index in self._last and (call is self._latest or not call.is_closed)

    def _call_id(self, said: str) -> str:
        call_id = said if said and said not in self._call_ids else "call_" + next(self._ids)
        self._call_ids.add(call_id)
        return call_id


class _Call:
    """One call. A tool of another API's, which no client of this one can have offered, is told as a function."""

    __slots__ = ("index", "is_closed", "is_empty", "said")

    def __init__(self, said: FunctionCall, index: int) -> None:
        self.said = said
        self.index = index
        self.is_closed = False
        self.is_empty = True

    @property
    def is_custom(self) -> bool:
        return self.said.kind == "custom"

    def begun(self, call_id: str) -> ToolCall:
        name = self.said.name or self.said.kind
        if self.is_custom:
            return ToolCall(self.index, call_id, "custom", custom=Custom("", name))
        return ToolCall(self.index, call_id, "function", function=Function("", name))

    def more(self, text: str) -> ToolCall:
        if self.is_custom:
            return ToolCall(self.index, custom=Custom(text))
        return ToolCall(self.index, UNSET, UNSET, Function(text))
