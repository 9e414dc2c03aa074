"""Statements about records that are old: deleting them, and how far back those reach that are kept."""

from __future__ import annotations

from trunkline import failpoints
from trunkline.store.connection import Connection
from trunkline.store.statements.partitions import retire_week, week_at

_RECORDS = "records"


def find_horizon(connection: Connection) -> int:
    """Find since when all records are kept, in Unix milliseconds; 0 while none has been deleted."""
    row = connection.execute("SELECT at_ms FROM horizons WHERE id = ?", (_RECORDS,)).fetchone()
    return 0 if row is None else int(row[0])


def delete_records_before(connection: Connection, at_ms: int, limit: int) -> int:
    """Delete some records that are older, the oldest first, and count them. Their roll-ups and entries are kept.

    PostgreSQL drops weeks of which all is older: of each step of that it says `limit`, since there may be more, and -1
    where others were in the way of it and it is to be tried again later.
    """
    if connection.dialect == "sqlite":
        _note_horizon(connection, at_ms)
        deleted = connection.execute(_DELETE_OLDEST, (at_ms, limit)).rowcount
    else:
        deleted = _retire(connection, week_at(at_ms).start_ms, limit)
        if deleted >= 0:
            _note_horizon(connection, week_at(at_ms).start_ms)
    failpoints.reach("retention.deleted")
    return deleted


def _retire(connection: Connection, at_ms: int, limit: int) -> int:
    match retire_week(connection, at_ms):
        case "step":
            return limit
        case "busy":
            return -1
        case "none":
            pass
    return connection.execute(_DELETE_STRAYS, (at_ms, limit)).rowcount


def _note_horizon(connection: Connection, at_ms: int) -> None:
    greatest = "max" if connection.dialect == "sqlite" else "greatest"
    connection.execute(
        f"""
        INSERT INTO horizons (id, at_ms) VALUES (?, ?)
        ON CONFLICT (id) DO UPDATE SET at_ms = {greatest}(horizons.at_ms, excluded.at_ms)
        """,
        (_RECORDS, at_ms),
    )


_DELETE_OLDEST = """
    DELETE FROM generations WHERE seq IN (
        SELECT seq FROM generations WHERE created_at_ms < ? ORDER BY created_at_ms LIMIT ?
    )
"""
_DELETE_STRAYS = """
    DELETE FROM generations_default WHERE (id, created_at_ms) IN (
        SELECT id, created_at_ms FROM generations_default WHERE created_at_ms < ? ORDER BY created_at_ms LIMIT ?
    )
"""
