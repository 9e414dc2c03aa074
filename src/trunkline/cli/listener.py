"""The listening socket and the HTTP protocol under the application: uvicorn on uvloop, with bounds it does not have.

A connection is in one of three states. *Idle*: no byte of a request is here; uvicorn's keep-alive timer runs, or, on
a new connection, ours. *Head*: a request has begun and its head is not complete; our timer runs, and the bytes and
fields of the head are counted. *Body and answer*: no timer of this file; the application bounds what follows. A head
that is too slow gets a 408, one that is too large a 400, and the connection is closed – unless an earlier answer is
still being sent on it, which is never broken into. What a request means is not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from trunkline.settings import ServerSettings, SettingsError

MAX_HEADERS = 100
MAX_HEAD_BYTES = 64 * 1024
BACKLOG = 2048


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a deadline and bounds for the head of a request."""

    header_timeout_s = 10.0

    _deadline: asyncio.TimerHandle | None = None
    _is_in_head = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_in_head:
            return
        # The parser keeps an unfinished line to itself, so bytes are counted here too. A read that ended one request
        # and began another is counted whole: too much by at most one read.
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(400, "The head of the request is too large.")
        elif self._deadline is None:
            self._start_deadline()

    def on_message_begin(self) -> None:
        super().on_message_begin()
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

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

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
            self._refuse(408, "The head of the request did not arrive in time.")
        else:
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        self._is_in_head = False
        self._stop_deadline()
        if not self._is_answering() and not self.transport.is_closing():
            kind = "timeout" if status == 408 else "invalid_request"
            error = {"code": status, "message": message, "metadata": {"error_type": kind}}
            body = json.dumps({"error": error}).encode()
            head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
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
    bounded = type("_Protocol", (BoundedProtocol,), {"header_timeout_s": settings.header_timeout})
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=bounded,
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
