"""Limits that nodes count together at a real server, and what each has of them while it is away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.accounts.test_rates import MODEL, WALL_S, Clock, rpm, streams
from tests.servers.valkey import Valkey
from tests.store.boards import board_at, until
from trunkline.accounts.rates import Rate, Refused, Taken
from trunkline.accounts.shared_rates import BoardCounters, count_on
from trunkline.store.board import Board, BoardAway
from trunkline.store.counters import Demand, Denied, Granted, LocalBuckets, Place, Return


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """This is no test of deadlines, and this machine may be busy."""
    monkeypatch.setattr("trunkline.store.board.DEADLINE_S", 20.0)
    monkeypatch.setattr("trunkline.store.breaker.OPEN_S", 0.1)


@dataclass
class Node:
    """One node: its board, its clocks, its counters. A clock stands until it is moved, that of the server goes on."""

    board: Board
    counters: BoardCounters
    clock: Clock
    made: int = 0

    async def take(self, *rates: Rate, tokens: int = 0) -> Taken | Refused:
        self.made += 1
        return await self.counters.take(rates, MODEL, tokens, f"gen-{self.board.node}-{self.made}")

    async def taken(self, *rates: Rate, tokens: int = 0) -> Taken:
        taken = await self.take(*rates, tokens=tokens)
        assert isinstance(taken, Taken), taken
        return taken

    async def refused(self, *rates: Rate, tokens: int = 0) -> Refused:
        refused = await self.take(*rates, tokens=tokens)
        assert isinstance(refused, Refused)
        return refused

    async def passed(self, *rates: Rate, at_most: int = 1_000) -> int:
        """How many pass, until one does not."""
        for number in range(at_most):
            if isinstance(await self.take(*rates), Refused):
                return number
        return at_most

    async def is_here(self) -> None:
        await until(lambda: self.board.is_here, 20)

    async def is_away(self) -> None:
        await until(lambda: not self.board.is_here, 20)


@contextlib.asynccontextmanager
async def nodes(url: str, count: int = 2, sharers: int | None = None) -> AsyncIterator[list[Node]]:
    """Nodes on one board, whose clocks have nothing to do with one another."""
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for number in range(count):
            clock = Clock(7_000_000_000 + number * 30_000_000)
            wall = WALL_S + 30 * number
            # What counts is to be there before the board is.
            board, counters = _made(url, number, clock, wall, sharers or count)
            await stack.enter_async_context(board)
            made.append(Node(board, counters, clock))
        yield made


def _made(url: str, number: int, clock: Clock, wall_s: float, sharers: int) -> tuple[Board, BoardCounters]:
    board = board_at(url, node=f"boot_{number}")
    return board, count_on(board, clock, lambda: wall_s, lambda: sharers)


def playing(play: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(play())


def rpd(amount: int) -> Rate:
    """So many a day that none comes back while a test runs."""
    return Rate("key_1", "requests", amount, 86_400)


class TestTogether:
    def test_RL_02_of_200_at_once_on_two_nodes_a_hundred_pass(self, redis_url: str) -> None:
        async def play() -> None:
            async with nodes(redis_url) as both:
                limits = rpd(100), Rate("acc_1", "requests", 1_000, 86_400)
                answers = await asyncio.gather(*(node.take(*limits) for node in both for _ in range(100)))
                assert sum(isinstance(answer, Taken) for answer in answers) == 100
                refused = await both[0].refused(*limits)
                assert (refused.rate, refused.limit, refused.remaining) == (limits[0], 100, 0)
                assert await both[1].passed(limits[1]) == 900

        playing(play)

    def test_RL_07_clocks_that_are_apart_count_the_same_window(self, redis_url: str) -> None:
        async def play() -> None:
            async with nodes(redis_url, 3) as (one, two, three):
                for _ in range(2):
                    await one.taken(rpm(6))
                    await two.taken(rpm(6))
                    await three.taken(rpm(6))
                for node in (one, two, three):
                    refused = await node.refused(rpm(6))
                    assert refused.retry_after_s is not None
                    assert 0 < refused.retry_after_s <= 10
                    # When it is all there again is told by each in its own time of day.
                    assert 0 < refused.reset_ms / 1000 - WALL_S - 30 * (int(node.board.node[-1])) <= 60

        playing(play)

    def test_RL_06_tokens_that_one_node_gives_back_another_takes(self, redis_url: str) -> None:
        async def play() -> None:
            async with nodes(redis_url) as (one, two):
                limit = Rate("key_1", "tokens", 10_000, 86_400)
                taken = await one.taken(limit, tokens=9_000)
                assert (await two.refused(limit, tokens=5_000)).remaining == pytest.approx(1_000, abs=5)
                one.counters.give_back(taken, 500)
                one.counters.give_back(taken, 0)  # a second time is nothing
                await one.taken(limit, tokens=1)  # on its way behind what was given back
                await two.taken(limit, tokens=9_490)
                await two.refused(limit, tokens=100)

        playing(play)

    def test_RL_10_places_are_those_of_all_nodes_and_come_back(self, redis_url: str) -> None:
        async def play() -> None:
            async with nodes(redis_url) as (one, two):
                held = [await one.taken(streams(3)), await two.taken(streams(3)), await one.taken(streams(3))]
                assert (await two.refused(streams(3), rpm(1))).limit == 3
                one.counters.give_back(held[0], None)
                await one.take(rpd(1))
                await two.taken(streams(3), rpm(1))  # of which nothing was taken with the refusal
                await one.refused(streams(3))

        playing(play)


class TestAway:
    def test_RL_03_each_node_has_what_is_left_of_its_share(self, redis_server: Valkey) -> None:
        """One took more than its share, the other less, the third nothing."""

        async def play() -> None:
            async with nodes(redis_server.url, 3) as (one, two, three):
                assert await one.passed(rpd(90), at_most=50) == 50
                assert await two.passed(rpd(90), at_most=10) == 10
                with redis_server.gone():
                    for node, left in ((one, 0), (two, 20), (three, 30)):
                        assert await node.passed(rpd(90)) == left
                        refused = await node.refused(rpd(90))
                        assert (refused.limit, refused.rate.amount) == (30, 90)

        playing(play)

    def test_RL_03_what_passed_meanwhile_counts_when_it_is_back(self, redis_server: Valkey) -> None:
        async def play() -> None:
            async with nodes(redis_server.url) as (one, two):
                with redis_server.gone():
                    await one.is_away()
                    assert await one.passed(rpd(100), at_most=30) == 30
                    assert await two.passed(rpd(100), at_most=20) == 20
                await one.is_here()
                await two.is_here()
                await two.take(rpm(1))
                assert await one.passed(rpd(100)) == 50
                assert (await two.refused(rpd(100))).limit == 100

        playing(play)

    def test_RL_03_a_change_lets_through_at_most_the_amount_once_more(self, redis_server: Valkey) -> None:
        async def play() -> None:
            async with nodes(redis_server.url) as (one, two):
                passed = await one.passed(rpd(60))
                assert passed == 60
                with redis_server.gone():  # it comes back empty
                    meanwhile = await one.passed(rpd(60)) + await two.passed(rpd(60))
                    assert meanwhile == 30
                await one.is_here()
                await two.is_here()
                await two.take(rpm(1))
                assert await one.passed(rpd(60)) == 30

        playing(play)

    def test_RL_06_tokens_taken_without_it_are_given_back_to_it(self, redis_server: Valkey) -> None:
        limit = Rate("key_1", "tokens", 10_000, 86_400)

        async def play() -> None:
            async with nodes(redis_server.url, 1) as (node,):
                before = await node.taken(limit, tokens=1_000)
                with redis_server.gone():
                    await node.is_away()
                    assert await node.taken(limit, tokens=6_000)
                    two = await node.taken(limit, tokens=2_000)
                    await node.refused(limit, tokens=1_500)
                    node.counters.give_back(two, 500)
                    node.counters.give_back(before, 0)  # is told when it is back
                    late = await node.taken(limit, tokens=1_500)
                await node.is_here()
                assert (await node.refused(limit, tokens=10_000)).remaining == pytest.approx(2_000, abs=5)
                node.counters.give_back(late, 500)
                await node.taken(limit, tokens=2_990)

        playing(play)

    def test_RL_10_places_are_kept_and_shared_and_told_when_it_is_back(self, redis_server: Valkey) -> None:
        async def play() -> None:
            async with nodes(redis_server.url) as (one, two):
                first = await one.taken(streams(4))
                with redis_server.gone():
                    await one.is_away()
                    second = await one.taken(streams(4))
                    assert (await one.refused(streams(4))).limit == 2
                    one.counters.give_back(first, 0)
                    await one.taken(streams(4))
                    third = await two.taken(streams(4))
                await one.is_here()
                await two.is_here()
                await one.take(rpm(1))
                await two.taken(streams(4))
                await two.refused(streams(4))
                one.counters.give_back(second, 0)
                await one.take(rpm(2))
                await two.taken(streams(4))
                two.counters.give_back(third, 0)
                await two.taken(streams(4))
                await two.refused(streams(4))

        playing(play)


@dataclass
class Common:
    """What all nodes count in, in this process: it may forget everything."""

    clock: Clock
    buckets: LocalBuckets = field(init=False)
    losses: int = 0

    def __post_init__(self) -> None:
        self.buckets = LocalBuckets(self.clock)

    def forget(self) -> None:
        self.buckets = LocalBuckets(self.clock)
        self.losses += 1


@dataclass
class View:
    """The common counters as one node sees them: here, or away."""

    common: Common
    is_here: bool = True
    kept: list[tuple[Sequence[Return], Sequence[Place], str]] = field(default_factory=list)

    async def take(self, demands: Sequence[Demand], places: Sequence[Place], holder: str) -> Granted | Denied:
        if not self.is_here:
            raise BoardAway("")
        return self.common.buckets.take(demands, places, holder)

    def give_back(self, returns: Sequence[Return], places: Sequence[Place], holder: str) -> None:
        if self.is_here:
            self.common.buckets.give_back(returns, places, holder)
        else:
            self.kept.append((returns, places, holder))


class Member:
    """A node, and what of its requests may still be given back."""

    def __init__(self, common: Common, sharers: int) -> None:
        self.view = View(common)
        share = LocalBuckets(common.clock)
        self.counters = BoardCounters(self.view, share, common.clock, lambda: WALL_S, lambda: sharers)
        self.open: list[Taken] = []

    def take(self, rate: Rate) -> bool:
        """Nothing here ever waits."""
        with pytest.raises(StopIteration) as stopped:
            self.counters.take((rate,), MODEL, 0, "gen").send(None)
        answer = stopped.value.value
        if isinstance(answer, Taken):
            self.open.append(answer)
        return isinstance(answer, Taken)

    def leave(self) -> bool:
        """A request is not made after all."""
        if self.open:
            self.counters.give_back(self.open.pop(0), None)
            return True
        return False

    def come_back(self) -> None:
        if self.view.is_here:
            return
        self.view.is_here = True
        for each in self.view.kept:
            self.view.give_back(*each)
        self.view.kept.clear()
        self.counters.carry()


acts = st.tuples(st.integers(0, 3), st.sampled_from(("take", "take 5", "take all", "leave", "go", "come", "forget")))


@pytest.mark.law
@given(st.integers(2, 4), st.integers(4, 40), st.lists(acts, max_size=60))
def test_RL_03_whatever_each_node_sees_of_the_board_no_more_passes_than_is_promised(
    count: int, amount: int, history: list[tuple[int, str]]
) -> None:
    """No time goes by: the whole amount passes, shares once more, and the amount again when everything is forgotten."""
    common = Common(Clock())
    members = [Member(common, count) for _ in range(count)]
    passed = 0
    for index, act in history:
        member = members[index % count]
        match act:
            case "go":
                member.view.is_here = False
            case "come":
                member.come_back()
            case "forget":
                common.forget()
            case "leave":
                passed -= member.leave()
            case _:
                wanted = {"take": 1, "take 5": 5, "take all": 200}[act]
                passed += sum(member.take(rpd(amount)) for _ in range(wanted))
        assert passed <= amount * (2 + common.losses)
    for member in members:
        member.come_back()
    if not common.losses:
        # Exact again: what passed meanwhile counts for all.
        assert members[0].take(rpd(amount)) is (passed < amount)
