"""Two files of models: what changes, and when a newer one is not believed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from trunkline.catalog.renewal import Change, age_of, compare, described, objections
from trunkline.catalog.rows import EndpointRow, ModelRow, ModelsFile, PriceRow, SourceRow


def price(usd: str) -> PriceRow:
    return PriceRow(input=Decimal(usd), output=Decimal(usd))


def file(*usd: str | None, **more: Any) -> ModelsFile:
    """Models a/0, a/1, … at one provider, each with its price; None leaves one out."""
    models = [
        ModelRow(slug=f"a/{number}", endpoints=(EndpointRow(provider="openai", price=price(each), **more),))
        for number, each in enumerate(usd)
        if each is not None
    ]
    return ModelsFile(models=tuple(models))


def test_a_difference_is_named_in_order() -> None:
    found = compare(file("1", "1", "1"), file("1", None, "2", "9"))
    assert found.added == (("a/3", "openai", ""),)
    assert found.removed == (("a/1", "openai", ""),)
    assert found.repriced == (Change(("a/2", "openai", ""), price("1"), price("2")),)
    assert found.kept == 2
    assert compare(file("1"), file("1")).is_empty


BEFORE = file(*["1"] * 10)


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (BEFORE, ""),
        (file(*["1"] * 30), ""),
        (file(*["1"] * 5), ""),
        (file(*["1"] * 4), "6 of 10 endpoints are gone"),
        (file(), "it has no endpoints"),
        (file("10", "10", "10", *["1"] * 7), ""),
        (file(*["9.9"] * 10), ""),
        (file(*["10"] * 10), "10 prices change by a factor of 10 or more, as that of a/0 at openai: 1/1 → 10/10"),
        (file(*["0.1"] * 10), "10 prices change by a factor of 10 or more, as that of a/0 at openai: 1/1 → 0.1/0.1"),
        (file("-1", *["1"] * 9), "a/0 at openai has an absurd price: -1/-1"),
        (file("3000", *["1"] * 9), "a/0 at openai has an absurd price: 3000/3000"),
        (ModelsFile(models=(*BEFORE.models, BEFORE.models[3])), "a/3 at openai is there twice"),
    ],
)
def test_a_newer_file_is_believed_unless(after: ModelsFile, reason: str) -> None:
    assert next(iter(objections(BEFORE, after)), "") == reason


def test_the_first_file_may_hold_anything_plausible() -> None:
    assert objections(ModelsFile(), BEFORE) == []


def test_a_file_is_as_old_as_its_newest_source() -> None:
    sources = (SourceRow(name="a", date="2026-07-02"), SourceRow(name="b", date="2026-10-21"))
    assert age_of(ModelsFile(sources=sources)) == "2026-10-21"
    assert age_of(ModelsFile()) == ""


def test_a_price_is_described() -> None:
    assert described(None) == "no price"
    assert described(PriceRow(input=Decimal(0), output=Decimal(0), image=Decimal("0.04"))) == "0/0 and 0.04 an image"
