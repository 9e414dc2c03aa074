"""Provider keys that accounts and API keys bring, sealed: read with the key look-up, kept by commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from trunkline.store.connection import Connection
from trunkline.store.rows import ProviderKeyRow
from trunkline.store.statements.keys import KeyRow, find_keys

Opened = TypeVar("Opened")


def find_keys_and_own(
    connection: Connection, hashes: Sequence[bytes], opened: Callable[[ProviderKeyRow], Opened]
) -> tuple[dict[bytes, KeyRow], list[tuple[str, Opened]]]:
    """Find API keys by their hashes as `find_keys` does, and what their accounts and they bring, each with its owner.

    That is opened here, in the thread of the store.
    """
    found = find_keys(connection, hashes)
    owners = dict.fromkeys(owner for row in found.values() for owner in (row.account_id, row.id))
    if not owners:
        return found, []
    places = ", ".join("?" * len(owners))
    rows = connection.execute(f"{_SELECT} WHERE owner IN ({places})", tuple(owners))
    return found, [(row.owner, opened(row)) for row in map(_row, rows)]


def list_provider_keys(connection: Connection) -> list[ProviderKeyRow]:
    """List all, oldest first."""
    return [_row(row) for row in connection.execute(f"{_SELECT} ORDER BY created_at_ms, id")]


def put_provider_key(connection: Connection, row: ProviderKeyRow) -> bool:
    """Keep a key in the place of the one that its owner had for this provider; whether there was one."""
    gone = connection.execute(
        "DELETE FROM provider_keys WHERE owner = :owner AND provider = :provider",
        {"owner": row.owner, "provider": row.provider},
    ).rowcount
    connection.execute(
        """
        INSERT INTO provider_keys (id, owner, provider, master_id, nonce, sealed, hint, only_this, created_at_ms)
        VALUES (:id, :owner, :provider, :master_id, :nonce, :sealed, :hint, :only_this, :created_at_ms)
        """,
        {
            "id": row.id,
            "owner": row.owner,
            "provider": row.provider,
            "master_id": row.master_id,
            "nonce": row.nonce,
            "sealed": row.sealed,
            "hint": row.hint,
            "only_this": row.only_this,
            "created_at_ms": row.created_at_ms,
        },
    )
    return gone > 0


def reseal_provider_keys(connection: Connection, rows: Sequence[tuple[ProviderKeyRow, ProviderKeyRow]]) -> int:
    """Put keys sealed anew in the place of what they were, where they still are that; how many were."""
    count = 0
    for was, now in rows:
        count += connection.execute(
            """
            UPDATE provider_keys SET master_id = :master_id, nonce = :nonce, sealed = :sealed
            WHERE id = :id AND nonce = :before
            """,
            {"id": now.id, "master_id": now.master_id, "nonce": now.nonce, "sealed": now.sealed, "before": was.nonce},
        ).rowcount
    return count


def remove_provider_key(connection: Connection, id: str) -> ProviderKeyRow | None:
    """Remove a key for good, and give what it was; None where there is none."""
    row = connection.execute(f"{_SELECT} WHERE id = :id", {"id": id}).fetchone()
    connection.execute("DELETE FROM provider_keys WHERE id = :id", {"id": id})
    return None if row is None else _row(row)


_SELECT = """
    SELECT id, owner, provider, master_id, nonce, sealed, hint, only_this, created_at_ms FROM provider_keys
"""


def _row(row: tuple[Any, ...]) -> ProviderKeyRow:
    id, owner, provider, master_id, nonce, sealed, hint, only_this, created_at_ms = row
    return ProviderKeyRow(id, owner, provider, master_id, nonce, sealed, hint, bool(only_this), created_at_ms)
