"""Statements about boots: which runs of a process there are, and which were seen lately."""

from __future__ import annotations

from trunkline.store.connection import Connection
from trunkline.store.rows import BootRow
from trunkline.store.schema import HEAD


def note_boot(connection: Connection, row: BootRow) -> None:
    """Note that a boot is running, on PostgreSQL with the revision of its code; one taken for dead is there again."""
    if connection.dialect == "sqlite":
        connection.execute(_NOTE, row)
    else:
        connection.execute(_NOTE_WITH_REVISION, (*row, HEAD))


def list_boots(connection: Connection) -> list[BootRow]:
    """List all boots, oldest first."""
    rows = connection.execute("SELECT id, node, started_at_ms, seen_at_ms FROM boots ORDER BY started_at_ms, id")
    return [BootRow(*row) for row in rows]


def delete_boot(connection: Connection, id: str) -> None:
    """Delete a boot; what it still holds is anybody's to expire."""
    connection.execute("DELETE FROM boots WHERE id = ?", (id,))


_NOTE = """
    INSERT INTO boots (id, node, started_at_ms, seen_at_ms) VALUES (?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET seen_at_ms = excluded.seen_at_ms
"""
_NOTE_WITH_REVISION = """
    INSERT INTO boots (id, node, started_at_ms, seen_at_ms, revision) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET seen_at_ms = excluded.seen_at_ms
"""
