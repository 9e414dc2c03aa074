"""Usage × price → cost. The one place where money is computed and rounded; it neither holds nor charges it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from trunkline.catalog.entries import Endpoint
from trunkline.catalog.prices import Price, Rates
from trunkline.money import NANO_PER_USD, NanoUsd
from trunkline.protocol.content import bytes_of, content_tokens, tokens_of
from trunkline.protocol.request import Request
from trunkline.stream.deltas import (
    Arguments,
    Cost,
    Delta,
    Image,
    Reasoning,
    ReasoningSummary,
    Refusal,
    Search,
    Slot,
    Spent,
    Stopped,
    StopReason,
    Text,
    Usage,
)

TOKENS_PER_DRAWN_PICTURE: Final = 1_290
"""Of a picture that nobody counted: what Gemini takes for one of a million pixels."""

Told = Callable[[Endpoint], Request]
"""The request as an endpoint was told it."""

_COUNTED: Final = frozenset({Text, Refusal, Reasoning, ReasoningSummary, Arguments})
NO_FEE: Final = Decimal(0)
_LEEWAY: Final = 16
"""A list's 128,000 may be 131,072, its 1,000,000 may be 1,048,576: the part of a context by which it is exceeded."""


def cost(
    usage: Usage,
    price: Price | None,
    *,
    is_byok: bool = False,
    service_tier: str | None = None,
    bills_as_told: bool = False,
    byok_fee: Decimal = NO_FEE,
) -> Cost:
    """Price one answer.

    Cached and cache-written tokens are counted inside `usage.input_tokens` and priced apart, reasoning likewise inside
    `usage.output_tokens`. `input` and `output` are the token parts, `fees` what is asked for requests, pictures and
    searches. Without a price, and with `bills_as_told` wherever it is told, the total is what the provider says.
    With the client's own provider key the total is the share `byok_fee` of what `upstream` says it cost.
    """
    told = None if usage.upstream_cost_usd is None else nearest_nano(usage.upstream_cost_usd)
    total: NanoUsd | None
    if price is None:
        total, into, out, fees = told, 0, 0, told or 0
    else:
        into, out, fees = _priced(usage, price.only_rates or price.rates_for(usage.input_tokens, service_tier))
        if bills_as_told and told is not None:
            into = min(into, told)
            out = min(out, told - into)
            fees = told - into - out
        total = into + out + fees
    upstream = None
    if is_byok and total is not None:
        upstream, total = total, nearest_nano(total * byok_fee / NANO_PER_USD)
    return Cost(total=total, input=into, output=out, is_byok=is_byok, upstream=upstream, fees=fees, told=told)


def lost(usage: Usage | None, request: Request, endpoint: Endpoint, *, is_byok: bool = False) -> Spent:
    """What an answer that nobody will hear may have cost: its whole input, where the provider had not said."""
    return given_up(usage or Usage(input_tokens=content_tokens(request), estimated=True), endpoint, is_byok=is_byok)


def given_up(usage: Usage, endpoint: Endpoint, *, is_byok: bool = False) -> Spent:
    """What this usage, of an answer that nobody is told, cost."""
    return _spent(Spent(usage), endpoint, is_byok, NO_FEE)


def used(heard: Sequence[Delta], request: Request, endpoint: Endpoint) -> Usage:
    """What an answer had used that broke off after this: what it told, and an estimate of what it did not."""
    meter = Meter(request)
    meter.price([*heard], endpoint)
    meter.close(endpoint)
    assert meter.spent is not None
    return meter.spent.usage


def _priced(usage: Usage, rates: Rates) -> tuple[NanoUsd, NanoUsd, NanoUsd]:
    """What input, output and all else cost."""
    cached, thought = usage.cache_read_tokens, usage.reasoning_tokens
    # Nearly every count is one of text, with some of it from the cache and some of it thought.
    if usage.cache_write_tokens or usage.audio_input_tokens or cached > usage.input_tokens:
        into = _input_parts(usage, rates)
    else:
        into = (usage.input_tokens - cached) * rates.input + cached * rates.cache_read
    if usage.image_output_tokens or thought > usage.output_tokens:
        out = _output_parts(usage, rates)
    else:
        out = thought * rates.reasoning + (usage.output_tokens - thought) * (rates.answer if thought else rates.output)
    pictures = 0 if rates.draws_by_token and usage.image_output_tokens else usage.images
    searches = min(usage.searches, 1) if rates.searches_once else usage.searches
    fees = rates.request + pictures * rates.image_output + searches * rates.search
    if rates.parts == 1:
        return into, out, fees
    return _rounded(into, rates.parts), _rounded(out, rates.parts), _rounded(fees, rates.parts)


