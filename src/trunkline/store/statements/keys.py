"""Statements about keys. Each takes an open connection; the caller decides the transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trunkline.store.connection import Connection


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as it is kept, with what is kept of its account. `prefix` is for people, to tell keys apart.

    `has_credit`: its account has a budget. Terms are JSON, which `accounts/terms.py` reads.
    """

    id: str
    account_id: str
    name: str
    prefix: str
    created_at_ms: int
    disabled: bool
    expires_at_ms: int | None
    pepper_id: str | None = None
    limit_nano: int | None = None
    limit_reset: str | None = None
    byok_counts: bool = False
    max_cost_nano: int | None = None
    terms: str | None = None
    last_used_ms: int | None = None
    account_disabled: bool = False
    account_terms: str | None = None
    has_credit: bool = False


def find_keys(connection: Connection, hashes: Sequence[bytes]) -> dict[bytes, KeyRow]:
    """Find keys by their whole hashes; those that there are none of are left out."""
    places = ", ".join("?" * len(hashes))
    rows = connection.execute(f"{_KEYS} WHERE keys.hash IN ({places})", tuple(hashes))
    return {row[-1]: _key_row(row) for row in rows}


def list_keys(connection: Connection) -> list[KeyRow]:
    """List all keys, oldest first."""
    return [_key_row(row) for row in connection.execute(f"{_KEYS} ORDER BY keys.created_at_ms, keys.id")]


def keys_named(connection: Connection, name: str) -> list[KeyRow]:
    """List the keys with this id, display prefix or name, oldest first."""
    rows = connection.execute(f"{_KEYS} {_IS_NAMED} ORDER BY keys.created_at_ms, keys.id", {"name": name})
    return [_key_row(row) for row in rows]


def count_keys(connection: Connection) -> int:
    """Count the keys, those that are disabled or expired included."""
    (count,) = connection.execute("SELECT count(*) FROM keys").fetchone()
    return int(count)


def add_key(connection: Connection, row: KeyRow, hash: bytes) -> None:
    """Add a key and, where it is new, its account."""
    connection.execute(
        """
        INSERT INTO accounts (id, name, created_at_ms) VALUES (:id, :id, :created_at_ms)
        ON CONFLICT (id) DO NOTHING
        """,
        {"id": row.account_id, "created_at_ms": row.created_at_ms},
    )
    members = {name: getattr(row, name) for name in _OWN}
    connection.execute(
        f"INSERT INTO keys ({', '.join(_OWN)}, hash) VALUES ({', '.join(f':{name}' for name in _OWN)}, :hash)",
        {**members, "hash": hash},
    )


def has_first_key(connection: Connection, hashes: Sequence[bytes]) -> bool:
    """Whether there is a key with one of these hashes, or without any whether there is a key at all."""
    return bool(find_keys(connection, hashes) if hashes else count_keys(connection))


def add_first_key(connection: Connection, row: KeyRow, hash: bytes, hashes: Sequence[bytes]) -> bool:
    """Add a key unless there is a first one; whether it was added."""
    if connection.dialect == "postgres":  # on SQLite who writes is alone
        connection.execute("LOCK TABLE keys IN SHARE ROW EXCLUSIVE MODE")
    if has_first_key(connection, hashes):
        return False
    add_key(connection, row, hash)
    return True


def lock_key(connection: Connection, id: str) -> None:
    """Keep others from changing a key until the transaction is over; on SQLite whoever writes is alone."""
    if connection.dialect == "postgres":
        connection.execute("SELECT 1 FROM keys WHERE id = ? FOR NO KEY UPDATE", (id,))


def change_key(connection: Connection, id: str, changes: Mapping[str, object]) -> None:
    """Change members of a key: any of `CHANGEABLE`, by its name. Raises ValueError for another."""
    if unknown := changes.keys() - CHANGEABLE:
        raise ValueError(f"no members of a key that may be changed: {sorted(unknown)}")
    if changes:
        assignments = ", ".join(f"{name} = :{name}" for name in changes)
        connection.execute(f"UPDATE keys SET {assignments} WHERE id = :id", {**changes, "id": id})


def disable_keys(connection: Connection, name: str) -> list[KeyRow]:
    """Disable the keys with this id, display prefix or name, and list them as they were before."""
    found = keys_named(connection, name)
    connection.execute(f"UPDATE keys SET disabled = TRUE {_IS_NAMED}", {"name": name})
    return found


def note_keys(
    connection: Connection,
    *,
    used: Iterable[tuple[str, int]],
    renewed: Iterable[tuple[str, bytes, bytes]],
    pepper_id: str,
) -> None:
    """Note when keys were used, by their ids, and keep keys under the present pepper.

    An earlier use than is noted changes nothing. Of a key that is `renewed` come its id, the hash that was found and
    the one it is to have. It stays as it is where it has another by now, having got a new text, or that is there.
    """
    connection.executemany(
        "UPDATE keys SET last_used_ms = :at_ms WHERE id = :id AND (last_used_ms IS NULL OR last_used_ms < :at_ms)",
        [{"id": id, "at_ms": at_ms} for id, at_ms in used],
    )
    connection.executemany(
        """
        UPDATE keys SET hash = :hash, pepper_id = :pepper_id WHERE id = :id AND hash = :found
            AND NOT EXISTS (SELECT 1 FROM keys AS others WHERE others.hash = :hash AND others.id <> :id)
        """,
        [{"id": id, "found": found, "hash": hash, "pepper_id": pepper_id} for id, found, hash in renewed],
    )


_OWN = (
    "id",
    "account_id",
    "name",
    "prefix",
    "created_at_ms",
    "disabled",
    "expires_at_ms",
    "pepper_id",
    "limit_nano",
    "limit_reset",
    "byok_counts",
    "max_cost_nano",
    "terms",
    "last_used_ms",
)
"""The columns of a key itself but for its hash, in the order of `KeyRow`."""

CHANGEABLE = frozenset(_OWN) - {"id", "account_id", "created_at_ms", "last_used_ms"} | {"hash"}

_IS_NAMED = "WHERE :name IN (keys.id, keys.prefix, keys.name)"

_KEYS = f"""
    SELECT {", ".join(f"keys.{name}" for name in _OWN)}, accounts.disabled, accounts.terms, budgets.id IS NOT NULL,
           keys.hash
    FROM keys JOIN accounts ON accounts.id = keys.account_id LEFT JOIN budgets ON budgets.id = keys.account_id
"""


def _key_row(row: tuple[Any, ...]) -> KeyRow:
    found = dict(zip(_OWN, row, strict=False))
    account_disabled, account_terms, has_credit, _ = row[len(_OWN) :]
    for flag in ("disabled", "byok_counts"):
        found[flag] = bool(found[flag])
    return KeyRow(
        **found, account_disabled=bool(account_disabled), account_terms=account_terms, has_credit=bool(has_credit)
    )
