"""The buckets of one process: how many are kept; and those on the board, which decide alike."""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.servers.valkey import Valkey
from tests.store.boards import board_at, opened, speaking, until
from trunkline.store.board import Board, BoardAway, Script
from trunkline.store.board_buckets import BoardBuckets, write_scripts
from trunkline.store.counters import FEWEST_SWEPT, Demand, Denied, Granted, LocalBuckets, Place, Return


class Clock:
    now_us = 1_000_000

    def __call__(self) -> int:
        return self.now_us


@pytest.mark.law
def test_RL_08_a_million_keys_leave_no_more_than_are_in_use() -> None:
    clock = Clock()
    buckets = LocalBuckets(clock)
    most = 0
    for number in range(0, 1_000_000, 50):
        clock.now_us += 50_000
        # Full again after ten seconds, in which ten thousand others come.
        buckets.take([Demand(f"key_{each}", 10_000_000, 60_000_000) for each in range(number, number + 50)], (), "")
        most = max(most, len(buckets))
    assert 10_000 <= most <= 2 * 10_000 + FEWEST_SWEPT


def test_RL_08_what_is_in_use_is_never_forgotten() -> None:
    clock = Clock()
    buckets = LocalBuckets(clock)
    day_us = 86_400_000_000
    for number in range(4 * FEWEST_SWEPT):
        clock.now_us += 1
        assert isinstance(buckets.take((Demand(f"key_{number}", day_us, day_us),), (), ""), Granted)
    assert len(buckets) == 4 * FEWEST_SWEPT
    for number in range(4 * FEWEST_SWEPT):
        assert not isinstance(buckets.take((Demand(f"key_{number}", day_us, day_us),), (), ""), Granted)


def test_RL_08_places_that_nobody_holds_are_not_kept() -> None:
    buckets = LocalBuckets(Clock())
    for number in range(10_000):
        place = (Place(f"key_{number}", 1),)
        buckets.take((), place, "gen")
        buckets.give_back((), place, "gen")
    assert not len(buckets)


THEIR_CLOCK = "\nlocal now = tonumber(redis.call('GET', 'trunkline:now'))\n"
"""In the place of the server's clock, so that a test tells the time."""

TIMED = write_scripts(THEIR_CLOCK, held_s=10_000, more_ms=600_000)
"""Nothing is forgotten meanwhile by the server's own clock."""

SET_CLOCK = Script("redis.call('SET', 'trunkline:now', ARGV[1]) return #KEYS > 0 and redis.call('DEL', unpack(KEYS))")
NAMES = ("one", "two", "three")

demands = st.lists(
    st.builds(Demand, st.sampled_from(NAMES), st.integers(0, 40_000_000), st.integers(0, 60_000_000)),
    max_size=3,
    unique_by=lambda demand: demand.bucket,
)
places = st.lists(
    st.builds(Place, st.sampled_from(NAMES), st.integers(1, 3)), max_size=2, unique_by=lambda place: place.name
)


class Step(NamedTuple):
    """A request, and what it gives back or takes beyond, in percent; None where it is still under way at the end."""

    demands: list[Demand]
    places: list[Place]
    gap_us: int
    percent: int | None


steps = st.builds(Step, demands, places, st.integers(0, 20_000_000), st.none() | st.integers(-100, 150))