def _input_parts(usage: Usage, rates: Rates) -> int:
    # A provider may report more cached tokens than input; the surplus is not charged twice.
    read = min(usage.cache_read_tokens, usage.input_tokens)
    written = min(usage.cache_write_tokens, usage.input_tokens - read)
    kept = min(usage.cache_write_1h_tokens, written)
    fresh = usage.input_tokens - read - written
    audio = min(usage.audio_input_tokens, usage.input_tokens)
    heard = min(audio - min(usage.audio_cached_tokens, audio), fresh)
    # Sound that is neither told to be cached nor fits into what is not must be cached all the same.
    recalled = min(audio - heard, read)
    return (
        (fresh - heard) * rates.input
        + heard * rates.audio_input
        + (read - recalled) * rates.cache_read
        + recalled * rates.audio_cached
        + (written - kept) * rates.cache_write
        + kept * rates.cache_write_1h
    )


def _output_parts(usage: Usage, rates: Rates) -> int:
    drawn = min(usage.image_output_tokens, usage.output_tokens)
    thought = min(usage.reasoning_tokens, usage.output_tokens - drawn)
    said = usage.output_tokens - drawn - thought
    return drawn * rates.image_token + thought * rates.reasoning + said * (rates.answer if thought else rates.output)


def _rounded(amount: int, parts: int) -> NanoUsd:
    """So many parts of a nano-dollar in whole ones; a half goes to the even one."""
    whole, rest = divmod(amount, parts)
    return whole + (2 * rest + (whole & 1) > parts)


def nearest_nano(amount: Decimal) -> NanoUsd:
    """Round an amount in dollars; a half goes to the even nano-dollar."""
    above, below = amount.as_integer_ratio()
    return _rounded(above * NANO_PER_USD, below)


def _is_search_made(said: Search) -> bool:
    """Whether a search of the web has ended that is paid for: to open a page, or look through it, is none."""
    return said.kind == "web" and said.status == "completed" and said.visit is None


def _spent(spent: Spent, endpoint: Endpoint, is_byok: bool, byok_fee: Decimal) -> Spent:
    """What was spent, as far as it can be believed, with its cost."""
    usage, context = spent.usage, endpoint.context_tokens
    if context is not None and (usage.input_tokens > context or usage.output_tokens > context):
        usage = _bounded(usage, context)
    counted = cost(
        usage,
        endpoint.price,
        is_byok=is_byok,
        service_tier=spent.service_tier,
        bills_as_told=endpoint.quirks.bills_as_told,
        byok_fee=byok_fee,
    )
    return Spent(usage, counted, spent.service_tier)


def _bounded(usage: Usage, context: int) -> Usage:
    """A usage that an endpoint can have had: what is beyond its context is a broken count, and no charge.

    A provider that searches reads the conversation anew after each search, and counts it each time.
    """
    most = context * (1 + usage.searches)
    most_believed = most + most // _LEEWAY
    if usage.input_tokens <= most_believed and usage.output_tokens <= most_believed:
        return usage
    read, written = min(usage.input_tokens, most), min(usage.output_tokens, most)
    cached = min(usage.cache_read_tokens, read)
    return replace(
        usage,
        input_tokens=read,
        cache_read_tokens=cached,
        cache_write_tokens=min(usage.cache_write_tokens, read - cached),
        audio_input_tokens=min(usage.audio_input_tokens, read),
        output_tokens=written,
        reasoning_tokens=min(usage.reasoning_tokens, written),
        estimated=True,
    )


def told_within(spent: Spent, most_nano: NanoUsd | None) -> Spent:
    """What a client is told of what was spent: no more than bounds it, whatever it was worth."""
    cost = spent.cost
    if most_nano is None or cost is None or cost.total is None or cost.total <= most_nano:
        return spent
    return Spent(spent.usage, replace(cost, total=most_nano), spent.service_tier)


