"""Which endpoints may serve a request: one function per preference, each giving the reason it drops an endpoint.

Filters are hard: what they drop is never asked. Preferences that only move an endpoint in the order are in
`ranking.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from msgspec import UNSET, Struct

from trunkline.catalog.abilities import (
    goes_on,
    has_place,
    has_tiers,
    media_shortfall,
    search_shortfall,
    takes_anthropic_members,
    takes_openai_tools,
    takes_sampling,
    truncates,
    untaken,
)
from trunkline.catalog.entries import Endpoint, Modality
from trunkline.catalog.prices import Price, PriceTier
from trunkline.protocol.addresses import is_stored_link
from trunkline.protocol.extensions import bound_to_anthropic, bound_to_openai
from trunkline.protocol.items import InputAudio, InputFile, InputImage, InputVideo
from trunkline.protocol.places import Media, Placed, placed_media
from trunkline.protocol.preferences import MaxPrice, Quantization
from trunkline.protocol.request import Request, Sampling, Search, has_functions, search_of
from trunkline.protocol.tools import JsonObjectFormat, JsonSchemaFormat
from trunkline.routing.measure import Measure
from trunkline.routing.policy import Policy

Check = Callable[[Endpoint], str | None]
"""The reason an endpoint is dropped, to be read after its name; None when it stays."""

EndpointsOf = Callable[[str], tuple[Endpoint, ...]]
"""A model's slug → its endpoints; raises NotFound."""

ProviderSlug = Callable[[str], str]
"""A provider's name in any spelling → its slug; a variant after a slash is kept."""

TIERS: Final = ("/flex", "/priority")
"""Endings of tags that name a service tier: another price for another speed, used only when asked for by name."""

CONTEXT_LENGTH: Final = "context_length"
"""The name of the one filter that looks at how long an input is, where `max_price` does not."""

_MILLION: Final = Decimal(1_000_000)


class Filter(NamedTuple):
    """A check under the name of the preference it enforces."""

    name: str
    check: Check


