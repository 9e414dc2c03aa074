"""Where FakeProvider plays: carries its requests to its script inside this process, with real waits.

It takes the place of the HTTP client for one URL scheme and keeps the same time limits, so that everything above it
cannot tell the difference. The script is loaded for the first request: who serves real models need not have it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from importlib import import_module
from typing import TYPE_CHECKING

from trunkline.upstream.patience import Patience, Timeouts
from trunkline.upstream.transport import UpstreamFailure
from trunkline.wire import Fault, UpstreamRequest

if TYPE_CHECKING:
    from trunkline.fakeprovider.script import Performance


class Stage:
    """The transport of FakeProvider."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._perform: Callable[[UpstreamRequest], Performance] | None = None

    async def send(self, request: UpstreamRequest, deadline: float, *, thinks: bool = False) -> StagedReply:
        """Have the script answer; nothing leaves the process."""
        if self._perform is None:
            self._perform = (await asyncio.to_thread(import_module, "trunkline.fakeprovider.script")).perform
        patience = Patience(self._timeouts, asyncio.get_running_loop().time(), thinks=thinks)
        return StagedReply(self._perform(request), patience, deadline)


class StagedReply:
    """The script's answer, played step by step."""

    def __init__(self, performance: Performance, patience: Patience, deadline: float) -> None:
        self._performance = performance
        self._patience = patience
        self._deadline = deadline
        self._pieces = self._play()
        self.status = performance.status
        self.headers = performance.headers
        self.content_type = performance.headers.get("content-type", "")
        self.tells_limits = False

    pump = None

    def rest(self) -> None:
        """What is left takes its time."""

    async def read(self) -> bytes:
        """Wait for the next piece; empty at the end. Raises UpstreamFailure where the script breaks off or stalls."""
        return await anext(self._pieces, b"")

    def note_output(self) -> None:
        """What was read last said something."""
        self._patience.note_output()

    async def body(self, max_bytes: int) -> bytes:
        """Play the steps to the end and give what they said."""
        return b"".join([piece async for piece in self._pieces])[:max_bytes]

    async def finish(self, wait_s: float) -> None:
        """Nothing is left open here."""

    def close(self) -> None:
        """Nothing is left open here."""

    async def _play(self) -> AsyncGenerator[bytes, None]:
        for step in self._performance.steps:
            if step.wait_s > 0:
                await self._wait(step.wait_s)
            if step.data:
                yield step.data
        match self._performance.ending:
            case "end":
                pass
            case "cut":
                raise UpstreamFailure(Fault("nonsense", "the answer was cut off"))
            case "stall":
                await self._wait(float("inf"))

    async def _wait(self, seconds: float) -> None:
        now = asyncio.get_running_loop().time
        began = now()
        self._patience.wait(began)
        limit_s = min(self._patience.due(began), self._deadline) - began
        await asyncio.sleep(min(seconds, limit_s))
        if seconds > limit_s:
            raise UpstreamFailure(self._patience.fault)
        self._patience.rest(now())
        self._patience.note_bytes()
