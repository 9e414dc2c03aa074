"""Facts of several public lists → the shipped file of models, the same bytes for the same lists.

An endpoint is a provider and the provider's own name of a model. A document of the provider's own (`documented.py`) is
believed before any list. For what it is and can do models.dev is believed first, then litellm, then genai-prices; for
prices genai-prices first (it keeps dates), then the other two, and of these two the dearer where they differ by more
than a tenth. A price on which lists differ so much is marked. What no list
says stays unknown. Nothing is fetched here; the operator's own entries are laid over the outcome by `catalog/load.py`.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tools.models.corrections import corrected, is_open, others_told
from tools.models.documented import DOCUMENTED, list_of, read_documented
from tools.models.makers import Makers
from tools.models.naming import MAKERS, ZONES, Named, name_model, zone_of
from tools.models.prices import counted
from tools.models.quirks import REASONERS, model_quirks
from tools.models.sources import (
    GENAI_PRICES,
    LITELLM,
    MODELS_DEV,
    Fact,
    Priced,
    is_match,
    is_spelled_out,
    read_genai_prices,
    read_litellm,
    read_models_dev,
)
from trunkline.catalog.entries import Dialect
from trunkline.catalog.lookup import fold_name
from trunkline.catalog.quirks import Quirks, joined
from trunkline.catalog.rows import (
    EndpointRow,
    ModelRow,
    ModelsFile,
    NamesFile,
    OtherPriceRow,
    PriceRow,
    ProviderRow,
    SourceRow,
)
from trunkline.settings.forms import Json

_ROUTING: Final = (DOCUMENTED, MODELS_DEV, LITELLM, GENAI_PRICES)
_PRICING: Final = (DOCUMENTED, GENAI_PRICES, MODELS_DEV, LITELLM)
_TOLERANCE = Decimal("1.1")


class Lists(Struct, frozen=True, kw_only=True):
    """The lists as they were found, and what is to be said of each; `day` is the one whose prices are wanted."""

    models_dev: bytes
    litellm: bytes
    genai_prices: Sequence[Json]
    sources: tuple[SourceRow, ...]
    day: str
    documented: str = ""
    names: NamesFile = NamesFile()


def merge(lists: Lists, providers_text: str) -> bytes:
    """Write the file of models: one line for each."""
    providers = msgspec.convert(tomllib.loads(providers_text), dict[str, ProviderRow])
    facts = [
        *read_documented(lists.documented),
        *read_models_dev(lists.models_dev),
        *read_litellm(lists.litellm),
    ]
    return written(merged(facts, read_genai_prices(lists.genai_prices, lists.day), providers, lists))


def merged(
    facts: Iterable[Fact], priced: Sequence[Priced], providers: Mapping[str, ProviderRow], lists: Lists
) -> ModelsFile:
    """Join the facts about each endpoint and put the endpoints under their models."""
    ends: list[_End] = []
    makers = Makers(lists.names)
    for group in _joined(facts, priced):
        end = _end(corrected(group), providers, lists.day)
        if end is not None and makers.serves(end.row.provider, end.row.upstream_model, end.named):
            ends.append(end)
    supports: dict[tuple[str, ...], int] = {}
    quirks: dict[bytes, int] = {}
    models: dict[str, list[_End]] = defaultdict(list)
    for end in _told_apart(list(_folded(ends))):
        row = end.row
        if row.supports is not None:
            place = supports.setdefault(tuple(sorted(row.supports)), len(supports))
            row = replace(row, supports=None, supports_set=place)
        if row.quirks:
            place = quirks.setdefault(_encode(row.quirks), len(quirks))
            row = replace(row, quirks={}, quirks_set=place)
        models[end.slug].append(replace(end, row=row))
    return ModelsFile(
        sources=lists.sources,
        supports=tuple(frozenset(names) for names in supports),
        quirks=tuple(msgspec.json.decode(text) for text in quirks),
        models=tuple(_model(slug, found) for slug, found in sorted(models.items())),
    )


def written(file: ModelsFile) -> bytes:
    """Write a file of models so that a diff of two reads well."""
    lines = [
        b'{"format":%d,' % file.format,
        b'"sources":' + _encode(file.sources) + b",",
        b'"supports":[\n' + b",\n".join(map(_encode, file.supports)) + b"],",
        b'"quirks":[\n' + b",\n".join(map(_encode, file.quirks)) + b"],",
        b'"models":[\n' + b",\n".join(map(_encode, file.models)) + b"]}",
    ]
    return b"\n".join(lines) + b"\n"


def _encode(value: object) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


class _End(Struct, frozen=True, kw_only=True):
    """One endpoint on its way: its row, and what its model and its rivals are told by."""

    named: Named
    slug: str
    row: EndpointRow
    model_name: str
    created_at: int
    is_maker: bool


# Joining


def _joined(facts: Iterable[Fact], priced: Sequence[Priced]) -> Iterator[dict[str, Fact]]:
    """Group the facts about one endpoint by source."""
    groups: dict[tuple[str, str], dict[str, Fact]] = {}
    for fact in facts:
        groups.setdefault((fact.provider, fact.upstream_model.lower()), {}).setdefault(fact.source, fact)
    rules: dict[str, list[Priced]] = defaultdict(list)
    for each in priced:
        rules[each.fact.provider].append(each)
    for (provider, name), group in groups.items():
        found = next((each for each in rules[provider] if is_match(each.matches, name)), None)
        if found is not None:
            group[GENAI_PRICES] = found.fact
    for each in priced:
        fact = each.fact
        key = fact.provider, fact.upstream_model.lower()
        if key not in groups and _can_be_called(each):
            groups[key] = {GENAI_PRICES: fact}
    yield from (group for _, group in sorted(groups.items()))


_OWN_NAMES: Final = frozenset({"amazon-bedrock", "azure", "google-ai-studio", "google-vertex"})
"""Providers for which genai-prices has names of its own making."""


def _can_be_called(each: Priced) -> bool:
    """Whether a model that only genai-prices knows is one: a family's name is no name to call a model by."""
    fact = each.fact
    return (
        fact.provider not in _OWN_NAMES
        and fact.price is not None
        and not fact.is_deprecated
        and "image" not in fact.upstream_model
        and is_spelled_out(each.matches, fact.upstream_model)
    )


