"""What a Messages server sends, as types, and the small readings of it that need no state.

It lists only what is used. A content block and a piece of one are each a single type for all kinds, so that a kind
nobody knows yet is passed over instead of refused.

Source: https://platform.claude.com/docs/en/api/messages (2026-11-22), anthropic Python package 2.12.0.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from trunkline.adapters.decoding.usage import added, clean_usage, count, counts_in, writes
from trunkline.protocol.items import Annotation, FileCitation, Json, UrlCitation
from trunkline.stream.deltas import StopReason, Usage
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

    def reason(self, *, has_calls: bool) -> StopReason:
        """Why the answer ended; without a reason, as some hosts send null, it is the plain end."""
        stop = STOPS.get(self.stop_reason or "", "calls" if has_calls else "stop")
        return "stop" if stop == "calls" and not has_calls else stop

    @property
    def sequence(self) -> str | None:
        """The client's stop text that ended the answer, where it was one."""
        told = self.stop_sequence
        return told if self.stop_reason == "stop_sequence" and isinstance(told, str) else None

    @property
    def explanation(self) -> str:
        """Why an answer was refused, in words, where it was."""
        return _text(_field(self.stop_details, "explanation")) if self.stop_reason == "refusal" else ""

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

    content: list[Raw] | None = None
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
        return _said(container=self.container, context_management=edits, diagnostics=self.diagnostics)


class _Typed(Struct, frozen=True):
    type: str


read_event = msgspec.json.Decoder(Event).decode
read_head = msgspec.json.Decoder(Head).decode
read_body = msgspec.json.Decoder(Body).decode
_read_type = msgspec.json.Decoder(_Typed).decode


def is_known(data: bytes) -> bool:
    """Whether an event that could not be read is one that must be; bytes that are no event at all are."""
    try:
        return _read_type(data).type in KNOWN_EVENTS
    except UNREADABLE:
        return True


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


def decode_usage(told: dict[str, Json]) -> Usage:
    """Read the counts, with those of steps that are not in their sums: a compaction, and what an advisor said.

    Source: the type `BetaUsage` of the anthropic Python package 2.14, seen 2026-11-28.
    """
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
    later = {name: value for name, value in (told or {}).items() if _is_told(value) or name == "output_tokens"}
    return {**before, **later}


def _is_told(value: Json) -> bool:
    return any(value.values()) if isinstance(value, dict) else bool(value)


def _url_citation(url: Any, title: Any, start: int, end: int) -> UrlCitation | None:
    return UrlCitation(url=url, title=_text(title), start_index=start, end_index=end) if isinstance(url, str) else None


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _said(**members: Json) -> dict[str, Json]:
    return {name: value for name, value in members.items() if value is not None}


def _field(value: Json, name: str) -> Json:
    return value.get(name) if isinstance(value, dict) else None
