"""A stream of server-sent events on its way to a client: head, frames, comments while the answer is silent, end.

Theory of operation. The head is held back until there is an event, so that an early failure keeps its HTTP status.
When the grace time passes without one, a comment is sent instead, and the head with it: some proxies cut a connection
that stays silent. From then on a comment goes out after every interval of silence. All this is driven by one timer
that is set once per stream and looks, when it fires, at when the cycle was last given something; the path of a token
passes by here. While the client is too slow to read what was written the stream is not silent, and a comment would only
pile up behind that.
"""

from __future__ import annotations

import asyncio

from trunkline.faces.contract import Lines
from trunkline.server.cycle import Cycle

LINES: Lines = (
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache, no-transform\r\n"
    b"x-accel-buffering: no\r\n"
)


class EventStream:
    """One stream to one client. What may be waited for is the cycle's, and so are `write` and `push`."""

    __slots__ = ("_cycle", "_due", "_has_ended", "_interval_s", "_lines", "_loop", "_timer", "push", "write")

    def __init__(self, cycle: Cycle, lines: Lines, grace_s: float, keep_alive_s: float) -> None:
        """Take the header lines known from the start; a `keep_alive_s` of 0 turns comments off."""
        self._cycle = cycle
        self._lines = lines
        self._interval_s = keep_alive_s
        self._has_ended = False
        self.write = cycle.write
        self.push = cycle.push
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + grace_s
        self._timer = self._loop.call_at(self._due, self._tick) if keep_alive_s else None

    def begin(self, lines: Lines = b"") -> None:
        """Give the head, with what has become known."""
        self._cycle.begin(200, LINES + self._lines + lines)
        self._lines = b""

    def end(self, piece: bytes) -> None:
        """Send the last piece, unless that was done."""
        self.close()
        if not self._has_ended:
            self._has_ended = True
            self._cycle.end(piece)

    def close(self) -> None:
        """Stop the timer; no comment goes out any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        now, cycle = self._loop.time(), self._cycle
        self._due = max(self._due, cycle.written_at + self._interval_s)
        if self._due <= now:
            if not cycle.is_full:
                if not cycle.has_started:
                    self.begin()
                cycle.write(cycle.face.keep_alive)
            self._due = now + self._interval_s
        self._timer = self._loop.call_at(self._due, self._tick)
