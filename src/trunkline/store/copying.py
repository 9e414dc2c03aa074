"""All of an SQLite database put into an empty one of PostgreSQL, in one transaction there."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from trunkline.settings.reading import SettingsError
from trunkline.store.connection import Connection
from trunkline.store.revisions import SEEN_MS
from trunkline.store.sqlite import SQLiteConnection, store_error
from trunkline.store.statements.boots import list_boots
from trunkline.store.statements.partitions import make_weeks
from trunkline.store.statements.tables import read_revision

AT_ONCE = 1000


class _Table(NamedTuple):
    name: str
    columns: Sequence[str]
    truths: frozenset[int]
    """Which of the columns hold truths: SQLite keeps them as numbers."""


def copy_tables(target: Connection, path: Path, now_ms: int) -> dict[str, int]:
    """Copy every table of the file, and count the rows of each.

    Raises SettingsError for a database that is in use or of another revision, and for a target that is not empty.
    """
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    with contextlib.closing(
        sqlite3.connect(address, uri=True, isolation_level=None, factory=SQLiteConnection)
    ) as source:
        source.execute("BEGIN")
        tables = _tables(source)
        _check(source, target, tables, now_ms)
        for (at_ms,) in source.execute("SELECT min(created_at_ms) FROM generations GROUP BY created_at_ms / 86400000"):
            make_weeks(target, at_ms, at_ms)  # what has none is kept all the same
        try:
            counts = {table.name: _copy(source, target, table) for table in tables}
        except sqlite3.Error as error:  # while rows were read one after the other
            raise store_error(error) from error
    target.execute("SELECT setval(pg_get_serial_sequence('entries', 'seq'), max(seq)) FROM entries HAVING count(*) > 0")
    return counts


def _tables(source: SQLiteConnection) -> list[_Table]:
    """The tables in an order in which each comes behind those it refers to."""
    names = [
        name
        for (name,) in source.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version' ORDER BY name"
        )
    ]
    return [_table(source, name) for name in sorted(names, key=lambda name: (name != "accounts", name))]


def _table(source: SQLiteConnection, name: str) -> _Table:
    columns = [
        (column, kind)
        for _, column, kind, *_ in source.execute(f"PRAGMA table_info({name})")
        if (name, column) != ("generations", "seq")  # numbered anew, in the same order
    ]
    truths = frozenset(place for place, (_, kind) in enumerate(columns) if kind == "BOOLEAN")
    return _Table(name, [column for column, _ in columns], truths)


def _check(source: SQLiteConnection, target: Connection, tables: Sequence[_Table], now_ms: int) -> None:
    found, wanted = read_revision(source), read_revision(target)
    if found != wanted:
        problem = f"the SQLite database is at revision {found}, the other at {wanted}"
        raise SettingsError([f"{problem}; migrate both with one version: `trunkline store migrate`"])
    running = [boot.node for boot in list_boots(source) if boot.seen_at_ms >= now_ms - SEEN_MS]
    if running:
        problem = f"gateways have the database in use: {', '.join(running)}"
        raise SettingsError([f"{problem}; stop them, or wait for a minute if they were killed"])
    for table in tables:
        if target.execute(f"SELECT 1 FROM {table.name} LIMIT 1").fetchone() is not None:
            raise SettingsError([f"the database to copy to is not empty: it has {table.name}; name another"])


def _copy(source: SQLiteConnection, target: Connection, table: _Table) -> int:
    names = ", ".join(f'"{column}"' for column in table.columns)
    order = "ORDER BY seq" if table.name in ("generations", "entries") else ""
    rows = iter(source.execute(f"SELECT {names} FROM {table.name} {order}"))
    places = ", ".join("?" * len(table.columns))
    count = 0
    while some := list(_converted(islice(rows, AT_ONCE), table.truths)):
        target.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({places})", some)
        count += len(some)
    return count


def _converted(rows: Iterator[tuple[Any, ...]], truths: frozenset[int]) -> Iterator[list[Any]]:
    for row in rows:
        yield [
            bool(value) if place in truths and value is not None else _text(value) if isinstance(value, str) else value
            for place, value in enumerate(row)
        ]


def _text(text: str) -> str:
    """A text without the one character that PostgreSQL does not keep."""
    return text.replace("\0", "\ufffd")
