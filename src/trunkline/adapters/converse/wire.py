"""What Converse sends, as types, and the small readings of it that need no state.

It lists only what is used; events and fields that are new are passed over.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html (2026-11-22), the
service model of botocore 1.44.5.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from trunkline.adapters.decoding.usage import clean_usage, count, counts_in, rest
from trunkline.protocol.items import Annotation, FileCitation, Json, UrlCitation
from trunkline.stream.deltas import StopReason, Usage

"""What reading a stranger's JSON or base64 may raise."""

STOPS: dict[str, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
BROKEN = frozenset({"malformed_model_output", "malformed_tool_use"})


class ToolStart(Struct, frozen=True, rename="camel"):
    tool_use_id: str
    name: str = ""
    type: str | None = None
    status: str | None = None


class ImageStart(Struct, frozen=True):
    format: str = "png"


class Opening(Struct, frozen=True, rename="camel"):
    tool_use: ToolStart | None = None
    tool_result: ToolStart | None = None
    image: ImageStart | None = None


class BlockStart(Struct, frozen=True, rename="camel"):
    content_block_index: int
    start: Opening


class Input(Struct, frozen=True, gc=False):
    input: str = ""


class Thought(Struct, frozen=True, gc=False, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class Source(Struct, frozen=True):
    bytes: str = ""


class ImagePiece(Struct, frozen=True):
    source: Source = Source()
    format: str = "png"


class Piece(Struct, frozen=True, gc=False, rename="camel"):
    text: str | None = None
    tool_use: Input | None = None
    reasoning_content: Thought | None = None
    citation: Json = None
    image: ImagePiece | None = None


class BlockDelta(Struct, frozen=True, gc=False, rename="camel"):
    content_block_index: int
    delta: Piece


class BlockStop(Struct, frozen=True, rename="camel"):
    content_block_index: int


class MessageStop(Struct, frozen=True, rename="camel"):
    stop_reason: str | None = None


class Metadata(Struct, frozen=True, rename="camel"):
    usage: dict[str, Json] = {}
    service_tier: dict[str, Json] | None = None


class ToolUse(Struct, frozen=True, rename="camel"):
    tool_use_id: str
    name: str
    input: Raw = Raw(b"{}")
    type: str | None = None


class WholeThought(Struct, frozen=True, rename="camel"):
    reasoning_text: Thought | None = None
    redacted_content: str | None = None


class Cited(Struct, frozen=True):
    content: list[Piece] = []
    citations: list[Json] = []


class Block(Struct, frozen=True, rename="camel"):
    text: str | None = None
    tool_use: ToolUse | None = None
    tool_result: ToolStart | None = None
    reasoning_content: WholeThought | None = None
    citations_content: Cited | None = None
    image: ImagePiece | None = None


class Message(Struct, frozen=True):
    content: list[Block]


class Output(Struct, frozen=True):
    message: Message


class Body(Struct, frozen=True, rename="camel"):
    output: Output
    stop_reason: str | None = None
    usage: dict[str, Json] = {}
    service_tier: dict[str, Json] | None = None


read_start = msgspec.json.Decoder(BlockStart).decode
read_delta = msgspec.json.Decoder(BlockDelta).decode
read_stop = msgspec.json.Decoder(BlockStop).decode
read_message_stop = msgspec.json.Decoder(MessageStop).decode
read_metadata = msgspec.json.Decoder(Metadata).decode
read_body = msgspec.json.Decoder(Body).decode


def decode_usage(told: dict[str, Json]) -> Usage:
    """Read the counts; reads from and writes to the cache are apart on this wire and part of the input in ours."""
    counts = counts_in(told)
    cache_read, cache_write = counts.get("cacheReadInputTokens", 0), counts.get("cacheWriteInputTokens", 0)
    read = counts.get("inputTokens", 0) + cache_read + cache_write
    return clean_usage(
        read=read,
        cache_read=cache_read,
        cache_write=cache_write,
        cache_write_1h=_kept_for_an_hour(told.get("cacheDetails")),
        written=counts.get("outputTokens") or rest(told.get("totalTokens"), read),
    )


def _kept_for_an_hour(details: Json) -> int:
    """How many of the tokens written to the cache stay there for an hour.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CacheDetail.html (2026-11-27).
    """
    entries = [entry for entry in details if isinstance(entry, dict)] if isinstance(details, list) else []
    return sum(count(entry.get("inputTokens")) for entry in entries if entry.get("ttl") == "1h")


def decode_tier(name: Json) -> Literal["default", "flex", "priority"] | None:
    return name if name in ("default", "flex", "priority") else None


def decode_citation(citation: Json, start: int, end: int) -> Annotation | None:
    if not isinstance(citation, dict) or not isinstance(location := citation.get("location"), dict):
        return None
    title = str(citation.get("title") or "")
    web = location.get("web")
    if isinstance(web, dict) and isinstance(url := web.get("url"), str):
        return UrlCitation(url=url, title=title or str(web.get("domain") or ""), start_index=start, end_index=end)
    for kind in ("documentChar", "documentPage", "documentChunk"):
        if isinstance(place := location.get(kind), dict):
            index = count(place.get("documentIndex"))
            return FileCitation(file_id=title or f"document-{index}", filename=title, index=index)
    return None


def joined_base64(pieces: list[str]) -> str:
    """Base64 of all the bytes; one piece alone is kept byte for byte."""
    return pieces[0] if len(pieces) == 1 else b64encode(b"".join(map(b64decode, pieces))).decode()
