"""The shipped list does not contradict itself; the exceptions are named, with who says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from importlib.resources import files

import msgspec
import pytest

from tools.catalog import DAY
from trunkline.catalog.gather import read_models
from trunkline.catalog.rows import EndpointRow, PriceRow

FILE = read_models(files("trunkline.catalog").joinpath("models.json").read_bytes())
ROWS = [(model.slug, row) for model in FILE.models for row in model.endpoints]

MOST_TIMES_INPUT = 20
"""How many times the price of input output may cost: the dearest at a maker is 15."""

MOST_TO_WRITE = 2
"""How many times the price of input it may cost to write a cache: Anthropic's for an hour."""

MOST_TIMES_BASE = 5
"""How many times its base price a tier may cost: Haiku 5.5's above 100,000 tokens."""


def holds_its_answer(row: EndpointRow) -> bool:
    return row.context_tokens is None or row.max_output_tokens is None or row.max_output_tokens <= row.context_tokens


def reaches_its_tiers(row: EndpointRow) -> bool:
    starts = [tier.above_input_tokens for tier in _priced(row).tiers]
    return starts == sorted(set(starts)) and all(start < (row.context_tokens or start + 1) for start in starts)


def asks_more_for_output(row: EndpointRow) -> bool:
    price = _priced(row)
    return price.input <= price.output <= (price.input or price.output) * MOST_TIMES_INPUT


def asks_less_for_a_cache(row: EndpointRow) -> bool:
    price = _priced(row)
    is_read_cheaply = price.cache_read is None or price.cache_read <= price.input
    return is_read_cheaply and (price.cache_write is None or price.cache_write <= price.input * MOST_TO_WRITE)


def asks_more_above(row: EndpointRow) -> bool:
    price = _priced(row)
    return all(
        price.input <= tier.input <= price.input * MOST_TIMES_BASE
        and price.output <= tier.output <= price.output * MOST_TIMES_BASE
        for tier in price.tiers
    )


def ends_after_its_day(row: EndpointRow) -> bool:
    return not row.deprecated_on or row.deprecated_on > DAY


def _priced(row: EndpointRow) -> PriceRow:
    return row.price or PriceRow(input=Decimal(0), output=Decimal(0))


LAWS = (
    holds_its_answer,
    reaches_its_tiers,
    asks_more_for_output,
    asks_less_for_a_cache,
    asks_more_above,
    ends_after_its_day,
)

EXCEPTIONS: Mapping[tuple[str, str, str], str] = {
    (
        "asks_more_for_output",
        "meta-llama/llama-guard-3-8b",
        "cloudflare",
    ): "litellm and genai-prices: a guard reads much and says a word",
    ("asks_more_for_output", "mistralai/ministral-3-14b-reasoning-2512", "clarifai"): "models.dev",
    ("asks_more_for_output", "mistralai/ministral-3-3b-reasoning-2512", "clarifai"): "models.dev",
    ("asks_more_for_output", "together/tev1-4b-experimental", "together"): "litellm: a classifier",
    ("asks_less_for_a_cache", "minimax/minimax-m2.5", "deepinfra"): "litellm: MiniMax's own price for writing",
}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_each_endpoint_is_consistent(law: Callable[[EndpointRow], bool]) -> None:
    found = {(law.__name__, slug, row.provider) for slug, row in ROWS if not law(row)}
    assert found == {place for place in EXCEPTIONS if place[0] == law.__name__}


def test_no_model_is_twice_at_a_provider() -> None:
    def names() -> Iterator[tuple[str, str]]:
        yield from ((row.provider, row.upstream_model.lower()) for _, row in ROWS)

    assert [place for place, times in Counter(names()).items() if times > 1] == []
    assert len({(slug, row.provider, row.tag) for slug, row in ROWS}) == len(ROWS)


def test_a_law_can_be_broken() -> None:
    """Each law tells a row that breaks it, so that none of them passes whatever the list says."""
    tier = {"above_input_tokens": 100, "input": Decimal(1), "output": Decimal(9)}
    broken: dict[str, dict[str, object]] = {
        "holds_its_answer": {"context_tokens": 10, "max_output_tokens": 11},
        "reaches_its_tiers": {"context_tokens": 100, "price": {"input": 1, "output": 2, "tiers": [tier]}},
        "asks_more_for_output": {"price": {"input": 2, "output": 1}},
        "asks_less_for_a_cache": {"price": {"input": 1, "output": 2, "cache_write": 3}},
        "asks_more_above": {"price": {"input": 2, "output": 9, "tiers": [tier]}},
        "ends_after_its_day": {"deprecated_on": "2020-01-01"},
    }
    assert set(broken) == {law.__name__ for law in LAWS}
    for law in LAWS:
        assert not law(_row(broken[law.__name__])), law.__name__


def _row(fields: Mapping[str, object]) -> EndpointRow:
    return msgspec.convert({"provider": "x", **fields}, EndpointRow, strict=False)
