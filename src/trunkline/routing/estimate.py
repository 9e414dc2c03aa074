"""What a request may cost at the most, before anybody is asked: what is held for it, and how much a smaller sum buys.

Bounds, not guesses: nobody counts tokens here. A provider that reads or writes more than a bound is paid by the house.
Who holds, and what of, is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from trunkline.catalog.abilities import searches_unasked, takes_marks
from trunkline.catalog.entries import Endpoint
from trunkline.catalog.prices import Price, Rates
from trunkline.money import NANO_PER_USD, NanoUsd, dollars_of
from trunkline.protocol.content import TOKENS_PER_FILM_SECOND
from trunkline.protocol.data_urls import is_data_url
from trunkline.protocol.file_types import is_text, kind_of
from trunkline.protocol.items import InputAudio, InputFile, InputImage, InputVideo
from trunkline.protocol.marking import wants_hour
from trunkline.protocol.opaque import AnthropicItem, ServerItem, leaves_of
from trunkline.protocol.places import Media, placed_media
from trunkline.protocol.request import Request, search_of
from trunkline.routing.plan import Plan
from trunkline.settings.sections import BillingSettings

MOST_NANO: Final[NanoUsd] = 10**18
"""No amount is larger: a thousand million dollars, which no credit reaches."""

MOST_TOKENS: Final = 10**9
"""No answer is longer."""

_ALL: Final = Decimal(1)
_SOUND_BYTES_PER_S: Final = {"wav": 16_000, "aiff": 16_000, "flac": 16_000}
_PACKED_SOUND_BYTES_PER_S: Final = 4_000
"""Rather too few than too many: speech of one voice, sampled as coarsely as anybody does."""

_FILM_BYTES_PER_S: Final = 60_000
_ROUNDED_NANO: Final = 2
_MOST_PICTURES: Final = 10
_PICTURE_TOKENS: Final = 6_500
"""The largest picture that is made of tokens: https://platform.openai.com/docs/guides/image-generation, 2026-11-27."""


