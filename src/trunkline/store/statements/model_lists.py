"""Statements about the fetched list of models and the one before it."""

from __future__ import annotations

from typing import Final

from trunkline.store.connection import Connection
from trunkline.store.rows import NO_LIST, ListRow, ListStamp
from trunkline.store.statements.tables import read_revision

SINCE: Final = "0005"
"""The revision that made their table."""


def find_list(connection: Connection) -> ListRow | None:
    """Find the list that was kept last."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM model_lists WHERE place = ?", (_PRESENT,)).fetchone()
    return None if row is None else ListRow(*row)


def find_list_if_any(connection: Connection) -> ListRow | None:
    """Do as `find_list` does in a database of any revision, with or without tables."""
    revision = read_revision(connection)
    return None if revision is None or revision < SINCE else find_list(connection)


def find_list_stamp(connection: Connection) -> ListStamp:
    """Find which list was kept last."""
    row = connection.execute("SELECT digest, kept_at_ms FROM model_lists WHERE place = ?", (_PRESENT,)).fetchone()
    return NO_LIST if row is None else ListStamp(*row)


def keep_list(connection: Connection, row: ListRow) -> None:
    """Keep a list, and the one that was kept last as the one before it.

    Where it is the same the one before stays: else a second fetch would leave nothing to go back to.
    """
    _lock(connection)
    if find_list_stamp(connection).digest != row.digest:
        connection.execute("DELETE FROM model_lists WHERE place = ?", (_BEFORE,))
        connection.execute("UPDATE model_lists SET place = ? WHERE place = ?", (_BEFORE, _PRESENT))
    connection.execute("DELETE FROM model_lists WHERE place = ?", (_PRESENT,))
    connection.execute(
        f"INSERT INTO model_lists (place, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
        (_PRESENT, *row),
    )


def roll_back_list(connection: Connection) -> bool:
    """Let go of the list that was kept last, for the one before it; False where there is none to let go of.

    What its server called that one is forgotten with it: the server knows no newer one than what was let go of.
    """
    _lock(connection)
    gone = connection.execute("DELETE FROM model_lists WHERE place = ?", (_PRESENT,)).rowcount
    if gone:
        connection.execute("UPDATE model_lists SET place = ?, etag = '' WHERE place = ?", (_PRESENT, _BEFORE))
    return bool(gone)


def _lock(connection: Connection) -> None:
    """Let one after the other change them: of two that come at once neither loses the list before."""
    if connection.dialect == "postgres":
        connection.execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))


_COLUMNS: Final = ", ".join(ListRow._fields)
_PRESENT: Final = "present"
_BEFORE: Final = "before"
_LOCK: Final = 0x74726E6B_6C697374
"""Tells this lock from others of the database: `trnklist`."""
