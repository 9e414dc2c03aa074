"""TOML text and settings → one checked, immutable Catalog; the operator's entries are laid over the shipped ones.

The shipped texts, the environment and a way to read secret files are handed in. Nothing is opened here, and no
provider is called: a key that is present counts as good until the provider says otherwise.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from trunkline.catalog.entries import Catalog, Endpoint, Model, Price, PriceTier, Provider, Standing
from trunkline.catalog.lookup import fold_name, letter_pairs
from trunkline.catalog.quirks import Quirks
from trunkline.catalog.rows import EndpointRow, ModelRow, ModelsFile, PriceRow, ProviderRow
from trunkline.catalog.standings import (
    DIALECTS,
    SCHEMES,
    ReadFile,
    Surroundings,
    changed_row,
    laid_over,
    provider_slugs,
    standings_of,
)
from trunkline.settings import EndpointSettings, Json, Settings, SettingsError, suggestion

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._/-]*(:[a-z0-9._-]+)?")


def load(
    providers_text: str,
    models_text: str,
    settings: Settings,
    *,
    environ: Mapping[str, str],
    read_file: ReadFile,
    dialects: Collection[str] = DIALECTS,
    schemes: Collection[str] = SCHEMES,
) -> Catalog:
    """Build the catalog; `dialects` and `schemes` are those this version can speak and sign.

    Raises SettingsError with all problems of the operator's entries at once.
    """
    rows = msgspec.convert(tomllib.loads(providers_text), dict[str, ProviderRow])
    shipped = msgspec.convert(tomllib.loads(models_text), ModelsFile).models
    problems: list[str] = []
    slugs = provider_slugs(rows, settings.providers, problems)
    given = {slugs[fold_name(name)]: entry for name, entry in settings.providers.items() if fold_name(name) in slugs}
    rows |= {slug: changed_row(slug, rows.get(slug), entry, problems) for slug, entry in given.items()}
    standings = standings_of(rows, given, Surroundings(environ, read_file, dialects, schemes))
    entries = _entries(shipped, settings.endpoints, slugs, problems)
    if problems:
        raise SettingsError(problems)
    return _catalog(entries, standings, slugs, dialects, settings)


class _Entry(Struct, frozen=True):
    """A row with its model, before it is known whether its provider is on."""

    model: Model
    row: EndpointRow


def _entries(
    shipped: Iterable[ModelRow], given: Sequence[EndpointSettings], slugs: Mapping[str, str], problems: list[str]
) -> list[_Entry]:
    """Lay the operator's endpoints over the shipped ones; both lists keep their order, new ones come last."""
    entries = {(row.slug, end.provider, end.tag): _Entry(_model(row), end) for row in shipped for end in row.endpoints}
    models = {entry.model.slug: entry.model for entry in entries.values()}
    seen: dict[tuple[str, str, str], int] = {}
    for index, wish in enumerate(given):
        where, slug = f"endpoints[{index}]", wish.model.strip().lower()
        provider = slugs.get(fold_name(wish.provider))
        key = (slug, provider or "", wish.tag or "")
        if provider is None:
            problems.append(f"{where}.provider: unknown provider {wish.provider!r}{_near(wish.provider, slugs)}")
        elif not _SLUG.fullmatch(slug):
            problems.append(f"{where}.model: {wish.model!r} is not of the form author/name")
        elif wish.dialect is not None and wish.dialect not in DIALECTS:
            problems.append(f"{where}.dialect: unknown dialect {wish.dialect!r}{suggestion(wish.dialect, DIALECTS)}")
        elif key in seen:
            problems.append(f"{where} repeats endpoints[{seen[key]}]; remove one, or tell them apart by tag")
        else:
            laid_over(Quirks(), wish.quirks, f"{where}.quirks", problems)
            models[slug] = _changed_model(models.get(slug, Model(slug=slug, name=slug)), wish)
            known = entries.get(key)
            row = known.row if known else EndpointRow(provider=provider, upstream_model=_upstream_model(wish, provider))
            entries[key] = _Entry(models[slug], replace(row, **_wishes(wish)))
        seen.setdefault(key, index)
    return [_Entry(models[entry.model.slug], entry.row) for entry in entries.values()]


def _near(name: str, slugs: Mapping[str, str]) -> str:
    return suggestion(name, sorted(set(slugs.values())))


def _model(row: ModelRow) -> Model:
    return Model(
        slug=row.slug,
        name=row.name or row.slug,
        description=row.description,
        created_at=row.created_at,
        is_distillable=row.distillable,
    )


