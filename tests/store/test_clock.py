"""The clock by which nodes see each other, and what would come of theirs."""

from __future__ import annotations

import time

from tests.servers.postgres import Postgres
from trunkline.store.clock import StoreClock, read_clock
from trunkline.store.postgres import once_open


def test_a_clock_that_is_off_goes_by_the_stores() -> None:
    times = iter([1000.0, 1000.0, 1005.0, 2005.0, 2005.0, 2006.0])
    clock = StoreClock(lambda: next(times))
    assert clock() == 1000.0
    clock.correct(820_000)
    assert clock() == 825.0
    # Somebody set it a thousand seconds ahead meanwhile.
    clock.correct(825_000)
    assert [clock(), clock()] == [825.0, 826.0]


def test_the_clock_of_postgres_is_read_in_milliseconds(postgres: Postgres) -> None:
    before = time.time()
    told = once_open(postgres.url, 20.0, read_clock, is_write=False) / 1000
    assert before - 0.1 <= told <= time.time() + 0.1
