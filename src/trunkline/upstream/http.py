"""The one HTTP client: UpstreamRequest → status, headers, chunks. The only file that imports aiohttp.

It follows no redirect, unpacks nothing that was not asked for beyond a bound, keeps no cookie and reads no proxy
variable. What a status or a body means is the adapters' business, what to do about it that of `attempts.py`.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

import aiohttp
from aiohttp.connector import Connection
from aiohttp.helpers import TimerNoop
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from trunkline.wire import Fault, FaultKind, Headers, UpstreamRequest

_MAX_LINE_BYTES = 16 * 1024
_MAX_HEADERS = 128
_READ_BUFFER_BYTES = 64 * 1024
_MAX_UNPACKED_BYTES = 256 * 1024 * 1024
_MAX_CACHED_TARGETS = 4096
_KEEP_ALIVE_S = 55.0
_NO_TIMER = TimerNoop()


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

    __slots__ = (
        "_connection",
        "_deadline",
        "_has_expired",
        "_message",
        "_payload",
        "_unpack",
        "content_type",
        "status",
    )

    def __init__(
        self, message: RawResponseMessage, payload: aiohttp.StreamReader, connection: Connection, deadline: float
    ) -> None:
        self._message = message
        self._payload = payload
        self._connection = connection
        self._has_expired = False
        self._deadline = asyncio.get_running_loop().call_at(deadline, self._expire)
        self._unpack: _Unpacker | None = None
        self.status: int = message.code
        self.content_type: str = message.headers.get("content-type", "")
        if "content-encoding" in message.headers:
            self._unpack = _unpacker(message.headers["content-encoding"])

    @property
    def headers(self) -> Headers:
        return {name.lower(): value for name, value in self._message.headers.items()}

    async def read(self) -> bytes:
        """Wait for the next piece of the body, unpacked; empty at its end.

        Raises UpstreamFailure when it breaks off, stays silent, or the deadline passes.
        """
        try:
            if self._unpack is None:
                return await self._payload.readany()
            while piece := await self._payload.readany():
                if unpacked := self._unpack.feed(piece):
                    return unpacked
            self._unpack.finish()
        except (TimeoutError, aiohttp.ClientError, OSError, zlib.error) as error:
            if self._has_expired:
                raise UpstreamFailure(Fault("silent", "the deadline passed before the answer ended")) from None
            raise UpstreamFailure(_translate(error)) from None
        return b""

    async def body(self, max_bytes: int) -> bytes:
        """Read at most `max_bytes` of the body; the rest is left."""
        gathered = bytearray()
        while len(gathered) < max_bytes and (piece := await self.read()):
            gathered += piece
        return bytes(gathered[:max_bytes])

    async def finish(self, wait_s: float) -> None:
        """Let a body whose end mark was heard run out, so that the connection can be used again."""
        if self._payload.at_eof():
            return
        try:
            async with asyncio.timeout(wait_s):
                while await self.read():
                    pass
        except (TimeoutError, UpstreamFailure):
            pass

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""
        self._deadline.cancel()
        if self._payload.at_eof():
            self._connection.release()
        else:
            self._connection.close()

    def _expire(self) -> None:
        self._has_expired = True
        self._payload.set_exception(aiohttp.ClientConnectionError("deadline"))
        self._connection.close()


class _Target(NamedTuple):
    """What is the same for all requests to one URL: how to connect, and how the head begins."""

    connect: aiohttp.ClientRequest
    opening: str


class HttpClient:
    """Sends upstream requests over one pool of connections.

    It uses the pool, the TLS and the parser of aiohttp, and leaves its request and response objects aside: they cost
    more than all the rest of a call, for cookies, redirects and form data that no provider sees.
    """

    def __init__(self, timeouts: Timeouts, *, max_connections: int = 0) -> None:
        self._timeouts = timeouts
        self._max_connections = max_connections
        self._targets: dict[tuple[str, str], _Target] = {}
        self._connect_timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect)
        self._pool: _Pool

    def open(self) -> None:
        """Begin; must be called on the loop that requests are sent from."""
        self._pool = _Pool(limit=self._max_connections, keepalive_timeout=_KEEP_ALIVE_S, ttl_dns_cache=60)

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
        except _FOREIGN_ERRORS as error:
            raise UpstreamFailure(_translate(error), was_sent=_may_have_been_sent(error)) from None

    async def close(self) -> None:
        await self._pool.close()

    async def _send_once(self, request: UpstreamRequest, deadline: float) -> Reply:
        target = self._target(request.method, request.url)
        head = _head(target.opening, request)
        _is_reused.set(False)
        connection = await self._pool.connect(target.connect, [], self._connect_timeout)
        try:
            protocol, transport = connection.protocol, connection.transport
            if protocol is None or transport is None or transport.is_closing():
                raise aiohttp.ServerDisconnectedError
            protocol.set_response_params(
                timer=_NO_TIMER,
                read_until_eof=True,
                auto_decompress=False,
                read_timeout=self._timeouts.first_byte,
                read_bufsize=_READ_BUFFER_BYTES,
                max_line_size=_MAX_LINE_BYTES,
                max_field_size=_MAX_LINE_BYTES,
                max_headers=_MAX_HEADERS,
            )
            transport.writelines((head, request.body))
            protocol.start_timeout()
            message, payload = await protocol.read()
            while message.code < 200 and message.code != 101:
                message, payload = await protocol.read()
            if self._timeouts.idle != self._timeouts.first_byte:
                protocol.read_timeout = self._timeouts.idle
                if not payload.is_eof():
                    protocol.start_timeout()
            return Reply(message, payload, connection, deadline)
        except BaseException:
            connection.close()
            raise

    def _target(self, method: str, url: str) -> _Target:
        target = self._targets.get((method, url))
        if target is None:
            if len(self._targets) >= _MAX_CACHED_TARGETS:
                self._targets.clear()
            target = self._targets[method, url] = _new_target(method, URL(url, encoded=True))
        return target


def _new_target(method: str, url: URL) -> _Target:
    """Raises ValueError for an address that is not one."""
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise ValueError("the address is not an http URL")
    host = f"[{url.raw_host}]" if ":" in url.raw_host else url.raw_host
    authority = host if url.is_default_port() else f"{host}:{url.port}"
    opening = f"{method} {url.raw_path_qs} HTTP/1.1\r\nhost: {authority}\r\n"
    if opening.count("\r\n") != 2 or opening.count(" ") != 3:
        raise ValueError("the address holds white space")
    return _Target(aiohttp.ClientRequest(method, url, loop=asyncio.get_running_loop()), opening)


def _head(opening: str, request: UpstreamRequest) -> bytes:
    """Write the head of a request. Raises ValueError for a header that would begin another line."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
    if fields.count("\n") != len(request.headers) or fields.count("\r") != len(request.headers):
        raise ValueError("a header holds a line break")
    return f"{opening}{fields}content-length: {len(request.body)}\r\n\r\n".encode()


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
    (HttpProcessingError, "nonsense", "the answer is not HTTP"),
    (aiohttp.ClientError, "unavailable", "the connection broke"),
    (zlib.error, "nonsense", "the compressed answer cannot be unpacked"),
    (ValueError, "nonsense", "the provider's address or a header is not valid"),
    (OSError, "unavailable", "the connection broke"),
)


_FOREIGN_ERRORS = (aiohttp.ClientError, HttpProcessingError, OSError, asyncio.TimeoutError, ValueError)


def _may_have_been_sent(error: BaseException) -> bool:
    return not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | ValueError)
