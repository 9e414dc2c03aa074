"""Who waits for the writer, for what, since when and for how long; the clock is the event loop's."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from trunkline.store.batch import Answer, Batch, Wish
from trunkline.store.connection import Work
from trunkline.store.database import unavailable
from trunkline.store.rows import GenerationRow

R = TypeVar("R")
Item = TypeVar("Item")

WATCH_S = 0.05
"""How often it is looked who waits, once somebody does for too long."""


_NOTHING = Batch()


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
    """A request that is over, since when; `kept` is done once it is kept."""

    __slots__ = ("is_kept", "kept", "row", "since")

    def __init__(self, row: GenerationRow, kept: asyncio.Future[None], since: float) -> None:
        self.row = row
        self.kept = kept
        self.since = since
        self.is_kept = False

    def tell(self) -> None:
        """Say that it is kept, to whoever waits for that."""
        self.is_kept = True
        if not self.kept.done():
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

    __slots__ = ("asked", "backlog", "batch", "began", "ended", "task")

    def __init__(self, began: float) -> None:
        self.began = began
        self.asked: list[Asked] = []
        self.ended: list[Ended] = []
        self.backlog: list[GenerationRow] = []
        self.task: Task[Any] | None = None
        self.batch = _NOTHING


def take(queue: deque[Item], count: int) -> list[Item]:
    """Take so many of those that wait, first come first; all where there are fewer."""
    if count < len(queue):
        return [queue.popleft() for _ in range(max(0, count))]
    taken = list(queue)
    queue.clear()
    return taken


class Watch:
    """Lets nobody wait with a transaction for too long.

    One timer serves all transactions, since nearly all are over before anybody is late. `patience_s` tells how long
    those who wait still may, and no less the later it is asked; `lose_patience` sends away who is late.
    """

    def __init__(self, patience_s: Callable[[], float], lose_patience: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._patience_s = patience_s
        self._lose_patience = lose_patience
        self._running: asyncio.Future[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._standing_by: asyncio.Task[None] | None = None

    async def over(self, running: asyncio.Future[R]) -> R:
        """Wait until a transaction is over. Raises what it raises."""
        self._running = running
        if self._timer is None:
            self._look()
        try:
            return await running
        finally:
            self._running = None
            if (standing_by := self._standing_by) is not None:
                self._standing_by = None
                await standing_by

    def stop_timer(self) -> None:
        """Have the next transaction looked at as soon as it begins."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """See whether somebody is late, now or when that may be so."""
        self.stop_timer()
        if self._running is None:
            return
        loop = self._running.get_loop()
        if (rest_s := self._patience_s()) > 0:
            self._timer = loop.call_later(rest_s, self._look)
        else:
            self._standing_by = loop.create_task(self._stand_by(self._running))

    async def _stand_by(self, running: asyncio.Future[Any]) -> None:
        while not running.done():
            await self._lose_patience()
            await _done_within(running, max(WATCH_S, self._patience_s()))


async def _done_within(running: asyncio.Future[Any], seconds: float) -> None:
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
