"""PostgreSQL frozen, gone, cut off in mid-transaction, others in the way: nothing half-written, nothing lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.servers.postgres import Postgres
from tests.store import ledger
from tests.store.ledger import WRITES, Books, count, make_accounts, open_books, record
from trunkline import failpoints
from trunkline.errors import ServiceUnavailable
from trunkline.store import postgres as driving
from trunkline.store.batch import Answer, Outcome, Pledge
from trunkline.store.connection import Connection, Session, StoreError, ValueRefused
from trunkline.store.database import open_database
from trunkline.store.postgres import TRIES, PostgresConnection, PostgresSession, numbered
from trunkline.store.rows import BudgetRow
from trunkline.store.statements import budgets, idempotency

PATIENCE_S = 1.0


@pytest.fixture
def session(books_url: str) -> Iterator[Session]:
    opened = PostgresSession(books_url, "write", PATIENCE_S * 5)
    yield opened
    opened.close()


@pytest.fixture
def in_postgres(books_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The books of this test are in this database."""
    monkeypatch.setattr(ledger, "url_in", lambda folder: books_url)
    return books_url


def raising(code: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'canary' USING ERRCODE = '{code}'; END $$"


def end_writers(postgres: Postgres, url: str) -> None:
    """End the connections of lanes that write to a database, and wait until they are gone."""
    others = f"FROM pg_stat_activity WHERE datname = '{url.rpartition('/')[2]}' AND {WRITES}"
    while postgres.run(f"SELECT count(pg_terminate_backend(pid)) {others}") != "0":
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("statement", "written"),
    [
        ("SELECT ?, ?::text FROM t WHERE a IN (?)", ("SELECT $1, $2::text FROM t WHERE a IN ($3)", None)),
        ("SELECT :b_c, a::text, :a, :b_c", ("SELECT $1, a::text, $2, $1", ("b_c", "a"))),
        ("SELECT 1", ("SELECT 1", ())),
    ],
)
def test_places_are_numbered(statement: str, written: object) -> None:
    assert numbered(statement) == written


