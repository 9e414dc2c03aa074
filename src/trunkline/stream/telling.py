"""One answer on its way to its client: deltas in, bytes out. A machine; who waits for whom is its driver's business.

Theory of operation. The same events are made for a stream and for a whole answer. A stream gets them as they come, all
but those of a list that holds the end: they wait for the terminal event, and leave with it and the end mark in one
piece. A whole answer gets nothing before its end, and then the fold of all events: there is no second account of it.
After `end` or `fail` nothing is told any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trunkline.errors import GatewayError
from trunkline.protocol.events import Event
from trunkline.protocol.render import render_response
from trunkline.stream.assemble import Assembler
from trunkline.stream.deltas import Delta, Stopped
from trunkline.stream.fold import fold
from trunkline.stream.sse import DONE, write_events


class Telling:
    """Tells one answer, as a stream or whole; `now` is Unix time."""

    __slots__ = ("_assembler", "_held", "_now", "is_over", "is_stream")

    def __init__(self, assembler: Assembler, now: Callable[[], float], *, is_stream: bool) -> None:
        self._assembler = assembler
        self._now = now
        self._held: list[Event] = []
        self.is_stream = is_stream
        self.is_over = False

    def feed(self, batch: Sequence[Delta]) -> bytes:
        """Tell what was heard; nothing where it waits for more."""
        events = self._assembler.feed(batch)
        if not self.is_stream or self._held or type(batch[-1]) is Stopped:
            self._held += events
            return b""
        return write_events(events) if events else b""

    def end(self, rest: Sequence[Delta] = ()) -> bytes:
        """Tell the last that was heard, and the end: what is left of a stream, or the whole body."""
        return self._conclude([*self._assembler.feed(rest), *self._assembler.end(self._now())])

    def fail(self, error: GatewayError, rest: Sequence[Delta] = ()) -> bytes:
        """Tell the last that was heard, and that the answer failed."""
        return self._conclude([*self._assembler.feed(rest), *self._assembler.fail(error)])

    def _conclude(self, events: list[Event]) -> bytes:
        if self.is_over:
            return b""
        self.is_over = True
        held, self._held = self._held, []
        held += events
        return write_events(held) + DONE if self.is_stream else render_response(fold(held))
