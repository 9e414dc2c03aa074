"""The one writer of a process: holds and settles of all requests, committed together.

Theory of operation. Requests put what they want into lists and wait. The driver takes what is there, as soon as the
commit before is done, and makes one transaction of it: alone when the gateway is idle, up to 512 operations the busier
it is. Only where records came during a commit, and no hold waits, does the next one begin no sooner than `GATHER_S`
after that; and a record that comes alone is only noted at first (`notes.py`). What a transaction does is decided in
`batch.py` and written in `posting.py`; here is only who waits for what, and for how long.

    up      Transactions go through. What is in the backlog rides along until nothing is left.
    down    The last one failed, or takes too long. Settles go to the backlog at once, holds are tried and refused, and
            a transaction is tried every quarter of a second. The first that goes through leads back to *up*.

A settle is never refused. When it has waited for `timeout`, or the store is down, it goes to the backlog
(`backlog.py`); as long as some of that is in memory alone `is_settling` is False, and no new hold is given. A hold
waits for `timeout` at most. Whoever asked for it may have left when it is committed; then it is released in the next
transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from trunkline import failpoints
from trunkline.errors import ServiceUnavailable
from trunkline.store.alarms import Alarm
from trunkline.store.backlog import Backlog
from trunkline.store.batch import Answer, Batch, Outcome, Wish
from trunkline.store.connection import StoreError, Work
from trunkline.store.database import LATE, Database, unavailable
from trunkline.store.notes import Notes
from trunkline.store.posting import Posted, is_of_store, post
from trunkline.store.rows import BootRow, GenerationRow, PriceRow
from trunkline.store.statements.boots import delete_boot
from trunkline.store.upkeep import Upkeep
from trunkline.store.waiting import Asked, Ended, Taken, Task, Watch, take

R = TypeVar("R")

MAX_OPERATIONS = 512
MAX_WAITING = 10_000
MAX_BACKLOG = MAX_OPERATIONS // 2
BEAT_S = 10.0
PROBE_S = 0.25
GATHER_S = 0.005


class Writer:
    """The writer of an open database, for one boot. `wall_clock` is Unix time in seconds; one in memory has no journal.

    `store/opening.py` makes one.
    """

    def __init__(
        self,
        database: Database,
        boot: BootRow,
        backlog: Backlog,
        notes: Notes,
        upkeep: Upkeep,
        wall_clock: Callable[[], float],
        alarm: Alarm,
    ) -> None:
        self._database = database
        self._boot = boot
        self._backlog = backlog
        self._notes = notes
        self._upkeep = upkeep
        self._wall_clock = wall_clock
        self._alarm = alarm
        self._timeout = database.timeout
        self._asked: deque[Asked] = deque()
        self._ended: deque[Ended] = deque()
        self._tasks: deque[Task[Any]] = deque()
        self._releases: deque[str] = deque()
        self._prices: dict[int, PriceRow] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._taken = Taken(0.0)
        self._is_down = self._is_closing = self._is_over = False
        self._waking: asyncio.Future[None] | None = None
        self._is_gathering = False
        self._is_beat_due = True
        self._beating: asyncio.TimerHandle | None = None
        self._watch = Watch(self._patience_s, self._lose_patience)
        self._loop: asyncio.AbstractEventLoop
        self._driving: asyncio.Task[None]
        self._keeping: asyncio.Task[None]

    async def hold(self, wish: Wish) -> Answer:
        """Hold credit, and answer how much, or why there is not enough; with a claim, who has it already.

        Raises ServiceUnavailable when too many wait, or the store fails or does not answer in time.
        """
        if self._backlog.is_in_memory:
            raise unavailable("The store takes no records, so nothing can be spent.")
        if self._is_over:
            raise unavailable(_STOPPING)
        if len(self._asked) >= MAX_WAITING:
            raise unavailable("Too many requests wait for the store.")
        asked = Asked(wish, self._loop.create_future(), self._loop.time())
        self._asked.append(asked)
        self._wake()
        try:
            return await asked.granted
        except asyncio.CancelledError:
            # Where the answer came at the same moment the driver took it for heard; else it sees that nobody waits.
            granted = asked.granted
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self._give_back(wish)
            raise

    def settle(self, row: GenerationRow, outcome: Outcome | None = None) -> asyncio.Future[None]:
        """Keep a record and settle its hold. It is committed, or in the journal, when the future is done.

        The future never fails, and the record is kept though it be cancelled. `outcome` is committed with it; while the
        store is down it waits for that in memory.
        """
        if outcome is not None:
            self._outcomes[row.id] = outcome
        elif row.held_nano is None and self._is_idle and (noted := self._notes.keep(row)) is not None:
            return noted
        kept: asyncio.Future[None] = self._loop.create_future()
        ended = Ended(row, kept, self._loop.time())
        if self._is_over:  # nobody is left who would write it
            self._alarm("record.dropped", row.id)
            ended.tell()
            return kept
        self._ended.append(ended)
        if self._waking is not None and (not self._is_gathering or len(self._ended) >= MAX_BACKLOG):
            self._wake()
        return kept

    async def read(self, work: Work[R]) -> R:
        """Run statements that change nothing, and see every record of this process that is kept.

        Raises ServiceUnavailable as `Database.read` does.
        """
        if not self._is_down:
            await self._notes.posted()
        return await self._database.read(work)

    async def wait_for_others(self) -> bool:
        """Wait until what other processes have noted is in the store; whether there was anything."""
        return await self._notes.wait_for_others()

    def release(self, id: str) -> None:
        """Give back a hold for which nothing was sent to anybody; there will be no record."""
        self._releases.append(id)
        self._wake()

    def end_claim(self, outcome: Outcome) -> None:
        """Say what becomes of a claim of which there will be no record."""
        self._outcomes[outcome.generation_id] = outcome
        self._wake()

    def _give_back(self, wish: Wish) -> None:
        if wish.is_raise:
            return  # what was held before is needed still; its settle frees all of it
        if wish.claim is not None:
            self.end_claim(Outcome(wish.claim.mark, wish.id))
        self.release(wish.id)

    def add_price(self, row: PriceRow) -> None:
        """Keep what records will name, together with the first of them."""
        self._prices[row.id] = row

    async def run(self, work: Work[R]) -> R:
        """Run statements in a transaction of their own, in turn with all others.

        Raises ServiceUnavailable when the store fails or does not answer in time; it may still be committed then.
        """
        if self._is_over:
            raise unavailable(_STOPPING)
        done: asyncio.Future[R] = self._loop.create_future()
        self._tasks.append(Task(work, done, self._loop.time()))
        self._wake()
        return await done

    @property
    def boot_id(self) -> str:
        """The id of this process, for as long as it lives."""
        return self._boot.id

    @property
    def living(self) -> int:
        """How many processes write this database, as far as is known."""
        return self._upkeep.living

    @property
    def is_settling(self) -> bool:
        """Whether what is spent is sure to be kept; else nothing that is limited may be spent."""
        return not self._backlog.is_in_memory

    async def open(self) -> None:
        """Begin to write, and wait a little for what a process before left to be put in order."""
        loop = self._loop = asyncio.get_running_loop()
        begun = loop.create_future()
        self._notes.open(loop, self._wake)
        self._backlog.open(loop.time)
        self._driving = loop.create_task(self._drive())
        self._keeping = loop.create_task(self._upkeep.keep(self, begun))
        await asyncio.wait({begun, self._keeping}, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Commit what is there, or leave it in the journal, and end."""
        self._keeping.cancel()
        await asyncio.wait({self._keeping})
        self._is_closing = True
        self._wake()
        await self._driving
        self._is_over = True
        self._notes.close()
        self._watch.stop_timer()
        if self._beating is not None:
            self._beating.cancel()
        failpoints.reach("close.drained")
        if not self._backlog.is_in_journal:
            # Else it stays, for as long as a process counts as living, so that the journal is posted first.
            with contextlib.suppress(ServiceUnavailable):
                await self._database.write(partial(delete_boot, id=self._boot.id))
        await self._backlog.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _drive(self) -> None:
        while not (self._is_closing and not self._has_work):
            try:
                await self._turn()
            except Exception as error:  # a defect; those who wait must not do so for ever
                self._alarm("writer.failed", f"{type(error).__name__}: {error}")
                await self._go_down("The store failed.")

    async def _turn(self) -> None:
        can_replay = self._backlog.is_due and not self._is_down
        await self._wait(can_replay)
        if self._is_down:
            await self._keep_aside(self._take_ended())
        if self._tasks and (self._is_down or not self._notes):  # which sees what is noted
            await self._run_task(self._tasks.popleft())
        taken = self._taken = Taken(self._loop.time())
        if can_replay and not self._is_down:
            taken.backlog = await self._backlog.read(MAX_BACKLOG)
        self._fill(taken)
        if any(taken.batch):
            await self._post(taken)

    async def _wait(self, can_replay: bool) -> None:
        """Wait until there is something to write; while the store is down, until it is tried again."""
        if not (self._has_work or can_replay or self._is_closing):
            # Mostly without a timer: whoever comes wakes the driver, and so does the beat.
            seconds = PROBE_S if self._is_down else None
        elif (rest_s := self._rest_s()) > 0:
            self._is_gathering, seconds = True, rest_s
        else:
            # Where each commit is quick, as in memory, the driver must not keep the loop from everybody else.
            await asyncio.sleep(0)
            return
        self._waking = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self._wake)
        await self._waking
        self._waking, self._is_gathering = None, False
        if timer is not None:
            timer.cancel()

    def _rest_s(self) -> float:
        """How long records gather still: they cost the less the more are committed at once. A hold waits for none."""
        if not self._ended or self._asked or self._tasks or self._is_down or self._is_closing:
            return 0.0
        return self._taken.began + GATHER_S - self._loop.time()

    def _wake(self) -> None:
        if self._waking is not None and not self._waking.done():
            self._waking.set_result(None)

    def _beat(self) -> None:
        self._is_beat_due = True
        self._wake()

    @property
    def _has_work(self) -> bool:
        if self._ended or self._asked or self._tasks:
            return True
        # What is only in memory waits for the store; what is released would make the driver run in a circle.
        return not self._is_down and bool(
            self._releases
            or self._outcomes
            or self._is_beat_due
            or self._notes.is_due
            or (self._is_closing and (self._backlog.is_in_memory or self._notes))
        )

    @property
    def _is_idle(self) -> bool:
        """Whether nothing is under way, and nothing waits."""
        waking = self._waking
        if waking is None or waking.done() or self._is_gathering or self._is_down or self._is_closing:
            return False
        return not self._prices  # which is in no journal: what names one is posted with it

    async def _run_task(self, task: Task[Any]) -> None:
        if task.done.done():
            return
        taken = self._taken = Taken(self._loop.time())
        taken.task = task
        try:
            result = await self._watch.over(self._database.begin(task.work))
        except StoreError as error:
            task.refuse(str(error))
            if is_of_store(error):
                await self._go_down(str(error))
        except Exception as error:
            if not task.done.done():
                task.done.set_exception(error)
        else:
            if self._is_down:
                self._come_back()
            if not task.done.done():
                task.done.set_result(result)

    def _fill(self, taken: Taken) -> None:
        """Take what is there, settles first, but a quarter of the room for holds."""
        room = MAX_OPERATIONS - len(taken.backlog)
        if self._ended and not self._is_down:
            taken.ended = take(self._ended, room - min(len(self._asked), room // 4))
        if self._asked:
            asked = take(self._asked, room - len(taken.ended))
            taken.asked = [each for each in asked if not each.granted.done()]
        noted = (
            self._notes.take(room - len(taken.ended) - len(taken.asked)) if self._notes and not self._is_down else ()
        )
        taken.batch = Batch(
            [*taken.backlog, *noted, *[ended.row for ended in taken.ended]],
            take(self._releases, MAX_OPERATIONS) if self._releases else (),
            (),  # expired
            [asked.wish for asked in taken.asked] if taken.asked else (),
            tuple(self._prices.values()),
            self._boot._replace(seen_at_ms=self._now_ms()) if self._is_down or self._is_beat_due else None,
            self._list_outcomes() if self._outcomes else (),
        )

    def _take_ended(self) -> list[Ended]:
        return take(self._ended, len(self._ended))

    def _list_outcomes(self) -> list[Outcome]:
        """List what became of claims, but of those whose records do not go out yet."""
        waiting = {ended.row.id for ended in self._ended}
        return [outcome for id, outcome in self._outcomes.items() if id not in waiting]

    async def _post(self, taken: Taken) -> None:
        batch = taken.batch
        work = partial(post, batch=batch, boot_id=self._boot.id, now_ms=self._now_ms())
        try:
            posted = await self._watch.over(self._database.begin(work, is_durable=batch.is_charging))
        except Exception as error:
            self._releases.extendleft(reversed(batch.releases))
            if isinstance(error, StoreError) and error.is_unclear:
                # If they are there nobody will know of them: whoever asked is told that they are not.
                for wish in batch.wishes:
                    self._give_back(wish)
            await self._go_down(str(error) if isinstance(error, StoreError) else f"The store failed ({error!r}).")
            return
        self._finish(taken, posted)
        if taken.backlog:
            await self._backlog.drop()

    def _finish(self, taken: Taken, posted: Posted) -> None:
        if taken.asked:
            self._answer(taken.asked, posted.answers)
            failpoints.reach("hold.answered")
        if taken.ended:
            for ended in taken.ended:
                ended.tell()
            failpoints.reach("settle.answered")
        self._notes.forget_taken()
        for row, problem in posted.failed:
            self._alarm("record.refused", f"{row.id}: {problem}")
        for outcome in taken.batch.outcomes:
            self._outcomes.pop(outcome.generation_id, None)
        for price in taken.batch.prices:
            self._prices.pop(price.id, None)
        if taken.batch.boot is not None:
            if self._beating is not None:
                self._beating.cancel()
            self._is_beat_due = False
            self._beating = self._loop.call_later(BEAT_S, self._beat)
        if self._is_down:
            self._come_back()

    def _answer(self, waiting: Sequence[Asked], answers: Sequence[Answer | None]) -> None:
        for asked, answer in zip(waiting, answers, strict=True):
            if answer is None:
                asked.refuse("The store did not take the hold.")
            elif not asked.granted.done():
                asked.granted.set_result(answer)
            elif isinstance(answer, int):
                self._give_back(asked.wish)

    def _patience_s(self) -> float:
        """How long those who wait still may; while the store is down nobody may at all."""
        if self._is_down:
            return 0.0
        taken = self._taken
        since = taken.began
        for queue in (taken.ended, taken.asked, self._ended, self._asked, self._tasks):
            if queue and queue[0].since < since:
                since = queue[0].since
        return since + self._timeout - self._loop.time()

    async def _lose_patience(self) -> None:
        taken = self._taken
        latest = self._loop.time() - self._timeout
        waiting: list[Asked | Task[Any]] = [asked for asked in taken.asked if asked.since <= latest]
        if taken.task is not None and taken.task.since <= latest:
            waiting.append(taken.task)
        for queue in (self._asked, self._tasks):
            while queue and queue[0].since <= latest:
                waiting.append(queue.popleft())
        for each in waiting:
            each.refuse(LATE)
        if taken.began <= latest:
            await self._go_down(LATE)
        elif self._is_down or any(queue and queue[0].since <= latest for queue in (taken.ended, self._ended)):
            # Else the store is not down, only too slow for what comes.
            await self._keep_aside(taken.ended + self._take_ended())

    async def _go_down(self, message: str) -> None:
        """Take the store for gone: nobody waits for what is under way, and what is over goes aside."""
        if not self._is_down:
            self._is_down = True
            self._watch.stop_timer()
            self._alarm("store.down", message)
        for asked in self._taken.asked:
            asked.refuse(message)
        self._notes.give_back_taken()
        await self._keep_aside(self._taken.ended + self._take_ended())

    def _come_back(self) -> None:
        self._is_down = False
        self._alarm("store.back", "")

    async def _keep_aside(self, ended: list[Ended]) -> None:
        """Have settles kept that the store did not take."""
        rows = [each.row for each in ended if not each.is_kept]
        if rows:
            await self._backlog.keep(rows)
            for each in ended:
                each.tell()

    def _now_ms(self) -> int:
        return int(self._wall_clock() * 1000)


_STOPPING = "The gateway is stopping."
