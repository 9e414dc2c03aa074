"""`trunkline check --probe`: one free question to every provider that is on, and a line for what came of it."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.conftest import Ran
from tests.gateway.conftest import closed_port, full_port
from tests.gateway.tls import certificate, listening
from tests.gateway.upstream import Script, Upstream, head, whole
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect, Endpoint, Model, Provider

Run = Callable[..., Ran]

KEY = "sk-canary-8d1f2b3c4a5e6f70"
TIMEOUTS = '[routing.timeouts]\nconnect = "500 ms"\nfirst_byte = "500 ms"\nidle = "500 ms"\n'
MINE = """
[providers.{name}]
dialect = "{dialect}"
base_url = "{url}"
api_key = "{key}"
"""

MODELS: dict[str, Any] = {"data": [{"id": f"model-{number}"} for number in range(42)]}
REFUSED = whole({"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}, 401)


def mine(url: str, dialect: str = "chat", name: str = "mine", key: str = KEY) -> str:
    """The settings of a private provider."""
    return MINE.format(name=name, dialect=dialect, url=url, key=key)


def told_of(ran: Ran, name: str = "mine") -> str:
    """The line about a provider, and the proof that no line has its key."""
    assert KEY not in ran.out + ran.err
    asked = ran.out.partition("Providers asked (at most 15 s)\n")[2]
    (line,) = re.findall(rf"^  {name} +(.*)$", asked, re.MULTILINE)
    return str(line)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


class Question(NamedTuple):
    """What a dialect asks: behind which base address, at which path, and how many models it reads off the answer."""

    dialect: Dialect
    base: str
    path: str
    answer: Any = MODELS
    words: str = "ok, 42 models"


PLACE = "/v1/projects/p/locations/l"
QUESTIONS = [
    Question("chat", "/v1", "/v1/models"),
    Question("responses", "/v1", "/v1/models"),
    Question("mistral", "/v1", "/v1/models"),
    Question("images", "/v1", "/v1/models"),
    Question("messages", "/v1", "/v1/models?limit=1000", {**MODELS, "has_more": False}),
    Question("messages", "/v1", "/v1/models?limit=1000", {**MODELS, "has_more": True}, "ok, at least 42 models"),
    Question("gemini", "/v1beta", "/v1beta/models?pageSize=1000", {"models": [{}]}, "ok, 1 model"),
    Question(
        "gemini",
        "/v1beta",
        "/v1beta/models?pageSize=1000",
        {"models": [{}, {}], "nextPageToken": "x"},
        "ok, at least 2 models",
    ),
    Question("gemini", f"{PLACE}/publishers/google/models", PLACE, {"locationId": "l"}, "ok"),
    Question("cohere", "/v2", "/v1/models?page_size=1000", {"models": [{}, {}]}, "ok, 2 models"),
    Question("converse", "", "/foundation-models", {"modelSummaries": [{}]}, "ok, 1 model"),
    Question("bfl", "/v1", "/v1/credits", {"credits": 5.5}, "ok"),
    Question("chat", "/bare", "/bare/models", [{}, {}, {}], "ok, 3 models"),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: f"{question.dialect} {question.words}")
def test_each_dialect_asks_for_what_is_free_and_needs_the_key(question: Question, run: Run, upstream: Upstream) -> None:
    nonce = f"nonce-asks-{QUESTIONS.index(question)}"
    upstream.play(nonce, whole(question.answer), REFUSED)
    ran = run("check", "--probe", text=mine(f"{upstream.url}/{nonce}{question.base}", question.dialect))
    assert (ran.code, told_of(ran)) == (0, question.words)
    with_key, without = upstream.seen(nonce)
    assert (with_key.path, with_key.body) == (f"/{nonce}{question.path}", b"")
    assert with_key.headers["authorization"] == f"Bearer {KEY}"
    assert (without.path, without.headers.get("authorization")) == (with_key.path, None)
    assert ("anthropic-version" in with_key.headers) == (question.dialect == "messages")


def test_every_dialect_has_its_question() -> None:
    assert {question.dialect for question in QUESTIONS} == set(ADAPTERS) - {"riverflow", "fake"}


def test_bedrock_is_asked_at_the_host_that_tells_of_models() -> None:
    endpoint = Endpoint(
        model=Model(slug=""),
        provider=Provider(slug="amazon-bedrock", name="Amazon Bedrock"),
        upstream_model="",
        dialect="converse",
        base_url="https://bedrock-runtime.eu-west-1.amazonaws.com",
    )
    asked = ADAPTERS["converse"].encode_listing(endpoint)
    assert asked is not None
    assert asked.url == "https://bedrock.eu-west-1.amazonaws.com/foundation-models"


def test_a_dialect_without_a_free_question_is_only_visited(run: Run, upstream: Upstream) -> None:
    upstream.play("nonce-visited", whole(b"not found", 404))
    ran = run("check", "--probe", text=mine(f"{upstream.url}/nonce-visited/v2", "riverflow"))
    assert (ran.code, told_of(ran)) == (
        0,
        "is there; its key was not tried (`trunkline providers probe mine` asks a model)",
    )
    (visit,) = upstream.seen("nonce-visited")
    assert "authorization" not in visit.headers


TRIAL = "(`trunkline providers probe mine` asks a model)"


@pytest.mark.parametrize(
    ("scripts", "code", "words"),
    [
        ([REFUSED], 1, "401: the key is refused: Incorrect API key provided: ***"),
        (
            [whole({"error": {"message": "Invalid API key"}}, 403), REFUSED],
            1,
            "403: the key is refused: Invalid API key",
        ),
        (
            [whole({"error": {"message": "Missing scopes: api.model.read"}}, 403), REFUSED],
            0,
            f"403: Missing scopes: api.model.read; its key may not list models {TRIAL}",
        ),
        ([whole({}, 404)], 0, f"is there, but has no list of models (404); its key was not tried {TRIAL}"),
        ([whole({}, 405)], 0, f"is there, but has no list of models (405); its key was not tried {TRIAL}"),
        ([whole(MODELS), whole(MODELS)], 0, f"is there, 42 models; its key was not tried {TRIAL}"),
        ([whole(MODELS), whole(b"", 500)], 0, f"is there, 42 models; its key was not tried {TRIAL}"),
        ([whole({"error": {"message": "Down for repair."}}, 503)], 1, "503: Down for repair."),
        ([whole({"error": {"message": "Slow down."}}, 429)], 1, "429: Slow down."),
        ([whole(b"<html>Log in to the network</html>")], 1, "what answers there is no API: it gave no JSON"),
        (
            [Script([head(302, location="https://portal.example")])],
            1,
            "302: the provider redirects, which is not followed",
        ),
        ([Script([b"220 mail.example ESMTP\r\n"])], 1, "the answer is not HTTP"),
        ([Script([], "reset")], 1, "the connection broke"),
        ([Script([])], 1, "the connection was closed before an answer came"),
        ([Script([], "stall")], 1, "no byte in time"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_came_of_it_is_one_line_and_a_failure_is_the_exit_code_1(
    scripts: list[Script], code: int, words: str, run: Run, upstream: Upstream
) -> None:
    nonce = f"nonce-came-{re.sub('[^a-z0-9]+', '-', words.lower())[:40]}-{len(scripts)}"
    upstream.play(nonce, *scripts)
    ran = run("check", "--probe", text=TIMEOUTS + mine(f"{upstream.url}/{nonce}/v1"))
    assert (ran.code, told_of(ran)) == (code, words)


class TestNobodyThere:
    """The words that `attempt.failed` has in the log as well: one table makes them, `upstream/causes.py`."""

    @pytest.fixture
    def asked(self, run: Run) -> Callable[..., str]:
        def asked(url: str, **environ: str) -> str:
            ran = run("check", "--probe", text=TIMEOUTS + mine(url), **environ)
            assert ran.code == 1
            probed = run("providers", "probe", "mine", text=TIMEOUTS + mine(url) + ENDPOINT)
            assert probed.code == 1
            assert told_of(ran).split(": ")[0] in probed.out
            return told_of(ran)

        return asked

    def test_a_name_that_is_none(self, asked: Callable[..., str]) -> None:
        assert asked("http://nowhere.invalid/v1").startswith("cannot resolve nowhere.invalid: ")

    def test_a_port_that_refuses(self, asked: Callable[..., str]) -> None:
        with closed_port() as port:
            assert asked(f"http://127.0.0.1:{port}/v1") == f"cannot connect to 127.0.0.1:{port}: Connection refused"

    def test_a_machine_that_does_not_answer(self, asked: Callable[..., str]) -> None:
        with full_port() as port:
            assert asked(f"http://127.0.0.1:{port}/v1") == f"no connection to 127.0.0.1:{port} within 0.5 s"

    def test_a_certificate_that_nobody_signed(self, asked: Callable[..., str], tmp_path: Path) -> None:
        with listening([], certificate(tmp_path)) as port:
            words = asked(f"https://127.0.0.1:{port}/v1")
        assert words == f"TLS with 127.0.0.1:{port} failed: its certificate is not trusted: self-signed certificate"

    def test_a_server_without_tls(self, asked: Callable[..., str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=_answer_plainly, args=(server, 2), daemon=True)
            thread.start()
            port = server.getsockname()[1]
            assert asked(f"https://127.0.0.1:{port}/v1") == f"TLS with 127.0.0.1:{port} failed: wrong version number"
            thread.join(5)

    def test_a_server_that_hangs_up_at_the_handshake(self, asked: Callable[..., str]) -> None:
        with listening([], None) as port:
            words = asked(f"https://127.0.0.1:{port}/v1")
        assert words == f"cannot connect to 127.0.0.1:{port}: it closed the connection"

    @pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
    def test_a_proxy_that_is_not_used_is_named_where_nobody_was_reached(
        self, name: str, run: Run, upstream: Upstream
    ) -> None:
        there = f"{upstream.url}/nonce-proxy/v1"
        upstream.play("nonce-proxy", whole(MODELS), REFUSED)
        note = f"note: {name} is set and not used: the gateway goes through no proxy and must reach providers itself\n"
        environ = {name: "http://proxy.example:3128"}
        assert run("check", "--probe", text=mine("http://nowhere.invalid/v1"), **environ).err.endswith(note)
        assert note not in run("check", "--probe", text=mine(there), **environ).err


def _answer_plainly(server: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


ENDPOINT = """
[[endpoints]]
provider = "mine"
model = "acme/rocket-1"
price = { input = "1", output = "2" }
"""


class TestTogether:
    def test_all_are_asked_at_once_and_told_as_they_come(self, run: Run, upstream: Upstream) -> None:
        names = [f"number-{number}" for number in range(8)]
        for number, name in enumerate(names):
            pause_s = 0.5 if name != "number-7" else 0.0
            upstream.play(f"nonce-at-once-{number}", Script([pause_s, head(200), json.dumps(MODELS).encode()]), REFUSED)
        text = "".join(
            mine(f"{upstream.url}/nonce-at-once-{number}/v1", name=name) for number, name in enumerate(names)
        )
        began = time.monotonic()
        ran = run("check", "--probe", text=text)
        assert ran.code == 0
        assert {told_of(ran, name) for name in names} == {"ok, 42 models"}
        lines = [line.split()[0] for line in ran.out.partition("Providers asked")[2].splitlines()[1:]]
        assert (lines[0], sorted(lines)) == ("number-7", names)
        assert time.monotonic() - began < 0.5 * len(names)

    def test_one_that_fails_is_enough_for_the_exit_code_1(self, run: Run, upstream: Upstream) -> None:
        upstream.play("nonce-one-good", whole(MODELS), REFUSED)
        upstream.play("nonce-one-bad", REFUSED)
        good, bad = (f"{upstream.url}/nonce-one-{word}/v1" for word in ("good", "bad"))
        ran = run("check", "--probe", text=mine(good, name="good") + mine(bad, name="bad"))
        assert (ran.code, told_of(ran, "good")) == (1, "ok, 42 models")
        assert told_of(ran, "bad").startswith("401: the key is refused")

    def test_nobody_is_asked_without_the_option(self, run: Run, upstream: Upstream) -> None:
        upstream.play("nonce-unasked", whole(MODELS))
        text = mine(f"{upstream.url}/nonce-unasked/v1")
        for command in (("check",), ("check", "--all"), ("providers",), ("models",)):
            ran = run(*command, text=text)
            assert (ran.code, "Providers asked" in ran.out) == (0, False)
        assert upstream.seen("nonce-unasked") == []

    def test_a_token_that_cannot_be_fetched_is_told_in_the_line_of_its_provider(self, run: Run) -> None:
        environ = {
            "AZURE_TENANT_ID": "t",
            "AZURE_CLIENT_ID": "c",
            "AZURE_CLIENT_SECRET": KEY,
            "AZURE_RESOURCE_NAME": "r",
        }
        ran = run("check", "--probe", **environ, AZURE_AUTHORITY_HOST="http://nowhere.invalid")
        assert (ran.code, len(ran.out.partition("Providers asked")[2].splitlines())) == (1, 2)
        words = "Entra gave no token: no connection: cannot resolve nowhere.invalid: "
        assert told_of(ran, "azure").startswith(words)

    def test_fake_provider_alone_is_well(self, run: Run) -> None:
        ran = run("check", "--probe")
        assert (ran.code, told_of(ran, "fake-provider")) == (0, "ok")
