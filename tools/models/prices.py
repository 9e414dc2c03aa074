"""A price as a list says it → a row of ours, and what makers say of how their prices are counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

from msgspec.structs import replace

from trunkline.catalog.rows import MOST_USD_PER_MILLION, PriceRow, TierRow

Json: TypeAlias = Any

MOST_TOKENS: Final = 20_000_000

_CLAUDE: Final = re.compile("anthropic/claude")
_HOUR_TIMES: Final = Decimal(2)
_FIVE_MINUTES_TIMES: Final = Decimal("1.25")

_SEARCHES_ONCE: Final = re.compile(r"google/gemini-[12](\.\d)?-")
_ANSWERS_DEARER: Final = frozenset({"alibaba"})


def counted(price: PriceRow | None, slug: str, provider: str) -> PriceRow | None:
    """Say of a price what its maker says and no list does.

    Claude's cache costs a quarter more than input for five minutes and twice as much for an hour, wherever it is:
    https://platform.claude.com/docs/en/build-with-claude/prompt-caching. Gemini before version 3 takes one fee for all
    searches of a request: https://ai.google.dev/gemini-api/docs/google-search. Where a Qwen model thinks, Alibaba has
    one price for thought and answer: https://www.alibabacloud.com/help/en/model-studio/models (2026-11-27).
    """
    if price is None:
        return None
    if price.cache_write == price.input * _FIVE_MINUTES_TIMES and not price.cache_write_1h and _CLAUDE.match(slug):
        price = replace(price, cache_write_1h=plausible(price.input * _HOUR_TIMES))
    if price.search and _SEARCHES_ONCE.match(slug):
        price = replace(price, search_per="request")
    if price.reasoning and provider in _ANSWERS_DEARER:
        price = replace(price, reasoning_per="answer")
    return price


def price_row(
    *,
    input: Json,
    output: Json,
    tiers: Sequence[Json] = (),
    service_tiers: Mapping[str, Decimal] | None = None,
    **others: Json,
) -> PriceRow | None:
    """Make a price of what a list says, in USD per million tokens; None unless input and output are plausible.

    An implausible part (negative, not a number, beyond all measure, or reading from a cache dearer than not doing so)
    is left out, as if the list had not said it.
    """
    base = plausible(input), plausible(output)
    if base[0] is None or base[1] is None:
        return None
    named = {name: plausible(value) for name, value in others.items()}
    if (read := named.get("cache_read")) is not None and read > base[0]:
        named["cache_read"] = None
    for alike, than in (
        ("reasoning", base[1]),
        ("audio", base[0]),
        ("cache_write_1h", named.get("cache_write")),
        ("image_token", base[1]),
        ("image", Decimal(0)),
        ("search", Decimal(0)),
    ):
        if named.get(alike) == than:
            named[alike] = None
    fields: dict[str, Json] = {
        name: value for name, value in named.items() if value is not None and (value or name != "request")
    }
    return PriceRow(
        input=base[0],
        output=base[1],
        tiers=tuple(_tiers(tiers, base[0])),
        service_tiers=dict(service_tiers or {}),
        **fields,
    )


def _tiers(tiers: Sequence[Json], base: Decimal) -> Iterator[TierRow]:
    above = 0
    for tier in sorted(tiers, key=lambda tier: int(tier["above"])):
        input_usd, output_usd = plausible(tier.get("input")), plausible(tier.get("output"))
        if input_usd is None or output_usd is None or input_usd < base or int(tier["above"]) <= above:
            continue
        above = int(tier["above"])
        read, write = plausible(tier.get("cache_read")), plausible(tier.get("cache_write"))
        yield TierRow(above_input_tokens=above, input=input_usd, output=output_usd, cache_read=read, cache_write=write)


def plausible(value: Json) -> Decimal | None:
    amount = value if isinstance(value, Decimal) else decimal_of(value)
    if amount is None or not 0 <= amount <= MOST_USD_PER_MILLION:
        return None
    # Twelve digits after the point of a single token: what is beyond them is the noise of binary fractions.
    return Decimal(f"{amount.quantize(Decimal('1e-6')).normalize():f}")


def decimal_of(value: Json) -> Decimal | None:
    try:
        amount = None if value is None or isinstance(value, bool | dict | list) else Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() else None


def apiece(value: Json, scale: int = 0) -> Decimal | None:
    amount = decimal_of(value)
    return None if amount is None else amount.scaleb(scale)


def tokens_of(value: Json) -> int | None:
    amount = decimal_of(value)
    return int(amount) if amount is not None and 0 < amount <= MOST_TOKENS else None
