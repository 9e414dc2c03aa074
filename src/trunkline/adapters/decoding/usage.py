"""Token counts as upstreams tell them → one clean Usage.

Does not price anything and does not estimate what was not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import NamedTuple

from trunkline.protocol.items import Json
from trunkline.stream.deltas import Usage

MAX_COUNT = 2**31 - 1
"""No answer has more; bounds what a broken server can have charged."""

MAX_COST_USD = Decimal(10_000)

_NONE: Mapping[str, int] = MappingProxyType({})


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
    if not told or type(told) is not dict:
        return _NONE
    counts: dict[str, int] = {}
    for name, value in told.items():
        if type(value) is int and 0 < value <= MAX_COUNT:
            counts[name] = value
        elif value and type(value) is not dict and (number := count(value)):
            counts[name] = number
    return counts


def only_count(told: Json, name: str) -> int | None:
    """The one count that an object holds, of this name, 0 where it holds none; None where it may hold more."""
    if told is None:
        return 0
    if type(told) is not dict:
        return None
    found = 0
    for each, value in told.items():
        if not value:
            continue
        if each != name or type(value) is not int or not 0 < value <= MAX_COUNT:
            return None
        found = value
    return found


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


_TICKS_PER_USD = Decimal(10) ** 10


def dollars_of_ticks(ticks: int) -> Decimal | None:
    """What xAI tells of the cost of an answer, `cost_in_usd_ticks`, in USD.

    https://docs.x.ai/developers/cost-tracking (2026-11-27).
    """
    return dollars(ticks / _TICKS_PER_USD) if ticks else None


def told_cost(usage: Mapping[str, Json]) -> Decimal | None:
    """What the provider says of the cost, under any name that one of OpenAI's languages has for it."""
    cost = usage.get("cost")
    cost = cost.get("total_cost") if isinstance(cost, dict) else cost or usage.get("estimated_cost")
    if cost is not None:
        return dollars(cost)
    ticks = usage.get("cost_in_usd_ticks")
    return None if ticks is None else dollars_of_ticks(count(ticks))


class Writes(NamedTuple):
    """Tokens written to a cache, and those of them that stay there for an hour."""

    tokens: int
    hour_tokens: int


_NO_WRITES = Writes(0, 0)


def writes(creation: Json) -> Writes:
    """Read Anthropic's `cache_creation`; whoever passes Claude on in another language has it under some name."""
    if not creation:
        return _NO_WRITES
    told = counts_in(creation)
    kept = told.get("ephemeral_1h_input_tokens", 0)
    return Writes(told.get("ephemeral_5m_input_tokens", 0) + kept, kept)


def added(before: Usage, now: Usage) -> Usage:
    """What two rounds of one answer consumed together."""
    return Usage(
        input_tokens=before.input_tokens + now.input_tokens,
        cache_read_tokens=before.cache_read_tokens + now.cache_read_tokens,
        cache_write_tokens=before.cache_write_tokens + now.cache_write_tokens,
        cache_write_1h_tokens=before.cache_write_1h_tokens + now.cache_write_1h_tokens,
        output_tokens=before.output_tokens + now.output_tokens,
        reasoning_tokens=before.reasoning_tokens + now.reasoning_tokens,
        searches=before.searches + now.searches,
    )


def clean_usage(
    *,
    read: int,
    cache_read: int = 0,
    cache_write: int = 0,
    cache_write_1h: int = 0,
    written: int,
    reasoning: int = 0,
    drawn: int = 0,
    audio_read: int = 0,
    audio_cached: int = 0,
    images: int = 0,
    searches: int = 0,
    cost: Decimal | None = None,
) -> Usage:
    """Make the vector whose parts never outgrow their whole; `read` and `written` are the wholes.

    `drawn` are output tokens that are pictures.
    """
    if cache_read > read:
        cache_read = read
    if cache_write > read - cache_read:
        cache_write = read - cache_read
    if drawn > written:
        drawn = written
    if audio_read > read:
        audio_read = read
    return Usage(
        input_tokens=read,
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        cache_write_1h_tokens=cache_write_1h if cache_write_1h < cache_write else cache_write,
        output_tokens=written,
        reasoning_tokens=reasoning if reasoning < written - drawn else written - drawn,
        image_output_tokens=drawn,
        audio_input_tokens=audio_read,
        audio_cached_tokens=min(audio_cached, audio_read, cache_read) if audio_cached else 0,
        images=images,
        searches=searches,
        upstream_cost_usd=cost,
    )
