"""From nothing to the first answer and to a clean end: keys, the pasted example, restarts, SIGTERM."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.checks import ask, error_of, events_of, response_of
from tests.gateway.ports import free_port
from tests.gateway.server import COMMAND, KEY, MEASURED, PROVIDER_KEY, Gateway, post, replies, running
from tests.gateway.upstream import Script, Upstream, chunk, head, sse
from tests.gateway.waiting import eventually

PROVIDERS = """
[providers.mock-chat]
dialect = "chat"
base_url = "{url}/chat/v1"
api_key = {{ env = "MOCK_KEY" }}
[[endpoints]]
provider = "mock-chat"
model = "mock/chat"
upstream_model = "gpt-x"
"""

SHOWN = re.compile(r"Your API key, shown only now: (tl-[\w-]{49})\n")


@contextlib.contextmanager
def on_a_terminal(folder: Path, *start: str) -> Iterator[tuple[Gateway, str]]:
    """A gateway that is started by hand, and what it says there until it is ready."""
    ours, theirs = os.openpty()
    port = free_port()
    environ = {"PATH": os.environ["PATH"], **MEASURED}
    command = [*(start or COMMAND), "serve", "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, stdout=theirs, stderr=subprocess.DEVNULL, env=environ)
    os.close(theirs)
    try:
        text = ""
        while not re.search(r"}'\s+\n|Keys: .*\n", text):
            text += os.read(ours, 4096).decode().replace("\r\n", "\n")
        yield Gateway(port, process, folder / "no.log"), text
    finally:
        process.terminate()
        process.wait(15)
        os.close(ours)


def test_the_first_start_shows_a_key_once_and_its_example_works_as_pasted(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path) as (gateway, text):
        (key,) = SHOWN.findall(text)
        assert f"Database: {tmp_path / 'trunkline.db'}\n" in text
        response_of(gateway.call(ask("fake/echo", "Hi"), key=key))
        error_of(gateway.call(ask("fake/echo", "Hi"), key=key[:-1] + "?"), 401)
        example = text[text.index("  curl ") :].partition("\n\n")[0]
        if shutil.which("curl"):
            pasted = shlex.split(example.replace("\\\n", " "))
            answer = subprocess.run([*pasted, "--silent", "--noproxy", "*"], capture_output=True, check=True, text=True)
            assert '"status":"completed"' in answer.stdout
            assert "Hello!" in answer.stdout
    with on_a_terminal(tmp_path) as (gateway, text):
        assert not SHOWN.search(text)
        assert f"Keys: 1 key is good; make another: {sys.executable} -m trunkline keys create\n" in text
        response_of(gateway.call(ask("fake/echo", "Hi"), key=key))
    installed = str(Path(sys.executable).with_name("trunkline"))
    with on_a_terminal(tmp_path, installed) as (gateway, text):
        # As it was typed, word by word: `trunkline` alone is found by few shells in a checkout.
        (told,) = re.findall(r"make another: (.*)\n", text)
        assert told == f"{installed} keys create"
        made = subprocess.run(shlex.split(told), cwd=tmp_path, capture_output=True, check=True, text=True)
        response_of(gateway.call(ask("fake/echo", "Hi"), key=made.stdout.strip()))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(key.encode() in path.read_bytes() for path in files)


def test_where_output_is_collected_each_line_is_json_and_the_key_is_in_a_file_of_its_own(tmp_path: Path) -> None:
    with running(tmp_path, "", key=None) as gateway:
        place = tmp_path / "trunkline.db.first-key"
        key = place.read_text().strip()
        assert place.stat().st_mode & 0o777 == 0o600
        response_of(gateway.call(ask("fake/echo", "Hi"), key=key))
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines()]
    (said,) = [line for line in lines if line["event"] == "gateway.listening"]
    assert said["key_file"] == str(place)
    assert said["database"] == str(tmp_path / "trunkline.db")
    assert key not in gateway.log.read_text()
    place.unlink()
    with running(tmp_path, "", key=None) as gateway:
        response_of(gateway.call(ask("fake/echo", "Hi"), key=key))
    assert not place.exists()
    assert '"good_keys": 1' in gateway.log.read_text()


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a key that the operator brought."""
    with running(tmp_path_factory.mktemp("brought"), "") as gateway:
        yield gateway


def test_a_key_that_the_operator_brings_is_good_and_not_shown(brought: Gateway) -> None:
    response_of(brought.call(ask("fake/echo", "Hi"), key=KEY))
    eventually(lambda: "gateway.started" in brought.log.read_text(), "the log does not say that it started")
    assert "API key" not in brought.log.read_text()
    written = [path.read_bytes() for path in brought.log.parent.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in content for content in written)


def test_a_port_that_is_taken_is_one_line_and_the_exit_code_2(brought: Gateway, tmp_path: Path) -> None:
    again = subprocess.run(
        [*COMMAND, "serve", "--port", str(brought.port)], capture_output=True, text=True, cwd=tmp_path, timeout=20
    )
    assert again.returncode == 2
    assert len(again.stderr.strip().splitlines()) == 1
    assert "choose another with --host and --port" in again.stderr


class TestEnd:
    """PR-01: a gateway that is told to stop finishes what it has begun, takes nothing new, and leaves nothing."""

    def begin(self, upstream: Upstream, nonce: str, gateway: Gateway) -> bytes:
        stream: list[bytes | float] = [
            head(200, "text/event-stream"),
            sse([chunk("a")]),
            0.8,
            sse([chunk("b"), chunk(finish="stop"), "[DONE]"]),
        ]
        upstream.play(nonce, Script(stream))
        return post(ask("mock/chat", nonce, stream=True))

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
    def test_PR_01_a_stream_under_way_is_finished(
        self, number: signal.Signals, upstream: Upstream, nonce: str, tmp_path: Path
    ) -> None:
        config = PROVIDERS.format(url=upstream.url)
        with running(tmp_path, config, MOCK_KEY=PROVIDER_KEY) as gateway, gateway.connect() as client:
            client.send(self.begin(upstream, nonce, gateway))
            client.read_until(b'"delta":"a"')
            with gateway.connect() as idle:
                idle.send(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
                idle.read_until(b"}")
                gateway.process.send_signal(number)
                idle.read_to_end()
            eventually(lambda: refuses(gateway), "new connections are still taken")
            (reply,) = replies(client.read_to_end())
            events_of(reply)
            assert gateway.process.wait(10) in (0, -number)


def refuses(gateway: Gateway) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", gateway.port)) != 0
