"""The shipped files and settings → everything that is known of models and providers, on or off.

The operator's entries are laid over the shipped ones and checked, all at once. The files, the environment and a way to
read secret files are handed in: nothing is opened here. What of it can be called now is `load.py`'s question.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from decimal import InvalidOperation
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from trunkline.catalog.entries import Catalog, Model, Standing
from trunkline.catalog.lookup import fold_name
from trunkline.catalog.quirks import Quirks
from trunkline.catalog.rows import (
    FORMAT,
    EndpointRow,
    ModelRow,
    ModelsFile,
    ModelsOutline,
    NamesFile,
    PriceRow,
    ProviderRow,
    SourceRow,
    TierRow,
)
from trunkline.catalog.standings import (
    DIALECTS,
    Surroundings,
    changed_row,
    header_values,
    laid_over,
    provider_slugs,
    standings_of,
)
from trunkline.protocol.request import Sampling
from trunkline.settings.fields import present
from trunkline.settings.forms import Json
from trunkline.settings.reading import SettingsError, suggestion
from trunkline.settings.secret import Secret
from trunkline.settings.sections import EndpointSettings, PriceSettings, Settings

PLAIN: Final = frozenset(
    {
        "frequency_penalty",
        "logprobs",
        "max_tokens",
        "parallel_tool_calls",
        "presence_penalty",
        "response_format",
        "temperature",
        "tool_choice",
        "top_k",
        "top_logprobs",
        "top_p",
        "verbosity",
    }
)
"""Parameters that are no features: who names what an endpoint can do does not mean that it refuses these."""

_BEYOND: Final = frozenset(
    {*Sampling.__struct_fields__, "cache_control", "phase", "prediction", "service_tier", "stop"}
)
"""What clients say beyond the contract, of which no list speaks."""

REJECTABLE: Final = PLAIN | _BEYOND | {"max_output_tokens", "reasoning", "structured_outputs", "tools"}

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._/-]*(:[a-z0-9._-]+)?")


class Lists(Struct, frozen=True, kw_only=True):
    """What models and names there are: two texts in TOML, and the list in force with what should be told of it.

    `stored` names the store's list beside which that was chosen; empty where there is none.
    """

    by_hand: str = ""
    names: str = ""
    listed: ModelsFile = ModelsFile()
    notes: tuple[str, ...] = ()
    stored: str = ""


class Known(Struct, frozen=True, kw_only=True):
    """Everything that is known of providers and models, on or off: what a catalog is cut out of.

    `stored_list` names the store's list of models beside which the one in force was chosen; empty where there is none.
    """

    entries: tuple[Entry, ...]
    standings: Mapping[str, Standing]
    slugs: Mapping[str, str]
    dialects: Collection[str]
    settings: Settings
    names: NamesFile = NamesFile()
    sources: tuple[SourceRow, ...] = ()
    notes: tuple[str, ...] = ()
    stored_list: str = ""


class Sets(Struct, frozen=True):
    """What endpoints of one file have alike, to which its rows refer by the place in these lists."""

    supports: tuple[frozenset[str], ...] = ()
    quirks: tuple[dict[str, Json], ...] = ()


class Entry(Struct, frozen=True):
    """One endpoint as it is written, with its model and the sets of the file it is written in."""

    model: Model
    row: EndpointRow
    sets: Sets


def gather(providers_text: str, settings: Settings, around: Surroundings, lists: Lists) -> Known:
    """Lay the operator's entries over the shipped ones and find out which providers are on. Raises SettingsError."""
    rows = msgspec.convert(_tables(providers_text), dict[str, ProviderRow])
    problems: list[str] = []
    slugs = provider_slugs(rows, settings.providers, problems)
    given = {slugs[fold_name(name)]: entry for name, entry in settings.providers.items() if fold_name(name) in slugs}
    rows |= {slug: changed_row(slug, rows.get(slug), entry, problems) for slug, entry in given.items()}
    standings = standings_of(rows, given, around)
    known = _known(standings, slugs, around.dialects, settings, lists, problems)
    for wish in settings.endpoints:
        standing = standings[slugs[fold_name(wish.provider)]]
        hidden = (*standing.hidden, *map(Secret, header_values(wish.quirks)))
        standings[standing.provider.slug] = replace(standing, hidden=hidden)
    return known


def gather_again(catalog: Catalog, settings: Settings, lists: Lists) -> Known:
    """Lay the operator's entries over other lists, with the providers of a catalogue as they are in it.

    Raises SettingsError.
    """
    return _known(catalog.standings, catalog.provider_slugs, frozenset(DIALECTS), settings, lists, [])


def _known(
    standings: Mapping[str, Standing],
    slugs: Mapping[str, str],
    dialects: Collection[str],
    settings: Settings,
    lists: Lists,
    problems: list[str],
) -> Known:
    """Put together what is known. Raises SettingsError where there are problems, or there were."""
    files = (msgspec.convert(_tables(lists.by_hand), ModelsFile), lists.listed)
    entries = _entries(files, settings.endpoints, slugs, problems)
    if problems:
        raise SettingsError(problems)
    return Known(
        entries=tuple(entries),
        standings=standings,
        slugs=slugs,
        dialects=dialects,
        settings=settings,
        names=msgspec.convert(_tables(lists.names), NamesFile),
        sources=lists.listed.sources,
        notes=lists.notes,
        stored_list=lists.stored,
    )


_read_outline = msgspec.json.Decoder(ModelsOutline).decode
_read_model = msgspec.json.Decoder(ModelRow).decode


