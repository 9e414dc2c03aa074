"""What only Anthropic's own servers know, through the door of Messages: to them as it came and back again.

A model at Anthropic's own, one at another Messages server, one at a chat server, and one at all three.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.doors import frames
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.test_quirks import CONFIG
from tests.gateway.upstream import Script, Upstream, completion, head, whole

CONTAINER = {"id": "container_1", "expires_at": "2026-11-28T10:00:00Z", "skills": None}
EDITED = {"applied_edits": [{"type": "clear_tool_uses_20250919", "cleared_tool_uses": 1, "cleared_input_tokens": 9}]}
USE = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "code_execution", "input": {"code": "1"}}
GAVE = {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": {"stdout": "1"}}
CALL = {
    "type": "tool_use",
    "id": "toolu_1",
    "name": "bash",
    "input": {"command": "ls"},
    "caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"},
}
BLOCKS: list[Any] = [{"type": "text", "text": "I run."}, USE, GAVE, CALL]
TOOLS = [
    {"type": "code_execution_20260120", "name": "code_execution"},
    {"type": "bash_20250124", "name": "bash"},
    {"name": "f", "input_schema": {"type": "object", "properties": {}}, "defer_loading": True},
]
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "x",
    "content": BLOCKS,
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 3},
    "container": CONTAINER,
    "context_management": EDITED,
}
HELLO = {**ANSWER, "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG
    places = {"own": "messages", "compatible": "messages", "chat": "chat"}
    for name, dialect in places.items():
        config += PROVIDER.format(name=f"at-{name}", dialect=dialect, url=f"{upstream.url}/{name}/v1")
        config += "quirks.has_anthropic_members = true\n" if name == "own" else ""
    for name in places:
        for model in (name, "all"):
            config += ENDPOINT.format(provider=f"at-{name}", model=f"own/{model}") + 'prompt_caching = "off"\n'
    with running(tmp_path_factory.mktemp("own"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def asked(gateway: Gateway, model: str, nonce: str, **members: Any) -> Reply:
    body = {
        "model": f"own/{model}",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "x-anthropic-billing-header: cc"}, {"type": "text", "text": nonce}],
        "messages": [{"role": "user", "content": "Hi"}],
        **members,
    }
    return gateway.call(body, path="/api/v1/messages", **{"anthropic-beta": "a-2026-01-01,b-2026-01-01"})


def streamed() -> Script:
    """The same answer as a stream."""
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**ANSWER, "content": [], "context_management": None}}
    ]
    for index, block in enumerate(BLOCKS):
        begun = {**block, "input": {}} if "input" in block else block
        events.append({"type": "content_block_start", "index": index, "content_block": begun})
        if "input" in block:
            piece = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            events.append({"type": "content_block_delta", "index": index, "delta": piece})
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": "tool_use", "stop_sequence": None, "container": CONTAINER}
    events.append({"type": "message_delta", "delta": delta, "context_management": EDITED, "usage": ANSWER["usage"]})
    events.append({"type": "message_stop"})
    frames = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    return Script([head(200, "text/event-stream"), *frames])


def folded(reply: Reply) -> dict[str, Any]:
    """A stream as the message that it tells."""
    message: dict[str, Any] = {}
    said: dict[int, str] = {}
    for event in frames(reply):
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append(event["content_block"])
            case "content_block_delta" if event["delta"]["type"] == "text_delta":
                message["content"][event["index"]]["text"] += event["delta"]["text"]
            case "content_block_delta":
                said[event["index"]] = said.get(event["index"], "") + event["delta"]["partial_json"]
            case "message_delta":
                message |= event["delta"] | {"context_management": event.get("context_management")}
    for index, text in said.items():
        message["content"][index]["input"] = json.loads(text)
    return message


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
def test_all_of_it_goes_to_anthropic_and_comes_back(
    is_stream: bool, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, streamed() if is_stream else whole(ANSWER), whole(HELLO))
    members: dict[str, Any] = {"tools": TOOLS, "context_management": {"edits": []}}
    reply = asked(gateway, "all", nonce, stream=is_stream, **members)
    assert reply.status == 200, reply.body
    message = folded(reply) if is_stream else reply.json
    assert (message["content"], message["stop_reason"]) == (BLOCKS, "tool_use")
    assert (message["container"], message["context_management"]) == (CONTAINER, EDITED)

    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a b"}]},
    ]
    assert asked(gateway, "all", nonce, messages=turns, container="container_1", **members).status == 200
    first, second = upstream.seen(nonce)
    assert {seen.path.split("/")[1] for seen in (first, second)} == {"own"}
    assert first.headers["anthropic-beta"] == "a-2026-01-01,b-2026-01-01"
    # Functions stand before what Anthropic defines.
    assert first.json["tools"] == [TOOLS[2], *TOOLS[:2]]
    assert first.json["context_management"] == {"edits": []}
    assert [block["text"] for block in first.json["system"]] == ["x-anthropic-billing-header: cc", nonce]
    assert second.json["container"] == "container_1"
    assert second.json["messages"][1]["content"] == BLOCKS


@pytest.mark.parametrize("place", ["compatible", "chat"])
def test_others_are_told_none_of_it(place: str, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    upstream.play(nonce, whole(completion() if place == "chat" else HELLO))
    reply = asked(gateway, place, nonce, tools=TOOLS[1:], context_management={"edits": []}, speed="fast")
    assert reply.status == 200, reply.body
    dropped = reply.headers["x-trunkline-dropped"].split(", ")
    assert set(dropped) >= {"betas", "context_management", "speed", "tools.defer_loading"}
    (seen,) = upstream.seen(nonce)
    assert "anthropic-beta" not in seen.headers
    assert not {"context_management", "speed"} & seen.json.keys()
    assert "billing" not in json.dumps(seen.json)
    names = [tool["function"]["name"] if place == "chat" else tool["name"] for tool in seen.json["tools"]]
    assert names == ["bash", "f"]
    assert all("type" not in tool or tool["type"] == "function" for tool in seen.json["tools"])


@pytest.mark.parametrize("place", ["compatible", "chat"])
@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
        ({"tools": TOOLS}, "code_execution_20260120"),
    ],
    ids=["a container", "servers", "a tool"],
)
def test_what_only_anthropic_can_do_is_a_400_that_names_it_elsewhere(
    place: str, members: dict[str, Any], named: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    reply = asked(gateway, place, nonce, **members)
    assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error")
    assert named in reply.json["error"]["message"]
    assert "only Anthropic's own servers" in reply.json["error"]["message"]
    assert not upstream.seen(nonce)


PAGE = {
    "type": "web_search_result",
    "url": "https://kites.example",
    "title": "Kites",
    "encrypted_content": "SEALED",
    "page_age": None,
}
SEARCH: list[Any] = [
    {"type": "server_tool_use", "id": "srvtoolu_2", "name": "web_search", "input": {"query": "kites"}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_2", "content": [PAGE]},
    {"type": "text", "text": "Kites fly."},
]


def test_a_search_of_anthropics_goes_back_to_them_with_what_is_sealed_of_it(
    gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2, "blocked_domains": ["b.example"]}]
    upstream.play(nonce, whole({**ANSWER, "content": SEARCH, "stop_reason": "end_turn"}), whole(HELLO))
    message = asked(gateway, "own", nonce, tools=tools).json
    assert [block["type"] for block in message["content"]] == [block["type"] for block in SEARCH]
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": "And boats?"},
    ]
    assert asked(gateway, "own", nonce, tools=tools, messages=turns).status == 200
    first, second = upstream.seen(nonce)
    assert first.json["tools"] == tools
    call, found, text = second.json["messages"][1]["content"]
    # The client was told the search under an id of this answer.
    assert (call, text) == ({**SEARCH[0], "id": call["id"]}, SEARCH[2])
    assert found == {**SEARCH[1], "tool_use_id": call["id"]}
