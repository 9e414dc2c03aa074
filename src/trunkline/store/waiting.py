"""Who waits for the writer, for what, and since when; the clock is the event loop's."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Generic, TypeVar

from trunkline.store.batch import Answer, Batch, Wish
from trunkline.store.connection import Work
from trunkline.store.database import unavailable
from trunkline.store.rows import GenerationRow

R = TypeVar("R")
Item = TypeVar("Item")


class Asked:
    """A hold that somebody waits for, since when."""

    __slots__ = ("granted", "since", "wish")

    def __init__(self, wish: Wish, granted: asyncio.Future[Answer], since: float) -> None:
        self.wish = wish
        self.granted = granted
        self.since = since

    def refuse(self, message: str) -> None:
        """Say no to whoever waits still."""
        if not self.granted.done():
            self.granted.set_exception(unavailable(message))


class Ended:
    """A request that is over, since when; `kept` is None where nobody waits for it to be kept."""

    __slots__ = ("is_kept", "kept", "row", "since")

    def __init__(self, row: GenerationRow, kept: asyncio.Future[None] | None, since: float) -> None:
        self.row = row
        self.kept = kept
        self.since = since
        self.is_kept = False

    def tell(self) -> None:
        """Say that it is kept, to whoever waits for that."""
        self.is_kept = True
        if self.kept is not None and not self.kept.done():
            self.kept.set_result(None)


class Task(Generic[R]):
    """Another transaction that somebody waits for, since when."""

    __slots__ = ("done", "since", "work")

    def __init__(self, work: Work[R], done: asyncio.Future[R], since: float) -> None:
        self.work = work
        self.done = done
        self.since = since

    def refuse(self, message: str) -> None:
        """Say no to whoever waits still."""
        if not self.done.done():
            self.done.set_exception(unavailable(message))


class Taken:
    """What the transaction under way is made of."""

    __slots__ = ("asked", "backlog", "batch", "began", "ended", "is_of_ring", "task")

    def __init__(self, began: float) -> None:
        self.began = began
        self.asked: list[Asked] = []
        self.ended: list[Ended] = []
        self.backlog: list[GenerationRow] = []
        self.is_of_ring = False
        self.task: Task[Any] | None = None
        self.batch = Batch()


def take(queue: deque[Item], count: int) -> list[Item]:
    """Take so many of those that wait, first come first; all where there are fewer."""
    if count < len(queue):
        return [queue.popleft() for _ in range(max(0, count))]
    taken = list(queue)
    queue.clear()
    return taken


async def done_within(running: asyncio.Future[Any], seconds: float) -> None:
    """Wait until something is done, or for so long; `asyncio.wait` costs five times that."""
    loop = running.get_loop()
    woken = loop.create_future()

    def wake(_: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    running.add_done_callback(wake)
    timer = loop.call_later(seconds, wake)
    await woken
    timer.cancel()
    running.remove_done_callback(wake)
