"""Times as an operator writes them: a while from now, or a moment."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

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


def _read_moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SettingsError([f"--expires is written as 12h, 7d or 2027-01-31T18:00:00Z, not {text!r}"])
    return int(moment.timestamp() * 1000)
