"""What a Messages server sends, as types, and the small readings of it that need no state.

It lists only what is used. A content block and a piece of one are each a single type for all kinds, so that a kind
nobody knows yet is passed over instead of refused.

Source: https://platform.claude.com/docs/en/api/messages (2026-11-22), anthropic Python package 2.12.0.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from trunkline.adapters.decoding.usage import MAX_COUNT, added, clean_usage, count, counts_in, writes
from trunkline.protocol.items import Annotation, FileCitation, Json, UrlCitation
from trunkline.stream.deltas import Delta, Refusal, Stopped, StopReason, Usage
from trunkline.wire import UNREADABLE

"""What reading a stranger's JSON may raise."""

STOPS: dict[str, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


class Head(Struct, frozen=True):
    """A content block of any kind: empty where a stream opens it, filled in a whole body."""

    type: str
    text: str | None = None
    citations: list[Json] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = Raw(b"{}")
    tool_use_id: str | None = None
    content: Json = None
    caller: Json = None
    toolset_name: Json = None

    @property
    def called(self) -> dict[str, Json] | None:
        """What Anthropic says of a call to its own clients."""
        return _said(caller=self.caller, toolset_name=self.toolset_name) or None


class Piece(Struct, frozen=True, gc=False):
    """A `delta` of a content block of any kind."""

    type: str
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: Json = None
    content: Json = None
    encrypted_content: Json = None

    @property
    def compaction(self) -> dict[str, Json]:
        """What a piece says of a compaction."""
        return _said(content=self.content, encrypted_content=self.encrypted_content)


class Stop(Struct, frozen=True, gc=False):
    stop_reason: str | None = None
    stop_sequence: Json = None
    stop_details: Json = None
    container: Json = None

    @property
    def own(self) -> dict[str, Json]:
        """How the answer ended, as Anthropic says it to its own clients, where we have less words for it."""
        is_ours = self.stop_reason is None or self.stop_reason in STOPS
        details = self.stop_details if self.stop_reason == "refusal" and isinstance(self.stop_details, dict) else None
        return _said(stop_reason=None if is_ours else self.stop_reason, stop_details=details)


class Start(Struct, frozen=True, gc=False):
    usage: dict[str, Json] | None = None
    container: Json = None
    diagnostics: Json = None

    @property
    def own(self) -> dict[str, Json]:
        """What Anthropic says of the answer to its own clients."""
        if self.container is None and self.diagnostics is None:
            return {}
        return _said(container=self.container, diagnostics=self.diagnostics)


class MessageStart(Struct, frozen=True, tag_field="type", tag="message_start"):
    message: Start


class BlockStart(Struct, frozen=True, tag_field="type", tag="content_block_start"):
    index: int
    content_block: Raw


class BlockDelta(Struct, frozen=True, gc=False, tag_field="type", tag="content_block_delta"):
    index: int
    delta: Piece


class BlockStop(Struct, frozen=True, tag_field="type", tag="content_block_stop"):
    index: int


class MessageDelta(Struct, frozen=True, tag_field="type", tag="message_delta"):
    delta: Stop
    usage: dict[str, Json] | None = None
    context_management: Json = None

    @property
    def own(self) -> dict[str, Json]:
        """What Anthropic says of the answer to its own clients."""
        if self.delta.container is None and self.context_management is None:
            return {}
        return _said(container=self.delta.container, context_management=self.context_management)


class MessageStop(Struct, frozen=True, tag_field="type", tag="message_stop"):
    pass


class Ping(Struct, frozen=True, tag_field="type", tag="ping"):
    pass


class ErrorEvent(Struct, frozen=True, tag_field="type", tag="error"):
    error: Json


Event = MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop | Ping | ErrorEvent

KNOWN_EVENTS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    }
)


class Body(Struct, frozen=True):
    """A whole answer, or an error that came with a 200."""

    content: list[Head] | None = None
    stop_reason: str | None = None
    stop_sequence: Json = None
    stop_details: Json = None
    usage: dict[str, Json] | None = None
    container: Json = None
    context_management: Json = None
    diagnostics: Json = None
    error: Json = None

    @property
    def own(self) -> dict[str, Json]:
        """What Anthropic says of the answer to its own clients."""
        edits = self.context_management
        if self.container is None and edits is None and self.diagnostics is None:
            return {}
        return _said(container=self.container, context_management=edits, diagnostics=self.diagnostics)


class _Unread(Struct, frozen=True):
    content: list[Raw]


class _Typed(Struct, frozen=True):
    type: str


read_event = msgspec.json.Decoder(Event).decode
read_head = msgspec.json.Decoder(Head).decode
read_body = msgspec.json.Decoder(Body).decode
_read_unread = msgspec.json.Decoder(_Unread).decode
_read_type = msgspec.json.Decoder(_Typed).decode


def is_known(data: bytes) -> bool:
    """Whether an event that could not be read is one that must be; bytes that are no event at all are."""
    try:
        return _read_type(data).type in KNOWN_EVENTS
    except UNREADABLE:
        return True


def unread_blocks(body: bytes) -> list[Raw]:
    """The content blocks of a whole answer as they were written; there are some."""
    return _read_unread(body).content


def texts_alone(heads: list[Head]) -> list[str] | None:
    """What a content of texts says on which nothing hangs; None of any other."""
    texts = []
    for head in heads:
        if head.type != "text" or head.citations:
            return None
        if head.text:
            texts.append(head.text)
    return texts


_OURS = frozenset({"text", "thinking", "redacted_thinking", "tool_use", "web_search_tool_result"})


