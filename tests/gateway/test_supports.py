"""What an operator says that an endpoint can do and what it refuses, as the provider notices it in every dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.test_quirks import ANSWERS, CONFIG, TOOLS, at
from tests.gateway.upstream import Seen, Upstream, whole

COHERE = {
    "id": "c",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
    "finish_reason": "COMPLETE",
    "usage": {"tokens": {"input_tokens": 7, "output_tokens": 3}},
}
TOLD = {**ANSWERS, "cohere": COHERE, "mistral": ANSWERS["chat"]}

LIMITS: Mapping[str, tuple[str, ...]] = {
    "chat": ("max_tokens",),
    "mistral": ("max_tokens",),
    "cohere": ("max_tokens",),
    "messages": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "gemini": ("generationConfig", "maxOutputTokens"),
    "converse": ("inferenceConfig", "maxTokens"),
}
TEMPERATURES = {
    **dict.fromkeys(LIMITS, ("temperature",)),
    "gemini": ("generationConfig", "temperature"),
    "converse": ("inferenceConfig", "temperature"),
}
CHOICES: Mapping[str, tuple[tuple[str, ...], Any]] = {
    "chat": (("tool_choice",), "required"),
    "mistral": (("tool_choice",), "any"),
    "cohere": (("tool_choice",), "REQUIRED"),
    "messages": (("tool_choice", "type"), "any"),
    "responses": (("tool_choice",), "required"),
    "gemini": (("toolConfig", "functionCallingConfig", "mode"), "ANY"),
    "converse": (("toolConfig", "toolChoice", "any"), {}),
}


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Two endpoints for each dialect: `features/<dialect>` and `rejects/<dialect>`."""
    config = CONFIG
    for dialect in LIMITS:
        config += PROVIDER.format(name=f"wire-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        for name, line in (
            ("features", 'supports = ["tools", "structured_outputs", "reasoning", "image_input"]'),
            ("rejects", 'rejects = ["temperature"]'),
        ):
            config += ENDPOINT.format(provider=f"wire-{dialect}", model=f"{name}/{dialect}") + line + "\n"
    with running(tmp_path_factory.mktemp("supports"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def asked(
    gateway: Gateway, upstream: Upstream, nonce: str, model: str, dialect: str, **more: Any
) -> tuple[Seen, Reply]:
    upstream.play(nonce, whole(TOLD[dialect]))
    reply = gateway.call(json.dumps({"model": f"{model}/{dialect}", "input": nonce, **more}).encode())
    assert reply.status == 200, reply.body
    (seen,) = upstream.seen(nonce)
    return seen, reply


@pytest.mark.parametrize("dialect", LIMITS)
def test_naming_features_switches_off_no_plain_parameter(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    more = {"max_output_tokens": 99, "temperature": 0.5, "tool_choice": "required", **TOOLS}
    seen, reply = asked(gateway, upstream, nonce, "features", dialect, **more)
    assert at(seen.json, LIMITS[dialect]) == 99
    assert at(seen.json, TEMPERATURES[dialect]) == 0.5
    path, choice = CHOICES[dialect]
    assert at(seen.json, path) == choice
    assert "x-trunkline-dropped" not in reply.headers


@pytest.mark.parametrize("dialect", LIMITS)
def test_what_is_rejected_is_left_out_and_named(dialect: str, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    seen, reply = asked(gateway, upstream, nonce, "rejects", dialect, max_output_tokens=99, temperature=0.5)
    assert at(seen.json, TEMPERATURES[dialect]) is None
    assert at(seen.json, LIMITS[dialect]) == 99
    assert reply.headers["x-trunkline-dropped"] == "temperature"


FORMATS = {"messages": "anthropic-claude-v1", "gemini": "google-gemini-v1", "chat": "unknown"}
THOUGHTS = {
    "messages": TOLD["messages"],
    "gemini": {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [{"text": "Hm.", "thought": True, "thoughtSignature": "c2ln"}, {"text": "Hello."}],
                },
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3},
    },
    "chat": {
        **ANSWERS["chat"],
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello.", "reasoning_content": "Hm."},
            }
        ],
    },
}


@pytest.mark.parametrize("dialect", FORMATS)
def test_a_dialect_knows_the_format_of_its_thoughts(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, whole(THOUGHTS[dialect]))
    reply = gateway.call(json.dumps({"model": f"features/{dialect}", "input": nonce}).encode())
    thought = next(item for item in reply.json["output"] if item["type"] == "reasoning")
    assert thought.get("format", "unknown") == FORMATS[dialect]
