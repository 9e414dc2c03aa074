"""A request and its answer at any ASGI server: what tests drive, and who runs the gateway under a server of their own.

What our own listener does by itself is asked for here: a task tells whether the client is still there, and another
sends what is written, since a server takes a message only when it has room. Until it has, the cycle is full.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from starlette.types import Message, Receive, Scope, Send

from trunkline.errors import GatewayError
from trunkline.faces.contract import Face, Lines
from trunkline.server.cycle import Field, Route
from trunkline.server.edge import HAS_STARTED, REQUEST_ID, serve
from trunkline.server.envelope import fields_of
from trunkline.stopping import Stopping


class Mounted:
    """A route as an ASGI application."""

    def __init__(self, route: Route, stopping: Stopping) -> None:
        self._route = route
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        cycle = AsgiCycle(scope, receive, send, task, self._route.face)
        try:
            await serve(self._route, cycle, self._stopping)
            await cycle.drained()
        except asyncio.CancelledError:
            if not cycle.has_left or task.uncancel() > 0:
                raise  # somebody else than the client ended it
        finally:
            cycle.close()


class AsgiCycle:
    """A `Cycle` over the messages of ASGI."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, task: asyncio.Task[object], face: Face) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._task = task
        self._body = b""
        self._unsent: deque[Message] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self.break_off: Callable[[GatewayError], None] | None = None
        self.face = face
        self.fields: Sequence[Field] = scope["headers"]
        self.has_left = False
        self.has_started = False
        self.more_body = True
        self.written_at = 0.0
        self.owner: str | None = None
        self.generation_id: str | None = None
        self.request_id: str = scope[REQUEST_ID]

    @property
    def is_full(self) -> bool:
        return bool(self._unsent)

    def take(self) -> bytes:
        taken, self._body = self._body, b""
        return taken

    async def wait(self, until: float) -> None:
        async with asyncio.timeout_at(until):
            message = await self._receive()
        if message["type"] == "http.disconnect":
            self._leave()
            await asyncio.sleep(0)  # where the task is told
        self._body += message.get("body", b"")
        self.more_body = message.get("more_body", False)
        if not self.more_body:
            self._watching = asyncio.create_task(self._watch())

    def whole(self, status: int, lines: Lines, body: bytes, *, closes: bool = False) -> None:
        self.begin(
            status, lines + b"content-length: %d\r\n" % len(body) + (b"connection: close\r\n" if closes else b"")
        )
        self.end(body)

    def begin(self, status: int, lines: Lines) -> None:
        self.has_started = self._scope[HAS_STARTED] = True
        self._put({"type": "http.response.start", "status": status, "headers": fields_of(lines)})

    def write(self, piece: bytes) -> None:
        self.written_at = asyncio.get_running_loop().time()
        self._put({"type": "http.response.body", "body": piece, "more_body": True})

    def push(self, piece: bytes) -> bool:
        self.write(piece)
        return not self.is_full

    def end(self, piece: bytes) -> None:
        self._put({"type": "http.response.body", "body": piece, "more_body": False})

    async def drained(self) -> None:
        if self._sending is not None:
            await asyncio.shield(self._sending)

    def close(self) -> None:
        """Wait for the client no longer, whether it reads or leaves."""
        for waiting in (self._watching, self._sending):
            if waiting is not None:
                waiting.cancel()

    def _put(self, message: Message) -> None:
        if self.has_left:
            return
        self._unsent.append(message)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        while self._unsent:
            await self._send(self._unsent[0])
            self._unsent.popleft()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        self.has_left = self._task.cancel()
