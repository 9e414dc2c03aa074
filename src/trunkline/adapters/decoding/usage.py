"""Token counts as upstreams tell them → one clean Usage.

Does not price anything and does not estimate what was not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from trunkline.protocol.items import Json
from trunkline.stream.deltas import Usage

MAX_COUNT = 2**31 - 1
"""No answer has more; bounds what a broken server can have charged."""

MAX_COST_USD = Decimal(10_000)


def count(value: Json) -> int:
    """Read a count that may be a string, a fraction, negative, huge or no number at all; what is unreadable is 0."""
    if type(value) is int:
        return value if 0 <= value <= MAX_COUNT else min(max(value, 0), MAX_COUNT)
    if not isinstance(value, float | str):
        return 0
    try:
        number = float(value)
    except ValueError:
        return 0
    if not number > 0:
        return 0
    return int(min(number, MAX_COUNT))


def counts_in(told: Json) -> Mapping[str, int]:
    """The counts above 0 that an object holds, by name; none where it is no object."""
    counts: dict[str, int] = {}
    if type(told) is not dict:
        return counts
    for name, value in told.items():
        if type(value) is int and 0 < value <= MAX_COUNT:
            counts[name] = value
        elif value and type(value) is not dict and (number := count(value)):
            counts[name] = number
    return counts


def rest(total: Json, read: int) -> int:
    """What was written where only the total is told beside what was read, else 0; thoughts are in it."""
    return max(count(total) - read, 0) if read else 0


def dollars(value: Json) -> Decimal | None:
    """Read the provider's own figure for its cost in USD; None when it is not a sane amount."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        amount = Decimal(str(value)[:40])
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount <= MAX_COST_USD else None


def clean_usage(
    *,
    read: int,
    cache_read: int = 0,
    cache_write: int = 0,
    written: int,
    reasoning: int = 0,
    audio_read: int = 0,
    images: int = 0,
    searches: int = 0,
    cost: Decimal | None = None,
) -> Usage:
    """Make the vector whose parts never outgrow their whole; `read` and `written` are the wholes."""
    cache_read = min(cache_read, read)
    return Usage(
        input_tokens=read,
        cache_read_tokens=cache_read,
        cache_write_tokens=min(cache_write, read - cache_read),
        output_tokens=written,
        reasoning_tokens=min(reasoning, written),
        audio_input_tokens=min(audio_read, read),
        images=images,
        searches=searches,
        upstream_cost_usd=cost,
    )
