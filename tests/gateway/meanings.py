"""One meaning in the words of each API, and an answer read by each API's own document, in words of none.

It asserts nothing but the form of an answer, and uses no code of the gateway.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.gateway.doors import frames
from tests.gateway.server import Reply

Json = Any
Reason = Literal["stop", "calls", "length", "content_filter"]


@dataclass(frozen=True)
class Document:
    """A file that is sent along."""

    name: str
    media_type: str
    content: bytes

    @property
    def base64(self) -> str:
        return base64.b64encode(self.content).decode()

    @property
    def link(self) -> str:
        return f"data:{self.media_type};base64,{self.base64}"


@dataclass(frozen=True)
class Tool:
    """A function of the client's."""

    name: str
    schema: Json = field(default_factory=lambda: {"type": "object", "properties": {}})


@dataclass(frozen=True)
class Meaning:
    """What a client wants. A `limit` of None is none, where an API does not demand one; `beside` all spell alike."""

    model: str
    text: str
    streams: bool = False
    limit: int | None = 1_000
    schema: Json = None
    document: Document | None = None
    searches: bool = False
    tool: Tool | None = None
    user: str = ""
    beside: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Heard:
    """What a client reads of an answer: its name, why it ended, what it used, which pages were cited and found."""

    id: str
    text: str
    stop: Reason
    read: int
    written: int
    cost: float | None
    is_byok: bool | None
    cited: tuple[str, ...]
    found: tuple[str, ...] | None
    calls: tuple[str, ...]
    arguments: tuple[Json, ...] = ()


@dataclass(frozen=True)
class Problem:
    """What a client reads of an error: how it is called, what is said, and all that is said beside that."""

    kind: str
    message: str
    more: Json


@dataclass(frozen=True)
class Way:
    """An API: how a meaning is written, a whole answer read, a stream folded into one, and an error read."""

    name: str
    path: str
    prefix: str
    write: Callable[[Meaning], Json]
    read: Callable[[Json], Heard]
    fold: Callable[[Reply], Json]
    complain: Callable[[Json], Problem]
    answer: Callable[[Json, str], list[Json]]

    def body(self, meaning: Meaning) -> Json:
        return {"model": meaning.model, "stream": meaning.streams, **self.write(meaning), **meaning.beside}

    def heard(self, reply: Reply) -> Heard:
        assert reply.status == 200, (reply.status, reply.body[:700])
        is_whole = reply.headers["content-type"] == "application/json"
        return self.read(reply.json if is_whole else self.fold(reply))

    def go_on(self, body: Json, reply: Reply, result: str) -> Json:
        """The body of the next request, once the client has run what was called."""
        is_whole = reply.headers["content-type"] == "application/json"
        told = reply.json if is_whole else self.fold(reply)
        history = "input" if self.name == "responses" else "messages"
        before = body[history]
        if isinstance(before, str):
            before = [{"role": "user", "content": before}]
        return {**body, "stream": False, history: [*before, *self.answer(told, result)]}

    def problem(self, reply: Reply, status: int) -> Problem:
        assert reply.status == status, (reply.status, reply.body[:700])
        return self.complain(reply.json)


# Responses


def _write_responses(meaning: Meaning) -> Json:
    body: Json = {"input": meaning.text, **({"user": meaning.user} if meaning.user else {})}
    if meaning.limit is not None:
        body["max_output_tokens"] = meaning.limit
    if meaning.document is not None:
        file = {"type": "input_file", "filename": meaning.document.name, "file_data": meaning.document.link}
        body["input"] = [{"role": "user", "content": [{"type": "input_text", "text": meaning.text}, file]}]
    if meaning.schema is not None:
        body["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": meaning.schema, "strict": True}}
    tools: list[Json] = [{"type": "web_search"}] if meaning.searches else []
    if meaning.tool is not None:
        tools.append({"type": "function", "name": meaning.tool.name, "parameters": meaning.tool.schema})
    return {**body, "tools": tools} if tools else body


