"""Which budget a key with a limit spends from: its one, or that of the day, week or month it is.

Pure: what a budget holds is the store's, what is taken from it the writer's.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final, Literal, get_args

from trunkline.days import date_of, day_at

Reset = Literal["daily", "weekly", "monthly"]
RESETS: Final[tuple[str, ...]] = get_args(Reset)
"""When a limit begins anew: at 0:00 UTC, a week on Monday, a month on its first day."""


def period_budget(key_id: str, reset: str | None, at_ms: int) -> str:
    """Name the budget of a limited key at a time: `key_…`, or `key_…@2026-11-26`, the first UTC day of its period."""
    if reset is None:
        return key_id
    return f"{key_id}@{period_start(reset, at_ms).isoformat()}"


def period_start(reset: str, at_ms: int) -> date:
    """The first UTC day of the period that a time is in. Raises ValueError for a reset that there is not."""
    day = date_of(day_at(at_ms))
    match reset:
        case "daily":
            return day
        case "weekly":
            return day - timedelta(days=day.weekday())
        case "monthly":
            return day.replace(day=1)
        case _:
            raise ValueError(f"a limit begins anew {', '.join(RESETS[:-1])} or {RESETS[-1]}, not {reset!r}")
