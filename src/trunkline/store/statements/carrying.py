"""Statements about months of the ledger that are closed: their charges, put into one entry for each owner and month."""

from __future__ import annotations

from collections import Counter

from trunkline.days import DAY_MS, date_of, day_at, number_of
from trunkline.store.connection import Connection
from trunkline.store.statements.retention import find_horizon


def carry_charges(connection: Connection, limit: int) -> int:
    """Carry some charges of months of which no record is kept any more, those posted first, and count them.

    They are deleted first: of two processes that do this at once each carries only what it deleted itself. A charge is
    left whose record has come since the others of its month were deleted, as from a journal that was long out of reach.
    """
    month_ms = _month_start_ms(find_horizon(connection))
    charges = connection.execute(
        """
        DELETE FROM entries WHERE seq IN (
            SELECT seq FROM entries WHERE kind = 'charge' AND at_ms < ? AND NOT EXISTS (
                SELECT 1 FROM generations WHERE generations.id = entries.charge_of AND generations.created_at_ms < ?
            )
            ORDER BY seq LIMIT ?
        )
        RETURNING debit, at_ms, amount_nano
        """,
        (month_ms, month_ms, limit),
    ).fetchall()
    sums: Counter[tuple[str, int]] = Counter()
    for debit, at_ms, amount_nano in charges:
        sums[debit, _month_start_ms(at_ms)] += amount_nano
    connection.executemany(
        """
        INSERT INTO entries (at_ms, kind, debit, credit, amount_nano, reference, note)
        VALUES (?, 'carry', ?, 'house', ?, ?, ?)
        ON CONFLICT (reference) WHERE reference IS NOT NULL
            DO UPDATE SET amount_nano = entries.amount_nano + excluded.amount_nano
        """,
        [_carried(debit, of_ms, amount_nano) for (debit, of_ms), amount_nano in sums.items()],
    )
    return len(charges)


def _carried(debit: str, month_ms: int, amount_nano: int) -> tuple[object, ...]:
    month = f"{date_of(day_at(month_ms)):%Y-%m}"
    return month_ms, debit, amount_nano, f"carry:{debit}:{month}", f"all charges of {month}"


def _month_start_ms(at_ms: int) -> int:
    return number_of(date_of(day_at(at_ms)).replace(day=1)) * DAY_MS
