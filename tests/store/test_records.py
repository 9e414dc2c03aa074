"""By which way records and sums are read: counted, not timed (`bench/records.py` times the same on a large store)."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from tests.recorded import DAY, keep, record
from trunkline.days import DAY_MS, day_at
from trunkline.store.rows import EntryRow
from trunkline.store.sqlite import SQLiteConnection
from trunkline.store.statements import credits, records, tables
from trunkline.store.statements.accounts import accounts_named
from trunkline.store.statements.records import RecordFilter, UsageFilter

TODAY = day_at(DAY)


@pytest.fixture(scope="module")
def connection() -> Iterator[SQLiteConnection]:
    """Two accounts with two keys each, forty days of three models."""
    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=SQLiteConnection)) as connection:
        tables.make_tables(connection)
        connection.execute("INSERT INTO accounts (id, name, created_at_ms) VALUES ('acc', 'acc', 0)")
        connection.execute(
            "INSERT INTO keys (id, account_id, name, hash, prefix, created_at_ms) VALUES (?, ?, '', '', '', 0)",
            ("key_1", "acc"),
        )
        keep(
            connection,
            [
                record(
                    f"resp_{account}_{key}_{day}_{model}",
                    account_id=account,
                    key_id=f"key_{key}",
                    created_at_ms=DAY - day * DAY_MS,
                    model=f"m/{model}",
                )
                for account, keys in (("acc", (1, 2)), ("other", (3, 4)))
                for key in keys
                for day in range(40)
                for model in range(3)
            ],
        )
        yield connection


MONTH: list[Callable[[SQLiteConnection], Any]] = [
    partial(records.list_activity, account_id="acc", from_day=TODAY - 30, to_day=TODAY),
    *(partial(records.sum_usage, wanted=UsageFilter("acc", None, TODAY - 30, TODAY), by=by) for by in records._GROUPS),
]
SUMS = [
    *MONTH,
    partial(accounts_named, name="acc"),
    partial(records.find_key_figures, key_id="key_1", budget="key_1", since=(TODAY, TODAY, TODAY)),
]
LOOKS: list[Callable[[SQLiteConnection], Any]] = [
    partial(records.find_record, id="resp_acc_1_0_0"),
    partial(records.list_newest_records, wanted=RecordFilter("acc"), limit=5),
    partial(records.list_newest_records, wanted=RecordFilter(), limit=5),
    partial(records.open_tail, wanted=RecordFilter("acc"), limit=5),
    partial(records.follow_tail, wanted=RecordFilter(), number=3, limit=5),
]


def steps(connection: SQLiteConnection, read: Callable[[SQLiteConnection], Any]) -> list[str]:
    """Each step that the database takes to answer a reading."""
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    try:
        assert read(connection)
    finally:
        connection.set_trace_callback(None)
    return [row[3] for each in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {each}")]


@pytest.mark.parametrize("read", SUMS, ids=lambda read: read.func.__name__)
def test_sums_are_found_by_their_index_and_no_record_is_read(
    connection: SQLiteConnection, read: Callable[[SQLiteConnection], Any]
) -> None:
    taken = steps(connection, read)
    assert not [step for step in taken if step.startswith("SCAN") or "generations" in step]
    assert any(
        re.match(r"SEARCH usage_daily USING (PRIMARY KEY|INDEX \w+) \((account_id|key_id)=\?", step) for step in taken
    )


@pytest.mark.parametrize("read", MONTH, ids=lambda read: read.func.__name__)
def test_of_a_month_only_its_days_are_read(
    connection: SQLiteConnection, read: Callable[[SQLiteConnection], Any]
) -> None:
    assert any("(account_id=? AND day>? AND day<?)" in step for step in steps(connection, read))


@pytest.mark.parametrize("read", LOOKS, ids=lambda read: read.func.__name__)
def test_records_are_found_by_an_index_and_none_is_sorted_but_those_of_a_moment(
    connection: SQLiteConnection, read: Callable[[SQLiteConnection], Any]
) -> None:
    taken = steps(connection, read)
    assert not [step for step in taken if "TEMP B-TREE" in step and "RIGHT PART" not in step]
    taken = [step for step in taken if "TEMP B-TREE" not in step]
    assert all("INDEX" in step or "INTEGER PRIMARY KEY" in step or step == "SEARCH generations" for step in taken)


def test_entries_are_found_by_indexes_that_leave_out_charges(connection: SQLiteConnection) -> None:
    credits.post_credit(connection, EntryRow(0, 1, "topup", "world", "acc", 5, None, "r", None, None), "acc")
    taken = steps(connection, partial(credits.find_posting, reference="r"))
    assert taken == ["SEARCH entries USING INDEX uq_entries_reference (reference=?)"]
    taken = steps(connection, partial(credits.list_entries, account_id="acc", limit=5))
    assert "SEARCH entries USING INDEX ix_entries_credit (credit=? AND seq>?)" in taken
    assert not [step for step in taken if step.startswith("SCAN entries")]


def test_the_sums_of_a_month_are_those_of_its_records(connection: SQLiteConnection) -> None:
    activity = records.list_activity(connection, "acc", TODAY - 30, TODAY)
    assert len(activity) == 31 * 3
    assert {row.requests for row in activity} == {2}
    for by, groups in (("day", 31), ("model", 3), ("key", 2)):
        sums = records.sum_usage(connection, UsageFilter("acc", None, TODAY - 30, TODAY), by)  # type: ignore[arg-type]
        assert len(sums) == groups
        assert sum(row.requests for row in sums) == 31 * 3 * 2
        assert sum(row.cost_nano for row in sums) == 31 * 3 * 2 * 7


def test_following_goes_on_after_what_was_not_wanted(connection: SQLiteConnection) -> None:
    wanted = RecordFilter(account_id="nobody")
    rows, number = records.open_tail(connection, wanted, 5)
    assert (rows, number) == ([], 480)
    assert records.follow_tail(connection, wanted, 3, 5) == ([], 480)
    found, number = records.follow_tail(connection, RecordFilter(), 470, 5)
    assert ([row.id for row in found], number) == ([f"resp_other_4_{day}_{model}" for day, model in LAST], 475)


LAST = [(36, 2), (37, 0), (37, 1), (37, 2), (38, 0)]
