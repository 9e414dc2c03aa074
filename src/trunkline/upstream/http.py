"""The one HTTP client for providers: UpstreamRequest → status, headers, chunks.

It follows no redirect, unpacks nothing that was not asked for beyond a bound, keeps no cookie and reads no proxy
variable. What a status or a body means is the adapters' business, what to do about it that of `attempts.py`; what the
library's errors mean stands in `causes.py`.
"""

from __future__ import annotations

import asyncio
import socket
from email.utils import formatdate, parsedate_to_datetime
from importlib.metadata import version
from typing import NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.helpers import TimerNoop
from aiohttp.http import RawResponseMessage
from yarl import URL

from trunkline.stream.unpacking import PIECE_BYTES, NotUnpacked, Unpacker
from trunkline.upstream.causes import FOREIGN_ERRORS, translate_error
from trunkline.upstream.names import Names
from trunkline.upstream.patience import Patience, Timeouts
from trunkline.upstream.pool import Pool, Protocol
from trunkline.upstream.transport import Take
from trunkline.upstream.transport import UpstreamFailure as UpstreamFailure
from trunkline.wire import Fault, Headers, UpstreamRequest

MAX_LINE_BYTES = 16 * 1024
MAX_HEADERS = 128
READ_BUFFER_BYTES = 64 * 1024
_MAX_UNPACKED_BYTES = 256 * 1024 * 1024
_AGENT = f"user-agent: trunkline/{version('trunkline')}\r\n"
_MAX_CACHED_TARGETS = 4096
_MAX_CACHED_HEADS = 8
_KEEP_ALIVE_S = 55.0
_LAST_LOOK_S = 0.02
_NO_TIMER = TimerNoop()
NO_TIMEOUT = aiohttp.ClientTimeout(total=None)


