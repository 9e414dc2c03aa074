"""The real gateway as a child process, and what a test wants to know of it from outside."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEY = "tl-" + "k" * 43


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
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
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
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """A bare connection, for bytes that no client library would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def raw(self, data: bytes) -> bytes:
        """Send bytes, then read until the gateway closes or falls silent for a second."""
        with self.connect() as connection:
            connection.sendall(data)
            connection.settimeout(1)
            gathered = b""
            with contextlib.suppress(TimeoutError, ConnectionError):
                while piece := connection.recv(65536):
                    gathered += piece
            return gathered

    @property
    def sockets(self) -> int:
        """How many sockets the process holds."""
        count = 0
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                count += os.readlink(entry).startswith("socket:")
        return count


def post(body: bytes, key: str = KEY, *headers: str) -> bytes:
    """The bytes of a POST on the one route."""
    lines = [
        "POST /api/v1/responses HTTP/1.1",
        "host: x",
        f"authorization: Bearer {key}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@contextlib.contextmanager
def running(folder: Path, config: str, **environment: str) -> Iterator[Gateway]:
    """Start `trunkline serve` in a folder of its own and stop it at the end; its log is checked for defects."""
    (folder / "trunkline.toml").write_text(config)
    port = free_port()
    log = folder / "gateway.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "trunkline", "serve", "--config", "trunkline.toml", "--port", str(port)],
            cwd=folder,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "TRUNKLINE_BOOTSTRAP_KEY": KEY, **environment},
        )
    gateway = Gateway(port, process, log)
    try:
        _await_ready(gateway)
        yield gateway
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the gateway did not stop in 15 s:\n" + log.read_text()[-3000:]) from None
    text = log.read_text()
    assert "Traceback" not in text, text[-5000:]
    assert "defect" not in text, text[-5000:]
    assert KEY not in text, "the key is in the log"


def _await_ready(gateway: Gateway) -> None:
    for _ in range(200):
        if gateway.process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            if gateway.request("GET", "/health/ready").status == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the gateway did not start:\n" + gateway.log.read_text()[-3000:])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
