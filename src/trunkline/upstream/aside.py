"""Work that would hold the loop for too long, done beside it: in one thread, one piece at a time.

One, since threads take turns at running Python: two large bodies at once would be ready no sooner, take twice the
memory, and leave the loop a third of the time in place of a half.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_TURN_S = 0.0005
"""How long the thread may keep on running Python while the loop wants to. The interpreter's own 5 ms are waited for by
each callback of uvloop: four of them, for one small request, are longer than the loop may be held up."""


def take_short_turns() -> None:
    """Let threads take turns at running Python every half millisecond, in the whole process."""
    sys.setswitchinterval(_TURN_S)


DEAR_BYTES = 256_000
DEAR_MARKS = 4_000
"""From here on a request is worked on beside the loop, which serves others meanwhile. What costs is bytes and, a
thousand times more, values. Nearly every value has a quote near it, and of those that have none all but a few stand
behind a comma; both are counted at no cost."""


def is_dear(body: bytes | bytearray) -> bool:
    """Whether a request holds so much that it is worked on beside the loop."""
    if len(body) <= DEAR_MARKS:
        return False
    return len(body) > DEAR_BYTES or body.count(b'"') > DEAR_MARKS or body.count(b",") > DEAR_MARKS


class Aside:
    """The thread; shared by all requests."""

    def __init__(self) -> None:
        self._pieces = 0
        self._rests = asyncio.Event()
        self._rests.set()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trunkline-aside")

    async def run(
        self, work: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
    ) -> Result:
        """Do a piece of work, after those that came before it."""
        self._pieces += 1
        self._rests.clear()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, lambda: work(*arguments, **named))
        finally:
            self._pieces -= 1
            if not self._pieces:
                self._rests.set()

    @property
    def is_busy(self) -> bool:
        """Whether there is work under way."""
        return self._pieces > 0

    async def rest(self) -> None:
        """Wait until there is none, for what is in no hurry.

        While the thread works, each read from a socket may have to wait for its turn at running Python. Twenty large
        bodies that come in meanwhile would hold up everybody else for a tenth of a second.
        """
        await self._rests.wait()
