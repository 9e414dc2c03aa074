"""Statements about accounts. Each takes an open connection; the caller decides the transaction."""

from __future__ import annotations

from typing import Any

from trunkline.store.connection import Connection
from trunkline.store.rows import AccountRow


def list_accounts(connection: Connection) -> list[AccountRow]:
    """List all accounts, oldest first."""
    return [_account_row(row) for row in connection.execute(f"{_ACCOUNTS} {_ORDER}")]


def accounts_named(connection: Connection, name: str) -> list[AccountRow]:
    """Find the account with this id, else list those with this name, oldest first."""
    found = connection.execute(f"{_ACCOUNTS} WHERE accounts.id = :name", {"name": name}).fetchall()
    if not found:
        found = connection.execute(f"{_ACCOUNTS} WHERE accounts.name = :name {_ORDER}", {"name": name}).fetchall()
    return list(map(_account_row, found))


def lock_account(connection: Connection, id: str) -> None:
    """Keep others from changing an account until the transaction is over; on SQLite whoever writes is alone."""
    if connection.dialect == "postgres":
        connection.execute("SELECT 1 FROM accounts WHERE id = ? FOR NO KEY UPDATE", (id,))


def add_account(connection: Connection, id: str, name: str, created_at_ms: int, terms: str | None) -> None:
    """Add an account without credit."""
    connection.execute(
        "INSERT INTO accounts (id, name, created_at_ms, terms) VALUES (?, ?, ?, ?)", (id, name, created_at_ms, terms)
    )


def change_account(connection: Connection, id: str, disabled: bool, terms: str | None) -> None:
    """Disable or enable an account, and give it other terms."""
    connection.execute("UPDATE accounts SET disabled = ?, terms = ? WHERE id = ?", (disabled, terms, id))


_ORDER = "ORDER BY accounts.created_at_ms, accounts.id"

_ACCOUNTS = """
    SELECT accounts.id, accounts.name, accounts.created_at_ms, accounts.disabled, accounts.terms,
           budgets.credited_nano, budgets.charged_nano, budgets.held_nano,
           (SELECT coalesce(sum(cost_nano), 0) FROM usage_daily WHERE usage_daily.account_id = accounts.id)
    FROM accounts LEFT JOIN budgets ON budgets.id = accounts.id
"""


def _account_row(row: tuple[Any, ...]) -> AccountRow:
    found = AccountRow(*row)
    return found._replace(disabled=bool(found.disabled))
