"""Statements about what budgets are given: credit of accounts, limits of keys, and the entries of an account."""

from __future__ import annotations

from trunkline import failpoints
from trunkline.store.connection import Connection
from trunkline.store.rows import EntryRow

ALL = 2**62
"""A limit that there is none."""


def find_posting(connection: Connection, reference: str) -> EntryRow | None:
    """Find the entry that has a reference."""
    row = connection.execute(f"{_ENTRIES} WHERE reference = ?", (reference,)).fetchone()
    return None if row is None else EntryRow(*row)


def post_credit(connection: Connection, entry: EntryRow, owner: str) -> int:
    """Post an entry that gives to an account, or takes from it, with its budget; the entry's number.

    Raises ValueRefused where the budget would be overspent, or the reference is there already.
    """
    [(seq,)] = connection.execute(
        """
        INSERT INTO entries (at_ms, kind, debit, credit, amount_nano, charge_of, reference, actor, note)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq
        """,
        entry[1:],
    ).fetchall()
    failpoints.reach("topup.entered")
    change = entry.amount_nano if entry.credit == owner else -entry.amount_nano
    connection.execute("UPDATE budgets SET credited_nano = credited_nano + ? WHERE id = ?", (change, owner))
    return int(seq)


def open_budget(connection: Connection, id: str) -> None:
    """Make the budget of an account, with nothing in it; one that is there stays as it is."""
    connection.execute("INSERT INTO budgets (id, credited_nano) VALUES (?, 0) ON CONFLICT (id) DO NOTHING", (id,))


def fit_budget(connection: Connection, id: str, credited_nano: int) -> None:
    """Make the budget of a limited key what its limit is now, and at least what is charged to it and held in it.

    It is made where it is not there yet: else a process that knows the limit of before would.
    """
    connection.execute(
        """
        INSERT INTO budgets (id, credited_nano) VALUES (:id, :credited)
        ON CONFLICT (id) DO UPDATE SET credited_nano = CASE
            WHEN excluded.credited_nano > budgets.charged_nano + budgets.held_nano THEN excluded.credited_nano
            ELSE budgets.charged_nano + budgets.held_nano END
        """,
        {"id": id, "credited": credited_nano},
    )


def list_entries(connection: Connection, account_id: str | None, after: int = 0, limit: int = ALL) -> list[EntryRow]:
    """List entries in their order: of one account and its keys, or all; behind one, at most so many."""
    if account_id is None:
        rows = connection.execute(f"{_ENTRIES} WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
        return [EntryRow(*row) for row in rows]
    # SQLite goes first through what stands first in a CROSS JOIN; PostgreSQL, which allows no ON there, finds it out.
    statement = _OF_ACCOUNT.format(join="CROSS JOIN" if connection.dialect == "sqlite" else "JOIN")
    rows = connection.execute(statement, {"account_id": account_id, "after": after, "limit": limit})
    return [EntryRow(*row) for row in rows]


_ENTRIES = "SELECT seq, at_ms, kind, debit, credit, amount_nano, charge_of, reference, actor, note FROM entries"

# A key's budgets are its id, alone or with an @ and a day; A is the character after @. The keys are gone through first
# and their entries found by the index; UNION leaves out what is found twice. The index on `credit` has no house.
_OF_ACCOUNT = f"""
    {_ENTRIES} WHERE debit = :account_id AND seq > :after
    UNION {_ENTRIES} WHERE credit = :account_id AND credit <> 'house' AND seq > :after
    UNION SELECT seq, at_ms, kind, debit, credit, amount_nano, charge_of, reference, actor, note
        FROM keys {{join}} entries
            ON entries.debit = keys.id OR (entries.debit > keys.id || '@' AND entries.debit < keys.id || 'A')
        WHERE keys.account_id = :account_id AND seq > :after
    ORDER BY seq LIMIT :limit
"""
