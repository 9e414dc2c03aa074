"""How many tokens an input has: what Anthropic and Google are asked, and what is read of what they say."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from anthropic.types.beta import message_count_tokens_params
from pydantic import TypeAdapter

from tests.adapters.spoken import CLAUDE
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect, Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks
from trunkline.faces.messages.parse import parse

Json = Any

ANTHROPICS = msgspec.structs.replace(CLAUDE, has_anthropic_members=True)
BODY = {
    "model": "m",
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "Hi"}],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    "stream": True,
    "temperature": 0.5,
    "stop_sequences": ["END"],
    "metadata": {"user_id": "u"},
}


def endpoint(dialect: Dialect, quirks: Quirks, base_url: str = "https://maker.example/v1") -> Endpoint:
    model, provider = Model(slug="maker/x"), Provider(slug="maker", name="Maker")
    return Endpoint(
        model=model, provider=provider, dialect=dialect, quirks=quirks, upstream_model="x", base_url=base_url
    )


def asked(at: Endpoint, **more: Json) -> Any:
    request = parse(json.dumps({**BODY, **more}).encode(), None, {}, needs_limit=False).request
    return ADAPTERS[at.dialect].encode_count(request, at)


def test_anthropic_is_asked_for_the_input_alone() -> None:
    question = asked(endpoint("messages", ANTHROPICS))
    assert question.url == "https://maker.example/v1/messages/count_tokens"
    sent = json.loads(question.body)
    TypeAdapter(message_count_tokens_params.MessageCountTokensParams).validate_python(sent)
    assert sorted(sent) == ["messages", "model", "system", "tools"]
    assert question.headers["accept"] == "application/json"


def test_anthropic_is_asked_with_what_else_is_counted() -> None:
    sent = json.loads(asked(endpoint("messages", ANTHROPICS), context_management={"edits": []}).body)
    assert sent["context_management"] == {"edits": []}


def test_google_is_asked_with_a_request_inside_of_another() -> None:
    question = asked(endpoint("gemini", Quirks()))
    assert question.url == "https://maker.example/v1/models/x:countTokens"
    (inside,) = json.loads(question.body).values()
    assert inside["model"] == "models/x"
    assert {"contents", "systemInstruction", "tools"} <= inside.keys()


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(endpoint("messages", CLAUDE), id="who follows Anthropic"),
        pytest.param(endpoint("gemini", Quirks(), "https://v.example/publishers/google/models"), id="Vertex"),
        pytest.param(endpoint("chat", Quirks()), id="chat"),
        pytest.param(endpoint("responses", Quirks()), id="Responses"),
    ],
)
def test_nobody_else_is_asked(at: Endpoint) -> None:
    assert asked(at) is None


@pytest.mark.parametrize(
    ("dialect", "body", "tokens"),
    [
        ("messages", b'{"input_tokens": 2095}', 2095),
        ("gemini", b'{"totalTokens": 31, "cachedContentTokenCount": 2}', 31),
        ("messages", b'{"input_tokens": "12"}', 12),
        ("messages", b'{"input_tokens": null}', None),
        ("messages", b"[]", None),
        ("gemini", b"<html>", None),
        ("chat", b'{"input_tokens": 1}', None),
    ],
)
def test_a_count_is_read(dialect: Dialect, body: bytes, tokens: int | None) -> None:
    assert ADAPTERS[dialect].decode_count(body) == tokens