async def compare(history: list[Step], board: Board) -> None:
    """Play one history on both: what is granted, what is told, and when all of it is there again."""
    clock = Clock()
    clock.now_us = 1_790_000_000_000_000
    local, shared = LocalBuckets(clock), BoardBuckets(board, dict, TIMED)
    await board.run(
        SET_CLOCK, [f"trunkline:{kind}:{name}" for kind in ("bucket", "place") for name in NAMES], (clock.now_us,)
    )

    async def wait(us: int) -> None:
        clock.now_us += us
        await board.run(SET_CLOCK, (), (clock.now_us,))

    for number, step in enumerate(history):
        await wait(step.gap_us)
        holder = f"gen-{number}"
        answer = await shared.take(step.demands, step.places, holder)
        assert answer == local.take(step.demands, step.places, holder), number
        if step.percent is not None and isinstance(answer, Granted):
            await wait(step.gap_us)
            returns = [
                Return(demand.bucket, demand.cost_us * step.percent // 100, moment)
                for demand, moment in zip(step.demands, answer.full_at_us, strict=True)
            ]
            shared.give_back(returns, step.places, holder)
            local.give_back(returns, step.places, holder)


@pytest.mark.law
@pytest.mark.usefixtures("patient")
def test_the_board_decides_what_the_counters_of_one_process_would(redis_url: str) -> None:
    with asyncio.Runner() as runner:
        board = board_at(redis_url)
        runner.run(board.open())

        @given(st.lists(steps, min_size=1, max_size=12))
        def hold_for(history: list[Step]) -> None:
            runner.run(compare(history, board))

        hold_for()
        runner.run(board.close())


def keys_on(server: Valkey) -> int:
    """How many keys are there besides those that boards write to see that they may."""
    (count,) = re.findall(rb"\*(\d+)\r\n", server.run("KEYS", "trunkline:[bp]*"))
    return int(count)


@pytest.mark.usefixtures("patient")
class TestOnTheBoard:
    def test_RL_08_a_bucket_that_is_full_is_forgotten(self, redis_server: Valkey) -> None:
        async def play() -> None:
            async with opened(redis_server.url) as board:
                buckets = BoardBuckets(board, dict)
                for number in range(50):
                    place = [Place(f"key_{number}", 1)]
                    demand = [Demand(f"key_{number}", 500_000, 60_000_000)]
                    assert isinstance(await buckets.take(demand, place, "gen"), Granted)
                    buckets.give_back((), place, "gen")
                assert keys_on(redis_server) > 0
                await until(lambda: keys_on(redis_server) == 0)

        asyncio.run(play())

    def test_RL_10_places_of_a_node_that_is_gone_are_free_again_and_others_stay(
        self, redis_server: Valkey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("trunkline.store.board_buckets.RENEW_S", 0.05)
        scripts = write_scripts(held_s=0.5)
        place, held = [Place("key_1", 2)], {"key_1": {"gen-1"}}

        async def play() -> None:
            async with opened(redis_server.url) as dead, opened(redis_server.url, node="boot_two") as board:
                lives = BoardBuckets(board, lambda: held, scripts)
                keeping = asyncio.create_task(lives.keep())
                assert isinstance(await BoardBuckets(dead, dict, scripts).take((), place, "gen-2"), Granted)
                # Each in one pipeline, so that it does not matter how busy this machine is.
                first, third = await asyncio.gather(*(lives.take((), place, f"gen-{each}") for each in (1, 3)))
                assert (type(first), third) == (Granted, Denied((), "key_1"))
                async with asyncio.timeout(20):
                    while isinstance(await lives.take((), place, "gen-3"), Denied):  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                held["key_1"].add("gen-3")
                lives.renew()
                assert await lives.take((), place, "gen-4") == Denied((), "key_1")
                keeping.cancel()

        asyncio.run(play())

    @pytest.mark.parametrize(
        "reply",
        [b":1\r\n", b"$-1\r\n", b"*0\r\n", b"$0\r\n\r\n", b"$6\r\nyes -1\r\n", b"$3\r\nyes\r\n", b"$6\r\nfull 1\r\n"],
    )
    def test_RL_11_what_is_no_answer_is_the_board_being_away(self, reply: bytes) -> None:
        async def play() -> None:
            async with speaking(reply) as url, opened(url) as board:
                with pytest.raises(BoardAway):
                    await BoardBuckets(board, dict).take([Demand("key_1", 1, 1)], [Place("key_1", 1)], "gen")

        asyncio.run(play())

    def test_more_than_one_call_can_renew_is_renewed_in_several(self, redis_url: str) -> None:
        held = {"key_1": {f"gen-{number}" for number in range(2_500)}, "key_2": {"gen-a", "gen-b"}}

        async def play() -> None:
            async with opened(redis_url) as board:
                buckets = BoardBuckets(board, lambda: held)
                buckets.renew()
                for name, holders in held.items():
                    assert await buckets.take((), [Place(name, len(holders))], "gen-z") == Denied((), name)
                    assert isinstance(await buckets.take((), [Place(name, len(holders) + 1)], "gen-z"), Granted)

        asyncio.run(play())

    def test_RL_10_who_left_before_he_heard_what_he_got_has_nothing(self, redis_url: str) -> None:
        demand, place = [Demand("key_1", 60_000_000, 60_000_000)], [Place("key_1", 1)]

        async def play() -> None:
            async with opened(redis_url) as board:
                buckets = BoardBuckets(board, dict)
                for turns in range(12):
                    asking = asyncio.create_task(buckets.take(demand, place, "gen"))
                    for _ in range(turns):  # it is at another place each time
                        await asyncio.sleep(0)
                    asking.cancel()
                    if isinstance((await asyncio.gather(asking, return_exceptions=True))[0], Granted):
                        break
                    async with asyncio.timeout(10):
                        while isinstance(answer := await buckets.take(demand, place, "next"), Denied):  # noqa: ASYNC110
                            await asyncio.sleep(0.01)
                    buckets.give_back([Return("key_1", -60_000_000, answer.full_at_us[0])], place, "next")

        asyncio.run(play())
