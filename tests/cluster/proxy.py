"""A TCP proxy between a gateway and a server, which does what networks do: it is late, loses, cuts, or lies.

It runs in a thread with an event loop of its own. What a mode does holds for connections that are open, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any, Self


class Proxy:
    """Use as a context manager. Nothing is done to what passes until `mode` is one of those below."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.delay_s = 0.0
        """How late the server's answers come."""
        self.is_swallowing = False
        """Packets vanish, in both directions; connections stay, and new ones are taken."""
        self.refusal: bytes | None = None
        """What each question is answered with in the server's place, as `-READONLY …\\r\\n` of Redis."""
        self.refused = 0
        """How many questions were answered so."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def connections(self) -> int:
        return len(self._links)

    @contextlib.contextmanager
    def late(self, delay_s: float) -> Iterator[None]:
        self.delay_s = delay_s
        yield
        self.delay_s = 0.0

    @contextlib.contextmanager
    def swallowing(self) -> Iterator[None]:
        """What was swallowed does not come later: its connections are reset at the end, as they are in time."""
        self.is_swallowing = True
        yield
        self.cut()
        self.is_swallowing = False

    @contextlib.contextmanager
    def refusing(self, answer: bytes) -> Iterator[None]:
        self.refusal = answer
        yield
        self.refusal = None

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """Reset what is open, and take no connection."""
        self._do(self._close())
        yield
        self._do(self._listen())

    def cut(self) -> None:
        """Reset all connections."""
        self._do(self._cut())

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, sock=listener)

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._cut()

    async def _cut(self) -> None:
        for link in list(self._links):
            link.reset()
        await asyncio.sleep(0)

    async def _stop(self) -> None:
        await self._close()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), (there_reader, there_writer))
        self._links.add(link)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await link.pass_on()
        finally:
            self._links.discard(link)
            writer.close()
            there_writer.close()


_Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """A connection through the proxy."""

    def __init__(self, proxy: Proxy, here: _Side, there: _Side) -> None:
        self._proxy = proxy
        self._here = here
        self._there = there

    def reset(self) -> None:
        for _, writer in (self._here, self._there):
            held: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def pass_on(self) -> None:
        """Pass on until one side ends."""
        ways = [asyncio.ensure_future(self._asked()), asyncio.ensure_future(self._answered())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _asked(self) -> None:
        while data := await self._here[0].read(65536):
            proxy = self._proxy
            if proxy.is_swallowing:
                continue
            if proxy.refusal is not None and data.startswith(b"*"):
                count = _commands(data)
                proxy.refused += count
                self._here[1].write(proxy.refusal * count)
                continue
            self._there[1].write(data)
            await self._there[1].drain()

    async def _answered(self) -> None:
        loop = asyncio.get_running_loop()
        while data := await self._there[0].read(65536):
            proxy = self._proxy
            if proxy.is_swallowing:
                continue
            if proxy.delay_s:
                # All that comes is late by as much, not each piece by as much again.
                loop.call_later(proxy.delay_s, self._here[1].write, data)
                continue
            self._here[1].write(data)
            await self._here[1].drain()


def _commands(data: bytes) -> int:
    """How many commands of Redis begin in what was read."""
    at, count = 0, 0
    while at < len(data) and data[at : at + 1] == b"*":
        end = data.index(b"\r\n", at)
        words, at = int(data[at + 1 : end]), end + 2
        for _ in range(words):
            end = data.index(b"\r\n", at)
            at = end + 2 + int(data[at + 1 : end]) + 2
        count += 1
    return count
