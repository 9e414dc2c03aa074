"""A small HTTP server on loopback that says what a test tells it to, byte by byte if need be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """One request as it came; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Loopback:
    """What was asked, and where the server listens."""

    port: int
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


Say = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes, media_type: str = "application/json", status: int = 200, **headers: str) -> bytes:
    """A whole HTTP answer; further headers by name with underscores."""
    lines = [f"HTTP/1.1 {status} Told", f"content-type: {media_type}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def saying(*answers: bytes) -> Say:
    """Say one answer after the other, the last one again and again."""
    left = list(answers)

    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()

    return say


@asynccontextmanager
async def serving(say: Say, address: str = "127.0.0.1") -> AsyncIterator[Loopback]:
    """Serve one request for each connection."""
    told = Loopback(0)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        told.connections += 1
        told.open_now += 1
        told.most_open = max(told.most_open, told.open_now)
        try:
            asked = await _read(reader)
            told.asked.append(asked)
            await say(asked, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            told.open_now -= 1
            tasks.discard(task)
            writer.transport.abort() if writer.is_closing() else writer.close()

    server = await asyncio.start_server(serve, address, 0)
    told.port = server.sockets[0].getsockname()[1]
    try:
        yield told
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return Asked(method, target, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
