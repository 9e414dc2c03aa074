"""What a writer does besides requests: journals of dead processes posted, their holds expired, old records deleted
and their charges carried.

A round is at the start and every ten seconds. Journals come first: a settle that is in one must not find its hold
expired. When a round comes late, as after the whole machine was asleep, nothing is expired in it, for the other
processes had no chance to be seen either.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from trunkline import failpoints
from trunkline.days import DAY_MS
from trunkline.errors import ServiceUnavailable
from trunkline.store.clock import StoreClock, read_clock
from trunkline.store.connection import Work
from trunkline.store.journal import Journal, adopt_journals, is_running
from trunkline.store.rows import BootRow, GenerationRow
from trunkline.store.statements.carrying import carry_charges
from trunkline.store.statements.partitions import make_weeks_ahead
from trunkline.store.statements.retention import delete_records_before
from trunkline.store.sweep import sweep

R = TypeVar("R")

ROUND_S = 10.0
LATE_S = 3 * ROUND_S
RETENTION_S = 3600.0
SLICE = 500
"""Rows deleted in one transaction: with more of them the others would wait for it."""


class Turns(Protocol):
    """What upkeep needs of the writer."""

    async def run(self, work: Work[R]) -> R: ...

    def settle(self, row: GenerationRow) -> asyncio.Future[None]: ...


class Upkeep:
    """The rounds of one boot. `folder` is where journals are, None for a database in memory.

    `keep_records_s` is how long records are kept, 0 for ever; `is_shared`: the database is made for
    several processes, and keeps records in weeks, which are made ahead. `store_clock` is corrected in each round,
    before anybody is taken for gone.
    """

    def __init__(
        self,
        boot: BootRow,
        folder: Path | None,
        keep_records_s: float,
        wall_clock: Callable[[], float],
        alarm: Callable[[str, str], None],
        *,
        is_shared: bool = False,
        store_clock: StoreClock | None = None,
    ) -> None:
        self._boot = boot
        self._folder = folder
        self._keep_records_s = keep_records_s
        self._wall_clock = wall_clock
        self._alarm = alarm
        self._store_clock = store_clock
        self._retire_at = 0.0
        self._is_shared = is_shared
        self._weeks_at = 0.0 if is_shared else math.inf
        self._has_told_double = False
        self.living = 1
        """How many processes use this database, as of the last round."""

    async def keep(self, turns: Turns, begun: asyncio.Future[None]) -> None:
        """Do one round after the other; `begun` is told of the first."""
        is_first, last = True, time.monotonic()
        while True:
            is_late = time.monotonic() - last > LATE_S
            last = time.monotonic()
            await self._try(partial(self._adopt, turns))
            if not is_late:
                await self._try(partial(self._sweep, turns))
            if is_first:
                is_first = False
                begun.set_result(None)
                if self.living > 1 and not self._is_shared:
                    self._alarm(
                        "store.shared", f"{self.living} processes write one SQLite file in turns; one is faster"
                    )
            if last >= self._weeks_at:
                await self._try(partial(self._make_weeks, turns, last))
            if last >= self._retire_at:
                self._retire_at = last + RETENTION_S
                await self._try(partial(self._retire, turns))
            await asyncio.sleep(ROUND_S)

    async def _try(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except ServiceUnavailable:
            pass  # the writer has told of it; the next round tries again
        except Exception as error:  # a folder that cannot be read, or a defect: the other steps go on
            self._alarm("upkeep.failed", f"{type(error).__name__}: {error}")

    async def _adopt(self, turns: Turns) -> None:
        if self._folder is None:
            return
        for boot_id, journal in adopt_journals(self._folder):
            failpoints.reach("adopt.begun")
            try:
                count = await _post_all(turns, journal)
            finally:
                await journal.close()
            if count:
                self._alarm("journal.adopted", f"{count} records of {boot_id}")

    async def _sweep(self, turns: Turns) -> None:
        is_there = partial(is_running, self._folder) if self._folder is not None else _never
        if self._store_clock is not None:
            self._store_clock.correct(await turns.run(read_clock))
        while True:
            now_ms = int(self._wall_clock() * 1000)
            swept = await turns.run(partial(sweep, boot=self._boot, now_ms=now_ms, is_running=is_there))
            self.living = swept.living
            if swept.expired:
                self._alarm("hold.expired", f"{swept.expired} of processes that are gone")
            if swept.has_double and not self._has_told_double:
                self._has_told_double = True
                self._alarm("node.doubled", f"another gateway runs as {self._boot.node}; give each its own store.node")
            if not swept.has_more:
                return

    async def _make_weeks(self, turns: Turns, began: float) -> None:
        """Make the tables that records of the next weeks go to."""
        if await turns.run(partial(make_weeks_ahead, now_ms=int(self._wall_clock() * 1000))):
            self._weeks_at = began + RETENTION_S

    async def _retire(self, turns: Turns) -> None:
        """Delete records of days that are over for long enough; of months of which none is left carry the charges."""
        if not self._keep_records_s:
            return
        at_ms = int((self._wall_clock() - self._keep_records_s) * 1000) // DAY_MS * DAY_MS
        if await _in_slices(turns, partial(delete_records_before, at_ms=at_ms, limit=SLICE)) >= 0:
            await _in_slices(turns, partial(carry_charges, limit=SLICE))


async def _in_slices(turns: Turns, work: Work[int]) -> int:
    """Do something again until it finds less than a slice of it to do, never more than half of the time; that rest."""
    began = time.monotonic()
    while (count := await turns.run(work)) >= SLICE:
        await asyncio.sleep(time.monotonic() - began)
        began = time.monotonic()
    return count


async def _post_all(turns: Turns, journal: Journal) -> int:
    count = 0
    while rows := await journal.read(SLICE):
        await asyncio.gather(*(turns.settle(row) for row in rows))
        failpoints.reach("adopt.posted")
        await journal.drop()
        count += len(rows)
    failpoints.reach("adopt.done")
    return count


def _never(boot_id: str) -> bool:
    return False
