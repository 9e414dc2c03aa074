"""What an endpoint asks for, in dollars as lists say it, and in whole parts of a nano-dollar as it is counted with."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Literal

from msgspec import Struct

from trunkline.money import NANO_PER_USD


class PriceTier(Struct, frozen=True, kw_only=True):
    """The prices that hold when the input has more than `above_input_tokens` tokens. USD per token.

    A kind of token without a price of its own here is as much dearer than without the tier as input or output is.
    """

    above_input_tokens: int
    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


class Rates(Struct, frozen=True, kw_only=True):
    """A price as it is counted with: whole parts of a nano-dollar for each token, picture, request and search.

    They hold above `above_input_tokens`. `parts` make a nano-dollar: so many that every rate is exact. `answer` is the
    rate of what was said after a thought. `draws_by_token`: a picture is paid by its tokens where these are told;
    `searches_once`: all searches of a request cost what one does.
    """

    above_input_tokens: int
    parts: int
    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    audio_input: int
    audio_cached: int
    output: int
    reasoning: int
    answer: int
    image_token: int
    request: int
    image_output: int
    search: int
    draws_by_token: bool
    searches_once: bool


class Price(Struct, frozen=True, kw_only=True, dict=True):
    """USD per token, image, request or search. None: not priced apart from the kind it belongs to.

    `image_token` is a token that draws, `image_output` a picture: the picture is paid by its tokens where both it has a
    price for these and the provider tells them. `reasoning_per` answer: where the model thought, all of its output
    costs what thought does. `search_per` request: several searches cost what one does. `service_tiers` say by which
    factor tokens cost more or less in a tier of that name.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasoning: Decimal | None = None
    reasoning_per: Literal["token", "answer"] = "token"
    audio_input: Decimal | None = None
    audio_cached: Decimal | None = None
    image_token: Decimal | None = None
    image_output: Decimal | None = None
    request: Decimal = Decimal(0)
    search: Decimal | None = None
    search_per: Literal["query", "request"] = "query"
    tiers: tuple[PriceTier, ...] = ()
    service_tiers: tuple[tuple[str, Decimal], ...] = ()

    def rates_in(self, service_tier: str | None) -> tuple[Rates, ...]:
        """The rates of each tier, the highest first, and last those that hold from the first token on.

        A service tier without a factor costs what the usual one does.
        """
        rates = self._rates
        return rates[""] if service_tier is None else rates.get(service_tier, rates[""])

    def rates_for(self, input_tokens: int, service_tier: str | None = None) -> Rates:
        """The rates that hold for an input of that size: those of the highest tier that it reaches."""
        rates = self._rates[""] if service_tier is None else self.rates_in(service_tier)
        for each in rates:
            if input_tokens > each.above_input_tokens:
                return each
        return rates[-1]

    @cached_property
    def only_rates(self) -> Rates | None:
        """The rates that hold for every input in every service tier; None where there are others."""
        return None if self.tiers or self.service_tiers else self._rates[""][0]

    @cached_property
    def _rates(self) -> Mapping[str, tuple[Rates, ...]]:
        tiers = sorted(self.tiers, key=lambda tier: tier.above_input_tokens, reverse=True)
        return {
            name: (
                *(self._rates_above(tier, tier.above_input_tokens, Fraction(factor)) for tier in tiers),
                self._rates_above(self, -1, Fraction(factor)),
            )
            for name, factor in (("", Decimal(1)), *self.service_tiers)
        }

    def _rates_above(self, tier: Price | PriceTier, above_input_tokens: int, factor: Fraction) -> Rates:
        usd = {kind: amount * factor for kind, amount in self._of_tokens(tier).items()}
        usd["request"] = Fraction(self.request)
        usd["image_output"] = Fraction(self.image_output or 0)
        usd["search"] = Fraction(self.search or 0)
        nano = {kind: amount * NANO_PER_USD for kind, amount in usd.items()}
        parts = lcm(*(amount.denominator for amount in nano.values()))
        return Rates(
            above_input_tokens=above_input_tokens,
            parts=parts,
            draws_by_token=self.image_token is not None,
            searches_once=self.search_per == "request",
            **{kind: int(amount * parts) for kind, amount in nano.items()},
        )

    def _of_tokens(self, tier: Price | PriceTier) -> dict[str, Fraction]:
        """What each kind of token costs in a tier, in USD."""
        read, written = Fraction(tier.input), Fraction(tier.output)
        # A price of 0 can be no multiple of anything, so that nothing follows for the other kinds from what a tier has.
        read_rise = read / Fraction(self.input) if self.input else _SAME
        write_rise = written / Fraction(self.output) if self.output else _SAME

        def kind(own: Decimal | None, usual: Decimal | None, rise: Fraction, belongs_to: Fraction) -> Fraction:
            if own is not None:
                return Fraction(own)
            return belongs_to if usual is None else Fraction(usual) * rise

        cached = kind(tier.cache_read, self.cache_read, read_rise, read)
        kept = kind(tier.cache_write, self.cache_write, read_rise, read)
        heard = kind(None, self.audio_input, read_rise, read)
        thought = kind(None, self.reasoning, write_rise, written)
        return {
            "input": read,
            "cache_read": cached,
            "cache_write": kept,
            "cache_write_1h": kind(None, self.cache_write_1h, read_rise, kept),
            "audio_input": heard,
            # Whoever has a price for sound takes the same part of it from the cache as of text.
            "audio_cached": kind(None, self.audio_cached, read_rise, cached * heard / read if read else cached),
            "output": written,
            "reasoning": thought,
            "answer": thought if self.reasoning_per == "answer" else written,
            # A picture that is paid apiece is not paid again by its tokens.
            "image_token": kind(None, self.image_token, write_rise, _NOTHING if self.image_output else written),
        }


_SAME = Fraction(1)
_NOTHING = Fraction(0)
