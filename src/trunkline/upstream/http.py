"""The one HTTP client for providers: UpstreamRequest → a reply, its head read and its body to come.

It follows no redirect, unpacks nothing that was not asked for beyond a bound, keeps no cookie and reads no proxy
variable. What a status or a body means is the adapters' business, what to do about it that of `attempts.py`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from trunkline.upstream import causes
from trunkline.upstream.dialing import Dialer, Origin, new_trust
from trunkline.upstream.names import Names
from trunkline.upstream.patience import Timeouts
from trunkline.upstream.pool import MAX_CONNECTIONS, Pool
from trunkline.upstream.reply import Reply, Unanswered, ask
from trunkline.upstream.transport import UpstreamFailure as UpstreamFailure
from trunkline.version import VERSION
from trunkline.wire import UpstreamRequest

_AGENT = f"user-agent: trunkline/{VERSION}\r\n"
_MAX_CACHED_TARGETS = 4096
_MAX_CACHED_HEADS = 8
_MAX_JOINED_BYTES = 64 * 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}


_Fields = tuple[tuple[str, str], ...]


class _Target(NamedTuple):
    """What is the same for all requests to one URL: where to connect, and how the head begins.

    `heads` are those sent last, by their fields, without the length of the body.
    """

    origin: Origin
    opening: str
    heads: dict[_Fields, bytes]


class HttpClient:
    """Sends upstream requests over one pool of connections."""

    def __init__(
        self,
        timeouts: Timeouts,
        names: Names | None = None,
        trust: Callable[[], ssl.SSLContext] = new_trust,
        max_connections: int = MAX_CONNECTIONS,
        max_targets: int = _MAX_CACHED_TARGETS,
    ) -> None:
        self._timeouts = timeouts
        self._dialer = Dialer(names or Names(), trust)
        self._max_connections = max_connections
        self._max_targets = max_targets
        self._targets: dict[tuple[str, str], _Target] = {}
        self._pool: Pool

    def open(self) -> None:
        """Begin; must be called on the loop that requests are sent from."""
        self._pool = Pool(self._dialer, self._timeouts.connect, max_connections=self._max_connections)

    async def send(self, request: UpstreamRequest, deadline: float, *, thinks: bool = False) -> Reply:
        """Send and wait for the head of the answer; `deadline` is on the loop's clock and bounds the body too.

        From who `thinks`, pings are borne for longer. A reused connection that the provider had just closed is
        replaced once. Raises UpstreamFailure.
        """
        limits, body = self._timeouts, request.body
        try:
            target = self._targets.get((request.method, request.url)) or self._target(request.method, request.url)
            given = tuple(request.headers.items())
            head = target.heads.get(given) or _head(target, given)
        except ValueError:
            raise UpstreamFailure(causes.NOT_SENT) from None
        if len(body) <= _MAX_JOINED_BYTES:
            sent = [b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)]
        else:
            # What is large is not copied.
            sent = [b"%bcontent-length: %d\r\n\r\n" % (head, len(body)), body]
        has_body = request.method != "HEAD"
        connection = self._pool.used(target.origin)
        if connection is not None:
            try:
                return await ask(connection, sent, deadline, limits, thinks=thinks, has_body=has_body)
            except Unanswered:
                pass
        connection = await self._pool.connect(target.origin, deadline)
        return await ask(connection, sent, deadline, limits, thinks=thinks, has_body=has_body)

    async def close(self) -> None:
        """Drop all connections."""
        await self._pool.close()

    def _target(self, method: str, url: str) -> _Target:
        """Keep what is the same for all requests to an address. Raises ValueError for one that is none."""
        target = _new_target(method, url)
        if len(self._targets) >= self._max_targets:
            self._targets.clear()
        self._targets[method, url] = target
        return target


def _new_target(method: str, url: str) -> _Target:
    """Raises ValueError for an address that is not one."""
    if any(sign <= " " or sign == "\x7f" for sign in method + url):
        raise ValueError("the address holds white space")
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ValueError("the address is not an http URL")
    host = host if host.isascii() else host.encode("idna").decode("ascii")
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    authority = f"[{host}]" if ":" in host else host
    if port != _DEFAULT_PORTS[parts.scheme]:
        authority = f"{authority}:{port}"
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    opening = f"{method} {path} HTTP/1.1\r\nhost: {authority}\r\n"
    return _Target(Origin(parts.scheme == "https", host, port), opening, {})


def _head(target: _Target, given: _Fields) -> bytes:
    """Write the head of a request, and keep it. Raises ValueError for a header that would begin another line."""
    head = _new_head(target.opening, given)
    if len(target.heads) >= _MAX_CACHED_HEADS:
        target.heads.clear()
    target.heads[given] = head
    return head


def _new_head(opening: str, given: _Fields) -> bytes:
    fields = "".join([f"{name}: {value}\r\n" for name, value in given])
    if fields.count("\n") != len(given) or fields.count("\r") != len(given):
        raise ValueError("a header holds a line break")
    # The networks before some providers answer 403 to a request that does not say who asks.
    agent = "" if "\nuser-agent: " in f"\n{fields.lower()}" else _AGENT
    return f"{opening}{fields}{agent}".encode()
