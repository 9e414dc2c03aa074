"""Limits of a key and an account: the laws of their buckets, which limits a request has, what a refusal says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.accounts.rates import Counters, Rate, Refused, Taken, rates_of, refusal
from trunkline.errors import RateLimited
from trunkline.store.counters import LocalBuckets

MODEL = "fake/echo"
MINUTE_US = 60_000_000
WALL_S = 1_790_000_000.0


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now_us: int = 7_000_000_000

    def __call__(self) -> int:
        return self.now_us


class Node:
    """One process: its buckets, its clock, its counters."""

    def __init__(self, sharers: int = 1, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.wall_s = WALL_S
        self.buckets = LocalBuckets(self.clock)
        self.counters = Counters(self.buckets, lambda: self.wall_s, lambda: sharers)
        self._made = 0

    def take(self, *rates: Rate, model: str = MODEL, tokens: int = 0) -> Taken | Refused:
        self._made += 1
        return self.counters.take(rates, model, tokens, f"gen-{self._made}")

    def taken(self, *rates: Rate, model: str = MODEL, tokens: int = 0) -> Taken:
        taken = self.take(*rates, model=model, tokens=tokens)
        assert isinstance(taken, Taken)
        return taken

    def refused(self, *rates: Rate, model: str = MODEL, tokens: int = 0) -> Refused:
        refused = self.take(*rates, model=model, tokens=tokens)
        assert isinstance(refused, Refused)
        return refused

    def wait(self, us: int) -> None:
        self.clock.now_us += us


def rpm(amount: int, scope: str = "key_1", model: str | None = None) -> Rate:
    return Rate(scope, "requests", amount, 60, model)


def tpm(amount: int, scope: str = "key_1", model: str | None = None) -> Rate:
    return Rate(scope, "tokens", amount, 60, model)


def streams(amount: int, scope: str = "key_1") -> Rate:
    return Rate(scope, "streams", amount, 0)


class TestRequests:
    def test_RL_01_the_61st_of_60_a_minute_is_told_when_it_passes(self) -> None:
        node = Node()
        for _ in range(60):
            node.taken(rpm(60))
        refused = node.refused(rpm(60))
        assert (refused.limit, refused.remaining, refused.retry_after_s) == (60, 0, 1.0)
        assert refused.reset_ms == (WALL_S + 60) * 1000
        node.wait(999_999)
        assert node.refused(rpm(60)).retry_after_s == 0.000_001
        node.wait(1)
        node.taken(rpm(60))

    def test_a_hundred_at_once_are_followed_by_one_after_600_ms(self) -> None:
        node = Node()
        for _ in range(100):
            node.taken(rpm(100))
        assert node.refused(rpm(100)).retry_after_s == 0.6

    @given(st.integers(1, 3_000), st.sampled_from((60, 86_400)))
    def test_the_whole_amount_passes_at_once_and_not_one_more(self, amount: int, period_s: int) -> None:
        node = Node()
        rate = Rate("key_1", "requests", amount, period_s)
        for _ in range(amount):
            node.taken(rate)
        node.refused(rate)

    @given(st.integers(1, 50), st.lists(st.integers(0, MINUTE_US), min_size=1, max_size=200))
    def test_RL_09_no_window_lets_more_than_amount_and_burst_through(self, amount: int, gaps_us: list[int]) -> None:
        node = Node()
        passed: list[int] = []
        for gap_us in gaps_us:
            node.wait(gap_us // amount)
            while isinstance(node.take(rpm(amount)), Taken):
                passed.append(node.clock.now_us)
        for first, start in enumerate(passed):
            assert sum(at < start + MINUTE_US for at in passed[first:]) <= 2 * amount

    def test_RL_09_at_the_edge_of_a_minute_there_is_no_second_burst(self) -> None:
        node = Node()
        node.wait(59_900_000)
        for _ in range(60):
            node.taken(rpm(60))
        node.wait(200_000)
        node.refused(rpm(60))


rates_drawn = st.builds(
    Rate,
    st.sampled_from(("key_1", "default")),
    st.sampled_from(("requests", "tokens", "streams")),
    st.integers(1, 5_000),
    st.sampled_from((60, 86_400)),
    st.sampled_from((None, "fake/*")),
)
several = st.lists(rates_drawn, min_size=1, max_size=6, unique_by=lambda rate: (rate[0], rate[1], rate[3], rate[4]))


class TestTogether:
    @given(several, st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 10_000_000)), max_size=60))
    def test_what_is_refused_takes_nothing(self, rates: list[Rate], asked: list[tuple[int, int]]) -> None:
        """A twin that is never asked what the first one refused is in the same state."""
        node, twin = Node(), Node()
        for tokens, gap_us in asked:
            node.wait(gap_us)
            twin.wait(gap_us)
            if isinstance(node.take(*rates, tokens=tokens), Taken):
                twin.taken(*rates, tokens=tokens)
        for tokens in (1, 10, 5_000):
            assert type(node.take(*rates, tokens=tokens)) is type(twin.take(*rates, tokens=tokens))

    @given(several, st.lists(st.integers(0, 5_000), min_size=1, max_size=60))
    def test_who_waits_as_told_passes_and_a_microsecond_earlier_does_not(
        self, rates: list[Rate], asked: list[int]
    ) -> None:
        paced = [rate for rate in rates if rate.kind != "streams"]
        node = Node()
        for tokens in asked:
            refused = node.take(*paced, tokens=tokens)
            if isinstance(refused, Taken) or refused.retry_after_s is None:
                continue
            wait_us = round(refused.retry_after_s * 1_000_000)
            node.wait(wait_us - 1)
            node.refused(*paced, tokens=tokens)
            node.wait(1)
            node.taken(*paced, tokens=tokens)

    def test_the_limit_that_is_waited_for_longest_is_told(self) -> None:
        node = Node()
        both = (rpm(2), Rate("default", "requests", 2, 86_400))
        node.taken(*both)
        node.taken(*both)
        refused = node.refused(*both)
        assert refused.rate == both[1]
        assert refused.retry_after_s == 43_200

    def test_another_scope_has_buckets_of_its_own(self) -> None:
        node = Node()
        node.taken(rpm(1))
        node.refused(rpm(1))
        node.taken(rpm(1, scope="key_2"))


class TestModels:
    def test_each_model_of_a_glob_is_counted_apart(self) -> None:
        node = Node()
        rate = rpm(1, model="fake/*")
        node.taken(rate, model="fake/echo")
        node.refused(rate, model="fake/echo")
        node.taken(rate, model="fake/slow")
        assert node.refused(rate, model="fake/slow").rate == rate

    @pytest.mark.parametrize(
        ("pattern", "model", "holds"),
        [
            ("fake/echo", "fake/echo", True),
            ("fake/echo", "fake/echo:free", True),
            ("FAKE/*", "fake/echo", True),
            ("*", "fake/echo", True),
            ("fake/*", "other/echo", False),
            ("fake/ech", "fake/echo", False),
        ],
    )
    def test_a_limit_of_a_model_holds_for_it_alone(self, pattern: str, model: str, holds: bool) -> None:
        node = Node()
        node.taken(rpm(1, model=pattern), model=model)
        assert isinstance(node.take(rpm(1, model=pattern), model=model), Refused) is holds


class TestTokens:
    def test_RL_06_what_was_not_used_is_given_back(self) -> None:
        node = Node()
        taken = node.taken(tpm(10_000), tokens=9_000)
        assert node.refused(tpm(10_000), tokens=5_000).remaining == 1_000
        node.counters.give_back(taken, 500)
        node.refused(tpm(10_000), tokens=9_501)
        node.taken(tpm(10_000), tokens=9_500)

    def test_what_was_used_beyond_is_owed(self) -> None:
        node = Node()
        node.counters.give_back(node.taken(tpm(1_000), tokens=100), 1_500)
        refused = node.refused(tpm(1_000), tokens=100)
        assert (refused.remaining, refused.retry_after_s) == (0, 36.0)

    def test_the_request_counts_even_if_it_used_nothing(self) -> None:
        node = Node()
        node.counters.give_back(node.taken(rpm(1), tpm(100), tokens=100), 0)
        assert node.refused(rpm(1), tpm(100), tokens=100).rate == rpm(1)

    def test_a_request_that_was_not_made_does_not(self) -> None:
        node = Node()
        node.counters.give_back(node.taken(rpm(1), tpm(100), streams(1), tokens=100), None)
        assert not len(node.buckets)
        node.taken(rpm(1), tpm(100), streams(1), tokens=100)

    def test_more_than_the_limit_is_told_that_waiting_does_not_help(self) -> None:
        node = Node()
        refused = node.refused(rpm(5), tpm(1_000), tokens=1_001)
        assert (refused.rate, refused.retry_after_s, refused.remaining) == (tpm(1_000), None, 1_000)
        node.taken(rpm(5), tpm(1_000), tokens=1_000)

    @given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(0, 20_000), st.integers(0, 2 * MINUTE_US))
    def test_a_bucket_is_never_fuller_than_full(self, amount: int, tokens: int, used: int, gap_us: int) -> None:
        node = Node()
        taken = node.take(tpm(amount), tokens=tokens)
        if isinstance(taken, Taken):
            node.wait(gap_us)
            node.counters.give_back(taken, used)
            node.counters.give_back(taken, 0)  # a second time is nothing
            node.wait(2 * MINUTE_US + 60 * 20_000 * MINUTE_US)
        node.taken(tpm(amount), tokens=amount)
        node.refused(tpm(amount), tokens=1)

    @given(
        st.integers(10, 1_000),
        st.lists(
            st.tuples(st.integers(1, 1_000), st.integers(0, 100), st.integers(0, 8), st.integers(0, MINUTE_US)),
            max_size=80,
        ),
    )
    def test_RL_09_no_window_uses_more_than_amount_and_burst_however_late_tokens_come_back(
        self, amount: int, steps: list[tuple[int, int, int, int]]
    ) -> None:
        """What is used is counted where it was taken; a stream that is held for long and left buys no second burst."""
        node = Node()
        open_ones: list[tuple[Taken, int]] = []
        used: list[tuple[int, int]] = []
        for tokens, percent, ends, gap_us in steps:
            node.wait(gap_us)
            for _ in range(min(ends, len(open_ones))):
                taken, at = open_ones.pop(0)
                part = taken.tokens * percent // 100
                node.counters.give_back(taken, part)
                used.append((at, part))
            while isinstance(taken_now := node.take(tpm(amount), tokens=tokens), Taken):
                open_ones.append((taken_now, node.clock.now_us))
        used += [(at, taken.tokens) for taken, at in open_ones]
        used.sort()
        for start, _ in used:
            assert sum(part for at, part in used if start <= at < start + MINUTE_US) <= 2 * amount


class TestUnderWay:
    def test_RL_10_a_place_is_free_again_when_its_request_ends_however_it_ended(self) -> None:
        node = Node()
        held = [node.taken(streams(10)) for _ in range(10)]
        for number in range(1_000):
            refused = node.refused(streams(10))
            assert (refused.limit, refused.remaining, refused.retry_after_s) == (10, 0, 1.0)
            node.counters.give_back(held.pop(0), None if number % 2 else 0)
            held.append(node.taken(streams(10)))
        for taken in held:
            node.counters.give_back(taken, 0)
            node.counters.give_back(taken, 0)
        assert not len(node.buckets)

    def test_a_request_without_a_place_takes_of_no_bucket(self) -> None:
        node = Node()
        held = node.taken(streams(1))
        assert node.refused(streams(1), rpm(1)).rate == streams(1)
        node.counters.give_back(held, 0)
        node.taken(streams(1), rpm(1))

    def test_a_request_that_a_rate_refuses_holds_no_place(self) -> None:
        node = Node()
        node.counters.give_back(node.taken(rpm(1), streams(1)), 0)
        assert node.refused(rpm(1), streams(1)).rate == rpm(1)
        node.taken(streams(1))

    def test_key_and_account_count_both(self) -> None:
        node = Node()
        both = streams(2), streams(3, scope="default")
        node.taken(*both)
        node.taken(*both)
        assert node.refused(*both).rate == both[0]
        node.taken(streams(2, scope="key_2"), both[1])
        assert node.refused(streams(2, scope="key_2"), both[1]).rate == both[1]


class TestClocks:
    def test_RL_07_a_step_of_the_time_of_day_moves_no_window(self) -> None:
        node = Node()
        for _ in range(60):
            node.taken(rpm(60))
        for step_s in (-3_600, 30, 86_400):
            node.wall_s += step_s
            refused = node.refused(rpm(60))
            assert refused.retry_after_s == 1.0
            assert refused.reset_ms == (node.wall_s + 60) * 1000


class TestSeveralProcesses:
    @given(st.integers(1, 4), st.integers(1, 200))
    def test_their_shares_together_are_no_more_than_the_limit(self, sharers: int, amount: int) -> None:
        clock = Clock()
        nodes = [Node(sharers, clock) for _ in range(sharers)]
        passed = sum(isinstance(node.take(rpm(amount)), Taken) for node in nodes for _ in range(amount + 1))
        under_way = sum(isinstance(node.take(streams(amount)), Taken) for node in nodes for _ in range(amount + 1))
        # Each lets a single request through, for a limit that is smaller than their number must not lock a client out.
        assert passed == under_way == max(sharers, amount // sharers * sharers)

    @given(st.integers(2, 4), st.integers(1, 200))
    def test_in_the_long_run_all_of_it_and_no_more_comes_back(self, sharers: int, amount: int) -> None:
        node = Node(sharers)
        while isinstance(node.take(rpm(amount)), Taken):
            pass
        for _ in range(20):
            wait_s = node.refused(rpm(amount)).retry_after_s
            assert wait_s is not None
            assert wait_s == pytest.approx(60 * sharers / amount, abs=1e-5)
            node.wait(round(wait_s * 1_000_000))
            node.taken(rpm(amount))

    def test_what_is_more_than_a_share_but_not_than_the_limit_passes_alone(self) -> None:
        node = Node(sharers=4)
        taken = node.taken(tpm(10_000), tokens=8_000)
        node.refused(tpm(10_000), tokens=1)
        assert node.refused(tpm(10_000), tokens=8_000).limit == 2_500
        node.counters.give_back(taken, 8_000)
        node.wait(4 * 48 * 1_000_000)
        node.taken(tpm(10_000), tokens=8_000)


@dataclass(frozen=True)
class Some:
    """Terms as an account or a key has them."""

    rpm: int | None = None
    tpm: int | None = None
    rpd: int | None = None
    tpd: int | None = None
    concurrency: int | None = None
    model_rates: Mapping[str, Some] = field(default_factory=dict)


def test_terms_are_read_in_order() -> None:
    terms = Some(rpm=1, tpm=2, rpd=3, tpd=4, concurrency=5, model_rates={"fake/*": Some(rpm=6, tpd=7)})
    assert rates_of("key_1", terms) == (
        Rate("key_1", "requests", 1, 60),
        Rate("key_1", "tokens", 2, 60),
        Rate("key_1", "requests", 3, 86_400),
        Rate("key_1", "tokens", 4, 86_400),
        Rate("key_1", "requests", 6, 60, "fake/*"),
        Rate("key_1", "tokens", 7, 86_400, "fake/*"),
        Rate("key_1", "streams", 5, 0),
    )
    assert rates_of("key_1", Some()) == ()


class TestRefusal:
    def told(self, node: Node, *rates: Rate, tokens: int = 0) -> RateLimited:
        return refusal(node.refused(*rates, tokens=tokens), MODEL)

    def test_it_has_the_figures_of_the_limit_that_refused(self) -> None:
        node = Node()
        node.taken(rpm(1), rpm(60, scope="default"))
        error = self.told(node, rpm(1), rpm(60, scope="default"))
        figures = {
            "X-RateLimit-Limit": "1",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(ceil((WALL_S + 60) * 1000)),
        }
        assert error.status == 429
        assert error.retry_after == 60
        assert error.figures == figures
        assert error.metadata == {
            "limit_source": "key",
            "limit_kind": "requests",
            "limit_amount": 1,
            "limit_period_s": 60,
            "limit_model": None,
            "headers": figures,
        }

    @pytest.mark.parametrize(
        ("rate", "taken", "asked", "message"),
        [
            (
                Rate("acc_1", "requests", 1, 86_400, "fake/*"),
                0,
                0,
                "This account may make 1 request of fake/echo a day, and has. "
                "Wait 86400 s, or ask the operator for a higher limit.",
            ),
            (
                streams(1),
                0,
                0,
                "This key may have 1 request under way at once, and has. Wait until it has ended, or cancel it.",
            ),
            (
                tpm(10_000),
                9_700,
                1_524,
                "This key may use 10,000 tokens a minute; 300 are left, and this request may use 1,524. "
                "Wait 8 s, or send a shorter input or a smaller max_output_tokens.",
            ),
            (
                tpm(10_000),
                0,
                20_000,
                "This request may use 20,000 tokens, and this key 10,000 a minute. "
                "Send a shorter input or a smaller max_output_tokens.",
            ),
        ],
        ids=["requests", "streams", "tokens", "too many tokens"],
    )
    def test_it_says_what_to_do(self, rate: Rate, taken: int, asked: int, message: str) -> None:
        node = Node()
        node.taken(rate, tokens=taken)
        assert self.told(node, rate, tokens=asked).message == message
