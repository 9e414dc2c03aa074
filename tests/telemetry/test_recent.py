"""What is remembered of the last requests: bounded, each account's own, and what became of the plan."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.routing.catalogs import NOW, Shelf, ask, endpoint, plan_at, thrown
from trunkline.billing import lost
from trunkline.generation import Generation, past_as_json
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.request import Request
from trunkline.routing.explanation import why
from trunkline.routing.fallback import Attempted, Outrun
from trunkline.routing.health import Health
from trunkline.routing.plan import Plan, Policy
from trunkline.stream.deltas import Usage
from trunkline.telemetry.recent import Recent
from trunkline.wire import Fault

ALPHA, BETA, OMEGA = endpoint("alpha", zdr=True), endpoint("beta", usd="2", zdr=True), endpoint("omega")
PLAN = plan_at(ask(zdr=True), Policy(), Shelf([ALPHA, BETA, OMEGA]), Health(), thrown().__next__, now=NOW)


def generation(name: str = "a", account: str = "mine", **fields: Any) -> Generation:
    known = {"plan": Plan(attempts=(ALPHA,)), "endpoint": ALPHA, "has_answered": True, **fields}
    return Generation(id=name, account_id=account, key_id="key", ending="ended", **known)


def test_the_oldest_makes_room() -> None:
    recent = Recent(2)
    for name in ("a", "b", "c"):
        recent.keep(generation(name))
    assert [recent.find(name, "mine") is not None for name in ("a", "b", "c")] == [False, True, True]


def test_nothing_is_kept_where_nothing_is_wanted() -> None:
    recent = Recent(0)
    recent.keep(generation())
    assert recent.find("a", "mine") is None


HELLO = Request(input=(Message(role="user", content=(InputText("a" * 384),)),))
"""A hundred tokens, four of which say whose message it is."""


def test_another_account_finds_nothing() -> None:
    recent = Recent(2)
    recent.keep(generation())
    assert recent.find("a", "theirs") is None


def test_a_generation_tells_what_became_of_the_plan() -> None:
    failure = Attempted(endpoint=BETA, fault=Fault("silent", "no byte in time"), started=1.0, ended=3.0)
    slower = Outrun(endpoint=BETA, started=1.0, ended=1.5)
    outrun = [(slower, lost(None, HELLO, BETA))]
    recent = Recent(1)
    recent.keep(generation(plan=PLAN, attempted=[failure], outrun=outrun))
    past = recent.find("a", "mine")
    assert past is not None
    told = past_as_json(past)
    msgspec.json.encode(told)
    assert told["answered_by"] == "alpha:m/one"
    assert told["attempts"] == [
        {
            "provider": "beta",
            "provider_name": "Beta",
            "model": "m/one",
            "kind": "silent",
            "status": None,
            "message": "no byte in time",
            "is_byok": False,
            "duration_ms": 2000,
        }
    ]
    assert told["outrun"] == [
        {
            "provider": "beta",
            "provider_name": "Beta",
            "model": "m/one",
            "is_byok": False,
            "duration_ms": 500,
            "cost_usd": 0.0002,
            "is_estimated": True,
        }
    ]


def test_what_a_provider_said_is_not_estimated() -> None:
    spent = lost(Usage(input_tokens=10, output_tokens=1), HELLO, ALPHA)
    assert spent.cost is not None
    assert (spent.cost.total, spent.usage.estimated) == (11_000, False)


def test_an_explanation_in_sentences() -> None:
    assert why(PLAN.explanation) == [
        "alpha:m/one is asked first, then beta:m/one.",
        "Drawn among 2: alpha:m/one at 80% (dice 0.0000).",
        "omega:m/one is left out by zdr: it does not say whether it retains prompts.",
    ]
