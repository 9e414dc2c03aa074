"""Token counts as upstreams tell them."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.adapters.decoding.usage import MAX_COUNT, clean_usage, count, dollars, first_count
from trunkline.protocol.items import Json


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


def test_the_first_count_above_nothing_is_taken() -> None:
    assert first_count(None, 0, "7", 9) == 7
    assert first_count() == 0


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