class _Watch:
    """Breaks an exchange when its deadline passes or its patience ends.

    One alarm for all limits. It looks, when it rings, at what has come meanwhile, and sets itself anew; the path of a
    token only notes the time.
    """

    __slots__ = ("_deadline", "_is_overdue", "_loop", "_payload", "_protocol", "fault", "patience")

    def __init__(self, protocol: Protocol, deadline: float, timeouts: Timeouts, *, thinks: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._payload: aiohttp.StreamReader | None = None
        self._deadline = deadline
        self._is_overdue = False
        self.patience = Patience(timeouts, self._loop.time(), thinks=thinks)
        self.fault: Fault | None = None
        protocol.alarm.set(self._due(), self._look)

    def follow(self, payload: aiohttp.StreamReader) -> None:
        """The head is here."""
        self._payload = payload
        self.patience.note_head(self._loop.time())
        self._protocol.alarm.set(self._due(), self._look)

    def stop(self) -> None:
        self._protocol.alarm.stop()

    def _due(self) -> float:
        return min(self._deadline, self.patience.due(self._loop.time()))

    def _look(self) -> None:
        now, due = self._loop.time(), self._due()
        if now < due:
            self._is_overdue = False
            self._protocol.alarm.set(due, self._look)
        elif not self._is_overdue or (now < self._deadline and self._has_unread()):
            # A process that was stopped wakes to its timers first. What came meanwhile is read before anybody is
            # blamed for silence.
            self._is_overdue = True
            self._protocol.alarm.set(now + _LAST_LOOK_S, self._look)
        elif now >= self._deadline:
            self._break(Fault("silent", "the deadline passed before the answer ended"))
        else:
            self._break(self.patience.fault)

    def _has_unread(self) -> bool:
        """Whether something has come that whoever waits for it has not been woken for yet."""
        return bool(self._protocol._buffer if self._payload is None else self._payload._buffer)

    def _break(self, fault: Fault) -> None:
        self.fault = fault
        error = aiohttp.ServerTimeoutError(fault.message)
        if self._payload is None:
            self._protocol.set_exception(error)
        else:
            self._payload.set_exception(error)


class Reply:
    """An upstream answer whose head has arrived. Must be closed; closing before the end drops the connection."""

    __slots__ = (
        "_connection",
        "_message",
        "_now",
        "_patience",
        "_payload",
        "_unpack",
        "_watch",
        "content_type",
        "status",
    )

    def __init__(
        self, message: RawResponseMessage, payload: aiohttp.StreamReader, connection: Connection, watch: _Watch
    ) -> None:
        self._message = message
        self._payload = payload
        self._connection = connection
        self._watch = watch
        self._patience = watch.patience
        self._now = asyncio.get_running_loop().time
        self._unpack: Unpacker | None = None
        self.status: int = message.code
        self.content_type: str = message.headers.get("content-type", "")
        if "content-encoding" in message.headers:
            self._unpack = _unpacker(message.headers["content-encoding"])

    @property
    def headers(self) -> Headers:
        """The header fields; where a date counts from the answer's own and there is none, with that of our clock.

        Source: RFC 9110, section 6.6.1, seen 2026-11-27: who receives an answer without `Date` records the time.
        """
        headers = {name.lower(): value for name, value in self._message.headers.items()}
        if "retry-after" in headers and not _is_date(headers.get("date", "")):
            headers["date"] = formatdate(usegmt=True)
        return headers

    @property
    def tells_limits(self) -> bool:
        """Whether the headers say anything of rate limits."""
        return b"ratelimit" in b" ".join([name for name, _ in self._message.raw_headers]).lower()

    @property
    def pump(self) -> None:
        """There is no such way here."""

    async def read(self) -> bytes:
        """Wait for the next piece of the body, unpacked; empty at its end.

        Raises UpstreamFailure when it breaks off, stays silent, or the deadline passes.
        """
        if self._unpack is None and self._payload.at_eof() and self._payload.exception() is None:
            return b""  # nothing is waited for
        self._patience.wait(self._now())
        try:
            if self._unpack is None:
                return await _next_bytes(self._payload)
            while not (unpacked := self._unpack.take()):
                piece = await _next_bytes(self._payload)
                if not piece:
                    self._unpack.end()
                    break
                self._unpack.feed(piece)
            if len(unpacked) == PIECE_BYTES:
                await asyncio.sleep(0)
            return unpacked
        except (*FOREIGN_ERRORS, NotUnpacked) as error:
            raise UpstreamFailure(self._watch.fault or translate_error(error)) from None
        finally:
            self._patience.pause(self._now())

    async def pump(self, take: Take) -> None:
        """Give each piece of the body to `take`, until it says no or the body ends or breaks; `read` tells which."""
        try:
            while (piece := await self.read()) and take(piece):
                pass
        except UpstreamFailure:
            return

    def note_output(self) -> None:
        """What came last said something; until that is noted, what comes are pings."""
        self._patience.note_output()

    async def body(self, max_bytes: int) -> bytes:
        """Read at most `max_bytes` of the body; the rest is left."""
        gathered = bytearray()
        while len(gathered) < max_bytes and (piece := await self.read()):
            self.note_output()
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
        self._watch.stop()
        if self._payload.at_eof():
            self._connection.release()
        else:
            self._connection.close()


async def _next_bytes(payload: aiohttp.StreamReader) -> bytes:
    """Wait for bytes of a body and take all that are there; none at its end.

    The library's own way takes a body as it was cut into chunks, of which a read may hold dozens, and goes through four
    functions for each.
    """
    if payload._exception is not None:
        raise payload._exception
    buffer = payload._buffer
    while not buffer:
        if payload._eof:
            return b""
        waiter = payload._waiter = payload._loop.create_future()
        await waiter
    taken = buffer[0] if len(buffer) == 1 else b"".join(buffer)
    buffer.clear()
    payload._size = 0
    payload._cursor += len(taken)
    if payload._http_chunk_splits:
        payload._http_chunk_splits.clear()
    payload._protocol.resume_reading()
    return taken


def _is_date(text: str) -> bool:
    try:
        parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return False
    return True


class _Looked(AbstractResolver):
    """Resolves names as `names.py` does."""

    def __init__(self, names: Names) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [resolve_to(host, address, port) for address in await self._names.provider(host)]

    async def close(self) -> None:
        """Nothing is left open here."""


def resolve_to(host: str, address: str, port: int) -> ResolveResult:
    """Say in the library's words that a host is at a numeric address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)


class _Target(NamedTuple):
    """What is the same for all requests to one URL: where and how to connect, and how the head begins.

    `heads` are those sent last, by their fields, without the length of the body.
    """

    key: ConnectionKey
    connect: aiohttp.ClientRequest
    opening: str
    heads: dict[tuple[tuple[str, str], ...], bytes]


class HttpClient:
    """Sends upstream requests over one pool of connections.

    It uses the pool, the TLS and the parser of aiohttp, and leaves its request and response objects aside: they cost
    more than all the rest of a call, for cookies, redirects and form data that no provider sees.
    """

    def __init__(self, timeouts: Timeouts, names: Names | None = None) -> None:
        self._timeouts = timeouts
        self._names = names or Names()
        self._targets: dict[tuple[str, str], _Target] = {}
        self._pool: Pool

    def open(self) -> None:
        """Begin; must be called on the loop that requests are sent from."""
        self._pool = Pool(
            self._timeouts.connect,
            resolver=_Looked(self._names),
            limit=0,
            keepalive_timeout=_KEEP_ALIVE_S,
        )

    async def send(self, request: UpstreamRequest, deadline: float, *, thinks: bool = False) -> Reply:
        """Send and wait for the head of the answer; `deadline` is on the loop's clock and bounds the body too.

        From who `thinks`, pings are borne for longer. A reused connection that the provider had just closed is
        replaced once. Raises UpstreamFailure.
        """
        try:
            target = self._target(request.method, request.url)
            head = _head(target, request)
            connection = await self._pool.used(target.key)
            if connection is not None:
                try:
                    return await self._exchange(connection, head, request.body, deadline, thinks)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                    pass
            connection = await self._connect(target, deadline)
            return await self._exchange(connection, head, request.body, deadline, thinks)
        except FOREIGN_ERRORS as error:
            raise UpstreamFailure(translate_error(error)) from None

    async def close(self) -> None:
        await self._pool.close()

    async def _exchange(self, connection: Connection, head: bytes, body: bytes, deadline: float, thinks: bool) -> Reply:
        """Send over a connection and wait for the head of the answer."""
        protocol, transport = connection.protocol, connection.transport
        if not isinstance(protocol, Protocol) or transport is None or transport.is_closing():
            connection.close()
            raise aiohttp.ServerDisconnectedError
        watch = _Watch(protocol, deadline, self._timeouts, thinks=thinks)
        try:
            protocol.set_response_params(
                timer=_NO_TIMER,
                read_until_eof=True,
                auto_decompress=False,
                read_bufsize=READ_BUFFER_BYTES,
                max_line_size=MAX_LINE_BYTES,
                max_field_size=MAX_LINE_BYTES,
                max_headers=MAX_HEADERS,
            )
            transport.writelines((head, body))
            message, payload = await protocol.read()
            while message.code < 200 and message.code != 101:
                message, payload = await protocol.read()
            watch.follow(payload)
            return Reply(message, payload, connection, watch)
        except BaseException as error:
            watch.stop()
            connection.close()
            if watch.fault is not None and isinstance(error, aiohttp.ServerTimeoutError):
                raise UpstreamFailure(watch.fault) from None
            raise

    async def _connect(self, target: _Target, deadline: float) -> Connection:
        left = deadline - asyncio.get_running_loop().time()
        if left > self._timeouts.connect:
            return await self._pool.connect(target.connect, [], NO_TIMEOUT)
        async with asyncio.timeout(left):
            return await self._pool.connect(target.connect, [], NO_TIMEOUT)

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
    connect = aiohttp.ClientRequest(method, url, loop=asyncio.get_running_loop())
    return _Target(connect.connection_key, connect, opening, {})


def _head(target: _Target, request: UpstreamRequest) -> bytes:
    """Write the head of a request. Raises ValueError for a header that would begin another line."""
    given = tuple(request.headers.items())
    head = target.heads.get(given)
    if head is None:
        if len(target.heads) >= _MAX_CACHED_HEADS:
            target.heads.clear()
        head = target.heads[given] = _new_head(target.opening, request)
    return b"%bcontent-length: %d\r\n\r\n" % (head, len(request.body))


def _new_head(opening: str, request: UpstreamRequest) -> bytes:
    fields = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
    if fields.count("\n") != len(request.headers) or fields.count("\r") != len(request.headers):
        raise ValueError("a header holds a line break")
    # The networks before some providers answer 403 to a request that does not say who asks.
    agent = "" if "\nuser-agent: " in f"\n{fields.lower()}" else _AGENT
    return f"{opening}{fields}{agent}".encode()


def _unpacker(encoding: str) -> Unpacker | None:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return Unpacker(_MAX_UNPACKED_BYTES)
        case other:
            raise UpstreamFailure(Fault("nonsense", f"the answer is packed as {other[:40]!r}, which nobody asked for"))
