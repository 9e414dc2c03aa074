"""The conversation of `recordings.py` in the wire languages that no client speaks to us, only providers do.

Serves nothing: these are for `micro.py`, which times the adapters without sockets.
"""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from bench.recordings import CREATED, INPUT_TOKENS, TEXT, TOKEN_COUNT, TOKENS, UPSTREAM_MODEL, Recording

EVENTS = "text/event-stream"
BINARY_EVENTS = "application/vnd.amazon.eventstream"

Said = Mapping[str, object]
Frame = Callable[[Said], bytes]


@dataclass(frozen=True)
class Wire:
    """What is said in one language, and the media type of the stream."""

    recording: Recording
    content_type: str = EVENTS


def messages() -> Wire:
    """The conversation as Anthropic's Messages."""
    usage = {"input_tokens": INPUT_TOKENS - 32, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 32}
    head = {"id": "msg_bench", "type": "message", "role": "assistant", "model": UPSTREAM_MODEL}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    spent = {**usage, "output_tokens": TOKEN_COUNT}
    begun: dict[str, object] = {**head, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    at = {"type": "content_block_delta", "index": 0}
    recording = _recording(
        _named,
        whole={**head, "content": [{"type": "text", "text": TEXT}], **stop, "usage": spent},
        opening=[
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "ping"},
        ],
        tokens=[{**at, "delta": {"type": "text_delta", "text": token}} for token in TOKENS],
        closing=[
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": stop, "usage": {"output_tokens": TOKEN_COUNT}},
            {"type": "message_stop"},
        ],
    )
    return Wire(recording)


def gemini() -> Wire:
    """The conversation as Gemini's generateContent, which tells usage with every piece."""

    def said(text: str, count: int, **more: object) -> Said:
        usage = {"promptTokenCount": INPUT_TOKENS, "candidatesTokenCount": count, "cachedContentTokenCount": 32}
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **more}
        return {
            "candidates": [candidate],
            "usageMetadata": {**usage, "totalTokenCount": INPUT_TOKENS + count},
            "modelVersion": UPSTREAM_MODEL,
            "responseId": "bench",
        }

    recording = _recording(
        _plain,
        whole=said(TEXT, TOKEN_COUNT, finishReason="STOP"),
        opening=[],
        tokens=[said(token, number) for number, token in enumerate(TOKENS, 1)],
        closing=[said("", TOKEN_COUNT, finishReason="STOP")],
    )
    return Wire(recording)


def converse() -> Wire:
    """The conversation as Bedrock's Converse, in frames of AWS's binary event stream."""
    usage = {"inputTokens": INPUT_TOKENS - 32, "outputTokens": TOKEN_COUNT, "cacheReadInputTokens": 32}
    spent = {"usage": {**usage, "totalTokens": INPUT_TOKENS + TOKEN_COUNT}, "metrics": {"latencyMs": 640}}
    message = {"role": "assistant", "content": [{"text": TEXT}]}
    recording = _recording(
        _binary,
        whole={"output": {"message": message}, "stopReason": "end_turn", **spent},
        opening=[{"": "messageStart", "role": "assistant", "p": "abcdefgh"}],
        tokens=[
            {"": "contentBlockDelta", "contentBlockIndex": 0, "delta": {"text": token}, "p": "abcdefgh"}
            for token in TOKENS
        ],
        closing=[
            {"": "contentBlockStop", "contentBlockIndex": 0, "p": "abcdefgh"},
            {"": "messageStop", "stopReason": "end_turn", "p": "abcdefgh"},
            {"": "metadata", **spent, "p": "abcdefgh"},
        ],
    )
    return Wire(recording, BINARY_EVENTS)


def cohere() -> Wire:
    """The conversation as Cohere's chat."""
    counted = {"input_tokens": INPUT_TOKENS, "output_tokens": TOKEN_COUNT}
    usage = {"billed_units": counted, "tokens": counted, "cached_tokens": 32}
    message: dict[str, object] = {"role": "assistant", "content": [{"type": "text", "text": TEXT}]}
    begun = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    recording = _recording(
        _named,
        whole={"id": "bench", "finish_reason": "COMPLETE", "message": message, "usage": usage},
        opening=[
            {"type": "message-start", "id": "bench", "delta": {"message": begun}},
            {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        ],
        tokens=[
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": token}}}}
            for token in TOKENS
        ],
        closing=[
            {"type": "content-end", "index": 0},
            {"type": "message-end", "id": "bench", "delta": {"finish_reason": "COMPLETE", "usage": usage}},
        ],
    )
    return Wire(recording)


def mistral() -> Wire:
    """The conversation as Mistral's chat, whose last piece tells the usage."""
    head = {"id": "bench", "created": CREATED, "model": UPSTREAM_MODEL}
    usage = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": TOKEN_COUNT,
        "total_tokens": INPUT_TOKENS + TOKEN_COUNT,
        "num_cached_tokens": 32,
    }

    def chunk(delta: Said, finish: str | None = None) -> dict[str, object]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**head, "object": "chat.completion.chunk", "choices": [choice]}

    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": TEXT}}
    recording = _recording(
        _plain,
        whole={**head, "object": "chat.completion", "choices": [choice], "usage": usage},
        opening=[chunk({"role": "assistant", "content": ""})],
        tokens=[chunk({"content": token}) for token in TOKENS],
        closing=[{**chunk({"content": ""}, "stop"), "usage": usage}],
    )
    return Wire(Recording(recording.body, recording.opening, recording.tokens, (*recording.closing, _END)))


_END = b"data: [DONE]\n\n"


def _recording(
    frame: Frame, *, whole: Said, opening: Sequence[Said], tokens: Sequence[Said], closing: Sequence[Said]
) -> Recording:
    return Recording(_json(whole), *(tuple(map(frame, said)) for said in (opening, tokens, closing)))


def _plain(event: Said) -> bytes:
    return b"data: " + _json(event) + b"\n\n"


def _named(event: Said) -> bytes:
    return f"event: {event['type']}\n".encode() + _plain(event)


def _binary(event: Said) -> bytes:
    """One frame; the event's name stands under the empty key."""
    fields = {":event-type": event[""], ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(_header(name, str(value)) for name, value in fields.items())
    payload = _json({name: value for name, value in event.items() if name})
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    unsealed = prelude + struct.pack("!I", crc32(prelude)) + headers + payload
    return unsealed + struct.pack("!I", crc32(unsealed))


def _header(name: str, value: str) -> bytes:
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
