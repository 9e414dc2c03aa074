"""A client that carries one conversation through all doors: what it keeps of an answer, and how it writes that at each.

It is as clients are that speak several APIs: it knows the words of each and keeps every member, and nothing of ours. It
reads answers by each API's own document, with no code of the gateway.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.gateway.server import Reply

Json = Any


@dataclass(frozen=True)
class Thought:
    """A thought, and its proof as it was told: `is_hidden`, where hidden thoughts have theirs."""

    text: str
    is_summary: bool
    proof: str
    is_hidden: bool
    format: str


@dataclass(frozen=True)
class Call:
    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Result:
    id: str
    text: str


@dataclass(frozen=True)
class Words:
    """What somebody said."""

    role: str
    text: str


Piece = Thought | Call | Result | Words


@dataclass(frozen=True)
class Door:
    """An API: its path, a history as its body, and what was told in an answer, streamed or whole."""

    name: str
    path: str
    write: Callable[[str, list[Piece], Json], Json]
    read: Callable[[Json], list[Piece]]
    fold: Callable[[Reply], Json]

    def told(self, reply: Reply) -> list[Piece]:
        assert reply.status == 200, (reply.status, reply.body[:500])
        is_whole = reply.headers["content-type"] == "application/json"
        return self.read(reply.json if is_whole else self.fold(reply))


def frames(reply: Reply) -> Iterator[Json]:
    """The data of server-sent events, whatever else stands in a frame."""
    for frame in reply.body.decode().split("\n\n"):
        for line in frame.split("\n"):
            if line.startswith("data: ") and line != "data: [DONE]":
                yield json.loads(line.removeprefix("data: "))


def _turns(history: list[Piece]) -> Iterator[tuple[str, list[Piece]]]:
    """The history by who speaks: user, assistant, or tools."""
    speaker, said = "", list[Piece]()
    for piece in history:
        who = piece.role if isinstance(piece, Words) else "tool" if isinstance(piece, Result) else "assistant"
        if who != speaker and said:
            yield speaker, said
            said = []
        speaker = who
        said.append(piece)
    if said:
        yield speaker, said


# Responses


def _write_responses(model: str, history: list[Piece], tool: Json) -> Json:
    items: list[Json] = []
    # As LangChain does: as `instructions` it would be no part of the history, as it is at the other doors.
    for piece in (Words("system", SYSTEM), *history):
        match piece:
            case Words(role, text):
                kind = "output_text" if role == "assistant" else "input_text"
                items.append({"type": "message", "role": role, "content": [{"type": kind, "text": text}]})
            case Thought(text, is_summary, proof, is_hidden, form):
                named = {"encrypted_content" if is_hidden else "signature": proof, "format": form}
                said: Json = {"summary": [{"type": "summary_text", "text": text}] if is_summary and text else []}
                if text and not is_summary:
                    said["content"] = [{"type": "reasoning_text", "text": text}]
                items.append({"type": "reasoning", **said, **{key: each for key, each in named.items() if each}})
            case Call(id, name, arguments):
                items.append({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
            case Result(id, text):
                items.append({"type": "function_call_output", "call_id": id, "output": text})
    tools = [{"type": "function", **tool}]
    return {"model": model, "input": items, "tools": tools, "reasoning": {"effort": "high"}}


def _read_responses(body: Json) -> list[Piece]:
    found: list[Piece] = []
    for item in body["output"]:
        match item["type"]:
            case "message":
                found.append(Words("assistant", "".join(part["text"] for part in item["content"])))
            case "function_call":
                found.append(Call(item["call_id"], item["name"], item["arguments"]))
            case "reasoning":
                raw = "".join(part["text"] for part in item.get("content", ()))
                summary = "\n\n".join(part["text"] for part in item["summary"])
                sealed = item.get("encrypted_content", "")
                proof, form = sealed or item.get("signature", ""), item.get("format", "")
                found.append(Thought(raw or summary, not raw, proof, bool(sealed), form))
            case other:
                raise AssertionError(other)
    return found


def _fold_responses(reply: Reply) -> Json:
    return list(frames(reply))[-1]["response"]


# Chat Completions


def _write_chat(model: str, history: list[Piece], tool: Json) -> Json:
    messages: list[Json] = [{"role": "system", "content": SYSTEM}]
    for who, pieces in _turns(history):
        if who == "tool":
            messages += [
                {"role": "tool", "tool_call_id": each.id, "content": each.text}
                for each in pieces
                if isinstance(each, Result)
            ]
            continue
        texts = [each.text for each in pieces if isinstance(each, Words)]
        message: Json = {"role": who, "content": "".join(texts) if texts else None}
        calls = [each for each in pieces if isinstance(each, Call)]
        if calls:
            message["tool_calls"] = [_chat_call(each) for each in calls]
        thoughts = [each for each in pieces if isinstance(each, Thought)]
        details = [entry for at, each in enumerate(thoughts) for entry in _details(at, each)]
        if details:
            message["reasoning_details"] = details
        messages.append(message)
    return {
        "model": model,
        "messages": messages,
        "tools": [{"type": "function", "function": tool}],
        "reasoning_effort": "high",
    }


def _chat_call(call: Call) -> Json:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _details(index: int, thought: Thought) -> list[Json]:
    found: list[Json] = []
    if thought.text:
        kind = "summary" if thought.is_summary else "text"
        found.append({"type": f"reasoning.{kind}", kind: thought.text})
    if thought.proof and thought.is_hidden:
        found.append({"type": "reasoning.encrypted", "data": thought.proof})
    elif thought.proof:
        found.append({"type": "reasoning.text", "text": "", "signature": thought.proof})
    named = {"format": thought.format} if thought.format else {}
    return [{**entry, **named, "index": index} for entry in found]


def _read_chat(body: Json) -> list[Piece]:
    message = body["choices"][0]["message"]
    thoughts: dict[int, list[Json]] = {}
    for entry in message.get("reasoning_details") or ():
        thoughts.setdefault(entry["index"], []).append(entry)
    found: list[Piece] = []
    for entries in thoughts.values():
        raw, summary, data, signature = (
            "".join(entry.get(name) or "" for entry in entries) for name in ("text", "summary", "data", "signature")
        )
        form = next((entry["format"] for entry in entries if entry.get("format")), "")
        found.append(Thought(raw or summary, bool(summary) and not raw, data or signature, bool(data), form))
    if message.get("content"):
        found.append(Words("assistant", message["content"]))
    for call in message.get("tool_calls") or ():
        found.append(Call(call["id"], call["function"]["name"], call["function"]["arguments"]))
    return found


def _fold_chat(reply: Reply) -> Json:
    content, details, calls = "", list[Json](), dict[int, Json]()
    for chunk in frames(reply):
        for choice in chunk["choices"]:
            delta = choice["delta"]
            content += delta.get("content") or ""
            details += delta.get("reasoning_details") or ()
            for piece in delta.get("tool_calls") or ():
                call = calls.setdefault(piece["index"], {"function": {"arguments": ""}})
                if "id" in piece:
                    call["id"], call["function"]["name"] = piece["id"], piece["function"]["name"]
                call["function"]["arguments"] += piece["function"].get("arguments") or ""
    message = {"content": content, "reasoning_details": details, "tool_calls": [calls[at] for at in sorted(calls)]}
    return {"choices": [{"message": message}]}


# Messages


def _write_messages(model: str, history: list[Piece], tool: Json) -> Json:
    messages: list[Json] = []
    for who, pieces in _turns(history):
        blocks = [_block(piece) for piece in pieces]
        if who == "tool" or not messages or messages[-1]["role"] != who:
            messages.append({"role": "user" if who == "tool" else who, "content": blocks})
        else:
            messages[-1]["content"] += blocks
    schema = {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}
    return {
        "model": model,
        "max_tokens": 32000,
        "system": SYSTEM,
        "messages": messages,
        "tools": [schema],
        "thinking": {"type": "enabled", "budget_tokens": 8000},
    }


def _block(piece: Piece) -> Json:
    match piece:
        case Words(_, text):
            return {"type": "text", "text": text}
        case Thought(text, _, proof, is_hidden, _) if text or not is_hidden:
            return {"type": "thinking", "thinking": text, "signature": proof}
        case Thought(proof=proof):
            return {"type": "redacted_thinking", "data": proof}
        case Call(id, name, arguments):
            return {"type": "tool_use", "id": id, "name": name, "input": json.loads(arguments)}
        case Result(id, text):
            return {"type": "tool_result", "tool_use_id": id, "content": text}


def _read_messages(body: Json) -> list[Piece]:
    found: list[Piece] = []
    for block in body["content"]:
        match block["type"]:
            case "text":
                found.append(Words("assistant", block["text"]))
            case "tool_use":
                found.append(Call(block["id"], block["name"], compact(block["input"])))
            case "thinking":
                found.append(Thought(block["thinking"], False, block["signature"], False, CLAUDES))
            case "redacted_thinking":
                found.append(Thought("", False, block["data"], True, CLAUDES))
            case other:
                raise AssertionError(other)
    return found


def _fold_messages(reply: Reply) -> Json:
    blocks: list[Json] = []
    for event in frames(reply):
        if event["type"] == "content_block_start":
            blocks.append({**event["content_block"], "input_text": ""})
        elif event["type"] == "content_block_delta":
            delta, block = event["delta"], blocks[event["index"]]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "thinking_delta":
                    block["thinking"] += delta["thinking"]
                case "signature_delta":
                    block["signature"] += delta["signature"]
                case "input_json_delta":
                    block["input_text"] += delta["partial_json"]
                case other:
                    raise AssertionError(other)
    for block in blocks:
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["input_text"] or "{}")
    return {"content": blocks}


CLAUDES = "anthropic-claude-v1"
"""Whose proof is in a block of Messages, as far as anybody knows who has read the API's document."""

SYSTEM = "Be brief."


def compact(value: Json) -> str:
    """JSON as most clients write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


RESPONSES = Door("responses", "/api/v1/responses", _write_responses, _read_responses, _fold_responses)
CHAT = Door("chat", "/api/v1/chat/completions", _write_chat, _read_chat, _fold_chat)
MESSAGES = Door("messages", "/api/v1/messages", _write_messages, _read_messages, _fold_messages)
