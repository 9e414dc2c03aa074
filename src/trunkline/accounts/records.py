"""What is on record of requests, for the account whose they are: one of them, what days came to, what is left.

Every question is one read transaction, so that the figures of an answer are of one moment. What a record is called on
the wire is `server/records.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import NamedTuple

from trunkline.accounts.budgets import RESETS, period_budget, period_start
from trunkline.errors import NotFound
from trunkline.store.batch import DAY_MS
from trunkline.store.database import Database
from trunkline.store.rows import GenerationRow
from trunkline.store.statements import records
from trunkline.store.statements.records import ActivitySum, KeyFigures, Spending

DAYS_BEFORE = 30
"""How many days before today are told where none is named."""

_LONGEST = {"daily": 1, "weekly": 7, "monthly": 31}
"""So many days after a period began the next one has begun, whichever it was."""

_EPOCH = date(1970, 1, 1).toordinal()


class Credits(NamedTuple):
    """What an account was credited, 0 for one without limit, and what its requests cost."""

    credited_nano: int
    used_nano: int


class Limit(NamedTuple):
    """A key's limit in its present period. `spent_nano` is what is charged and held of it, never above the limit.

    `begins_anew` is the first day of the next period, in days since 1970 began; None for a limit that is for good.
    """

    amount_nano: int
    spent_nano: int
    reset: str | None
    begins_anew: int | None


class Standing(NamedTuple):
    """How a key stands: its limit, if it has one, what it spent, and what its account's own provider keys paid."""

    limit: Limit | None
    byok_counts: bool
    spent: Spending
    paid_elsewhere: Spending


def number_of(day: date) -> int:
    """A day as sums are kept by it: since 1970 began."""
    return day.toordinal() - _EPOCH


def day_of(number: int) -> date:
    """The day that such a number stands for."""
    return date.fromordinal(number + _EPOCH)


class Records:
    """The records in one store. `wall_clock` is Unix time in seconds."""

    def __init__(self, database: Database, wall_clock: Callable[[], float]) -> None:
        self._database = database
        self._wall_clock = wall_clock

    async def generation(self, id: str, account_id: str) -> GenerationRow | None:
        """The record of a response; None where there is none, and where it is another account's."""
        return await self._database.read(partial(records.find_record, id=id, account_id=account_id))

    async def activity(self, account_id: str, day: int | None = None) -> list[ActivitySum]:
        """What an account's requests came to: on one day, or today and on the days before."""
        today = self._now_ms() // DAY_MS
        from_day, to_day = (today - DAYS_BEFORE, today) if day is None else (day, day)
        return await self._database.read(
            partial(records.list_activity, account_id=account_id, from_day=from_day, to_day=to_day)
        )

    async def credits(self, account_id: str) -> Credits:
        """What an account may spend in all, and what it has spent."""
        budget, cost_nano = await self._database.read(partial(records.find_credits, account_id=account_id))
        return Credits(0, cost_nano) if budget is None else Credits(budget.credited_nano, budget.charged_nano)

    async def standing(self, key_id: str) -> Standing:
        """How a key stands now. Raises NotFound for one that was deleted."""
        now_ms = self._now_ms()
        budgets = {reset: period_budget(key_id, reset, now_ms) for reset in (None, *RESETS)}
        daily, weekly, monthly = (number_of(period_start(reset, now_ms)) for reset in RESETS)
        found = await self._database.read(
            partial(records.find_key_figures, key_id=key_id, budgets=budgets, since=(daily, weekly, monthly))
        )
        if found is None:
            raise NotFound("This key is not in the store any more.")
        return Standing(_limit(found, now_ms), found.byok_counts, found.spent, found.paid_elsewhere)

    def _now_ms(self) -> int:
        return int(self._wall_clock() * 1000)


def _limit(found: KeyFigures, now_ms: int) -> Limit | None:
    if found.limit_nano is None:
        return None
    budget, reset = found.budget, found.limit_reset
    gone = 0 if budget is None else min(budget.charged_nano + budget.held_nano, found.limit_nano)
    return Limit(found.limit_nano, gone, reset, None if reset is None else _begins_anew(reset, now_ms))


def _begins_anew(reset: str, now_ms: int) -> int:
    late = number_of(period_start(reset, now_ms)) + _LONGEST[reset]
    return number_of(period_start(reset, late * DAY_MS))
