"""PostgreSQL's records in weeks: made ahead, found a place whatever their time, dropped whole, followed in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

import pytest

from tests.recorded import record
from tests.store.base import Base
from trunkline.store.connection import Connection, StoreError
from trunkline.store.revisions import bring_to_head
from trunkline.store.statements.generations import add_generations
from trunkline.store.statements.partitions import WEEK_MS, list_weeks, make_weeks, make_weeks_ahead, week_at
from trunkline.store.statements.records import RecordFilter, follow_tail, open_tail
from trunkline.store.statements.retention import delete_records_before, find_horizon

NOW = int(datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()) * 1000
"""A Wednesday."""
WEEKS = ["generations_20261123", "generations_20261130", "generations_20261207"]
ALL = RecordFilter()


@pytest.fixture
def base(postgres_url: str) -> Iterator[Base]:
    with closing(Base(postgres_url)) as base:
        base.do(bring_to_head)
        yield base


def add(base: Base, id: str, at_ms: int) -> None:
    base.do(partial(add_generations, rows=[record(id, created_at_ms=at_ms)]))


def places(base: Base) -> dict[str, str]:
    return dict(base.rows("SELECT id, tableoid::regclass::text FROM generations"))


@pytest.mark.parametrize(
    ("at", "name"),
    [
        (datetime(2026, 11, 23, tzinfo=UTC), "generations_20261123"),
        (datetime(2026, 11, 29, 23, 59, 59, 999000, tzinfo=UTC), "generations_20261123"),
        (datetime(2026, 11, 30, tzinfo=UTC), "generations_20261130"),
        (datetime(2027, 1, 1, tzinfo=UTC), "generations_20261228"),
        (datetime(1970, 1, 1, tzinfo=UTC), "generations_19691229"),
    ],
)
def test_a_week_begins_on_monday(at: datetime, name: str) -> None:
    week = week_at(round(at.timestamp() * 1000))
    assert week.name == name
    assert datetime.fromtimestamp(week.start_ms / 1000, UTC).strftime("generations_%Y%m%d %w") == f"{name} 1"


class TestMaking:
    def test_they_are_there_two_weeks_ahead_and_made_once(self, base: Base) -> None:
        for now_ms in (NOW, NOW, NOW + WEEK_MS):
            assert base.do(partial(make_weeks_ahead, now_ms=now_ms))
        assert base.do(list_weeks) == [*WEEKS, "generations_20261214"]

    def test_a_record_of_any_time_has_a_place_and_moves_to_its_week_when_that_is_made(self, base: Base) -> None:
        base.do(partial(make_weeks_ahead, now_ms=NOW))
        add(base, "now", NOW)
        add(base, "old", NOW - 60 * WEEK_MS)
        add(base, "late", NOW + 4 * WEEK_MS)
        assert places(base) == {"now": WEEKS[0], "old": "generations_default", "late": "generations_default"}
        base.do(partial(make_weeks, from_ms=NOW, to_ms=NOW + 5 * WEEK_MS))
        assert places(base) == {
            "now": WEEKS[0],
            "old": "generations_default",
            "late": week_at(NOW + 4 * WEEK_MS).name,
        }
        with pytest.raises(StoreError):
            add(base, "late", NOW + 4 * WEEK_MS)

    def test_of_two_nodes_one_makes_them_and_the_other_goes_on(self, base: Base) -> None:
        def work(connection: Connection) -> None:
            assert make_weeks_ahead(connection, NOW)
            assert not other.do(partial(make_weeks_ahead, now_ms=NOW))

        with closing(Base(base.url)) as other:
            base.do(work)
        assert base.do(list_weeks) == WEEKS

    def test_who_reads_or_writes_meanwhile_is_not_kept(self, base: Base) -> None:
        """The tables are made beside a transaction that has read and written records, and is not over."""

        def work(connection: Connection) -> None:
            connection.execute("SELECT count(*) FROM generations WHERE created_at_ms = ?", (NOW,))
            add_generations(connection, [record("a", created_at_ms=NOW)])
            assert other.do(partial(make_weeks_ahead, now_ms=NOW + 10 * WEEK_MS))

        base.do(partial(make_weeks_ahead, now_ms=NOW))
        with closing(Base(base.url)) as other:
            base.do(work)

    def test_they_are_made_later_where_somebody_reads_all_records(self, base: Base) -> None:
        def work(connection: Connection) -> None:
            connection.execute("SELECT count(*) FROM generations")
            assert not other.do(partial(make_weeks_ahead, now_ms=NOW))
            add_generations(connection, [record("a", created_at_ms=NOW)])

        with closing(Base(base.url)) as other:
            base.do(work)
            assert other.do(list_weeks) == []
            assert other.do(partial(make_weeks_ahead, now_ms=NOW))
        assert places(base) == {"a": WEEKS[0]}


class TestRetiring:
    def test_a_week_goes_when_all_of_it_is_old(self, base: Base) -> None:
        base.do(partial(make_weeks, from_ms=NOW - 3 * WEEK_MS, to_ms=NOW))
        for weeks in range(4):
            add(base, f"r{weeks}", NOW - weeks * WEEK_MS)
        add(base, "stray", NOW - 50 * WEEK_MS)
        steps = [base.do(partial(delete_records_before, at_ms=NOW - WEEK_MS, limit=500)) for _ in range(6)]
        assert steps == [500, 500, 500, 500, 1, 0]  # each of two weeks is set apart and dropped, then comes the stray
        assert set(places(base)) == {"r0", "r1"}
        assert base.do(find_horizon) == week_at(NOW - WEEK_MS).start_ms
        assert base.rows("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'generations_2%'") == [(2,)]

    def test_one_that_is_in_use_is_left_for_later_and_keeps_nobody(self, base: Base) -> None:
        base.do(partial(make_weeks, from_ms=NOW - WEEK_MS, to_ms=NOW))

        def work(connection: Connection) -> None:
            connection.execute("SELECT count(*) FROM generations")
            assert other.do(partial(delete_records_before, at_ms=NOW, limit=500)) == -1
            assert other.do(find_horizon) == 0
            add_generations(connection, [record("a", created_at_ms=NOW)])

        with closing(Base(base.url)) as other:
            base.do(work)
            assert other.do(partial(delete_records_before, at_ms=NOW, limit=500)) == 500
        assert base.do(list_weeks) == [week_at(NOW).name]


class TestFollowing:
    def test_what_commits_later_than_a_higher_number_is_told_in_its_turn(self, base: Base) -> None:
        add(base, "before", NOW)
        rows, number = base.do(partial(open_tail, wanted=ALL, limit=5))
        assert [row.id for row in rows] == ["before"]

        def follow() -> list[str]:
            nonlocal number
            rows, number = third.do(partial(follow_tail, wanted=ALL, number=number, limit=5))
            return [row.id for row in rows]

        def work(connection: Connection) -> None:
            add_generations(connection, [record("slow", created_at_ms=NOW)])
            add(other, "quick", NOW)
            assert follow() == []

        with closing(Base(base.url)) as other, closing(Base(base.url)) as third:
            base.do(work)
            assert follow() == ["slow", "quick"]
            assert follow() == []

    def test_a_long_transaction_comes_whole_and_the_next_one_after_it(self, base: Base) -> None:
        _, number = base.do(partial(open_tail, wanted=ALL, limit=5))
        base.do(partial(add_generations, rows=[record(f"a{each}", created_at_ms=NOW) for each in range(9)]))
        add(base, "b", NOW)
        rows, number = base.do(partial(follow_tail, wanted=ALL, number=number, limit=5))
        assert [row.id for row in rows] == [f"a{each}" for each in range(9)]
        rows, _ = base.do(partial(follow_tail, wanted=ALL, number=number, limit=5))
        assert [row.id for row in rows] == ["b"]

    def test_nothing_is_told_twice_or_left_out_under_load(self, base: Base) -> None:
        _, number = base.do(partial(open_tail, wanted=ALL, limit=5))
        told: list[str] = []

        def write(writer: int) -> None:
            with closing(Base(base.url)) as mine:
                for each in range(40):
                    add(mine, f"{writer}-{each}", NOW)

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
        for thread in threads:
            thread.start()
        is_over = False
        while True:
            rows, number = base.do(partial(follow_tail, wanted=ALL, number=number, limit=7))
            told += [row.id for row in rows]
            if is_over and not rows:
                break
            is_over = not any(thread.is_alive() for thread in threads)
        assert len(told) == 120
        assert len(set(told)) == 120
