"""Connections to servers: how they are made within a limit of time, and kept for the next request.

What goes over them is written and read in `http.py`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import aiohttp
from aiohappyeyeballs import AddrInfoType, start_connection
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError


class Alarm:
    """Calls back when a time is due: for one exchange after the other over a connection.

    A timer costs more to set and to cancel than to let ring for nothing. So it stays when an exchange is over, and is
    set anew only where it would ring too late; who is called looks at what is due then.
    """

    __slots__ = ("_is_last", "_loop", "_ring", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ring: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_last = False

    def set(self, due: float, ring: Callable[[], None]) -> None:
        """Call `ring` at a time on the loop's clock, or earlier; it is called once."""
        self._ring = ring
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._on_time)

    def stop(self) -> None:
        """Call nobody."""
        self._ring = None
        if self._is_last:
            self.end()

    def end(self) -> None:
        """No other exchange follows."""
        self._is_last = True
        if self._ring is None and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time(self) -> None:
        self._timer = None
        if self._ring is not None:
            self._ring()


class Protocol(ResponseHandler):
    """The client's protocol, but an answer that stops being HTTP in its middle is told to whoever reads its body.

    `alarm` is that of the exchange under way.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.alarm = Alarm(loop)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.alarm.end()
        super().connection_lost(exc)

    def set_exception(self, exc: Any, *cause: Any) -> None:
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError) and self._payload is not None:
            self._payload.set_exception(exc)

    def resume_reading(self, resume_parser: bool = True) -> None:
        # It is asked for with every piece that is taken, paused or not, and sets parser and socket going each time.
        if self._reading_paused:
            super().resume_reading(resume_parser)


class _Dialer:
    """Connects sockets, in the event loop's place, to addresses that are numeric already.

    uvloop's own way asks for each connection what the address means, on the few threads that it looks names up on:
    where a name hangs, a connection to a number would hang as well.
    """

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect a socket that does not block. Raises OSError."""
        try:
            sock.connect(address)
        except (BlockingIOError, InterruptedError):
            await _writable(sock)
            if failure := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(failure, os.strerror(failure)) from None


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    is_ready = loop.create_future()
    loop.add_writer(sock, _note_once, is_ready)
    try:
        await is_ready
    finally:
        loop.remove_writer(sock)


def _note_once(is_ready: asyncio.Future[None]) -> None:
    if not is_ready.done():
        is_ready.set_result(None)


# The library asks nothing else of the loop it is given.
_DIALER = cast("asyncio.AbstractEventLoop", _Dialer())


class Connector(aiohttp.TCPConnector):
    """A connector that uses none of the event loop's own threads, with one limit for look-up, connect and TLS."""

    def __init__(self, connect_s: float, **options: Any) -> None:
        super().__init__(use_dns_cache=False, **options)
        self._connect_s = connect_s

    async def _create_connection(self, request: aiohttp.ClientRequest, *args: Any) -> Any:
        try:
            async with asyncio.timeout(self._connect_s):
                return await super()._create_connection(request, *args)
        except TimeoutError:
            where = f"{request.url.host}:{request.url.port}"
            raise aiohttp.ConnectionTimeoutError(f"no connection to {where} within {self._connect_s:g} s") from None

    async def _wrap_create_connection(
        self, *args: Any, addr_infos: list[AddrInfoType], req: aiohttp.ClientRequest, **options: Any
    ) -> Any:
        try:
            connected = await start_connection(
                addr_infos,
                happy_eyeballs_delay=self._happy_eyeballs_delay,
                interleave=self._interleave,
                loop=_DIALER,
                socket_factory=self._socket_factory,
            )
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        return await self._wrap_existing_connection(*args, req=req, sock=connected, **options)


class Pool(Connector):
    """Connections that are used again. `connect` makes one, `used` gives one that was used before."""

    def __init__(self, connect_s: float, **options: Any) -> None:
        super().__init__(connect_s, **options)
        self._factory = cast("partial[ResponseHandler]", partial(Protocol, loop=self._loop))  # a subclass

    async def used(self, key: ConnectionKey) -> Connection | None:
        """A connection to a server that was used before and is open still, as far as is known."""
        return await super()._get(key, [])

    async def _get(self, key: ConnectionKey, traces: Any) -> None:
        """Asked by `connect`, which is to make a new one."""
