"""A provider whose TLS is bad gets no byte of a request; one whose TLS is cut gives no answer that looks whole."""

from __future__ import annotations

import shlex
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gateway.checks import ask, error_of
from tests.gateway.server import PROVIDER_KEY, Gateway
from tests.gateway.upstream import Break, Script, Upstream
from tests.gateway.waiting import eventually
from tests.soak.provider import DIALECTS, answers_right, everywhere, good, outcome_of, pieces, serving

Handshake = Callable[[socket.socket], None]
"""What a server does with a connection instead of TLS."""


def is_silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def cuts(connection: socket.socket) -> None:
    connection.recv(1)


def speaks_plainly(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


def alerts(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")


NO_TLS: Mapping[str, tuple[Handshake, int]] = {
    "chat-silent": (is_silent, 524),
    "chat-cut": (cuts, 502),
    "chat-plain": (speaks_plainly, 502),
    "chat-alert": (alerts, 502),
}
CERTIFICATES: Mapping[str, tuple[str, str]] = {
    "chat-untrusted": ("stranger", "-days 1"),
    "chat-expired": ("authority", "-days -1"),
    "chat-misnamed": ("authority", "-days 1 -extfile elsewhere"),
}
"""Who signed it, and how."""


@dataclass(frozen=True)
class House:
    """A gateway that trusts one authority, the provider that this one vouches for, and the others."""

    gateway: Gateway
    good: Upstream
    bad: Mapping[str, Upstream]
    heard: Mapping[str, list[bytes]]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make certificates")
    folder = tmp_path_factory.mktemp("tls")
    (folder / "here").write_text("subjectAltName=IP:127.0.0.1\n")
    (folder / "elsewhere").write_text("subjectAltName=DNS:elsewhere.example\n")
    for name in ("authority", "stranger"):
        openssl(folder, f"req -x509 {_NEW_KEY} -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem")
    openssl(folder, f"req {_NEW_KEY} -subj /CN=provider -keyout server.key -out server.csr")
    heard: dict[str, list[bytes]] = {name: [] for name in NO_TLS}
    with ExitStack() as stack:
        trusted = stack.enter_context(Upstream(tls=certificate(folder, "authority", "-days 1")))
        bad = {
            name: stack.enter_context(Upstream(tls=certificate(folder, signer, how)))
            for name, (signer, how) in CERTIFICATES.items()
        }
        addresses = everywhere(trusted) | {name: f"{provider.url}/v1" for name, provider in bad.items()}
        for name, (handshake, _) in NO_TLS.items():
            addresses[name] = f"https://127.0.0.1:{stack.enter_context(listening(handshake, heard[name]))}/v1"
        gateway = stack.enter_context(serving(folder, addresses, authority=str(folder / "authority.pem")))
        yield House(gateway, trusted, bad, heard)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_certificate_that_is_not_good_gets_no_request(name: str, streams: bool, house: House, nonce: str) -> None:
    upstream = house.bad[name]
    upstream.play(nonce, good("chat", streams=streams))
    error_of(house.gateway.call(ask(f"soak/{name}", nonce, stream=streams)), 502)
    assert not upstream.seen(nonce)
    eventually(lambda: upstream.open_connections == 0, "the connection is kept")


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", NO_TLS)
def test_a_handshake_that_fails_or_hangs_gets_no_request(name: str, streams: bool, house: House, nonce: str) -> None:
    before = house.gateway.sockets - house.good.open_connections
    error_of(house.gateway.call(ask(f"soak/{name}", nonce, stream=streams)), NO_TLS[name][1])
    assert house.heard[name]
    assert not any(PROVIDER_KEY.encode() in data or nonce.encode() in data for data in house.heard[name])
    eventually(lambda: house.gateway.sockets - house.good.open_connections <= before, "a socket is left over")


@pytest.mark.parametrize("ending", ["end", "reset"])
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_body_that_is_cut_does_not_look_whole(
    dialect: str, streams: bool, ending: Break, house: House, nonce: str
) -> None:
    said = b"".join(pieces(dialect, "chunks", streams=streams))
    house.good.play(nonce, Script([said[: len(said) // 2], 0.05], ending))
    reply = house.gateway.call(ask(f"soak/{dialect}", nonce, stream=streams))
    assert outcome_of(reply) == ("failed" if streams else "error")
    eventually(lambda: house.good.calls_under_way == 0, "the call goes on")


def test_good_tls_is_answered_all_the_same(house: House, nonce: str) -> None:
    answers_right(house.gateway, house.good, nonce)


_NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"


def openssl(folder: Path, words: str) -> None:
    subprocess.run(["openssl", *shlex.split(words)], cwd=folder, check=True, capture_output=True)


def certificate(folder: Path, signer: str, how: str) -> ssl.SSLContext:
    """A server with a certificate that `signer` made for this address, unless `how` says for another."""
    how = how if "-extfile" in how else f"{how} -extfile here"
    openssl(
        folder, f"x509 -req -in server.csr -CA {signer}.pem -CAkey {signer}.key -CAcreateserial {how} -out server.pem"
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


@contextmanager
def listening(handshake: Handshake, heard: list[bytes]) -> Iterator[int]:
    """Accept connections and do with each, in a thread of its own, what `handshake` does."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve_one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            heard.append(connection.recv(65536, socket.MSG_PEEK))
            handshake(connection)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=serve_one, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
