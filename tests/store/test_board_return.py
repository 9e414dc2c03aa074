"""How soon the board is used again once its server is back, by a clock that jumps to whatever comes next."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import pytest

from tests.store.boards import Told
from trunkline.store.board import MAX_WAITING, Board, Broken, Command, Script

NOTHING = Script("return 1")
WITHIN_S = 10.0
"""What docs/explanation/failure.md says."""
PIPELINE_S = 0.15
"""So long the server takes for 512 calls: with 120 us for each it is twice as slow as measured, for three nodes ask."""
AWAY_S = 20.0

Fault = Literal["refused", "no answer to the connection", "no answer to the first call", "LOADING"]
FAULTS: tuple[Fault, ...] = ("refused", "no answer to the connection", "no answer to the first call", "LOADING")


class Waiting(selectors.DefaultSelector):
    """What a loop waits by, which notes how long it was to wait and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen"
        self.waited_s += max(0.0, timeout)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop in which nobody waits: where nothing is to be done it is at once the next time."""

    def __init__(self) -> None:
        self._waiting = Waiting()
        super().__init__(self._waiting)

    def time(self) -> float:
        return self._waiting.waited_s


@dataclass
class Server:
    """A server that fails in one way until a moment; of its answers after that some more are lost."""

    fault: Fault
    back_at_s: float
    lost: int = 0

    def take(self) -> bool:
        """Take a connection; whether it is a good one."""
        if asyncio.get_running_loop().time() < self.back_at_s:
            return False
        self.lost -= 1
        return self.lost < 0

    async def dial(self) -> Link:
        if self.take():
            return Link(None)
        if self.fault == "refused":
            raise Broken("connection refused")
        if self.fault == "no answer to the connection":
            await asyncio.Event().wait()
        return Link(self.fault)


class Link:
    def __init__(self, fault: Fault | None) -> None:
        self.fault = fault

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        if self.fault == "LOADING":
            raise Broken("LOADING")
        if self.fault is not None:
            await asyncio.Event().wait()
        await asyncio.sleep(PIPELINE_S * len(commands) / 512)
        return [1] * len(commands)

    async def subscribe(self, channels: Sequence[str]) -> None:
        raise Broken("nobody hears")

    async def next_message(self) -> tuple[str, bytes]:
        raise Broken("nobody hears")

    async def close(self) -> None:
        pass


@pytest.fixture
def loop() -> Iterator[JumpingLoop]:
    loop = JumpingLoop()
    yield loop
    loop.close()


async def await_board(fault: Fault, back_at_s: float, lost: int) -> float:
    """Have a node wait for its board with all it keeps to tell it; how long it does after the return of the server."""
    board = Board("boot_one", Server(fault, back_at_s, lost).dial, Told())
    came = asyncio.Event()
    board.when_here(came.set)
    for _ in range(MAX_WAITING):
        board.send(NOTHING, (), ())
    await board.open()
    await came.wait()
    waited_s = asyncio.get_running_loop().time() - back_at_s
    await board.close()
    return waited_s


@pytest.mark.parametrize(("fault", "lost"), [*product(FAULTS, (0, 1))])
@pytest.mark.law
def test_RL_03_a_board_is_used_within_ten_seconds_of_its_return(loop: JumpingLoop, fault: Fault, lost: int) -> None:
    """Whenever it comes back, whatever was to be told to it, and though one trial more goes wrong on a busy machine."""
    waited = [
        loop.run_until_complete(await_board(fault, loop.time() + AWAY_S + moment / 6, lost)) for moment in range(12)
    ]
    assert max(waited) <= WITHIN_S
