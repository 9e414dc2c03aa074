"""Several nodes go by own figures and each other's: nothing counts twice, and who has had an answer knows better."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.routing.catalogs import NOW
from trunkline.routing.health import CONDITIONS, OUTAGE, Health, Outcome
from trunkline.routing.joint import AGAIN_S, TELLS_A_ROUND, JointHealth
from trunkline.routing.others import FORGET_S
from trunkline.wire import FaultKind

A = "alpha:m/one"
KNOWN = frozenset({A, *(f"e{number}" for number in range(1200))})
GOOD = Outcome(first_token_s=0.5, generation_s=2.0, input_tokens=100, cache_read_tokens=40, output_tokens=50)


def bad(fault: FaultKind = "unavailable", retry_after_s: float | None = None) -> Outcome:
    return Outcome(fault=fault, retry_after_s=retry_after_s)


class Nodes:
    """Nodes that hear each other at once when it is urgent, and else when a round is told."""

    def __init__(self, count: int = 3) -> None:
        self.now = NOW
        self.number = 0
        self.nodes = [JointHealth(KNOWN, self._hurry(place)) for place in range(count)]
        self.hurried: set[int] = set()
        self.told = 0

    def __getitem__(self, place: int) -> JointHealth:
        return self.nodes[place]

    def after(self, seconds: float) -> Nodes:
        self.now += seconds
        return self

    def serve(self, place: int, outcome: Outcome, id: str = A, *, own_key: str | None = None) -> None:
        """One attempt at a node, from its beginning to its end."""
        self[place].started(id, self.now)
        if outcome.fault is None:
            self[place].answered(id, self.now)
        self[place].record(id, outcome, self.now, own_key=own_key)
        for urgent in sorted(self.hurried):
            self._hear(urgent, self[urgent].tell_urgent(self.now))
        self.hurried.clear()

    def round(self) -> None:
        for place, node in enumerate(self.nodes):
            self._hear(place, node.tell(self.now))
        for node in self.nodes:
            node.forget(self.now)

    def conditions(self, id: str = A) -> list[str]:
        for node in self.nodes:
            assert node.views([id], self.now)[0].condition == node.condition(id, self.now)
        return [CONDITIONS[node.condition(id, self.now)] for node in self.nodes]

    def _hear(self, place: int, told: object) -> None:
        assert isinstance(told, list)
        self.number += 1
        self.told += len(told)
        for other, node in enumerate(self.nodes):
            if other != place and told:
                node.hear(f"node-{place}", self.number, told, self.now)

    def _hurry(self, place: int) -> Callable[[], None]:
        return lambda: self.hurried.add(place)


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([GOOD, bad(), bad("limited")]))))
def test_every_node_sees_what_one_would_have_seen_of_all(told: list[tuple[int, Outcome]]) -> None:
    nodes, alone = Nodes(), Health()
    for place, outcome in told:
        nodes[place].record(A, outcome, NOW)
        alone.record(A, outcome, NOW)
    for _ in range(3):
        nodes.round()
    want = alone.figures(A, NOW)
    for node in nodes.nodes:
        found = node.figures(A, NOW)
        assert (found.attempts, found.uptime) == (want.attempts, want.uptime)
        assert (found.latency, found.throughput, found.cache_hit_rate) == (
            want.latency,
            want.throughput,
            want.cache_hit_rate,
        )


def test_two_faults_at_two_nodes_are_an_outage_at_all() -> None:
    nodes = Nodes()
    nodes.serve(0, bad())
    nodes.serve(1, bad())
    assert nodes.conditions() == ["stable"] * 3
    nodes.round()
    assert nodes.conditions() == ["outage"] * 3


def test_RT_07_a_breaker_that_opens_is_known_at_once_everywhere() -> None:
    nodes = Nodes()
    for _ in range(5):
        nodes.serve(0, bad())
    assert nodes.conditions() == ["ejected"] * 3
    assert nodes[1].is_ejected(A, NOW + 29.9)
    assert nodes[1].is_ejected(A, NOW + 29.9, "a key of a client's")
    assert not nodes[1].is_ejected(A, NOW + 30.1)


def test_RT_07_each_node_lets_one_probe_through() -> None:
    nodes = Nodes()
    for _ in range(5):
        nodes.serve(0, bad())
    nodes.after(31)
    admitted = [0, 0, 0]
    for place in [*range(3)] * 50:
        if CONDITIONS[nodes[place].condition(A, nodes.now)] != "ejected":
            admitted[place] += 1
            nodes[place].started(A, nodes.now)
    assert admitted == [1, 1, 1]


@pytest.mark.parametrize("dead_s", range(20, 125, 7))
@pytest.mark.parametrize("turns", [(0, 1, 2), (0, 0, 0, 0, 1, 2)])
@pytest.mark.law
def test_one_that_dies_is_hardly_asked_after_five_seconds_and_its_return_is_known_within_a_minute(
    dead_s: int, turns: tuple[int, ...]
) -> None:
    """Whenever it returns, and however requests are shared out; they go there unless it looks down."""
    nodes, rate = Nodes(), 10
    for step in range(30 * rate):
        nodes.after(1 / rate).serve(turns[step % len(turns)], GOOD)
    died_at, asked = nodes.now, 0
    for step in range((dead_s + 60) * rate):
        nodes.after(1 / rate)
        is_dead = nodes.now - died_at < dead_s
        place = turns[step % len(turns)]
        if nodes[place].condition(A, nodes.now) < OUTAGE:
            asked += is_dead and nodes.now - died_at > 5
            nodes.serve(place, bad() if is_dead else GOOD)
        if step % rate == 0:
            nodes.round()
    assert asked < 0.05 * (dead_s - 5) * rate
    assert "ejected" not in nodes.conditions()
    assert "outage" not in nodes.conditions()


def test_a_probe_that_succeeds_closes_it_at_all_that_borrowed_it() -> None:
    nodes = Nodes()
    for _ in range(5):
        nodes.serve(0, bad())
    nodes.after(31)
    nodes.serve(0, GOOD)
    for node in nodes.nodes:
        node.started(A, nodes.now)
    assert nodes.conditions() == ["stable"] * 3, "no probe is wanted any more"


def test_a_probe_that_fails_where_it_is_borrowed_opens_it_everywhere_again() -> None:
    nodes = Nodes()
    for _ in range(5):
        nodes.serve(0, bad())
    nodes.after(31).serve(1, bad())
    assert nodes.conditions()[1:] == ["ejected", "ejected"]
    nodes.after(30.1)
    assert "ejected" not in nodes.conditions()


def test_own_faults_are_outweighed_by_own_probes_alone() -> None:
    """A node whose own way to the provider is broken must not ask there again because others get answers."""
    nodes = Nodes()
    for _ in range(5):
        nodes.serve(0, bad())
    nodes.after(5).serve(1, GOOD)
    assert nodes.conditions()[0] == "ejected"


def test_who_has_had_an_answer_since_borrows_no_breaker() -> None:
    nodes = Nodes()
    nodes.serve(0, bad())
    nodes.after(1).serve(1, GOOD)
    for _ in range(4):
        nodes.after(1).serve(0, bad())
    assert nodes.conditions()[:2] == ["ejected", "outage"], "in trouble by all figures, but not ejected"
    assert nodes.conditions()[2] == "ejected", "it heard nothing of the endpoint itself"
    nodes.serve(2, GOOD)
    assert nodes.conditions()[2] != "ejected", "an answer here outweighs faults elsewhere"
    nodes.after(2).round()
    assert nodes.conditions()[2] != "ejected", "also when it is told again that it is open there"


@pytest.mark.parametrize(
    ("outcome", "others"),
    [
        (bad("limited", 7.0), ["ejected"] * 2),
        (bad("overloaded", 7.0), ["ejected"] * 2),
        (bad("credentials"), ["stable"] * 2),
        (bad("rejected"), ["stable"] * 2),
    ],
    ids=["a limit", "an overload", "a bad key, which may be this node's alone", "a request that is wrong"],
)
def test_what_one_fault_does_elsewhere(outcome: Outcome, others: list[str]) -> None:
    nodes = Nodes()
    nodes.serve(0, outcome)
    assert nodes.conditions()[1:] == others


def test_what_nodes_with_an_old_key_meet_is_nothing_to_one_with_the_new() -> None:
    nodes = Nodes()
    for place in (0, 1, 0, 1):
        nodes.serve(place, bad("credentials"))
        nodes.round()
    assert nodes.conditions() == ["ejected", "ejected", "stable"]
    nodes.serve(0, bad("limited"))
    nodes.serve(1, bad("limited"))
    nodes.after(1).round()
    assert nodes.conditions()[2] == "outage"


def test_a_cool_down_ends_everywhere_at_its_time() -> None:
    nodes = Nodes()
    nodes[0].cool_down(A, 7.0, NOW)
    nodes._hear(0, nodes[0].tell_urgent(NOW))
    assert nodes[1].is_ejected(A, NOW + 6.9)
    assert not nodes[1].is_ejected(A, NOW + 6.9, "a key of a client's")
    assert not nodes[1].is_ejected(A, NOW + 7.1)


def test_a_limit_that_is_met_again_and_again_is_not_told_each_time() -> None:
    nodes = Nodes()
    for _ in range(100):
        nodes.after(0.01).serve(0, bad("limited", 7.0))
    assert nodes.told == 1
    nodes.after(2).round()
    assert nodes[1].is_ejected(A, nodes.now + 4.9)


def test_of_clients_own_keys_nothing_is_told() -> None:
    nodes = Nodes()
    for fault in ("credentials", "limited", "denied", "missing"):
        nodes.serve(0, bad(fault, 60.0), own_key="pk_1")
        nodes.round()
    assert nodes.told == 0
    assert nodes[0].is_ejected(A, NOW, "pk_1")
    assert not nodes[1].is_ejected(A, NOW, "pk_1")


def test_what_was_lost_is_told_again() -> None:
    nodes = Nodes()
    for _ in range(5):
        nodes[0].record(A, bad(), NOW)
    assert nodes[0].tell_urgent(NOW), "this message is lost"
    nodes.after(2).round()
    assert nodes.conditions() == ["ejected"] * 3


def test_a_word_of_one_that_is_gone_fades() -> None:
    nodes = Nodes()
    nodes.serve(0, GOOD)
    nodes.round()
    assert nodes[1].figures(A, NOW).attempts == 1
    nodes.after(FORGET_S)
    nodes[1].forget(nodes.now)
    assert nodes[1].figures(A, nodes.now).attempts == 0


def test_what_does_not_change_is_told_seldom_and_not_forgotten() -> None:
    nodes = Nodes()
    nodes.serve(0, GOOD)
    told = []
    for _ in range(120):
        before = nodes.told
        nodes.after(1).round()
        told.append(nodes.told - before)
        assert nodes[1].figures(A, nodes.now).attempts == 1
    assert sum(told) <= 120 / AGAIN_S + 3


def test_who_comes_late_is_told_everything() -> None:
    nodes = Nodes()
    nodes.serve(0, GOOD)
    nodes.round()
    nodes.nodes.append(JointHealth(KNOWN, lambda: None))
    nodes.after(1).round()
    assert nodes[3].figures(A, nodes.now).attempts == 0
    nodes[0].retell()
    nodes.after(1).round()
    assert nodes[3].figures(A, nodes.now).attempts == 1


def test_a_round_tells_a_bounded_number_and_nobody_is_forgotten() -> None:
    nodes = Nodes(2)
    for _ in range(4):
        for number in range(1200):
            nodes[0].record(f"e{number}", GOOD, nodes.now)
        before = nodes.told
        nodes.after(1).round()
        assert nodes.told - before == TELLS_A_ROUND
    for number in range(1200):
        assert nodes[1].figures(f"e{number}", nodes.now).attempts >= 1
