"""Statements about templates.

A version is never changed. Of one that is removed its row stays, without what it said, so that its number never comes
to mean something else.
"""

from __future__ import annotations

from typing import Final

from trunkline.store.connection import Connection
from trunkline.store.rows import TemplateRow, TemplateStamp


def add_template(connection: Connection, id: str, body: str, now_ms: int) -> int:
    """Keep a template as the next version of its id, and give that."""
    if connection.dialect == "postgres":
        connection.execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
    (version,) = connection.execute(
        "SELECT coalesce(max(version), 0) + 1 FROM templates WHERE id = ?", (id,)
    ).fetchone()
    connection.execute(
        "INSERT INTO templates (id, version, body, created_at_ms) VALUES (?, ?, ?, ?)", (id, version, body, now_ms)
    )
    return int(version)


def find_template(connection: Connection, id: str, version: int | None) -> TemplateRow | None:
    """Find a version of a template, the newest where None is asked for."""
    row = connection.execute(
        """
        SELECT id, version, body, created_at_ms FROM templates
        WHERE id = :id AND body IS NOT NULL AND version >= :least AND version <= :most
        ORDER BY version DESC LIMIT 1
        """,
        {"id": id, "least": version or 0, "most": _MOST if version is None else version},
    ).fetchone()
    return None if row is None else TemplateRow(*row)


def list_templates(connection: Connection, id: str | None = None) -> list[TemplateStamp]:
    """List all versions that there are, of one id or of all, the oldest of each first."""
    rows = connection.execute(
        """
        SELECT id, version, created_at_ms FROM templates
        WHERE body IS NOT NULL AND (id = :id OR :id IS NULL) ORDER BY id, version
        """,
        {"id": id},
    )
    return [TemplateStamp(*row) for row in rows]


def remove_template(connection: Connection, id: str, version: int | None) -> list[int]:
    """Remove a version for good, all of them where None is asked for; which they were."""
    gone = [each.version for each in list_templates(connection, id) if version is None or each.version == version]
    connection.executemany(
        "UPDATE templates SET body = NULL WHERE id = ? AND version = ?", [(id, each) for each in gone]
    )
    return gone


_MOST: Final = 2**62
_LOCK: Final = 0x74726E6B_74706C74
"""Tells this lock from others of the database, as letters: `trnktplt`. Of two that add at once one waits."""
