"""The HTTP client for links that somebody else wrote: a URL and the addresses it may be asked at → an answer.

It looks up no name, follows no redirect and unpacks nothing; whether an address may be asked is `fetch.py`'s to say.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from trunkline.upstream import causes
from trunkline.upstream.connection import MAX_HEADERS, MAX_LINE_BYTES, READ_BUFFER_BYTES
from trunkline.upstream.dialing import connected
from trunkline.upstream.transport import UpstreamFailure
from trunkline.wire import Fault, Headers

_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None)


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
            raise UpstreamFailure(_fault(error)) from None

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
        connector = _Connector(
            self._connect_s, resolver=_Given(), force_close=True, limit=0, socket_factory=_socket_to_given
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_NO_TIMEOUT,
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
            raise UpstreamFailure(_fault(error)) from None
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
        return [_resolved(host, address, port) for address in _given.get()]

    async def close(self) -> None:
        """Nothing is kept."""


def _resolved(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)


class _Connector(aiohttp.TCPConnector):
    """A connector that uses none of the event loop's own threads, with one limit for connect and TLS."""

    def __init__(self, connect_s: float, **options: Any) -> None:
        super().__init__(use_dns_cache=False, **options)
        self._connect_s = connect_s

    async def _create_connection(self, *args: Any) -> Any:
        try:
            async with asyncio.timeout(self._connect_s):
                return await super()._create_connection(*args)
        except TimeoutError:
            raise aiohttp.ConnectionTimeoutError from None

    async def _wrap_create_connection(
        self, *args: Any, addr_infos: list[aiohttp.AddrInfoType], req: aiohttp.ClientRequest, **options: Any
    ) -> Any:
        try:
            sock = await connected(addr_infos, self._socket_factory)
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        return await self._wrap_existing_connection(*args, req=req, sock=sock, **options)


def _socket_to_given(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, place = address
    if place[0] not in _given.get():
        raise OSError("the address was not given with the link")
    return socket.socket(family, kind, protocol)


def _fault(error: BaseException) -> Fault:
    """What went wrong, in our words."""
    return next(fault for types, fault in _FAULTS if isinstance(error, types))


_FAULTS: Final[tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Fault], ...]] = (
    (aiohttp.ConnectionTimeoutError, causes.NO_CONNECTION_IN_TIME),
    (asyncio.TimeoutError, causes.NO_BYTE),
    ((aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError, ssl.SSLError), causes.NO_TLS),
    (aiohttp.ClientConnectorError, causes.NO_CONNECTION),
    (aiohttp.ServerDisconnectedError, causes.CLOSED),
    (aiohttp.ClientPayloadError, causes.CUT_OFF),
    (aiohttp.InvalidURL, causes.NOT_SENT),
    (HttpProcessingError, causes.NOT_HTTP),
    (aiohttp.ClientError, causes.BROKE),
    (ValueError, causes.NOT_SENT),
    (OSError, causes.BROKE),
)
