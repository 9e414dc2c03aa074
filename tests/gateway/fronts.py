"""The three APIs as tests of faults use them: a question, an error and an answer, each held to its API's own document.

Of an answer only what every fault is about is read: its text, how it ended, and what was said of that. It knows nothing
of the faces; the documents are read in `tests/document.py` and `tests/faces/`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from tests.faces.chat import grammar as chat
from tests.faces.messages import grammar as messages
from tests.gateway.checks import ask, error_of, events_of, response_of, text_of
from tests.gateway.server import Reply

Json = Any
Ending = Literal["completed", "incomplete", "failed"]


@dataclass(frozen=True)
class Heard:
    """An answer; `error` is what a stream broke off with."""

    text: str
    ending: Ending
    error: str = ""


@dataclass(frozen=True)
class Front:
    """An API. `limit` is its member for the length of an answer, `user` the body that names a user.

    `delta` is in the frame of each text, and nowhere else, `keep_alive` is the frame that says nothing.
    """

    name: str
    path: str
    limit: str
    delta: bytes
    keep_alive: bytes
    body: Callable[..., Json]
    user: Callable[[Json], Json]
    refused: Callable[[Reply, int], str]
    heard: Callable[[Reply], Heard]


# Responses


def _heard_response(reply: Reply) -> Heard:
    if reply.headers["content-type"] == "application/json":
        response = response_of(reply, reply.json["status"])
        text = response["output_text"]
    else:
        ending = read_last_type(reply).removeprefix("response.")
        events = events_of(reply, ending)
        response, text = events[-1]["response"], text_of(events)
    error = response["error"] or {"message": ""}
    return Heard(text, response["status"], error["message"])


def read_last_type(reply: Reply) -> str:
    """The type of the last event."""
    last: str = reply.events[-1]["type"]
    return last


def _refused_response(reply: Reply, status: int) -> str:
    message: str = error_of(reply, status)["message"]
    return message


# Chat Completions


def _ask_chat(model: str, text: str = "Say hello.", **more: Any) -> Json:
    usage = {"stream_options": {"include_usage": True}} if more.get("stream") else {}
    return {"model": model, "messages": [{"role": "user", "content": text}], **usage, **more}


_CHAT_WORDS: Mapping[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("authentication_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("permission_error", None),
    404: ("invalid_request_error", "model_not_found"),
    405: ("invalid_request_error", None),
    408: ("timeout", None),
    409: ("invalid_request_error", None),
    413: ("invalid_request_error", None),
    422: ("invalid_request_error", None),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    500: ("server_error", None),
    502: ("server_error", None),
    503: ("server_error", "overloaded"),
    524: ("timeout", None),
    529: ("server_error", "overloaded"),
}


def _refused_chat(reply: Reply, status: int) -> str:
    assert reply.status == status, (reply.status, reply.body[:500])
    assert reply.headers["content-type"] == "application/json"
    assert reply.json.keys() - {"user_id"} == {"error"}
    error = reply.json["error"]
    chat.check_error(error)
    assert (error["type"], error["code"]) in (_CHAT_WORDS[status], ("invalid_request_error", "context_length_exceeded"))
    assert error["metadata"]["status"] == status
    _check_head(reply, status)
    message: str = error["message"]
    return message


def _heard_chat(reply: Reply) -> Heard:
    if reply.headers["content-type"] == "application/json":
        assert reply.status == 200, reply.body[:500]
        chat.check_completion(reply.json)
        [choice] = reply.json["choices"]
        return Heard(choice["message"]["content"] or "", _ending(choice["finish_reason"] in chat.CUTS))
    _check_stream_head(reply)
    chunks = chat.read_chunks(reply.body.replace(b": keep-alive\n\n", b""))
    chat.check_chunks(chunks, asks_usage="error" not in chunks[-1])
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    if "error" in chunks[-1]:
        return Heard(text, "failed", chunks[-1]["error"]["message"])
    return Heard(text, _ending(choices[-1]["finish_reason"] in chat.CUTS))


# Messages


def _ask_messages(model: str, text: str = "Say hello.", **more: Any) -> Json:
    turns = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    return {"model": model, "max_tokens": 32_000, "messages": turns, **more}


_MESSAGES_WORDS: Mapping[int, tuple[int, str]] = {
    400: (400, "invalid_request_error"),
    401: (401, "authentication_error"),
    402: (402, "billing_error"),
    403: (403, "permission_error"),
    404: (404, "not_found_error"),
    405: (405, "invalid_request_error"),
    408: (504, "timeout_error"),
    409: (409, "invalid_request_error"),
    413: (413, "request_too_large"),
    422: (400, "invalid_request_error"),
    429: (429, "rate_limit_error"),
    500: (500, "api_error"),
    502: (502, "api_error"),
    503: (529, "overloaded_error"),
    524: (504, "timeout_error"),
    529: (529, "overloaded_error"),
}


def _refused_messages(reply: Reply, status: int) -> str:
    told, kind = _MESSAGES_WORDS[status]
    assert reply.status == told, (reply.status, reply.body[:500])
    assert reply.headers["content-type"] == "application/json"
    assert reply.json.keys() == {"type", "error", "request_id"}
    error = reply.json["error"]
    assert error.keys() - {"details"} == {"type", "message"}
    assert (reply.json["type"], error["type"]) == ("error", kind)
    assert reply.json["request_id"] == reply.headers["request-id"] == reply.headers["x-request-id"]
    _check_head(reply, status)
    message: str = error["message"]
    return message


def _heard_messages(reply: Reply) -> Heard:
    assert reply.headers["request-id"] == reply.headers["x-request-id"]
    if reply.headers["content-type"] == "application/json":
        assert reply.status == 200, reply.body[:500]
        messages.check_message(reply.json)
        text = "".join(block.get("text", "") for block in reply.json["content"])
        return Heard(text, _ending(reply.json["stop_reason"] in ("max_tokens", "refusal")))
    _check_stream_head(reply)
    events = messages.read_stream(reply.body)
    messages.check_stream(events)
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    text = "".join(delta["text"] for delta in deltas if delta["type"] == "text_delta")
    if events[-1]["type"] == "error":
        return Heard(text, "failed", events[-1]["error"]["message"])
    return Heard(text, _ending(events[-2]["delta"]["stop_reason"] in ("max_tokens", "refusal")))


# All


LASTING = frozenset({400, 401, 402, 403, 404, 405, 413, 422})
"""What fails again: a client is told not to try."""


def _check_head(reply: Reply, status: int) -> None:
    assert reply.headers["x-request-id"].startswith("req_")
    assert (reply.headers.get("x-should-retry") == "false") or status not in LASTING
    assert "x-should-retry" not in reply.headers or status in LASTING | {409, 429}
    assert ("www-authenticate" in reply.headers) == (status == 401)


def _check_stream_head(reply: Reply) -> None:
    assert reply.status == 200, (reply.status, reply.body[:500])
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["cache-control"] == "no-cache, no-transform"


def _ending(is_cut: bool) -> Ending:
    return "incomplete" if is_cut else "completed"


RESPONSES = Front(
    "responses",
    "/api/v1/responses",
    "max_output_tokens",
    b"event: response.output_text.delta\n",
    b": keep-alive\n\n",
    ask,
    lambda user: {"user": user},
    _refused_response,
    _heard_response,
)
CHAT = Front(
    "chat",
    "/api/v1/chat/completions",
    "max_tokens",
    b'"delta":{"content":',
    b": keep-alive\n\n",
    _ask_chat,
    lambda user: {"user": user},
    _refused_chat,
    _heard_chat,
)
MESSAGES = Front(
    "messages",
    "/api/v1/messages",
    "max_tokens",
    b"event: content_block_delta\n",
    b'event: ping\ndata: {"type": "ping"}\n\n',
    _ask_messages,
    lambda user: {"metadata": {"user_id": user}},
    _refused_messages,
    _heard_messages,
)
OTHERS = (CHAT, MESSAGES)
FRONTS = (RESPONSES, *OTHERS)

at_all = pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)
at_others = pytest.mark.parametrize("front", OTHERS, ids=lambda front: front.name)


def written(value: Json) -> bytes:
    """A body as bytes."""
    return json.dumps(value).encode()
