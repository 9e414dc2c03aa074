"""Servers that speak TLS badly: one whose certificate nobody signed, one that hangs up at the handshake."""

from __future__ import annotations

import shlex
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


def certificate(folder: Path) -> ssl.SSLContext:
    """A server whose certificate nobody signed and that is for another host."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=elsewhere.example"
    subprocess.run(
        ["openssl", *shlex.split(words), "-keyout", "key.pem", "-out", "certificate.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


@contextmanager
def listening(heard: list[bytes], context: ssl.SSLContext | None) -> Iterator[int]:
    """Serve TLS, or, without a context, close as soon as the handshake begins; keeps all that could be read."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(5)
                if context is None:
                    heard.append(connection.recv(65536))
                else:
                    heard.append(b"")
                    with context.wrap_socket(connection, server_side=True) as secured:
                        heard.append(secured.recv(65536))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)