def _read_responses(body: Json) -> Heard:
    parts = [part for item in body["output"] if item["type"] == "message" for part in item["content"]]
    calls = tuple(item["name"] for item in body["output"] if item["type"] == "function_call")
    usage = body["usage"]
    reasons: dict[str, Reason] = {"max_output_tokens": "length", "content_filter": "content_filter"}
    is_whole = body["status"] == "completed"
    return Heard(
        id=body["id"],
        text="".join(part["text"] for part in parts),
        stop=("calls" if calls else "stop") if is_whole else reasons[body["incomplete_details"]["reason"]],
        read=usage["input_tokens"],
        written=usage["output_tokens"],
        cost=usage["cost"],
        is_byok=usage["is_byok"],
        cited=tuple(note["url"] for part in parts for note in part["annotations"]),
        found=None,
        calls=calls,
        arguments=tuple(json.loads(each["arguments"]) for each in body["output"] if each["type"] == "function_call"),
    )


def _fold_responses(reply: Reply) -> Json:
    return reply.events[-1]["response"]


def _answer_responses(told: Json, result: str) -> list[Json]:
    calls = [item for item in told["output"] if item["type"] == "function_call"]
    results = [{"type": "function_call_output", "call_id": call["call_id"], "output": result} for call in calls]
    return [*told["output"], *results]


def _complain_responses(body: Json) -> Problem:
    error = body["error"]
    return Problem(str(error["code"]), error["message"], error.get("metadata", {}))


# Chat Completions


