"""What the tests of several dialects say and hear: items of a conversation, and one answer in both of its forms."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trunkline.catalog.quirks import Quirks
from trunkline.stream.deltas import Arguments, Delta, Reasoning, Spent, Text
from trunkline.wire import WireMessage

Json = dict[str, Any]

CLAUDE = Quirks(reasoning_format="anthropic-claude-v1")


def message(role: str, *parts: Json | str) -> Json:
    content = [{"type": "input_text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"type": "message", "role": role, "content": content}


def said(text: str) -> Json:
    """A message of the model's, as it was given out earlier."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "content": content}


def call(call_id: str, arguments: str = '{"city":"Oslo"}') -> Json:
    return {"type": "function_call", "call_id": call_id, "name": "weather", "arguments": arguments}


def output(call_id: str, text: str = "4 C, rain") -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def thought(**fields: Any) -> Json:
    """A thought of Claude's, whoever serves it."""
    return {"type": "reasoning", "id": "rs_1", "summary": [], "format": "anthropic-claude-v1", **fields}


class Answer(Struct, frozen=True):
    """The same answer as a stream and as a body, and what both mean."""

    id: str
    stream: list[WireMessage]
    body: Json
    deltas: list[Delta]
    asked: Json = {}
    quirks: Quirks = CLAUDE


def joined(deltas: list[Delta]) -> list[Delta]:
    """Leave out what a stream tells early, and join pieces, so that a stream compares with a body."""
    found: list[Delta] = []
    for delta in deltas:
        last = found[-1] if found else None
        if isinstance(delta, Spent) and delta.usage.estimated:
            continue
        if isinstance(delta, Text | Reasoning | Arguments) and type(last) is type(delta) and last.slot == delta.slot:
            found[-1] = replace(last, text=last.text + delta.text)
        else:
            found.append(delta)
    return found