def _end(group: Mapping[str, Fact], providers: Mapping[str, ProviderRow], day: str) -> _End | None:
    facts = [group[source] for source in _ROUTING if source in group]
    best = facts[0]
    provider = best.provider
    named = name_model(provider, best.slug or best.upstream_model)
    can = {name: said for fact in reversed(facts) for name, said in fact.can.items()}
    dialect = _dialect(providers[provider], named.slug, facts)
    retired = next((fact.deprecated_on for fact in facts if fact.deprecated_on), "")
    if dialect is None or (retired and retired <= day):
        return None
    price, price_source, is_disputed = _price(group)
    context_tokens = next((fact.context_tokens for fact in facts if fact.context_tokens), None)
    zone = zone_of(best.upstream_model) if provider == "amazon-bedrock" else ""
    spoken, special = providers[provider], model_quirks(named.slug, provider, dialect, can)
    quirks = joined(spoken.dialect_quirks().get(dialect, spoken.quirks), special)
    row = EndpointRow(
        provider=provider,
        upstream_model=best.upstream_model,
        tag=f"{provider}/{named.variant}" if named.variant else "",
        price=_reachable(counted(price, named.slug, provider), context_tokens),
        context_tokens=context_tokens,
        max_output_tokens=_within(
            context_tokens, next((fact.max_output_tokens for fact in facts if fact.max_output_tokens), None)
        ),
        supports=_supports(named.slug, dialect, can, quirks),
        quantization=named.quantization,
        dialect=None if dialect == next(iter(providers[provider].urls), None) else dialect,
        input_modalities=_input_modalities(facts),
        output_modalities=_output_modalities(named.slug, facts),
        # What a rule or the provider's row says was looked up at the maker; the lists lag behind it.
        reasoning_efforts=quirks.reasoning_efforts or next((fact.efforts for fact in facts if fact.efforts), ()),
        quirks={name: list(value) if isinstance(value, tuple) else value for name, value in special.items()},
        is_deprecated=any(fact.is_deprecated for fact in facts),
        deprecated_on=retired,
        reached_from=ZONES.get(zone, ()),
        source=list_of(provider) if best.source == DOCUMENTED else best.source,
        price_source="" if price_source == best.source else price_source,
        is_disputed=is_disputed or is_open(provider, best.upstream_model),
        other_prices=_other_prices(group, price_source) if is_disputed else others_told(provider, best.upstream_model),
    )
    return _End(
        named=named,
        slug=named.slug,
        row=row,
        model_name=next((fact.name for fact in facts if fact.name), ""),
        created_at=next((fact.created_at for fact in facts if fact.created_at), 0),
        is_maker=named.slug.partition("/")[0] == MAKERS.get(provider, provider),
    )


