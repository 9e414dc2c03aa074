"""The real gateway as a child process, and what a test wants to know of it from outside."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.gateway.ports import free_port

KEY = "tl-canary-Zq7Lx2Wm9RtY4uPa8sDf3gHj6kBn1cVe5XoM"
PROVIDER_KEY = "sk-canary-Vw3nTb8Kp5Jd1Gs9Qx6Hr2Lc7Mf4Yz0E"

COMMAND = (sys.executable, "-m", "trunkline")
MEASURED = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
"""What tells a gateway that its coverage is measured, when that of the tests is."""


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The data of a stream's events, after a check of its framing."""
        return read_events(self.body)


def read_events(body: bytes) -> list[dict[str, Any]]:
    """A strict reader of our own stream: `event:`, one `data:`, a blank line, comments between, `[DONE]` last."""
    assert body.endswith(b"data: [DONE]\n\n"), body[-200:]
    events = []
    for frame in body.removesuffix(b"data: [DONE]\n\n").decode().split("\n\n")[:-1]:
        lines = frame.split("\n")
        if lines == [": keep-alive"]:
            continue
        assert len(lines) == 2, lines
        assert lines[0].startswith("event: "), lines
        assert lines[1].startswith("data: "), lines
        event = json.loads(lines[1].removeprefix("data: "))
        assert event["type"] == lines[0].removeprefix("event: ")
        events.append(event)
    return events


def assert_no_secret(text: bytes) -> None:
    """Look for both keys: as they are, encoded, and in parts of 12 characters."""
    for secret in (KEY, PROVIDER_KEY):
        forms = [base64.b64encode(secret.encode()), secret.encode().hex().encode(), quote(secret, safe="").encode()]
        forms += [secret[at : at + 12].encode() for at in range(len("tl-canary-"), len(secret) - 12)]
        assert not any(form in text for form in forms), "a secret came out"


class Client:
    """One connection to the gateway on which bytes are sent and read as a test likes."""

    def __init__(self, port: int, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", port))
        self.port: int = self.socket.getsockname()[1]
        self.gathered = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def has_input(self) -> bool:
        """Whether there is something to read, or the end."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def read(self, size: int = 65536) -> bytes:
        """Read what is there; nothing at the end, also when it is a reset."""
        data: bytes
        try:
            data = self.socket.recv(size)
        except ConnectionError:
            return b""
        self.gathered += data
        return data

    def read_until(self, mark: bytes, times: int = 1) -> bytes:
        """Read until `mark` has come that often."""
        while self.gathered.count(mark) < times:
            assert self.read(), f"the connection ended before {mark!r}: {self.gathered[-300:]!r}"
        return self.gathered

    def read_to_end(self) -> bytes:
        """Read until the gateway closes."""
        while self.read():
            pass
        assert_no_secret(self.gathered)
        return self.gathered

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def replies(data: bytes) -> list[Reply]:
    """Cut what came over one connection into answers."""
    found = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split()[1])
        body, data = _cut_body(headers, rest) if status >= 200 else (b"", rest)
        found.append(Reply(status, headers, body))
    return found


def _cut_body(headers: dict[str, str], rest: bytes) -> tuple[bytes, bytes]:
    if headers.get("transfer-encoding") != "chunked":
        size = int(headers.get("content-length", len(rest)))
        return rest[:size], rest[size:]
    body = b""
    while True:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        body += rest[:size]
        rest = rest[size + 2 :]
        if not size:
            return body, rest


@dataclass
class Gateway:
    """A running gateway."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, body: Any, *, key: str | None = KEY, path: str = "/api/v1/responses", **headers: str) -> Reply:
        """POST a body (bytes as they are, else as JSON) and read the whole answer."""
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        sent = {
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        if key is not None:
            sent["authorization"] = f"Bearer {key}"
        return self.request("POST", path, data, sent)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, headers or {})
            with connection.getresponse() as answer:  # which may hold the socket when the connection is closed
                reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        assert_no_secret(reply.body + repr(reply.headers).encode())
        return reply

    def connect(self, receive_buffer: int | None = None) -> Client:
        """A bare connection, for what no client library would do."""
        return Client(self.port, receive_buffer)

    def raw(self, data: bytes) -> list[Reply]:
        """Send bytes and read all answers, until the gateway closes; the last request must ask it to."""
        with self.connect() as client:
            with contextlib.suppress(ConnectionError):
                client.send(data)
            return replies(client.read_to_end())

    @property
    def sockets(self) -> int:
        """How many sockets the process holds."""
        count = 0
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                count += os.readlink(entry).startswith("socket:")
        return count

    @property
    def memory_kib(self) -> int:
        """What the process holds of memory that is its own, swapped out or not."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return sum(int(size) for size in re.findall(r"(?:RssAnon|VmSwap):\s+(\d+) kB", status))

    def unsent_bytes(self, client: Client) -> int:
        """How many bytes for a client wait in the kernel."""
        here, there = f":{self.port:04X}", f":{client.port:04X}"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, remote, _, queues, *_ = line.split()
            if local.endswith(here) and remote.endswith(there):
                return int(queues.partition(":")[0], 16)
        return 0


BELOW_ASGI = "/api/v1/responses"
THROUGH_ASGI = "/api/v1/response%73"
"""The two ways to the one route: the listener serves itself what is written just so, all else goes through ASGI."""


def post(body: Any, *headers: str, key: str = KEY, path: str = BELOW_ASGI) -> bytes:
    """The bytes of a POST on the one route; the body is bytes as they are, else made JSON."""
    data: bytes = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "host: x",
        f"authorization: Bearer {key}",
        "content-type: application/json",
        f"content-length: {len(data)}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data


@contextlib.contextmanager
def running(
    folder: Path,
    config: str,
    stderr: int = subprocess.STDOUT,
    /,
    *,
    key: str | None = KEY,
    port: int = 0,
    within: Sequence[str] = (),
    is_measured: bool = False,
    environ: Mapping[str, str] | None = None,
    **environment: str,
) -> Iterator[Gateway]:
    """Start `trunkline serve` in a folder of its own and stop it at the end; its log is checked for defects.

    Without a `key` the gateway makes its own at the first start, without a `port` it gets a free one. `within` is a
    command that runs another. `stderr` is a descriptor to log to in place of the log that is checked. Coverage is
    measured of a few gateways that together go everywhere: it doubles what they take.
    """
    (folder / "trunkline.toml").write_text(config)
    port = port or free_port()
    log = folder / "gateway.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [*within, *COMMAND, "serve", "--config", "trunkline.toml", "--port", str(port)],
            cwd=folder,
            stdout=sink,
            stderr=stderr,
            env={
                "PATH": os.environ["PATH"],
                **(MEASURED if is_measured else {}),
                **({} if key is None else {"TRUNKLINE_BOOTSTRAP_KEY": key}),
                **(environ or {}),
                **environment,
            },
        )
    gateway = Gateway(port, process, log)
    try:
        _await_ready(gateway)
        yield gateway
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the gateway did not stop in 15 s:\n" + log.read_text()[-3000:]) from None
    text = log.read_text()
    for sign in ("Traceback", "defect"):
        assert sign not in text, text[max(0, text.index(sign) - 2000) :][:5000]
    assert_no_secret(text.encode())


def _await_ready(gateway: Gateway) -> None:
    for _ in range(800):
        if gateway.process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            if gateway.request("GET", "/health/ready").status == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the gateway did not start:\n" + gateway.log.read_text()[-3000:])
