"""Connections to servers: how they are made within a limit of time, and kept for the next request.

What goes over them is written and read in `http.py`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

import aiohttp
from aiohappyeyeballs import AddrInfoType, start_connection
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError


class _Protocol(ResponseHandler):
    """The client's protocol, but an answer that stops being HTTP in its middle is told to whoever reads its body."""

    def set_exception(self, exc: Any, *cause: Any) -> None:
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError) and self._payload is not None:
            self._payload.set_exception(exc)


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
    """A connection pool that tells whether a connection was used before, and can be told not to reuse one.

    Both facts travel in context variables because the client offers no other way through to its pool.
    """

    def __init__(self, connect_s: float, **options: Any) -> None:
        super().__init__(connect_s, **options)
        self._factory = cast("partial[ResponseHandler]", partial(_Protocol, loop=self._loop))  # a subclass

    async def _get(self, key: Any, traces: Any) -> Any:
        if wants_fresh.get():
            return None
        connection = await super()._get(key, traces)
        is_reused.set(connection is not None)
        return connection


wants_fresh: ContextVar[bool] = ContextVar("wants_fresh", default=False)
is_reused: ContextVar[bool] = ContextVar("is_reused", default=False)
