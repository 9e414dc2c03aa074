"""The listening socket and the HTTP protocol under the application: uvicorn on uvloop, with bounds it does not have.

Reading. A connection is in one of three states. *Idle*: no byte of a request is here; uvicorn's keep-alive timer runs,
or, on a new connection, ours. *Head*: a request has begun and its head is not complete; our timer runs, and the bytes
and fields of the head are counted. *Body and answer*: no timer of ours; the application bounds what follows. A head
that is too slow gets a 408, one that is too large a 400, and the connection is closed – unless an earlier answer is
still being sent on it, which is never broken into. A client that shuts its sending side has left: its requests are
cancelled, for nothing tells that end from a full close.

Writing. While a client leaves written bytes unread – the transport is full, or an answer is over but not all of it
gone – a second timer runs. When a whole interval passes in which not one byte went out, the connection is cut.

Number. At the bound a new connection takes the place of the one that has been idle longest; when none is idle, the
new one is refused with a 503. What a request means is not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from trunkline.cli.joined import JoinedTransport
from trunkline.errors import BadRequest, GatewayError, RequestTimeout, ServiceUnavailable
from trunkline.protocol.render import render_error
from trunkline.settings import ServerSettings, SettingsError

MAX_HEADERS = 100
MAX_HEAD_BYTES = 64 * 1024
BACKLOG = 2048
UNSENT_BYTES = 32 * 1024
"""How much of an answer the kernel takes in advance of what the client can be sent. Its own bound is megabytes, and
would hide for minutes whether a slow client reads."""

_GARBAGE_THRESHOLDS = (20_000, 20, 50)
"""How many new objects are let be before cycles among them are looked for. A request makes hardly any."""

_TCP_NOTSENT_LOWAT = 25  # on Linux; the socket module names it from Python 3.12 on


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
    _stall: asyncio.TimerHandle | None = None
    _unsent_bytes = 0
    _joined: JoinedTransport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._joined = JoinedTransport(transport)
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
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
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
        if sum(len(name) + len(value) for name, value in self.headers) + len(self.url) > MAX_HEAD_BYTES:
            raise ValueError("head too large")
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        self._joined.flush()
        super().on_response_complete()
        if self._stall is None and self.transport.get_write_buffer_size():
            self._start_stall()
        if not self._is_in_head and not self._is_answering() and not self.transport.is_closing():
            self.idle[self] = None

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall is None:
            self._start_stall()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_stall()

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequest(msg))

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


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What lives now lives to the end: looking through it again and again would cost a twentieth of all time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GARBAGE_THRESHOLDS)
        if self.started:
            self._on_ready()


def bind(listen: str) -> socket.socket:
    """Bind the address that `server.listen` names; port 0 takes any that is free.

    Raises SettingsError.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux":
            listening.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_BYTES)  # accepted ones inherit it
        listening.bind((host, int(port)))
        listening.setblocking(False)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        problem = f"cannot listen on {listen}: {reason.lower()}; choose another with --host and --port"
        raise SettingsError([problem]) from None
    return listening


def serve(application: Any, listening: socket.socket, settings: ServerSettings, on_ready: Callable[[], None]) -> None:
    """Serve an ASGI application until a signal ends it; requests in flight get `drain` to finish."""
    # uvicorn's own messages repeat what we print and what our log tells; what is left of them are defects.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
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
        timeout_graceful_shutdown=round(settings.drain),
    )
    with contextlib.suppress(KeyboardInterrupt):
        _Server(config, on_ready).run(sockets=[listening])
