"""An answer in plain text, in each dialect that streams, piece by piece. It asserts nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.gateway.test_wire_answers import framed
from tests.gateway.upstream import Break, Script, chunk, head, sse

Json = Any


class Speech(NamedTuple):
    """The pieces of a stream: what it begins with, a text in it, and that it broke down, in words of the dialect.

    `counted` is what it begins with where the provider counts what it read before it answers.
    """

    media_type: str
    opening: bytes
    say: Callable[[str], bytes]
    break_down: bytes
    counted: int | None = None

    def script(self, texts: list[str], *, pause_s: float = 0.0, rest: bytes = b"", ending: Break = "end") -> Script:
        """A stream of these texts, and then it ends as is said."""
        said = [step for text in texts for step in (self.say(text), pause_s)] if pause_s else [self.said(texts)]
        return Script([head(200, self.media_type), self.opening, *said, *([rest] if rest else ())], ending)

    def said(self, texts: list[str]) -> bytes:
        return b"".join(self.say(text) for text in texts)


def named(*messages: Json) -> bytes:
    """Server-sent events that are named by their type."""
    return b"".join(b"event: " + each["type"].encode() + b"\n" + sse([each]) for each in messages)


def _responses_delta(text: str) -> bytes:
    place = {"output_index": 0, "content_index": 0, "item_id": "m1"}
    return named({"type": "response.output_text.delta", **place, "delta": text})


def _messages_delta(text: str) -> bytes:
    return named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})


def _gemini_chunk(text: str) -> bytes:
    content = {"role": "model", "parts": [{"text": text}]}
    return sse([{"candidates": [{"content": content}], "usageMetadata": {"promptTokenCount": 20}}])


def _cohere_delta(text: str) -> bytes:
    return named({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}})


def _converse_delta(text: str) -> bytes:
    return framed("contentBlockDelta", json.dumps({"contentBlockIndex": 0, "delta": {"text": text}}))


_CHAT = Speech(
    "text/event-stream",
    sse([chunk("", role="assistant")]),
    lambda text: sse([chunk(text)]),
    sse([{"error": {"message": "Broken.", "code": 502, "type": "server_error"}}]),
)
_MESSAGE = {"type": "message", "id": "m1", "role": "assistant", "status": "in_progress", "content": []}

SPEECHES: dict[str, Speech] = {
    "chat": _CHAT,
    "mistral": _CHAT,
    "messages": Speech(
        "text/event-stream",
        named(
            {
                "type": "message_start",
                "message": {
                    "id": "msg_1",
                    "type": "message",
                    "role": "assistant",
                    "content": [],
                    "usage": {"input_tokens": 20, "output_tokens": 1},
                },
            },
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        ),
        _messages_delta,
        named({"type": "error", "error": {"type": "api_error", "message": "Broken."}}),
        counted=20,
    ),
    "gemini": Speech(
        "text/event-stream",
        b"",
        _gemini_chunk,
        sse([{"error": {"code": 500, "message": "Broken.", "status": "INTERNAL"}}]),
        counted=20,
    ),
    "cohere": Speech(
        "text/event-stream",
        named(
            {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
            {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        ),
        _cohere_delta,
        named({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "Broken."}}),
    ),
    "converse": Speech(
        "application/vnd.amazon.eventstream",
        framed("messageStart", '{"role": "assistant"}'),
        _converse_delta,
        b"",
    ),
    "responses": Speech(
        "text/event-stream",
        named(
            {"type": "response.created", "response": {"id": "r1", "status": "in_progress", "output": []}},
            {"type": "response.output_item.added", "output_index": 0, "item": _MESSAGE},
            {
                "type": "response.content_part.added",
                "output_index": 0,
                "content_index": 0,
                "item_id": "m1",
                "part": {"type": "output_text", "text": "", "annotations": []},
            },
        ),
        _responses_delta,
        named(
            {
                "type": "response.failed",
                "response": {"id": "r1", "status": "failed", "error": {"code": "server_error", "message": "Broken."}},
            }
        ),
    ),
}
