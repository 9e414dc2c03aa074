"""What a provider says about its rate limits with an answer: how long an endpoint whose limit is used up must rest.

A limit that still has room says nothing here; that a provider refused with 429 is a fault and read elsewhere.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from trunkline.wire import Headers

_PAIRS: Final = (
    # Remaining count and time of refill, as OpenAI and most who speak like it spell them
    # (platform.openai.com/docs/guides/rate-limits, seen 2026-11), as Anthropic does
    # (docs.claude.com/en/api/rate-limits, seen 2026-11), and as the general draft of the IETF does.
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PIECE: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_EPOCH_FROM_S: Final = 1e9
_MAX_LENGTH: Final = 40


def rest_s(headers: Headers, wall_now: float) -> float | None:
    """Seconds until the last used-up limit refills; None when all have room or the headers make no sense.

    `wall_now` is Unix time: some providers tell a moment instead of a duration.
    """
    waits = [
        wait
        for remaining, reset in _PAIRS
        if headers.get(remaining, "").strip() == "0"
        and (wait := _seconds(headers.get(reset, ""), wall_now)) is not None
    ]
    return max(waits, default=None)


def _seconds(text: str, wall_now: float) -> float | None:
    """Read `1m30s`, `20ms`, seconds, Unix seconds or an RFC 3339 moment; None for what is none of these or past."""
    text = text.strip()
    if not text or len(text) > _MAX_LENGTH:
        return None
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(text))
    try:
        number = float(text)
    except ValueError:
        number = _moment(text)
    wait = number - wall_now if number >= _EPOCH_FROM_S else number
    return wait if 0 < wait < _EPOCH_FROM_S else None


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