class Meter:
    """Follows one answer: prices what the provider says was spent, and estimates where it says nothing.

    Theory of operation. A count of the beginning (`Usage.estimated`) says what was read; of what is written after it,
    it knows nothing. So an answer is *counted* once a count of its end is heard. One that ends without, as when its
    client leaves, is closed: input is what was told of it, else what the request holds; output is what was heard, and
    no less than was told. What is heard is only kept until then, so that a token costs no more than keeping it. A count
    of the end that lacks one of both is completed in the same way. Pictures and searches are counted as they are heard.
    """

    __slots__ = (
        "_byok_fee", "_heard", "_heard_bytes", "_is_counted", "_most_nano", "_pictures", "_request", "_searches",
        "_told", "spent", "stop",
    )  # fmt: skip

    def __init__(
        self, request: Request, most_nano: NanoUsd | None = None, byok_fee: Decimal = NO_FEE, told: Told | None = None
    ) -> None:
        """Take the client's request, from which its tokens are estimated should nobody count them.

        `told` gives what an endpoint was told in its place, where that may be less. Its client is told no more than
        `most_nano`, whatever it was worth; `spent` says that.
        """
        self._request = request
        self._told = told
        self._most_nano = most_nano
        self._byok_fee = byok_fee
        self._heard: list[str] = []
        self._heard_bytes = 0
        self._pictures = 0
        self._searches: tuple[Slot, ...] = ()
        self._is_counted = False
        self.spent: Spent | None = None
        self.stop: StopReason | None = None

    def price(self, batch: list[Delta], endpoint: Endpoint, *, is_byok: bool = False) -> list[Delta]:
        """Give the same deltas on, each `Spent` with its cost."""
        heard = self._heard
        for index, delta in enumerate(batch):
            kind = type(delta)
            if kind in _COUNTED:
                heard.append(delta.text)  # type: ignore[union-attr]  # _COUNTED holds those with text
            elif kind is Spent:
                batch[index] = self._note(delta, endpoint, is_byok)  # type: ignore[arg-type]
                self._is_counted = not delta.usage.estimated  # type: ignore[union-attr]  # kind is its type
            elif kind is Stopped:
                self.stop = delta.reason  # type: ignore[union-attr]
            elif kind is Image and delta.final:  # type: ignore[union-attr]
                self._pictures += 1
            elif kind is Search and _is_search_made(delta):  # type: ignore[arg-type]
                self._searches = tuple({*self._searches, delta.slot})  # type: ignore[union-attr]
        return batch

    def count(self, texts: list[str]) -> None:
        """Count texts as `price` counts the deltas that say them."""
        self._heard += texts

    def heard_tokens(self) -> int:
        """Estimate the tokens of the text heard until now."""
        self._heard_bytes += bytes_of("".join(self._heard))
        self._heard.clear()
        return tokens_of(self._heard_bytes)

    def close(self, endpoint: Endpoint, *, is_byok: bool = False) -> list[Delta]:
        """The `Spent` that an answer ends with when nobody counted it to its end."""
        if self._is_counted:
            return []
        self._is_counted = True
        told = Spent(Usage(input_tokens=self._read_tokens(endpoint))) if self.spent is None else self.spent
        usage = told.usage
        pictures = max(self._pictures, usage.images)
        drawn = max(pictures * TOKENS_PER_DRAWN_PICTURE, usage.image_output_tokens)
        usage = replace(
            usage,
            output_tokens=max(self.heard_tokens() + drawn, usage.output_tokens),
            images=pictures,
            image_output_tokens=drawn,
            searches=max(len(self._searches), usage.searches),
            estimated=True,
        )
        return [self._note(Spent(usage, service_tier=told.service_tier), endpoint, is_byok)]

    def _read_tokens(self, endpoint: Endpoint) -> int:
        """Estimate the tokens that an endpoint read."""
        return content_tokens(self._request if self._told is None else self._told(endpoint))

    def _completed(self, spent: Spent, endpoint: Endpoint) -> Spent:
        """A count of the end, with an estimate of the half that it lacks; nothing in both is somebody's word."""
        usage = spent.usage
        if self._pictures > usage.images:
            # Chat servers do not count what they draw.
            usage = replace(usage, images=self._pictures)
            spent = Spent(usage, service_tier=spent.service_tier)
        # Pictures may be all that is counted, and are in no text.
        if bool(usage.input_tokens) == bool(usage.output_tokens) or usage.images or usage.estimated:
            return spent
        if usage.input_tokens:
            heard = self.heard_tokens()
            counted = replace(usage, output_tokens=heard, estimated=True) if heard else usage
        else:
            counted = replace(usage, input_tokens=self._read_tokens(endpoint), estimated=True)
        return Spent(counted, service_tier=spent.service_tier)

    def _note(self, spent: Spent, endpoint: Endpoint, is_byok: bool) -> Spent:
        if self._pictures or not (spent.usage.input_tokens and spent.usage.output_tokens):
            spent = self._completed(spent, endpoint)
        self.spent = spent = _spent(spent, endpoint, is_byok, self._byok_fee)
        return spent if self._most_nano is None else told_within(spent, self._most_nano)
