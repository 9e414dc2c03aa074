"""The clock by which nodes see each other, and what would come of theirs."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial

import pytest

from tests.servers.postgres import Postgres
from tests.store.base import Base
from trunkline.accounts.audit import audit_now
from trunkline.settings.reading import SettingsError
from trunkline.store import revisions
from trunkline.store.clock import StoreClock, read_clock
from trunkline.store.postgres import once_open
from trunkline.store.rows import BootRow, HoldRow
from trunkline.store.statements.boots import note_boot
from trunkline.store.statements.budgets import add_holds


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


@pytest.mark.parametrize("off_ms", [-600_000, 0, 600_000])
@pytest.mark.parametrize("unseen_ms", [0, 150_000])
def test_TM_01_who_is_alive_is_told_alike_by_a_machine_that_is_minutes_off(
    books_url: str, off_ms: int, unseen_ms: int
) -> None:
    """The audit, and what takes away what older nodes need, go by the clock that nodes see each other by."""
    with closing(Base(books_url)) as base:
        seen_ms = base.do(read_clock) - unseen_ms
        base.do(partial(note_boot, row=BootRow("boot_1", "here:1", seen_ms, seen_ms)))
        base.do(partial(add_holds, rows=[HoldRow("r1", "a", "k", None, None, 7, "boot_1", 1)]))
        found = base.do(partial(audit_now, here_ms=seen_ms + unseen_ms + off_ms)).differences
        assert [each.check for each in found] == (["dead_holds"] if unseen_ms else [])
        if unseen_ms:
            base.do(partial(revisions._refuse_older_nodes, revision="9999"))
        else:
            with pytest.raises(SettingsError):
                base.do(partial(revisions._refuse_older_nodes, revision="9999"))
