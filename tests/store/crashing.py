"""A process that writes until it is killed, and what must be true of what it leaves.

`python -m tests.store.crashing` forks one such process for each line it reads, waits for its end, and says how it
ended: forking takes a hundredth of what a start takes. A process notes in a file what it was told, as soon as it is.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.store import ledger
from tests.store.ledger import START_MS, Books, open_books, record, refuse_writes, top_up, wish
from trunkline import failpoints
from trunkline.accounts.audit import audit
from trunkline.days import DAY_MS
from trunkline.errors import ServiceUnavailable
from trunkline.store.batch import Batch, Outcome, Pledge
from trunkline.store.journal import open_journal
from trunkline.store.notes import ALONE_S
from trunkline.store.posting import post
from trunkline.store.rows import BootRow

ROOT = Path(__file__).parents[2]
KEEP_S = 3 * 86_400.0
NOTES = "notes"
PATIENCE_S = 1.0


class Run(NamedTuple):
    """One process: what it does is drawn from `seed`. It is killed at a place, or when it has written for a while.

    Without a `url` it writes to a file in the folder, where its journal is in any case.
    """

    folder: str
    seed: int
    failpoint: str = ""
    kill_after_s: float = 30.0
    works_s: float = 0.25
    url: str = ""


def claim_of(id: str) -> Pledge:
    """The claim of a request of which there is only one."""
    return Pledge(id.encode(), b"body")


class _Work:
    """Requests of a gateway, many at a time."""

    def __init__(self, books: Books, run: Run) -> None:
        self._books = books
        self._random = random.Random(run.seed)
        self._run = run
        self._notes = os.open(Path(run.folder) / NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._numbers = iter(range(10**9))
        self._ends_at = time.monotonic() + run.works_s

    def note(self, event: str, id: str, nano: int) -> None:
        os.write(self._notes, f"{event} {id} {nano}\n".encode())

    async def go_on(self) -> None:
        if not self._run.url:
            await self._end_alone()
        async with asyncio.TaskGroup() as group:
            for _ in range(self._random.choice((1, 4, 12))):
                group.create_task(self._ask())
            group.create_task(self._break())

    async def _end_alone(self) -> None:
        """Have a record come alone, as none does among many."""
        is_noted = False
        while not is_noted and time.monotonic() < self._ends_at:
            await asyncio.sleep(2 * ALONE_S)
            id = f"r{next(self._numbers)}"
            kept = self._books.writer.settle(record(id, held_nano=None, cost_nano=9, cost_input_nano=9))
            is_noted = kept.done()
            await kept
            self.note("settled", id, 0)

    async def _ask(self) -> None:
        while time.monotonic() < self._ends_at:
            try:
                await self._ask_once(f"r{next(self._numbers)}")
            except ServiceUnavailable:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0)

    async def _ask_once(self, id: str) -> None:
        draw = self._random.random()
        account = self._random.choice("ab")
        if draw < 0.1:
            nano = self._random.randrange(1, 500)
            await self._books.writer.run(partial(top_up, account=account, nano=nano, reference=id))
            self.note("topped", id, nano)
        elif draw < 0.2:
            await self._books.writer.settle(record(id, held_nano=None, cost_nano=9, cost_input_nano=9))
            self.note("settled", id, 0)
        else:
            await self._spend(id, account)

    async def _spend(self, id: str, account: str) -> None:
        nano = self._random.randrange(300)
        budget = self._random.choice((None, "key_k@2025-11-24", "key_l"))
        asked = wish(id, nano, floor_nano=nano // 3, account_id=account, account_budget=account, claim=claim_of(id))
        held = await self._books.writer.hold(asked._replace(key_budget=budget, key_credit_nano=9_000))
        if not isinstance(held, int):
            return
        charged = self._random.randrange(held + 1)
        draw = self._random.random()
        age_ms = 5 * DAY_MS if draw > 0.9 else 0
        row = record(f"{id}", charged, account_id=account, held_nano=held, created_at_ms=START_MS - age_ms)
        self.note("began", id, charged)
        if draw < 0.1:
            self._books.writer.end_claim(Outcome(id.encode(), id))
            self._books.writer.release(id)
        elif draw < 0.2:
            self._books.writer.settle(row, Outcome(id.encode(), id))
        elif draw < 0.25:
            pass  # it goes on for longer than the process
        else:
            kept = Outcome(id.encode(), id, is_free=False, nonce=b"n", sealed=b"what was said")
            await self._books.writer.settle(row, kept)
            self.note("retired" if age_ms else "settled", id, charged)
            self.note("kept", id, charged)

    async def _break(self) -> None:
        """Make the store read-only now and then."""
        while time.monotonic() < self._ends_at:
            await asyncio.sleep(self._random.uniform(0, 0.05))
            await refuse_writes(self._books, True)
            await asyncio.sleep(self._random.uniform(0, 0.05))
            await refuse_writes(self._books, False)
            await asyncio.sleep(self._random.uniform(0, 0.2))


async def write(run: Run, tells: int) -> None:
    """Find what a process left that was killed before, and write; first a byte that says so."""
    folder = Path(run.folder)
    async with open_books(folder, audits=False, a=3_000, b=40_000) as books:
        await _leave(books, folder, run)
    failpoints.arm(run.failpoint)
    async with open_books(folder, patience_s=PATIENCE_S, audits=False, keep_records_s=KEEP_S) as books:
        os.write(tells, b".")
        await _Work(books, run).go_on()


async def _leave(books: Books, folder: Path, run: Run) -> None:
    """Leave what a process did that is gone: holds, of some of which the ends are in its journal, and an old record."""
    gone = BootRow("gone", "here:8080", START_MS, START_MS)
    wishes = [wish(f"gone{number}", 10) for number in range(6)]
    batch = Batch(wishes=wishes, boot=gone)
    await books.writer.run(partial(post, batch=batch, boot_id="gone", now_ms=START_MS))
    await books.writer.settle(record("old", held_nano=None, created_at_ms=START_MS - 5 * DAY_MS))
    journal = open_journal(folder / "a.db.journal", "gone")
    await journal.append([record(f"gone{number}", 7, held_nano=10) for number in range(3)])
    await journal.close()
    work = _Work(books, run)
    for number in range(3):
        work.note("settled", f"gone{number}", 7)


class Left(NamedTuple):
    """What is there after the next start."""

    notes: int
    problems: list[str]


def look(folder: Path) -> Left:
    """Start once more, and say what is wrong; the books are where `ledger.url_in` says."""
    return asyncio.run(_look(folder))


async def _look(folder: Path) -> Left:
    problems: list[str] = []
    is_file = ledger.url_in(folder).startswith("sqlite:")
    if not is_file:
        await ledger.let_write(ledger.url_in(folder))
    notes = [line.split() for line in (folder / NOTES).read_text().splitlines()] if (folder / NOTES).exists() else []
    async with open_books(folder, audits=False) as books:
        # On a busy machine a start goes on before all is in order.
        for _ in range(100):
            if not await books.count("holds"):
                break
            await asyncio.sleep(0.1)
        found = await books.read(partial(audit, now_ms=START_MS))
        problems += [str(difference) for difference in found.differences]
        if is_file:
            (integrity,) = await books.read(lambda c: c.execute("PRAGMA integrity_check").fetchone())
            problems += [] if integrity == "ok" else [integrity]
        charged = await books.pairs("SELECT id, charged_nano FROM generations")
        entries = await books.pairs("SELECT coalesce(charge_of, reference), amount_nano FROM entries")
        holds = await books.count("holds")
        ended = await books.pairs("SELECT generation_id, coalesce(ended_at_ms, 0) FROM claims")
    problems += [f"{id} is claimed by nobody who lives" for id, at_ms in ended.items() if not at_ms]
    problems += [f"{holds} holds are left"] if holds else []
    for event, id, nano in notes:
        match event:
            case "settled" if charged.get(id) != int(nano) or entries.get(id, 0) != int(nano):
                problems.append(f"{id} was told to be settled for {nano}, and is for {charged.get(id)}")
            case "retired" if entries.get(id, 0) != int(nano):
                problems.append(f"{id} was told to be settled for {nano}, and has an entry of {entries.get(id)}")
            case "kept" if id not in ended:
                problems.append(f"{id} was told to its end, and would be asked again")
            case "topped" if entries.get(id) != int(nano):
                problems.append(f"{id} was told to be there, and is not")
            case "began" if entries.get(id, 0) not in (0, int(nano)):
                problems.append(f"{id} was to be settled for {nano}, and is for {entries[id]}")
    journals = list((folder / "a.db.journal").iterdir())
    problems += [f"journals are left: {journals}"] if journals else []
    return Left(len(notes), problems)


class Nursery:
    """Where processes are forked."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child

    def play(self, run: Run) -> int:
        """Run one process, and say how it ended: 0, or minus the signal."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        print(json.dumps(run), file=self._child.stdin, flush=True)
        return int(self._child.stdout.readline())


@contextmanager
def open_nursery() -> Iterator[Nursery]:
    """Start what forks."""
    command = [sys.executable, "-m", "tests.store.crashing"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield Nursery(child)
        finally:
            child.kill()


def _fork(run: Run) -> int:
    hears, tells = os.pipe()
    child = os.fork()
    if not child:
        if run.url:
            ledger.url_in = lambda folder: run.url
        try:
            asyncio.run(write(run, tells))
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    os.close(tells)
    os.read(hears, 1)  # nothing, where it has ended
    os.close(hears)
    killing = threading.Timer(run.kill_after_s, os.kill, (child, signal.SIGKILL))
    killing.start()
    _, status = os.waitpid(child, 0)
    killing.cancel()
    killing.join()
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    for line in sys.stdin:
        print(_fork(Run(*json.loads(line))), flush=True)
