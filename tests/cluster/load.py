"""Requests at a steady rate to several nodes by turns, as clients send them through a balancer, and what each got.

It does what every balancer does and no more: each request has a connection of its own, and one that a node refuses goes
to the next. Nothing that was sent is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.gateway.server import KEY, Reply, post, replies

PATIENCE_S = 30.0

Bodies = Callable[[int], tuple[Any, str]]
"""The body of a request by its number, and the key that it is sent with."""


@dataclass(frozen=True)
class Got:
    """What one request got. The status is 0 where no answer came, and `reply` is nothing then."""

    number: int
    port: int
    status: int
    began_s: float
    took_s: float
    key: str
    reply: Reply | None = None
    trouble: str = ""

    @property
    def id(self) -> str:
        assert self.reply is not None
        return self.reply.headers["x-generation-id"]

    @property
    def is_whole(self) -> bool:
        """Whether it is an answer to its end."""
        if self.reply is None or self.status != 200:
            return False
        if self.reply.headers["content-type"].startswith("text/event-stream"):
            return b'"type":"response.completed"' in self.reply.body and self.reply.body.endswith(b"data: [DONE]\n\n")
        return bool(self.reply.json["status"] == "completed")


@dataclass
class Load:
    """A load that runs in a thread of its own until it is told to stop."""

    ports: Sequence[int]
    rate: float
    bodies: Bodies
    got: list[Got] = field(default_factory=list)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Load:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop_sending(self) -> None:
        """Send no more."""
        self._is_over.set()

    def stop(self) -> None:
        """Send no more, and wait for the answers that are still to come."""
        self.stop_sending()
        if self._thread is not None:
            self._thread.join(PATIENCE_S + 5)
            assert not self._thread.is_alive(), "a request has no end"

    def statuses(self, key: str | None = None) -> Counter[int]:
        """How many got each status."""
        return Counter(each.status for each in self.got if key in (None, each.key))

    def between(self, began_s: float, ended_s: float) -> list[Got]:
        """What began in a stretch of time, by the monotonic clock."""
        return [each for each in self.got if began_s <= each.began_s < ended_s]

    async def _run(self) -> None:
        began, tasks = time.monotonic(), set()
        number = 0
        while not self._is_over.is_set():
            body, key = self.bodies(number)
            task = asyncio.ensure_future(self._ask(number, body, key))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
            await asyncio.sleep(max(0.0, began + number / self.rate - time.monotonic()))
        await asyncio.gather(*tasks)

    async def _ask(self, number: int, body: Any, key: str) -> None:
        began = time.monotonic()
        turns = [self.ports[(number + turn) % len(self.ports)] for turn in range(len(self.ports))]
        port, status, reply, trouble = await ask(turns, body, key)
        self.got.append(Got(number, port, status, began, time.monotonic() - began, key, reply, trouble))


async def ask(ports: Sequence[int], body: Any, key: str = KEY) -> tuple[int, int, Reply | None, str]:
    """Ask the first node that takes a connection; its port, the status, the answer, what went wrong."""
    for port in ports:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            continue
        try:
            async with asyncio.timeout(PATIENCE_S):
                writer.write(post(body, "connection: close", key=key))
                found = replies(await reader.read(-1))
        except (OSError, TimeoutError, ValueError) as error:  # ValueError: an answer that broke off
            return port, 0, None, repr(error)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        if not found:
            return port, 0, None, "closed without an answer"
        return port, found[-1].status, found[-1], ""
    return 0, 0, None, "no node takes a connection"


def at_once(ports: Sequence[int], body: Any, key: str, count: int, *, width: int | None = None) -> list[Got]:
    """Ask so many times at once, or `width` at a time, by turns, and wait for all answers."""

    async def one(number: int, places: asyncio.Semaphore) -> Got:
        async with places:
            began = time.monotonic()
            turns = [ports[(number + turn) % len(ports)] for turn in range(len(ports))]
            port, status, reply, trouble = await ask(turns, body, key)
            return Got(number, port, status, began, time.monotonic() - began, key, reply, trouble)

    async def all_of_them() -> list[Got]:
        places = asyncio.Semaphore(width or count)
        return list(await asyncio.gather(*(one(number, places) for number in range(count))))

    return asyncio.run(all_of_them())


def shown(got: Sequence[Got]) -> str:
    """The first few of what was not well, for a message."""
    return json.dumps(
        [
            (each.number, each.port, each.status, round(each.took_s, 2), each.trouble or str(each.reply)[:300])
            for each in got[:4]
        ]
    )
