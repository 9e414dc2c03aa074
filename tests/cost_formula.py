"""What an answer costs, by a second formula: in fractions of a dollar, kind by kind, rounded by Python itself.

It shares nothing with `billing.py` but the meaning of usage and price.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from trunkline.catalog.prices import Price, PriceTier
from trunkline.stream.deltas import Usage

NANO = 10**9


class Parts(NamedTuple):
    """Nano-dollars."""

    total: int
    input: int
    output: int
    fees: int


def parts_of(usage: Usage, price: Price, service_tier: str | None = None) -> Parts:
    """What input, output and all else cost, each rounded half to even."""
    factor = next((Fraction(each) for name, each in price.service_tiers if name == service_tier), Fraction(1))
    reached = [tier for tier in price.tiers if usage.input_tokens > tier.above_input_tokens]
    tier: Price | PriceTier = max(reached, key=lambda each: each.above_input_tokens) if reached else price
    into = round(_input(usage, price, tier) * factor * NANO)
    out = round(_output(usage, price, tier) * factor * NANO)
    fees = round(_fees(usage, price) * NANO)
    return Parts(into + out + fees, into, out, fees)


def dollars(nano: int) -> Decimal:
    """Nano-dollars in dollars."""
    return Decimal(nano) / NANO


def _input(usage: Usage, price: Price, tier: Price | PriceTier) -> Fraction:
    plain = Fraction(tier.input)
    rise = plain / Fraction(price.input) if price.input else Fraction(1)
    cached = _own_or(tier.cache_read, price.cache_read, rise, plain)
    written = _own_or(tier.cache_write, price.cache_write, rise, plain)
    written_1h = _own_or(None, price.cache_write_1h, rise, written)
    audio = _own_or(None, price.audio_input, rise, plain)
    audio_cached = _own_or(None, price.audio_cached, rise, audio * cached / plain if plain else cached)
    # Of every kind so many tokens as there are left, the cache first.
    left = usage.input_tokens
    read = min(usage.cache_read_tokens, left)
    left -= read
    write = min(usage.cache_write_tokens, left)
    left -= write
    hour = min(usage.cache_write_1h_tokens, write)
    sound = min(usage.audio_input_tokens, usage.input_tokens)
    fresh_sound = min(max(sound - usage.audio_cached_tokens, 0), left)
    cached_sound = min(sound - fresh_sound, read)
    return (
        plain * (left - fresh_sound)
        + audio * fresh_sound
        + cached * (read - cached_sound)
        + audio_cached * cached_sound
        + written * (write - hour)
        + written_1h * hour
    )


def _output(usage: Usage, price: Price, tier: Price | PriceTier) -> Fraction:
    plain = Fraction(tier.output)
    rise = plain / Fraction(price.output) if price.output else Fraction(1)
    thinking = _own_or(None, price.reasoning, rise, plain)
    drawing = Fraction(0) if price.image_token is None and price.image_output else plain
    drawing = _own_or(None, price.image_token, rise, drawing)
    drawn = min(usage.image_output_tokens, usage.output_tokens)
    thought = min(usage.reasoning_tokens, usage.output_tokens - drawn)
    said = usage.output_tokens - drawn - thought
    saying = thinking if thought and price.reasoning_per == "answer" else plain
    return saying * said + thinking * thought + drawing * drawn


def _fees(usage: Usage, price: Price) -> Fraction:
    pictures = 0 if usage.image_output_tokens and price.image_token is not None else usage.images
    searches = min(1, usage.searches) if price.search_per == "request" else usage.searches
    return (
        Fraction(price.request) + pictures * Fraction(price.image_output or 0) + searches * Fraction(price.search or 0)
    )


def _own_or(own: Decimal | None, usual: Decimal | None, rise: Fraction, otherwise: Fraction) -> Fraction:
    if own is not None:
        return Fraction(own)
    return otherwise if usual is None else Fraction(usual) * rise