def _input_modalities(facts: Sequence[Fact]) -> frozenset[Json] | None:
    """What the first list says that says anything, and files where any list does.

    models.dev leaves `pdf` out of half of OpenAI's models. Pictures are not believed so: litellm has them for
    deepseek-v4-flash, whose maker refuses them.
    """
    told = next((fact.input_modalities for fact in facts if fact.input_modalities), None)
    reads_files = any("file" in (fact.input_modalities or ()) for fact in facts)
    return told | {"file"} if told and reads_files else told


_DRAWS_BY_TOOL: Final = re.compile(r"openai/(gpt-\d|o\d)")
"""Models that draw by another model, through a tool: some lists call that their own output, for some of their rows.

It costs what the other model costs, which is neither in `usage` nor in any list; and at Azure a header must name a
deployment of the operator's. So these draw where the operator's own row says so, with its price of a picture.
https://community.openai.com/t/1380097, https://github.com/vercel/ai/pull/8987 (2026-11-27).
"""


def _output_modalities(slug: str, facts: Iterable[Fact]) -> frozenset[Json]:
    said = next((fact.output_modalities for fact in facts if fact.output_modalities), None)
    made: frozenset[Json] = (said or frozenset({"text"})) & {"text", "image"}
    return made - {"image"} if _DRAWS_BY_TOOL.match(slug) else made


# Prices


def _price(group: Mapping[str, Fact]) -> tuple[PriceRow | None, str, bool]:
    """Choose the price, say whose it is, and whether the lists differ about it.

    A zero counts only where no other list knows better: it may be a trial, or nothing at all.
    """
    told = [(source, price) for source in _PRICING if source in group and (price := group[source].price) is not None]
    told = [each for each in told if _sum(each[1])] or [each for each in told if each[0] == MODELS_DEV]
    if not told:
        return None, "", False
    sums = [price.input + price.output for _, price in told]
    is_disputed = max(sums) > min(sums) * _TOLERANCE
    source, price = told[0]
    if source != GENAI_PRICES and is_disputed:
        source, price = max(told, key=lambda each: _sum(each[1]))
    return _completed(price, [other for _, other in told]), source, is_disputed


def _other_prices(group: Mapping[str, Fact], chosen: str) -> tuple[OtherPriceRow, ...]:
    """List what the lists that were not chosen say; a zero is nothing beside a price."""
    told = ((source, group[source].price) for source in _PRICING if source in group and source != chosen)
    return tuple(
        OtherPriceRow(source=source, input=price.input, output=price.output)
        for source, price in told
        if price is not None and _sum(price)
    )


def _sum(price: PriceRow) -> Decimal:
    return price.input + price.output + (price.image or 0)


def _completed(price: PriceRow, others: Sequence[PriceRow]) -> PriceRow:
    """Take what the chosen list does not know from the others; parts of the token price are mixed only if they agree.

    A list that prices the tokens of pictures as output is not given a fee for each picture on top.
    """
    # A fee for each request is one for its searches.
    search = (other.search for other in others if not price.request)
    drawn = (other.image for other in others if price.output <= 2 * other.output)
    drawing = (other.image_token for other in others if price.output == other.output)
    kept = (other.cache_write_1h for other in others if price.cache_write == other.cache_write)
    recalled = (other.audio_cached for other in others if price.audio == other.audio)
    tiers = (other.service_tiers for other in others if other.service_tiers)
    return replace(
        price,
        cache_write_1h=_first_told(price.cache_write_1h, kept),
        audio_cached=_first_told(price.audio_cached, recalled),
        image_token=_first_told(price.image_token, drawing),
        search=_first_told(price.search, search),
        image=_first_told(price.image, drawn),
        service_tiers=price.service_tiers or next(tiers, {}),
    )


