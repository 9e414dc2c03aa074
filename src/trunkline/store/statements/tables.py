"""Statements about the tables themselves: which revision they are of, what code may use them, and making them."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.store.connection import Connection
from trunkline.store.schema import HEAD, TABLES

_LOCK = 0x74726E6B_72657673
"""Which advisory lock keeps PostgreSQL's tables from being migrated by two: `trnkrevs`."""


def read_revision(connection: Connection) -> str | None:
    """Read which migration the schema is at; None for a database without tables of ours."""
    if connection.execute(_IS_THERE[connection.dialect]).fetchone() is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def make_tables(connection: Connection) -> None:
    """Make every table of a new SQLite database, and note which revision they are of."""
    for statement in TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO alembic_version (version_num) VALUES (:revision)", {"revision": HEAD})


def run_steps(connection: Connection, statements: Iterable[str], oldest_code: str | None) -> None:
    """Run what leads a PostgreSQL database to another revision, and note the oldest code that works with it then."""
    # Whoever comes behind a statement that waits for its table waits too: better it gives up, and is tried again.
    connection.execute("SET LOCAL lock_timeout = '1s'")
    for statement in statements:
        connection.execute(statement)
    if oldest_code is not None:
        connection.execute("UPDATE oldest_code SET revision = ?", (oldest_code,))


def read_oldest_code(connection: Connection) -> str:
    """Read which revision code must be of to work with a PostgreSQL database."""
    (revision,) = connection.execute("SELECT revision FROM oldest_code").fetchone()
    return str(revision)


def lock_tables(connection: Connection) -> None:
    """Wait until nobody else migrates a PostgreSQL database, and keep others from it to the end of the transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))


def list_older_nodes(connection: Connection, revision: str, since_ms: int) -> list[str]:
    """List the nodes, seen since then, whose code is older than a revision."""
    found = connection.execute(
        """
        SELECT DISTINCT node FROM boots
        WHERE seen_at_ms >= ? AND (revision IS NULL OR revision < ?) ORDER BY node
        """,
        (since_ms, revision),
    )
    return [node for (node,) in found]


# By a look into the catalogue: a cast to `regclass` may tell what it found before it waited for a lock.
_IS_THERE = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    "postgres": "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'alembic_version'",
}
