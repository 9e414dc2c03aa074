"""Records of old weeks dropped and their charges carried, by two nodes at once, while requests are posted."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial

import pytest

from tests.store.base import Base
from tests.store.ledger import START_MS, Books, make_accounts, record, run, wish
from trunkline.accounts.audit import audit
from trunkline.days import DAY_MS
from trunkline.store.batch import Batch
from trunkline.store.connection import Connection
from trunkline.store.posting import post
from trunkline.store.statements.audits import keep_records
from trunkline.store.statements.carrying import carry_charges
from trunkline.store.statements.partitions import WEEK_MS, make_weeks
from trunkline.store.statements.retention import delete_records_before

WEEKS = 12
LIMIT = 7
"""Rows carried at a time, few, so that audits fall between."""


def charge(connection: Connection, number: int, at_ms: int) -> None:
    """Hold and settle three requests of a time, the latter in one transaction."""
    ids = [f"r{number}-{place}" for place in range(3)]
    wishes = [wish(id, 10, account_budget="ab"[number % 2], created_at_ms=at_ms) for id in ids]
    post(connection, Batch(wishes=wishes), "boot", at_ms)
    rows = [record(id, 4, held_nano=10, account_id="ab"[number % 2], created_at_ms=at_ms) for id in ids]
    post(connection, Batch(settles=rows), "boot", at_ms)


@contextmanager
def at_once(*works: Callable[[], None]) -> Iterator[threading.Event]:
    """Do each again and again in a thread of its own, until it is over; what one raises is raised."""
    over = threading.Event()

    def again(work: Callable[[], None]) -> None:
        try:
            while not over.is_set():
                work()
        finally:
            over.set()

    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(again, work) for work in works]
        try:
            yield over
        finally:
            over.set()
    for each in running:
        each.result()


@pytest.mark.law
def test_the_books_are_right_at_every_moment_while_two_nodes_carry(books_url: str) -> None:
    """Requests are of today, and some of them months old, as those from a journal that was long out of reach."""
    dice = random.Random(12)
    with closing(Base(books_url)) as first, closing(Base(books_url)) as second, closing(Base(books_url)) as third:
        first.do(partial(make_accounts, credits={"a": 10**9, "b": 10**9}))
        first.do(partial(make_weeks, from_ms=START_MS - WEEKS * WEEK_MS, to_ms=START_MS + 2 * WEEK_MS))
        for number in range(40):
            first.do(partial(charge, number=number, at_ms=START_MS - number * 2 * DAY_MS))
        posted, audits = 40, 0
        keeps_ms = START_MS - 10 * WEEK_MS

        def retire(base: Base) -> None:
            nonlocal keeps_ms
            keeps_ms = min(START_MS - WEEK_MS, keeps_ms + DAY_MS)
            while (count := base.do(partial(delete_records_before, at_ms=keeps_ms, limit=LIMIT))) >= LIMIT:
                pass
            while count >= 0 and base.do(partial(carry_charges, limit=LIMIT)) >= LIMIT:
                pass

        def load() -> None:
            nonlocal posted
            posted += 1
            days = dice.choice([0, 0, 1, 2, dice.randrange(100)])
            third.do(partial(charge, number=posted, at_ms=START_MS - days * DAY_MS))

        with (
            closing(Base(books_url)) as auditor,
            at_once(partial(retire, first), partial(retire, second), load) as over,
        ):
            while not over.is_set() and audits < 40:
                found = auditor._session.transact(partial(audit, now_ms=START_MS), False).differences
                assert found == (), found
                audits += 1
        retire(first)
        retire(first)
        assert first.do(partial(audit, now_ms=START_MS)).differences == ()
        ((carried, charged),) = first.rows(
            "SELECT sum((kind = 'carry')::int), sum(amount_nano) FROM entries WHERE credit = 'house'"
        )
        assert carried >= 2 * 2
        assert charged == posted * 3 * 4


def test_a_charge_whose_record_comes_late_is_carried_when_that_is_deleted(any_database: str) -> None:
    """It comes after the others of its month were deleted, and before their charges are carried."""
    old_ms = START_MS - 100 * DAY_MS

    async def scene(books: Books) -> None:
        deletes = partial(delete_records_before, at_ms=START_MS, limit=500)
        carries = partial(carry_charges, limit=500)
        while await books.writer.run(deletes):
            pass
        assert await books.hold("late", 4, created_at_ms=old_ms) == 4
        await books.writer.settle(record("late", 4, created_at_ms=old_ms))
        assert await books.writer.run(carries) == 0
        assert (await books.read(partial(audit, now_ms=START_MS))).differences == ()
        assert [await books.writer.run(work) for work in (deletes, carries)] == [1, 1]

    run(scene, a=100)


def test_no_week_is_dropped_under_an_audit(books_url: str) -> None:
    """PostgreSQL would take it away in the middle, from a state in which all its records are kept."""
    with closing(Base(books_url)) as base, closing(Base(books_url)) as other:
        base.do(partial(make_weeks, from_ms=START_MS - 2 * WEEK_MS, to_ms=START_MS))
        deletes = partial(delete_records_before, at_ms=START_MS, limit=500)

        def begin_audit(connection: Connection) -> None:
            keep_records(connection)
            assert other.do(deletes) == -1

        base.do(begin_audit)
        assert other.do(deletes) == 500
