"""What Open WebUI sends, as it is described: the list of models, a chat with a picture, a title, a user as an object.

It is too large to be run here. The bodies are made after a description of what it sends, of 2026-11-28: its own code
was not read for them, and none of them was recorded.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.gateway.server import KEY, Gateway, Reply
from tests.gateway.test_searches_and_citations import named
from tests.gateway.upstream import Script, Upstream, whole

PICTURE = "data:image/png;base64,iVBORw0KGgo="
PATH = "/api/v1/chat/completions"

SPOKEN: Script = named(
    ("message_start", {"message": {"id": "m", "role": "assistant", "content": [], "usage": {"input_tokens": 7}}}),
    ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
    ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "A "}}),
    ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "kite."}}),
    ("content_block_stop", {"index": 0}),
    ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}),
    ("message_stop", {}),
)


def chat(model: str, nonce: str, **more: Any) -> dict[str, Any]:
    """A chat that streams: its usage is always asked for, and its last message marked for a cache."""
    picture = {"type": "image_url", "image_url": {"url": PICTURE}}
    text = {"type": "text", "text": f"What is it? {nonce}", "cache_control": {"type": "ephemeral"}}
    return {
        "stream": True,
        "model": model,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello."},
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": [text, picture]},
        ],
        "temperature": 0.8,
        "stream_options": {"include_usage": True},
        **more,
    }


def chunks_of(reply: Reply) -> list[dict[str, Any]]:
    """The chunks of a stream as a client reads them: the lines of data, up to the mark of the end."""
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"].startswith("text/event-stream")
    *lines, last = [line for line in reply.body.decode().splitlines() if line.startswith("data: ")]
    assert last == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def said(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def test_the_list_of_models(gateway: Gateway) -> None:
    """Each needs an `id` and a name that is none or a text; with `pipeline` it would send the user as an object."""
    told = gateway.request("GET", "/api/v1/models", headers={"authorization": f"Bearer {KEY}"}).json
    assert "mock/messages" in [model["id"] for model in told["data"]]
    for model in told["data"]:
        assert isinstance(model["name"], str)
        assert "pipeline" not in model


def test_a_chat_with_a_picture_and_a_mark(
    gateway: Gateway, upstream: Upstream, messages_model: str, nonce: str
) -> None:
    upstream.play(nonce, SPOKEN)
    more = {"reasoning": {"effort": "low"}, "logit_bias": {"50256": -100}}
    reply = gateway.call(chat(messages_model, nonce, **more), path=PATH)
    chunks = chunks_of(reply)
    assert said(chunks) == "A kite."
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens"] == 7
    assert "logit_bias" in reply.headers["x-trunkline-dropped"]
    body = upstream.last(nonce).json
    text, picture = body["messages"][-1]["content"]
    assert text["cache_control"] == {"type": "ephemeral"}
    assert picture["source"]["data"] == PICTURE.partition(",")[2]


def test_a_title_which_is_asked_whole(gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
    asked = [{"role": "user", "content": f"### Task: a title as JSON. {nonce}"}]
    reply = gateway.call({"model": model, "messages": asked, "stream": False, "max_completion_tokens": 1000}, path=PATH)
    assert reply.status == 200, reply.body
    assert reply.json["choices"][0]["message"]["content"] == "Hello."
    assert upstream.last(nonce).json["messages"] == asked


USERS = {
    "an object, as with pipelines": {"name": "Ann", "id": "u-1", "email": "ann@home.example", "role": "user"},
    "a text": "u-1",
}


@pytest.mark.parametrize("user", USERS.values(), ids=USERS.keys())
def test_who_asks_is_told_apart_and_not_told_on(
    user: Any, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    reply = gateway.call(chat(model, nonce, user=user), path=PATH)
    assert said(chunks_of(reply)) == "Hello."
    sent = upstream.last(nonce).body
    assert b"u-1" not in sent
    assert b"ann@home.example" not in sent


def test_a_refusal_is_said_in_its_words(gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
    """It shows `error.message`, or `detail`."""
    upstream.play(nonce, whole({"error": {"message": "Too hot."}}, 400))
    reply = gateway.call(chat(model, nonce), path=PATH)
    assert reply.status == 400
    assert "Too hot." in reply.json["error"]["message"]
