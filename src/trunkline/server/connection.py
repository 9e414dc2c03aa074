"""One connection of a client: uvicorn's HTTP protocol on uvloop, with bounds it does not have and a way below ASGI.

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

Answering. A request is a cycle: one of uvicorn's, which runs an ASGI application, or, on the hot paths, one of ours
(`direct.py`). Those that come while an answer is under way wait in a queue. The one that is answered and the one that
was read last are two things: the first is told that the client does not read, both that it left. So that a client can
be seen to leave, what it sends ahead is read on up to a bound.

Writing. While a client leaves written bytes unread – the transport is full, or an answer is over but not all of it
gone – a second timer runs. When a whole interval passes in which the client took not one byte, the connection is cut.

Number. At the bound a new connection takes the place of the one that has been idle longest; when none is idle, the
new one is refused with a 503. What a request means is not known here.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from array import array
from fcntl import ioctl
from functools import cached_property
from termios import TIOCOUTQ
from typing import Any, ClassVar

import httptools

from trunkline.errors import BadRequest, GatewayError, RequestTimeout, ServiceUnavailable
from trunkline.server.bare import STATUS_LINE, FlowControl, HttpToolsProtocol, RequestResponseCycle
from trunkline.server.direct import DirectCycle, HotPaths, wake
from trunkline.server.joined import JoinedTransport
from trunkline.stopping import Stopping

MAX_HEADERS = 100
MAX_HEAD_BYTES = 64 * 1024
MAX_PIPELINED = 64
MAX_AHEAD_BYTES = 64 * 1024
"""How much is read of requests that wait for an earlier answer: by reading on it is seen that the client left."""
HEAR_OUT_S = 2.0
HEAR_OUT_BYTES = 32 * 2**20

_UPGRADE_OPTIONS = frozenset((b"upgrade", b"http2-settings"))
"""Header fields of an offer to speak another protocol; the same names stand in `Connection`."""


class _Flow(FlowControl):
    """uvicorn's flow control, but that an event is only made where something waits: it is the largest part of it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = False
        self.write_paused = False

    @cached_property
    def _is_writable_event(self) -> asyncio.Event:  # type: ignore[override]
        event = asyncio.Event()
        event.set()
        return event


