"""Work that would hold the loop for too long, done beside it: in one thread, one piece at a time.

One, since threads take turns at running Python: two large bodies at once would be ready no sooner, take twice the
memory, and leave the loop a third of the time in place of a half.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Aside:
    """The thread; shared by all requests."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trunkline-aside")

    async def run(
        self, work: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
    ) -> Result:
        """Do a piece of work, after those that came before it."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, lambda: work(*arguments, **named))
