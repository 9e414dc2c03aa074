"""Every statement the gateway can run, named. Each takes an open connection; the caller decides the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, Select, func, insert, inspect, select, update

from trunkline.store.schema import ACCOUNTS, ALEMBIC_VERSION, KEYS


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


def find_key(connection: Connection, hash: bytes) -> KeyRow | None:
    """Find a key by its whole hash."""
    row = connection.execute(_KEYS.where(KEYS.c.hash == hash)).one_or_none()
    return None if row is None else _key_row(row)


def find_keys(connection: Connection, hashes: Sequence[bytes]) -> dict[bytes, KeyRow]:
    """Find keys by their whole hashes; those that there are none of are left out."""
    rows = connection.execute(_KEYS.add_columns(KEYS.c.hash).where(KEYS.c.hash.in_(hashes)))
    return {row.hash: _key_row(row) for row in rows}


def list_keys(connection: Connection) -> list[KeyRow]:
    """List all keys, oldest first."""
    return [_key_row(row) for row in connection.execute(_KEYS.order_by(KEYS.c.created_at_ms, KEYS.c.id))]


def count_keys(connection: Connection) -> int:
    """Count the keys, those that are disabled or expired included."""
    return connection.execute(select(func.count()).select_from(KEYS)).scalar_one()


def add_key(connection: Connection, row: KeyRow, hash: bytes) -> None:
    """Add a key and, where it is new, its account."""
    account = {"id": row.account_id, "name": row.account_id, "created_at_ms": row.created_at_ms}
    if connection.execute(select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == row.account_id)).one_or_none() is None:
        connection.execute(insert(ACCOUNTS), account)
    values = {
        "id": row.id,
        "account_id": row.account_id,
        "name": row.name,
        "hash": hash,
        "prefix": row.prefix,
        "created_at_ms": row.created_at_ms,
        "disabled": row.disabled,
        "expires_at_ms": row.expires_at_ms,
    }
    connection.execute(insert(KEYS), values)


def disable_keys(connection: Connection, name: str) -> list[KeyRow]:
    """Disable the keys with this id, display prefix or name, and list them as they were before."""
    is_named = (KEYS.c.id == name) | (KEYS.c.prefix == name) | (KEYS.c.name == name)
    found = [_key_row(row) for row in connection.execute(_KEYS.where(is_named))]
    connection.execute(update(KEYS).where(is_named).values(disabled=True))
    return found


def read_revision(connection: Connection) -> str | None:
    """Read which migration the schema is at; None for a database without tables of ours."""
    if not inspect(connection).has_table(ALEMBIC_VERSION.name):
        return None
    return connection.execute(select(ALEMBIC_VERSION.c.version_num)).scalar_one_or_none()


_KEYS: Select[str, str, str, str, int, bool, bool, int | None] = select(
    KEYS.c.id,
    KEYS.c.account_id,
    KEYS.c.name,
    KEYS.c.prefix,
    KEYS.c.created_at_ms,
    KEYS.c.disabled,
    ACCOUNTS.c.disabled.label("account_disabled"),
    KEYS.c.expires_at_ms,
).join_from(KEYS, ACCOUNTS)


def _key_row(row: Row[str, str, str, str, int, bool, bool, int | None]) -> KeyRow:
    return KeyRow(
        id=row.id,
        account_id=row.account_id,
        name=row.name,
        prefix=row.prefix,
        created_at_ms=row.created_at_ms,
        disabled=row.disabled or row.account_disabled,
        expires_at_ms=row.expires_at_ms,
    )