class Listed(Struct, frozen=True):
    """The providers and endpoints that a list of names means.

    A provider's slug or name means all its endpoints but service tiers, `slug/variant` means the one with that tag.
    """

    slugs: frozenset[str]
    tags: frozenset[str]

    def has(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint is meant."""
        tag = endpoint.tag.lower()
        return tag in self.tags or (endpoint.provider.slug in self.slugs and not tag.endswith(TIERS))


def listed(names: Iterable[str], provider_slug: ProviderSlug) -> Listed:
    """Resolve names in any spelling; a name nobody knows means nothing."""
    slugs: set[str] = set()
    tags: set[str] = set()
    for name in names:
        slug = provider_slug(name)
        (tags if "/" in slug else slugs).add(slug)
    return Listed(frozenset(slugs), frozenset(tags))


class NativeSearch(Struct, frozen=True):
    """Whether endpoints have to make a search by themselves.

    They have to where the gateway has no engine; where it has one, only if the client will have it so (`is_named`).
    Else nobody is refused, or goes behind others, for having no search.
    """

    has_engine: bool = False
    is_named: bool = False

    @property
    def filter(self) -> Literal["web_search", "native_search"]:
        return "native_search" if self.has_engine else "web_search"

    def of(self, request: Request) -> Search | None:
        """The search of a request that an endpoint has to make; None where it has none, or the gateway makes it."""
        return None if self.has_engine and not self.is_named else search_of(request)


ENDPOINTS_ALONE: Final = NativeSearch()
ENGINE_TOO: Final = NativeSearch(has_engine=True)
NATIVE_ALONE: Final = NativeSearch(has_engine=True, is_named=True)


def filters(
    request: Request,
    policy: Policy,
    provider_slug: ProviderSlug,
    size: Measure,
    search: NativeSearch = ENDPOINTS_ALONE,
) -> list[Filter]:
    """Choose the filters that a request and its policy call for, in the order in which they are applied."""
    wish = request.provider
    found: list[Filter] = []
    add = found.append
    found += _agreed(policy, provider_slug)
    if wish.only:
        add(Filter("only", only(listed(wish.only, provider_slug))))
    if wish.ignore:
        add(Filter("ignore", ignore(listed(wish.ignore, provider_slug))))
    if wish.order and not wish.allow_fallbacks:
        add(Filter("order", only(listed(wish.order, provider_slug))))
    if wish.only or wish.order:
        add(Filter("service_tier", service_tier(listed((*wish.only, *wish.order), provider_slug))))
    else:
        add(_NO_TIER)
    if "deny" in (wish.data_collection, policy.data_collection):
        add(Filter("data_collection", data_collection))
    if wish.zdr or policy.zdr:
        add(Filter("zdr", zdr))
    if wish.enforce_distillable_text or policy.enforce_distillable_text:
        add(Filter("enforce_distillable_text", enforce_distillable_text))
    if wish.quantizations:
        add(Filter("quantizations", quantizations(wish.quantizations)))
    if wish.max_price is not None:
        add(Filter("max_price", max_price(wish.max_price, size.input_tokens)))
    if size.modalities:
        add(Filter("input_modalities", input_modalities(size.modalities)))
        exacting = [placed.part for placed in exacting_media(request)]
        if exacting:
            add(Filter("input_media", input_media(exacting)))
    if request.modalities:
        add(Filter("modalities", output_modalities(request.modalities)))
    if has_functions(request):
        add(Filter("tools", tools))
    if request.has_extensions and (bound := bound_to_openai(request)):
        add(Filter("openai_tools", makers_own(takes_openai_tools, bound)))
    if bound := bound_to_anthropic(request):
        add(Filter("anthropic_members", makers_own(takes_anthropic_members, bound)))
    if request.has_prefill:
        add(Filter("prefill", prefill))
    if request.max_output_tokens is not None and not request.limit_is_wish:
        add(Filter("max_output_tokens", max_output_tokens(request.max_output_tokens)))
    add(Filter(CONTEXT_LENGTH, context_length(size.needed_tokens, may_shorten=request.truncation == "auto")))
    wanted = search.of(request)
    if wanted is not None and wanted.is_demanded:
        add(Filter(search.filter, web_search(wanted)))
    if wish.require_parameters:
        add(Filter("require_parameters", require_parameters(request, wanted)))
    return found


def _agreed(policy: Policy, provider_slug: ProviderSlug) -> Iterator[Filter]:
    """What a key and its account allow, whatever is asked for."""
    for patterns in (policy.allowed_models, policy.account_models):
        if patterns:
            yield Filter("allowed_models", allowed_models(patterns))
    for names in (policy.allowed_providers, policy.account_providers):
        if names:
            yield Filter("allowed_providers", only(listed(names, provider_slug)))
    if policy.ignored_providers:
        yield Filter("ignored_providers", ignore(listed(policy.ignored_providers, provider_slug)))
    for regions in (policy.regions, policy.account_regions):
        if regions:
            yield Filter("region", region(regions))


def allowed_models(patterns: Sequence[str]) -> Check:
    """Keep the models a key may use: slugs or globs, with or without the variant."""
    matches = glob(patterns)

    def check(endpoint: Endpoint) -> str | None:
        slug = endpoint.model.slug
        return None if matches(slug) or matches(slug.partition(":")[0]) else "is no model this key may use"

    return check


def only(wanted: Listed) -> Check:
    """Keep what is listed."""
    return lambda endpoint: None if wanted.has(endpoint) else "is not listed"


def ignore(unwanted: Listed) -> Check:
    """Drop what is listed."""
    return lambda endpoint: "is listed" if unwanted.has(endpoint) else None


def region(wanted: Sequence[str]) -> Check:
    """Keep what runs in one of the regions; an unknown region is none of them."""
    regions = {name.lower() for name in wanted}

    def check(endpoint: Endpoint) -> str | None:
        where = endpoint.region or endpoint.provider.region
        if where is None:
            return "does not say where it runs"
        return None if where.lower() in regions else f"runs in {where}"

    return check


def service_tier(named: Listed) -> Check:
    """Drop service tiers that nobody asked for by name."""

    def check(endpoint: Endpoint) -> str | None:
        tag = endpoint.tag
        if not tag or not tag.endswith(TIERS) or tag in named.tags:
            return None
        return "is a service tier that must be asked for by name"

    return check


def data_collection(endpoint: Endpoint) -> str | None:
    """Keep who does not train on prompts; unknown counts as training."""
    trains = endpoint.data_policy.trains
    if trains is None:
        return "does not say whether it trains on prompts"
    return "trains on prompts" if trains else None


def zdr(endpoint: Endpoint) -> str | None:
    """Keep who retains nothing; unknown counts as retaining."""
    is_zdr = endpoint.data_policy.zdr
    if is_zdr is None:
        return "does not say whether it retains prompts"
    return None if is_zdr else "retains prompts"


def enforce_distillable_text(endpoint: Endpoint) -> str | None:
    """Keep models whose author allows training on their output; unknown counts as not allowed."""
    match endpoint.model.is_distillable:
        case True:
            return None
        case False:
            return "is a model whose author forbids distillation"
        case None:
            return "is a model whose author does not say whether it may be distilled"


def quantizations(wanted: Collection[Quantization]) -> Check:
    """Keep the listed quantizations; `unknown` must be listed like the others."""

    def check(endpoint: Endpoint) -> str | None:
        level = endpoint.quantization
        return None if level in wanted else f"has quantization {level}"

    return check


def max_price(most: MaxPrice, input_tokens: int) -> Check:
    """Keep whose every price is at most the client's: USD per million tokens, or apiece for images and requests."""

    def check(endpoint: Endpoint) -> str | None:
        price = endpoint.price
        if price is None:
            return "has no known price"
        for name, asked, cap in _asked(price, most, input_tokens):
            # Not `asked > cap`: a price that is no number fails as well.
            if not (asked.is_finite() and 0 <= asked <= cap):
                return f"asks {asked.normalize():f} for {name}, above {cap.normalize():f}"
        return None

    return check


def input_modalities(needed: Collection[Modality]) -> Check:
    """Keep who reads every kind of input there is; who says nothing is tried."""

    def check(endpoint: Endpoint) -> str | None:
        known, files = endpoint.input_modalities, endpoint.quirks.native_files
        if known is None and files is not False:
            return None
        missing = [kind for kind in sorted(needed) if not _reads(kind, known, files)]
        return f"does not read {' or '.join(missing)}" if missing else None

    return check


def _reads(kind: Modality, known: Collection[Modality] | None, files: bool | None) -> bool:
    """Whether an endpoint reads a kind of input, by what it is known to read and by its quirk for files."""
    if kind == "file" and files is not None:
        return files
    return known is None or kind in known


def exacting_media(request: Request) -> list[Placed]:
    """The media of the input that not everybody takes who reads such media, each under the member that says so.

    Not those that tools gave back: who cannot take one is told so in words.
    """
    found: list[Placed] = []
    for part, steps, paths in placed_media(request, of_tools=False):
        match part:
            case InputAudio():
                found.append(Placed(part, (*steps, "input_audio", "format"), paths))
            case InputImage(image_url=url) if is_stored_link(url):
                found.append(Placed(part, (*steps, "image_url"), paths))
            case InputVideo(video_url=url) if is_stored_link(url):
                found.append(Placed(part, (*steps, "video_url"), paths))
            case InputFile(file_url=str() as url) if is_stored_link(url):
                found.append(Placed(part, (*steps, "file_url"), paths))
            case _:
                pass
    return found


def input_media(parts: Sequence[Media]) -> Check:
    """Keep who takes every medium in the form that it has."""

    def check(endpoint: Endpoint) -> str | None:
        for part in parts:
            if (reason := media_shortfall(endpoint, part)) is not None:
                return reason
        return None

    return check


def output_modalities(wanted: Collection[str]) -> Check:
    """Keep who produces every kind of output asked for."""

    def check(endpoint: Endpoint) -> str | None:
        missing = [kind for kind in wanted if kind not in endpoint.output_modalities]
        return f"does not produce {' or '.join(missing)}" if missing else None

    return check


def tools(endpoint: Endpoint) -> str | None:
    """Keep who takes tools; dropping them silently would be worse than a refusal."""
    supports = endpoint.supports
    return None if supports is None or "tools" in supports else "does not take tools"


def makers_own(takes: Callable[[Endpoint], bool], bound: Sequence[str]) -> Check:
    """Keep the servers of the one maker who knows what to do with it; elsewhere it would be done by nobody."""
    reason = f"does not take {', '.join(bound)}"
    return lambda endpoint: None if takes(endpoint) else reason


def prefill(endpoint: Endpoint) -> str | None:
    """Keep who goes on with an answer that has begun; others would begin anew, and the client would join the two."""
    return None if goes_on(endpoint) else "does not go on with an answer that has begun"


def max_output_tokens(wanted: int) -> Check:
    """Keep who can write that much."""

    def check(endpoint: Endpoint) -> str | None:
        most = endpoint.max_output_tokens
        return None if most is None or wanted <= most else f"writes at most {most} tokens"

    return check


def context_length(needed: int, *, may_shorten: bool) -> Check:
    """Keep whose context surely is not too small; `needed` is a lower bound.

    `may_shorten`: who shortens the input by itself stays as well.
    """

    def check(endpoint: Endpoint) -> str | None:
        most = endpoint.context_tokens
        if most is None or needed <= most or (may_shorten and truncates(endpoint)):
            return None
        return f"has a context of {most} tokens, and the request needs at least {needed}"

    return check


def web_search(search: Search) -> Check:
    """Keep who can make a search that is demanded: without it the answer would come from memory."""
    return lambda endpoint: search_shortfall(endpoint, search)


def require_parameters(request: Request, search: Search | None = None) -> Check:
    """Keep who supports every parameter used, and can make the search; where nothing is known all are sent."""
    used = used_parameters(request)

    def check(endpoint: Endpoint) -> str | None:
        missing = [name for name in used if not supports(endpoint, name)] + untaken(request, endpoint)
        if search is not None and search_shortfall(endpoint, search) is not None:
            missing.append("web_search")
        return f"does not support {', '.join(missing)}" if missing else None

    return check


def supports(endpoint: Endpoint, parameter: str) -> bool:
    """Whether a parameter, by its name in the semantics' C5, is sent to the endpoint and has an effect there."""
    if parameter in Sampling.__struct_fields__:
        return takes_sampling(endpoint, parameter)
    if parameter == "stop":  # the gateway sees to it
        return True
    if parameter == "service_tier":
        return has_tiers(endpoint)
    drops = endpoint.quirks.drops
    if parameter in drops or (parameter == "max_tokens" and "max_output_tokens" in drops):
        return False
    if not has_place(endpoint, parameter):
        return False
    if parameter == "json_object":  # no list names it; `response_format` stands for both of its forms
        return True
    return endpoint.supports is None or parameter in endpoint.supports


def soft_parameters(request: Request) -> list[str]:
    """Name the parameters that draw a request to the endpoints of a model that support them, if any does."""
    text = request.text
    if text is None:
        return []
    wanted: list[str] = []
    if isinstance(text.format, JsonSchemaFormat):
        wanted.append("structured_outputs")
    elif isinstance(text.format, JsonObjectFormat):
        wanted.append("response_format")
    if text.verbosity is not UNSET:
        wanted.append("verbosity")
    return wanted


def used_parameters(request: Request) -> list[str]:
    """Name the parameters a request sets, as in the semantics' C5; a value equal to the default counts as set."""
    return list(_used(request))


def rates(price: Price, input_tokens: int) -> Price | PriceTier:
    """The prices that hold for an input of that size."""
    best: Price | PriceTier = price
    above = -1
    for tier in price.tiers:
        if above < tier.above_input_tokens < input_tokens:
            best, above = tier, tier.above_input_tokens
    return best


def glob(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Match slugs against patterns in which `*` stands for any run of characters but a slash; alone it matches all."""
    expression = re.compile("|".join([_expression(pattern.strip().lower()) for pattern in patterns]))
    return lambda slug: expression.fullmatch(slug.lower()) is not None


def _expression(pattern: str) -> str:
    """A pattern as a regular expression, which takes no back step over what follows a star: clients write them."""
    if pattern == "*":
        return ".*"
    first, *rest = [re.escape(piece) for piece in re.split(r"\*+", pattern)]
    if not rest:
        return first
    # A star passes no slash, so that where the earliest place of what follows leads nowhere, none does.
    return first + "".join([f"(?>[^/]*?{piece})" for piece in rest[:-1]]) + "[^/]*" + rest[-1]


_NO_TIER: Final = Filter("service_tier", service_tier(Listed(frozenset(), frozenset())))


def _asked(price: Price, most: MaxPrice, input_tokens: int) -> Iterator[tuple[str, Decimal, Decimal]]:
    tier = rates(price, input_tokens)
    pairs = (
        ("prompt", tier.input * _MILLION, most.prompt),
        ("completion", tier.output * _MILLION, most.completion),
        ("request", price.request, most.request),
        ("image", price.image_output, most.image),
        ("audio", None if price.audio_input is None else price.audio_input * _MILLION, most.audio),
    )
    return ((name, asked, cap) for name, asked, cap in pairs if asked is not None and cap is not None)


def _used(request: Request) -> Iterator[str]:
    if request.max_output_tokens is not None:
        yield "max_tokens"
    for name in ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "parallel_tool_calls"):
        if getattr(request, name) is not None:
            yield name
    if request.top_logprobs:
        yield from ("logprobs", "top_logprobs")
    elif request.logprobs:
        yield "logprobs"
    if has_functions(request):
        yield "tools"
        if request.tool_choice is not None:
            yield "tool_choice"
    if request.reasoning is not None:
        yield "reasoning"
    if request.text is not None:
        if isinstance(request.text.format, JsonObjectFormat | JsonSchemaFormat):
            yield "response_format"
        if isinstance(request.text.format, JsonObjectFormat):
            yield "json_object"
        if isinstance(request.text.format, JsonSchemaFormat):
            yield "structured_outputs"
        if request.text.verbosity is not UNSET:
            yield "verbosity"
