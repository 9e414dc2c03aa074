"""The one HTTP client: UpstreamRequest → status, headers, chunks. The only file that imports aiohttp.

It follows no redirect, unpacks nothing that was not asked for beyond a bound, keeps no cookie and reads no proxy
variable. What a status or a body means is the adapters' business, what to do about it that of `attempts.py`.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from trunkline.wire import Fault, FaultKind, Headers, UpstreamRequest

_MAX_LINE_BYTES = 16 * 1024
_MAX_HEADERS = 128
_READ_BUFFER_BYTES = 64 * 1024
_MAX_UNPACKED_BYTES = 256 * 1024 * 1024
_MAX_CACHED_URLS = 4096


class UpstreamFailure(Exception):
    """An attempt ended without an answer; `fault` says how, `was_sent` whether the provider may have begun to work."""

    def __init__(self, fault: Fault, *, was_sent: bool = True) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.was_sent = was_sent


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, to the first byte of the head, between two reads of the body."""

    connect: float = 10.0
    first_byte: float = 120.0
    idle: float = 120.0


class _Pool(aiohttp.TCPConnector):
    """A connection pool that tells whether a connection was used before, and can be told not to reuse one.

    Both facts travel in context variables because the client offers no other way through to its pool.
    """

    async def _get(self, key: Any, traces: Any) -> Any:
        if _wants_fresh.get():
            return None
        connection = await super()._get(key, traces)
        _is_reused.set(connection is not None)
        return connection


_wants_fresh: ContextVar[bool] = ContextVar("wants_fresh", default=False)
_is_reused: ContextVar[bool] = ContextVar("is_reused", default=False)


