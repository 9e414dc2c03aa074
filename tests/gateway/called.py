"""Answers that call functions, in each dialect, streamed and whole. It asserts nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.gateway.upstream import Script, head
from tests.stream.test_aws_events import event

Json = Any


class Calls(NamedTuple):
    """An answer: its stream, the media type of that, and the same as a body."""

    stream: bytes
    media_type: str
    body: Json

    def streamed(self, every: int, *, cut: int | None = None) -> Script:
        """A stream in pieces of so many bytes, which breaks off before the last `cut`."""
        data = self.stream if cut is None else self.stream[:-cut]
        return Script([head(200, self.media_type), *(data[at : at + every] for at in range(0, len(data), every))])


def calls(dialect: str, called: Sequence[tuple[str, str]], *, stop: bool = True) -> Calls:
    """Calls of functions by name, with their arguments as text; `stop` says that it ends as an answer does that calls,
    else at its limit."""
    return _DIALECTS[dialect](called, stop)


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def _sse(*messages: Json) -> bytes:
    return b"".join(b"data: " + json.dumps(message).encode() + b"\n\n" for message in messages)


def _named(*messages: Json) -> bytes:
    return b"".join(b"event: " + each["type"].encode() + b"\n" + _sse(each) for each in messages)


def _chat(called: Sequence[tuple[str, str]], stop: bool) -> Calls:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    finish = "tool_calls" if stop else "length"

    def chunk(*tool_calls: Json, finish: str | None = None, **more: Json) -> Json:
        delta = {"tool_calls": list(tool_calls)} if tool_calls else {}
        return {"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}

    chunks = []
    for index, (name, arguments) in enumerate(called):
        call = {"index": index, "id": f"abcdefgh{index}", "type": "function"}
        chunks.append(chunk({**call, "function": {"name": name, "arguments": ""}}))
        chunks += [chunk({"index": index, "function": {"arguments": half}}) for half in _halves(arguments)]
    whole = [
        {"id": f"abcdefgh{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (name, arguments) in enumerate(called)
    ]
    message = {"role": "assistant", "content": None, "tool_calls": whole}
    body = {"id": "c1", "choices": [{"index": 0, "finish_reason": finish, "message": message}], "usage": usage}
    stream = _sse(*chunks, chunk(finish=finish, usage=usage)) + b"data: [DONE]\n\n"
    return Calls(stream, "text/event-stream", body)


def _responses(called: Sequence[tuple[str, str]], stop: bool) -> Calls:
    events, output = [], []
    kind = "response.function_call_arguments"
    for index, (name, arguments) in enumerate(called):
        item = {"type": "function_call", "id": f"fc_{index}", "call_id": f"call_{index}", "name": name}
        place = {"item_id": f"fc_{index}", "output_index": index}
        whole = {**item, "arguments": arguments, "status": "completed" if stop else "incomplete"}
        output.append(whole)
        events.append({"type": "response.output_item.added", "output_index": index, "item": {**item, "arguments": ""}})
        events += [{"type": f"{kind}.delta", **place, "delta": half} for half in _halves(arguments)]
        events.append({"type": f"{kind}.done", **place, "arguments": arguments})
        events.append({"type": "response.output_item.done", "output_index": index, "item": whole})
    return _responded(events, output, stop)


def _responded(events: list[Json], output: list[Json], stop: bool = True) -> Calls:
    status = "completed" if stop else "incomplete"
    details = None if stop else {"reason": "max_output_tokens"}
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    body = {"id": "resp_up", "status": status, "incomplete_details": details, "output": output, "usage": usage}
    return Calls(_named(*events, {"type": f"response.{status}", "response": body}), "text/event-stream", body)


def items(*output: Json) -> Calls:
    """Items of a Responses server, told as they are: begun empty, and done."""
    events = []
    for index, item in enumerate(output):
        empty = {key: type(value)() if key in ("input", "arguments") else value for key, value in item.items()}
        events.append({"type": "response.output_item.added", "output_index": index, "item": empty})
        if "input" in item:
            place = {"item_id": item["id"], "output_index": index}
            kind = "response.custom_tool_call_input"
            events += [{"type": f"{kind}.delta", **place, "delta": half} for half in _halves(item["input"])]
            events.append({"type": f"{kind}.done", **place, "input": item["input"]})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    return _responded(events, list(output))


def _messages(called: Sequence[tuple[str, str]], stop: bool) -> Calls:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 7}}
    events: list[Json] = [{"type": "message_start", "message": head}]
    content = []
    for index, (name, arguments) in enumerate(called):
        block = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
        content.append({**block, "input": _object(arguments)})
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        for half in _halves(arguments):
            delta = {"type": "input_json_delta", "partial_json": half}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    reason = "tool_use" if stop else "max_tokens"
    events.append({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 3}})
    body = {**head, "content": content, "stop_reason": reason, "usage": {"input_tokens": 7, "output_tokens": 3}}
    return Calls(_named(*events, {"type": "message_stop"}), "text/event-stream", body)


def _object(arguments: str) -> Json:
    """The arguments as a dialect has them that knows them as an object only."""
    try:
        found = json.loads(arguments)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"text": arguments}


def _gemini(called: Sequence[tuple[str, str]], stop: bool) -> Calls:
    parts = [{"functionCall": {"name": name, "args": _object(arguments)}} for name, arguments in called]
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 3}
    end = {"finishReason": "STOP" if stop else "MAX_TOKENS"}
    chunks = [{"candidates": [{"content": {"role": "model", "parts": [part]}}]} for part in parts]
    last = {"candidates": [{"content": {"role": "model", "parts": []}, **end}], "usageMetadata": usage}
    body = {"candidates": [{"content": {"role": "model", "parts": parts}, **end}], "usageMetadata": usage}
    return Calls(_sse(*chunks, last), "text/event-stream", body)


def _converse(called: Sequence[tuple[str, str]], stop: bool) -> Calls:
    def said(name: str, **fields: Json) -> bytes:
        return event(name, json.dumps(fields).encode())

    reason = "tool_use" if stop else "max_tokens"
    usage = {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10}
    frames, content = said("messageStart", role="assistant"), []
    for index, (name, arguments) in enumerate(called):
        tool = {"toolUseId": f"tooluse_{index}", "name": name}
        content.append({"toolUse": {**tool, "input": _object(arguments)}})
        frames += said("contentBlockStart", contentBlockIndex=index, start={"toolUse": tool})
        for half in _halves(arguments):
            frames += said("contentBlockDelta", contentBlockIndex=index, delta={"toolUse": {"input": half}})
        frames += said("contentBlockStop", contentBlockIndex=index)
    frames += said("messageStop", stopReason=reason) + said("metadata", usage=usage)
    body = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason, "usage": usage}
    return Calls(frames, "application/vnd.amazon.eventstream", body)


def _cohere(called: Sequence[tuple[str, str]], stop: bool) -> Calls:
    usage = {"tokens": {"input_tokens": 7, "output_tokens": 3}}
    reason = "TOOL_CALL" if stop else "MAX_TOKENS"
    events: list[Json] = []
    for index, (name, arguments) in enumerate(called):

        def said(kind: str, index: int = index, **fields: Json) -> Json:
            return {"type": kind, "index": index, "delta": {"message": fields} if fields else {}}

        call = {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        events.append(said("tool-call-start", tool_calls=call))
        events += [said("tool-call-delta", tool_calls={"function": {"arguments": half}}) for half in _halves(arguments)]
        events.append(said("tool-call-end"))
    events.append({"type": "message-end", "delta": {"finish_reason": reason, "usage": usage}})
    whole = [
        {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (name, arguments) in enumerate(called)
    ]
    body = {"message": {"role": "assistant", "tool_calls": whole}, "finish_reason": reason, "usage": usage}
    return Calls(_named(*events), "text/event-stream", body)


_DIALECTS = {
    "chat": _chat,
    "responses": _responses,
    "messages": _messages,
    "gemini": _gemini,
    "converse": _converse,
    "cohere": _cohere,
    "mistral": _chat,
}
DIALECTS = tuple(_DIALECTS)
