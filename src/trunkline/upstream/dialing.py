"""A server's name → a connection to it: look-up, socket, TLS.

How long that may take, how many connections there may be and which are used again is `pool.py`'s to say.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple, TypeVar, cast

from aiohappyeyeballs import AddrInfoType, start_connection

from trunkline.upstream import causes
from trunkline.upstream.names import Names
from trunkline.upstream.transport import UpstreamFailure

_NEXT_ADDRESS_S = 0.25
"""How long an address has for itself before the next one is tried beside it (RFC 8305, section 5)."""

P = TypeVar("P", bound=asyncio.Protocol)


class Origin(NamedTuple):
    """A server: requests to one origin may share connections. A proxy on the way would be a further field."""

    is_tls: bool
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def new_trust() -> ssl.SSLContext:
    """TLS as this machine trusts it: its certificates, or those that `SSL_CERT_FILE` names. Reads files."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Dialer:
    """Makes connections."""

    def __init__(self, names: Names, trust: Callable[[], ssl.SSLContext] = new_trust) -> None:
        self._names = names
        self._new_trust = trust
        self._trust: asyncio.Task[ssl.SSLContext] | None = None

    async def dial(self, origin: Origin, new_protocol: Callable[[], P]) -> P:
        """Connect a protocol to a server. Raises UpstreamFailure."""
        trust = await self._trusted() if origin.is_tls else None
        sock = await self._connected(origin)
        # With a proxy, `sock` leads to that, and the tunnel (CONNECT) is made here: TLS is with the server itself.
        loop = asyncio.get_running_loop()
        name = origin.host.rstrip(".") if trust is not None else None
        try:
            _, protocol = await loop.create_connection(new_protocol, sock=sock, ssl=trust, server_hostname=name)
        except ssl.SSLError as error:
            raise UpstreamFailure(causes.unsecured(str(origin), error)) from None
        except OSError as error:
            raise UpstreamFailure(causes.unreachable(str(origin), error)) from None
        return protocol

    async def _connected(self, origin: Origin) -> socket.socket:
        host = origin.host
        try:
            addresses = [host] if _is_numeric(host) else await self._names.provider(host)
        except OSError as error:
            raise UpstreamFailure(causes.unresolved(host, error)) from None
        try:
            return await connected([_place(address, origin.port) for address in addresses])
        except OSError as error:
            # It may have moved: whoever comes next asks anew where it is.
            self._names.forget(host)
            raise UpstreamFailure(causes.unreachable(str(origin), error)) from None

    async def _trusted(self) -> ssl.SSLContext:
        """Load what is trusted, once, beside the loop: reading some hundred certificates takes many milliseconds."""
        if self._trust is None or (self._trust.done() and self._trust.exception() is not None):
            self._trust = asyncio.create_task(asyncio.to_thread(self._new_trust))
        return await asyncio.shield(self._trust)


async def connected(
    places: Sequence[AddrInfoType], socket_factory: Callable[[AddrInfoType], socket.socket] | None = None
) -> socket.socket:
    """Connect a socket to the first of some numeric places that takes it, as RFC 8305 has it. Raises OSError."""
    return await start_connection(
        places, happy_eyeballs_delay=_NEXT_ADDRESS_S, loop=_CONNECTOR, socket_factory=socket_factory
    )


def _place(address: str, port: int) -> AddrInfoType:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, 0, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)


def _is_numeric(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class _Connector:
    """Connects sockets, in the event loop's place, to addresses that are numeric already.

    uvloop's own way asks for each connection what the address means, on the few threads that it looks names up on:
    where a name hangs, a connection to a number would hang as well.
    """

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect a socket that does not block. Raises OSError."""
        try:
            sock.connect(address)
        except (BlockingIOError, InterruptedError):
            await _writable(sock)
            if failure := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(failure, os.strerror(failure)) from None


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    is_ready = loop.create_future()
    loop.add_writer(sock, _note_once, is_ready)
    try:
        await is_ready
    finally:
        loop.remove_writer(sock)


def _note_once(is_ready: asyncio.Future[None]) -> None:
    if not is_ready.done():
        is_ready.set_result(None)


# The library asks nothing else of the loop it is given.
_CONNECTOR = cast("asyncio.AbstractEventLoop", _Connector())
