"""An independent reading of the Messages stream: its frames, the order of its events, and what a client folds it to.

Knows nothing of the types in `trunkline`. Where the anthropic package is installed its types are asked as well: a value
that they do not know is passed over by clients, and a missing member breaks them.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming, seen 2026-11-28.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

Json = Any

_PIECES = {
    "text_delta": ("text", "text", "text"),
    "thinking_delta": ("thinking", "thinking", "thinking"),
    "signature_delta": ("thinking", "signature", "signature"),
    "citations_delta": ("text", "citation", "citations"),
    "input_json_delta": ("tool_use", "partial_json", "input"),
}
"""By type of a piece: the block it may go on with, its member, and the member of the block."""

_TYPED = frozenset({"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "web_search_tool_result"})
"""The blocks that a gateway makes; others come from Anthropic's servers, and may be newer than the package."""

_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


class GrammarError(AssertionError):
    """A stream breaks the grammar."""


def read_stream(body: bytes) -> list[Json]:
    """Read frames strictly: one `event:` and one `data:` line each, which say the same type."""
    frames = body.decode().split("\n\n")
    assert frames.pop() == "", body[-200:]
    events = []
    for frame in frames:
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}", frame
        events.append(event)
    return events


def check_stream(events: Sequence[Json]) -> None:
    """Check a stream that has come to its end: each event in its place, each block begun and ended once, in turn."""
    events = [event for event in events if event["type"] != "ping"]
    if events[0]["type"] == "error":
        _demand(len(events) == 1, "something after an error")
        return
    _demand(events[0]["type"] == "message_start", "no message_start first")
    message = events[0]["message"]
    _demand(message["content"] == [] and message["stop_reason"] is None, "a message that begins with something")
    state = _Blocks()
    for place, event in enumerate(events[1:], 1):
        rest = [later["type"] for later in events[place + 1 :]]
        match event["type"]:
            case "error":
                _demand(not rest, "something after an error")
            case "message_delta":
                _demand(state.open is None, "the end while a block is open")
                _demand(rest == ["message_stop"], "no single end")
                _demand(isinstance(event["delta"]["stop_reason"], str), "an end without its reason")
            case "message_stop":
                _demand(events[place - 1]["type"] == "message_delta" and not rest, "an end out of place")
            case _:
                state.hear(event)
    _demand(events[-1]["type"] in ("message_stop", "error"), "no end")
    check_types(events)


def check_types(events: Sequence[Json]) -> None:
    """Check that the vendor's own types know every event and lack nothing of it."""
    for event in events:
        if event["type"] != "error" and event.get("content_block", {"type": "text"})["type"] in _TYPED:
            _EVENT.validate_python(event)


def check_message(message: Json) -> None:
    """Check a whole message against the vendor's own types."""
    typed = [block for block in message["content"] if block["type"] in _TYPED]
    Message.model_validate(message | {"content": typed})
    _demand(message["stop_reason"] is not None, "a whole message without its reason")


class _Blocks:
    """The blocks of a stream: at most one is open."""

    def __init__(self) -> None:
        self.count = 0
        self.open: Json = None
        self.is_signed = False

    def hear(self, event: Json) -> None:
        kind = event["type"]
        _demand(kind.startswith("content_block_"), f"an unknown event: {kind}")
        if kind == "content_block_start":
            _demand(self.open is None, "a block within a block")
            _demand(event["index"] == self.count, "an index out of order")
            self.count += 1
            self.is_signed = False
            self.open = event["content_block"]
            return
        _demand(self.open is not None, "a piece of no block")
        _demand(event["index"] == self.count - 1, "a piece of another block")
        if kind == "content_block_stop":
            _demand(self.open["type"] != "thinking" or self.is_signed, "a thought without its one signature")
            self.open = None
            return
        block, member, _ = _PIECES[event["delta"]["type"]]
        _demand(self.open["type"].endswith(block), f"{event['delta']['type']} in {self.open['type']}")
        _demand(not self.is_signed, "something after a signature")
        _demand(event["delta"][member] != "", "an empty piece")
        self.is_signed = event["delta"]["type"] == "signature_delta"


def fold(events: Sequence[Json]) -> Json | None:
    """Fold a stream to the message that it tells, as clients do; None where it tells an error.

    Input that is no JSON object is kept as it came, as `_raw`: such a call cannot be made.
    """
    message: Json = None
    pieces: list[str] = []
    for event in events:
        match event["type"]:
            case "message_start":
                message = copy.deepcopy(event["message"])
            case "content_block_start":
                message["content"].append(copy.deepcopy(event["content_block"]))
                pieces = []
            case "content_block_delta":
                _, said, member = _PIECES[event["delta"]["type"]]
                block, value = message["content"][-1], event["delta"][said]
                match member:
                    case "citations":
                        block.setdefault("citations", []).append(value)
                    case "input":
                        pieces.append(value)
                    case _:
                        block[member] += value
            case "content_block_stop" if pieces:
                message["content"][-1]["input"] = "".join(pieces)
            case "message_delta":
                message.update(event["delta"])
                message["usage"].update(event["usage"])
            case "error":
                return None
    message["content"] = [_with_input(block) for block in message["content"]]
    return message


def _with_input(block: Json) -> Json:
    if not isinstance(block.get("input"), str):
        return block
    try:
        read = json.loads(block["input"])
    except ValueError:
        read = None
    return {**block, "input": read if isinstance(read, dict) else {"_raw": block["input"]}}


def _demand(holds: bool, complaint: str) -> None:
    if not holds:
        raise GrammarError(complaint)
