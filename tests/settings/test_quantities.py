"""Durations, sizes and prices: written → number → written."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.settings.quantities import format_duration, format_size, parse_duration, parse_size, parse_usd

QUANTITIES = [("500 ms", 0.5), ("10 s", 10), ("1.5 min", 90), ("1h", 3600), (" 2 d ", 172800), (0, 0), ("0", 0)]


@pytest.mark.parametrize(("text", "seconds"), QUANTITIES)
def test_a_duration_has_a_unit(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "size"), [("20 MB", 20_000_000), ("1 KiB", 1024), ("1.5 mb", 1_500_000), ("7 B", 7)])
def test_a_size_has_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "value", [10, 1.5, True, False, None, "10", "ten s", "-1 s", "1e400 s", "1" * 400 + " s", [], "1 MB"]
)
def test_what_has_no_unit_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="its unit"):
        parse_duration(value)


@given(st.integers(0, 10**9))
def test_a_written_duration_reads_the_same(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=1e-5)


@given(st.integers(0, 10**12 - 1))
def test_a_written_size_reads_the_same(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.decimals(0, 10**9, allow_nan=False, allow_infinity=False))
def test_a_price_stays_exact(usd: Decimal) -> None:
    assert parse_usd(str(usd)) == usd