def _reachable(price: PriceRow | None, context_tokens: int | None) -> PriceRow | None:
    """Leave out tiers that begin where the context ends: nobody gets there."""
    if price is None or context_tokens is None:
        return price
    return replace(price, tiers=tuple(tier for tier in price.tiers if tier.above_input_tokens < context_tokens))


def _within(context_tokens: int | None, limit: int | None) -> int | None:
    """An answer cannot be longer than the context that holds it, whatever a list says."""
    return limit if limit is None or context_tokens is None else min(limit, context_tokens)


def _first_told(own: Decimal | None, others: Iterable[Decimal | None]) -> Decimal | None:
    return own if own is not None else next((fee for fee in others if fee is not None), None)


# What is spoken and understood

_UNSPEAKABLE: Final = {
    "google-vertex": re.compile(r"(mistralai|ai21)/"),
    "azure": re.compile(r"(black-forest-labs)/|microsoft/mai-(image|voice)"),
}
"""Models that a provider serves only over wires of their own."""


_DRAWS: Final = re.compile(r"openai/(gpt|chatgpt)-image")
"""Models that only draw, which not every list says."""


def _dialect(provider: ProviderRow, slug: str, facts: Sequence[Fact]) -> Dialect | None:
    """Choose the wire language for a model; None when we speak none that it answers to."""
    name = facts[0].provider
    preferred = next(iter(provider.urls), None)
    is_image_only = all(fact.mode == "image" for fact in facts) or bool(_DRAWS.match(slug))
    if preferred is None or ((pattern := _UNSPEAKABLE.get(name)) and pattern.match(slug)):
        return None
    if name in ("azure", "google-vertex") and slug.startswith("anthropic/"):
        return "messages"
    if name == "azure" and not slug.startswith("openai/"):
        return "chat"
    if name == "google-vertex" and not slug.startswith("google/gem"):
        return "chat"
    if is_image_only and preferred not in ("gemini", "bfl", "riverflow"):
        return "images" if name in ("openai", "azure") else None
    if any(fact.mode == "responses" for fact in facts) and "responses" in provider.urls:
        return "responses"
    is_chat_only = any(fact.is_chat_only for fact in facts) or re.match(r"openai/gpt-4o.*-(search|audio)", slug)
    return "chat" if preferred == "responses" and is_chat_only and "chat" in provider.urls else preferred


def _supports(slug: str, dialect: Dialect, can: Mapping[str, bool], quirks: Quirks) -> frozenset[str] | None:
    """Name the parameters that are known to do something; None when no list says anything of them."""
    if not can:
        return None
    named = {"max_tokens"}
    if can.get("sampling", True) and not (REASONERS.match(slug) and dialect in ("chat", "responses")):
        named |= {"temperature", "top_p"}
        named |= {"top_k"} if quirks.has_top_k and dialect != "responses" else set()
        named |= _TUNING.get(dialect, set())
        named |= _COUNTS.get(dialect, set()) if quirks.logprobs != "never" else set()
    if can.get("tools"):
        named.add("tools")
        named |= {"tool_choice"} if can.get("tool_choice", True) else set()
        named |= {"parallel_tool_calls"} if quirks.has_parallel_switch and can.get("parallel", True) else set()
    if quirks.structured_output != "none" and dialect not in ("bfl", "riverflow", "images"):
        # Claude's and Amazon's wires took schemas late; on the others they are tried unless a list denies them.
        is_able = can.get("native_schema", False) if dialect in ("messages", "converse") else can.get("schema", True)
        is_held = is_able and quirks.structured_output == "json_schema"
        named |= {"response_format", "structured_outputs"} if is_held else {"response_format"}
    is_asked = quirks.thinking_style != "none" if dialect in _STYLED else quirks.reasoning_request != "none"
    named |= {"reasoning", "include_reasoning"} if can.get("reasoning") and is_asked else set()
    named |= {"verbosity"} if quirks.has_verbosity and re.match(r"openai/gpt-[5-9]", slug) else set()
    named |= {"web_search_options"} if can.get("search") else set()
    return frozenset(named.difference(quirks.drops))


