"""Turns are fair, never more than a limit lets be held, and nobody waits in vain while every turn lasts the same."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from trunkline.routing.turns import PROBE_EVERY_S, REMEMBERED_S, UNLIMITED, Limit, Line, Refused, Turn

ACCOUNTS = "abc"
ENDPOINTS = ("one", "two")
EVER = 1e6


@dataclass
class Asked:
    """What a test remembers of a turn that it asked for."""

    turn: Turn
    order: int
    at: float
    began: float | None = None
    left: bool = False


class Lived(RuleBasedStateMachine):
    """Any life of a line of a provider with two endpoints, of which the second has a limit of its own."""

    @initialize(whole=st.integers(1, 4), own=st.integers(1, 3), room=st.integers(1, 12))
    def begin(self, whole: int, own: int, room: int) -> None:
        self.line = Line(Limit(whole), {"two": Limit(own)}, room)
        self.whole, self.own, self.room = whole, own, room
        self.now = 0.0
        self.asked: list[Asked] = []
        self.weights = {"a": 1, "b": 1, "c": 3}

    @rule(account=st.sampled_from(ACCOUNTS), endpoint=st.sampled_from(ENDPOINTS), weight=st.integers(1, 4) | st.none())
    def ask(self, account: str, endpoint: str, weight: int | None) -> None:
        waiting = self.waiting()
        self.weights[account] = weight or self.weights[account]
        found = self.line.ask(account, self.weights[account], endpoint, self.now, EVER)
        if isinstance(found, Refused):
            own = sum(each.turn.account == account for each in waiting)
            assert found.is_full
            assert own >= self.room - len(waiting), "there is room"
            return
        asked = Asked(found, len(self.asked), self.now)
        self.asked.append(asked)
        if found.has_begun():
            assert not [each for each in waiting if each.turn.endpoint_id == endpoint], "somebody was overtaken"
            asked.began = self.now

    @rule(which=st.integers(0, 50))
    def leave(self, which: int) -> None:
        here = self.waiting() + self.held()
        if here:
            asked = here[which % len(here)]
            asked.left = True
            self.note(self.line.leave(asked.turn, self.now))

    @rule(rest_s=st.floats(0.1, 30), endpoint=st.sampled_from(ENDPOINTS))
    def refuse(self, rest_s: float, endpoint: str) -> None:
        self.line.limited(endpoint, rest_s, self.now)

    @rule(which=st.integers(0, 50))
    def answer(self, which: int) -> None:
        if held := self.held():
            self.note(self.line.answered(held[which % len(held)].turn, self.now))

    @rule(seconds=st.floats(0.01, 40))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.note(self.line.serve(self.now))

    def note(self, served: Sequence[Turn]) -> None:
        """Hold each turn that begins to fairness, in the order in which they began."""
        assert len(set(served)) == len(served)
        for turn in served:
            (asked,) = [each for each in self.asked if each.turn is turn]
            assert asked.began is None, "served twice"
            assert not asked.left, "served after it left"
            rivals = [each for each in self.waiting() if each.turn.endpoint_id == turn.endpoint_id]
            for rival in rivals:
                mine, theirs = self.share(turn.account), self.share(rival.turn.account)
                assert mine <= theirs + 1e-9, "served although it had more than its share"
                assert rival.turn.account != turn.account or rival.order >= asked.order, "overtaken in its account"
            asked.began = self.now

    def share(self, account: str) -> float:
        return sum(each.turn.account == account for each in self.held()) / self.weights[account]

    def waiting(self) -> list[Asked]:
        return [each for each in self.asked if each.began is None and not each.left]

    def held(self) -> list[Asked]:
        return [each for each in self.asked if each.began is not None and not each.left]

    @invariant()
    def keeps_its_limits(self) -> None:
        held = self.held()
        assert len(held) <= self.whole
        assert sum(each.turn.endpoint_id == "two" for each in held) <= self.own

    @invariant()
    def is_work_conserving(self) -> None:
        """Who waits cannot begin: time has to pass, and it is said how much, or something must end or answer."""
        for each in self.waiting():
            assert not self.line._is_open(each.turn.endpoint_id, self.now)
        if self.waiting() and not self.held():
            opens_at = self.line.opens_at(self.now)
            assert opens_at is not None
            assert opens_at > self.now

    @invariant()
    def remembers_no_more_than_is_there(self) -> None:
        line, here = self.line, self.waiting() + self.held()
        assert line.waiting == len(self.waiting())
        assert set(line._accounts) == {each.turn.account for each in here}
        assert set(line._waiting) == {each.turn.account for each in self.waiting()}
        assert line.waiting <= self.room
        assert set(line._standing) == {each.turn.number for each in self.waiting()}
        assert set(line._claims) == {each.turn.endpoint_id for each in self.waiting()}
        assert all(len(claims) <= 2 * self.room + 65 for claims in line._claims.values())


TestLived = Lived.TestCase
TestLived.settings = settings(max_examples=60, stateful_step_count=40)


@dataclass
class Play:
    """A line over time: who asks when, how long each turn lasts; what came of it."""

    line: Line
    lasts_s: Callable[[str], float]
    patience_s: float = EVER
    now: float = 0.0
    began: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)
    in_vain: Counter[str] = field(default_factory=Counter)
    held_at_most: int = 0

    def run(self, arrivals: Sequence[tuple[float, str]], weights: dict[str, float] | None = None) -> Play:
        numbers = count()
        events: list[tuple[float, int, str, object]] = [(at, next(numbers), "ask", who) for at, who in arrivals]
        heapq.heapify(events)
        asked_at: dict[Turn, float] = {}
        held = 0
        looks_at: float | None = None

        def begin(turn: Turn) -> None:
            nonlocal held
            held += 1
            self.held_at_most = max(self.held_at_most, held)
            self.began[turn.account].append(self.now)
            self.waits[turn.account].append(self.now - asked_at[turn])
            heapq.heappush(events, (self.now + self.lasts_s(turn.account), next(numbers), "end", turn))

        while events:
            self.now, _, kind, what = heapq.heappop(events)
            served: list[Turn] = []
            if kind == "ask":
                assert isinstance(what, str)
                served += self.line.serve(self.now)
                found = self.line.ask(what, (weights or {}).get(what, 1), "one", self.now, self.patience_s)
                if isinstance(found, Refused):
                    self.refused[what] += 1
                else:
                    asked_at[found] = self.now
                    if found.has_begun():
                        begin(found)
                    else:
                        heapq.heappush(events, (self.now + self.patience_s + 1e-6, next(numbers), "give up", found))
            elif kind == "give up":
                assert isinstance(what, Turn)
                if not what.has_begun():
                    self.in_vain[what.account] += 1
                    served += self.line.leave(what, self.now)
            elif kind == "end":
                assert isinstance(what, Turn)
                held -= 1
                served += self.line.leave(what, self.now)
            else:
                served += self.line.serve(self.now)
            for turn in served:
                begin(turn)
            if kind == "look":
                looks_at = None
            if self.line.waiting and (at := self.line.opens_at(self.now)) is not None:
                at = max(at, self.now + 1e-6)
                if looks_at is None or at < looks_at:
                    looks_at = at
                    heapq.heappush(events, (at, next(numbers), "look", None))
        return self


def every(interval_s: float, who: str, seconds: float, offset_s: float = 0.0) -> list[tuple[float, str]]:
    return [(offset_s + number * interval_s, who) for number in range(int(seconds / interval_s))]


@given(
    places=st.integers(1, 6),
    lasts_s=st.floats(0.05, 3),
    gaps_s=st.lists(st.floats(0, 0.5), min_size=5, max_size=60),
    patience_s=st.floats(0, 8),
)
def test_nobody_waits_and_is_refused_then(
    places: int, lasts_s: float, gaps_s: Sequence[float], patience_s: float
) -> None:
    at, arrivals = 100.0, [(0.0, "a")]  # the first one tells how long a turn lasts
    for gap_s in gaps_s:
        at += gap_s
        arrivals.append((at, "a"))
    play = Play(Line(Limit(places), {}, 1_000), lambda who: lasts_s, patience_s).run(arrivals)
    assert not play.in_vain
    assert play.held_at_most <= places
    assert len(play.began["a"]) + play.refused["a"] == len(arrivals)


@given(per_minute=st.integers(1, 600), burst=st.integers(1, 80), patience_s=st.floats(0, 90))
def test_a_pace_is_kept_and_its_estimate_exact(per_minute: int, burst: int, patience_s: float) -> None:
    line = Line(Limit(per_minute=per_minute), {}, 1_000)
    play = Play(line, lambda who: 0.01, patience_s).run([(0.0, "a")] * burst)
    assert not play.in_vain
    began = play.began["a"]
    at_once, interval_s = max(1.0, per_minute / 6), 60 / per_minute
    for number, at in enumerate(began):
        assert sum(each <= at for each in began) <= at_once + at / interval_s + 1e-3, number


@pytest.mark.parametrize("weight", [1, 3])
def test_tn_05_a_flood_takes_nothing_from_another_account(weight: int) -> None:
    """A asks ten times as often as there is room for, B five times a second: B waits for one turn to end at most."""
    arrivals = every(0.005, "a", 20) + every(0.2, "b", 18, offset_s=1.003)
    play = Play(Line(Limit(8), {}, 1_000), lambda who: 0.4, patience_s=10).run(arrivals, {"b": weight})
    assert not play.refused["b"]
    assert not play.in_vain
    assert max(play.waits["b"]) <= 0.4
    assert play.refused["a"] > 1_000


def test_places_are_shared_by_weight_however_long_turns_last() -> None:
    arrivals = every(0.05, "a", 100) + every(0.05, "c", 100)
    play = Play(Line(Limit(8), {}, 5_000), {"a": 4.0, "c": 0.5}.__getitem__).run(arrivals, {"a": 1, "c": 3})
    held_by_a = sum(4.0 for at in play.began["a"] if 10 < at < 90)
    held_by_c = sum(0.5 for at in play.began["c"] if 10 < at < 90)
    assert held_by_c / held_by_a == pytest.approx(3, rel=0.1)


@pytest.mark.law
def test_beginnings_are_shared_by_weight_where_nothing_else_is_counted() -> None:
    line = Line(Limit(per_minute=600), {}, 20_000)
    arrivals = every(0.02, "a", 60) + every(0.02, "b", 60) + every(0.02, "c", 60)
    play = Play(line, {"a": 30.0, "b": 0.1, "c": 1.0}.__getitem__).run(arrivals, {"c": 3})
    began = {who: sum(10 < at < 60 for at in times) for who, times in play.began.items()}
    assert began["a"] == pytest.approx(100, abs=2)
    assert began["b"] == pytest.approx(100, abs=2)
    assert began["c"] == pytest.approx(300, abs=2)


def test_no_turn_is_saved_up() -> None:
    """Who was away for long comes in turn, and not for all the turns it might have had."""
    line = Line(Limit(1), {}, 5_000)
    play = Play(line, lambda who: 0.1).run(every(0.05, "a", 30) + every(0.001, "b", 0.2, offset_s=10))
    began = [("a", at) for at in play.began["a"]] + [("b", at) for at in play.began["b"]]
    order = "".join(who for who, at in sorted(began, key=lambda each: each[1]) if 10.1 < at < 15)
    assert order.strip("ab") == ""
    assert "aa" not in order
    assert "bb" not in order


def test_a_turn_is_waited_for_at_the_endpoint_that_is_full_alone() -> None:
    line = Line(Limit(3), {"one": Limit(1)}, 10)
    first, second, other = (line.ask("a", 1, endpoint, 0.0, EVER) for endpoint in ("one", "one", "two"))
    assert isinstance(first, Turn)
    assert isinstance(second, Turn)
    assert isinstance(other, Turn)
    assert (first.has_begun(), second.has_begun(), other.has_begun()) == (True, False, True)
    assert line.leave(other, 1.0) == []
    assert line.leave(first, 1.0) == [second]
    assert line.leave(first, 1.0) == []


def test_one_account_has_half_of_the_room_and_the_next_half_of_the_rest() -> None:
    line = Line(Limit(1), {}, 100)
    line.ask("z", 1, "one", 0.0, EVER)
    stood = {}
    for account in "abc":
        asked = [line.ask(account, 1, "one", 0.0, EVER) for _ in range(100)]
        stood[account] = sum(isinstance(each, Turn) for each in asked)
        assert all(each.is_full for each in asked if isinstance(each, Refused))
    assert stood == {"a": 50, "b": 25, "c": 13}


def test_who_had_a_turn_and_was_refused_comes_before_the_others_of_its_account() -> None:
    line = Line(Limit(1), {}, 100)
    held = line.ask("a", 1, "one", 0.0, EVER)
    later = line.ask("a", 1, "one", 0.0, EVER)
    again = line.ask("a", 1, "one", 0.0, EVER, is_again=True)
    assert isinstance(held, Turn)
    assert isinstance(again, Turn)
    assert line.leave(held, 1.0) == [again]
    assert line.leave(again, 2.0) == [later]


def test_a_weight_that_changes_while_its_account_waits_counts_from_then() -> None:
    line = Line(Limit(3), {}, 100)
    _, second, third = (line.ask(account, 1, "one", 0.0, EVER) for account in "aab")
    waiting = line.ask("a", 1, "one", 0.0, EVER)
    later = line.ask("a", 9, "one", 0.0, EVER)
    assert isinstance(second, Turn)
    assert isinstance(third, Turn)
    assert line.leave(third, 1.0) == [waiting]
    other = line.ask("c", 1, "one", 1.0, EVER)
    assert line.leave(second, 1.0) == [other], "who holds nothing comes first, whatever the weights"
    assert isinstance(waiting, Turn)
    assert line.leave(waiting, 1.0) == [later]


def test_claims_that_stand_no_more_are_not_gathered() -> None:
    """Who holds turns all the time changes its claim with each, while it waits at an endpoint that stays full."""
    line = Line(Limit(100), {"two": Limit(1)}, 100)
    for _ in range(3):
        line.ask("a", 1, "two", 0.0, EVER)
    for number in range(2_000):
        held = line.ask("a", 1, "one", float(number), EVER)
        assert isinstance(held, Turn)
        line.leave(held, number + 0.5)
    assert len(line._claims["two"]) < 100


def test_several_processes_have_a_share_each_and_never_more_when_there_are_more() -> None:
    processes = [1]
    line = Line(Limit(8), {}, 100, lambda: processes[0])
    turns = [line.ask("a", 1, "one", 0.0, EVER) for _ in range(12)]
    held = [each for each in turns if isinstance(each, Turn) and each.has_begun()]
    assert len(held) == 8
    processes[0] = 3
    served = [line.leave(each, 1.0) for each in held]
    assert [len(each) for each in served] == [0, 0, 0, 0, 0, 0, 1, 1]


# What the upstream says


def closed(rest_s: float = 2.0, *, waiting: int = 20) -> tuple[Line, list[Turn]]:
    """A line without a limit of its own, which a 429 closed, and some who wait."""
    line = Line(UNLIMITED, {}, 100)
    line.limited("one", rest_s, 0.0)
    turns = [line.ask("a", 1, "one", 0.1, 10.0) for _ in range(waiting)]
    assert all(isinstance(each, Turn) and not each.has_begun() for each in turns)
    return line, [each for each in turns if isinstance(each, Turn)]


def test_a_line_that_was_closed_opens_with_one_and_then_one_more_for_each_answer() -> None:
    line, turns = closed()
    assert line.opens_at(0.1) == 2.0
    assert line.serve(1.9) == []
    assert line.serve(2.0) == turns[:1]
    assert line.opens_at(2.0) is None
    assert line.answered(turns[0], 2.5) == turns[1:2]
    assert line.leave(turns[0], 3.0) == turns[2:3]
    assert line.answered(turns[1], 3.5) == turns[3:4]
    assert line.answered(turns[1], 3.5) == []


def test_after_the_next_refusal_half_as_many_as_were_held_go_on_from_the_probe() -> None:
    line, turns = closed(waiting=20)
    line.serve(2.0)
    for each in turns[:7]:
        line.answered(each, 2.5)  # eight are held now
    for each in turns[:8]:
        line.limited("one", 1.0, 3.0)
        assert line.leave(each, 3.0) == []
    assert line.serve(3.9) == []
    assert line.serve(4.0) == turns[8:9]
    assert line.answered(turns[8], 4.1) == turns[9:12]
    assert line.answered(turns[9], 4.2) == []
    assert [len(line.answered(each, 4.3)) for each in turns[10:12]] == [0, 0]


def test_an_answer_from_before_a_refusal_opens_nothing() -> None:
    line, turns = closed()
    line.serve(2.0)
    line.limited("one", 5.0, 3.0)
    assert line.answered(turns[0], 3.1) == []
    assert line.leave(turns[0], 3.2) == []
    assert line.serve(7.9) == []
    assert line.serve(8.0) == turns[1:2]


def test_a_probe_that_says_nothing_lets_another_try() -> None:
    line, turns = closed()
    line.serve(2.0)
    assert line.leave(turns[0], 9.0) == turns[1:2]


def test_who_would_wait_too_long_is_told_how_long_but_for_a_probe_now_and_then() -> None:
    line = Line(UNLIMITED, {}, 100)
    line.limited("one", 3600.0, 0.0)
    assert line.ask("a", 1, "one", 1.0, 10.0) == Refused(3599.0)
    probe = line.ask("a", 1, "one", PROBE_EVERY_S, 10.0)
    assert isinstance(probe, Turn)
    assert probe.has_begun()
    assert isinstance(line.ask("a", 1, "one", PROBE_EVERY_S, 10.0), Refused)
    line.leave(probe, PROBE_EVERY_S + 1)
    assert isinstance(line.ask("a", 1, "one", PROBE_EVERY_S + 2, 10.0), Refused)
    again = line.ask("a", 1, "one", 2 * PROBE_EVERY_S, 10.0)
    assert isinstance(again, Turn)
    line.answered(again, 2 * PROBE_EVERY_S + 1)
    assert line.may_begin("one", 2 * PROBE_EVERY_S + 1)


def test_what_the_upstream_said_is_forgotten() -> None:
    line, turns = closed()
    line.serve(2.0)
    for each in turns:
        line.leave(each, 3.0)
    assert not line.is_forgettable(2.0 + REMEMBERED_S - 1)
    assert line.is_forgettable(2.0 + REMEMBERED_S)
    limited = Line(Limit(100), {}, 100)
    limited.limited("one", 2.0, 0.0)
    asked = [limited.ask("a", 1, "one", 70.0, 10.0) for _ in range(100)]
    assert all(isinstance(each, Turn) and each.has_begun() for each in asked)
    assert not limited.is_forgettable(1e9)
