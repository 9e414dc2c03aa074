"""A provider whose servers take so many requests at once, or rest for a while, and that notes how many it had."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

from tests.gateway.upstream import chunk, completion, head, sse, usage_chunk

FOR_EVER = "for ever"
"""An input that is answered by one word, and then by silence until its client leaves."""


@dataclass
class Desk:
    """One server: how long an answer takes, until when it answers 429, and what it saw."""

    takes_s: float = 0.1
    rests_s: float = 0.0
    at_once: int = 1_000
    active: int = 0
    most: int = 0
    came: list[float] = field(default_factory=list)
    refused: int = 0
    _opens_at: float = 0.0

    def is_refusing(self) -> bool:
        """Whether one more is too many, or comes while the server rests."""
        now = time.monotonic()
        if now >= self._opens_at and self.active <= self.at_once:
            return False
        if now >= self._opens_at:
            self._opens_at = now + self.rests_s
        self.refused += 1
        return True


class Busy:
    """The provider, with a desk for each name in front of `/v1`. Use as a context manager."""

    def __init__(self) -> None:
        self.desks: dict[str, Desk] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def url(self, name: str) -> str:
        """The address of a desk."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/{name}/v1"

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _close(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            top = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = dict(line.lower().split(": ", 1) for line in top.split("\r\n")[1:] if line)
            body = json.loads(await reader.readexactly(int(fields["content-length"])))
            await self._answer(self.desks.setdefault(top.split("/")[1], Desk()), body, reader, writer)
        writer.close()

    async def _answer(self, desk: Desk, body: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        desk.active += 1
        desk.most = max(desk.most, desk.active)
        desk.came.append(time.monotonic())
        try:
            if desk.is_refusing():
                writer.write(head(429, retry_after=f"{desk.rests_s:g}") + b'{"error":{"message":"Slow down."}}')
                return
            if body.get("stream"):
                writer.write(head(200, "text/event-stream") + sse([chunk("", role="assistant"), chunk("Hel")]))
                if FOR_EVER in json.dumps(body):
                    await reader.read()
                    return
                await asyncio.sleep(desk.takes_s)
                writer.write(sse([chunk("lo."), chunk(finish="stop"), usage_chunk(), "[DONE]"]))
                return
            await asyncio.sleep(desk.takes_s)
            writer.write(head() + json.dumps(completion()).encode())
        finally:
            desk.active -= 1
