"""Boards for tests: at a real server, or at one that answers what a test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from trunkline.store.board import Board
from trunkline.store.valkey import Dialer


@dataclass
class Told:
    """What an operator was told."""

    events: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, event: str, detail: str) -> None:
        self.events.append((event, detail))

    @property
    def names(self) -> list[str]:
        return [event for event, _ in self.events]


def board_at(url: str, told: Told | None = None, node: str = "boot_one") -> Board:
    return Board(node, Dialer(url), told or Told())


@contextlib.asynccontextmanager
async def opened(url: str, told: Told | None = None, node: str = "boot_one") -> AsyncIterator[Board]:
    """A board that was opened, and is closed at the end."""
    board = board_at(url, told, node)
    await board.open()
    try:
        yield board
    finally:
        await board.close()


async def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 – what is waited for is another process
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def speaking(*replies: bytes) -> AsyncIterator[str]:
    """A server that takes connections, and answers each script with the next of these bytes; with the last ever after.

    Nothing ends the connection. It is no server of scripts: how many commands come in is told by their names.
    """
    left = [*replies]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                for name in (b"SET\r\n", b"PING\r\n"):
                    writer.write(b"+OK\r\n" * data.count(name))
                for _ in range(data.count(b"EVAL")):
                    reply = left.pop(0) if len(left) > 1 else left[0]
                    writer.write(reply)
                    if not reply:
                        return

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()
