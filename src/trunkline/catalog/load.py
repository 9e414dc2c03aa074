"""What is known → one immutable Catalog of what can be called now, and a list of all endpoints with what is in the way.

No provider is called: a key that is present counts as good until the provider says otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from trunkline.catalog.entries import Catalog, Claim, Dialect, Endpoint, Model, Provider, Retired, Standing
from trunkline.catalog.gather import Entry, Known, Sets, supports_of
from trunkline.catalog.lookup import LetterPairs, Spellings, fold_name, is_auto
from trunkline.catalog.prices import Price, PriceTier
from trunkline.catalog.quirks import Quirks, joined
from trunkline.catalog.rows import EndpointRow, OtherPriceRow, PriceRow
from trunkline.catalog.standings import laid_over
from trunkline.settings.sections import Settings


class Offer(Struct, frozen=True):
    """One endpoint, and what keeps it from being called now; empty if nothing does."""

    endpoint: Endpoint
    obstacle: str = ""


def catalog_of(known: Known) -> Catalog:
    """Cut out what can be called now."""
    endpoints: dict[str, list[Endpoint]] = {}
    by_name: dict[str, list[Endpoint]] = {}
    keyless: dict[str, list[Entry]] = {}
    offers: dict[str, dict[str, None]] = {}
    maker = _EndpointMaker(known)
    for entry in known.entries:
        slug, standing = entry.model.slug, known.standings[entry.row.provider]
        offers.setdefault(slug, {})[standing.provider.slug] = None
        if not (standing.is_callable or standing.lacks_key) or _obstacle(entry.row, standing, known.dialects):
            continue
        if standing.is_callable:
            (endpoints if standing.is_on else by_name).setdefault(slug, []).append(maker.make(entry))
        else:
            keyless.setdefault(slug, []).append(entry)
    slugs = {slug: tuple(providers) for slug, providers in offers.items()}
    every = [end for found in endpoints.values() for end in found]
    return Catalog(
        standings=known.standings,
        models={entry.model.slug: entry.model for entry in known.entries},
        endpoints={slug: tuple(found) for slug, found in endpoints.items()},
        offers=slugs,
        provider_slugs=known.slugs,
        pairs=LetterPairs(endpoints),
        by_name={slug: tuple(found) for slug, found in by_name.items() if len(slugs[slug]) == 1},
        keyless=_Keyless(keyless, maker),
        offered_pairs=LetterPairs([*slugs, *dict.fromkeys(slug.partition("/")[2] for slug in slugs)]),
        spellings=Spellings(
            ((entry.model.slug, entry.row.upstream_model) for entry in known.entries),
            ((name, row.model) for row in known.names.aliases for name in row.names),
            (slug for row in known.names.retired for slug in row.models),
        ),
        retired={slug: Retired(row.on, row.instead) for row in known.names.retired for slug in row.models},
        default_model=known.settings.defaults.model and known.settings.defaults.model.strip().lower(),
        warnings=(*known.notes, *_warnings(every, slugs, known.standings, known.settings)),
        stored_list=known.stored_list,
    )


def offers_of(known: Known) -> Iterator[Offer]:
    """List every endpoint that is known, whether it can be called now or not."""
    maker = _EndpointMaker(known)
    for entry in known.entries:
        standing = known.standings[entry.row.provider]
        obstacle = _obstacle(entry.row, standing, known.dialects) if standing.is_on else standing.reason
        yield Offer(maker.make(entry), obstacle)


def _obstacle(row: EndpointRow, standing: Standing, dialects: Collection[str]) -> str:
    """Say what keeps an endpoint of a provider that is on from being called; empty if nothing does."""
    urls = standing.provider.base_urls
    dialect = row.dialect or next((spoken for spoken in urls if spoken in dialects), None)
    if dialect is None or dialect not in dialects:
        return f"this version does not speak its dialect ({row.dialect or ', '.join(urls)})"
    if dialect not in urls and dialect != "images" and row.source != "operator":
        return f"the provider has no address for its dialect ({dialect})"
    if row.reached_from and not any(part in url for part in row.reached_from for url in urls.values()):
        return "it cannot be reached from this region"
    return ""


_PLAINEST: tuple[Dialect, ...] = ("chat",)
"""What is said of an endpoint whose provider has no address yet."""


class _EndpointMaker:
    """Makes endpoints of entries; what they share is made once."""

    def __init__(self, known: Known) -> None:
        # It lives as long as a catalogue: of what is known it keeps nothing but this.
        self._standings = known.standings
        self._dialects = known.dialects
        self._quirks: dict[tuple[str, Dialect, int], Quirks] = {}
        self._dates = {source.name: source.date for source in known.sources}

    def make(self, entry: Entry) -> Endpoint:
        row, provider = entry.row, self._standings[entry.row.provider].provider
        spoken = [dialect for dialect in provider.base_urls if dialect in self._dialects]
        dialect = row.dialect or [*spoken, *provider.base_urls, *_PLAINEST][0]
        # A dialect without an address of its own (images) is spoken at the provider's main one.
        base_url = provider.base_urls.get(dialect) or next(iter(provider.base_urls.values()), "")
        supports, rejects = supports_of(entry), _both_names(row.rejects)
        quirks = self._quirks_of(entry, provider, dialect)
        if not quirks.reasoning_format and quirks.reasoning_replay == "never":
            quirks = replace(quirks, reasoning_format=_usual_format(dialect, entry, provider))
        if rejects:
            quirks = replace(quirks, drops=quirks.drops | rejects)
        return Endpoint(
            model=entry.model,
            provider=provider,
            upstream_model=row.upstream_model or entry.model.slug,
            dialect=dialect,
            base_url=base_url,
            price=_price(row.price) if row.price is not None else None,
            context_tokens=row.context_tokens,
            max_output_tokens=row.max_output_tokens,
            quantization=row.quantization,
            supports=supports if supports is None else supports - rejects,
            input_modalities=row.input_modalities,
            output_modalities=row.output_modalities,
            reasoning_efforts=row.reasoning_efforts,
            quirks=quirks,
            data_policy=provider.data_policy.of(entry.model.slug),
            prompt_caching=row.prompt_caching or provider.prompt_caching,
            region=provider.region,
            is_deprecated=row.is_deprecated,
            deprecated_on=row.deprecated_on,
            is_disputed=row.is_disputed,
            claims=self._claims(row),
            source=f"{row.source}, price {row.price_source}" if row.price_source else row.source,
            source_date=self._dates.get(row.price_source or row.source, ""),
            tag=row.tag,
            concurrency=row.concurrency,
            requests_per_minute=row.requests_per_minute,
        )

    def _claims(self, row: EndpointRow) -> tuple[Claim, ...]:
        if row.price is None or not row.other_prices:
            return ()
        in_force = OtherPriceRow(source=row.price_source or row.source, input=row.price.input, output=row.price.output)
        return tuple(
            Claim(
                source=claim.source,
                source_date=self._dates.get(claim.source, ""),
                input=_each(claim.input),
                output=_each(claim.output),
            )
            for claim in (in_force, *row.other_prices)
        )

    def _quirks_of(self, entry: Entry, provider: Provider, dialect: Dialect) -> Quirks:
        row, quirks = entry.row, provider.quirks_in(dialect)
        if row.quirks_set is not None:
            key = provider.slug, dialect, row.quirks_set
            shared = self._quirks.get(key)
            if shared is None:
                shared = _joined(quirks, entry.sets.quirks[row.quirks_set])
                self._quirks[key] = shared
            quirks = shared
        return laid_over(quirks, row.quirks, entry.model.slug, []) if row.quirks else quirks


class _Packed(Struct, frozen=True):
    """Entries of one model whose rows are encoded, which takes a fifth of their memory."""

    models: tuple[Model, ...]
    sets: tuple[Sets, ...]
    rows: bytes


_read_rows = msgspec.json.Decoder(tuple[EndpointRow, ...]).decode


def _pack(entries: Sequence[Entry]) -> _Packed:
    rows = msgspec.json.encode([entry.row for entry in entries])
    return _Packed(tuple([entry.model for entry in entries]), tuple([entry.sets for entry in entries]), rows)


def _unpack(packed: _Packed) -> Iterator[Entry]:
    return map(Entry, packed.models, _read_rows(packed.rows), packed.sets)


class _Keyless(Mapping[str, tuple[Endpoint, ...]]):
    """The endpoints that lack nothing but a key, by model; made when they are asked for, since hardly any ever is."""

    def __init__(self, entries: Mapping[str, Sequence[Entry]], maker: _EndpointMaker) -> None:
        self._maker = maker
        # What an operator writes was never JSON, and might not come back from there as it was.
        self._kept: dict[str, tuple[Endpoint, ...] | _Packed] = {
            slug: self._make(found) if any(entry.row.source == "operator" for entry in found) else _pack(found)
            for slug, found in entries.items()
        }

    def __getitem__(self, slug: str) -> tuple[Endpoint, ...]:
        kept = self._kept[slug]
        if isinstance(kept, _Packed):
            kept = self._kept[slug] = self._make(_unpack(kept))
        return kept

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def _make(self, entries: Iterable[Entry]) -> tuple[Endpoint, ...]:
        return tuple([replace(self._maker.make(entry), needs_own_key=True) for entry in entries])


def _usual_format(dialect: Dialect, entry: Entry, provider: Provider) -> str:
    """The format of reasoning items that a dialect implies; empty where another maker's models speak it."""
    is_claude = entry.model.slug.startswith("anthropic/") or "anthropic." in entry.row.upstream_model
    match dialect:
        case "messages" if is_claude or next(iter(provider.base_urls), None) == "messages":
            # A host of other models that speaks Messages beside its own language does not make Claude's signatures.
            return "anthropic-claude-v1"
        case "converse" if is_claude:
            return "anthropic-claude-v1"
        case "gemini":
            return "google-gemini-v1"
        case _:
            return ""


