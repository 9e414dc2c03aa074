"""The listening socket and the HTTP protocol under the application: uvicorn on uvloop, with bounds it does not have.

Reading. A connection is in one of three states. *Idle*: no byte of a request is here; a timer runs that was set when
the connection first was, and looks, when it fires, since when it is. *Head*: a request has begun and its head is not
complete, or the connection is new; another timer runs, and the bytes and fields of the head are counted. *Body and
answer*: no timer of ours; the application bounds what follows. A head that is too slow gets a 408, one that is too
large a 400, and the connection is closed – unless an earlier answer is still being sent on it, which is never broken
into. A client that shuts its sending side has left: its requests are cancelled, for nothing tells that end from a full
close.

Of a body no more than one read from the socket is held until the application asks for it. An answer that begins
before its request is whole ends the connection: the rest of the request is read for a moment and thrown away, since a
socket that is closed over unread bytes makes the kernel drop the answer too. An offer to speak another protocol is
passed over, as HTTP allows (RFC 9110, 7.8): the parser stops there, so a new one is given the same head without it.

Writing. While a client leaves written bytes unread – the transport is full, or an answer is over but not all of it
gone – a second timer runs. When a whole interval passes in which not one byte went out, the connection is cut.

Number. At the bound a new connection takes the place of the one that has been idle longest; when none is idle, the
new one is refused with a 503. What a request means is not known here.

End. The first signal closes the listening socket and begins the drain; when it is over, or a second signal comes, the
connections that are left are cut. What requests get meanwhile is told in `stopping.py`. A thread sees to it that the
process ends in time even when something hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, ClassVar

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from trunkline.errors import BadRequest, GatewayError, RequestTimeout, ServiceUnavailable
from trunkline.protocol.render import render_error
from trunkline.server.allocator import give_large_pieces_back
from trunkline.server.edge import IS_WHOLE, LEAVING, Leaving
from trunkline.server.joined import JoinedTransport
from trunkline.settings.sections import ServerSettings
from trunkline.stopping import Stopping
from trunkline.telemetry import logs
from trunkline.upstream.aside import take_short_turns

MAX_HEADERS = 100
MAX_HEAD_BYTES = 64 * 1024
BACKLOG = 2048
MAX_PIPELINED = 64
HEAR_OUT_S = 2.0
HEAR_OUT_BYTES = 32 * 2**20

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TICK_S = 0.02
_LAST_WRITES_S = 0.2
"""How long the last errors may take to leave, however short the drain is."""
_HANG_S = 0.45
"""How long after the drain the process ends even when something hangs; as long after a second signal."""

_GARBAGE_THRESHOLDS = (20_000, 20, 50)
"""How many new objects are let be before cycles among them are looked for. A request makes hardly any."""

_UPGRADE_OPTIONS = frozenset((b"upgrade", b"http2-settings"))
"""Header fields of an offer to speak another protocol; the same names stand in `Connection`."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds for the head of a request, for clients that do not read, and in number."""

    header_timeout_s = 10.0
    write_timeout_s = 60.0
    max_connections = 10_000
    idle: ClassVar[dict[BoundedProtocol, None]] = {}
    """The idle connections, longest idle first; each listener has its own."""

    _deadline: asyncio.TimerHandle | None = None
    _is_in_head = False
    _head_bytes = 0
    _is_in_body = False
    _upgrades = False
    _keeps_alive = True
    _left_to_hear_bytes = HEAR_OUT_BYTES
    _hearing_out: asyncio.TimerHandle | None = None
    _complaint = ""
    _stall: asyncio.TimerHandle | None = None
    _rest: asyncio.TimerHandle | None = None
    _idle_since = 0.0
    _unsent_bytes = 0
    _joined: JoinedTransport
    _leaving: Leaving

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._joined = JoinedTransport(transport)
        self._leaving = Leaving()
        self.transport = self._joined  # type: ignore[assignment]  # it has all that is used
        if len(self.connections) > self.max_connections and not self._displace():
            self._refuse(ServiceUnavailable("The gateway has no room for more connections.", retry_after=1))
            return
        self.idle[self] = None
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self.idle.pop(self, None)
        self._stop_deadline()
        self._stop_stall()
        for timer in (self._hearing_out, self._rest):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        if self._leaving.then is not None:
            self._leaving.then()
        # Nothing may hold this object in a ring: what it holds of bodies would wait for a search for garbage.
        self._joined.hear_out = None
        for cycle, _ in self.pipeline:
            cycle.on_response = _do_nothing
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        if self._hearing_out is not None:
            self._left_to_hear_bytes -= len(data)
            if self._left_to_hear_bytes < 0:
                self.transport.close()
            return
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response(self._complaint or "Invalid HTTP request received.")
            return
        if self._is_in_body and self.cycle.body:
            self.flow.pause_reading()  # until the application asks for it
        if not self._is_in_head:
            return
        # The parser keeps an unfinished line to itself, so bytes are counted here too. A read that ended one request
        # and began another is counted whole: too much by at most one read.
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(BadRequest("The head of the request is too large."))
        elif self._deadline is None:
            self._start_deadline()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.idle.pop(self, None)
        self._is_in_head = True
        self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            raise ValueError("too many headers")  # the parser turns it into its own error, and that into a 400

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._stop_deadline()
        if sum([len(name) + len(value) for name, value in self.headers]) + len(self.url) > MAX_HEAD_BYTES:
            raise ValueError("head too large")
        if self._offers_upgrade():
            return
        self._check_host()
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")
        self.scope[LEAVING] = self._leaving  # type: ignore[literal-required]  # a server's own key
        super().on_headers_complete()
        self._is_in_body = True
        self._joined.hear_out = self._hear_out
        self._keeps_alive = self.cycle.keep_alive
        self.cycle.keep_alive = False  # unless its body comes before its answer

    def on_message_complete(self) -> None:
        if self._upgrades:
            return
        self._is_in_body = False
        self.scope[IS_WHOLE] = True  # type: ignore[literal-required]
        self._joined.hear_out = None
        if not self.cycle.response_started:
            self.cycle.keep_alive = self._keeps_alive
        super().on_message_complete()

    def on_response_complete(self) -> None:
        # Without the server's own, which sets and cancels a timer for every answer.
        self._joined.flush()
        self.server_state.total_requests += 1
        if self._stall is None and self.transport.get_write_buffer_size():
            self._start_stall()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif not self._is_in_head and not self._is_answering():
            self.idle[self] = None
            self._idle_since = self.loop.time()
            if self._rest is None:
                self._rest = self.loop.call_later(self.timeout_keep_alive, self._on_rest)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall is None:
            self._start_stall()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_stall()

    def shutdown(self) -> None:
        """Close after the answer that is under way; a request that comes on an idle connection is told of the end."""
        self._keeps_alive = False
        if self._is_answering():
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequest(msg))

    def _feed(self, data: bytes) -> None:
        """Parse what came. Raises HttpParserError."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as the one before

    def _offers_upgrade(self) -> bool:
        """Whether the parser takes what follows for another protocol. CONNECT, too, but that is an error here."""
        self._upgrades = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        return self._upgrades

    def _head_without_upgrade(self) -> bytes:
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                kept = [option for option in value.split(b",") if option.strip().lower() not in _UPGRADE_OPTIONS]
                value = b",".join(kept)
            if name not in _UPGRADE_OPTIONS:
                lines.append(b"%s: %s" % (name, value))
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _check_host(self) -> None:
        """RFC 9112, 3.2: a server answers 400 where HTTP/1.1 names no host, and where anything names two."""
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._complaint = "A request has exactly one Host header."
            raise ValueError(self._complaint)

    def _hear_out(self) -> None:
        """The answer is given: read what is still coming, for a moment, and throw it away."""
        self._hearing_out = self.loop.call_later(HEAR_OUT_S, self.transport.close)
        self.cycle.body = bytearray()
        self.flow.resume_reading()

    def _displace(self) -> bool:
        """Close the connection that has been idle longest; say whether there was one."""
        for longest in self.idle:
            del self.idle[longest]
            longest.transport.close()
            return True
        return False

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(self.header_timeout_s, self._on_deadline)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        self._deadline = None
        if self._is_answering():
            self._start_deadline()
        elif self._is_in_head:
            self._refuse(RequestTimeout("The head of the request did not arrive in time."))
        else:
            self.transport.close()

    def _on_rest(self) -> None:
        """Close the connection if it was idle for so long; while it is not, the next answer starts this anew."""
        self._rest = None
        if self not in self.idle:
            return
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._rest = self.loop.call_later(left_s, self._on_rest)
        else:
            self.transport.close()

    def _start_stall(self) -> None:
        self._unsent_bytes = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(self.write_timeout_s, self._on_stall)

    def _stop_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _on_stall(self) -> None:
        self._stall = None
        unsent_bytes = self.transport.get_write_buffer_size()
        if unsent_bytes and unsent_bytes >= self._unsent_bytes:
            self.transport.abort()
        elif unsent_bytes:
            self._start_stall()

    def _refuse(self, error: GatewayError) -> None:
        self._is_in_head = False
        self._stop_deadline()
        self._joined.hear_out = None
        if self._owes_nothing() and not self.transport.is_closing():
            body = render_error(error)
            head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n" % len(body)
            if error.retry_after is not None:
                head += b"retry-after: %d\r\n" % error.retry_after
            self.transport.write(STATUS_LINE[error.status] + head + b"\r\n" + body)
            if self.cycle is not None:
                self.cycle.disconnected = True  # whoever works on that request must not answer it again
                self.cycle.message_event.set()
        self.transport.close()

    def _owes_nothing(self) -> bool:
        """Whether what is written now is the answer to the request that is being read, and to no earlier one."""
        if not self._is_answering():
            return True
        return self.cycle.more_body and not self.cycle.response_started and not self.pipeline

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete


def _do_nothing() -> None:
    """What a request that was never begun does at its end."""


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, stopping: Stopping, drain_s: float, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._drain_s = drain_s
        self._on_ready = on_ready
        self._signal = ""
        self._is_forced = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What lives now lives to the end: looking through it again and again would cost a twentieth of all time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GARBAGE_THRESHOLDS)
        # The loop would note each generator's beginning, to close at its end those that nobody closes; ours are closed
        # where they are made, and a request takes four.
        sys.set_asyncgen_hooks(firstiter=None)
        if self.started:
            self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Who starts a process with SIGHUP ignored, as `nohup` does, wants it to outlive its terminal.
        taken = [number for number in _SIGNALS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self.handle_exit) for number in taken}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = True
            self._is_forced.set()
        else:
            self.should_exit = True
            self._signal = signal.Signals(sig).name
            self._stopping.begin()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        began = time.monotonic()
        threading.Thread(target=self._end_in_time, daemon=True).start()
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        tasks, connections = self.server_state.tasks, self.server_state.connections
        logs.stopping(self._signal, len(tasks), self._drain_s)
        told_at = began + self._drain_s - self._stopping.lead_s
        await self._until(lambda: not tasks, told_at)
        self._stopping.end()
        for task in list(tasks):
            task.cancel()
        await self._until(lambda: not tasks, time.monotonic() + _LAST_WRITES_S, is_patient=True)
        over_at = max(began + self._drain_s, told_at + _LAST_WRITES_S)
        await self._until(lambda: not tasks, over_at)
        for connection in list(connections):
            connection.transport.close()
        await self._until(lambda: not connections, over_at)
        for connection in list(connections):
            connection.transport.abort()
        await self._until(lambda: not tasks, time.monotonic() + _LAST_WRITES_S, is_patient=True)
        await self.lifespan.shutdown()

    async def _until(self, is_done: Callable[[], bool], limit: float, *, is_patient: bool = False) -> None:
        """Wait until something is so, or for `limit`, or, unless patient, until a second signal comes."""
        # Nobody wakes us: the sets are uvicorn's, and a signal handler may not touch the loop.
        while not is_done() and time.monotonic() < limit and (is_patient or not self.force_exit):  # noqa: ASYNC110
            await asyncio.sleep(_TICK_S)

    def _end_in_time(self) -> None:
        self._is_forced.wait(self._drain_s + _HANG_S)
        if self._is_forced.is_set():
            time.sleep(_HANG_S)
        os._exit(1 if self.force_exit else 0)


def serve(
    application: Any,
    listening: socket.socket,
    settings: ServerSettings,
    stopping: Stopping,
    *,
    on_ready: Callable[[], None],
) -> None:
    """Serve an ASGI application until a signal ends it; requests in flight get `drain` to finish.

    Raises SystemExit when a second signal ended it.
    """
    give_large_pieces_back()
    take_short_turns()
    # uvicorn's own messages repeat what we print and what our log tells; what is left of them are defects.
    logs.relay("uvicorn.error")
    logs.relay("asyncio")
    bounds = {
        "header_timeout_s": settings.header_timeout,
        "write_timeout_s": settings.write_timeout,
        "max_connections": settings.max_connections,
        "idle": {},
    }
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=type("_Protocol", (BoundedProtocol,), bounds),
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=max(1, round(settings.idle_timeout)),
    )
    server = _Server(config, stopping, settings.drain, on_ready)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
    if server.force_exit:
        sys.exit(1)
