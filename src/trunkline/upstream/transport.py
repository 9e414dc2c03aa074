"""What carries a request to a provider, as whoever sends one sees it: the HTTP client, or FakeProvider's stage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from trunkline.upstream.lane import Lane
from trunkline.wire import Fault, Headers, UpstreamRequest

Take: TypeAlias = Callable[[bytes], bool]
"""What a piece of a body is given to; False: it was taken, and no further one is wanted for now."""


class UpstreamFailure(Exception):
    """An attempt ended without an answer; `fault` says how."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Reply(Protocol):
    """An upstream answer whose head has arrived. Its body is read, or pumped, or first the one and then the other."""

    @property
    def status(self) -> int: ...

    @property
    def content_type(self) -> str: ...

    @property
    def headers(self) -> Headers: ...

    @property
    def tells_limits(self) -> bool: ...

    def rest(self) -> bytes | None:
        """All that is left of the body, if it is here and came well; None where something is to be waited for."""
        ...

    async def read(self) -> bytes:
        """Wait for the next piece of the body, unpacked; empty at its end. Raises UpstreamFailure when it breaks."""
        ...

    @property
    def pump(self) -> Callable[[Take, Lane | None], Awaitable[None]] | None:
        """Give each piece to a `Take` as soon as it is here, without waking anybody; None where that cannot be.

        Returns when no further piece is wanted, and when the body has ended or broken, of which `read` tells. What
        `take` raises is raised. The limits of time are those of `read`. Reads that go by a lane are no pieces.
        """
        ...

    def note_output(self) -> None:
        """What came last said something; until that is noted, what comes are pings."""
        ...

    async def body(self, max_bytes: int) -> bytes: ...

    async def finish(self, wait_s: float) -> None: ...

    def close(self) -> None: ...


class Transport(Protocol):
    """Whatever carries a request to a provider: the HTTP client, or the stage FakeProvider plays on."""

    async def send(self, request: UpstreamRequest, deadline: float, *, thinks: bool = False) -> Reply: ...
