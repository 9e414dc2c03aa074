"""Two files of models, or two catalogues, compared: what a newer one changes, and why it should not be believed.

Fetching files is `cli/catalog.py`'s, keeping them `store/lists.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from msgspec import Struct

from trunkline.catalog.entries import Catalog
from trunkline.catalog.prices import Price
from trunkline.catalog.rows import MOST_USD_PER_MILLION, EndpointRow, ModelsFile, PriceRow

Place: TypeAlias = tuple[str, str, str]
"""Model, provider, tag."""

MOST_GONE: Final = 0.5
"""The share of endpoints that may be missing from a newer file."""

MOST_LEAPING: Final = 0.01
"""The share of endpoints whose price may change by `LEAP` and more."""

FEW_LEAPING: Final = 3
"""So many such endpoints are believed however small the file: makers do cut a price to a tenth."""

LEAP: Final = 10


class Change(Struct, frozen=True):
    """A price that differs."""

    place: Place
    before: PriceRow | None
    after: PriceRow | None


class Difference(Struct, frozen=True):
    """What a newer file changes; places are in order."""

    added: tuple[Place, ...]
    removed: tuple[Place, ...]
    repriced: tuple[Change, ...]
    kept: int

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.repriced)


class Counts(Struct, frozen=True):
    """How many models and endpoints of a newer catalogue can be called, and how many of these differ from before."""

    models: int
    endpoints: int
    added: int
    removed: int
    repriced: int


def count_changes(before: Catalog, after: Catalog) -> Counts:
    """Count what is other in a newer catalogue."""
    old, new = _prices(before), _prices(after)
    return Counts(
        models=len(after.endpoints),
        endpoints=len(new),
        added=len(new.keys() - old.keys()),
        removed=len(old.keys() - new.keys()),
        repriced=sum(new[id] != old[id] for id in old.keys() & new.keys()),
    )


def _prices(catalog: Catalog) -> Mapping[str, Price | None]:
    return {each.id: each.price for endpoints in catalog.endpoints.values() for each in endpoints}


def compare(before: ModelsFile, after: ModelsFile) -> Difference:
    """Say what changes from one file to the other."""
    old, new = _places(before), _places(after)
    common = [place for place in old if place in new]
    return Difference(
        added=tuple(sorted(place for place in new if place not in old)),
        removed=tuple(sorted(place for place in old if place not in new)),
        repriced=tuple(
            Change(place, old[place].price, new[place].price)
            for place in sorted(common)
            if old[place].price != new[place].price
        ),
        kept=len(common),
    )


def objections(before: ModelsFile, after: ModelsFile) -> list[str]:
    """Say why a newer file is implausible; nothing when it is not."""
    difference = compare(before, after)
    found = list(_defects(after))
    known = len(difference.removed) + difference.kept
    if known and len(difference.removed) / known > MOST_GONE:
        found.append(f"{len(difference.removed)} of {known} endpoints are gone")
    leaps = [change for change in difference.repriced if _is_leap(change)]
    if len(leaps) > max(FEW_LEAPING, difference.kept * MOST_LEAPING):
        first = leaps[0]
        found.append(
            f"{len(leaps)} prices change by a factor of {LEAP} or more, as that of {first.place[0]} at "
            f"{first.place[1]}: {described(first.before)} → {described(first.after)}"
        )
    return found


def described(price: PriceRow | None) -> str:
    """Write a price for people: USD per million tokens in and out."""
    if price is None:
        return "no price"
    return f"{price.input:f}/{price.output:f}" + (f" and {price.image:f} an image" if price.image else "")


def age_of(file: ModelsFile) -> str:
    """The day of the newest list in a file, as `2026-11-22`; empty when none is named."""
    return max((source.date for source in file.sources), default="")


def _defects(file: ModelsFile) -> Iterator[str]:
    places: set[Place] = set()
    for model in file.models:
        for row in model.endpoints:
            place = model.slug, row.provider, row.tag
            if place in places:
                yield f"{model.slug} at {row.provider} is there twice"
            places.add(place)
            if row.price is not None and not _is_plausible(row.price):
                yield f"{model.slug} at {row.provider} has an absurd price: {described(row.price)}"
    if not places:
        yield "it has no endpoints"


def _is_plausible(price: PriceRow) -> bool:
    rows = (price, *price.tiers)
    told = [getattr(row, name) for row in rows for name in row.__struct_fields__] + [*price.service_tiers.values()]
    amounts = [amount for amount in told if isinstance(amount, Decimal)]
    return all(amount.is_finite() and 0 <= amount <= MOST_USD_PER_MILLION for amount in amounts)


def _is_leap(change: Change) -> bool:
    if change.before is None or change.after is None:
        return False
    before, after = change.before.input + change.before.output, change.after.input + change.after.output
    return after >= before * LEAP if before < after else before >= after * LEAP


def _places(file: ModelsFile) -> Mapping[Place, EndpointRow]:
    return {(model.slug, row.provider, row.tag): row for model in file.models for row in model.endpoints}