class Ceiling(NamedTuple):
    """The most that one endpoint may ask for an answer, by its length.

    `fixed_nano` is what it costs however short it is; `parts` of `rate` make a nano-dollar for each of its tokens, of
    which there are at most `most_tokens`. With less than `floor_tokens` it is of no use. `is_open`: nobody knows how
    much the endpoint may write, and `most_tokens` holds as long as it is told no limit.
    """

    fixed_nano: NanoUsd
    rate: int
    parts: int
    most_tokens: int
    floor_tokens: int
    is_open: bool = False

    def cost(self, output_tokens: int) -> NanoUsd:
        """What an answer of so many tokens may cost."""
        tokens = output_tokens if output_tokens < self.most_tokens else self.most_tokens
        cost = self.fixed_nano - (-tokens * self.rate // self.parts)
        return cost if cost < MOST_NANO else MOST_NANO

    def shared(self, share: Decimal) -> Ceiling:
        """The ceiling of a fee that is a share of the price, which is rounded before and after."""
        above, below = share.as_integer_ratio()
        fixed_nano = _share(self.fixed_nano * above, below) + _ROUNDED_NANO
        return self._replace(fixed_nano=fixed_nano, rate=self.rate * above, parts=self.parts * below)

    def tokens_for(self, amount: NanoUsd) -> int:
        """How many tokens an amount buys; less than none where it does not pay for what was read."""
        left = amount - self.fixed_nano
        if left < 0:
            return -1
        if not self.rate:
            return MOST_TOKENS if self.is_open else self.most_tokens
        tokens = left * self.parts // self.rate
        return tokens if self.is_open else min(tokens, self.most_tokens)


class Estimate(Struct, frozen=True, gc=False):
    """What a request may cost at those of its endpoints that are charged.

    `ceilings` are theirs, of every tier of prices that the input may reach; there is none where the client's own keys
    pay for all, and that neither costs a fee nor counts. `unpriced_nano` is held where an endpoint has no price.
    `asked_tokens`: the limit that is insisted on. Without `is_charged` it all only counts, and no account is charged.
    """

    input_tokens: int
    asked_tokens: int | None
    ceilings: tuple[Ceiling, ...]
    unpriced_nano: NanoUsd
    least_tokens: int
    is_charged: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be held."""
        return not self.ceilings and not self.unpriced_nano

    @property
    def wanted_nano(self) -> NanoUsd:
        """The worst case."""
        most = self.unpriced_nano
        for each in self.ceilings:
            if (cost := each.cost(each.most_tokens)) > most:
                most = cost
        return most

    @property
    def floor_nano(self) -> NanoUsd:
        """The least to be held: all that the client asked for, or where it named no limit an answer that is of use."""
        if self.asked_tokens is not None:
            return self.wanted_nano
        return max([*(each.cost(each.floor_tokens) for each in self.ceilings), self.unpriced_nano])

    @property
    def floor_tokens(self) -> int:
        """How many tokens of answer `floor_nano` pays for."""
        if self.asked_tokens is not None:
            return self.asked_tokens
        return max([min(each.floor_tokens, each.most_tokens) for each in self.ceilings], default=0)

    @property
    def output_tokens(self) -> int:
        """How many tokens of answer `wanted_nano` pays for."""
        return max([each.most_tokens for each in self.ceilings], default=0)

    @property
    def least_nano(self) -> NanoUsd:
        """What a cap on the cost has to leave room for: what was read, and a few tokens. No price, no cost to cap."""
        return max([each.cost(self.least_tokens) for each in self.ceilings], default=0)

    def tokens_for(self, amount: NanoUsd) -> int | None:
        """The longest answer that an amount surely pays for, whoever gives it; None where it pays for any."""
        bought = [(each.tokens_for(amount), each.most_tokens) for each in self.ceilings]
        if all(tokens >= most for tokens, most in bought):
            return None
        # One that is open writes as much as it is told once somebody is told something.
        told = [
            tokens for (tokens, most), each in zip(bought, self.ceilings, strict=True) if tokens < most or each.is_open
        ]
        return max(min(told), 0)


class _Size(NamedTuple):
    """The bound of an input: all its tokens, and which of them are sound."""

    tokens: int
    sound_tokens: int


def estimate(
    plan: Plan, request: Request, body_bytes: int, bounds: BillingSettings, *, counts_own: bool = False
) -> Estimate:
    """Work out what a request of so many bytes may cost, with what the client's own keys pay where that `counts_own`.

    Of its plan those endpoints count that are asked while each before them fails: as many as there are attempts, and
    the first of each further model for which one of these is kept.
    """
    size = _size(request, body_bytes, bounds)
    ceilings: list[Ceiling] = []
    unpriced_nano = input_tokens = 0
    has_own = True in plan.is_byok
    of_own = Decimal(str(bounds.byok_fee)) + counts_own if has_own else _ALL
    for endpoint, share in _charged(plan, of_own):
        read = _within(size, endpoint)
        if read.tokens > input_tokens:
            input_tokens = read.tokens
        if endpoint.price is None:
            unpriced_nano = max(unpriced_nano, int(bounds.unpriced_hold * NANO_PER_USD * share))
            continue
        found = _ceilings(endpoint.price, read, request, endpoint, bounds)
        ceilings += found if share is _ALL or share == _ALL else [each.shared(share) for each in found]
    return Estimate(
        input_tokens=input_tokens,
        asked_tokens=None if request.limit_is_wish else request.max_output_tokens,
        ceilings=tuple(ceilings),
        unpriced_nano=unpriced_nano,
        least_tokens=bounds.floor_tokens,
        is_charged=not has_own or not all(plan.is_byok) or bounds.byok_fee > 0,
    )


def with_fees(found: Estimate, nano: NanoUsd) -> Estimate:
    """The estimate with what is paid beside the model, whoever pays for that."""
    if not nano:
        return found
    ceilings = [each._replace(fixed_nano=min(each.fixed_nano + nano, MOST_NANO)) for each in found.ceilings]
    return replace(
        found,
        ceilings=tuple(ceilings) or (Ceiling(nano, 0, 1, 0, 0),),
        unpriced_nano=found.unpriced_nano and found.unpriced_nano + nano,
        is_charged=True,
    )


def either(one: Estimate, other: Estimate) -> Estimate:
    """The estimate of a request that is asked in one of two forms."""
    return replace(
        one,
        input_tokens=max(one.input_tokens, other.input_tokens),
        ceilings=(*one.ceilings, *other.ceilings),
        unpriced_nano=max(one.unpriced_nano, other.unpriced_nano),
    )


def input_bound(request: Request, body_bytes: int, bounds: BillingSettings) -> int:
    """How many tokens a request of so many bytes may hold, whoever reads it and whoever pays."""
    return _size(request, body_bytes, bounds).tokens


def estimate_as_json(estimate: Estimate) -> dict[str, object]:
    """Put an estimate into plain values that JSON can hold: what it counts with, and what would be held, in USD."""
    return {
        "input_tokens": estimate.input_tokens,
        "output_tokens": estimate.output_tokens,
        "wanted_usd": float(dollars_of(estimate.wanted_nano)),
        "least_usd": float(dollars_of(estimate.floor_nano)),
    }


def _charged(plan: Plan, of_own: Decimal) -> Iterable[tuple[Endpoint, Decimal]]:
    """The endpoints that may cost something, each with the share of its price: `of_own` with the client's own key."""
    if of_own is _ALL and len(plan.attempts) <= plan.max_attempts:
        return [(endpoint, _ALL) for endpoint in plan.attempts]
    return _charged_of_many(plan, of_own)


def _charged_of_many(plan: Plan, of_own: Decimal) -> Iterator[tuple[Endpoint, Decimal]]:
    models: set[str] = set()
    for place, endpoint in enumerate(plan.attempts):
        slug = endpoint.model.slug
        is_later = place >= plan.max_attempts
        if is_later and (slug in models or len(models) >= plan.max_attempts or plan.partition == "none"):
            continue
        models.add(slug)
        share = of_own if plan.is_byok and plan.is_byok[place] else _ALL
        if share:
            yield endpoint, share


# Input


def _size(request: Request, body_bytes: int, bounds: BillingSettings) -> _Size:
    """The bound of a request's input. What stands around its texts counts as text; base64 does not."""
    if request.is_text_alone:
        return _Size(_share(body_bytes, bounds.text_bytes_per_token), 0)
    tokens = sound_tokens = inline_bytes = 0
    for part, *_ in placed_media(request):
        packed_bytes = _inline_bytes(part)
        inline_bytes += packed_bytes
        if (form := _sound_form(part)) is not None:
            sound_tokens += _seconds(packed_bytes, form) * bounds.audio_tokens_per_second
        else:
            tokens += _media_tokens(part, packed_bytes, bounds)
    if request.has_extensions:
        opaque = (item for item in request.input if isinstance(item, ServerItem | AnthropicItem))
        told = (leaf for item in opaque for leaf in leaves_of(item))
        screens = [len(leaf) for leaf in told if isinstance(leaf, str) and is_data_url(leaf)]
        inline_bytes += sum(screens)
        tokens += len(screens) * bounds.tokens_per_image
    text_tokens = _share(max(body_bytes - inline_bytes, 0), bounds.text_bytes_per_token)
    return _Size(text_tokens + tokens + sound_tokens, sound_tokens)


def _media_tokens(part: Media, packed_bytes: int, bounds: BillingSettings) -> int:
    if not isinstance(part, InputFile | InputVideo):
        return bounds.tokens_per_image
    if not packed_bytes:
        return bounds.linked_file_tokens
    kind = "video/" if isinstance(part, InputVideo) else kind_of(part)
    size = packed_bytes * 3 // 4
    if kind.startswith("image/"):
        return bounds.tokens_per_image
    if kind.startswith("video/"):
        return (size // _FILM_BYTES_PER_S + 1) * TOKENS_PER_FILM_SECOND
    return _share(size, bounds.text_bytes_per_token if is_text(kind) else bounds.file_bytes_per_token)


def _sound_form(part: Media) -> str | None:
    """How sound is packed; None for what is none."""
    if isinstance(part, InputAudio):
        return part.format
    kind = kind_of(part) if isinstance(part, InputFile) else ""
    return kind.removeprefix("audio/").removeprefix("x-") if kind.startswith("audio/") else None


def _seconds(packed_bytes: int, form: str) -> int:
    return packed_bytes * 3 // 4 // _SOUND_BYTES_PER_S.get(form, _PACKED_SOUND_BYTES_PER_S) + 1


def _inline_bytes(part: Media) -> int:
    """How much of the request's body a part takes that is base64."""
    match part:
        case InputAudio(data=data):
            return len(data)
        case InputFile(file_data=data, file_url=url):
            source = data or url or ""
            return 0 if not data and not is_data_url(source) else len(source)
        case InputImage(image_url=url) | InputVideo(video_url=url):
            return len(url) if is_data_url(url) else 0
        case _:
            return len(part.result or "")


def _within(size: _Size, endpoint: Endpoint) -> _Size:
    most = endpoint.context_tokens
    if most is None or size.tokens <= most:
        return size
    return _Size(most, min(size.sound_tokens, most))


# Output


def _most_tokens(request: Request, endpoint: Endpoint, bounds: BillingSettings) -> int:
    """How many tokens an endpoint may write."""
    most, context, asked = endpoint.max_output_tokens, endpoint.context_tokens, request.max_output_tokens
    if most is None or (context is not None and context < most):
        most = context
    if asked is not None and (most is None or asked < most):
        return asked
    return bounds.unlimited_output_tokens if most is None else most


def _thinks(request: Request, endpoint: Endpoint) -> bool:
    """Whether thought is asked for, or the model is known to think always."""
    asked = request.reasoning
    if asked is not None:
        if asked.enabled is False or asked.effort == "none" or asked.max_tokens == 0:
            return False
        if asked.enabled or asked.effort is not None or asked.max_tokens is not None:
            return True
    return bool(endpoint.reasoning_efforts) and "none" not in endpoint.reasoning_efforts


# Amounts


def _ceilings(
    price: Price, size: _Size, request: Request, endpoint: Endpoint, bounds: BillingSettings
) -> list[Ceiling]:
    """The most that an endpoint may ask for, in each of the ways in which its price may be counted."""
    most_tokens = _most_tokens(request, endpoint, bounds)
    draws = "image" in endpoint.output_modalities and request.modalities != ("text",)
    pictures = _pictures(request) if draws else 0
    floor_tokens = _PICTURE_TOKENS if draws else bounds.floor_tokens
    if not draws and _thinks(request, endpoint):
        floor_tokens = bounds.reasoning_floor_tokens
    floor_tokens = min(floor_tokens, most_tokens)
    is_open = request.max_output_tokens is endpoint.max_output_tokens is endpoint.context_tokens is None
    is_kept_long = wants_hour(request) and takes_marks(endpoint)
    found: list[Ceiling] = []
    for rates in _reached(price, size.tokens, request.service_tier):
        read, fees, parts = _read(rates, size, is_kept_long=is_kept_long), rates.request, rates.parts
        if rates.search:
            fees += _search_fee(rates, request, endpoint, bounds)
        said = max(rates.output, rates.reasoning, rates.answer)
        # Each part of a cost is rounded by itself.
        fixed_nano = _share(read, parts) + _share(fees + pictures * rates.image_output, parts)
        found.append(Ceiling(min(fixed_nano, MOST_NANO), said, parts, most_tokens, floor_tokens, is_open))
        if pictures and rates.draws_by_token:
            # A picture is paid by its tokens where these are told, and apiece where they are not.
            fixed_nano = _share(read, parts) + _share(fees, parts)
            drawn = max(said, rates.image_token)
            found.append(Ceiling(min(fixed_nano, MOST_NANO), drawn, parts, most_tokens, floor_tokens, is_open))
    return found


def _reached(price: Price, input_tokens: int, service_tier: str | None) -> Sequence[Rates]:
    """The rates that may hold: of every tier up to the input's, in the service tier that is asked for and the usual."""
    rates = price.rates_in(None)
    if service_tier is not None:
        rates += price.rates_in(service_tier)
    if len(rates) == 1 and rates[0].above_input_tokens < input_tokens:
        return rates
    return [each for each in rates if each.above_input_tokens < input_tokens]


def _read(rates: Rates, size: _Size, *, is_kept_long: bool) -> int:
    """What is paid for reading; in a cache's hour only where the client asks for one."""
    plain = max(rates.input, rates.cache_read, rates.cache_write)
    if is_kept_long:
        plain = max(plain, rates.cache_write_1h)
    if not size.sound_tokens:
        return size.tokens * plain
    sound = max(plain, rates.audio_input, rates.audio_cached)
    return (size.tokens - size.sound_tokens) * plain + size.sound_tokens * sound


def _search_fee(rates: Rates, request: Request, endpoint: Endpoint, bounds: BillingSettings) -> int:
    if not (searches_unasked(endpoint) or search_of(request) is not None):
        return 0
    searches = bounds.searches if request.max_tool_calls is None else request.max_tool_calls
    return rates.search * (min(searches, 1) if rates.searches_once else searches)


def _pictures(request: Request) -> int:
    wished = (request.image_config or {}).get("n", 1)
    return min(max(int(wished), 1), _MOST_PICTURES) if isinstance(wished, int | float) else 1


def _share(amount: int, parts: int) -> int:
    """So many parts in whole ones; what is begun counts."""
    return -(-amount // parts)