def read_models(data: bytes) -> ModelsFile:
    """Read a file of models that `tools/models/merge.py` wrote.

    Raises ValueError, saying what is wrong with it.
    """
    outline, models = None, list[ModelRow]()
    try:
        outline = _read_outline(data)
        # One at a time: nobody else runs while one is read, and a gateway that serves reads all of them.
        for raw in outline.models:
            models.append(_read_model(raw))
    except (msgspec.MsgspecError, UnicodeDecodeError, InvalidOperation, RecursionError) as error:
        where = f"models[{len(models)}]: " if outline is not None else ""
        raise ValueError(f"it is no file of models: {where}{error}") from None
    if outline.format != FORMAT:
        raise ValueError(f"it has format {outline.format}, and this version of Trunkline reads format {FORMAT}")
    supports, quirks = outline.supports, outline.quirks
    for model in models:
        for row in model.endpoints:
            if not (_is_in(row.supports_set, supports) and _is_in(row.quirks_set, quirks)):
                raise ValueError(f"{model.slug} at {row.provider} refers to a set that the file does not have")
    return ModelsFile(format=FORMAT, sources=outline.sources, supports=supports, quirks=quirks, models=tuple(models))


def _is_in(place: int | None, there: Sequence[object]) -> bool:
    return place is None or 0 <= place < len(there)


# Commands and tests make several catalogues in one process, of the same three texts; TOML is read in Python.
@lru_cache(maxsize=8)
def _tables(text: str) -> Mapping[str, Json]:
    return tomllib.loads(text)


def _entries(
    files: Sequence[ModelsFile], given: Sequence[EndpointSettings], slugs: Mapping[str, str], problems: list[str]
) -> list[Entry]:
    """Lay the operator's endpoints over those of the files, of which the first counts most; new ones come last."""
    entries: dict[tuple[str, str, str], Entry] = {}
    models: dict[str, Model] = {}
    providers = set(slugs.values())
    for file in files:
        sets = Sets(file.supports, file.quirks)
        for row in file.models:
            model = models.setdefault(row.slug, _model(row))
            for end in row.endpoints:
                if end.provider in providers:
                    entries.setdefault((row.slug, end.provider, end.tag), Entry(model, end, sets))
    seen: dict[tuple[str, str, str], int] = {}
    shipped = models.copy()
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
            problems += [
                f"{where}.rejects: unknown parameter {name!r}{suggestion(name, sorted(REJECTABLE))}"
                for name in wish.rejects
                if name not in REJECTABLE
            ]
            model = _changed_model(shipped.get(slug, Model(slug=slug, name=slug)), wish)
            models[slug] = model if wish.name or slug not in models else models[slug]
            known = entries.get(key)
            if known is None:
                new = EndpointRow(provider=provider, upstream_model=_upstream_model(wish, provider))
                known = Entry(model, new, Sets())
            entries[key] = Entry(model, replace(known.row, **_wishes(wish, known)), known.sets)
        seen.setdefault(key, index)
    if not given:
        return list(entries.values())
    return [Entry(_named(entry.model, models), entry.row, entry.sets) for entry in entries.values()]


def _named(model: Model, models: Mapping[str, Model]) -> Model:
    """Give a model the name all its endpoints share; whether its output may train others each endpoint says itself."""
    return replace(models[model.slug], is_distillable=model.is_distillable)


def supports_of(entry: Entry) -> frozenset[str] | None:
    """The parameters that an entry is said to support; None: nothing is."""
    row = entry.row
    if row.supports is None and row.supports_set is not None:
        return entry.sets.supports[row.supports_set]
    return row.supports


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


def _priced(wish: PriceSettings) -> PriceRow:
    """The price that an operator's entry sets."""
    fields: dict[str, Json] = {name: getattr(wish, name) for name in wish.__struct_fields__}
    tiers = tuple(TierRow(**{name: getattr(tier, name) for name in tier.__struct_fields__}) for tier in wish.tiers)
    factors = {name: getattr(wish.service_tiers, name) for name in wish.service_tiers.__struct_fields__}
    service_tiers = {name: factor for name, factor in factors.items() if factor is not None}
    return PriceRow(**{**fields, "tiers": tiers, "service_tiers": service_tiers})


def _upstream_model(wish: EndpointSettings, provider: str) -> str:
    """Guess the provider's name for a model: hosts use the maker's own spelling, makers leave themselves out."""
    written = wish.model.strip().partition(":")[0]
    author, _, name = written.partition("/")
    return name if fold_name(author) == fold_name(provider) else written


_NOT_AS_WRITTEN = frozenset({"model", "provider", "name", "distillable", "price", "quirks"})


def _wishes(wish: EndpointSettings, known: Entry) -> dict[str, Json]:
    """List what an operator's entry sets, by the names of EndpointRow."""
    row = known.row
    given = {name: value for name, value in present(wish).items() if name not in _NOT_AS_WRITTEN}
    fields = msgspec.convert({"provider": "", **given}, EndpointRow)
    wishes: dict[str, Json] = {name: getattr(fields, name) for name in given}
    if wish.supports is not None:
        listed = supports_of(known)
        wishes["supports"] = frozenset(wish.supports) | (PLAIN if listed is None else listed & PLAIN)
    if wish.price is not None:
        wishes["price"] = _priced(wish.price)
    if wish.quirks:
        wishes["quirks"] = {**row.quirks, **wish.quirks}
    # What an operator names is meant to be called, wherever the lists think it can be.
    undisputed = {"price_source": "", "is_disputed": False, "other_prices": ()}
    return {**wishes, **undisputed, "source": "operator", "reached_from": ()}
