"""RT-11: of two attempts the first to speak goes on, and whatever happens, nothing of the other stays open."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from trunkline.stream.deltas import Began, Delta, Text
from trunkline.upstream.race import Batches, race
from trunkline.upstream.transport import UpstreamFailure
from trunkline.wire import Fault

TURNS = 50
BROKEN = UpstreamFailure(Fault("unavailable", "it broke"))


@dataclass(eq=False)
class Runner:
    """An attempt that says its lists in turn: at each `None` it waits for its gate to open."""

    name: str
    script: list[list[Delta] | Exception | None]
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    spoke: float | None = None
    is_closed: bool = False

    async def heard(self) -> Any:
        try:
            for step in self.script:
                if step is None:
                    await self.gate.wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    if any(isinstance(delta, Text) for delta in step) and self.spoke is None:
                        self.spoke = asyncio.get_running_loop().time()
                    yield step
        finally:
            self.is_closed = True


class Race:
    """A race of two runners, the second of which may join at once."""

    def __init__(self, first: Runner, second: Runner | None) -> None:
        self.first = first
        self.second = second
        self.joined = False
        self.dropped: list[tuple[str, str]] = []
        self.opens: asyncio.Event | None = None
        """A gate that is opened once the second has joined, and had its turns."""

    def join(self) -> tuple[Runner, Batches] | None:
        self.joined = True
        if self.opens is not None:
            open_after(TURNS, self.opens)
        return None if self.second is None else (self.second, self.second.heard())

    def drop(self, runner: Runner, error: BaseException) -> None:
        if not isinstance(error, UpstreamFailure):
            raise error
        self.dropped.append((runner.name, str(error)))

    async def run(self, wait_s: float = 0.0) -> tuple[str, list[Delta], str | None]:
        winner, heard, outrun = await race(self.first, self.first.heard(), wait_s, self.join, self.drop)
        said = [delta async for batch in heard for delta in batch]
        return winner.name, said, None if outrun is None else outrun.name


def open_after(turns: int, gate: asyncio.Event) -> None:
    """Open a gate after so many turns of the loop, however long these take."""
    if turns:
        asyncio.get_running_loop().call_soon(open_after, turns - 1, gate)
    else:
        gate.set()


def one(*script: list[Delta] | Exception | None) -> Runner:
    return Runner("one", list(script))


def two(*script: list[Delta] | Exception | None) -> Runner:
    return Runner("two", list(script))


HELLO: list[Delta] = [Text(0, "Hello")]
REST: list[Delta] = [Text(0, " there")]


def test_a_first_that_speaks_in_time_has_nobody_beside_it() -> None:
    running = Race(one([Began("quill-2")], HELLO, REST), two(HELLO))
    assert asyncio.run(running.run(wait_s=60)) == ("one", [Began("quill-2"), *HELLO, *REST], None)
    assert not running.joined


def test_RT_11_the_second_wins_when_the_first_stays_silent_and_the_first_is_closed() -> None:
    running = Race(one([Began("quill-2")], None, HELLO), two([Began("quill-2")], HELLO, REST))
    assert asyncio.run(running.run()) == ("two", [Began("quill-2"), *HELLO, *REST], "one")
    assert running.first.is_closed
    assert running.first.spoke is None


def test_the_first_may_still_win() -> None:
    running = Race(one(None, HELLO, REST), two(None, HELLO))
    running.opens = running.first.gate
    assert asyncio.run(running.run()) == ("one", [*HELLO, *REST], "two")
    assert running.second is not None
    assert running.second.is_closed


def test_both_may_speak_at_once_and_one_is_closed() -> None:
    first, second = one(None, HELLO, REST), two(None, HELLO, REST)

    running = Race(first, second)
    running.opens = second.gate = first.gate
    name, said, outrun = asyncio.run(running.run())
    assert {name, outrun} == {"one", "two"}
    assert said == [*HELLO, *REST]
    assert first.is_closed
    assert second.is_closed


def test_one_that_fails_beside_the_other_is_dropped() -> None:
    running = Race(one(None), two(BROKEN))
    running.first.script = [None, HELLO]
    running.opens = running.first.gate
    assert asyncio.run(running.run()) == ("one", HELLO, None)
    assert running.dropped == [("two", "it broke")]


def test_when_both_fail_one_is_dropped_and_the_other_gives_its_failure_on() -> None:
    running = Race(one(None, BROKEN), two(BROKEN))
    running.opens = running.first.gate
    with pytest.raises(UpstreamFailure):
        asyncio.run(running.run())
    assert running.dropped == [("two", "it broke")]


def test_a_first_that_fails_in_time_gives_its_failure_on() -> None:
    running = Race(one(BROKEN), two(HELLO))
    with pytest.raises(UpstreamFailure):
        asyncio.run(running.run(wait_s=60))
    assert not running.joined
    assert running.dropped == []


def test_a_first_with_nobody_to_join_it_is_waited_for() -> None:
    running = Race(one(None, HELLO), None)
    running.opens = running.first.gate
    assert asyncio.run(running.run()) == ("one", HELLO, None)


def test_an_answer_without_a_visible_word_ends_as_it_is() -> None:
    assert asyncio.run(Race(one([Began("quill-2")]), None).run()) == ("one", [Began("quill-2")], None)


def test_a_defect_ends_the_race_and_closes_both() -> None:
    running = Race(one(None), two(RuntimeError("a defect")))
    with pytest.raises(RuntimeError):
        asyncio.run(running.run())
    assert running.first.is_closed


@pytest.mark.parametrize("wait_s", [0.0, 60.0], ids=["both under way", "the first under way"])
def test_a_client_that_leaves_closes_all(wait_s: float) -> None:
    first, second = one([Began("quill-2")], None, HELLO), two([Began("quill-2")], None, HELLO)

    async def play() -> None:
        task = asyncio.create_task(Race(first, second).run(wait_s))
        for _ in range(20):  # everything runs that can
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert first.is_closed
        assert second.is_closed or wait_s

    asyncio.run(play())
