"""Statements about claims: which requests with an `Idempotency-Key` are under way, and the answers that are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import attrgetter

from trunkline.store.batch import Outcome
from trunkline.store.connection import Connection
from trunkline.store.rows import ClaimRow
from trunkline.store.statements.budgets import select_in


def find_claim(connection: Connection, mark: bytes) -> ClaimRow | None:
    """Find a claim, with the answer that is kept of it."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM claims WHERE mark = ?", (mark,)).fetchone()
    return None if row is None else ClaimRow(*row)


def lock_claims(connection: Connection, marks: Collection[bytes]) -> dict[bytes, str]:
    """Find which response each of these marks belongs to, and keep others from claiming those that are free.

    To be done before `lock_budgets`. Of what two nodes claim at once the later one waits, and finds the other's: a
    constraint would refuse its whole batch.
    """
    if connection.dialect == "postgres":
        # A row that is not there yet cannot be locked.
        parts = sorted({int.from_bytes(mark[:2], "big") % _LOCKED_PARTS for mark in marks})
        connection.execute("SELECT pg_advisory_xact_lock(?::int, part) FROM unnest(?::int[]) AS part", (_LOCK, parts))
    return dict(select_in(connection, "SELECT mark, generation_id FROM claims WHERE mark", marks))


def add_claims(connection: Connection, rows: Iterable[ClaimRow]) -> None:
    """Add claims. Raises ValueRefused for a mark that is taken."""
    connection.executemany(
        "INSERT INTO claims (mark, body_hash, generation_id, boot_id, created_at_ms) VALUES (?, ?, ?, ?, ?)",
        [row[:5] for row in rows],
    )


def end_claims(connection: Connection, outcomes: Iterable[Outcome], now_ms: int) -> None:
    """Keep answers, or free what they were claimed with; a claim that is no longer of that response stays as it is."""
    ended = sorted(outcomes, key=attrgetter("mark"))
    if freed := [(each.mark, each.generation_id) for each in ended if each.is_free]:
        connection.executemany("DELETE FROM claims WHERE mark = ? AND generation_id = ? AND ended_at_ms IS NULL", freed)
    if kept := [(now_ms, each.nonce, each.sealed, each.mark, each.generation_id) for each in ended if not each.is_free]:
        connection.executemany(
            """
            UPDATE claims SET ended_at_ms = ?, nonce = ?, sealed = ?
            WHERE mark = ? AND generation_id = ? AND ended_at_ms IS NULL
            """,
            kept,
        )


def list_strays(connection: Connection, gone: Collection[str], limit: int) -> list[ClaimRow]:
    """List claims that are under way in one of these boots, or in none that is known.

    A boot that was noted a moment ago is known: its claims are never there before it.
    """
    under_way = f"SELECT {_COLUMNS} FROM claims WHERE ended_at_ms IS NULL AND boot_id"
    rows = select_in(connection, under_way, gone)
    strays = connection.execute(f"{under_way} NOT IN (SELECT id FROM boots) LIMIT ?", (limit,))
    return sorted({ClaimRow(*row) for row in (*rows, *strays)}, key=attrgetter("created_at_ms", "mark"))[:limit]


def delete_claims_before(connection: Connection, at_ms: int, limit: int) -> int:
    """Delete claims that were made before a moment, the oldest first; tell how many were found."""
    deleted = connection.execute(
        """
        DELETE FROM claims
        WHERE mark IN (SELECT mark FROM claims WHERE created_at_ms < ? ORDER BY created_at_ms LIMIT ?)
        """,
        (at_ms, limit),
    )
    return deleted.rowcount


_COLUMNS = ", ".join(ClaimRow._fields)
_LOCK = 0x636C6169
"""Tells these locks from others of the database: the first letters of their table."""
_LOCKED_PARTS = 2048
"""So many locks of all nodes together the server surely has room for."""