_TUNING: Final[Mapping[Dialect, set[str]]] = {
    dialect: {"frequency_penalty", "presence_penalty"} for dialect in ("chat", "gemini", "mistral", "cohere")
}
_STYLED: Final = frozenset({"messages", "converse", "gemini"})
_COUNTS: Final[Mapping[Dialect, set[str]]] = {
    **{dialect: {"logprobs", "top_logprobs"} for dialect in ("chat", "responses", "gemini")},
    "cohere": {"logprobs"},
}
"""Cohere tells of the tokens chosen, not of others."""


# One model under two names


def _folded(ends: Sequence[_End]) -> Iterator[_End]:
    """Give slugs that differ only in their separators one spelling: its maker's, else the one with points."""
    spellings: dict[str, set[tuple[bool, int, int, str]]] = defaultdict(set)
    for end in ends:
        for slug in (end.slug, end.named.exact):
            rank = not end.is_maker, -slug.count("."), len(slug), slug
            spellings[fold_name(slug)].add(rank)
    chosen = {folded: min(ranks)[-1] for folded, ranks in spellings.items()}
    for end in ends:
        named = replace(end.named, exact=chosen[fold_name(end.named.exact)])
        yield replace(end, slug=chosen[fold_name(end.slug)], named=named)


# One model at one provider more than once

_NEEDS_PROFILE = re.compile(
    r"anthropic\.claude-(?!3-haiku|3-sonnet|3-5-sonnet-20240620|instant|v2)|amazon\.nova-(premier|2)|"
    r"meta\.llama(3-[23]|4)|deepseek\.r1|writer\.|mistral\.pixtral"
)
"""Bedrock models that are only called through an inference profile, when there is one for them."""


def _told_apart(ends: Sequence[_End]) -> Iterator[_End]:
    """Give each endpoint a name of its own: the current one gets the plain slug, dated ones theirs with the date.

    Two names for one thing (in other letters, with a host's ending) are one endpoint, the better known.
    """
    profiled = {end.slug for end in ends if end.row.provider == "amazon-bedrock" and zone_of(end.row.upstream_model)}
    taken: set[tuple[str, str, str]] = set()
    for end in sorted(ends, key=_rank):
        row = end.row
        if row.provider == "amazon-bedrock" and end.slug in profiled and _NEEDS_PROFILE.match(row.upstream_model):
            continue
        for slug, tag in (
            (end.slug, row.tag),
            (end.named.exact, row.tag),
            (end.slug, row.tag if row.tag or row.quantization == "unknown" else f"{row.provider}/{row.quantization}"),
        ):
            if (slug, row.provider, tag) not in taken:
                taken.add((slug, row.provider, tag))
                yield replace(end, slug=slug, row=replace(row, tag=tag))
                break


def _rank(end: _End) -> tuple[Json, ...]:
    name = end.row.upstream_model
    dates = re.findall(r"20\d{6}", name)
    return (
        end.slug,
        end.row.provider,
        end.row.is_deprecated,
        bool(dates),
        -int(dates[-1]) if dates else 0,
        end.row.price is None,
        end.row.source != MODELS_DEV,
        len(name),
        name,
    )


def _model(slug: str, ends: Sequence[_End]) -> ModelRow:
    """Name a model as its maker does, else as most hosts do."""
    ordered = sorted(ends, key=lambda end: (not end.is_maker, end.row.provider, end.row.tag))
    names = [end.model_name for end in ordered if end.model_name]
    days = [end.created_at for end in ends if end.created_at]
    return ModelRow(
        slug=slug,
        name=names[0] if names and (ordered[0].is_maker or len(set(names)) == 1) else _commonest(names) or slug,
        created_at=min(days) if days else 0,
        endpoints=tuple(end.row for end in sorted(ends, key=lambda end: (end.row.provider, end.row.tag))),
    )


def _commonest(names: Sequence[str]) -> str:
    return max(sorted(set(names)), key=names.count) if names else ""