class TestErrors:
    @pytest.mark.parametrize("code", ["40001", "40P01"])
    @pytest.mark.parametrize("failures", [TRIES - 1, TRIES])
    def test_DB_12_what_others_are_in_the_way_of_is_run_again_three_times(
        self, code: str, failures: int, session: Session
    ) -> None:
        tries = []

        def work(connection: Connection) -> int:
            tries.append(1)
            make_accounts(connection, {f"a{len(tries)}": 5})
            if len(tries) <= failures:
                connection.execute(raising(code))
            return count(connection, "accounts")

        if failures < TRIES:
            assert session.transact(work, is_write=True) == 1
        else:
            with pytest.raises(StoreError, match="other transactions were in the way"):
                session.transact(work, is_write=True)
        assert len(tries) == TRIES

    def test_DB_12_of_two_that_wait_for_each_other_both_are_done(self, session: Session, books_url: str) -> None:
        other = PostgresSession(books_url, "other", PATIENCE_S * 5)
        session.transact(partial(make_accounts, credits={"a": 100, "b": 100}), is_write=True)

        def move(connection: Connection, first: str, second: str) -> None:
            budgets.move_budgets(connection, [(1, 0, first)])
            time.sleep(0.1)
            budgets.move_budgets(connection, [(1, 0, second)])

        with_other = Thread(target=other.transact, args=(partial(move, first="b", second="a"), True))
        with_other.start()
        session.transact(partial(move, first="a", second="b"), is_write=True)
        with_other.join()
        other.close()
        found = session.transact(partial(budgets.find_budgets, ids=["a", "b"]), is_write=False)
        assert [row.charged_nano for row in found.values()] == [2, 2]

    @pytest.mark.parametrize(
        ("statement", "values"),
        [
            ("INSERT INTO accounts (id, name, created_at_ms) VALUES (?, ?, ?)", ("a", "canary", 1)),
            ("INSERT INTO accounts (id, name, created_at_ms) VALUES (?, ?, ?)", ("b", "canary\0", 1)),
            ("INSERT INTO accounts (id, name, created_at_ms) VALUES (?, ?, ?)", ("b", "canary", "canary")),
            ("INSERT INTO accounts (id, name, created_at_ms) VALUES (?, ?, ?)", ("b", "canary", 2**63)),
            ("INSERT INTO holds VALUES (?, 'canary', 'k', NULL, NULL, ?, 'b', 1)", ("canary", -1)),
        ],
    )
    def test_a_value_that_is_refused_is_not_repeated(
        self, statement: str, values: tuple[object, ...], session: Session
    ) -> None:
        def work(connection: Connection) -> None:
            make_accounts(connection, {"a": 5})
            connection.execute(statement, values)

        with pytest.raises(ValueRefused) as caught:
            session.transact(work, is_write=True)
        assert "canary" not in str(caught.value) + caught.value.detail
        assert session.transact(partial(count, table="accounts"), is_write=False) == 0

    def test_a_lane_that_reads_changes_nothing(self, session: Session) -> None:
        with pytest.raises(StoreError, match="it cannot be written"):
            session.transact(partial(make_accounts, credits={"a": 1}), is_write=False)

    def test_a_failure_that_nobody_minded_is_not_taken_for_a_commit(self, session: Session) -> None:
        def work(connection: Connection) -> None:
            make_accounts(connection, {"a": 5})
            with pytest.raises(ValueRefused):
                make_accounts(connection, {"a": 5})

        with pytest.raises(StoreError, match="was not committed"):
            session.transact(work, is_write=True)

    def test_many_rows_are_read_a_few_at_a_time(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(driving, "FETCHED_AT_ONCE", 7)
        found = session.transact(
            lambda connection: list(connection.read("SELECT generate_series(1, ?)", (20,))), is_write=False
        )
        assert found == [(number,) for number in range(1, 21)]


class TestLost:
    def test_DB_15_cut_off_in_mid_transaction_it_is_done_once(
        self, postgres: Postgres, books_url: str, session: Session
    ) -> None:
        tries = []

        def work(connection: Connection) -> None:
            tries.append(1)
            make_accounts(connection, {"a": 100})
            if len(tries) == 1:
                end_writers(postgres, books_url)
            make_accounts(connection, {"b": 100})

        session.transact(work, is_write=True)
        assert len(tries) == 2
        assert session.transact(partial(count, table="entries"), is_write=False) == 2

    def test_DB_15_cut_off_each_time_nothing_is_written(
        self, postgres: Postgres, books_url: str, session: Session
    ) -> None:
        def work(connection: Connection) -> None:
            make_accounts(connection, {"a": 100})
            end_writers(postgres, books_url)

        with pytest.raises(StoreError, match="the connection to it was lost"):
            session.transact(work, is_write=True)
        assert session.transact(partial(count, table="accounts"), is_write=False) == 0

    def test_what_a_cut_connection_left_at_the_server_is_ended_first(self, postgres: Postgres, books_url: str) -> None:
        """Else a commit that came late would bring back what was taken for gone, and locks would stay."""
        session = PostgresSession(books_url, "write", PATIENCE_S)
        session.transact(partial(make_accounts, credits={"a": 100}), is_write=True)

        def hang(connection: Connection) -> None:
            budgets.move_budgets(connection, [(1, 0, "a")])
            connection.execute("SELECT pg_sleep(60)")

        with pytest.raises(StoreError, match="did not answer in time"):
            session.transact(hang, is_write=True)
        session.transact(lambda connection: budgets.move_budgets(connection, [(2, 0, "a")]), is_write=True)
        session.close()
        name = books_url.rpartition("/")[2]
        assert postgres.run(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'") == "0"
        assert postgres.run("SELECT charged_nano FROM budgets", name) == "2"

    @pytest.mark.parametrize("is_committed", [True, False])
    def test_DB_15_what_is_held_and_claimed_in_a_commit_that_was_lost_is_refused_and_given_back(
        self, is_committed: bool, in_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        command = PostgresConnection.command
        losing = [True]

        def lose(self: PostgresConnection, statement: str) -> str:
            if statement == "COMMIT" and losing.pop():
                losing.append(False)
                if is_committed:
                    command(self, statement)
                self._driver.terminate()
            return command(self, statement)

        async def play() -> None:
            async with open_books(tmp_path, a=100) as books:
                await books.spend("before", 10)
                await books.hold("r", claim=Pledge(b"r", b""))
                with monkeypatch.context() as patched:
                    patched.setattr(PostgresConnection, "command", lose)
                    losing[:] = [False, True]
                    asked = asyncio.create_task(books.hold("s", claim=Pledge(b"s", b"")))
                    settled = books.writer.settle(record("r", 10), Outcome(b"r", "r", is_free=False, sealed=b"said"))
                    with pytest.raises(ServiceUnavailable, match="lost while committing"):
                        await asked
                    await settled
                await until(books, "store.back")
                for _ in range(3):
                    await books.writer.run(lambda _: None)
                assert await books.budget() == BudgetRow("a", 100, 20, 0)
                assert await books.count("generations") == 2
                assert await books.read(lambda c: idempotency.lock_claims(c, [b"r", b"s"])) == {b"r": "r"}
                kept = await books.read(partial(idempotency.find_claim, mark=b"r"))
                assert kept is not None
                assert kept.sealed == b"said"

        asyncio.run(play())

    @pytest.mark.parametrize(
        "place",
        ["batch.begun", "settle.freed", "settle.entered", "settle.recorded", "settle.counted", "hold.added"],
    )
    def test_DB_15_cut_off_at(
        self, place: str, postgres: Postgres, in_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scene(books: Books, asked: asyncio.Task[Answer]) -> None:
            assert await asked == 10
            assert books.alarms == []
            assert await books.budget() == BudgetRow("a", 100, 10, 10)
            await books.writer.settle(record("s", 5, held_nano=10))

        cut_off(place, scene, postgres, in_postgres, tmp_path, monkeypatch)

    @pytest.mark.parametrize("place", ["hold.moved", "commit.before"])
    def test_DB_15_cut_off_just_before_the_commit_the_hold_is_refused(
        self, place: str, postgres: Postgres, in_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scene(books: Books, asked: asyncio.Task[Answer]) -> None:
            with pytest.raises(ServiceUnavailable, match="lost while committing"):
                await asked
            await until(books, "store.back")
            for _ in range(3):
                await books.writer.run(lambda _: None)
            assert await books.budget() == BudgetRow("a", 100, 10, 0)

        cut_off(place, scene, postgres, in_postgres, tmp_path, monkeypatch)


def cut_off(
    place: str,
    scene: Callable[[Books, asyncio.Task[Answer]], Awaitable[None]],
    postgres: Postgres,
    url: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Play a scene in which the transaction that settles `r` and holds `s` is cut off at a place."""
    ended: list[str] = []
    is_armed: list[bool] = []

    def reach(name: str) -> None:
        if name == place and not ended and is_armed:
            ended.append(name)
            end_writers(postgres, url)

    async def play() -> None:
        async with open_books(folder, a=100) as books:
            await books.hold("r")
            is_armed.append(True)
            asked = asyncio.create_task(books.hold("s"))
            await books.writer.settle(record("r", 10))
            await scene(books, asked)

    monkeypatch.setattr(failpoints, "reach", reach)
    asyncio.run(play())
    assert ended == [place]


class TestDown:
    def test_DB_02_frozen_it_is_a_503_in_time_and_good_soon_after(
        self, postgres: Postgres, in_postgres: str, tmp_path: Path
    ) -> None:
        async def play() -> None:
            async with open_books(tmp_path, patience_s=PATIENCE_S, a=100) as books:
                await books.hold("r")
                with postgres.paused():
                    began = time.monotonic()
                    refused = [books.hold("s"), books.budget(), books.count("keys"), books.count("holds")]
                    told = await asyncio.gather(*refused, return_exceptions=True)
                    assert all(isinstance(each, ServiceUnavailable) for each in told), told
                    await books.writer.settle(record("r", 10))  # into the journal
                    assert time.monotonic() - began < PATIENCE_S + 2
                began = time.monotonic()
                await until(books, "store.back")
                assert time.monotonic() - began < PATIENCE_S + 2
                await until_charged(books)
                assert await books.hold("t") == 10
                assert await books.count("holds") == 1
                await books.writer.settle(record("t", 0, held_nano=10))

        asyncio.run(play())

    def test_DB_01_killed_and_started_again_nobody_waits_for_long(
        self, postgres: Postgres, in_postgres: str, tmp_path: Path
    ) -> None:
        async def play() -> None:
            async with open_books(tmp_path, patience_s=PATIENCE_S * 5, a=100) as books:
                await books.hold("r")
                with postgres.gone():
                    with pytest.raises(ServiceUnavailable, match="it takes no connection"):
                        await books.hold("s")
                    with pytest.raises(ServiceUnavailable):
                        await books.budget()
                    await books.writer.settle(record("r", 10))
                await until(books, "store.back")
                await until_charged(books)

        asyncio.run(play())

    def test_DB_04_where_each_statement_takes_long_nobody_waits_for_longer(
        self, in_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        command = PostgresConnection.command

        def slow(self: PostgresConnection, statement: str) -> str:
            time.sleep(PATIENCE_S)
            return command(self, statement)

        async def play() -> None:
            async with open_books(tmp_path, patience_s=PATIENCE_S, a=100) as books:
                await books.hold("r", claim=Pledge(b"r", b""))
                with monkeypatch.context() as patched:
                    patched.setattr(PostgresConnection, "command", slow)
                    began = time.monotonic()
                    asked = [books.hold(f"s{number}", 1) for number in range(30)]
                    told = await asyncio.gather(*asked, books.writer.settle(record("r", 10)), return_exceptions=True)
                    assert time.monotonic() - began < PATIENCE_S + 2
                    assert [type(each) for each in told] == [ServiceUnavailable] * 30 + [type(None)]
                await until_charged(books)
                assert await books.hold("t") == 10
                await books.writer.settle(record("t", 0, held_nano=10))

        asyncio.run(play())

    def test_a_long_question_leaves_a_lane_for_look_ups(self, books_url: str) -> None:
        async def play() -> None:
            database = open_database(books_url, PATIENCE_S * 20)
            is_answered = Event()
            asking = asyncio.create_task(database.read(lambda _: is_answered.wait(30)))
            await asyncio.sleep(0)
            for _ in range(3):
                assert await database.read(partial(count, table="keys")) == 0
            is_answered.set()
            await asking
            await database.close()

        asyncio.run(play())


async def until_charged(books: Books) -> None:
    """Wait until the settle of `r` has come from the journal."""
    async with asyncio.timeout(10):
        for _ in iter(lambda: None, 1):
            if await books.budget() == BudgetRow("a", 100, 10, 0):
                return


async def until(books: Books, event: str) -> None:
    async with asyncio.timeout(15):
        await books.until(event)