class Reply:
    """An upstream answer whose head has arrived. Must be closed; closing before the end drops the connection."""

    __slots__ = ("_deadline", "_has_expired", "_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, deadline: float) -> None:
        self._response = response
        self._has_expired = False
        self.status = response.status
        self.headers: Headers = {name.lower(): value for name, value in response.headers.items()}
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_at(deadline, self._expire)

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read the body as it comes, unpacked.

        Raises UpstreamFailure when it breaks off, stays silent, or the deadline passes.
        """
        content = self._response.content
        unpack = _unpacker(self.headers.get("content-encoding", ""))
        try:
            while chunk := await content.readany():
                yield chunk if unpack is None else unpack.feed(chunk)
            if unpack is not None:
                unpack.finish()
        except (TimeoutError, aiohttp.ClientError, OSError, zlib.error) as error:
            if self._has_expired:
                raise UpstreamFailure(Fault("silent", "the deadline passed before the answer ended")) from None
            raise UpstreamFailure(_translate(error)) from None

    async def body(self, max_bytes: int) -> bytes:
        """Read at most `max_bytes` of the body; the rest is left."""
        gathered = bytearray()
        async for chunk in self.chunks():
            gathered += chunk
            if len(gathered) >= max_bytes:
                break
        return bytes(gathered[:max_bytes])

    async def finish(self, wait_s: float) -> None:
        """Let a body whose end mark was heard run out, so that the connection can be used again."""
        try:
            async with asyncio.timeout(wait_s):
                async for _ in self.chunks():
                    pass
        except (TimeoutError, UpstreamFailure):
            pass

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""
        self._deadline.cancel()
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()

    def _expire(self) -> None:
        self._has_expired = True
        self._response.close()


class HttpClient:
    """Sends upstream requests over one pool of connections."""

    def __init__(self, timeouts: Timeouts, *, max_connections: int = 0) -> None:
        self._timeouts = timeouts
        self._max_connections = max_connections
        self._urls: dict[str, URL] = {}
        self._session: aiohttp.ClientSession

    def open(self) -> None:
        """Begin; must be called on the loop that requests are sent from."""
        timeouts = self._timeouts
        self._session = aiohttp.ClientSession(
            connector=_Pool(limit=self._max_connections, keepalive_timeout=55, ttl_dns_cache=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=timeouts.connect, sock_read=timeouts.first_byte, ceil_threshold=60
            ),
            auto_decompress=False,
            skip_auto_headers=("user-agent", "accept-encoding", "accept", "content-type"),
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
            max_headers=_MAX_HEADERS,
            read_bufsize=_READ_BUFFER_BYTES,
            trust_env=False,
        )

    async def send(self, request: UpstreamRequest, deadline: float) -> Reply:
        """Send and wait for the head of the answer; `deadline` is on the loop's clock and bounds the body too.

        A reused connection that the provider had just closed is replaced once. Raises UpstreamFailure.
        """
        try:
            async with asyncio.timeout_at(deadline):
                try:
                    return await self._send_once(request, deadline)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                    if not _is_reused.get() or isinstance(error, aiohttp.ClientConnectorError):
                        raise
                token = _wants_fresh.set(True)
                try:
                    return await self._send_once(request, deadline)
                finally:
                    _wants_fresh.reset(token)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise UpstreamFailure(_translate(error), was_sent=_may_have_been_sent(error)) from None

    async def close(self) -> None:
        await self._session.close()

    async def _send_once(self, request: UpstreamRequest, deadline: float) -> Reply:
        _is_reused.set(False)
        response = await self._session.request(
            request.method,
            self._url(request.url),
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
        )
        if self._timeouts.idle != self._timeouts.first_byte and response.connection is not None:
            protocol = response.connection.protocol
            if protocol is not None:
                protocol.read_timeout = self._timeouts.idle
        return Reply(response, deadline)

    def _url(self, text: str) -> URL:
        url = self._urls.get(text)
        if url is None:
            if len(self._urls) >= _MAX_CACHED_URLS:
                self._urls.clear()
            url = self._urls[text] = URL(text, encoded=True)
        return url


class _Unpacker:
    """Inflates gzip or deflate with a bound, so that a small body cannot fill the memory."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=47)
        self._room = _MAX_UNPACKED_BYTES

    def feed(self, data: bytes) -> bytes:
        unpacked = self._inflate.decompress(data, self._room)
        self._room -= len(unpacked)
        if self._inflate.unconsumed_tail:
            raise zlib.error("unpacks to more than the gateway takes")
        return unpacked

    def finish(self) -> None:
        if not self._inflate.eof:
            raise zlib.error("the compressed body is cut off")


def _unpacker(encoding: str) -> _Unpacker | None:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return _Unpacker()
        case other:
            raise UpstreamFailure(Fault("nonsense", f"the answer is packed as {other[:40]!r}, which nobody asked for"))


def _translate(error: BaseException) -> Fault:
    """What went wrong, in our words: the client's text may hold addresses and is not passed on."""
    kind, message = next((kind, message) for types, kind, message in _TRANSLATIONS if isinstance(error, types))
    return Fault(kind, message)


_TRANSLATIONS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], FaultKind, str], ...] = (
    (aiohttp.ConnectionTimeoutError, "silent", "no connection in time"),
    (asyncio.TimeoutError, "silent", "no byte in time"),
    ((aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError, ssl.SSLError), "unavailable", "TLS failed"),
    (aiohttp.ClientConnectorError, "unavailable", "no connection"),
    (aiohttp.ServerDisconnectedError, "unavailable", "the connection was closed before an answer came"),
    (aiohttp.ClientPayloadError, "nonsense", "the answer was cut off"),
    (aiohttp.InvalidURL, "nonsense", "the provider's address is not a URL"),
    (aiohttp.ClientResponseError, "nonsense", "the answer is not HTTP"),
    (aiohttp.ClientError, "unavailable", "the connection broke"),
    (zlib.error, "nonsense", "the compressed answer cannot be unpacked"),
    (ValueError, "nonsense", "the provider's address or a header is not valid"),
    (OSError, "unavailable", "the connection broke"),
)


def _may_have_been_sent(error: BaseException) -> bool:
    return not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | ValueError)