def is_own(head: Head) -> bool:
    """Whether a block means nothing to anybody but Anthropic and its clients."""
    if head.type == "server_tool_use":
        return head.name != "web_search"
    return head.type not in _OURS


def given_input(head: Head) -> str:
    """The arguments that came with the block itself, as compact JSON; empty when there are none."""
    text = msgspec.json.format(bytes(head.input), indent=-1).decode()
    return "" if text in ("{}", "null", '""') else text


def decode_citation(citation: Json, start: int, end: int) -> Annotation | None:
    """Read a citation of the text between `start` and `end`; None for a kind that has no place on our side."""
    if not isinstance(citation, dict):
        return None
    match citation.get("type"):
        case "web_search_result_location":
            return _url_citation(citation.get("url"), citation.get("title"), start, end)
        case "search_result_location":
            return _url_citation(citation.get("source"), citation.get("title"), start, end)
        case "char_location" | "page_location" | "content_block_location":
            index = count(citation.get("document_index"))
            title = _text(citation.get("document_title"))
            file_id = _text(citation.get("file_id")) or title or f"document-{index}"
            return FileCitation(file_id=file_id, filename=title, index=index)
        case _:
            return None


def decode_stop(stop: Stop, own: dict[str, Json] | None, *, has_calls: bool) -> list[Delta]:
    """Read why an answer ended; `own` is what else Anthropic says of it, None where the client does not know it.

    Without a reason, as some hosts send null, it is the plain end.
    """
    told = stop.stop_reason
    if told == "end_turn":  # nearly always
        return [Stopped("stop", None, own or None)]
    if own is not None:
        own = {**own, **stop.own}
    if told == "refusal" and (why := _text(_field(stop.stop_details, "explanation"))):
        # What it called by then may be half of a call.
        return [Refusal("refusal", why), Stopped("content_filter" if has_calls else "stop", None, own or None)]
    reason = STOPS.get(told or "", "calls" if has_calls else "stop")
    if reason == "calls" and not has_calls:
        reason = "stop"
    is_sequence = told == "stop_sequence" and isinstance(stop.stop_sequence, str)
    return [Stopped(reason, stop.stop_sequence if is_sequence else None, own or None)]


def decode_usage(told: dict[str, Json]) -> Usage:
    """Read the counts, with those of steps that are not in their sums: a compaction, and what an advisor said.

    Source: the type `BetaUsage` of the anthropic Python package 2.14, seen 2026-11-28.
    """
    usage = _usual_usage(told)
    if usage is not None:
        return usage
    usage, steps = _counted(told), told.get("iterations")
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict) and step.get("type") in ("compaction", "advisor_message"):
            usage = added(usage, _counted(step))
    return usage


def decode_tier(told: dict[str, Json]) -> Literal["priority", "ultrafast"] | None:
    """Read in which tier an answer was made; Anthropic's fast mode is what OpenAI calls `ultrafast`.

    https://platform.claude.com/docs/en/build-with-claude/fast-mode (2026-11-28): several times the usual price.
    """
    if told.get("speed") == "fast":
        return "ultrafast"
    return "priority" if told.get("service_tier") == "priority" else None


_USUAL = frozenset({"cache_creation_input_tokens", "cache_read_input_tokens", "input_tokens", "output_tokens"})
_UNCOUNTED = frozenset({"inference_geo", "service_tier", "speed"})
"""What stands among the counts and is none."""


def _usual_usage(told: dict[str, Json]) -> Usage | None:
    """Read counts as most servers tell them, in a third of the time; None where there may be more to them."""
    for name, value in told.items():
        is_count = type(value) is int and 0 <= value <= MAX_COUNT and name in _USUAL
        if not is_count and name not in _UNCOUNTED:
            return None
    cache_read, cache_write = told.get("cache_read_input_tokens", 0), told.get("cache_creation_input_tokens", 0)
    read = told.get("input_tokens", 0) + cache_read + cache_write
    return Usage(read, cache_read, cache_write, told.get("output_tokens", 0))


def _counted(told: dict[str, Json]) -> Usage:
    """Read one set of counts; the three kinds of input are apart on this wire and one sum in ours."""
    counts = counts_in(told)
    cache_read = counts.get("cache_read_input_tokens", 0)
    written = writes(told.get("cache_creation"))
    cache_write = counts.get("cache_creation_input_tokens") or written.tokens
    return clean_usage(
        read=counts.get("input_tokens", 0) + cache_read + cache_write,
        cache_read=cache_read,
        cache_write=cache_write,
        cache_write_1h=written.hour_tokens,
        written=counts.get("output_tokens", 0),
        reasoning=counts_in(told.get("output_tokens_details")).get("thinking_tokens", 0),
        searches=counts_in(told.get("server_tool_use")).get("web_search_requests", 0),
    )


def later_usage(before: dict[str, Json], told: dict[str, Json] | None) -> dict[str, Json]:
    """Lay what a later message tells over what an earlier one told.

    Counts are cumulative; some hosts send zeros at the end for the input that they told at the beginning.
    """
    later = before.copy()
    if told:
        for name, value in told.items():
            is_told = any(value.values()) if type(value) is dict else value
            if is_told or name == "output_tokens":
                later[name] = value
    return later


def _url_citation(url: Any, title: Any, start: int, end: int) -> UrlCitation | None:
    return UrlCitation(url=url, title=_text(title), start_index=start, end_index=end) if isinstance(url, str) else None


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _said(**members: Json) -> dict[str, Json]:
    return {name: value for name, value in members.items() if value is not None}


def _field(value: Json, name: str) -> Json:
    return value.get(name) if isinstance(value, dict) else None
