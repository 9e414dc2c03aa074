"""Token counts as upstreams tell them."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.adapters.decoding.usage import MAX_COUNT, clean_usage, count, counts_in, dollars
from trunkline.protocol.items import Json

values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**40) | st.floats() | st.text(max_size=3) | st.just("12"),
    lambda each: st.lists(each, max_size=2) | st.dictionaries(st.text(max_size=3), each, max_size=2),
    max_leaves=3,
)


@pytest.mark.parametrize(
    ("told", "counted"),
    [
        (12, 12),
        (-500, 0),
        (2**63, MAX_COUNT),
        (1e308, MAX_COUNT),
        (math.inf, MAX_COUNT),
        (math.nan, 0),
        (1.5, 1),
        ("123", 123),
        ("many", 0),
        (None, 0),
        (True, 0),
        ([], 0),
    ],
)
def test_MO_09_counts_are_cleaned(told: Json, counted: int) -> None:
    assert count(told) == counted


@given(st.dictionaries(st.text(max_size=3), values))
def test_the_counts_of_an_object_are_those_above_nothing(told: dict[str, Json]) -> None:
    assert counts_in(told) == {name: number for name, value in told.items() if (number := count(value))}


@pytest.mark.parametrize("told", [None, [], "7", 7])
def test_what_is_no_object_holds_no_counts(told: Json) -> None:
    assert counts_in(told) == {}


@pytest.mark.parametrize(
    ("told", "amount"),
    [
        (0.006, Decimal("0.006")),
        ("1.5", Decimal("1.5")),
        (-1, None),
        (True, None),
        ("NaN", None),
        (1e300, None),
        ({}, None),
    ],
)
def test_costs_are_sane_or_nothing(told: Json, amount: Decimal | None) -> None:
    assert dollars(told) == amount


counts = st.integers(0, 1_000)


@given(counts, counts, counts, counts, counts)
def test_MO_08_parts_never_outgrow_their_whole(read: int, cached: int, written_to: int, out: int, thought: int) -> None:
    usage = clean_usage(read=read, cache_read=cached, cache_write=written_to, written=out, reasoning=thought)
    assert usage.cache_read_tokens + usage.cache_write_tokens <= usage.input_tokens == read
    assert usage.reasoning_tokens <= usage.output_tokens == out
