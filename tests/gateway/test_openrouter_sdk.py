"""The public `openrouter` client, unchanged: whole answers and streams."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openrouter import OpenRouter

from tests.gateway.server import KEY, Gateway
from tests.gateway.test_openai_sdk import RESPONSES_ANSWER, responses_stream
from tests.gateway.upstream import Upstream, stream, whole


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[OpenRouter]:
    with OpenRouter(api_key=KEY, server_url=gateway.url + "/api/v1") as sdk:
        yield sdk


MODELS = ["mock/chat", "fake/echo"]


@pytest.mark.parametrize("model", MODELS)
def test_a_whole_answer(client: OpenRouter, model: str) -> None:
    response = client.beta.responses.send(model=model, input="Hello.")
    assert response.status == "completed"
    assert "Hello." in (response.output_text or "")
    assert response.model_dump()["usage"]["cost"] is not None


@pytest.mark.parametrize("model", MODELS)
def test_a_stream(client: OpenRouter, model: str) -> None:
    with client.beta.responses.send(model=model, input="Hello.", stream=True) as events:
        seen = list(events)
    assert "".join(event.delta for event in seen if event.type == "response.output_text.delta").endswith("Hello.")
    assert seen[-1].type == "response.completed"


def test_a_responses_server(client: OpenRouter, upstream: Upstream, nonce: str) -> None:
    upstream.play(nonce, whole(RESPONSES_ANSWER), stream(responses_stream("Hello.")))
    assert client.beta.responses.send(model="mock/responses", input=nonce).output_text == "Hello."
    with client.beta.responses.send(model="mock/responses", input=nonce, stream=True) as events:
        assert [event.type for event in events][-1] == "response.completed"
