"""A real SQLite file: tables made and migrated, transactions whole, a stuck or broken store a 503."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from alembic.script import ScriptDirectory

from trunkline.errors import ServiceUnavailable
from trunkline.settings.reading import SettingsError
from trunkline.store.connection import Connection
from trunkline.store.database import Database, open_database, verify_database
from trunkline.store.schema import HEAD
from trunkline.store.sqlite import SQLiteConnection
from trunkline.store.statements import keys as statements
from trunkline.store.statements.keys import KeyRow
from trunkline.store.statements.tables import make_tables, read_revision
from trunkline.store.upgrade import MIGRATIONS, upgrade
from trunkline.store.urls import sqlite_path

Result = TypeVar("Result")


def row(name: str, **changes: object) -> KeyRow:
    values = {"id": f"key_{name}", "account_id": "default", "name": name, "prefix": "tl-abcd", "created_at_ms": 5}
    return KeyRow(**{**values, "disabled": False, "expires_at_ms": None, **changes})  # type: ignore[arg-type]


def run(path: Path, work: Callable[[Database], Awaitable[Result]], timeout: float = 2.0) -> Result:
    async def opened() -> Result:
        database = open_database(f"sqlite:///{path}", timeout)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(opened())


def written(connection: Connection) -> dict[str, str]:
    """Every table and index as it was made, by name, without the white space."""
    made = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: "".join(sql.split()) for name, sql in made}


async def add(database: Database, *names: str) -> None:
    for name in names:
        await database.write(partial(statements.add_key, row=row(name), hash=name.encode().ljust(32)))


class TestTables:
    def test_a_new_database_is_at_head_without_alembic(self, tmp_path: Path) -> None:
        script = (
            "import sys; from trunkline.store.database import open_database;"
            "open_database(sys.argv[1], 1.0); assert not {'alembic', 'sqlalchemy'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", script, f"sqlite:///{tmp_path}/a.db"], check=True)
        assert run(tmp_path / "a.db", lambda database: database.read(read_revision)) == HEAD

    def test_the_revisions_lead_to_the_same_tables(self) -> None:
        made, migrated = (sqlite3.connect(":memory:", isolation_level=None, factory=SQLiteConnection) for _ in range(2))
        make_tables(made)
        upgrade(migrated)
        assert read_revision(migrated) == HEAD
        assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]
        assert written(made) == written(migrated)
        for connection in (made, migrated):
            connection.close()

    def test_a_database_of_a_newer_version_is_left_alone(self, tmp_path: Path) -> None:
        run(tmp_path / "a.db", lambda database: database.write(partial(_set_revision, revision="9999")))
        with pytest.raises(SettingsError, match="made by another version"):
            open_database(f"sqlite:///{tmp_path}/a.db", 1.0)

    def test_DB_13_a_migration_that_fails_leaves_nothing_behind(self, tmp_path: Path) -> None:
        path = tmp_path / "a.db"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE keys (id TEXT)")
        with pytest.raises(SettingsError, match=r"store\.url: cannot open"):
            open_database(f"sqlite:///{path}", 1.0)
        connection.close()
        with sqlite3.connect(path) as connection:
            assert connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("keys",)]
        connection.close()

    def test_DB_14_of_two_that_start_together_one_migrates_and_one_waits(self, tmp_path: Path) -> None:
        barrier, failures = threading.Barrier(4), []

        def start() -> None:
            barrier.wait()
            try:
                run(tmp_path / "a.db", lambda database: database.read(statements.count_keys), timeout=10)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []

    def test_F10_it_writes_ahead_waits_for_the_disk_and_checks_references(self, tmp_path: Path) -> None:
        names = ("journal_mode", "synchronous", "foreign_keys")
        full = 2

        def read(connection: Connection) -> list[object]:
            return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

        assert run(tmp_path / "a.db", lambda database: database.write(read)) == ["wal", full, 1]

    def test_a_reader_changes_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(ServiceUnavailable, match="it cannot be written"):
            run(tmp_path / "a.db", lambda database: database.read(partial(_set_revision, revision="9999")))

    def test_a_reader_does_not_wait_for_a_writer(self, tmp_path: Path) -> None:
        release = threading.Event()

        async def work(database: Database) -> int:
            writing = database.begin(lambda connection: release.wait(30))
            count = await database.read(statements.count_keys)
            release.set()
            await writing
            return count

        assert run(tmp_path / "a.db", work) == 0

    def test_a_database_in_memory_reads_what_it_wrote(self) -> None:
        async def work() -> int:
            database = open_database("sqlite:///:memory:", 2.0)
            await add(database, "a")
            count = await database.read(statements.count_keys)
            await database.close()
            return count

        assert asyncio.run(work()) == 1

    @pytest.mark.parametrize("is_there", [False, True])
    def test_F14_its_files_are_for_their_owner_alone(self, tmp_path: Path, is_there: bool) -> None:
        path = tmp_path / "a.db"
        if is_there:
            path.touch(0o644)

        def rights() -> dict[str, int]:
            return {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}

        async def work(database: Database) -> dict[str, int]:
            await add(database, "a")
            return rights()

        assert run(path, work) == {"a.db": 0o600, "a.db-wal": 0o600, "a.db-shm": 0o600}

    def test_F14_a_directory_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"No such file or directory; create the directory"):
            open_database(f"sqlite:///{tmp_path}/nowhere/a.db", 1.0)


class TestTransactions:
    def test_F14_a_full_store_says_so(self, tmp_path: Path) -> None:
        async def work(database: Database) -> str:
            await database.write(lambda connection: connection.execute("PRAGMA max_page_count = 1") and None)
            with pytest.raises(ServiceUnavailable) as caught:
                await add(database, *(str(number) for number in range(200)))
            return caught.value.message

        assert run(tmp_path / "a.db", work) == "The store failed (it is full: make room on its disk)."

    def test_what_was_written_is_there_after_a_restart(self, tmp_path: Path) -> None:
        run(tmp_path / "a.db", lambda database: add(database, "a", "b"))
        rows = run(tmp_path / "a.db", lambda database: database.read(statements.list_keys))
        assert [found.name for found in rows] == ["a", "b"]

    def test_DB_15_a_write_that_fails_half_way_writes_nothing(self, tmp_path: Path) -> None:
        def half(connection: Connection) -> None:
            statements.add_key(connection, row("a"), b"a" * 32)
            statements.add_key(connection, row("b"), b"a" * 32)

        async def work(database: Database) -> int:
            with pytest.raises(ServiceUnavailable):
                await database.write(half)
            return await database.read(statements.count_keys)

        assert run(tmp_path / "a.db", work) == 0

    def test_DB_10_many_writers_wait_for_each_other(self, tmp_path: Path) -> None:
        path = tmp_path / "a.db"
        run(path, lambda database: database.read(statements.count_keys))
        failures: list[Exception] = []

        def write(writer: int) -> None:
            try:
                run(path, lambda database: add(database, *(f"{writer}-{index}" for index in range(10))), timeout=30)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert run(path, lambda database: database.read(statements.count_keys)) == 40

    def test_DB_02_a_store_that_is_stuck_is_a_503_and_recovers(self, tmp_path: Path) -> None:
        release = threading.Event()

        def stuck(connection: Connection) -> bool:
            return release.wait(30)

        async def work(database: Database) -> int:
            with pytest.raises(ServiceUnavailable, match="did not answer in time") as raised:
                await database.read(stuck)
            assert raised.value.retry_after is not None
            release.set()
            return await database.read(statements.count_keys)

        assert run(tmp_path / "a.db", work, timeout=0.2) == 0

    def test_a_failure_does_not_repeat_the_values(self, tmp_path: Path) -> None:
        async def work(database: Database) -> str:
            await add(database, "canary")
            with pytest.raises(ServiceUnavailable) as raised:
                await add(database, "canary")
            return raised.value.message

        assert run(tmp_path / "a.db", work) == "The store failed (IntegrityError)."


class TestOpening:
    def test_a_missing_directory_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"create the directory .*nowhere"):
            open_database(f"sqlite:///{tmp_path}/nowhere/a.db", 1.0)

    def test_a_file_that_is_no_database_is_not_touched(self, tmp_path: Path) -> None:
        path = tmp_path / "a.db"
        path.write_text("not a database, but long enough to be looked at as one" * 20)
        with pytest.raises(SettingsError, match="not a database"):
            open_database(f"sqlite:///{path}", 1.0)

    @pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anything")
    def test_a_file_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
        with pytest.raises(SettingsError, match="can be written"):
            open_database(f"sqlite:///{tmp_path}/a.db", 1.0)

    def test_a_url_that_says_more_than_the_file_is_refused(self, tmp_path: Path) -> None:
        for open_it in (partial(open_database, timeout=1.0), verify_database):
            with pytest.raises(SettingsError) as raised:
                open_it(f"sqlite:///{tmp_path}/a.db?password=canary")
            assert raised.value.problems == (
                f"store.url: leave out what follows the ?, as in sqlite:///{tmp_path}/a.db",
            )
        assert list(tmp_path.iterdir()) == []

    def test_the_file_of_a_url(self) -> None:
        assert sqlite_path("sqlite:///a/b.db") == Path("a/b.db")
        assert sqlite_path("sqlite:////a/b.db") == Path("/a/b.db")
        assert sqlite_path("sqlite:///:memory:") is None


def _set_revision(connection: Connection, revision: str) -> None:
    connection.execute("UPDATE alembic_version SET version_num = :revision", {"revision": revision})
