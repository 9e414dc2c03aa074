"""Statements about the tables themselves: which revision they are of, and making them."""

from __future__ import annotations

from trunkline.store.connection import Connection
from trunkline.store.schema import HEAD, TABLES


def read_revision(connection: Connection) -> str | None:
    """Read which migration the schema is at; None for a database without tables of ours."""
    table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
    if connection.execute(table).fetchone() is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def make_tables(connection: Connection) -> None:
    """Make every table of a new database, and note which revision they are of."""
    for statement in TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO alembic_version (version_num) VALUES (:revision)", {"revision": HEAD})
