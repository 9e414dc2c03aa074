"""The fetched list of models in the store: what is in force after which step, and what is read of it from outside."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.base import Base
from trunkline.settings.reading import SettingsError
from trunkline.store.lists import MAX_BYTES, pack_list, read_list, unpack_list
from trunkline.store.revisions import bring_to_head
from trunkline.store.rows import ListRow
from trunkline.store.sqlite import SQLiteConnection, open_sqlite
from trunkline.store.statements.model_lists import find_list, keep_list, roll_back_list
from trunkline.store.statements.tables import run_steps
from trunkline.store.upgrade import upgrade

URL = "https://lists.example/models.json"
FIRST, SECOND, THIRD = (pack_list(data, URL, etag, 7) for data, etag in ((b"1", '"1"'), (b"2", '"2"'), (b"3", '"3"')))


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[SQLiteConnection]:
    writing, reading = open_sqlite(f"sqlite:///{tmp_path}/t.db", 5.0)
    assert reading is not None
    reading.close()
    with closing(writing):
        yield writing


def present(connection: SQLiteConnection) -> bytes | None:
    row = find_list(connection)
    return None if row is None else unpack_list(row)


def test_a_step_back_undoes_one_step_and_the_next_the_one_before(connection: SQLiteConnection) -> None:
    for row in (FIRST, SECOND, THIRD):
        keep_list(connection, row)
    assert present(connection) == b"3"
    assert roll_back_list(connection)
    assert present(connection) == b"2"
    assert roll_back_list(connection)
    assert present(connection) is None
    assert not roll_back_list(connection)


def test_the_same_list_again_takes_nothing_from_the_one_before(connection: SQLiteConnection) -> None:
    for row in (FIRST, SECOND, SECOND._replace(etag='"2b"')):
        keep_list(connection, row)
    assert find_list(connection) == SECOND._replace(etag='"2b"')
    assert roll_back_list(connection)
    assert present(connection) == b"1"


def test_after_a_step_back_the_server_is_asked_for_the_whole_list(connection: SQLiteConnection) -> None:
    keep_list(connection, FIRST)
    keep_list(connection, SECOND)
    roll_back_list(connection)
    assert find_list(connection) == FIRST._replace(etag="")


@pytest.mark.parametrize(
    "row",
    [
        FIRST._replace(packed=SECOND.packed),
        FIRST._replace(packed=b"<html>"),
        FIRST._replace(packed=FIRST.packed[:2]),
        FIRST._replace(packed=b""),
        pack_list(b"0" * (MAX_BYTES + 2), URL, "", 7),
        FIRST._replace(packed="text, which SQLite takes for bytes"),  # type: ignore[arg-type]
    ],
)
def test_a_row_that_is_damaged_gives_no_list(row: ListRow) -> None:
    with pytest.raises(ValueError, match="it is damaged"):
        unpack_list(row)


def test_what_a_large_row_is_packed_in_is_not_unpacked_without_end() -> None:
    with pytest.raises(ValueError, match="it is damaged"):
        unpack_list(FIRST._replace(packed=zlib.compress(bytes(50 * 2**20))))


class TestFromOutside:
    def test_a_file_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        assert read_list(f"sqlite:///{tmp_path}/t.db") is None
        assert read_list("sqlite:///:memory:") is None
        assert list(tmp_path.iterdir()) == []

    def test_a_list_is_read_while_another_process_would_write(
        self, connection: SQLiteConnection, tmp_path: Path
    ) -> None:
        connection.transact(lambda it: keep_list(it, FIRST), is_write=True)
        connection.execute("BEGIN IMMEDIATE")
        assert read_list(f"sqlite:///{tmp_path}/t.db") == FIRST

    def test_a_database_of_before_has_none_and_stays_as_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "t.db"
        with closing(SQLiteConnection(path, isolation_level=None)) as older:
            upgrade(older, "0004")
        before = path.read_bytes()
        assert read_list(f"sqlite:///{path}") is None
        assert path.read_bytes() == before

    def test_a_file_without_tables_has_none(self, tmp_path: Path) -> None:
        (tmp_path / "t.db").write_bytes(b"")
        assert read_list(f"sqlite:///{tmp_path}/t.db") is None

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_that_may_not_be_read_is_told(self, connection: SQLiteConnection, tmp_path: Path) -> None:
        (tmp_path / "t.db").chmod(0)
        with pytest.raises(SettingsError, match=r"store.url: cannot open .*t.db"):
            read_list(f"sqlite:///{tmp_path}/t.db")

    def test_a_file_that_is_no_database_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "t.db").write_bytes(b"no database" * 100)
        with pytest.raises(SettingsError, match=r"store.url: cannot open .*t.db"):
            read_list(f"sqlite:///{tmp_path}/t.db")

    def test_it_is_read_of_a_server_and_none_where_the_tables_are_of_before(self, postgres_url: str) -> None:
        assert read_list(postgres_url) is None
        with closing(Base(postgres_url)) as base:
            base.do(bring_to_head)
            base.do(lambda connection: keep_list(connection, FIRST))
            assert read_list(postgres_url) == FIRST
            base.do(lambda it: run_steps(it, ["UPDATE alembic_version SET version_num = '0004'"], None))
            base.do(lambda it: run_steps(it, ["DROP TABLE model_lists"], None))
        assert read_list(postgres_url) is None
