"""Breakers, cool-downs, outages, uptime, budgets: what attempts tell is what planning sees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import Struct

from tests.routing.catalogs import NOW
from trunkline.routing.health import CONDITIONS, MAX_ENDPOINTS, Health, Outcome
from trunkline.routing.meanings import MEANINGS
from trunkline.wire import FaultKind

A = "alpha:m/one"
B = "beta:m/one"
GOOD = Outcome()
FAULT_KINDS = tuple(MEANINGS)


def bad(fault: FaultKind = "unavailable", retry_after_s: float | None = None) -> Outcome:
    return Outcome(fault=fault, retry_after_s=retry_after_s)


def condition(health: Health, now: float) -> str:
    assert health.views([A], now)[0].condition == health.condition(A, now)
    return CONDITIONS[health.condition(A, now)]


def test_a_403_that_says_nothing_of_our_key_does_not_open_the_breaker() -> None:
    health = Health()
    health.record(A, bad("denied"), NOW)
    assert condition(health, NOW) == "stable"
    for step in range(20):
        health.record(A, bad("denied"), NOW + step / 10)
    assert condition(health, NOW + 2) == "outage"
    assert condition(health, NOW + 40) == "stable"


def test_RT_07_five_faults_in_a_row_open_the_breaker_for_half_a_minute() -> None:
    health = Health()
    for step in range(4):
        health.record(A, bad(), NOW + step)
    assert condition(health, NOW + 4) == "outage"
    health.record(A, bad(), NOW + 4)
    assert condition(health, NOW + 33.9) == "ejected"
    assert condition(health, NOW + 34.1) != "ejected"


def test_RT_07_half_open_lets_one_probe_through_among_fifty() -> None:
    health = Health()
    for _ in range(5):
        health.record(A, bad(), NOW)
    later = NOW + 31
    admitted = 0
    for _ in range(50):
        if condition(health, later) != "ejected":
            admitted += 1
            health.started(A, later)
    assert admitted == 1


@pytest.mark.parametrize(
    ("outcome", "after"),
    [(GOOD, "stable"), (bad(), "ejected"), (bad("rejected"), "stable"), (bad("limited"), "stable")],
    ids=["a success closes", "a fault opens again", "a bad request leaves it to the next", "a limit likewise"],
)
def test_RT_07_a_probe_decides(outcome: Outcome, after: str) -> None:
    health = Health()
    for _ in range(5):
        health.record(A, bad(), NOW)
    health.started(A, NOW + 31)
    assert condition(health, NOW + 32) == "ejected"
    health.record(A, outcome, NOW + 33)
    assert condition(health, NOW + 33) == after


def test_a_probe_that_never_reports_gives_its_place_back() -> None:
    health = Health()
    for _ in range(5):
        health.record(A, bad(), NOW)
    health.started(A, NOW + 31)
    assert condition(health, NOW + 90) == "ejected"
    assert condition(health, NOW + 92) == "stable"


def test_a_long_answer_from_before_does_not_close_a_breaker() -> None:
    health = Health()
    for _ in range(5):
        health.record(A, bad(), NOW)
        health.record(A, Outcome(first_token_s=0.5, generation_s=60.0, output_tokens=9), NOW)
    assert condition(health, NOW) == "ejected"


def test_first_tokens_between_faults_keep_a_breaker_closed() -> None:
    health = Health()
    for _ in range(20):
        health.record(A, bad(), NOW)
        health.answered(A, NOW)
    assert condition(health, NOW) == "outage"


def test_a_first_token_ends_a_probe() -> None:
    health = Health()
    for _ in range(5):
        health.record(A, bad(), NOW)
    health.answered(A, NOW + 1)
    assert condition(health, NOW + 1) == "ejected"
    health.started(A, NOW + 31)
    health.answered(A, NOW + 32)
    assert condition(health, NOW + 32) == "stable"


def test_stragglers_do_not_keep_a_breaker_open() -> None:
    health = Health()
    for step in range(25):
        health.record(A, bad(), NOW + step)
    assert condition(health, NOW + 33.9) == "ejected"
    assert condition(health, NOW + 34.1) != "ejected"


def test_RT_08_a_thousand_bad_requests_are_nobodys_fault() -> None:
    health = Health()
    for step in range(1000):
        health.record(A, bad("rejected"), NOW + step / 100)
    assert condition(health, NOW + 10) == "stable"
    assert health.figures(A, NOW + 10).attempts == 0


class Cooling(Struct, frozen=True):
    id: str
    outcome: Outcome
    ready_in: float


@pytest.mark.parametrize(
    "case",
    [
        Cooling("a limit with a hint", bad("limited", 7.0), 7.0),
        Cooling("a limit without one", bad("limited"), 0.0),
        Cooling("an overload with a hint", bad("overloaded", 12.0), 12.0),
        Cooling("a hint of less than a second", bad("limited", -1.0), 1.0),
        Cooling("a hint of thirty years", bad("limited", 1e9), 3600.0),
        Cooling("a hint that is no number", bad("limited", float("nan")), 0.0),
        Cooling("a bad credential", bad("credentials"), 300.0),
    ],
    ids=lambda case: case.id,
)
def test_cool_down(case: Cooling) -> None:
    health = Health()
    health.record(A, case.outcome, NOW)
    assert (condition(health, NOW) == "ejected") == (case.ready_in > 0)
    if case.ready_in:
        assert condition(health, NOW + case.ready_in - 0.1) == "ejected"
        assert condition(health, NOW + case.ready_in + 0.1) == "stable"


def test_UP_12_an_endpoint_with_a_bad_credential_is_probed_once_after_its_rest() -> None:
    health = Health()
    health.record(A, bad("credentials"), NOW)
    health.started(A, NOW + 301)
    assert condition(health, NOW + 302) == "ejected"


def test_RT_17_a_clients_own_bad_key_says_nothing_about_the_endpoint() -> None:
    health = Health()
    for _ in range(20):
        for fault in (bad("credentials"), bad("missing"), bad("denied"), bad("limited", 60.0)):
            health.record(A, fault, NOW, own_key="pk_1")
    assert condition(health, NOW) == "stable"
    assert not health.is_ejected(A, NOW)
    assert not health.is_ejected(A, NOW, "pk_2"), "nor about another's key"
    health.record(A, bad("unavailable"), NOW, own_key="pk_1")
    assert health.figures(A, NOW).attempts == 1


@pytest.mark.parametrize(
    ("outcome", "rest_s"),
    [
        (bad("credentials"), 30.0),
        (bad("missing"), 30.0),
        (bad("limited", 7.0), 7.0),
        (bad("limited", 86_400.0), 3600.0),
        (bad("limited"), 0.0),
        (bad("limited", float("nan")), 0.0),
        (bad("denied", 7.0), 0.0),
    ],
)
def test_RT_17_an_own_key_rests_alone(outcome: Outcome, rest_s: float) -> None:
    health = Health()
    health.record(A, outcome, NOW, own_key="pk_1")
    assert health.is_ejected(A, NOW, "pk_1") == (rest_s > 0)
    if rest_s:
        assert health.is_ejected(A, NOW + rest_s - 0.1, "pk_1")
    assert not health.is_ejected(A, NOW + rest_s + 0.1, "pk_1")
    assert not health.is_ejected(B, NOW, "pk_1"), "at another endpoint it was not refused"


@pytest.mark.parametrize(
    ("outcomes", "ours", "own"),
    [
        ([bad("credentials")], "ejected", "stable"),
        ([bad("limited", 60.0)], "ejected", "stable"),
        ([bad("limited")] * 9, "outage", "stable"),
        ([bad("missing")] * 4, "outage", "stable"),
        ([bad("missing")] * 5, "ejected", "stable"),
        ([bad("overloaded", 60.0)], "ejected", "ejected"),
        ([bad("unavailable")] * 4, "outage", "outage"),
        ([bad("unavailable")] * 5, "ejected", "ejected"),
        ([bad("credentials"), *[bad("unavailable")] * 9], "ejected", "outage"),
    ],
)
def test_what_is_wrong_with_our_key_keeps_nobody_away_who_brings_one(
    outcomes: list[Outcome], ours: str, own: str
) -> None:
    health = Health()
    for outcome in outcomes:
        health.record(A, outcome, NOW)
    (view,) = health.views([A], NOW)
    assert (CONDITIONS[view.condition], CONDITIONS[view.own_condition]) == (ours, own)
    assert health.condition(A, NOW, is_byok=True) == view.own_condition
    assert health.is_ejected(A, NOW, "pk_1") == (own == "ejected")
    assert health.is_ejected(A, NOW) == (ours == "ejected")


def test_rate_limit_headers_of_ours_are_nothing_to_own_keys() -> None:
    health = Health()
    health.cool_down(A, 20.0, NOW)
    assert health.is_ejected(A, NOW)
    assert not health.is_ejected(A, NOW, "pk_1")


def test_own_keys_are_forgotten_from_the_oldest_on() -> None:
    health = Health()
    for number in range(MAX_ENDPOINTS + 1):
        health.record(A, bad("credentials"), NOW, own_key=f"pk_{number}")
    assert not health.is_ejected(A, NOW, "pk_0")
    assert health.is_ejected(A, NOW, "pk_1")
    assert health.is_ejected(A, NOW, f"pk_{MAX_ENDPOINTS}")


def test_rate_limit_headers_cool_down() -> None:
    health = Health()
    health.cool_down(A, 20.0, NOW)
    assert condition(health, NOW + 19) == "ejected"
    assert condition(health, NOW + 21) == "stable"


def test_figures() -> None:
    health = Health()
    for step in range(100):
        health.record(
            A,
            Outcome(
                fault="silent" if step % 10 == 0 else None,
                first_token_s=0.1 * (1 + step % 10),
                generation_s=2.0,
                output_tokens=100 if step < 50 else 200,
                input_tokens=1000,
                cache_read_tokens=250,
            ),
            NOW + step / 10,
        )
    found = health.figures(A, NOW + 10)
    assert found.condition == "degraded"
    assert found.uptime == pytest.approx(0.9)
    assert found.attempts == 100
    assert found.cache_hit_rate == 0.25
    assert found.latency is not None
    assert [found.latency.p50, found.latency.p90] == pytest.approx([0.5, 0.9], rel=0.065)
    assert found.throughput is not None
    assert found.throughput.p90 == pytest.approx(50, rel=0.065)
    assert found.throughput.p99 == found.throughput.p90 == found.throughput.p75 <= found.throughput.p50


@pytest.mark.parametrize(
    ("faults", "expect"), [(5, "stable"), (6, "degraded"), (20, "degraded"), (21, "fallback_only")]
)
def test_uptime_has_two_steps(faults: int, expect: str) -> None:
    health = Health()
    for step in range(100):
        health.record(A, bad("nonsense") if step % 100 < faults else GOOD, NOW)
        health.answered(A, NOW)
    assert condition(health, NOW + 60) == expect


def test_faults_of_an_endpoint_that_is_known_to_be_down_do_not_keep_it_behind() -> None:
    health = Health()
    for step in range(200):
        health.record(A, bad(), NOW + step)
    for _ in range(100):
        health.record(A, GOOD, NOW + 300)
    assert condition(health, NOW + 300) == "stable"
    assert health.figures(A, NOW + 300).uptime == pytest.approx(1 / 3)


def test_an_unknown_endpoint_is_stable_and_has_no_figures() -> None:
    health = Health()
    assert condition(health, NOW) == "stable"
    assert health.latency(A, 0.5, NOW) is None
    assert health.figures(A, NOW).uptime is None


def test_the_retry_budget_is_a_fifth_of_the_requests_and_never_less_than_three() -> None:
    health = Health()
    for _ in range(5):
        health.record(A, bad(), NOW)
    allowed = 0
    while health.may_retry(NOW):
        health.started(A, NOW, is_first=False)
        allowed += 1
    assert allowed == 3
    for _ in range(100):
        health.started("beta:m/one", NOW)
    while health.may_retry(NOW):
        health.started(A, NOW, is_first=False)
        allowed += 1
    assert allowed == 20


def test_falling_back_to_a_healthy_endpoint_costs_no_budget() -> None:
    health = Health()
    for _ in range(50):
        health.started("beta:m/one", NOW, is_first=False)
    assert health.may_retry(NOW)


def test_RT_11_hedges_need_samples_and_stay_under_their_share() -> None:
    health = Health(hedges=0.02)
    for _ in range(100):
        health.started(A, NOW)
    assert health.hedge_after(A, NOW) is None
    for step in range(20):
        health.record(A, Outcome(first_token_s=1.0 if step < 19 else 9.0), NOW)
    assert health.hedge_after(A, NOW) == pytest.approx(1.0, rel=0.065)
    health.hedged(NOW)
    health.hedged(NOW)
    assert health.hedge_after(A, NOW) is None


def test_RT_11_who_was_outrun_counts_as_at_least_so_slow() -> None:
    health = Health()
    health.record(A, Outcome(first_token_s=1.0), NOW)
    health.outrun(A, 8.0, NOW)
    figures = health.figures(A, NOW)
    assert figures.attempts == 1
    assert figures.latency is not None
    assert figures.latency.p99 == pytest.approx(8.0, rel=0.065)


def test_several_endpoints_are_told_as_one() -> None:
    health = Health()
    for _ in range(3):
        health.record(A, Outcome(first_token_s=1.0, generation_s=1.0, output_tokens=50), NOW)
    health.record("beta:m/one", Outcome(first_token_s=4.0), NOW)
    for _ in range(4):
        health.record("beta:m/one", bad(), NOW)
    joint = health.joint_figures([A, "beta:m/one", "never:m/asked"], NOW)
    assert (joint.condition, joint.uptime, joint.attempts) == ("stable", 0.5, 8)
    assert joint.latency is not None
    assert joint.latency.p50 == pytest.approx(1.0, rel=0.065)
    assert joint.latency.p99 == pytest.approx(4.0, rel=0.065)
    assert joint.throughput == health.figures(A, NOW).throughput
    assert health.joint_figures(["never:m/asked"], NOW).uptime is None


def test_memory_is_bounded() -> None:
    health = Health()
    for number in range(MAX_ENDPOINTS + 500):
        health.record(f"p:m/{number}", bad(), NOW)
    assert health.figures("p:m/0", NOW).attempts == 0
    assert health.figures(f"p:m/{MAX_ENDPOINTS}", NOW).attempts == 1


class BreakerMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, an endpoint that answers well comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.health = Health()
        self.now = NOW

    @rule(fault=st.sampled_from(FAULT_KINDS), hint=st.none() | st.floats())
    def fail(self, fault: FaultKind, hint: float | None) -> None:
        self.health.started(A, self.now)
        self.health.record(A, bad(fault, hint), self.now)

    @rule()
    def succeed(self) -> None:
        self.health.started(A, self.now)
        self.health.record(A, GOOD, self.now)

    @rule(seconds=st.floats(0, 4000))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def start_and_vanish(self) -> None:
        self.health.started(A, self.now)

    @invariant()
    def nobody_is_ejected_for_longer_than_an_hour(self) -> None:
        assert CONDITIONS[self.health.condition(A, self.now + 3600.1)] != "ejected"

    @invariant()
    def figures_are_shares(self) -> None:
        found = self.health.figures(A, self.now)
        assert found.uptime is None or 0 <= found.uptime <= 1
        assert found.attempts >= 0


BreakerMachine.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=30)
TestBreaker = BreakerMachine.TestCase


@given(st.lists(st.tuples(st.sampled_from([None, *FAULT_KINDS]), st.floats(0, 40)), max_size=40))
def test_an_outage_is_two_faults_and_half_of_all_in_thirty_seconds(told: list[tuple[FaultKind | None, float]]) -> None:
    health = Health()
    now = NOW
    for fault, wait in told:
        now += wait
        health.record(A, Outcome(fault=fault), now)
    good, faults, at = 0, 0, NOW
    for fault, wait in told:
        at += wait
        if int(at / 2) > int(now / 2) - 15 and (fault is None or MEANINGS[fault].blame != "client"):
            good, faults = (good + 1, faults) if fault is None else (good, faults + 1)
    expected = faults >= 2 and faults >= good
    if condition(health, now) != "ejected":
        assert (condition(health, now) == "outage") == expected
