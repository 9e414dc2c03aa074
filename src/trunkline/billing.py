"""Usage × price → cost. The one place where money is computed and rounded; it neither holds nor charges it."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from trunkline.catalog.entries import Endpoint, Price, Rates
from trunkline.money import NANO_PER_USD, NanoUsd
from trunkline.stream.deltas import (
    Arguments,
    Cost,
    Delta,
    Reasoning,
    ReasoningSummary,
    Refusal,
    Spent,
    Text,
    Usage,
)

BYTES_PER_TOKEN = 4
"""The usual size of a token of English text; only for estimates, which are marked as such."""

_COUNTED = frozenset({Text, Refusal, Reasoning, ReasoningSummary, Arguments})


def cost(usage: Usage, price: Price | None, *, is_byok: bool = False) -> Cost:
    """Price one answer.

    Cached and cache-written tokens are counted inside `usage.input_tokens` and priced apart, reasoning likewise inside
    `usage.output_tokens`. `input` and `output` are the token parts; request, image and search fees are in `total` only.
    Without a price `total` is what the provider says it was, or None. With the client's own provider key `total` is 0
    and `upstream` says what it cost.
    """
    total: NanoUsd | None
    told = None if usage.upstream_cost_usd is None else _rounded_usd(usage.upstream_cost_usd)
    if price is None:
        total, into, out, fees = told, 0, 0, told or 0
    else:
        # Those of the highest tier that the input reaches; the last hold from the first token on.
        for rates in price.rates:
            if usage.input_tokens > rates.above_input_tokens:
                break
        into, out = _input_parts(usage, rates), _output_parts(usage, rates)
        fees = rates.request + usage.images * rates.image_output + usage.searches * rates.search
        if rates.parts != 1:
            into, out, fees = (_rounded(each, rates.parts) for each in (into, out, fees))
        total = into + out + fees
    if is_byok and total is not None:
        return Cost(total=0, input=into, output=out, is_byok=True, upstream=total, fees=fees, told=told)
    return Cost(total=total, input=into, output=out, is_byok=is_byok, fees=fees, told=told)


def lost(usage: Usage | None, input_bytes: int, endpoint: Endpoint) -> Spent:
    """What an answer that nobody will hear may have cost: its whole input, where the provider had not said."""
    usage = usage or Usage(input_tokens=_tokens(input_bytes), estimated=True)
    return Spent(usage, cost(usage, endpoint.price))


def _input_parts(usage: Usage, rates: Rates) -> int:
    if not (usage.cache_read_tokens or usage.cache_write_tokens or usage.audio_input_tokens):
        return usage.input_tokens * rates.input
    # A provider may report more cached tokens than input; the surplus is not charged twice.
    read = min(usage.cache_read_tokens, usage.input_tokens)
    written = min(usage.cache_write_tokens, usage.input_tokens - read)
    audio = min(usage.audio_input_tokens, usage.input_tokens - read - written)
    plain = usage.input_tokens - read - written - audio
    return plain * rates.input + read * rates.cache_read + written * rates.cache_write + audio * rates.audio_input


def _output_parts(usage: Usage, rates: Rates) -> int:
    if not usage.reasoning_tokens:
        return usage.output_tokens * rates.output
    thought = min(usage.reasoning_tokens, usage.output_tokens)
    return (usage.output_tokens - thought) * rates.output + thought * rates.reasoning


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)


def _rounded(amount: int, parts: int) -> NanoUsd:
    """So many parts of a nano-dollar in whole ones; a half goes to the even one."""
    whole, rest = divmod(amount, parts)
    return whole + (2 * rest + (whole & 1) > parts)


def _rounded_usd(amount: Decimal) -> NanoUsd:
    above, below = amount.as_integer_ratio()
    return _rounded(above * NANO_PER_USD, below)


class Meter:
    """Follows one answer: prices what the provider says was spent, and estimates where it says nothing."""

    __slots__ = ("_characters", "_input_bytes", "_is_counted", "spent")

    def __init__(self, input_bytes: int) -> None:
        """Take the size of the client's request, from which its tokens are estimated should nobody count them."""
        self._input_bytes = input_bytes
        self._characters = 0
        self._is_counted = False
        self.spent: Spent | None = None

    def price(self, batch: list[Delta], endpoint: Endpoint) -> list[Delta]:
        """Give the same deltas on, each `Spent` with its cost."""
        characters = 0
        for index, delta in enumerate(batch):
            kind = type(delta)
            if kind in _COUNTED:
                characters += len(delta.text)  # type: ignore[union-attr]  # _COUNTED holds those with text
            elif kind is Spent:
                batch[index] = spent = self._note(delta, endpoint)  # type: ignore[arg-type]  # kind is its type
                self._is_counted = not spent.usage.estimated
        self._characters += characters
        return batch

    def count(self, texts: list[str]) -> None:
        """Count texts as `price` counts the deltas that say them."""
        for text in texts:  # nearly always one
            self._characters += len(text)

    def close(self, endpoint: Endpoint) -> list[Delta]:
        """The `Spent` that an answer ends with when nobody counted it to its end.

        A count of the beginning says what was read; of what was written after it, it knows nothing.
        """
        if self._is_counted:
            return []
        self._is_counted = True
        heard = _tokens(self._characters)
        if self.spent is None:
            usage = Usage(input_tokens=_tokens(self._input_bytes), output_tokens=heard, estimated=True)
            return [self._note(Spent(usage), endpoint)]
        told = self.spent.usage
        usage = replace(told, output_tokens=max(told.output_tokens, heard))
        return [self._note(Spent(usage, service_tier=self.spent.service_tier), endpoint)]

    def _note(self, spent: Spent, endpoint: Endpoint) -> Spent:
        self.spent = Spent(spent.usage, cost(spent.usage, endpoint.price), spent.service_tier)
        return self.spent
