"""The proxy that faults are made with: it does what it says, and nothing at other times."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.cluster.proxy import Proxy
from tests.servers.valkey import Valkey


@pytest.fixture
def proxy(redis_server: Valkey) -> Iterator[Proxy]:
    with Proxy(redis_server.port) as between:
        yield between


def ask(proxy: Proxy, *, patience_s: float = 5.0) -> bytes:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=patience_s) as connection:
        connection.sendall(b"*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n")
        said = b""
        while said.count(b"\r\n") < 3 and (data := connection.recv(100)):
            said += data
            if said.startswith(b"-") and said.count(b"\r\n") == 2:
                break
        return said


PASSED = b"+PONG\r\n$3\r\nabc\r\n"


def test_it_passes_on(proxy: Proxy) -> None:
    assert ask(proxy) == PASSED


def test_it_is_late(proxy: Proxy) -> None:
    began = time.monotonic()
    with proxy.late(0.2):
        assert ask(proxy) == PASSED
    assert 0.2 <= time.monotonic() - began < 2


def test_it_swallows(proxy: Proxy) -> None:
    with proxy.swallowing(), pytest.raises(TimeoutError):
        ask(proxy, patience_s=0.1)
    assert ask(proxy) == PASSED


def test_it_refuses_each_command(proxy: Proxy) -> None:
    with proxy.refusing(b"-READONLY You can't write\r\n"):
        assert ask(proxy) == b"-READONLY You can't write\r\n" * 2
    assert proxy.refused == 2
    assert ask(proxy) == PASSED


def test_it_cuts_and_takes_no_connection(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        connection.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert connection.recv(100) == b"+PONG\r\n"
        with proxy.closed():
            with pytest.raises(ConnectionResetError):
                connection.recv(100)
            with pytest.raises(ConnectionRefusedError):
                ask(proxy)
    assert ask(proxy) == PASSED
