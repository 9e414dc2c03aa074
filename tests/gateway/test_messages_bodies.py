"""Bodies of Messages clients through the whole gateway: what a provider is sent of them, what a wrong one gets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.gateway.server import Gateway, Reply
from tests.gateway.upstream import Upstream

pytestmark = pytest.mark.usefixtures("no_socket_left")

PATHS = ("/api/v1/messages", "/v1/messages")
CLAUDE_CODE = {
    "max_tokens": 32_000,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197"},
        {"type": "text", "text": "You are a coder.", "cache_control": {"type": "ephemeral"}},
    ],
    "tools": [{"name": "Read", "description": "Reads.", "input_schema": {"type": "object", "properties": {}}}],
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": "s" * 36})},
}
"""What Claude Code 2.1.197 says, as it was seen on 2026-11-28, with a tool and a line of text in the place of many."""


def ask(gateway: Gateway, model: str, text: str, path: str = PATHS[0], **more: Any) -> Reply:
    conversation = [
        {"role": "user", "content": [{"type": "text", "text": text}]},
        {"role": "system", "content": "The date is known."},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "somebody's"},
                {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"at": 1.50, "b": 1}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "42"}]},
    ]
    return gateway.call({"model": model, "messages": conversation, **CLAUDE_CODE, **more}, path=path)


@pytest.mark.parametrize("path", PATHS)
def test_a_chat_server_is_sent_what_claude_code_says(
    path: str, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    reply = ask(gateway, model, nonce, path, num_ctx=4096)
    assert reply.status == 200, reply.body
    sent = upstream.last(nonce).json
    roles = [message["role"] for message in sent["messages"]]
    # The system message in the middle stays there; this server is not known to take one as such.
    assert roles == ["system", "user", "user", "assistant", "tool"]
    assert "billing" not in json.dumps(sent)
    assert sent["messages"][3]["tool_calls"][0]["function"]["arguments"] == '{"at": 1.5, "b": 1}'
    assert sent["tools"][0]["function"]["name"] == "Read"
    dropped = reply.headers["x-trunkline-dropped"].split(", ")
    assert {"num_ctx", "context_management"} <= {*dropped}


def test_an_answer_has_the_name_that_was_asked_for(gateway: Gateway, model: str, nonce: str) -> None:
    reply = ask(gateway, model, nonce)
    assert reply.json["model"] == model
    assert reply.json["content"][0]["text"] == "Hello."


@dataclass(frozen=True)
class Wrong:
    id: str
    body: bytes
    status: int
    kind: str
    words: str


def raw(member: str) -> bytes:
    return b'{"model": "fake/echo", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], ' + (
        member.encode() + b"}"
    )


WRONG = (
    Wrong("IN-01 cut off in the middle", b'{"model":"m","mess', 400, "invalid_request_error", "not valid JSON"),
    Wrong("IN-02 open brackets", b'{"messages":' + b"[" * 100_000, 400, "invalid_request_error", "deep"),
    Wrong("IN-05 a key twice", raw('"model": "dear"'), 400, "invalid_request_error", "twice"),
    Wrong("IN-10 a body too large", raw(f'"system": "{"x" * 2_000_000}"'), 413, "request_too_large", "2000000 bytes"),
    Wrong("IN-20 too warm", raw('"temperature": 1.01'), 400, "invalid_request_error", "temperature: must be"),
    Wrong(
        "IN-22 a million values", raw('"x": [' + "1," * 900_000 + "1]"), 400, "invalid_request_error", "too many values"
    ),
    Wrong(
        "a block of another API",
        raw('"x": 1').replace(b'"Hi"', b'[{"type": "input_text", "text": "a"}]'),
        400,
        "invalid_request_error",
        "messages.0.content.0.type: must be one of",
    ),
)


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.id)
def test_a_wrong_body_gets_one_error(case: Wrong, gateway: Gateway) -> None:
    reply = gateway.call(case.body, path=PATHS[0])
    assert (reply.status, reply.json["type"], reply.json["error"]["type"]) == (case.status, "error", case.kind)
    assert case.words in reply.json["error"]["message"]
    assert reply.json["request_id"] == reply.headers["request-id"]
