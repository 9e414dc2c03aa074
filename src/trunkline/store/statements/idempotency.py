"""Statements about claims: which requests with an `Idempotency-Key` are under way, and the answers that are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from trunkline.store.batch import Outcome
from trunkline.store.connection import Connection
from trunkline.store.rows import ClaimRow


def find_claim(connection: Connection, mark: bytes) -> ClaimRow | None:
    """Find a claim, with the answer that is kept of it."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM claims WHERE mark = ?", (mark,)).fetchone()
    return None if row is None else ClaimRow(*row)


def find_claimants(connection: Connection, marks: Iterable[bytes]) -> dict[bytes, str]:
    """Find which response each of these marks belongs to; those that are free are left out."""
    found = {}
    for mark in marks:
        row = connection.execute("SELECT generation_id FROM claims WHERE mark = ?", (mark,)).fetchone()
        if row is not None:
            found[mark] = str(row[0])
    return found


def add_claims(connection: Connection, rows: Iterable[ClaimRow]) -> None:
    """Add claims. Raises ValueRefused for a mark that is taken."""
    connection.executemany(
        "INSERT INTO claims (mark, body_hash, generation_id, boot_id, created_at_ms) VALUES (?, ?, ?, ?, ?)",
        [row[:5] for row in rows],
    )


def end_claims(connection: Connection, outcomes: Iterable[Outcome], now_ms: int) -> None:
    """Keep answers, or free what they were claimed with; a claim that is no longer of that response stays as it is."""
    for outcome in outcomes:
        of_it = (outcome.mark, outcome.generation_id)
        if outcome.is_free:
            connection.execute("DELETE FROM claims WHERE mark = ? AND generation_id = ? AND ended_at_ms IS NULL", of_it)
        else:
            connection.execute(
                """
                UPDATE claims SET ended_at_ms = ?, nonce = ?, sealed = ?
                WHERE mark = ? AND generation_id = ? AND ended_at_ms IS NULL
                """,
                (now_ms, outcome.nonce, outcome.sealed, *of_it),
            )


def list_strays(connection: Connection, living: Collection[str], limit: int) -> list[ClaimRow]:
    """List claims that are under way in none of these boots."""
    found = connection.execute(
        f"""
        SELECT {_COLUMNS} FROM claims
        WHERE ended_at_ms IS NULL AND boot_id NOT IN ({", ".join("?" * len(living))}) LIMIT ?
        """,
        (*living, limit),
    )
    return [ClaimRow(*row) for row in found]


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
