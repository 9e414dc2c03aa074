"""A stream of server-sent events on its way to a client: head, frames, comments while the answer is silent, end.

Theory of operation. The head is held back until there is an event, so that an early failure keeps its HTTP status.
When the grace time passes without one, a comment is sent instead, and the head with it: some proxies cut a connection
that stays silent. From then on a comment goes out after every interval of silence. All this is driven by one timer
that is set once per stream and looks, when it fires, at when something was last written; the path of a token only
notes the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.types import Scope, Send

from trunkline.server.edge import HAS_STARTED
from trunkline.stream.sse import KEEP_ALIVE

Header = tuple[bytes, bytes]

_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


class EventStream:
    """One stream to one client. `write` and `end` belong to the request's task; comments come from the timer."""

    def __init__(
        self, send: Send, scope: Scope, headers: Iterable[Header], *, grace_s: float, keep_alive_s: float
    ) -> None:
        """Take the headers known from the start; a `keep_alive_s` of 0 turns comments off."""
        self._send = send
        self._scope = scope
        self._headers = [*_HEADERS, *headers]
        self._interval_s = keep_alive_s
        self._is_writing = False
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + grace_s
        self._timer = self._loop.call_at(self._due, self._tick) if keep_alive_s else None
        self._comment: asyncio.Task[None] | None = None
        self.has_begun = False
        self._has_ended = False

    async def begin(self, headers: Iterable[Header] = ()) -> None:
        """Send the head, with what has become known, unless the grace time already did."""
        if self.has_begun:
            return
        self.has_begun = self._scope[HAS_STARTED] = True
        await self._send({"type": "http.response.start", "status": 200, "headers": [*self._headers, *headers]})

    async def write(self, piece: bytes) -> None:
        """Send a piece; waits while the client does not read."""
        self._is_writing = True
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        self._is_writing = False
        self._due = self._loop.time() + self._interval_s

    async def end(self, piece: bytes) -> None:
        """Send the last piece, unless that was done."""
        self.close()
        if not self._has_ended:
            await self._send({"type": "http.response.body", "body": piece, "more_body": False})
            self._has_ended = True

    def close(self) -> None:
        """Stop the timer; no comment goes out any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        now = self._loop.time()
        if self._due <= now:
            # While a write waits for the client the stream is not silent, and a comment would only pile up behind it.
            if not self._is_writing:
                self._comment = self._loop.create_task(self._send_comment())
            self._due = now + self._interval_s
        self._timer = self._loop.call_at(self._due, self._tick)

    async def _send_comment(self) -> None:
        if self._timer is None:
            return
        await self.begin()
        if self._timer is not None:
            await self._send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})
