"""The two other doors, as a client of each uses it: its own reading of what it asks and of what it is told.

Written from the vendors' references, not from the faces. An answer that was streamed is put together here, event by
event, as an SDK does it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Protocol

from tests.providers.fixtures import PIXEL

Json = Any


@dataclass(frozen=True)
class Told:
    """An answer in the words of one door; `message` is what a client keeps of it and sends back.

    `calls` are (id, name, arguments), `finish` is why it ended, `usage` (read, written), `error` what a stream broke
    off with.
    """

    text: str
    thought: str
    calls: list[tuple[str, str, Json]]
    finish: str | None
    usage: tuple[int, int]
    cost: Decimal | None
    message: Json
    error: Json = None
    pieces: int = 0


class Door(Protocol):
    """One API: how a client asks for what the tests try, and how it reads the answer."""

    name: str
    stopped: str
    finishes: ClassVar[dict[str, str]]

    def question(self, text: str, *, picture: bool = False) -> Json: ...

    def body(self, model: str, turns: Sequence[Json], *, instructions: str = "") -> Json: ...

    def tools(self) -> Json: ...

    def schema(self, name: str, shape: Json) -> Json: ...

    def thinking(self, limit: int, budget: int) -> Json: ...

    def stops(self, texts: list[str]) -> Json: ...

    def results(self, told: Told, result: str) -> list[Json]: ...

    def read(self, body: Json) -> Told: ...

    def fold(self, lines: Sequence[tuple[str | None, str]]) -> Told: ...

    def message_of(self, error: Json) -> str: ...


class ChatDoor:
    """Chat Completions. Source: https://platform.openai.com/docs/api-reference/chat, seen 2026-11-28."""

    name = "chat/completions"
    stopped = "stop"
    finishes: ClassVar[dict[str, str]] = {
        "stop": "stop",
        "calls": "tool_calls",
        "length": "length",
        "filter": "content_filter",
    }

    def question(self, text: str, *, picture: bool = False) -> Json:
        if not picture:
            return {"role": "user", "content": text}
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
        return {"role": "user", "content": [{"type": "text", "text": text}, image]}

    def body(self, model: str, turns: Sequence[Json], *, instructions: str = "") -> Json:
        first = [{"role": "system", "content": instructions}] if instructions else []
        return {"model": model, "messages": [*first, *turns], "stream_options": {"include_usage": True}}

    def tools(self) -> Json:
        function = {"name": "weather", "description": "The weather of a place.", "parameters": CITY}
        return {"tools": [{"type": "function", "function": function}]}

    def schema(self, name: str, shape: Json) -> Json:
        named = {"name": name, "schema": shape, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}

    def thinking(self, limit: int, budget: int) -> Json:
        return {"reasoning_effort": "high", "max_tokens": limit}

    def stops(self, texts: list[str]) -> Json:
        return {"stop": texts}

    def results(self, told: Told, result: str) -> list[Json]:
        return [{"role": "tool", "tool_call_id": call_id, "content": result} for call_id, _, _ in told.calls]

    def read(self, body: Json) -> Told:
        assert body["object"] == "chat.completion"
        assert body["system_fingerprint"] is None
        (choice,) = body["choices"]
        message = choice["message"]
        assert message.get("tool_calls") != []
        return self._told(message, choice["finish_reason"], body["usage"])

    def fold(self, lines: Sequence[tuple[str | None, str]]) -> Told:
        message: Json = {"role": "assistant", "content": None}
        finish, usage, error, pieces = None, None, None, 0
        *chunks, (_, done) = lines
        assert done == "[DONE]"
        for name, line in chunks:
            assert name is None
            chunk = json.loads(line)
            assert chunk["object"] == "chat.completion.chunk"
            usage = chunk.get("usage") or usage
            error = chunk.get("error") or error
            for choice in chunk["choices"]:
                pieces += bool(choice["delta"].get("content"))
                finish = choice["finish_reason"] or finish
                _add_delta(message, choice["delta"])
        return self._told(message, finish, usage, error, pieces)

    def message_of(self, error: Json) -> str:
        assert error.keys() >= {"message", "type", "param", "code"}
        return str(error["message"])

    def _told(self, message: Json, finish: str | None, usage: Json, error: Json = None, pieces: int = 0) -> Told:
        calls = [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls", ())
        ]
        spent = usage or {"prompt_tokens": 0, "completion_tokens": 0}
        thought = message.get("reasoning") or ""
        assert thought == (message.get("reasoning_content") or "")
        cost = None if spent.get("cost") is None else Decimal(repr(spent["cost"]))
        counts = (spent["prompt_tokens"], spent["completion_tokens"])
        return Told(message.get("content") or "", thought, calls, finish, counts, cost, message, error, pieces)


def _add_delta(message: Json, delta: Json) -> None:
    """Add what a chunk says to a message, as LangChain and the AI SDK's OpenRouter provider do it."""
    for name in ("content", "reasoning", "reasoning_content", "refusal"):
        if delta.get(name):
            message[name] = (message.get(name) or "") + delta[name]
    for detail in delta.get("reasoning_details", ()):
        details = message.setdefault("reasoning_details", [])
        last = details[-1] if details else None
        if last is None or last["type"] != detail["type"] or last["index"] != detail["index"]:
            details.append(dict(detail))
            continue
        for name, value in detail.items():
            is_text = name in ("text", "summary", "data")
            last[name] = (last.get(name) or "") + value if is_text and value else value or last.get(name)
    for call in delta.get("tool_calls", ()):
        calls = message.setdefault("tool_calls", [])
        if call["index"] == len(calls):
            calls.append({name: value for name, value in call.items() if name != "index"})
        else:
            assert "id" not in call
            calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]


