"""Bodies of Chat clients through the whole gateway: what a provider is sent of them, what a wrong one gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.faces.chat.chatting import call, calling, result
from tests.faces.chat.test_parse_faults import FAULTS, Fault
from tests.gateway.server import Gateway, Reply
from tests.gateway.upstream import Upstream, completion, whole

pytestmark = pytest.mark.usefixtures("no_socket_left")

PATHS = ("/api/v1/chat/completions", "/v1/chat/completions")


def ask(gateway: Gateway, model: str, messages: list[Any], path: str = PATHS[0], **more: Any) -> Reply:
    return gateway.call({"model": model, "messages": messages, **more}, path=path)


@pytest.mark.parametrize("path", PATHS)
def test_a_chat_server_is_sent_what_the_client_said(
    path: str, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    conversation = [
        {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": nonce},
        calling(call(), content="Let me see."),
        result(name="f"),
    ]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    reply = ask(
        gateway, model, conversation, path, tools=tools, tool_choice="auto", max_tokens=9, stop="END", num_ctx=1
    )
    assert reply.status == 200, reply.body
    sent = upstream.last(nonce).json
    assert sent["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": nonce},
        calling(call(), content="Let me see."),
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    assert sent["tools"][0]["function"]["name"] == "f"
    assert sent["stop"] == ["END"]
    assert reply.headers["x-trunkline-dropped"] == "num_ctx"


def test_the_older_form_goes_on_as_the_newer(gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
    conversation = [
        {"role": "user", "content": nonce},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "sunny"},
    ]
    reply = ask(gateway, model, conversation, functions=[{"name": "f", "parameters": {"type": "object"}}])
    assert reply.status == 200, reply.body
    sent = upstream.last(nonce).json
    (made,) = sent["messages"][1]["tool_calls"]
    assert made["function"] == {"name": "f", "arguments": "{}"}
    assert sent["messages"][2] == {"role": "tool", "tool_call_id": made["id"], "content": "sunny"}
    assert sent["tools"][0]["function"]["name"] == "f"


def test_who_offers_functions_is_told_a_call_of_one(
    gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    made = [call("c1", arguments='{"a":1}'), call("c2")]
    upstream.play(nonce, whole(completion(None, "tool_calls", tool_calls=made)))
    conversation = [{"role": "user", "content": nonce}]
    reply = ask(gateway, model, conversation, functions=[{"name": "f", "parameters": {"type": "object"}}])
    [choice] = reply.json["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert "tool_calls" not in choice["message"]
    assert upstream.last(nonce).json["parallel_tool_calls"] is False


@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.id) for fault in FAULTS])
def test_a_wrong_body_is_told_of_in_the_words_of_the_api(fault: Fault, gateway: Gateway) -> None:
    reply = gateway.call(fault.body, path=PATHS[0])
    error = json.loads(reply.body)["error"]
    assert (reply.status, error["type"]) == (400, "invalid_request_error")
    assert set(error) >= {"message", "type", "param", "code"}
    for word in fault.words:
        assert word in error["message"]
