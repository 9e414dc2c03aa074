"""What several turns cost, against a formula of its own; whose keys paid; what nobody counted."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from tests.routing.catalogs import endpoint
from trunkline.catalog.entries import Endpoint
from trunkline.generation import Fee
from trunkline.plugins.totals import Totals
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Spent, Text, Usage

PRICES = {"a": ("1", "2"), "b": ("0.3", "7"), "c": ("15", "75")}
PLACES: dict[str, Endpoint] = {name: endpoint(name, "m", usd=usd) for name, usd in PRICES.items()}
REQUEST = Request(input=(Message(role="user", content=(InputText("What of kites?"),)),))


def played(totals: Totals, name: str, usage: Usage, *, is_byok: bool = False) -> None:
    totals.begin_turn(REQUEST)
    totals.hear([Text(0, "Kites."), Spent(usage)], PLACES[name], is_byok=is_byok)
    totals.end_turn(PLACES[name], is_byok=is_byok)


@pytest.mark.parametrize("seed", range(50))
def test_turns_and_fees_add_up_to_the_nano_dollar(seed: int) -> None:
    chance = random.Random(seed)
    totals, expected, read, written = Totals(), 0, 0, 0
    for _ in range(chance.randint(1, 6)):
        name = chance.choice("abc")
        usage = Usage(input_tokens=chance.randint(1, 90_000), output_tokens=chance.randint(1, 9_000))
        played(totals, name, usage)
        into, out = PRICES[name]
        expected += round(Fraction(into) * usage.input_tokens * 1000) + round(
            Fraction(out) * usage.output_tokens * 1000
        )
        read, written = read + usage.input_tokens, written + usage.output_tokens
    totals.fees = (Fee("search", "lake", 3, chance.randint(0, 10**8)),)
    (spent,) = totals.close(PLACES["a"])
    assert isinstance(spent, Spent)
    assert spent.cost is not None
    assert spent.cost.total == expected + totals.fees[0].nano == spent.cost.input + spent.cost.output + spent.cost.fees
    assert (spent.usage.input_tokens, spent.usage.output_tokens) == (read, written)


def test_an_answer_is_the_clients_own_only_if_all_its_turns_are() -> None:
    totals = Totals()
    played(totals, "a", Usage(input_tokens=1000, output_tokens=10), is_byok=True)
    totals.fees = (Fee("search", "lake", 1, 7_000_000),)
    assert totals.spent is not None
    assert totals.spent.cost is not None
    assert (totals.spent.cost.is_byok, totals.spent.cost.total) == (True, 7_000_000)
    assert totals.spent.cost.upstream == 1_020_000
    played(totals, "b", Usage(input_tokens=1000, output_tokens=10))
    assert totals.spent.cost is not None
    assert (totals.spent.cost.is_byok, totals.spent.cost.total) == (False, 7_370_000)


def test_what_nobody_counted_is_estimated_and_a_turn_that_nobody_answered_costs_nothing() -> None:
    totals = Totals()
    totals.begin_turn(REQUEST)
    totals.end_turn(None, is_byok=False)
    assert totals.noted == []
    totals.begin_turn(REQUEST)
    totals.hear([Text(0, "Kites fly.")], PLACES["a"], is_byok=False)
    totals.end_turn(PLACES["a"], is_byok=False)
    assert totals.spent is not None
    assert totals.spent.usage.estimated
    assert totals.spent.usage.output_tokens > 0
    assert len(totals.noted) == 1


def test_a_client_is_told_no_more_than_the_most() -> None:
    totals = Totals(500_000)
    played(totals, "c", Usage(input_tokens=1000, output_tokens=10))
    (told,) = totals.close(PLACES["c"])
    assert isinstance(told, Spent)
    assert told.cost is not None
    assert told.cost.total == 500_000
    assert totals.left_nano == 0
    assert totals.spent is not None
    assert totals.spent.cost is not None
    assert totals.spent.cost.total == 15_750_000
