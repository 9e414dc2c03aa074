"""Which call of a Chat Completions answer a piece belongs to.

Tells nothing but the end of a call: what else a piece means for the client is `answer.py`'s. A call is known by its
wire index, which some servers leave out or repeat, and stays open until a later piece begins and its arguments are
whole.
"""

from __future__ import annotations

from trunkline.adapters.chat.wire import WireCall
from trunkline.adapters.decoding.calls import says_nothing
from trunkline.adapters.decoding.strange import read_json
from trunkline.stream.deltas import Closed, Delta
from trunkline.wire import UNREADABLE


class Call:
    """One tool call; it is announced once its name is known. `slot` is negative until the answer opens the call."""

    __slots__ = ("arguments", "call_id", "is_announced", "is_closed", "name", "slot")

    def __init__(self) -> None:
        self.slot = -1
        self.call_id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.is_announced = False
        self.is_closed = False

    @property
    def is_whole(self) -> bool:
        # Looked at first: some servers name the function in every piece, and each of those asks.
        last = next((piece for piece in reversed(self.arguments) if not piece.isspace()), "")
        if not last.rstrip().endswith("}"):
            return False
        try:
            return isinstance(read_json("".join(self.arguments)), dict)
        except UNREADABLE:
            return False

    def close(self, out: list[Delta]) -> None:
        """Close the call if its arguments are whole; another may go on beside what begins now."""
        if self.is_announced and not self.is_closed and self.is_whole:
            self.is_closed = True
            out.append(Closed(self.slot))


class Calls:
    """The calls of one answer, in their order. `is_cumulative`: each piece repeats all that came before."""

    def __init__(self, *, is_cumulative: bool) -> None:
        self._is_cumulative = is_cumulative
        self._by_key: dict[int | str, Call] = {}
        self.all: list[Call] = []
        self.latest: Call | None = None

    @property
    def has_announced(self) -> bool:
        """Whether the name of any is known."""
        return any(call.is_announced for call in self.all)

    @property
    def has_nameless(self) -> bool:
        """Whether any says something, and nobody knows to whom."""
        return any(not call.is_announced and not says_nothing("".join(call.arguments)) for call in self.all)

    def find(self, wire: WireCall, name: str | None, arguments: str, position: int, has_others: bool) -> Call | None:
        """The call a piece belongs to, which may be new; None where it is a stub that no call was begun for.

        By its index; without one by its id, by its place among several, else to the latest. Some servers number every
        call 0: a known index with another id and a name is a new call, and so is one without an id whose name comes
        again after arguments that are whole.
        """
        latest = self.latest
        key: int | str
        if wire.index is not None:
            key = wire.index
        elif wire.id:
            key = wire.id
        elif has_others:
            key = position
        elif latest is not None and not (name and latest.is_whole):
            return latest
        else:
            key = len(self.all)
        call = self._by_key.get(key)
        if call is None and not name and not wire.id and says_nothing(arguments):
            return None
        if call is None or (name and self._is_another(call, wire.id, name, arguments)):
            call = self._by_key[key] = Call()
            self.all.append(call)
        call.call_id = call.call_id or wire.id or ""
        self.latest = call
        return call

    def _is_another(self, call: Call, call_id: str | None, name: str, arguments: str) -> bool:
        """Whether a name at a known index begins a call of its own."""
        if call_id:
            return call.call_id not in ("", call_id)
        if self._is_cumulative or (name == call.name and not arguments):
            return False
        return call.is_whole

    def close_latest(self, out: list[Delta]) -> None:
        """Close the call that was heard of last, where something else begins."""
        if self.latest is not None:
            self.latest.close(out)
