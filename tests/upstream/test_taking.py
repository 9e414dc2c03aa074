"""At which endpoint a request takes its turn or waits, and that every turn is given back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TypeVar

import pytest

from trunkline.accounts.provider_keys import Owner, OwnKey
from trunkline.catalog.entries import Catalog, Endpoint, Model, Provider, Standing
from trunkline.errors import GatewayError, ServiceUnavailable, TooManyRequests
from trunkline.routing.fallback import Attempted
from trunkline.routing.health import FAULTS_TO_OPEN, Health, Outcome
from trunkline.routing.plan import Plan
from trunkline.routing.turns import REMEMBERED_S, Turn
from trunkline.settings.secret import Secret
from trunkline.upstream.lines import Lines
from trunkline.upstream.taking import Taking
from trunkline.wire import Fault

R = TypeVar("R")
ACCOUNT = Owner("acc_1", "key_1", {})
OTHER = Owner("acc_2", "key_2", {})
DEADLINE = 1e9


def endpoint(name: str, *, whole: int | None = None, own: int | None = None, model: str = "m/quill") -> Endpoint:
    return Endpoint(
        model=Model(slug=model),
        provider=Provider(slug=name, name=name.title(), concurrency=whole),
        upstream_model="quill",
        dialect="chat",
        base_url="http://127.0.0.1/v1",
        concurrency=own,
    )


class House:
    """Lines of some endpoints, and a clock that a test may turn on."""

    def __init__(self, *endpoints: Endpoint, wait_s: float = 5.0, room: int = 100, sharers: int = 1) -> None:
        self.ahead_s = 0.0
        self.health = Health()
        self.endpoints = endpoints
        self.lines = Lines(wait_s, room, self.clock, lambda: sharers, looks_every_s=0.02)
        found = {each.model.slug: tuple(endpoints) for each in endpoints}
        self.lines.add_limits(Catalog(standings={}, models={}, endpoints=found, offers={}, provider_slugs={}, pairs={}))

    def clock(self) -> float:
        return time.monotonic() + self.ahead_s

    def taking(
        self,
        owner: Owner = ACCOUNT,
        *,
        deadline: float = DEADLINE,
        attempted: tuple[Attempted, ...] = (),
        own: str = "",
    ) -> Taking:
        is_byok = tuple(each.provider.slug == own for each in self.endpoints)
        plan = Plan(attempts=self.endpoints, is_byok=is_byok)
        return Taking(self.lines, plan, self.health, owner, deadline, attempted)

    async def chosen(self, taking: Taking, place: int | None = 0) -> int | None:
        return await taking.choose(place, (), self.clock())

    def fail(self, which: Endpoint) -> None:
        """Have its breaker open."""
        for _ in range(FAULTS_TO_OPEN):
            self.health.record(which.id, Outcome(fault="unavailable"), self.clock())


def run(play: Callable[[], Coroutine[None, None, R]]) -> R:
    return asyncio.run(asyncio.wait_for(play(), 10))


def test_the_first_endpoint_with_a_free_turn_is_asked_whatever_stands_before_it() -> None:
    async def play() -> list[int | None]:
        house = House(endpoint("one", whole=1), endpoint("two", own=1), endpoint("three"))
        return [await house.chosen(house.taking()) for _ in range(4)]

    assert run(play) == [0, 1, 2, 2]


def test_a_dead_endpoint_is_no_way_around_a_line_but_better_than_nothing() -> None:
    async def play() -> tuple[int | None, int | None]:
        house = House(endpoint("one", whole=1), endpoint("dead"), wait_s=0.2)
        house.fail(house.endpoints[1])
        holder = house.taking()
        assert await house.chosen(holder) == 0
        asyncio.get_running_loop().call_later(0.05, holder.end)
        waited = await house.chosen(house.taking())
        return waited, await house.chosen(house.taking())

    assert run(play) == (0, 1)


def test_who_waits_stands_where_it_is_shortest() -> None:
    async def play() -> int | None:
        house = House(endpoint("slow", whole=1), endpoint("quick", whole=1))
        for name, lasts_s in (("slow", 60), ("quick", 1)):
            line = house.lines.lines[name]
            turn = line.ask("z", 1, f"{name}:m/quill", house.clock(), 0.0)
            assert isinstance(turn, Turn)
            line.leave(turn, house.clock() + lasts_s)
        holders = [house.taking(OTHER) for _ in range(2)]
        assert [await house.chosen(each) for each in holders] == [0, 1]
        asyncio.get_running_loop().call_later(0.05, holders[1].end)
        return await house.chosen(house.taking())

    assert run(play) == 1


def test_an_own_key_stands_in_no_line() -> None:
    async def play() -> list[int | None]:
        house = House(endpoint("one", whole=1))
        owner = Owner("acc_1", "key_1", {"one": OwnKey("pk_1", "one", False, Secret("x"))})
        takings = [house.taking(owner, own="one") for _ in range(3)]
        chosen = [await house.chosen(each) for each in takings]
        assert [each.hand_over() for each in takings] == [None] * 3
        return chosen

    assert run(play) == [0, 0, 0]


def refused(house: House, **given: float) -> GatewayError:
    async def play() -> GatewayError:
        holder, taking = house.taking(OTHER), house.taking(deadline=house.clock() + given.get("deadline_s", 100))
        assert await house.chosen(holder) == 0
        assert await house.chosen(taking) is None
        assert taking.refusal is not None
        holder.end()
        assert await house.chosen(house.taking()) == 0, "its place was left free"
        return taking.refusal

    return run(play)


def test_nobody_waits_for_longer_than_the_deadline_leaves_time_for() -> None:
    began = time.monotonic()
    error = refused(House(endpoint("one", whole=1)), deadline_s=1.2)
    assert 0.15 < time.monotonic() - began < 1.0
    assert isinstance(error, TooManyRequests)
    assert error.retry_after is not None


def test_without_time_for_it_nobody_waits_at_all() -> None:
    began = time.monotonic()
    assert isinstance(refused(House(endpoint("one", whole=1), wait_s=0)), TooManyRequests)
    assert time.monotonic() - began < 0.5


def test_a_full_line_is_our_own_bound() -> None:
    assert isinstance(refused(House(endpoint("one", whole=1), room=0)), ServiceUnavailable)


def test_a_turn_that_came_as_its_client_left_is_given_back() -> None:
    async def play() -> int:
        house = House(endpoint("one", whole=1))
        holder, leaving = house.taking(), house.taking()
        await house.chosen(holder)
        waiting = asyncio.create_task(house.chosen(leaving))
        await asyncio.sleep(0.01)
        holder.end()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await house.chosen(house.taking()) == 0
        return house.lines.lines["one"].waiting

    assert run(play) == 0


def test_a_429_makes_a_line_that_is_gone_when_it_is_long_ago() -> None:
    async def play() -> None:
        house = House(endpoint("one"))
        (one,) = house.endpoints
        assert not house.lines.lines
        house.lines.limited(one, 2.0)
        assert house.lines.find(one) is not None
        house.ahead_s = 2.5
        taking = house.taking()
        assert await house.chosen(taking) == 0
        held = taking.hand_over()
        assert held is not None
        held.answered()
        held.end()
        held.answered()
        await asyncio.sleep(0.05)
        assert house.lines.find(one) is not None
        house.ahead_s = 3 + REMEMBERED_S
        await asyncio.sleep(0.1)
        assert not house.lines.lines

    run(play)


def test_who_was_refused_is_asked_again_once_it_has_rested() -> None:
    async def play() -> tuple[int | None, int | None, float]:
        house = House(endpoint("one"), endpoint("two"))
        one, two = house.endpoints
        now = house.clock()
        busy, bad = Fault("limited", "busy", 429, 1.0), Fault("rejected", "no", 400)
        told = Attempted(endpoint=one, fault=busy, started=now, ended=now)
        house.lines.limited(one, 1.0)
        taking = house.taking(attempted=(told,))
        other = house.taking(attempted=(told, Attempted(endpoint=two, fault=bad, started=now, ended=now)))
        return await house.chosen(taking, None), await house.chosen(other, None), taking.waited_s

    again, closed, waited_s = run(play)
    assert (again, closed) == (0, None), "what the model refuses it refuses later too"
    assert 0.9 < waited_s < 3


def test_several_processes_have_each_its_part_of_a_limit() -> None:
    async def play() -> list[int | None]:
        house = House(endpoint("one", whole=5), wait_s=0, sharers=2)
        return [await house.chosen(house.taking()) for _ in range(4)]

    assert run(play) == [0, 0, None, None]


def test_what_is_told_without_a_time_makes_no_line_where_nobody_waits() -> None:
    house = House(endpoint("one"), wait_s=0)
    house.lines.limited(house.endpoints[0], 5.0)
    assert not house.lines.lines


def test_a_newer_list_leaves_turns_and_lines_as_they_are_and_adds_those_of_what_is_new() -> None:
    limited, own, new = endpoint("acme", whole=1), endpoint("other", own=1), endpoint("new", own=2)
    idle = Provider(slug="idle", name="Idle", concurrency=3)

    def listing(*endpoints: Endpoint) -> Catalog:
        standings = {"idle": Standing(provider=idle, is_on=True, reason="a test")}
        return Catalog(
            standings=standings,
            models={},
            endpoints={"m/quill": endpoints},
            offers={},
            provider_slugs={},
            pairs={},
        )

    async def play() -> None:
        lines = Lines(5.0, 10, time.monotonic)
        lines.add_limits(listing(limited, own))
        before = dict(lines.lines)
        assert set(before) == {"idle", "acme", own.id}  # that of a provider is there before its first model
        turn = await lines.wait(limited, before["acme"], ACCOUNT, 1.0)
        assert isinstance(turn, Turn)
        lines.add_limits(listing(new))
        assert set(lines.lines) == {*before, new.id}
        assert all(lines.lines[name] is line for name, line in before.items())
        lines.leave(limited, turn)

    run(play)
