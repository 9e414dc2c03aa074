"""One call of a tool in each dialect, as it comes piece by piece, so that tests can cut it anywhere.

It asserts nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.stream.test_aws_events import event

ARGUMENTS = '{"city":"Paris \\"{}\\"","a":[{}]}'
HALF = ARGUMENTS[: len(ARGUMENTS) // 2]
USED = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


@dataclass(frozen=True)
class Calling:
    """An answer that calls a tool, in pieces of a stream.

    `before` ends with the call's beginning, `pieces` are its arguments one character each, `closed` says that it is
    over; `limit` ends the answer at its limit, as that dialect says it. `body` is such an answer whole, with the half
    of a call that a provider of the dialect shows then.
    """

    media: str
    before: bytes
    pieces: list[bytes]
    closed: bytes
    limit: bytes
    body: Any

    def cut(self, pieces: int) -> bytes:
        """The stream up to so many pieces of the arguments."""
        return self.before + b"".join(self.pieces[:pieces])

    def limited(self, pieces: int) -> bytes:
        return self.cut(pieces) + self.closed + self.limit

    @property
    def content_type(self) -> str:
        return "application/vnd.amazon.eventstream" if self.media == ".bin" else "text/event-stream"


def _sse(*messages: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(message).encode() + b"\n\n" for message in messages)


def _named(*messages: dict[str, Any]) -> bytes:
    return b"".join(b"event: " + each["type"].encode() + b"\n" + _sse(each) for each in messages)


def _chat() -> Calling:
    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        return _sse({"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})

    def piece(arguments: str, **more: Any) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "function": {"arguments": arguments, **more.pop("named", {})}, **more}]}

    call = {"id": "abcdefghi", "type": "function", "function": {"name": "weather", "arguments": HALF}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return Calling(
        ".sse",
        chunk(piece("", id="abcdefghi", named={"name": "weather"})),
        [chunk(piece(each)) for each in ARGUMENTS],
        b"",
        chunk({}, "length", usage=USED) + b"data: [DONE]\n\n",
        {"id": "c1", "choices": [{"index": 0, "finish_reason": "length", "message": message}], "usage": USED},
    )


def _responses() -> Calling:
    place = {"item_id": "fc_up", "output_index": 0}
    item = {"type": "function_call", "id": "fc_up", "call_id": "call_1", "name": "weather", "arguments": ""}
    half = {**item, "arguments": HALF, "status": "incomplete"}
    ended = {
        "id": "resp_up",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [half],
        "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
    }
    name = "response.function_call_arguments"
    return Calling(
        ".sse",
        _named({"type": "response.output_item.added", "output_index": 0, "item": {**item, "status": "in_progress"}}),
        [_named({"type": f"{name}.delta", **place, "delta": each}) for each in ARGUMENTS],
        _named(
            {"type": f"{name}.done", **place, "arguments": HALF},
            {"type": "response.output_item.done", "output_index": 0, "item": half},
        ),
        _named({"type": "response.incomplete", "response": ended}),
        ended,
    )


def _messages() -> Calling:
    block = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
    start = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 7}}
    delta = {"type": "content_block_delta", "index": 0}
    return Calling(
        ".sse",
        _named(
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": block},
        ),
        [_named({**delta, "delta": {"type": "input_json_delta", "partial_json": each}}) for each in ARGUMENTS],
        _named({"type": "content_block_stop", "index": 0}),
        _named(
            {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 3}},
            {"type": "message_stop"},
        ),
        # The half as the provider's own servers complete it.
        {**start, "content": [{**block, "input": {"city": "Paris"}}], "stop_reason": "max_tokens"},
    )


def _gemini() -> Calling:
    """Its calls come whole; what one looks like that ran into the limit, nobody documents."""
    part = {"functionCall": {"name": "weather", "args": {"city": "Paris"}}}
    content = {"content": {"role": "model", "parts": [part]}}
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 3}
    told = _sse({"candidates": [content]})
    return Calling(
        ".sse",
        b"",
        [told[at : at + 1] for at in range(len(told) - 3)],
        told[-3:],
        _sse({"candidates": [{"finishReason": "MAX_TOKENS"}], "usageMetadata": usage}),
        {"candidates": [{**content, "finishReason": "MAX_TOKENS"}], "usageMetadata": usage},
    )


def _converse() -> Calling:
    def said(name: str, **fields: Any) -> bytes:
        return event(name, json.dumps(fields).encode())

    tool = {"toolUseId": "tooluse_1", "name": "weather"}
    usage = {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10}
    message = {"role": "assistant", "content": [{"toolUse": {**tool, "input": {"city": "Paris"}}}]}
    return Calling(
        ".bin",
        said("messageStart", role="assistant")
        + said("contentBlockStart", contentBlockIndex=0, start={"toolUse": tool}),
        [said("contentBlockDelta", contentBlockIndex=0, delta={"toolUse": {"input": each}}) for each in ARGUMENTS],
        said("contentBlockStop", contentBlockIndex=0),
        said("messageStop", stopReason="max_tokens") + said("metadata", usage=usage),
        {"output": {"message": message}, "stopReason": "max_tokens", "usage": usage},
    )


def _cohere() -> Calling:
    def said(kind: str, **fields: Any) -> bytes:
        return _named({"type": kind, "index": 0, "delta": {"message": fields} if fields else {}})

    call = {"id": "weather_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    usage = {"tokens": {"input_tokens": 7, "output_tokens": 3}}
    half = {**call, "function": {"name": "weather", "arguments": HALF}}
    return Calling(
        ".sse",
        said("tool-call-start", tool_calls=call),
        [said("tool-call-delta", tool_calls={"function": {"arguments": each}}) for each in ARGUMENTS],
        said("tool-call-end"),
        _named({"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS", "usage": usage}}),
        {"message": {"role": "assistant", "tool_calls": [half]}, "finish_reason": "MAX_TOKENS", "usage": usage},
    )


def _fake() -> Calling:
    messages: Iterable[Any] = ({"say": "arguments", "slot": 0, "text": each} for each in ARGUMENTS)
    return Calling(
        ".sse",
        _sse({"say": "call", "slot": 0, "call_id": "call_1", "name": "weather"}),
        [_sse(each) for each in messages],
        _sse({"say": "finished", "slot": 0}),
        _sse({"say": "end", "reason": "length"}),
        {"messages": [{"say": "call", "slot": 0, "call_id": "call_1", "name": "weather"},
                      {"say": "arguments", "slot": 0, "text": HALF}, {"say": "end", "reason": "length"}]},
    )  # fmt: skip


CALLINGS: dict[str, Calling] = {
    "chat": _chat(),
    "responses": _responses(),
    "messages": _messages(),
    "gemini": _gemini(),
    "converse": _converse(),
    "cohere": _cohere(),
    "mistral": _chat(),
    "fake": _fake(),
}
"""By dialect."""
