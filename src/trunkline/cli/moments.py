"""Times as an operator writes them: a while from now, a moment, or days."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final

from trunkline.days import DAY_MS, date_of, number_of
from trunkline.settings.reading import SettingsError

_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_WHILE: Final = re.compile(r"([0-9]{1,9})([smhd])")
_LATEST_MS: Final = 253_402_300_799_000
"""The end of the year 9999, behind which no date can be written."""


def read_expiry(text: str, now_ms: int) -> int:
    """Read `30s`, `15m`, `12h`, `7d` or a moment in RFC 3339 as Unix time in milliseconds, behind now.

    Raises SettingsError.
    """
    if (found := _WHILE.fullmatch(text)) is not None:
        at_ms = now_ms + int(found[1]) * _UNITS_MS[found[2]]
    else:
        at_ms = _read_moment(text)
    if not now_ms < at_ms <= _LATEST_MS:
        raise SettingsError([f"--expires {text}: a key expires later than now, and before the year 10000"])
    return at_ms


def read_day(option: str, text: str) -> int:
    """Read a UTC day as 2026-11-27, as days since 1970 began. Raises SettingsError."""
    try:
        return number_of(date.fromisoformat(text))
    except ValueError:
        raise SettingsError([f"{option} is a day as 2026-11-27, in UTC, not {text!r}"]) from None


def in_order(first: int, last: int) -> tuple[int, int]:
    """The first day and the last one. Raises SettingsError where they are the other way round."""
    if first > last:
        raise SettingsError([f"--from {date_of(first)} is after --to {date_of(last)}"])
    return first, last


def read_days_ms(from_day: str, to_day: str) -> tuple[int, int]:
    """Read two days, both included, as the Unix milliseconds from which they last and before which they end.

    Raises SettingsError.
    """
    first, last = in_order(read_day("--from", from_day), read_day("--to", to_day))
    return first * DAY_MS, (last + 1) * DAY_MS


def _read_moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SettingsError([f"--expires is written as 12h, 7d or 2027-01-31T18:00:00Z, not {text!r}"])
    return int(moment.timestamp() * 1000)