class _Queue(list[tuple[RequestResponseCycle | DirectCycle, Any]]):
    """The few requests that may wait; an empty deque, which the server would keep for it, is a page of 64 places."""

    __slots__ = ()

    def appendleft(self, waiting: tuple[RequestResponseCycle | DirectCycle, Any]) -> None:
        self.insert(0, waiting)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds for the head of a request, for clients that do not read, and in number."""

    # In places of their own: with more than thirty names a connection would have a whole dict for them.
    __slots__ = (
        "_ahead_bytes", "_answered", "_complaint", "_deadline", "_head_bytes", "_hearing_out", "_hosts",
        "_idle_since", "_is_in_body", "_is_in_head", "_keeps_alive", "_left_to_hear_bytes", "_read_bytes", "_rest",
        "_stall", "_unsent_bytes", "_upgrades", "joined",
    )  # fmt: skip

    header_timeout_s = 10.0
    write_timeout_s = 60.0
    max_connections = 10_000
    idle: ClassVar[dict[BoundedProtocol, None]] = {}
    """The idle connections, longest idle first; each listener has its own."""

    hot = HotPaths({}, itertools.repeat(""), Stopping(0.0, time.monotonic), None)
    """What is served below ASGI."""

    cycle: RequestResponseCycle | DirectCycle | None  # type: ignore[assignment]
    """The request that was read last, or is being read."""
    _answered: RequestResponseCycle | DirectCycle | None
    """The one that is being answered, or was last."""
    pipeline: _Queue  # type: ignore[assignment]
    """Those that wait for it, the last one first, each with the application."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.pipeline = _Queue()
        self.url = b""
        self._answered = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._hearing_out: asyncio.TimerHandle | None = None
        self._is_in_head = self._is_in_body = self._upgrades = False
        self._keeps_alive = True
        self._head_bytes = self._read_bytes = self._ahead_bytes = self._unsent_bytes = 0
        self._left_to_hear_bytes = HEAR_OUT_BYTES
        self._idle_since = 0.0
        self._complaint = ""
        self.joined = JoinedTransport(transport)
        self.transport = self.joined  # type: ignore[assignment]  # it has all that is used
        self.flow = _Flow(transport)
        if len(self.connections) > self.max_connections and not self._displace():
            self._refuse(ServiceUnavailable("The gateway has no room for more connections.", retry_after=1))
            return
        self.idle[self] = None
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        # Without the server's own, which knows of one request only.
        self.connections.discard(self)
        self.idle.pop(self, None)
        self._stop_deadline()
        self._stop_stall()
        for timer in (self._hearing_out, self._rest):
            if timer is not None:
                timer.cancel()
        for waiting, _ in self.pipeline:
            if not isinstance(waiting, DirectCycle):
                waiting.on_response = _do_nothing
        self.pipeline.clear()
        for left in (self._answered, self.cycle):
            if left is not None:
                _leave(left)
        self.flow.resume_writing()
        # Nothing may hold this object in a ring: what it holds of bodies would wait for a search for garbage.
        self.joined.hear_out = None
        self._answered = self.cycle = None
        if exc is None:
            self.transport.close()
        self.parser = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._hearing_out is not None:
            self._left_to_hear_bytes -= len(data)
            if self._left_to_hear_bytes < 0:
                self.transport.close()
            return
        self._read_bytes = len(data)
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._read_on(data, upgrade.args[0])
        except httptools.HttpParserError:
            self.send_400_response(self._complaint or "Invalid HTTP request received.")
            return
        if self.pipeline:
            self._ahead_bytes += len(data)
            if self._ahead_bytes > MAX_AHEAD_BYTES:
                self.flow.pause_reading()  # until their turn comes
        elif self._is_in_body and self.cycle is not None and self.cycle.body:
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
        # Without the server's own, which makes a scope: a hot path needs none.
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self.idle.pop(self, None)
        self._is_in_head = True
        self._head_bytes = self._hosts = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        headers, name = self.headers, name.lower()
        headers.append((name, value))
        if name == b"host":
            self._hosts += 1
        elif name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        if len(headers) > MAX_HEADERS:
            raise ValueError("too many headers")  # the parser turns it into its own error, and that into a 400

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if self._deadline is not None:
            self._stop_deadline()
        if self._head_bytes + self._read_bytes > MAX_HEAD_BYTES:
            self._check_size()
        parser = self.parser
        method, version = parser.get_method(), parser.get_http_version()
        # The parser takes what follows for another protocol; after CONNECT, too, but that is an error here.
        self._upgrades = parser.should_upgrade() and method != b"CONNECT"
        if self._upgrades:
            return
        # RFC 9112, 3.2: a server answers 400 where HTTP/1.1 names no host, and where anything names two.
        if self._hosts > 1 or (self._hosts == 0 and version == "1.1"):
            self._complaint = "A request has exactly one Host header."
            raise ValueError(self._complaint)
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")
        # What stands behind a question mark means nothing to a face: Claude Code asks for `/v1/messages?beta=true`.
        route = self.hot.routes.get(self.url) or self.hot.routes.get(self.url.partition(b"?")[0])
        if route is None or method != b"POST" or version != "1.1":
            self._begin_asgi()
        else:
            cycle = DirectCycle(self, self.hot, route, self.headers, expects_go_on=self.expect_100_continue)
            last, self.cycle = self.cycle, cycle
            self.headers = []  # the cycle has them
            self._keeps_alive = parser.should_keep_alive()
            if last is None or last.response_complete:
                self._answered = cycle
                cycle.start()
            else:
                self.pipeline.appendleft((cycle, self.app))
        self._is_in_body = True
        self.joined.hear_out = self._hear_out

    def on_body(self, body: bytes) -> None:
        if isinstance(self.cycle, DirectCycle):
            self.cycle.add(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        cycle = self.cycle
        if self._upgrades or cycle is None:
            return
        self._is_in_body = False
        self.joined.hear_out = None
        if not cycle.response_started:
            cycle.keep_alive = self._keeps_alive
        if isinstance(cycle, DirectCycle):
            cycle.more_body = False
            if cycle.more is not None:
                wake(cycle.more)
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        # Without the server's own, which sets and cancels a timer for every answer.
        joined = self.joined
        if joined.held:
            joined.flush()
        self.server_state.total_requests += 1
        if self._stall is None and joined.get_write_buffer_size():
            self._start_stall()
        if joined.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif not self._is_in_head and self.cycle is not None and self.cycle.response_complete:
            self.idle[self] = None
            self._idle_since = self.loop.time()
            if self._rest is None:
                self._rest = self.loop.call_later(self.timeout_keep_alive, self._on_rest)
        if not self.pipeline:
            self._ahead_bytes = 0
            if self.flow.read_paused:
                self.flow.resume_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._tell_room(is_full=True)
        if self._stall is None:
            self._start_stall()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._tell_room(is_full=False)
        self._stop_stall()

    @property
    def has_asked_nothing(self) -> bool:
        """Whether no request has come yet."""
        return self.cycle is None

    def shutdown(self) -> None:
        """Close after the answer that is under way; a request that comes on an idle connection is told of the end."""
        self._keeps_alive = False
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequest(msg))

    def _read_on(self, data: bytes, upgraded_at: int) -> None:
        """Parse what came as if it did not offer another protocol. Raises HttpParserError."""
        while True:
            data = self._head_without_upgrade() + data[upgraded_at:]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as the one before
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                upgraded_at = upgrade.args[0]

    def _begin_asgi(self) -> None:
        """Begin a request for the application, in the server's own way."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # the list that the scope holds
        super().on_headers_complete()
        if self.pipeline:
            self.flow.resume_reading()  # how far is read ahead is decided by bytes
        assert self.cycle is not None
        self._keeps_alive = self.cycle.keep_alive
        self.cycle.keep_alive = False  # unless its body comes before its answer

    def _start_asgi_task(self, cycle: RequestResponseCycle | DirectCycle, app: Any) -> None:
        self._answered = cycle
        if isinstance(cycle, DirectCycle):
            cycle.start()
        else:
            super()._start_asgi_task(cycle, app)

    def _tell_room(self, *, is_full: bool) -> None:
        if isinstance(self._answered, DirectCycle):
            self._answered.set_full(is_full)

    def _check_size(self) -> None:
        if sum([len(name) + len(value) for name, value in self.headers]) + len(self.url) > MAX_HEAD_BYTES:
            raise ValueError("head too large")

    def _head_without_upgrade(self) -> bytes:
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                kept = [option for option in value.split(b",") if option.strip().lower() not in _UPGRADE_OPTIONS]
                value = b",".join(kept)
            if name not in _UPGRADE_OPTIONS:
                lines.append(b"%s: %s" % (name, value))
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _hear_out(self) -> None:
        """The answer is given: read what is still coming, for a moment, and throw it away."""
        self._hearing_out = self.loop.call_later(HEAR_OUT_S, self.transport.close)
        if self.cycle is not None:
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
        self._unsent_bytes = self._count_unsent()
        self._stall = self.loop.call_later(self.write_timeout_s, self._on_stall)

    def _stop_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _on_stall(self) -> None:
        self._stall = None
        if not self.transport.get_write_buffer_size():
            return
        if self._count_unsent() >= self._unsent_bytes:
            self.transport.abort()
        else:
            self._start_stall()

    def _count_unsent(self) -> int:
        """How many bytes the client has not taken, here and in the kernel.

        The kernel asks for more only once a third of what it has is gone, which takes a slow reader a while.
        """
        kernel = array("i", [0])
        if (sock := self.transport.get_extra_info("socket")) is not None:
            ioctl(sock.fileno(), TIOCOUTQ, kernel)
        return self.transport.get_write_buffer_size() + kernel[0]

    def _refuse(self, error: GatewayError) -> None:
        self._is_in_head = False
        self._stop_deadline()
        self.joined.hear_out = None
        if self._owes_nothing() and not self.transport.is_closing():
            request_id = next(self.hot.request_ids)
            face = self.hot.face_of(self.url.decode("latin-1"))
            status, lines, body = face.refuse(error, request_id, None)
            lines += b"x-request-id: %b\r\nconnection: close\r\ncontent-length: %d\r\n" % (
                request_id.encode(),
                len(body),
            )
            self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)
            if self.cycle is not None:
                _leave(self.cycle)  # whoever works on that request must not answer it again
        self.transport.close()

    def _owes_nothing(self) -> bool:
        """Whether what is written now is the answer to the request that is being read, and to no earlier one."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        return self.cycle.more_body and not self.cycle.response_started and not self.pipeline

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete


def _leave(cycle: RequestResponseCycle | DirectCycle) -> None:
    """Tell whoever works on a request that nobody is there to be answered."""
    if isinstance(cycle, DirectCycle):
        cycle.leave()
        return
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()


def _do_nothing() -> None:
    """What a request that was never begun does at its end."""
