"""A price kept as a text: the same price comes back, for every price there is."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.routing.catalogs import endpoint
from trunkline.catalog.price_texts import fingerprint_of, id_of, read_price, write_price
from trunkline.catalog.prices import Price, PriceTier

PRICES = [
    Price(input=Decimal("0.000001"), output=Decimal("0.000002")),
    Price(input=Decimal(0), output=Decimal(0), request=Decimal("0.005"), search_per="request"),
    Price(
        input=Decimal("1E-7"),
        output=Decimal("0.0000040"),
        tiers=(PriceTier(above_input_tokens=200_000, input=Decimal("0.000002"), output=Decimal("0.000008")),),
    ),
]


@pytest.mark.parametrize("price", PRICES, ids=["tokens", "requests", "tiers"])
def test_a_price_comes_back(price: Price) -> None:
    text = write_price(price)
    assert read_price(text) == price
    assert write_price(read_price(text)) == text
    assert "null" not in text


def test_a_number_names_one_price_of_one_endpoint() -> None:
    ids = {
        id_of(fingerprint_of(endpoint(name).id, write_price(price))) for name in ("alpha", "beta") for price in PRICES
    }
    assert len(ids) == 2 * len(PRICES)
    assert all(0 <= id < 2**63 for id in ids)
