"""What Cohere's chat answers, as types, and the small readings of it that need no state.

It lists only what is used; what is not listed is passed over.

Source: https://docs.cohere.com/reference/chat-stream (2026-11-22), the types of the cohere Python package 7.3.1.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from trunkline.adapters.decoding.strange import as_object
from trunkline.adapters.decoding.usage import clean_usage, count, counts_in
from trunkline.protocol.items import Json, Logprob
from trunkline.stream.deltas import StopReason, Usage
from trunkline.wire import Fault


class WireContent(Struct, gc=False):
    """A content block or a piece of one."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class WireFunction(Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class WireCall(Struct, gc=False):
    id: str | None = None
    function: WireFunction | None = None


class WireCitation(Struct, gc=False):
    start: int | None = None
    end: int | None = None
    sources: list[Json] | None = None
    content_index: int | None = None
    type: str | None = None


class WireMessagePiece(Struct, gc=False):
    """What an event adds to the message, or the whole of it; streamed pieces stand alone, whole ones in lists."""

    content: WireContent | list[WireContent] | str | None = None
    tool_plan: str | None = None
    tool_calls: WireCall | list[WireCall] | None = None
    citations: WireCitation | list[WireCitation] | None = None


class WireDelta(Struct, gc=False):
    message: WireMessagePiece | None = None
    finish_reason: str | None = None
    usage: Json = None
    error: Json = None


class WireEvent(Struct, gc=False):
    type: str
    index: int = 0
    delta: WireDelta | None = None
    logprobs: Json = None


class WireBody(Struct, gc=False):
    """A whole answer; where `message` is a text it is an error told with status 200."""

    message: WireMessagePiece | str | None = None
    finish_reason: str | None = None
    usage: Json = None
    logprobs: list[Json] | None = None


class _Typed(Struct):
    type: str


read_event = msgspec.json.Decoder(WireEvent).decode
read_body = msgspec.json.Decoder(WireBody).decode
read_type = msgspec.json.Decoder(_Typed).decode

KNOWN_EVENTS = frozenset(
    {
        "message-start",
        "content-start",
        "content-delta",
        "content-end",
        "tool-plan-delta",
        "tool-call-start",
        "tool-call-delta",
        "tool-call-end",
        "citation-start",
        "citation-end",
        "message-end",
    }
)

FINISHES: dict[str, StopReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "TOOL_CALL": "calls",
    "MAX_TOKENS": "length",
    "ERROR_LIMIT": "length",
    "ERROR_TOXIC": "content_filter",
}
BROKEN_FINISHES = {
    "ERROR": Fault("unavailable", "the provider broke off: ERROR"),
    "TIMEOUT": Fault("silent", "the provider broke off: TIMEOUT"),
}


def decode_usage(usage: Json) -> Usage | None:
    """Read the counts of what the model saw and wrote; where they are missing, of what is billed."""
    if not isinstance(usage, dict):
        return None
    tokens, billed = counts_in(usage.get("tokens")), counts_in(usage.get("billed_units"))
    read = tokens.get("input_tokens") or billed.get("input_tokens", 0)
    written = tokens.get("output_tokens") or billed.get("output_tokens", 0)
    if not read and not written:
        return None
    searches = billed.get("search_units", 0)
    return clean_usage(read=read, cache_read=count(usage.get("cached_tokens")), written=written, searches=searches)


def decode_logprobs(logprobs: Json) -> tuple[Logprob, ...]:
    """Read one entry or a list of them; a text of several tokens gets the sum of their logprobs."""
    entries = logprobs if isinstance(logprobs, list) else [logprobs]
    found: list[Logprob] = []
    for entry in entries:
        text, values = as_object(entry).get("text"), as_object(entry).get("logprobs")
        if isinstance(text, str) and isinstance(values, list) and values:
            numbers = [float(value) for value in values if isinstance(value, int | float)]
            found.append(Logprob(text, tuple(text.encode("utf-8", "replace")), sum(numbers)))
    return tuple(found)
