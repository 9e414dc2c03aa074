"""Days, UTC, and the numbers that they are kept by: how many there were since 1970 began."""

from __future__ import annotations

from datetime import date
from typing import Final

DAY_MS: Final = 86_400_000

_EPOCH: Final = date(1970, 1, 1).toordinal()


def day_at(at_ms: int) -> int:
    """The number of the day that a moment in UTC milliseconds is in."""
    return at_ms // DAY_MS


def date_of(day: int) -> date:
    """The date of the day with a number."""
    return date.fromordinal(day + _EPOCH)


def number_of(day: date) -> int:
    """The number of the day with a date."""
    return day.toordinal() - _EPOCH
