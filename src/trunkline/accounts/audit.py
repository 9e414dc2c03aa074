"""The books checked: whatever is summed up somewhere is compared with what it was summed from.

Nothing is mended here. It is to be run in one transaction that reads, so that the gateway may go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from trunkline.accounts.rerating import worth_at
from trunkline.catalog.price_texts import read_price
from trunkline.money import dollars_of
from trunkline.store.clock import read_clock
from trunkline.store.connection import Connection
from trunkline.store.statements import audits
from trunkline.store.statements.audits import Mismatch
from trunkline.store.statements.pricing import list_priced, list_prices
from trunkline.store.statements.retention import find_horizon

DEAD_MS = 120_000
"""How long a hold may outlive the process that took it."""


class Difference(NamedTuple):
    """One thing that is wrong: in which check, of what, and what it should be. `unit`: usd or count."""

    check: str
    subject: str
    expected: int
    found: int
    unit: str


class Audit(NamedTuple):
    """What was found, and of how many rows."""

    accounts: int
    entries: int
    holds: int
    generations: int
    differences: tuple[Difference, ...]

    @property
    def is_ok(self) -> bool:
        """Whether all sums are right."""
        return not self.differences

    def document(self) -> dict[str, object]:
        """Tell it as `ledger audit` prints it."""
        return {
            "ok": self.is_ok,
            "checked": {
                "accounts": self.accounts,
                "entries": self.entries,
                "holds": self.holds,
                "generations": self.generations,
            },
            "open_holds": self.holds,
            "differences": [_told(difference) for difference in self.differences],
        }


def audit_now(connection: Connection, here_ms: int) -> Audit:
    """Check the books as of now; `here_ms` is what the clock of this machine shows."""
    audits.keep_records(connection)
    # Boots are seen by the store's clock where nodes share it, whatever this machine's is.
    return audit(connection, here_ms if connection.dialect == "sqlite" else read_clock(connection))


def audit(connection: Connection, now_ms: int) -> Audit:
    """Check the books, as of a time by the clock that boots are seen by."""
    audits.keep_records(connection)
    horizon_ms = find_horizon(connection)
    checks: tuple[tuple[str, str, Callable[[], list[Mismatch]]], ...] = (
        ("charged", "usd", lambda: audits.compare_charges(connection, horizon_ms)),
        ("credited", "usd", lambda: audits.compare_credits(connection)),
        ("held", "usd", lambda: audits.compare_holds(connection)),
        ("entries", "usd", lambda: audits.compare_entries(connection, horizon_ms)),
        ("parts", "usd", lambda: audits.compare_parts(connection)),
        ("bearers", "usd", lambda: audits.compare_bearers(connection)),
        ("usage", "count", lambda: audits.compare_usage(connection, horizon_ms)),
        ("dead_holds", "usd", lambda: audits.list_dead_holds(connection, now_ms - DEAD_MS)),
        ("owners", "usd", lambda: audits.compare_owners(connection)),
        ("prices", "count", lambda: audits.list_missing_prices(connection)),
        ("rerated", "usd", lambda: _rerate(connection)),
    )
    differences = tuple(Difference(check, *found, unit) for check, unit, run in checks for found in run())
    count = audits.count_rows
    return Audit(
        accounts=count(connection, "accounts"),
        entries=count(connection, "entries"),
        holds=count(connection, "holds"),
        generations=count(connection, "generations"),
        differences=differences,
    )


def _rerate(connection: Connection) -> list[Mismatch]:
    """Price all records once more; where an endpoint bills what its provider tells, that is what they cost."""
    prices = {id: read_price(text) for id, text in list_prices(connection).items()}
    found = []
    for row in list_priced(connection):
        assert row.price_id is not None
        expected = worth_at(row, prices[row.price_id])
        if row.parts_nano not in (expected, row.told_nano):
            found.append(Mismatch(row.id, expected, row.parts_nano))
    return found


def _told(difference: Difference) -> dict[str, object]:
    expected: object = difference.expected
    found: object = difference.found
    if difference.unit == "usd":
        expected, found = f"{dollars_of(difference.expected):f}", f"{dollars_of(difference.found):f}"
    return {"check": difference.check, "subject": difference.subject, "expected": expected, "found": found}
