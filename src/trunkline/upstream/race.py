"""Two attempts at once, when the first stays silent for too long: whoever speaks first goes on, the other is closed.

Whether there may be a second, and where, is for the caller to say. Nothing here is on the path of a token: the answer
that goes on is read from the caller's own task.

Theory of operation. Each attempt is read in a task of its own, up to the first list that its `spoke` is set with (its
opening). After `wait_s` without one the caller is asked for a second attempt. The first opening wins. An attempt that
fails while the other is still under way is out; when it is alone its failure is given on, as the first thing that the
returned generator does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol, TypeVar

from trunkline.stream.deltas import Delta

Batches = AsyncGenerator[list[Delta], None]


class Racer(Protocol):
    """An attempt; `spoke` is when the first delta came that a client sees."""

    spoke: float | None


A = TypeVar("A", bound=Racer)
_Running = dict[asyncio.Task[list[Delta]], tuple[A, Batches]]


async def race(
    first: A,
    batches: Batches,
    wait_s: float,
    join: Callable[[], tuple[A, Batches] | None],
    drop: Callable[[A, BaseException], None],
) -> tuple[A, Batches, A | None]:
    """Give the attempt that goes on, its lists from the beginning, and the one that was outrun, if there is one.

    `drop` is told of an attempt that failed while the other goes on; what it raises ends the race.
    """
    running: _Running[A] = {asyncio.create_task(_opening(first, batches)): (first, batches)}
    try:
        done, _ = await asyncio.wait(running, timeout=wait_s)
        if not done and (second := join()) is not None:
            running[asyncio.create_task(_opening(*second))] = second
        best = await _best(running, drop)
        attempt, heard = running.pop(best)
        outrun = next((loser for loser, _ in running.values()), None)
        try:
            await _close(running)
        except BaseException:
            await heard.aclose()
            raise
        return attempt, _continued(best, heard), outrun
    except BaseException:
        await _close(running)
        raise


async def _opening(attempt: Racer, batches: Batches) -> list[Delta]:
    """Read up to the first list that a client sees something of."""
    held: list[Delta] = []
    async for batch in batches:
        held += batch
        if attempt.spoke is not None:
            break
    return held


async def _best(running: _Running[A], drop: Callable[[A, BaseException], None]) -> asyncio.Task[list[Delta]]:
    """Wait for the first opening, or for the failure of the last that is left."""
    while True:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        best = min(done, key=lambda task: (task.exception() is not None, running[task][0].spoke or 0.0))
        error = best.exception()
        if error is None or len(running) == 1:
            return best
        drop(running.pop(best)[0], error)


async def _close(running: _Running[A]) -> None:
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for _, batches in running.values():
        await batches.aclose()


async def _continued(opening: asyncio.Task[list[Delta]], batches: Batches) -> Batches:
    """Give the opening, or raise what came instead, and then the rest."""
    async with aclosing(batches):
        yield opening.result()
        async for batch in batches:
            yield batch
