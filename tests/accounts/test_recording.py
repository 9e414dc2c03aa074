"""The record of a request, as a table: who pays what of it, and in which words it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests.routing.catalogs import endpoint
from trunkline.accounts.recording import row_of
from trunkline.generation import Ending, Generation
from trunkline.routing.fallback import Attempted, Outrun
from trunkline.routing.plan import Plan
from trunkline.stream.deltas import Cost, Spent, StopReason, Usage
from trunkline.wire import Fault

HOST = endpoint("alpha", usd=("1", "1"))
USED = Usage(input_tokens=1_000, output_tokens=200)
WORTH = Spent(USED, Cost(total=1_200_000, input=1_000_000, output=200_000))
OWN_KEY = Spent(USED, Cost(total=0, input=1_000_000, output=200_000, is_byok=True, upstream=1_200_000))
UNAVAILABLE = Fault("unavailable", "no", 503)


def failed(**changes: Any) -> Attempted:
    given: dict[str, Any] = {"endpoint": HOST, "fault": UNAVAILABLE, "started": 1.0, "ended": 1.5}
    return Attempted(**{**given, **changes})


def generation(**changes: Any) -> Generation:
    given: dict[str, Any] = {
        "id": "resp_1", "account_id": "acc_1", "key_id": "key_1", "ending": "ended", "endpoint": HOST,
        "plan": Plan(attempts=(HOST,)), "has_answered": True, "spent": WORTH, "received_at": 5.0, "took_s": 2.0,
        "asked_model": "m/one", "stop": "stop",
    }  # fmt: skip
    return Generation(**{**given, **changes})


@dataclass(frozen=True)
class Case:
    """What is different of a request, and what its record says in nano-dollars."""

    id: str
    cost: int
    charged: int
    house: int
    given: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case("an unlimited key is charged nothing and told its cost", 1_200_000, 0, 0),
    Case("what was held pays", 1_200_000, 1_200_000, 0, {"held_nano": 2_000_000, "most_nano": 2_000_000}),
    Case("what is above what was held is the house's", 1_200_000, 900_000, 300_000,
         {"held_nano": 900_000, "most_nano": 900_000}),
    Case("a cap below what was held is kept", 1_200_000, 500_000, 700_000,
         {"held_nano": 900_000, "most_nano": 500_000}),
    Case("a cap of an unlimited key bounds what it is told", 500_000, 0, 700_000, {"most_nano": 500_000}),
    Case("the client's own key pays by itself", 0, 0, 0,
         {"held_nano": 900_000, "most_nano": 900_000, "is_byok": True, "spent": OWN_KEY}),
    Case("nothing was said", 0, 0, 0, {"spent": None, "has_answered": False, "held_nano": 5, "most_nano": 5}),
    Case("a failed attempt that told what it used is the house's", 1_200_000, 0, 1_200_000,
         {"attempted": (failed(usage=USED),)}),
    Case("a failed attempt that told nothing cost nothing", 1_200_000, 0, 0, {"attempted": (failed(),)}),
    Case("one that failed with the client's own key costs the house nothing", 1_200_000, 0, 0,
         {"attempted": (failed(usage=USED, is_byok=True),)}),
    Case("an answer that broke off before the client's eyes is the client's alone", 1_200_000, 1_200_000, 0,
         {"ending": "failed", "attempted": (failed(usage=USED, output_began=True),),
          "held_nano": 2_000_000, "most_nano": 2_000_000}),
    Case("what was given up for a faster answer is the house's", 1_200_000, 0, 1_200_000,
         {"outrun": ((Outrun(endpoint=HOST, started=1.0, ended=2.0), WORTH),)}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_who_pays(case: Case) -> None:
    row = row_of(generation(**case.given), 7)
    assert (row.cost_nano, row.charged_nano, row.house_nano) == (case.cost, case.charged, case.house)


@pytest.mark.parametrize(
    ("ending", "stop", "status"),
    [
        ("ended", "stop", "completed"), ("ended", "calls", "completed"), ("ended", "length", "incomplete"),
        ("ended", "content_filter", "incomplete"), ("failed", None, "failed"), ("failed", "stop", "failed"),
        ("left", None, "cancelled"),
    ],
)  # fmt: skip
def test_how_it_ended(ending: Ending, stop: StopReason | None, status: str) -> None:
    assert row_of(generation(ending=ending, stop=stop), None).status == status


def test_what_else_is_kept() -> None:
    row = row_of(
        generation(
            spent=Spent(USED, WORTH.cost, "flex"), is_stream=True, queued_s=0.0104, first_token_s=0.5, upstream_id="c1",
            dropped=("seed", "user"), session_id="s", user="u",
        ),
        7,
    )  # fmt: skip
    assert (row.created_at_ms, row.queued_ms, row.first_token_ms, row.total_ms) == (5_000, 10, 500, 2_000)
    assert (row.model, row.asked_model, row.provider, row.endpoint_id) == ("m/one", "m/one", "alpha", HOST.id)
    assert (row.upstream_id, row.price_id, row.service_tier, row.streamed) == ("c1", 7, "flex", True)
    assert (row.dropped, row.session_id, row.user) == ("seed, user", "s", "u")
    assert (row.input_tokens, row.output_tokens, row.attempts) == (1_000, 200, None)


def test_MO_13_the_attempts_that_did_not_answer_are_told_in_order_with_their_cost() -> None:
    first = failed(usage=USED, ended=1.5)
    slower = Outrun(endpoint=HOST, started=1.0, ended=1.2)
    row = row_of(generation(attempted=(first,), outrun=((slower, WORTH),)), None)
    assert row.attempts is not None
    told = json.loads(row.attempts)
    assert [(each["kind"], each["status"], each["ms"]) for each in told] == [
        ("outrun", None, 200),
        ("unavailable", 503, 500),
    ]
    assert [Decimal(each["cost_usd"]) for each in told] == [Decimal("0.0012")] * 2
