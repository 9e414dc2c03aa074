"""What carries a request to a provider, as whoever sends one sees it: the HTTP client, or FakeProvider's stage."""

from __future__ import annotations

from typing import Protocol

from trunkline.wire import Headers, UpstreamRequest


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

    def note_output(self) -> None: ...

    async def body(self, max_bytes: int) -> bytes: ...

    async def finish(self, wait_s: float) -> None: ...

    def close(self) -> None: ...


class Transport(Protocol):
    """Whatever carries a request to a provider: the HTTP client, or the stage FakeProvider plays on."""

    async def send(self, request: UpstreamRequest, deadline: float, *, thinks: bool = False) -> Reply: ...
