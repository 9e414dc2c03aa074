"""PostgreSQL's tables: those of SQLite, made by one of several nodes, and used by code of two versions."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.store.base import Base
from trunkline.settings.reading import SettingsError
from trunkline.store.connection import Connection
from trunkline.store.database import verify_database
from trunkline.store.revisions import bring_to_head
from trunkline.store.rows import BootRow
from trunkline.store.schema import HEAD
from trunkline.store.sqlite import SQLiteConnection
from trunkline.store.statements.boots import note_boot
from trunkline.store.statements.keys import KeyRow, add_first_key
from trunkline.store.statements.tables import list_older_nodes, make_tables, read_revision, run_steps
from trunkline.store.upgrade import MIGRATIONS, write_steps


@pytest.fixture
def base(postgres_url: str) -> Iterator[Base]:
    with closing(Base(postgres_url)) as base:
        yield base


class TestTables:
    def test_they_have_the_columns_of_sqlite(self, base: Base) -> None:
        base.do(bring_to_head)
        with closing(sqlite3.connect(":memory:", isolation_level=None, factory=SQLiteConnection)) as connection:
            make_tables(connection)
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            expected = {
                (table, column, bool(not_null))
                for table in names
                for _, column, _, not_null, *_ in connection.execute(f"PRAGMA table_info({table})")
            }
        found = base.rows(
            """
            SELECT table_name::text, column_name::text, is_nullable = 'NO' FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name <> 'generations_default'
            """
        )
        assert set(found) - expected == {
            ("boots", "revision", False),
            ("generations", "xid", True),
            ("oldest_code", "revision", True),
        }
        assert expected <= set(found)

    def test_texts_are_compared_by_their_bytes(self, base: Base) -> None:
        base.do(bring_to_head)
        found = base.rows(
            """
            SELECT DISTINCT collation_name::text FROM information_schema.columns
            WHERE table_schema = 'public' AND data_type = 'text'
                AND column_name NOT IN ('terms', 'attempts', 'dropped', 'plugins', 'note', 'price', 'body')
            """
        )
        assert found == [("C",)]

    def test_a_database_at_head_is_opened_without_alembic(self, base: Base) -> None:
        base.do(bring_to_head)
        script = (
            "import sys; from trunkline.store.database import open_database;"
            "open_database(sys.argv[1], 10.0); assert not {'alembic', 'sqlalchemy'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", script, base.url], check=True)

    def test_a_check_of_them_makes_nothing(self, base: Base) -> None:
        verify_database(base.url)
        assert base.do(read_revision) is None
        base.do(bring_to_head)
        verify_database(base.url)


class TestStarting:
    def test_DB_14_of_many_that_start_together_one_migrates_and_the_others_wait(self, base: Base) -> None:
        barrier = threading.Barrier(4)

        def start(number: int) -> bool:
            row = KeyRow(f"key_{number}", "default", "first", "tl-", 1, False, None)
            with closing(Base(base.url)) as mine:
                barrier.wait()
                mine.do(bring_to_head)
                return mine.do(partial(add_first_key, row=row, hash=bytes([number]), hashes=[]))

        with ThreadPoolExecutor(4) as nodes:
            assert sorted(nodes.map(start, range(4))) == [False, False, False, True]
        assert base.do(read_revision) == HEAD
        assert base.rows("SELECT count(*) FROM keys") == [(1,)]

    def test_DB_13_one_that_is_killed_in_the_middle_leaves_nothing(self, base: Base) -> None:
        script = "import sys; from trunkline.store.database import open_database; open_database(sys.argv[1], 10.0)"
        environ = {**os.environ, "TRUNKLINE_FAILPOINT": "commit.before:1"}
        killed = subprocess.run([sys.executable, "-c", script, base.url], env=environ, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert base.do(read_revision) is None
        assert base.rows("SELECT * FROM pg_tables WHERE schemaname = 'public'") == []
        base.do(bring_to_head)
        assert base.do(read_revision) == HEAD

    def test_DB_13_one_that_fails_in_the_middle_leaves_nothing(self, base: Base) -> None:
        base.rows("CREATE TABLE horizons (id TEXT) ")
        with pytest.raises(Exception, match="The store failed"):
            base.do(bring_to_head)
        assert base.rows("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'") == [("horizons",)]


def made_up(folder: Path, *revisions: str) -> Path:
    """A copy of our revisions with more behind them, each `number` or `number<oldest code after it`."""
    migrations = folder / "migrations"
    shutil.copytree(MIGRATIONS, migrations)
    before = HEAD
    for written in revisions:
        revision, mark, oldest = written.partition("<")
        text = f'revision = "{revision}"\ndown_revision = "{before}"\n'
        text += f'contracts = "{oldest}"\n' if mark else ""
        text += f'def upgrade():\n    from alembic import op\n    op.execute("CREATE TABLE t{revision} (id INT)")\n'
        (migrations / "versions" / f"{revision}_made_up.py").write_text(text)
        before = revision
    return migrations


class TestSteps:
    def test_those_that_expand_are_run(self, tmp_path: Path) -> None:
        steps = write_steps(HEAD, may_contract=False, migrations=made_up(tmp_path, "9001", "9002"))
        assert [statement for statement in steps.statements if "CREATE" in statement] == [
            "CREATE TABLE t9001 (id INT)",
            "CREATE TABLE t9002 (id INT)",
        ]
        assert steps[1:] == ("9002", None, None)

    def test_one_that_contracts_waits(self, tmp_path: Path) -> None:
        steps = write_steps(HEAD, may_contract=False, migrations=made_up(tmp_path, "9001", "9002<9001"))
        assert [each for each in steps.statements if "9002" in each] == []
        assert steps[1:] == ("9001", None, "9002")

    def test_it_is_run_when_it_is_asked_for_and_in_a_new_database(self, tmp_path: Path) -> None:
        migrations = made_up(tmp_path, "9001", "9002<9001", "9003")
        assert write_steps(HEAD, may_contract=True, migrations=migrations)[1:] == ("9003", "9001", None)
        assert write_steps(None, may_contract=False, migrations=migrations)[1:] == ("9003", "9001", None)

    def test_what_comes_behind_it_cannot_be_had_without_it(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError) as raised:
            write_steps(HEAD, may_contract=False, migrations=made_up(tmp_path, "9001", "9002<9001", "9003"))
        assert raised.value.problems == (
            "store.url: revision 9002 of the database takes away what older versions need, and this version needs what "
            "comes after; stop those that still run and call `trunkline store migrate --contract`",
        )

    def test_an_unknown_revision_is_told(self) -> None:
        with pytest.raises(SettingsError, match="made by another version"):
            write_steps("8999", may_contract=False)


class TestOlderCode:
    """What code of HEAD says to a database that newer code has migrated."""

    @pytest.fixture
    def newer(self, base: Base) -> Base:
        base.do(bring_to_head)
        base.rows("UPDATE alembic_version SET version_num = '9002'")
        return base

    def test_it_starts_where_only_something_was_added(self, newer: Base) -> None:
        newer.do(bring_to_head)
        verify_database(newer.url)
        assert newer.do(read_revision) == "9002"

    def test_it_does_not_start_where_it_misses_something(self, newer: Base) -> None:
        newer.rows("UPDATE oldest_code SET revision = '9001'")
        problem = (
            "store.url: the database is at revision 9002 and works with code of 9001 or newer; "
            f"this one is of {HEAD}: use a newer version"
        )
        for refused in (partial(newer.do, bring_to_head), partial(verify_database, newer.url)):
            with pytest.raises(SettingsError) as raised:
                refused()
            assert raised.value.problems == (problem,)

    def test_what_it_needs_is_not_taken_away_while_it_runs(self, base: Base) -> None:
        base.do(bring_to_head)
        base.do(partial(note_boot, row=BootRow("boot_1", "here:1", 1, 1_000_000)))
        assert base.do(partial(list_older_nodes, revision="9001", since_ms=1_000_000)) == ["here:1"]
        assert base.do(partial(list_older_nodes, revision="9001", since_ms=1_000_001)) == []
        assert base.do(partial(list_older_nodes, revision=HEAD, since_ms=0)) == []


def test_a_table_that_is_in_use_is_waited_for_by_being_asked_for_again(base: Base) -> None:
    base.do(bring_to_head)
    held, tries = threading.Event(), 0

    def read(connection: Connection) -> None:
        connection.execute("SELECT * FROM accounts")
        held.set()
        while tries < 2:
            time.sleep(0.01)

    def alter(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        run_steps(connection, ["ALTER TABLE accounts ADD COLUMN made_up TEXT"], None)

    with closing(Base(base.url)) as other:
        reader = threading.Thread(target=other.do, args=(read,))
        reader.start()
        held.wait(10)
        base.do(alter)
        reader.join()
    assert tries >= 2
