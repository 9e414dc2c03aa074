"""An explanation tells the numbers of every step, and its dice make the same plan again."""

from __future__ import annotations

import random

import msgspec
import pytest

from tests.routing.catalogs import NOW, Past, Shelf, ask, endpoint, plan_at, remembered, thrown
from trunkline.errors import NotFound
from trunkline.protocol.preferences import Sort
from trunkline.routing.explanation import as_json, as_table
from trunkline.routing.health import Health, Outcome
from trunkline.routing.plan import Plan, Policy
from trunkline.routing.refusal import NoEndpoint
from trunkline.wire import FaultKind

ENDPOINTS = [
    endpoint("alpha", usd="1", zdr=True),
    endpoint("beta", usd="2", zdr=True),
    endpoint("gamma", usd=None, zdr=True),
    endpoint("delta", zdr=True),
    endpoint("omega"),
]
DOWN = [Past("delta:m/one", 3, "unavailable")]


def explained(dice: tuple[float, ...] = (0.7, 0.1)) -> Plan:
    return plan_at(ask(zdr=True), Policy(), Shelf(ENDPOINTS), remembered(DOWN), thrown(*dice).__next__, now=NOW)


def test_the_table_answers_why() -> None:
    assert as_table(explained().explanation) == (
        "   endpoint     condition  expected USD  because\n"
        "1  beta:m/one   stable     0.000800\n"
        "2  alpha:m/one  stable     0.000400\n"
        "3  gamma:m/one  stable     unknown       no known price\n"
        "4  delta:m/one  outage     0.000400      outage lately\n"
        "–  omega:m/one  dropped                  zdr: does not say whether it retains prompts\n"
        "Drawn among 3: beta:m/one at 17% (dice 0.7000), then alpha:m/one at 80% (dice 0.1000)."
    )


def test_json_holds_every_step_with_its_numbers() -> None:
    told = as_json(explained().explanation)
    msgspec.json.encode(told)
    assert told["filters"] == ["service_tier", "zdr", "context_length"]
    assert told["dropped"] == [
        {
            "endpoint": "omega:m/one",
            "provider": "omega",
            "model": "m/one",
            "filter": "zdr",
            "reason": "does not say whether it retains prompts",
        }
    ]
    assert told["dice"] == [0.7, 0.1]
    steps = told["steps"]
    assert isinstance(steps, list)
    assert steps[0]["weights"] == pytest.approx([1.0, 0.25, 0.25])
    assert [draw["drawn"] for draw in steps[0]["draws"]] == ["beta:m/one", "alpha:m/one"]
    order = told["order"]
    assert isinstance(order, list)
    assert [each["endpoint"] for each in order] == [one.id for one in explained().attempts]


def test_a_sorted_step_names_its_measure() -> None:
    found = plan_at(ask(sort=Sort("price")), Policy(), Shelf(ENDPOINTS[:2]), Health(), thrown().__next__, now=NOW)
    assert as_table(found.explanation).endswith("Sorted by price: alpha:m/one, beta:m/one.")


def test_law_7_the_dice_of_an_explanation_make_the_same_plan_again() -> None:
    chance = random.Random(7)
    for _ in range(100):
        first = plan_at(ask(), Policy(), Shelf(ENDPOINTS), remembered(DOWN), chance.random, now=NOW)
        dice = iter(first.explanation.dice).__next__
        assert plan_at(ask(), Policy(), Shelf(ENDPOINTS), remembered(DOWN), dice, now=NOW) == first


def test_an_explanation_that_is_asked_for_late_tells_how_it_was_then() -> None:
    health, chance = remembered(DOWN), random.Random(8)
    for step in range(50):
        now = NOW + step
        request = ask(sort=Sort("latency")) if step % 2 else ask()
        plan = plan_at(request, Policy(), Shelf(ENDPOINTS), health, chance.random, now=now)
        at_once = plan.explanation
        for one in ENDPOINTS:
            fault: FaultKind | None = chance.choice(["unavailable", "limited", None])
            health.record(one.id, Outcome(fault=fault, first_token_s=0.1, input_tokens=9, cache_read_tokens=9), now)
        assert as_json(plan.explanation) == as_json(at_once)
        assert plan.explanation == at_once


def test_a_request_that_nobody_may_serve_is_explained_too() -> None:
    with pytest.raises(NotFound) as caught:
        plan_at(ask(zdr=True), Policy(), Shelf(ENDPOINTS[4:]), Health(), thrown().__next__, now=NOW)
    assert isinstance(caught.value, NoEndpoint)
    assert as_table(caught.value.explanation) == (
        "   endpoint     condition  expected USD  because\n"
        "–  omega:m/one  dropped                  zdr: does not say whether it retains prompts"
    )


def test_what_allow_fallbacks_cuts_is_named() -> None:
    found = plan_at(ask(allow_fallbacks=False), Policy(), Shelf(ENDPOINTS[:2]), Health(), thrown().__next__, now=NOW)
    assert [(each.provider, each.filter) for each in found.explanation.filtered_out] == [("beta", "allow_fallbacks")]
    assert len(found.explanation.order) == 1
