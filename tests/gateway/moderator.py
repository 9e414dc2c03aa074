"""A moderator that dies and comes back while requests wait for it, and requests that must not pass it meanwhile.

Run by itself it is the process that is killed: it flags each text with `forbidden` in it, and answers in two pieces.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.gateway.server import Gateway

Json = Any


def killed_under_load(gateway: Gateway, port: int, *, requests: int, clients: int, seed: int) -> Life:
    """Send so many requests, every second of which is to be flagged, while the moderator is killed and comes back."""
    life = Life(gateway, requests)
    threads = [threading.Thread(target=life.ask, args=(range(n, requests, clients),)) for n in range(clients)]
    dice, process = random.Random(seed), started(port)
    for thread in threads:
        thread.start()
    try:
        while life.wait_for(dice.randint(2, 12)):
            process.kill()
            process.wait()
            life.kills += 1
            if not life.wait_for(dice.randint(1, 6)):
                break
            life.may_ask.clear()  # else most of them would meet nobody
            process = started(port)
            life.may_ask.set()
    finally:
        life.may_ask.set()
        process.kill()
        process.wait()
        for thread in threads:
            thread.join()
    return life


class Life:
    """What became of the requests: the statuses of those that are flagged, and of the others. `kills` is told."""

    def __init__(self, gateway: Gateway, requests: int) -> None:
        self.flagged: Counter[int] = Counter()
        self.others: Counter[int] = Counter()
        self.kills = 0
        self.may_ask = threading.Event()
        self.may_ask.set()
        self._gateway = gateway
        self._requests = requests
        self._done = 0
        self._more = threading.Condition()

    def ask(self, numbers: range) -> None:
        for number in numbers:
            is_bad, streams = number % 2 == 0, number % 3 == 0
            text = f"nonce-kill-{'forbidden' if is_bad else 'fine'}-{number}"
            body = {"model": "mock/chat", "input": text, "stream": streams, "plugins": [{"id": "moderation"}]}
            self.may_ask.wait()
            status = self._gateway.call(body).status
            with self._more:
                (self.flagged if is_bad else self.others)[status] += 1
                self._done += 1
                self._more.notify_all()

    def wait_for(self, more: int) -> bool:
        """Wait until so many more requests have been answered; False when all have."""
        with self._more:
            until = min(self._done + more, self._requests)
            self._more.wait_for(lambda: self._done >= until)
            return self._done < self._requests


def started(port: int) -> subprocess.Popen[bytes]:
    """Start a moderator, and wait until it listens."""
    command = [sys.executable, "-c", f"from tests.gateway.moderator import serve; serve({port})"]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
    return process


def serve(port: int) -> None:
    """Judge texts until killed."""

    async def run() -> None:
        server = await asyncio.start_server(_serve, "127.0.0.1", port)
        print("ready", flush=True)
        await server.serve_forever()

    asyncio.run(run())


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            size = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            asked: Json = json.loads(await reader.readexactly(size))
            results = [{"flagged": "forbidden" in text, "categories": {}} for text in asked["input"]]
            body = json.dumps({"results": results}).encode()
            answer = (
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            writer.write(answer[:-20])
            await writer.drain()
            await asyncio.sleep(0.002)  # so that some are killed within an answer
            writer.write(answer[-20:])
            await writer.drain()
