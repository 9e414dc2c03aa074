"""Statements about records that are old: deleting them, and how far back those reach that are kept."""

from __future__ import annotations

from trunkline import failpoints
from trunkline.store.connection import Connection

_RECORDS = "records"


def find_horizon(connection: Connection) -> int:
    """Find since when all records are kept, in Unix milliseconds; 0 while none has been deleted."""
    row = connection.execute("SELECT at_ms FROM horizons WHERE id = ?", (_RECORDS,)).fetchone()
    return 0 if row is None else int(row[0])


def delete_records_before(connection: Connection, at_ms: int, limit: int) -> int:
    """Delete some records that are older, the oldest first, and count them. Their roll-ups and entries are kept."""
    connection.execute(
        """
        INSERT INTO horizons (id, at_ms) VALUES (?, ?)
        ON CONFLICT (id) DO UPDATE SET at_ms = max(at_ms, excluded.at_ms)
        """,
        (_RECORDS, at_ms),
    )
    deleted = connection.execute(
        """
        DELETE FROM generations WHERE seq IN (
            SELECT seq FROM generations WHERE created_at_ms < ? ORDER BY created_at_ms LIMIT ?
        )
        """,
        (at_ms, limit),
    )
    failpoints.reach("retention.deleted")
    return deleted.rowcount
