"""Names are looked up so that one that nobody answers for holds up no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Iterator, Sequence
from typing import TypeVar

import pytest

from trunkline.upstream.names import KEPT_S, LookUp, Names, ask_machine
from trunkline.upstream.shares import Claim

T = TypeVar("T")


def run(work: Awaitable[T]) -> T:
    async def play() -> T:
        async with asyncio.timeout(5.0):
            return await work

    return asyncio.run(play())


class Dead:
    """A look-up that hangs for names that begin with `dead`, until it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = threading.Event()

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host.startswith("dead"):
            self.let_go.wait(10)
            raise OSError("nobody answers")
        return ["192.0.2.1"]


@pytest.fixture
def dead() -> Iterator[Dead]:
    look_up = Dead()
    yield look_up
    look_up.let_go.set()


def claim(number: int) -> Claim:
    return Claim("account", number)


def test_the_machine_gives_numeric_addresses_once_each() -> None:
    assert set(ask_machine("localhost")) <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("name", ["no such host", "a" * 64 + ".example", "\0"])
def test_what_is_no_name_is_an_os_error(name: str) -> None:
    with pytest.raises(OSError):
        run(Names().provider(name))


def test_PR_11_names_that_nobody_answers_for_hold_up_no_other(dead: Dead) -> None:
    async def play() -> None:
        names = Names(dead)
        hanging = [asyncio.create_task(names.provider(f"dead-{number}")) for number in range(100)]
        hanging += [asyncio.create_task(names.link(f"dead-{number}", claim(number))) for number in range(200)]
        await asyncio.sleep(0)
        async with asyncio.timeout(2.0):
            assert await names.provider("alive") == ["192.0.2.1"]
            assert await names.link("alive-too", claim(999)) == ["192.0.2.1"]
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)

    run(play())


def test_one_name_is_looked_up_once_at_a_time_and_hangs_in_one_thread(dead: Dead) -> None:
    async def play() -> None:
        names = Names(dead)
        hanging = [asyncio.create_task(names.provider("dead")) for _ in range(50)]
        await asyncio.sleep(0.05)
        for task in hanging[:49]:
            task.cancel()
        dead.let_go.set()
        with pytest.raises(OSError, match="nobody answers"):
            await hanging[49]

    run(play())
    assert dead.asked == ["dead"]


def test_what_was_found_serves_for_a_minute() -> None:
    asked: list[str] = []
    now = [100.0]

    def look_up(host: str) -> Sequence[str]:
        asked.append(host)
        return ["192.0.2.1"]

    async def play() -> None:
        names = Names(look_up, clock=lambda: now[0])
        for wait_s in (0.0, KEPT_S - 1.0, 2.0, 0.0):
            now[0] += wait_s
            assert await names.provider("a.example") == ["192.0.2.1"]

    run(play())
    assert asked == ["a.example", "a.example"]


def test_a_failure_is_not_kept() -> None:
    answers: list[Sequence[str]] = [["192.0.2.1"]]
    fails = [True]

    def look_up(host: str) -> Sequence[str]:
        if fails.pop():
            fails.append(False)
            raise OSError("no such host")
        return answers[0]

    async def play() -> None:
        names = Names(look_up)
        with pytest.raises(OSError, match="no such host"):
            await names.provider("a.example")
        assert await names.provider("a.example") == ["192.0.2.1"]

    run(play())


def test_whoever_comes_when_the_last_has_just_left_gets_an_answer() -> None:
    look_up: LookUp = lambda host: ["192.0.2.1"]  # noqa: E731

    async def play() -> None:
        names = Names(look_up)
        first = asyncio.create_task(names.provider("a.example"))
        await asyncio.sleep(0)
        first.cancel()
        assert await names.provider("a.example") == ["192.0.2.1"]

    run(play())
