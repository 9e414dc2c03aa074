"""The HTTP client for links, loaded when the first link is asked for: its library costs a quarter of a start.

Most gateways never fetch one. It adds nothing to what `client.py` says of itself.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Protocol

from trunkline.wire import Headers


class LinkReply(Protocol):
    """What a server that a client's link named says. Must be closed, which drops the connection."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    async def read(self) -> bytes:
        """Wait for the next piece of the body, still packed; empty at its end. Raises UpstreamFailure."""
        ...

    def close(self) -> None: ...


class LinkClient(Protocol):
    """Asks servers that clients' links name, each at the addresses it is given and at no other."""

    async def get(self, url: str, headers: Headers, addresses: Sequence[str]) -> LinkReply:
        """Ask one of `addresses` for `url`, and wait for the head of the answer. Raises UpstreamFailure."""
        ...

    async def close(self) -> None: ...


class LateLinkClient:
    """A client for links that is not there until it is needed."""

    def __init__(self, connect_s: float) -> None:
        self._connect_s = connect_s
        self._loading: asyncio.Task[LinkClient] | None = None

    async def get(self, url: str, headers: Headers, addresses: Sequence[str]) -> LinkReply:
        """As the client does; the first waits for it to be loaded. Raises UpstreamFailure."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
        client = await asyncio.shield(self._loading)
        return await client.get(url, headers, addresses)

    async def close(self) -> None:
        """Drop all connections."""
        if self._loading is not None:
            await (await self._loading).close()

    async def _load(self) -> LinkClient:
        # By name, in a thread: an import here would load it for all, and one on the loop would hold up everybody.
        module: ModuleType = await asyncio.to_thread(importlib.import_module, "trunkline.upstream.links.client")
        client = module.LinkClient(self._connect_s)
        client.open()
        made: LinkClient = client
        return made