class MessagesDoor:
    """Messages. Source: https://platform.claude.com/docs/en/api/messages-streaming, seen 2026-11-28."""

    name = "messages"
    stopped = "stop_sequence"
    finishes: ClassVar[dict[str, str]] = {
        "stop": "end_turn",
        "calls": "tool_use",
        "length": "max_tokens",
        "filter": "refusal",
    }

    def question(self, text: str, *, picture: bool = False) -> Json:
        if not picture:
            return {"role": "user", "content": text}
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        return {"role": "user", "content": [{"type": "text", "text": text}, {"type": "image", "source": source}]}

    def body(self, model: str, turns: Sequence[Json], *, instructions: str = "") -> Json:
        first = {"system": [{"type": "text", "text": instructions}]} if instructions else {}
        return {"model": model, "max_tokens": 32_000, **first, "messages": list(turns)}

    def tools(self) -> Json:
        return {"tools": [{"name": "weather", "description": "The weather of a place.", "input_schema": CITY}]}

    def schema(self, name: str, shape: Json) -> Json:
        return {"output_config": {"format": {"type": "json_schema", "schema": shape}}}

    def thinking(self, limit: int, budget: int) -> Json:
        return {"thinking": {"type": "enabled", "budget_tokens": budget}, "max_tokens": limit}

    def stops(self, texts: list[str]) -> Json:
        return {"stop_sequences": texts}

    def results(self, told: Told, result: str) -> list[Json]:
        blocks = [
            {"type": "tool_result", "tool_use_id": call_id, "content": [{"type": "text", "text": result}]}
            for call_id, _, _ in told.calls
        ]
        return [{"role": "user", "content": blocks}]

    def read(self, body: Json) -> Told:
        assert (body["type"], body["role"]) == ("message", "assistant")
        return self._told(body["content"], body["stop_reason"], body["usage"])

    def fold(self, lines: Sequence[tuple[str | None, str]]) -> Told:
        blocks: list[Json] = []
        finish, error, pieces = None, None, 0
        usage: Json = {}
        inputs: dict[int, str] = {}
        for event in _named_events(lines):
            match event:
                case {"type": "message_start", "message": begun}:
                    assert begun["content"] == []
                    usage = begun["usage"]
                case {"type": "content_block_start", "index": index, "content_block": block}:
                    assert index == len(blocks)
                    blocks.append(dict(block))
                case {"type": "content_block_delta", "index": index, "delta": delta}:
                    assert index == len(blocks) - 1
                    pieces += delta["type"] == "text_delta"
                    if delta["type"] == "input_json_delta":
                        inputs[index] = inputs.get(index, "") + delta["partial_json"]
                    else:
                        _add_to_block(blocks[index], delta)
                case {"type": "content_block_stop", "index": index} if inputs.get(index):
                    blocks[index]["input"] = json.loads(inputs[index])
                case {"type": "message_delta", "delta": delta, "usage": spent}:
                    finish, usage = delta["stop_reason"], {**usage, **spent}
                case {"type": "error", "error": told}:
                    error = told
        return self._told(blocks, finish, usage, error, pieces)

    def message_of(self, error: Json) -> str:
        assert error.keys() >= {"message", "type"}
        return str(error["message"])

    def _told(self, blocks: Json, finish: str | None, usage: Json, error: Json = None, pieces: int = 0) -> Told:
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        thought = "".join(block["thinking"] for block in blocks if block["type"] == "thinking")
        calls = [(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
        read = sum(usage.get(name) or 0 for name in ("input_tokens", *_CACHED))
        cost = None if usage.get("cost") is None else Decimal(repr(usage["cost"]))
        message = {"role": "assistant", "content": blocks}
        return Told(text, thought, calls, finish, (read, usage["output_tokens"]), cost, message, error, pieces)


_CACHED = ("cache_read_input_tokens", "cache_creation_input_tokens")


def _named_events(lines: Sequence[tuple[str | None, str]]) -> Iterator[Json]:
    assert lines[-1][0] in ("message_stop", "error")
    for name, line in lines:
        event = json.loads(line)
        assert event["type"] == name
        yield event


def _add_to_block(block: Json, delta: Json) -> None:
    match delta:
        case {"type": "text_delta", "text": text}:
            block["text"] += text
        case {"type": "thinking_delta", "thinking": text}:
            block["thinking"] += text
        case {"type": "signature_delta", "signature": signature}:
            assert block["signature"] == ""
            block["signature"] = signature
        case {"type": "citations_delta", "citation": citation}:
            block["citations"] = [*(block.get("citations") or ()), citation]
        case _:
            raise AssertionError(f"a delta of no kind: {delta}")


CITY: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

DOORS: tuple[Door, ...] = (ChatDoor(), MessagesDoor())