def _both_names(rejects: frozenset[str]) -> frozenset[str]:
    """The limit of the answer is `max_output_tokens` to clients and `max_tokens` among what endpoints support."""
    limit = frozenset({"max_tokens", "max_output_tokens"})
    return rejects | limit if rejects & limit else rejects


def _joined(quirks: Quirks, special: Mapping[str, object]) -> Quirks:
    """Lay a list's quirks over a provider's; one that is newer than this version may use words it does not know."""
    try:
        return joined(quirks, special)
    except msgspec.ValidationError:
        return quirks


def _price(row: PriceRow) -> Price:
    return Price(
        input=_each(row.input),
        output=_each(row.output),
        cache_read=_each_if(row.cache_read),
        cache_write=_each_if(row.cache_write),
        reasoning=_each_if(row.reasoning),
        cache_write_1h=_each_if(row.cache_write_1h),
        reasoning_per=row.reasoning_per,
        audio_input=_each_if(row.audio),
        audio_cached=_each_if(row.audio_cached),
        image_token=_each_if(row.image_token),
        image_output=row.image,
        request=row.request,
        search=row.search,
        search_per=row.search_per,
        tiers=tuple(
            PriceTier(
                above_input_tokens=tier.above_input_tokens,
                input=_each(tier.input),
                output=_each(tier.output),
                cache_read=_each_if(tier.cache_read),
                cache_write=_each_if(tier.cache_write),
            )
            for tier in row.tiers
        ),
        service_tiers=tuple(row.service_tiers.items()),
    )


