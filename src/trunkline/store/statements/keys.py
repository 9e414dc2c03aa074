"""Statements about keys. Each takes an open connection; the caller decides the transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as it is kept; `disabled` also when its account is. `prefix` is for people, to tell keys apart."""

    id: str
    account_id: str
    name: str
    prefix: str
    created_at_ms: int
    disabled: bool
    expires_at_ms: int | None


def find_key(connection: sqlite3.Connection, hash: bytes) -> KeyRow | None:
    """Find a key by its whole hash."""
    row = connection.execute(f"{_KEYS} WHERE keys.hash = :hash", {"hash": hash}).fetchone()
    return None if row is None else _key_row(row)


def find_keys(connection: sqlite3.Connection, hashes: Sequence[bytes]) -> dict[bytes, KeyRow]:
    """Find keys by their whole hashes; those that there are none of are left out."""
    places = ", ".join("?" * len(hashes))
    rows = connection.execute(f"{_KEYS} WHERE keys.hash IN ({places})", tuple(hashes))
    return {row[-1]: _key_row(row) for row in rows}


def list_keys(connection: sqlite3.Connection) -> list[KeyRow]:
    """List all keys, oldest first."""
    return [_key_row(row) for row in connection.execute(f"{_KEYS} ORDER BY keys.created_at_ms, keys.id")]


def count_keys(connection: sqlite3.Connection) -> int:
    """Count the keys, those that are disabled or expired included."""
    (count,) = connection.execute("SELECT count(*) FROM keys").fetchone()
    return int(count)


def add_key(connection: sqlite3.Connection, row: KeyRow, hash: bytes) -> None:
    """Add a key and, where it is new, its account."""
    connection.execute(
        """
        INSERT INTO accounts (id, name, created_at_ms) VALUES (:id, :id, :created_at_ms)
        ON CONFLICT (id) DO NOTHING
        """,
        {"id": row.account_id, "created_at_ms": row.created_at_ms},
    )
    connection.execute(
        """
        INSERT INTO keys (id, account_id, name, hash, prefix, created_at_ms, disabled, expires_at_ms)
        VALUES (:id, :account_id, :name, :hash, :prefix, :created_at_ms, :disabled, :expires_at_ms)
        """,
        {
            "id": row.id,
            "account_id": row.account_id,
            "name": row.name,
            "hash": hash,
            "prefix": row.prefix,
            "created_at_ms": row.created_at_ms,
            "disabled": row.disabled,
            "expires_at_ms": row.expires_at_ms,
        },
    )


def disable_keys(connection: sqlite3.Connection, name: str) -> list[KeyRow]:
    """Disable the keys with this id, display prefix or name, and list them as they were before."""
    is_named = "WHERE :name IN (keys.id, keys.prefix, keys.name)"
    found = [_key_row(row) for row in connection.execute(f"{_KEYS} {is_named}", {"name": name})]
    connection.execute(f"UPDATE keys SET disabled = TRUE {is_named}", {"name": name})
    return found


_KEYS = """
    SELECT keys.id, keys.account_id, keys.name, keys.prefix, keys.created_at_ms, keys.disabled OR accounts.disabled,
           keys.expires_at_ms, keys.hash
    FROM keys JOIN accounts ON accounts.id = keys.account_id
"""


def _key_row(row: tuple[Any, ...]) -> KeyRow:
    id, account_id, name, prefix, created_at_ms, disabled, expires_at_ms, _ = row
    return KeyRow(id, account_id, name, prefix, created_at_ms, bool(disabled), expires_at_ms)
