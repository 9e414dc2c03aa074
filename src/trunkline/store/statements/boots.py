"""Statements about boots: which runs of a process there are, and which were seen lately."""

from __future__ import annotations

from trunkline.store.connection import Connection
from trunkline.store.rows import BootRow


def note_boot(connection: Connection, row: BootRow) -> None:
    """Note that a boot is running; one that was taken for dead is there again."""
    connection.execute(
        """
        INSERT INTO boots (id, node, started_at_ms, seen_at_ms) VALUES (?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET seen_at_ms = excluded.seen_at_ms
        """,
        row,
    )


def list_boots(connection: Connection) -> list[BootRow]:
    """List all boots, oldest first."""
    rows = connection.execute("SELECT id, node, started_at_ms, seen_at_ms FROM boots ORDER BY started_at_ms, id")
    return [BootRow(*row) for row in rows]


def delete_boot(connection: Connection, id: str) -> None:
    """Delete a boot; what it still holds is anybody's to expire."""
    connection.execute("DELETE FROM boots WHERE id = ?", (id,))
