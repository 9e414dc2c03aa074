"""A request and its answer on our own listener, without ASGI between: what the hot paths are served with.

Theory of operation. A `DirectCycle` stands where uvicorn's cycle stands for all other paths, and has the same marks,
so that the connection (`connection.py`) queues, keeps alive, drains, cuts and refuses both alike. Its task is made when
the head is here and no earlier answer is under way on the connection. A task begins to run after the read that made
it, so what came along with the head is here by then: usually the whole body, of which nothing is waited for. What did
not come along is only read when the route asks for it, and a route asks once it knows who calls.

The answer goes to the transport in as few pieces as it can: the head with what follows it, the last piece with the end
of the chunks. The connection says when the transport is full and when it is not, and that the client left: the task is
cancelled then, wherever it waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trunkline.errors import GatewayError
from trunkline.faces.contract import Face, Lines
from trunkline.server.bare import STATUS_LINE, FlowControl
from trunkline.server.cycle import FaceOf, Field, Route, any_path
from trunkline.server.edge import serve
from trunkline.server.joined import JoinedTransport
from trunkline.server.origins import Origins
from trunkline.stopping import Stopping
from trunkline.telemetry import logs

_CLOSE = b"connection: close\r\n"
_WHOLE = b"%b%b%bcontent-length: %d\r\n%b\r\n%b"
_CHUNKED = b"%b%b%btransfer-encoding: chunked\r\n%b\r\n"
_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
_MAX_COPIED_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class HotPaths:
    """What an application serves below ASGI: POST on each of these paths, written just so, and what goes with it.

    `face_of` says in whose words a connection refuses what it cannot make a request of.
    """

    routes: Mapping[bytes, Route]
    request_ids: Iterator[str]
    stopping: Stopping
    origins: Origins | None
    face_of: FaceOf = any_path


class Connection(Protocol):
    """What a cycle asks of the connection it is on."""

    loop: asyncio.AbstractEventLoop
    tasks: set[asyncio.Task[None]]
    flow: FlowControl
    joined: JoinedTransport

    def on_response_complete(self) -> None: ...


class DirectCycle:
    """One request on a connection of our listener, and its answer. A `Cycle`, and one of uvicorn's.

    `more` is woken when some of the body has come, or its end.
    """

    __slots__ = (
        "_allowed", "_connection", "_expects_go_on", "_head", "_hot", "_now", "_room", "_route", "_task", "_write",
        "body", "break_off", "disconnected", "face", "fields", "generation_id", "is_full", "keep_alive", "more",
        "more_body", "owner", "request_id", "response_complete", "response_started", "written_at",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, hot: HotPaths, route: Route, fields: list[Field], *, expects_go_on: bool
    ) -> None:
        self._connection = connection
        self._hot = hot
        self._route = route
        self._expects_go_on = expects_go_on
        self._write: Callable[[bytes], None] = connection.joined.write_now
        self._now: Callable[[], float] = connection.loop.time
        self._allowed: Lines = b""
        self._head: bytes = b""
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self.body: bytes | bytearray = b""
        self.break_off: Callable[[GatewayError], None] | None = None
        self.face: Face = route.face
        self.fields: Sequence[Field] = fields
        self.is_full = False
        self.keep_alive = False
        self.owner: str | None = None
        self.generation_id: str | None = None
        self.request_id = ""
        self.more_body = True
        self.written_at = 0.0
        self.more: asyncio.Future[None] | None = None
        self.disconnected = self.response_started = self.response_complete = False

    # For the connection

    def start(self) -> None:
        """Begin to serve: no earlier answer is under way."""
        connection, hot = self._connection, self._hot
        self.is_full = connection.flow.write_paused
        self.request_id = next(hot.request_ids)
        if hot.origins is not None:
            self._allowed = hot.origins.allow(self.fields)
        self._task = task = connection.loop.create_task(serve(self._route, self, hot.stopping))
        connection.tasks.add(task)
        task.add_done_callback(self._on_over)

    def add(self, piece: bytes) -> None:
        """Take what has come of the body."""
        if self.response_complete:
            return
        if not self.body:
            self.body = piece
        elif isinstance(self.body, bytes):
            self.body = bytearray(self.body) + piece
        else:
            self.body += piece
        if self.more is not None:
            wake(self.more)

    def set_full(self, is_full: bool) -> None:
        """The transport is full, or is not any more."""
        self.is_full = is_full
        if not is_full and self._room is not None:
            wake(self._room)

    def leave(self) -> None:
        """The client is gone; an answer that was given does not mind."""
        if not self.response_complete:
            self.disconnected = True
            if self._task is not None:
                self._task.cancel()

    # For the route: the request

    def take(self) -> bytes | bytearray:
        taken, self.body = self.body, b""
        return taken

    async def wait(self, until: float) -> None:
        if self._expects_go_on:
            self._expects_go_on = False
            self._write(_GO_ON)
        loop = self._connection.loop
        self._connection.flow.resume_reading()
        self.more = more = loop.create_future()
        timer = loop.call_at(until, _expire, more)
        try:
            await more
        finally:
            timer.cancel()
            self.more = None

    # For the route: the answer

    @property
    def has_started(self) -> bool:
        return self.response_started

    def whole(self, status: int, lines: Lines, body: bytes, *, closes: bool = False) -> None:
        if closes:
            self.keep_alive = False
        self.response_started = True
        if self.disconnected:
            return
        closing = b"" if self.keep_alive else _CLOSE
        head = (STATUS_LINE[status], lines, self._allowed, len(body), closing)
        if len(body) > _MAX_COPIED_BYTES:
            self._write(_WHOLE % (*head, b""))
            self._write(body)
        else:
            self._write(_WHOLE % (*head, body))
        self._complete()

    def begin(self, status: int, lines: Lines) -> None:
        self.response_started = True
        closing = b"" if self.keep_alive else _CLOSE
        self._head = _CHUNKED % (STATUS_LINE[status], lines, self._allowed, closing)

    def write(self, piece: bytes) -> None:
        if self.disconnected:
            return
        self.written_at = self._now()
        if self._head:
            self._write(b"%b%x\r\n%b\r\n" % (self._head, len(piece), piece))
            self._head = b""
        else:
            self._write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def push(self, piece: bytes) -> bool:
        if self._head or self.disconnected:
            self.write(piece)
        else:
            self.written_at = self._now()
            self._write(b"%x\r\n%b\r\n" % (len(piece), piece))
        return not self.is_full

    def end(self, piece: bytes) -> None:
        if self.disconnected:
            return
        self._write(b"%b%x\r\n%b\r\n0\r\n\r\n" % (self._head, len(piece), piece))
        self._complete()

    async def drained(self) -> None:
        while self.is_full and not self.disconnected:
            self._room = self._connection.loop.create_future()
            await self._room

    def _complete(self) -> None:
        self._head = b""
        self.response_complete = True
        if not self.keep_alive:
            self._connection.joined.close()
        self._connection.on_response_complete()

    def _on_over(self, task: asyncio.Task[None]) -> None:
        self._task = None
        self._connection.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logs.defect(self.request_id, error)
        if not self.response_complete and not self.disconnected:
            self._connection.joined.close()  # the client must not wait for the rest of it


def wake(future: asyncio.Future[None]) -> None:
    """Wake who waits, unless that was done."""
    if not future.done():
        future.set_result(None)


def _expire(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
