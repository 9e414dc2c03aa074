"""What carries a request to a provider, as whoever sends one sees it: the HTTP client, or FakeProvider's stage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from trunkline.wire import Headers, UpstreamRequest

Take = Callable[[bytes], bool]
"""Takes a piece of a body; says whether it takes another without being waited for."""


class Reply(Protocol):
    """An upstream answer whose head has arrived."""

    @property
    def status(self) -> int: ...

    @property
    def content_type(self) -> str: ...

    @property
    def headers(self) -> Headers: ...

    @property
    def tells_limits(self) -> bool: ...

    async def read(self) -> bytes: ...

    @property
    def pump(self) -> Callable[[Take], Awaitable[None]] | None:
        """Give each piece of the body as it comes, in the callback that received it; None where there is no such way.

        It ends when the taker says so, and when the body ended or broke, which `read` tells. What the taker raises, it
        raises.
        """

    def note_output(self) -> None: ...

    async def body(self, max_bytes: int) -> bytes: ...

    async def finish(self, wait_s: float) -> None: ...

    def close(self) -> None: ...


class Transport(Protocol):
    """Whatever carries a request to a provider: the HTTP client, or the stage FakeProvider plays on."""

    async def send(self, request: UpstreamRequest, deadline: float, *, thinks: bool = False) -> Reply: ...
