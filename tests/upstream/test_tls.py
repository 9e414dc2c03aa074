"""TLS with providers: only with whom it is in order is anything said, and every other way it goes is a fault."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest
import uvloop

from tests.upstream.authority import Authority, Talk, read_request, talking
from trunkline.upstream.http import HttpClient
from trunkline.upstream.names import Names
from trunkline.upstream.patience import Timeouts
from trunkline.upstream.transport import UpstreamFailure
from trunkline.wire import Fault, UpstreamRequest

Run = Callable[[Coroutine[Any, Any, Any]], Any]

HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nHello"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    runner: Run = request.param
    return runner


async def asked(url: str, trust: Callable[[], ssl.SSLContext], times: int = 1, connect_s: float = 5.0) -> bytes:
    """The body of the last answer."""
    names = Names(lambda host: ["127.0.0.1"])
    client = HttpClient(Timeouts(connect=connect_s, first_byte=5.0, idle=5.0), names, trust)
    client.open()
    try:
        for _ in range(times):
            deadline = asyncio.get_running_loop().time() + 20.0
            reply = await client.send(UpstreamRequest("GET", url, {"x-key": "secret"}, b""), deadline)
            body = b""
            try:
                while piece := await reply.read():
                    body += piece
            finally:
                reply.close()
        return body
    finally:
        await client.close()
        await asyncio.sleep(0)


def fault_of(run: Run, url: str, trust: Callable[[], ssl.SSLContext], connect_s: float = 5.0) -> Fault:
    with pytest.raises(UpstreamFailure) as failure:
        run(asked(url, trust, connect_s=connect_s))
    return failure.value.fault


def securely(context: ssl.SSLContext, talk: Talk, heard: list[bytes] | None = None) -> Talk:
    def talk_securely(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            request = read_request(secured)
            if heard is not None:
                heard.append(request)
            talk(secured)

    return talk_securely


def test_a_good_certificate_and_the_connection_is_used_again(authority: Authority, run: Run) -> None:
    heard: list[bytes] = []
    spoken: list[str | None] = []

    def talk(secured: socket.socket) -> None:
        assert isinstance(secured, ssl.SSLSocket)
        spoken.append(secured.selected_alpn_protocol())
        secured.sendall(HELLO)
        heard.append(read_request(secured))
        secured.sendall(HELLO)

    with talking(securely(authority.server("good.example"), talk, heard)) as port:
        assert run(asked(f"https://good.example:{port}/", authority.trust, times=2)) == b"Hello"
    assert spoken == ["http/1.1"]
    assert len(heard) == 2
    assert all(f"host: good.example:{port}\r\n".encode() in request for request in heard)


@pytest.mark.parametrize("host", ["127.0.0.1", "good.example."])
def test_a_numeric_address_and_a_name_with_a_dot_are_verified_too(host: str, authority: Authority, run: Run) -> None:
    context = authority.server(host.rstrip("."))
    with talking(securely(context, lambda secured: secured.sendall(HELLO))) as port:
        assert run(asked(f"https://{host}:{port}/", authority.trust)) == b"Hello"


@pytest.mark.parametrize(
    ("host", "is_expired", "is_trusted", "words"),
    [
        ("good.example", False, False, "unable to get local issuer certificate"),
        ("good.example", True, True, "certificate has expired"),
        ("other.example", False, True, "Hostname mismatch, certificate is not valid for 'good.example'."),
    ],
    ids=["nobody we trust signed it", "it has expired", "it is another's"],
)
def test_UP_03_a_bad_certificate_is_no_connection(
    host: str, is_expired: bool, is_trusted: bool, words: str, authority: Authority, run: Run, tmp_path: Path
) -> None:
    heard: list[bytes] = []
    trust = authority.trust if is_trusted else Authority(tmp_path).trust
    context = authority.server(host, is_expired=is_expired)
    with talking(securely(context, lambda secured: secured.sendall(HELLO), heard)) as port:
        fault = fault_of(run, f"https://good.example:{port}/", trust)
    assert (fault.kind, fault.message) == ("unavailable", "TLS failed")
    assert fault.detail == f"TLS with good.example:{port} failed: its certificate is not trusted: {words}"
    assert heard in ([], [b""])


def test_a_handshake_that_hangs_is_no_connection_in_time(authority: Authority, run: Run) -> None:
    is_over = threading.Event()
    closed: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        is_over.wait(5)
        closed.append(connection.recv(65536))

    with talking(talk) as port:
        fault = fault_of(run, f"https://good.example:{port}/", authority.trust, connect_s=0.1)
        is_over.set()
    assert (fault.kind, fault.message) == ("silent", "no connection in time")
    assert fault.detail == f"no connection to good.example:{port} within 0.1 s"
    assert closed == [b""], "the socket is left open"


@pytest.mark.parametrize(
    ("said", "message", "detail"),
    [
        (HELLO, "TLS failed", "TLS with {} failed: wrong version number"),
        (b"", "no connection", "cannot connect to {}: it closed the connection"),
    ],
    ids=["plain text", "nothing"],
)
def test_UP_03_who_speaks_no_tls_is_told_nothing(
    said: bytes, message: str, detail: str, authority: Authority, run: Run
) -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heard.append(connection.recv(65536))
        connection.sendall(said)

    with talking(talk) as port:
        fault = fault_of(run, f"https://good.example:{port}/", authority.trust)
    assert (fault.message, fault.detail) == (message, detail.format(f"good.example:{port}"))
    assert len(heard) == 1
    assert b"secret" not in heard[0]


@pytest.mark.parametrize("ending", ["close_notify", "none"])
@pytest.mark.parametrize(
    ("head", "body", "is_cut"),
    [
        (b"content-length: 9", b"Hello", True),
        (b"transfer-encoding: chunked", b"5\r\nHello\r\n", True),
        (b"connection: close", b"Hello", False),
    ],
    ids=["a length", "chunks", "until it closes"],
)
def test_a_body_that_ends_early(
    ending: Literal["close_notify", "none"], head: bytes, body: bytes, is_cut: bool, authority: Authority, run: Run
) -> None:
    """An answer that says nothing of its length ends however its connection does: the dialect knows if it is whole."""

    def talk(secured: socket.socket) -> None:
        assert isinstance(secured, ssl.SSLSocket)
        secured.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body)
        if ending == "close_notify":
            with suppress(OSError):
                secured.unwrap()

    with talking(securely(authority.server("good.example"), talk)) as port:
        url = f"https://good.example:{port}/"
        if is_cut:
            assert fault_of(run, url, authority.trust) == Fault("nonsense", "the answer was cut off")
        else:
            assert run(asked(url, authority.trust)) == b"Hello"


def test_a_large_body_comes_whole(authority: Authority, run: Run) -> None:
    size = 3 * 2**20

    def talk(secured: socket.socket) -> None:
        secured.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size)

    with talking(securely(authority.server("good.example"), talk)) as port:
        assert run(asked(f"https://good.example:{port}/", authority.trust)) == b"x" * size


def test_what_is_trusted_is_read_once_and_anew_after_it_could_not_be(authority: Authority, run: Run) -> None:
    reads: list[int] = []

    def trust() -> ssl.SSLContext:
        reads.append(1)
        if len(reads) == 1:
            raise ValueError("made up")
        return authority.trust()

    async def play(url: str) -> None:
        client = HttpClient(Timeouts(connect=5.0), Names(lambda host: ["127.0.0.1"]), trust)
        client.open()
        request = UpstreamRequest("GET", url, {}, b"")
        deadline = asyncio.get_running_loop().time() + 20.0
        with pytest.raises(ValueError, match="made up"):
            await client.send(request, deadline)
        for _ in range(3):
            reply = await client.send(request, deadline)
            assert await reply.body(100) == b"Hello"
            reply.close()
        await client.close()
        await asyncio.sleep(0)

    close = HELLO.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n")
    with talking(securely(authority.server("good.example"), lambda secured: secured.sendall(close))) as port:
        run(play(f"https://good.example:{port}/"))
    assert len(reads) == 2