def _changed_model(model: Model, wish: EndpointSettings) -> Model:
    distillable = model.is_distillable if wish.distillable is None else wish.distillable
    return replace(model, name=wish.name or model.name, is_distillable=distillable)


def _upstream_model(wish: EndpointSettings, provider: str) -> str:
    """Guess the provider's name for a model: hosts use the maker's own spelling, makers leave themselves out."""
    written = wish.model.strip().partition(":")[0]
    author, _, name = written.partition("/")
    return name if fold_name(author) == fold_name(provider) else written


def _wishes(wish: EndpointSettings) -> dict[str, Json]:
    """List what an operator's entry sets, by the names of EndpointRow."""
    given = wish.model_dump(exclude_none=True, exclude={"model", "provider", "name", "distillable", "price", "quirks"})
    fields = msgspec.convert({"provider": "", **given}, EndpointRow)
    wishes: dict[str, Json] = {name: getattr(fields, name) for name in given}
    if wish.price is not None:
        wishes["price"] = PriceRow(**{name: getattr(wish.price, name) for name in type(wish.price).model_fields})
    if wish.quirks:
        wishes["quirks"] = wish.quirks
    return {**wishes, "source": "operator", "source_date": ""}


def _catalog(
    entries: Sequence[_Entry],
    standings: Mapping[str, Standing],
    slugs: Mapping[str, str],
    dialects: Collection[str],
    settings: Settings,
) -> Catalog:
    endpoints: dict[str, tuple[Endpoint, ...]] = {}
    offers: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        slug, standing = entry.model.slug, standings[entry.row.provider]
        offers[slug] = (*offers.get(slug, ()), standing.provider.slug)
        is_spoken = entry.row.dialect is None or entry.row.dialect in dialects
        if standing.is_on and is_spoken:
            endpoints[slug] = (*endpoints.get(slug, ()), _endpoint(entry, standing.provider, dialects))
    return Catalog(
        standings=standings,
        models={entry.model.slug: entry.model for entry in entries},
        endpoints=endpoints,
        offers=offers,
        provider_slugs=slugs,
        pairs={slug: letter_pairs(slug) for slug in endpoints},
        default_model=settings.defaults.model and settings.defaults.model.strip().lower(),
        warnings=tuple(_warnings([end for found in endpoints.values() for end in found], offers, standings, settings)),
    )


def _endpoint(entry: _Entry, provider: Provider, dialects: Collection[str]) -> Endpoint:
    row = entry.row
    spoken = [dialect for dialect in provider.base_urls if dialect in dialects]
    dialect = row.dialect or spoken[0]
    # A dialect without an address of its own (images) is spoken at the provider's main one.
    base_url = provider.base_urls.get(dialect) or next(iter(provider.base_urls.values()))
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
        supports=row.supports,
        input_modalities=row.input_modalities,
        output_modalities=row.output_modalities,
        reasoning_efforts=row.reasoning_efforts,
        quirks=laid_over(provider.quirks, row.quirks, entry.model.slug, []) if row.quirks else provider.quirks,
        data_policy=provider.data_policy,
        region=provider.region,
        is_deprecated=row.is_deprecated,
        source=row.source,
        source_date=row.source_date,
        tag=row.tag,
    )


def _price(row: PriceRow) -> Price:
    return Price(
        input=_each(row.input),
        output=_each(row.output),
        cache_read=_each_if(row.cache_read),
        cache_write=_each_if(row.cache_write),
        reasoning=_each_if(row.reasoning),
        audio_input=_each_if(row.audio),
        image_output=row.image,
        request=row.request,
        search=row.search,
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
    for endpoint in endpoints:
        if endpoint.price is None:
            yield f"{endpoint.id} has no price: its requests are recorded as free; set price = {{ input, output }}"
    serving = {endpoint.provider.slug for endpoint in endpoints}
    for slug, standing in standings.items():
        if standing.is_on and slug not in serving:
            yield f"{slug} is on, but no model is known for it; add [[endpoints]] with provider = {slug!r}"
    served = {endpoint.model.slug for endpoint in endpoints}
    for index, wish in enumerate(settings.endpoints):
        slug = wish.model.strip().lower()
        if slug not in served:
            standing = standings[offers[slug][0]]
            reason = "this version does not speak its dialect" if standing.is_on else f"off: {standing.reason}"
            yield f"endpoints[{index}]: {slug} is not served by {standing.provider.slug} ({reason})"
    default = settings.defaults.model
    if default is not None and default.strip().lower() not in served:
        yield f"defaults.model: {default} is not served now; requests without a model will get a 404"