def _write_chat(meaning: Meaning) -> Json:
    content: Json = meaning.text
    if meaning.document is not None:
        file = {"filename": meaning.document.name, "file_data": meaning.document.link}
        content = [{"type": "text", "text": meaning.text}, {"type": "file", "file": file}]
    body: Json = {"messages": [{"role": "user", "content": content}]}
    if meaning.user:
        body["user"] = meaning.user
    if meaning.limit is not None:
        body["max_tokens"] = meaning.limit
    if meaning.schema is not None:
        form = {"name": "answer", "schema": meaning.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    if meaning.searches:
        body["web_search_options"] = {}
    if meaning.tool is not None:
        function = {"name": meaning.tool.name, "parameters": meaning.tool.schema}
        body["tools"] = [{"type": "function", "function": function}]
    return body


def _read_chat(body: Json) -> Heard:
    (choice,) = body["choices"]
    message, usage = choice["message"], body["usage"]
    reasons: dict[str, Reason] = {"tool_calls": "calls"}
    return Heard(
        id=body["id"],
        text=message["content"] or "",
        stop=reasons.get(choice["finish_reason"], choice["finish_reason"]),
        read=usage["prompt_tokens"],
        written=usage["completion_tokens"],
        cost=usage["cost"],
        is_byok=usage["is_byok"],
        cited=tuple(note["url_citation"]["url"] for note in message.get("annotations") or ()),
        found=None,
        calls=tuple(call["function"]["name"] for call in message.get("tool_calls") or ()),
        arguments=tuple(json.loads(call["function"]["arguments"]) for call in message.get("tool_calls") or ()),
    )


def _fold_chat(reply: Reply) -> Json:
    message: Json = {"role": "assistant", "content": "", "annotations": [], "reasoning_details": [], "tool_calls": []}
    id, reason, usage = "", None, None
    for chunk in frames(reply):
        assert "error" not in chunk, chunk
        id, usage = chunk["id"], chunk.get("usage") or usage
        for choice in chunk["choices"]:
            delta, reason = choice["delta"], choice["finish_reason"] or reason
            message["content"] += delta.get("content") or ""
            for name in ("annotations", "reasoning_details"):
                message[name] += delta.get(name) or ()
            for call in delta.get("tool_calls") or ():
                if "id" in call:
                    message["tool_calls"].append(call)
                else:
                    message["tool_calls"][call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    message = {name: value for name, value in message.items() if value != []}
    return {"id": id, "choices": [{"message": message, "finish_reason": reason}], "usage": usage}


def _answer_chat(told: Json, result: str) -> list[Json]:
    message = told["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": result} for call in message["tool_calls"]]
    return [message, *results]


def _complain_chat(body: Json) -> Problem:
    error = body["error"]
    assert {"message", "type", "param", "code"} <= set(error), error
    return Problem(error["type"], error["message"], error.get("metadata", {}))


# Messages


def _write_messages(meaning: Meaning) -> Json:
    content: Json = meaning.text
    if (document := meaning.document) is not None:
        source = {"type": "base64", "media_type": document.media_type, "data": document.base64}
        content = [
            {"type": "text", "text": meaning.text},
            {"type": "document", "source": source, "title": document.name},
        ]
    body: Json = {"messages": [{"role": "user", "content": content}], "max_tokens": meaning.limit or 32_000}
    if meaning.user:
        body["metadata"] = {"user_id": meaning.user}
    if meaning.schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": meaning.schema}}
    tools: list[Json] = [{"type": "web_search_20250305", "name": "web_search"}] if meaning.searches else []
    if meaning.tool is not None:
        tools.append({"name": meaning.tool.name, "input_schema": meaning.tool.schema})
    return {**body, "tools": tools} if tools else body


def _read_messages(body: Json) -> Heard:
    assert (body["type"], body["role"]) == ("message", "assistant"), body
    blocks, usage = body["content"], body["usage"]
    texts = [block for block in blocks if block["type"] == "text"]
    results = [block["content"] for block in blocks if block["type"] == "web_search_tool_result"]
    reasons: dict[str, Reason] = {
        "end_turn": "stop",
        "tool_use": "calls",
        "max_tokens": "length",
        "refusal": "content_filter",
    }
    return Heard(
        id=body["id"],
        text="".join(block["text"] for block in texts),
        stop=reasons[body["stop_reason"]],
        read=usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"],
        written=usage["output_tokens"],
        cost=usage["cost"],
        is_byok=None,
        cited=tuple(note["url"] for block in texts for note in block.get("citations") or ()),
        found=tuple(page["url"] for result in results for page in result) if results else None,
        calls=tuple(block["name"] for block in blocks if block["type"] == "tool_use"),
        arguments=tuple(block["input"] for block in blocks if block["type"] == "tool_use"),
    )


def _fold_messages(reply: Reply) -> Json:
    message: Json = {}
    said = ""
    for event in frames(reply):
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append(dict(event["content_block"]))
                said = ""
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "citations_delta":
                        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
                    case "input_json_delta":
                        said += delta["partial_json"]
            case "content_block_stop" if said:
                message["content"][event["index"]]["input"] = json.loads(said)
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
            case "error":
                raise AssertionError(event)
    return message


def _answer_messages(told: Json, result: str) -> list[Json]:
    calls = [block for block in told["content"] if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": result} for call in calls]
    return [{"role": "assistant", "content": told["content"]}, {"role": "user", "content": results}]


def _complain_messages(body: Json) -> Problem:
    assert body["type"] == "error", body
    error = body["error"]
    return Problem(error["type"], error["message"], error.get("details", {}))


RESPONSES = Way(
    "responses",
    "/api/v1/responses",
    "resp_",
    _write_responses,
    _read_responses,
    _fold_responses,
    _complain_responses,
    _answer_responses,
)
CHAT = Way(
    "chat", "/api/v1/chat/completions", "gen-", _write_chat, _read_chat, _fold_chat, _complain_chat, _answer_chat
)
MESSAGES = Way(
    "messages",
    "/api/v1/messages",
    "msg_",
    _write_messages,
    _read_messages,
    _fold_messages,
    _complain_messages,
    _answer_messages,
)
WAYS = (RESPONSES, CHAT, MESSAGES)
