"""Amounts in dollars, read and told."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.money import MAX_USD, NANO_PER_USD, nano_of, usd_text


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("12", 12 * NANO_PER_USD),
        ("10", 10 * NANO_PER_USD),
        ("0.25", 250_000_000),
        ("0.000000001", 1),
        ("007.50", 7_500_000_000),
        ("1000000000", MAX_USD * NANO_PER_USD),
        ("1000000000.000000000", MAX_USD * NANO_PER_USD),
    ],
)
def test_an_amount_is_read(text: str, amount: int) -> None:
    assert nano_of(text) == amount


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.0000000001", "at most 9 decimals, not 10"),
        ("1000000000.000000001", "at most 1000000000 USD"),
        ("9" * 32, "at most 1000000000 USD"),
        *((text, "write an amount in USD as 12 or 0.25") for text in ("-1", "+1", "1e3", "", " 1", "1 ", ".5", "5.")),
        *(
            (text, "write an amount in USD")
            for text in ("NaN", "Infinity", "$5", "1,000", "1_000", "٣", "1\n", "9" * 99)
        ),
    ],
)
def test_anything_else_is_refused_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        nano_of(text)


@given(st.integers(0, MAX_USD * NANO_PER_USD))
def test_what_is_told_is_read_as_the_same(amount: int) -> None:
    told = usd_text(amount)
    assert nano_of(told) == amount
    assert not set(told) & set("eE+-")


@given(st.integers(-(10**18), 10**18))
def test_an_amount_is_told_as_a_plain_decimal(amount: int) -> None:
    text = usd_text(amount)
    assert Decimal(text) * NANO_PER_USD == amount
    assert text == f"{(Decimal(amount) / NANO_PER_USD).normalize():f}" if amount else text == "0"
