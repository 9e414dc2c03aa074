"""The table of faults, which attempt comes next, and what a client hears when all have failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest
from msgspec import Struct

from tests.routing.catalogs import NOW, Past, endpoint, remembered
from trunkline.catalog.entries import Endpoint
from trunkline.errors import GatewayError
from trunkline.protocol.preferences import Partition
from trunkline.routing.fallback import Attempted, after, last_word, next_attempt, next_hedge
from trunkline.routing.health import Health, Outcome
from trunkline.routing.meanings import MEANINGS
from trunkline.routing.plan import Plan
from trunkline.wire import Fault, FaultKind

ALPHA, BETA, GAMMA = endpoint("alpha"), endpoint("beta"), endpoint("gamma")
OTHER, LAST = endpoint("alpha", "m/two"), endpoint("beta", "m/two")
ALL = (ALPHA, BETA, GAMMA, OTHER, LAST)


def failed(
    kind: FaultKind,
    one: Endpoint = ALPHA,
    *,
    status: int | None = None,
    retry_after: float | None = None,
    message: str = "it broke",
    is_byok: bool = False,
    output_began: bool = False,
) -> Attempted:
    return Attempted(
        endpoint=one,
        fault=Fault(kind, message, status, retry_after, raw="raw body"),
        started=1.0,
        ended=1.25,
        is_byok=is_byok,
        output_began=output_began,
    )


def a_plan(*attempts: Endpoint, most: int = 3, partition: Partition = "model", byok: Sequence[bool] = ()) -> Plan:
    is_byok = tuple(byok) or (False,) * len(attempts)
    return Plan(attempts=attempts, is_byok=is_byok, max_attempts=most, partition=partition)


CLIENTS_FAULTS = ("rejected", "unprocessable", "too_large", "too_long", "refused")


@pytest.mark.parametrize("kind", get_args(FaultKind))
def test_after(kind: FaultKind) -> None:
    expected = "next_model" if kind in CLIENTS_FAULTS else "next_endpoint"
    assert after(Fault(kind, "x"), output_began=False) == expected
    assert after(Fault(kind, "x"), output_began=True) == "stop"
    assert kind in MEANINGS


class Word(Struct, frozen=True):
    id: str
    attempted: Sequence[Attempted]
    status: int
    kind: str = "provider_unavailable"


WORDS = [
    Word("a rejection is the client's", [failed("rejected", status=400)], 400, "invalid_request"),
    Word("UP-13 a prompt that is too long", [failed("too_long", status=400)], 400, "context_length_exceeded"),
    Word("a request that cannot be processed", [failed("unprocessable", status=422)], 422, "unprocessable"),
    Word("too many bytes", [failed("too_large", status=413)], 413, "payload_too_large"),
    Word("a 403 that says nothing of our key", [failed("denied", status=403)], 502),
    Word("content policy", [failed("refused", status=400)], 403, "content_policy_violation"),
    Word("UP-11 a bad credential is never told as 401", [failed("credentials", status=401)], 502),
    Word("UP-12 our empty account is never told as 402", [failed("credentials", status=402)], 502),
    Word("a model that the provider does not know", [failed("missing", status=404)], 502),
    Word("a limit", [failed("limited", status=429)], 429, "rate_limit_exceeded"),
    Word("UP-10 an overload", [failed("overloaded", status=529)], 529, "provider_overloaded"),
    Word("UP-01 a closed port", [failed("unavailable")], 502),
    Word("UP-05 silence", [failed("silent")], 524, "timeout"),
    Word("UP-07 nonsense", [failed("nonsense", status=200)], 502),
    Word("UP-08 all say unavailable", [failed("overloaded", status=503), failed("unavailable", BETA, status=503)], 503),
    Word("UP-08 500, 502 and 504 from all", [failed("unavailable", status=s) for s in (500, 502, 504)], 502),
    Word("UP-09 all are limited", [failed("limited"), failed("limited", BETA)], 429, "rate_limit_exceeded"),
    Word("UP-10 all are overloaded", [failed("overloaded", status=529)] * 3, 529, "provider_overloaded"),
    Word("different kinds of one status", [failed("nonsense"), failed("credentials", BETA)], 502),
    Word("RT-03 mixed", [failed("limited"), failed("silent", BETA), failed("unavailable", GAMMA)], 503),
    Word("a rejection among others is mixed", [failed("rejected"), failed("unavailable", OTHER)], 503),
    Word("RT-17 the client's own bad key", [failed("credentials", status=401, is_byok=True)], 502),
    Word("RT-17 the client's own limit", [failed("limited", is_byok=True)], 429, "rate_limit_exceeded"),
]


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.id)
def test_last_word(word: Word) -> None:
    error = last_word(word.attempted)
    assert (error.status, error.kind) == (word.status, word.kind)
    told = error.metadata["attempts"]
    assert isinstance(told, list)
    assert [each["kind"] for each in told] == [each.fault.kind for each in word.attempted]
    assert "it broke" in error.message


def test_RT_02_a_single_attempt_gives_the_upstreams_own_error() -> None:
    error = last_word([failed("limited", status=429, message="Slow down!")])
    assert error.message == "Alpha: Slow down!"
    assert error.metadata["provider_name"] == "Alpha"
    assert error.metadata["raw"] == "raw body"
    assert error.metadata["attempts"] == [
        {
            "provider": "alpha",
            "provider_name": "Alpha",
            "model": "m/one",
            "kind": "limited",
            "status": 429,
            "message": "Slow down!",
            "is_byok": False,
            "duration_ms": 250,
        }
    ]


def test_several_attempts_are_each_named_and_their_bodies_are_not() -> None:
    error = last_word([failed("silent", message=""), failed("unavailable", BETA, message="port closed")])
    assert error.message == "All 2 attempts failed. Alpha: it did not answer in time. Beta: port closed."
    assert "raw" not in error.metadata


@pytest.mark.parametrize(
    ("hints", "expect"),
    [((2.0, 9.0), 2.0), ((-1.0,), 1.0), ((1e9,), 3600.0), ((None, 7.0), 7.0), ((None,), None), ((float("nan"),), None)],
    ids=["the least", "the past", "thirty years", "one hint", "none", "no number"],
)
def test_UP_09_retry_after_is_sane(hints: Sequence[float | None], expect: float | None) -> None:
    assert last_word([failed("limited", retry_after=hint) for hint in hints]).retry_after == expect


@pytest.mark.parametrize("kind", get_args(FaultKind))
def test_retry_after_comes_only_with_what_passes(kind: FaultKind) -> None:
    error = last_word([failed(kind, retry_after=7.0)])
    assert error.retry_after == (7.0 if error.status in (429, 503, 529) else None)


def test_a_code_of_the_contract_is_told_as_it_is() -> None:
    told = [Attempted(endpoint=ALPHA, fault=Fault("rejected", "x", code="image_too_large"), started=0, ended=1)]
    assert (last_word(told).status, last_word(told).kind) == (400, "image_too_large")
    assert last_word([*told, failed("rejected", BETA)]).kind == "invalid_request"


# What comes next


def run(plan: Plan, kinds: Sequence[FaultKind], health: Health | None = None) -> tuple[list[str], GatewayError]:
    """Carry out a plan whose attempts fail in the given ways, the last way again and again."""
    health = health or Health()
    made: list[Attempted] = []
    while (place := next_attempt(plan, made, health, now=NOW)) is not None:
        kind = kinds[min(len(made), len(kinds) - 1)]
        health.started(plan.attempts[place].id, NOW, is_first=not made)
        made.append(failed(kind, plan.attempts[place], is_byok=plan.is_byok[place]))
    return [each.endpoint.id for each in made], last_word(made)


class Course(Struct, frozen=True, kw_only=True):
    id: str
    plan: Plan
    kinds: Sequence[FaultKind]
    expect: Sequence[Endpoint]
    past: Sequence[Past] = ()


COURSES = [
    Course(
        id="RT-03 at most three of five",
        plan=a_plan(ALPHA, BETA, GAMMA, endpoint("delta"), endpoint("eta")),
        kinds=["unavailable"],
        expect=[ALPHA, BETA, GAMMA],
    ),
    Course(id="a plan of one", plan=a_plan(ALPHA), kinds=["unavailable"], expect=[ALPHA]),
    Course(id="a rejection goes to the next model", plan=a_plan(*ALL), kinds=["rejected"], expect=[ALPHA, OTHER]),
    Course(
        id="UP-13 too long: never again the same model", plan=a_plan(ALPHA, BETA), kinds=["too_long"], expect=[ALPHA]
    ),
    Course(
        id="a refusal after an outage closes the model",
        plan=a_plan(*ALL),
        kinds=["unavailable", "refused"],
        expect=[ALPHA, BETA, OTHER],
    ),
    Course(
        id="the last attempt is kept for the other model",
        plan=a_plan(*ALL),
        kinds=["unavailable"],
        expect=[ALPHA, BETA, OTHER],
    ),
    Course(
        id="with two attempts each model has one",
        plan=a_plan(*ALL, most=2),
        kinds=["unavailable"],
        expect=[ALPHA, OTHER],
    ),
    Course(
        id="without partition the order holds",
        plan=a_plan(*ALL, partition="none"),
        kinds=["unavailable"],
        expect=[ALPHA, BETA, GAMMA],
    ),
    Course(
        id="what is ejected meanwhile is passed over",
        plan=a_plan(ALPHA, BETA),
        kinds=["unavailable"],
        past=[Past("alpha:m/one", 5, "unavailable")],
        expect=[BETA, ALPHA],
    ),
    Course(
        id="the last candidate is asked though it is ejected",
        plan=a_plan(ALPHA),
        kinds=["unavailable"],
        past=[Past("alpha:m/one", 5, "unavailable")],
        expect=[ALPHA],
    ),
    Course(
        id="RT-17 the own key, then the house's",
        plan=a_plan(ALPHA, ALPHA, byok=(True, False)),
        kinds=["credentials", "unavailable"],
        expect=[ALPHA, ALPHA],
    ),
]


@pytest.mark.parametrize("course", COURSES, ids=lambda course: course.id)
def test_next_attempt(course: Course) -> None:
    asked, _ = run(course.plan, course.kinds, remembered(course.past))
    assert asked == [one.id for one in course.expect]


def test_RT_05_nothing_follows_output() -> None:
    made = [failed("unavailable", output_began=True)]
    assert next_attempt(a_plan(ALPHA, BETA), made, Health(), now=NOW) is None


def test_RT_14_with_too_little_time_left_nothing_is_begun() -> None:
    assert next_attempt(a_plan(ALPHA), [], Health(), now=NOW, remaining_s=0.5) is None
    assert next_attempt(a_plan(ALPHA), [], Health(), now=NOW, remaining_s=1.5) == 0


def test_places_that_cannot_be_asked_are_passed() -> None:
    assert next_attempt(a_plan(ALPHA, BETA), [], Health(), now=NOW, passed={0}) == 1
    assert next_attempt(a_plan(ALPHA), [], Health(), now=NOW, passed={0}) is None


def test_RT_04_when_all_are_down_the_retries_stay_within_the_budget() -> None:
    health = Health()
    attempts = 0
    for step in range(1000):
        now = NOW + step / 100
        made: list[Attempted] = []
        while (place := next_attempt(a_plan(ALPHA, BETA, GAMMA), made, health, now=now)) is not None:
            one = (ALPHA, BETA, GAMMA)[place]
            health.started(one.id, now, is_first=not made)
            made.append(failed("unavailable", one))
            health.record(one.id, Outcome(fault="unavailable"), now)
            attempts += 1
    assert attempts <= 1.2 * 1000 + 20


def slow(*ids: str) -> Health:
    """A health that knows how fast some endpoints are, and of enough calls that one may be doubled."""
    health = Health()
    for name in ids:
        for _ in range(60):
            health.started(name, NOW)
            health.record(name, Outcome(first_token_s=1.0), NOW)
    return health


def hedge(plan: Plan, health: Health, attempted: Sequence[Attempted] = (), first: int = 0) -> int | None:
    return next_hedge(plan, attempted, health, first=first, now=NOW, remaining_s=60.0)


def test_RT_11_a_hedge_goes_to_the_next_endpoint_of_the_same_model() -> None:
    assert hedge(a_plan(ALPHA, BETA, OTHER), slow(ALPHA.id)) == 1
    assert hedge(a_plan(ALPHA, OTHER), slow(ALPHA.id)) is None


def test_RT_11_there_is_no_hedge_before_enough_is_known() -> None:
    assert hedge(a_plan(ALPHA, BETA), Health()) is None


def test_RT_11_a_hedge_counts_as_an_attempt() -> None:
    assert hedge(a_plan(ALPHA, BETA, most=1), slow(ALPHA.id)) is None
    tried = [failed("unavailable", GAMMA)]
    assert hedge(a_plan(GAMMA, ALPHA, BETA), slow(ALPHA.id), tried, first=1) == 2
    assert hedge(a_plan(GAMMA, ALPHA, BETA, most=2), slow(ALPHA.id), tried, first=1) is None


def test_RT_11_a_hedge_does_not_go_to_an_endpoint_in_trouble_or_to_the_same_one() -> None:
    health = slow(ALPHA.id)
    for _ in range(3):
        health.record(BETA.id, Outcome(fault="unavailable"), NOW)
    assert hedge(a_plan(ALPHA, BETA, GAMMA), health) == 2
    assert hedge(a_plan(ALPHA, BETA), health) is None
    assert hedge(a_plan(ALPHA, ALPHA, byok=(True, False)), slow(ALPHA.id)) is None