def _each(per_million: Decimal) -> Decimal:
    """Turn USD per million into USD apiece, exactly."""
    return per_million.scaleb(-6)


def _each_if(per_million: Decimal | None) -> Decimal | None:
    return None if per_million is None else _each(per_million)


def _warnings(
    endpoints: Sequence[Endpoint],
    offers: Mapping[str, tuple[str, ...]],
    standings: Mapping[str, Standing],
    settings: Settings,
) -> Iterator[str]:
    yield from _unpriced(endpoints)
    named = {fold_name(name) for name, entry in settings.providers.items() if entry.enabled is not False}
    for slug, standing in standings.items():
        if not standing.is_on and named & {fold_name(slug), fold_name(standing.provider.name)}:
            yield f"{slug} is named in the settings and is off: {standing.reason}"
    serving = {endpoint.provider.slug for endpoint in endpoints}
    for slug, standing in standings.items():
        if standing.is_on and slug not in serving:
            why = f" ({standing.provider.unlisted})" if standing.provider.unlisted else ""
            yield f"{slug} is on, but no model is known for it{why}; add [[endpoints]] with provider = {slug!r}"
    served = {endpoint.model.slug for endpoint in endpoints}
    for index, wish in enumerate(settings.endpoints):
        slug = wish.model.strip().lower()
        if slug not in served:
            standing = standings[offers[slug][0]]
            reason = "this version does not speak its dialect" if standing.is_on else f"off: {standing.reason}"
            yield f"endpoints[{index}]: {slug} is not served by {standing.provider.slug} ({reason})"
    default = settings.defaults.model
    if default is not None and default.strip().lower() not in served and not is_auto(default):
        yield f"defaults.model: {default} is not served now; requests without a model will get a 404"
    by_name = {slug for slug, providers in offers.items() if standings[providers[0]].answers_by_name}
    for name in settings.plugins.auto_router.models:
        if name.strip().lower() not in served | by_name:
            yield f"plugins.auto_router.models: {name} is not served now, and will not be chosen"


MAX_NAMED = 3
"""How many endpoints without a price a warning names, for each provider."""


def _unpriced(endpoints: Sequence[Endpoint]) -> Iterator[str]:
    """Say loudly what is served without a cost."""
    by_provider: dict[str, list[str]] = {}
    for endpoint in endpoints:
        if endpoint.price is None:
            by_provider.setdefault(endpoint.provider.slug, []).append(endpoint.id)
    for slug, ids in by_provider.items():
        if len(ids) <= MAX_NAMED:
            for each in ids:
                yield f"{each} has no price: its requests are recorded as free; set price = {{ input, output }}"
        else:
            named = ", ".join(ids[:MAX_NAMED])
            yield (
                f"{slug}: {len(ids)} endpoints have no price ({named}, …): their requests are recorded as free; "
                f"`trunkline models --provider {slug} --no-price` lists them"
            )
