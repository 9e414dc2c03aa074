"""Which budget is spent from, at the edges of days, weeks and months."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trunkline.accounts.budgets import period_budget


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("reset", "at", "budget"),
    [
        (None, "2026-11-27T12:00:00", "key_a"),
        ("daily", "2026-11-27T00:00:00", "key_a@2026-11-27"),
        ("daily", "2026-11-27T23:59:59.999", "key_a@2026-11-27"),
        ("weekly", "2026-11-22T23:59:59.999", "key_a@2026-11-16"),
        ("weekly", "2026-11-23T00:00:00", "key_a@2026-11-23"),
        ("weekly", "2027-01-01T08:00:00", "key_a@2026-12-28"),
        ("monthly", "2028-02-29T23:59:59.999", "key_a@2028-02-01"),
        ("monthly", "2028-03-01T00:00:00", "key_a@2028-03-01"),
        ("monthly", "1970-01-01T00:00:00", "key_a@1970-01-01"),
    ],
)
def test_a_period_begins_at_midnight_utc_and_a_week_on_monday(reset: str | None, at: str, budget: str) -> None:
    assert period_budget("key_a", reset, ms(at)) == budget


def test_a_reset_that_there_is_not_is_told() -> None:
    with pytest.raises(ValueError, match="a limit begins anew daily, weekly or monthly, not 'yearly'"):
        period_budget("key_a", "yearly", 0)
