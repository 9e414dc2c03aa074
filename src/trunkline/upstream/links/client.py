"""The HTTP client for links that somebody else wrote: a URL and the addresses it may be asked at → an answer.

It looks up no name, follows no redirect and unpacks nothing; whether an address may be asked is `fetch.py`'s to say.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextvars import ContextVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from trunkline.upstream.causes import translate_error
from trunkline.upstream.http import (
    MAX_HEADERS,
    MAX_LINE_BYTES,
    NO_TIMEOUT,
    READ_BUFFER_BYTES,
    UpstreamFailure,
    resolve_to,
)
from trunkline.upstream.pool import Connector
from trunkline.wire import Headers


class LinkReply:
    """What a server that a client's link named says. Must be closed, which drops the connection."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Headers = {name.lower(): value for name, value in response.headers.items()}

    async def read(self) -> bytes:
        """Wait for the next piece of the body, still packed; empty at its end. Raises UpstreamFailure."""
        try:
            return await self._response.content.readany()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise UpstreamFailure(translate_error(error)) from None

    def close(self) -> None:
        self._response.close()


class LinkClient:
    """Asks servers that clients' links name, each at the addresses it is given and at no other.

    Names are never resolved here, connections never used again, and nothing of ours is sent along. Whether an address
    may be asked is decided before, in `fetch.py`; the last look at it is taken when the socket is made.
    """

    def __init__(self, connect_s: float = 10.0) -> None:
        self._connect_s = connect_s
        self._session: aiohttp.ClientSession

    def open(self) -> None:
        """Begin; must be called on the loop that links are asked from."""
        connector = Connector(
            self._connect_s, resolver=_Given(), force_close=True, limit=0, socket_factory=_socket_to_given
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=NO_TIMEOUT,
            auto_decompress=False,
            skip_auto_headers=("user-agent", "accept-encoding", "accept"),
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
            read_bufsize=READ_BUFFER_BYTES,
            trust_env=False,
        )

    async def get(self, url: str, headers: Headers, addresses: Sequence[str]) -> LinkReply:
        """Ask one of `addresses`, which are numeric, for `url`, and wait for the head of the answer.

        Follows no redirect. Raises UpstreamFailure.
        """
        token = _given.set(tuple(addresses))
        try:
            return LinkReply(await self._session.get(URL(url, encoded=True), headers=headers, allow_redirects=False))
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise UpstreamFailure(translate_error(error)) from None
        finally:
            _given.reset(token)

    async def close(self) -> None:
        await self._session.close()


_given: ContextVar[tuple[str, ...]] = ContextVar("given", default=())


class _Given(AbstractResolver):
    """Resolves every name to the addresses that were given with the link."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [resolve_to(host, address, port) for address in _given.get()]

    async def close(self) -> None:
        """Nothing is kept."""


def _socket_to_given(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, place = address
    if place[0] not in _given.get():
        raise OSError("the address was not given with the link")
    return socket.socket(family, kind, protocol)
