"""The calls of one answer while they are assembled: several may be open, and interleave.

By which rules they end is said in `assemble.py`, which asks for it.
"""

from __future__ import annotations

from trunkline.faces.responses.output import Output
from trunkline.faces.responses.pieces import CALLS, CallItem
from trunkline.stream.deltas import Arguments, FunctionCall, Slot


class OpenCalls:
    """The open calls by their slots. A call that is closed takes no more arguments, and waits to be finished."""

    __slots__ = ("_by_slot", "_ids", "_latest", "_output")

    def __init__(self, output: Output) -> None:
        self._output = output
        self._by_slot: dict[Slot, CallItem] = {}
        self._latest: CallItem | None = None
        self._ids: set[str] = set()

    def is_repeated(self, said: FunctionCall) -> bool:
        """Whether a call is said again word for word while it is open."""
        same = self._by_slot.get(said.slot)
        return same is not None and same.said == said and not same.is_closed

    def begin(self, said: FunctionCall) -> None:
        """Begin a call; those that are closed are finished, and so is the one that had its slot."""
        self._finish_closed()
        if said.slot in self._by_slot:
            self._finish(self._by_slot.pop(said.slot))
        make = CALLS[said.kind]
        call = make(self._output.place(make.PREFIX), self._call_id(said.call_id), said)
        self._by_slot[said.slot] = self._latest = call
        self._output.begin(call)

    def hear(self, delta: Arguments) -> None:
        call = self._by_slot.get(delta.slot)
        if call is None or call.is_closed or not delta.text:
            return
        if not call.pieces and call.NOTHING and delta.text.strip() == "null":
            return  # some models write this for a tool without parameters
        if call is not self._latest:
            self._finish_closed()
            self._latest = call
        call.hear(delta.text, self._output.tell)

    def close(self, slot: Slot) -> None:
        """Close the call of a slot, if there is one; it is finished, unless it was heard last."""
        call = self._by_slot.get(slot)
        if call is not None:
            call.is_closed = True
            if call is not self._latest:
                self._finish(self._by_slot.pop(slot))

    def finish(self) -> None:
        """Finish all."""
        for call in self._by_slot.values():
            self._finish(call)
        self._by_slot.clear()

    def cut(self, *, has_stopped: bool) -> None:
        """End all in an answer that was cut: those that may be but the beginning of one are left out."""
        for call in self._by_slot.values():
            is_plain = call is not self._latest or (not has_stopped and call.is_plainly_whole)
            if call.is_closed and is_plain:
                self._finish(call)
            else:
                self._output.leave_out(call)
        self._by_slot.clear()

    def _finish_closed(self) -> None:
        for slot, call in list(self._by_slot.items()):
            if call.is_closed:
                self._finish(self._by_slot.pop(slot))

    def _finish(self, call: CallItem) -> None:
        tell = self._output.tell
        if call.NOTHING and not call.pieces:
            call.hear(call.NOTHING, tell)
        call.end(tell)
        self._output.finish(call, is_cut=False)

    def _call_id(self, said: str) -> str:
        call_id = said if said and said not in self._ids else self._output.new_id("call_")
        self._ids.add(call_id)
        return call_id
