"""Statements about money: budgets, what is held in them, and the entries of the ledger."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from operator import itemgetter
from typing import Any

from trunkline.store.connection import Connection
from trunkline.store.rows import BudgetRow, EntryRow, HoldRow


def find_budgets(connection: Connection, ids: Collection[str]) -> dict[str, BudgetRow]:
    """Find budgets by their ids; those that there are none of are left out."""
    return {row[0]: BudgetRow(*row) for row in select_in(connection, _BUDGETS_OF, ids)}


def lock_budgets(connection: Connection, ids: Collection[str]) -> dict[str, BudgetRow]:
    """Find budgets as `find_budgets` does, and keep all others from changing them until the transaction is over."""
    return {row[0]: BudgetRow(*row) for row in select_in(connection, _BUDGETS_OF, ids, and_on_postgres=_LOCK)}


def add_budgets(connection: Connection, rows: Iterable[BudgetRow]) -> None:
    """Add budgets; one that is there already stays as it is."""
    connection.executemany(
        """
        INSERT INTO budgets (id, credited_nano, charged_nano, held_nano) VALUES (?, ?, ?, ?)
        ON CONFLICT (id) DO NOTHING
        """,
        map(tuple, rows),
    )


def move_budgets(connection: Connection, changes: Iterable[tuple[int, int, str]]) -> None:
    """Change what is charged to budgets and held in them: by how much each, and the id.

    Raises ValueRefused when a budget would be overspent.
    """
    connection.executemany(
        "UPDATE budgets SET charged_nano = charged_nano + ?, held_nano = held_nano + ? WHERE id = ?", changes
    )


def find_holds(connection: Connection, ids: Collection[str]) -> dict[str, HoldRow]:
    """Find holds by their ids; those that there are none of are left out."""
    return {row[0]: HoldRow(*row) for row in select_in(connection, _HOLDS_OF, ids)}


def lock_holds(connection: Connection, ids: Collection[str]) -> dict[str, HoldRow]:
    """Find holds as `find_holds` does, and keep all others from freeing them; to be done before `lock_budgets`."""
    return {row[0]: HoldRow(*row) for row in select_in(connection, _HOLDS_OF, ids, and_on_postgres=_LOCK)}


def add_holds(connection: Connection, rows: Iterable[HoldRow]) -> None:
    """Add holds, and leave the budgets that they name to `move_budgets`."""
    # Of a named tuple the driver takes one value after the other by a call in Python's own terms; of a plain one not.
    connection.executemany("INSERT INTO holds VALUES (?, ?, ?, ?, ?, ?, ?, ?)", map(tuple, rows))


def delete_holds(connection: Connection, ids: Iterable[str]) -> None:
    """Delete holds, and leave the budgets that they name to `move_budgets`."""
    if connection.dialect == "postgres":
        connection.execute("DELETE FROM holds WHERE id = ANY(?)", (list(ids),))
    else:
        connection.executemany("DELETE FROM holds WHERE id = ?", zip(ids))


def list_holds(connection: Connection, boots: Collection[str], limit: int) -> list[HoldRow]:
    """List holds of these boots, or of none that is known, oldest first."""
    rows = select_in(connection, f"{_HOLDS} WHERE boot_id", boots)
    strays = connection.execute(f"{_HOLDS} WHERE boot_id NOT IN (SELECT id FROM boots) LIMIT ?", (limit,))
    return sorted({HoldRow(*row) for row in (*rows, *strays)}, key=lambda row: (row.created_at_ms, row.id))[:limit]


def add_charges(connection: Connection, rows: Iterable[EntryRow]) -> None:
    """Add what requests are charged to the ledger; the database numbers the entries.

    Raises ValueRefused for a second charge of one response.
    """
    connection.executemany(
        "INSERT INTO entries (at_ms, kind, debit, credit, amount_nano, charge_of) VALUES (?, ?, ?, ?, ?, ?)",
        map(_CHARGE, rows),
    )


def select_in(
    connection: Connection, statement: str, values: Collection[str] | Collection[bytes], *, and_on_postgres: str = ""
) -> list[tuple[Any, ...]]:
    """Run a statement that ends with a column's name for the rows where that is one of the values.

    `and_on_postgres` is what it says after that on PostgreSQL alone.

    On SQLite the places are filled up to a power of two with the last value, so that few texts of statements come about
    and the driver's cache of prepared ones holds them all.
    """
    if not values:
        return []
    if connection.dialect == "postgres":
        return connection.execute(f"{statement} = ANY(?) {and_on_postgres}", (list(values),)).fetchall()
    given = tuple(values)
    size = 1 << (len(given) - 1).bit_length()
    return connection.execute(_of_so_many(statement, size), given + given[-1:] * (size - len(given))).fetchall()


@functools.lru_cache(maxsize=64)
def _of_so_many(statement: str, size: int) -> str:
    return f"{statement} IN ({', '.join('?' * size)})"


_CHARGE = itemgetter(*map(EntryRow._fields.index, ("at_ms", "kind", "debit", "credit", "amount_nano", "charge_of")))
_LOCK = "ORDER BY id FOR UPDATE"
"""Locks what is found, in the order of the ids, as everybody does. On SQLite there is one writer at a time."""

_BUDGETS_OF = "SELECT id, credited_nano, charged_nano, held_nano FROM budgets WHERE id"
_HOLDS = """
    SELECT id, account_id, key_id, account_budget, key_budget, amount_nano, boot_id, created_at_ms FROM holds
"""
_HOLDS_OF = f"{_HOLDS} WHERE id"
