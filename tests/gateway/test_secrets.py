"""SE: what an upstream says of our secrets, and that nobody hears it."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.gateway.checks import ask, error_of, events_of
from tests.gateway.conftest import CONFIG, ENDPOINT
from tests.gateway.server import COMMAND, Gateway, running
from tests.gateway.server import KEY as CLIENT_KEY
from tests.gateway.upstream import Upstream, chunk, stream, whole

KEY = "sk-CANARYproviderkeyCANARY0123456789abcdef"
HOUSE = "house-header/CANARY+of its owner-Zq7"
PASSWORD = "password-CANARY-in-the-address"
QUERY = "query-CANARY-in-the-address"
SECRETS = {"key": KEY, "header": HOUSE, "password": PASSWORD, "query": QUERY}

PROVIDER = """
[providers.told]
dialect = "chat"
base_url = "{url}"
api_key = {{ env = "MOCK_KEY" }}
headers = {{ X-House = "{house}" }}
"""
MODELS = 40


def forms(secret: str) -> list[str]:
    data = secret.encode()
    return [
        secret,
        secret[3:],
        secret[-24:],
        secret[-12:],
        secret[4:16],
        quote(secret, safe=""),
        base64.b64encode(data).decode(),
        base64.b64encode(b"u:" + data).decode(),
        base64.urlsafe_b64encode(b"u" + data).decode(),
        data.hex(),
        data.hex().upper(),
    ]


SAYINGS = [
    *(f"It got {form} here." for secret in SECRETS.values() for form in forms(secret)),
    f"Authorization: Bearer {KEY}",
]


def assert_masked(text: str) -> None:
    for secret in SECRETS.values():
        parts = [secret, quote(secret, safe=""), secret.encode().hex()]
        parts += [base64.b64encode(b"u" * before + secret.encode()).decode()[4:-4] for before in range(3)]
        for part in parts:
            for start in range(len(part) - 11):
                assert part[start : start + 12].lower() not in text.lower(), (part, text)


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = configuration(upstream.url)
    with running(tmp_path_factory.mktemp("secrets"), config, MOCK_KEY=KEY) as found:
        yield found
    assert_masked(found.log.read_text())


def configuration(url: str) -> str:
    address = f"{url}/told/v1".replace("://", f"://user:{PASSWORD}@") + f"?token={QUERY}"
    config = CONFIG + PROVIDER.format(url=address, house=HOUSE)
    return config + "".join(ENDPOINT.format(provider="told", model=f"told/{number}") for number in range(MODELS))


@pytest.mark.parametrize("status", [400, 401, 429, 500, 200])
def test_SE_01_no_secret_is_told_back_before_output(
    status: int, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    model = f"told/{status % 37}"
    said = json.dumps(SAYINGS)
    for body in (
        {"error": {"message": " ".join(SAYINGS[:12]), "all": SAYINGS}},
        {"error": said},
        {"detail": SAYINGS[::-1]},
    ):
        upstream.play(nonce, whole(body, status))
        for streams in (False, True):
            reply = gateway.call(ask(model, nonce, stream=streams))
            assert_masked(reply.body.decode())


def test_SE_01_each_form_is_masked_in_message_raw_and_attempts(
    gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    for number, said in enumerate(SAYINGS):
        upstream.play(nonce, whole({"error": {"message": said}}, 400))
        error = error_of(gateway.call(ask(f"told/{1 + number % 30}", nonce)), 400)
        told = [error["message"], error["metadata"]["raw"], error["metadata"]["attempts"][0]["message"]]
        assert_masked(json.dumps(told))
        assert all("***" in each for each in told), told


def test_SE_01_what_is_no_secret_stays(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    upstream.play(nonce, whole({"error": {"message": "temperature must be at most 1"}}, 400))
    assert "temperature must be at most 1" in error_of(gateway.call(ask("told/31", nonce)), 400)["message"]


def test_SE_01_no_secret_is_told_back_in_mid_stream(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    upstream.play(nonce, stream([chunk("Hel"), {"error": {"message": " ".join(SAYINGS[:3]), "code": 500}}]))
    events = events_of(gateway.call(ask("told/32", nonce, stream=True)), "failed")
    assert_masked(json.dumps(events))
    assert "***" in events[-1]["response"]["error"]["message"]


def test_SE_01_the_explanation_of_a_failed_request_holds_no_secret(
    gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, whole({"error": {"message": f"bad {HOUSE}"}}, 400))
    reply = gateway.call(ask("told/33", nonce))
    path = f"/api/v1/responses/{reply.headers['x-request-id']}/explanation"
    explained = gateway.request("GET", path, None, {"authorization": f"Bearer {CLIENT_KEY}"})
    assert explained.status == 200
    assert "bad ***" in explained.body.decode()
    assert_masked(explained.body.decode())


@pytest.mark.parametrize("command", ["check", "providers", "providers --json", "providers probe told"])
def test_SE_01_no_command_prints_a_secret(command: str, upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "trunkline.toml").write_text(configuration(upstream.url))
    ran = subprocess.run(
        [*COMMAND, *command.split()], cwd=tmp_path, capture_output=True, text=True, timeout=40, env={"MOCK_KEY": KEY}
    )
    assert_masked(ran.stdout + ran.stderr)
    assert "told" in ran.stdout
