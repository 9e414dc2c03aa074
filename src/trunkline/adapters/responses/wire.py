"""What a Responses server sends, as structs of only the fields that are read, and how each is read.

Lenient where servers differ: null counts as absent, and what only some servers send has a default. Knows nothing of
the order of events, which is `answer.py`'s.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw, Struct, field

from trunkline.adapters.decoding.logprobs import WireLogprob
from trunkline.adapters.decoding.usage import clean_usage, count, counts_in, rest, told_cost, writes
from trunkline.protocol.items import Annotation, FileCitation, FilePath, Json, UrlCitation
from trunkline.stream.deltas import Usage

ServiceTier = Literal["auto", "default", "flex", "priority", "scale", "ultrafast"]


class TextPiece(Struct, gc=False):
    delta: str
    output_index: int = 0
    content_index: int = 0
    logprobs: list[WireLogprob] | None = None


class WireAnnotation(Struct):
    type: str
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None
    file_id: str | None = None
    filename: str | None = None
    index: int | None = None


class Part(Struct):
    type: str = ""
    text: str = ""
    refusal: str = ""
    annotations: list[Json] | None = None
    logprobs: list[WireLogprob] | None = None


class Piece(Struct):
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    item_id: str | None = None
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: Json = None
    input: str | None = None
    part: Part | None = None
    annotation: Json = None
    logprobs: list[WireLogprob] | None = None
    partial_image_b64: str = ""
    output_format: str | None = None


class Look(Struct):
    type: str | None = None
    id: str | None = None
    status: str | None = None
    execution: str | None = None
    phase: Json = None
    error: Json = None


class ItemEvent(Struct):
    item: Raw
    output_index: int = 0


class Action(Struct):
    type: str | None = None
    query: str | None = None
    queries: list[str] | None = None
    sources: list[Json] | None = None
    url: str | None = None
    pattern: str | None = None


class Item(Struct):
    id: str | None = None
    status: str | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Json = None
    input: str | None = None
    action: Json = None
    queries: list[str] | None = None
    result: str | None = None
    output_format: str | None = None


class InputDetails(Struct):
    """`cached_tokens` has another name at Perplexity."""

    cached_tokens: Json = None
    cache_read_input_tokens: Json = None
    cached_tokens_details: Json = None
    cache_write_tokens: Json = None
    cache_creation: Json = None
    audio_tokens: Json = None


class OutputDetails(Struct):
    reasoning_tokens: Json = None
    image_tokens: Json = None


class WireUsage(Struct):
    input_tokens: Json = None
    output_tokens: Json = None
    total_tokens: Json = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None
    cost: Json = None
    cost_in_usd_ticks: Json = None


class Incomplete(Struct):
    reason: str | None = None


class WireResponse(Struct):
    status: str | None = None
    output: list[Raw] | None = None
    error: Json = None
    incomplete_details: Incomplete | None = None
    usage: WireUsage | None = None
    service_tier: str | None = None


class Terminal(Struct):
    response: WireResponse = field(default_factory=WireResponse)
    error: Json = None


class ErrorEvent(Struct):
    code: str | int | None = None
    message: str | None = None
    error: Json = None


read_text_piece = msgspec.json.Decoder(TextPiece).decode
read_piece = msgspec.json.Decoder(Piece).decode
read_look = msgspec.json.Decoder(Look).decode
read_item_event = msgspec.json.Decoder(ItemEvent).decode
read_item = msgspec.json.Decoder(Item).decode
read_terminal = msgspec.json.Decoder(Terminal).decode
read_response = msgspec.json.Decoder(WireResponse).decode
read_error = msgspec.json.Decoder(ErrorEvent).decode


def decode_annotation(annotation: Json) -> Annotation | None:
    """Read a citation; kinds that the client's side does not have, and broken ones, are None."""
    try:
        told = msgspec.convert(annotation, WireAnnotation, strict=False)
    except msgspec.ValidationError:
        return None
    if told.type == "url_citation" and told.url:
        return UrlCitation(told.url, told.title or told.url, told.start_index or 0, told.end_index or 0)
    if told.type == "file_citation" and told.file_id:
        return FileCitation(told.file_id, told.filename or "", told.index or 0)
    if told.type == "file_path" and told.file_id:
        return FilePath(told.file_id, told.index or 0)
    return None


def decode_action(action: Json) -> Action:
    """Read what a search did; nothing is known of one that is broken."""
    try:
        return msgspec.convert(action, Action) if action is not None else Action()
    except msgspec.ValidationError:
        return Action()


def decode_usage(told: WireUsage | None, *, images: int, searches: int) -> Usage | None:
    """Read the counts; None when the server gave none."""
    if told is None:
        return None
    read = told.input_tokens_details or InputDetails()
    made = told.output_tokens_details or OutputDetails()
    kept = writes(read.cache_creation)
    input_tokens = count(told.input_tokens)
    is_paid = told.cost is not None or told.cost_in_usd_ticks is not None
    return clean_usage(
        read=input_tokens,
        cache_read=count(read.cached_tokens) or count(read.cache_read_input_tokens),
        cache_write=count(read.cache_write_tokens) or kept.tokens,
        cache_write_1h=kept.hour_tokens,
        written=count(told.output_tokens) or rest(told.total_tokens, input_tokens),
        reasoning=count(made.reasoning_tokens),
        drawn=count(made.image_tokens),
        audio_read=count(read.audio_tokens),
        audio_cached=counts_in(read.cached_tokens_details).get("audio_tokens", 0),
        images=images,
        searches=searches,
        cost=told_cost({"cost": told.cost, "cost_in_usd_ticks": told.cost_in_usd_ticks}) if is_paid else None,
    )


def decode_service_tier(tier: str | None) -> ServiceTier | None:
    """Read the tier that served; None when it has a name that the client's side does not know."""
    match tier:
        case "auto" | "default" | "flex" | "priority" | "scale" | "ultrafast":
            return tier
        case _:
            return None
