"""Servers that speak TLS badly: one whose certificate nobody signed, one that hangs up at the handshake."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.upstream.authority import Authority, talking


def certificate(folder: Path) -> ssl.SSLContext:
    """A server whose certificate nobody signed and that is for no host."""
    return Authority(folder).server_that_nobody_signed()


@contextmanager
def listening(heard: list[bytes], context: ssl.SSLContext | None) -> Iterator[int]:
    """Serve TLS, or, without a context, close as soon as the handshake begins; keeps all that could be read."""

    def talk(connection: socket.socket) -> None:
        if context is None:
            heard.append(connection.recv(65536))
            return
        heard.append(b"")
        with context.wrap_socket(connection, server_side=True) as secured:
            heard.append(secured.recv(65536))

    with talking(talk) as port:
        yield port
