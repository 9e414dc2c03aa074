"""What is on record of requests, for the account whose they are: one of them, what days came to, what is left.

Every question is one read transaction, so that the figures of an answer are of one moment. What a record is called on
the wire is `server/records.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from trunkline.accounts.administration import is_unlimited
from trunkline.accounts.budgets import RESETS, period_budget, period_start
from trunkline.accounts.keys import Key
from trunkline.days import DAY_MS, day_at, number_of
from trunkline.errors import NotFound
from trunkline.store.rows import BudgetRow, GenerationRow
from trunkline.store.statements import records
from trunkline.store.statements.accounts import accounts_named
from trunkline.store.statements.records import ActivitySum, Spending
from trunkline.store.writer import Writer

DAYS_BEFORE = 30
"""How many days before today are told where none is named."""

_LONGEST = {"daily": 1, "weekly": 7, "monthly": 31}
"""So many days after a period began the next one has begun, whichever it was."""


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
    spent: Spending
    paid_elsewhere: Spending


class Records:
    """The records in one store. `wall_clock` is Unix time in seconds."""

    def __init__(self, writer: Writer, wall_clock: Callable[[], float]) -> None:
        self._writer = writer
        self._wall_clock = wall_clock

    async def generation(self, id: str, account_id: str) -> GenerationRow | None:
        """The record of a response; None where there is none, and where it is another account's."""
        find = partial(records.find_record, id=id, account_id=account_id)
        found = await self._writer.read(find)
        if found is None and await self._writer.wait_for_others():  # one of them may have told the response
            found = await self._writer.read(find)
        return found

    async def activity(self, account_id: str, day: int | None = None) -> list[ActivitySum]:
        """What an account's requests came to: on one day, or today and on the days before."""
        today = day_at(self._now_ms())
        from_day, to_day = (today - DAYS_BEFORE, today) if day is None else (day, day)
        return await self._writer.read(
            partial(records.list_activity, account_id=account_id, from_day=from_day, to_day=to_day)
        )

    async def credits(self, account_id: str) -> Credits:
        """What an account may spend in all, and what it has spent. Raises NotFound for one that was deleted."""
        found = await self._writer.read(partial(accounts_named, name=account_id))
        account = next((each for each in found if each.id == account_id), None)
        if account is None:
            raise NotFound("This account is not in the store any more.")
        if is_unlimited(account):
            return Credits(0, account.cost_nano)
        return Credits(account.credited_nano or 0, account.charged_nano or 0)

    async def standing(self, key: Key) -> Standing:
        """How a key stands now."""
        now_ms = self._now_ms()
        daily, weekly, monthly = (number_of(period_start(reset, now_ms)) for reset in RESETS)
        budget, spent, paid = await self._writer.read(
            partial(
                records.find_key_figures,
                key_id=key.id,
                budget=None if key.limit_nano is None else period_budget(key.id, key.limit_reset, now_ms),
                since=(daily, weekly, monthly),
            )
        )
        return Standing(_limit(key, budget, now_ms), spent, paid)

    def _now_ms(self) -> int:
        return int(self._wall_clock() * 1000)


def _limit(key: Key, budget: BudgetRow | None, now_ms: int) -> Limit | None:
    if key.limit_nano is None:
        return None
    gone = 0 if budget is None else min(budget.charged_nano + budget.held_nano, key.limit_nano)
    reset = key.limit_reset
    return Limit(key.limit_nano, gone, reset, None if reset is None else _begins_anew(reset, now_ms))


def _begins_anew(reset: str, now_ms: int) -> int:
    late = number_of(period_start(reset, now_ms)) + _LONGEST[reset]
    return number_of(period_start(reset, late * DAY_MS))
