"""What several turns cost, against a formula of its own; whose keys paid; what nobody counted."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from tests.routing.catalogs import endpoint
from trunkline.billing import Meter
from trunkline.catalog.entries import Endpoint
from trunkline.generation import Fee
from trunkline.plugins.totals import Beside, Totals
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Delta, Spent, Text, Usage

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


@pytest.mark.parametrize("seed", range(20))
def test_what_is_paid_beside_one_turn_is_added_to_what_its_meter_says(seed: int) -> None:
    chance = random.Random(seed)
    usage = Usage(input_tokens=chance.randint(1, 90_000), output_tokens=chance.randint(1, 9_000))
    fees: list[Fee] = []
    beside, alone = Beside(REQUEST, fees), Meter(REQUEST)
    fees += [Fee("ocr", "reader", 3, chance.randint(0, 10**8)) for _ in range(chance.randint(0, 2))]
    batch: list[Delta] = [Text(0, "Kites."), Spent(usage)] if seed % 2 else [Text(0, "Kites.")]
    told = [*beside.price([*batch], PLACES["a"]), *beside.close(PLACES["a"])]
    expected = [*alone.price([*batch], PLACES["a"]), *alone.close(PLACES["a"])]
    paid = sum(fee.nano for fee in fees)
    assert len(told) == len(expected) == 2
    spent, turn = told[-1], expected[-1]
    assert isinstance(spent, Spent)
    assert isinstance(turn, Spent)
    assert spent.cost is not None
    assert turn.cost is not None
    assert turn.cost.total is not None
    assert (spent.usage, spent.cost.total) == (turn.usage, turn.cost.total + paid)
    assert spent.cost.total == spent.cost.input + spent.cost.output + spent.cost.fees
    assert beside.spent == spent


def test_own_keys_pay_no_fee_and_nobody_is_told_more_than_is_held() -> None:
    fees = [Fee("ocr", "reader", 2, 4_000_000)]
    usage = Usage(input_tokens=1000, output_tokens=10)
    (own,) = Beside(REQUEST, fees).price([Spent(usage)], PLACES["a"], is_byok=True)
    assert isinstance(own, Spent)
    assert own.cost is not None
    assert (own.cost.is_byok, own.cost.total, own.cost.upstream) == (True, 4_000_000, 1_020_000)
    bounded = Beside(REQUEST, fees, 4_500_000)
    (told,) = bounded.price([Spent(usage)], PLACES["a"])
    assert isinstance(told, Spent)
    assert told.cost is not None
    assert bounded.spent is not None
    assert bounded.spent.cost is not None
    assert (told.cost.total, bounded.spent.cost.total) == (4_500_000, 5_020_000)


def test_a_fee_is_spent_though_no_model_spoke() -> None:
    fees: list[Fee] = []
    beside = Beside(REQUEST, fees)
    before = beside.spent
    assert before is None
    fees.append(Fee("ocr", "reader", 2, 4_000_000))
    after = beside.spent
    assert after is not None
    assert after.cost is not None
    assert (after.cost.total, after.usage) == (4_000_000, Usage())
