"""What only some dialects can show end to end: one gateway with a provider of each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.checks import ask, error_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Upstream, completion, whole

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
"""

DEEP = b'{"zzz":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

DIALECTS = ("bfl", "images", "riverflow")

TELLERS = """
[providers.mock-user]
dialect = "chat"
base_url = "{url}/user/v1"
api_key = {{ env = "MOCK_KEY" }}
quirks.has_user = true
[providers.mock-nobody]
dialect = "chat"
base_url = "{url}/nobody/v1"
api_key = {{ env = "MOCK_KEY" }}
[providers.mock-drawn]
dialect = "images"
base_url = "{url}/drawn/v1"
api_key = {{ env = "MOCK_KEY" }}
quirks.has_user = true
[providers.anthropic]
base_url = "{url}/anthropic/v1"
api_key = {{ env = "MOCK_KEY" }}
"""
"""What decides whether a provider is told of the client's user; Anthropic's row is the shipped one."""


@pytest.fixture(scope="module")
def dialects(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a model `mock/<dialect>` for each of `DIALECTS`, and `mock/<provider>` for those of `TELLERS`."""
    config = CONFIG
    for dialect in DIALECTS:
        config += PROVIDER.format(name=f"mock-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        config += ENDPOINT.format(provider=f"mock-{dialect}", model=f"mock/{dialect}")
        config += 'output_modalities = ["image"]\n'
    config += TELLERS.format(url=upstream.url)
    for name in ("mock-user", "mock-nobody", "anthropic", "mock-drawn"):
        config += ENDPOINT.format(provider=name, model=f"mock/{name}")
    config += 'output_modalities = ["image"]\n'
    with running(tmp_path_factory.mktemp("dialects"), config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


@pytest.mark.parametrize("dialect", DIALECTS)
def test_D1_a_deep_answer_is_the_providers_fault(
    dialect: str, dialects: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, whole(DEEP))
    for streams in (False, True):
        reply = dialects.call(ask(f"mock/{dialect}", nonce, stream=streams, modalities=["image"]))
        error = error_of(reply, 502)
        assert error["metadata"]["attempts"][0]["provider"] == f"mock-{dialect}"


MESSAGE = {
    "id": "msg_up",
    "type": "message",
    "role": "assistant",
    "model": "gpt-x",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 7, "output_tokens": 3},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class TestEndUser:
    """D2: who the client's user is, is told hashed where there is a place, and named as dropped where there is none."""

    @pytest.mark.parametrize("field", ["user", "safety_identifier"])
    @pytest.mark.parametrize(
        ("name", "answer", "place"),
        [
            ("mock-user", completion(), ("user",)),
            ("anthropic", MESSAGE, ("metadata", "user_id")),
            ("mock-drawn", {"data": [{"b64_json": PIXEL}]}, ("user",)),
        ],
        ids=["chat with has_user", "messages, as shipped", "images with has_user"],
    )
    def test_D2_it_is_told_hashed(
        self,
        name: str,
        answer: Any,
        place: tuple[str, ...],
        field: str,
        dialects: Gateway,
        upstream: Upstream,
        nonce: str,
    ) -> None:
        upstream.play(nonce, whole(answer))
        for asked in ("alice", "alice", "bob"):
            reply = dialects.call(ask(f"mock/{name}", nonce, **{field: asked}))
            assert reply.status == 200, reply.body
            assert "x-trunkline-dropped" not in reply.headers
        told = [seen.json for seen in upstream.seen(nonce)]
        for step in place:
            told = [body[step] for body in told]
        assert told[0] == told[1] != told[2]
        assert all(re.fullmatch("[0-9a-f]{64}", user) for user in told)

    def test_D2_it_is_named_where_it_is_not_told(self, dialects: Gateway, upstream: Upstream, nonce: str) -> None:
        reply = dialects.call(ask("mock/mock-nobody", nonce, user="alice", safety_identifier="bob"))
        assert reply.status == 200
        assert reply.headers["x-trunkline-dropped"] == "safety_identifier, user"
        (seen,) = upstream.seen(nonce)
        assert not {"user", "safety_identifier"} & seen.json.keys()
