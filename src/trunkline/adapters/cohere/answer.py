"""Reads what Cohere's chat answers, streamed or whole, into deltas.

It does not judge whether an answer is good, and prices nothing: `usage.tokens` is told, though `billed_units` is what
the provider charges.

Theory of operation. An answer is a plan, content blocks, calls and citations, each a piece with its own index; a piece
gets a slot of ours when it is first heard. A whole body is the same pieces at once and takes the same way. A citation
points into the text of its block and may come before that text is out, so it waits until it is. Nothing is told before
the first piece, so that an error may still lead elsewhere; `message-end` ends all.

    message-start → (content-start → content-delta* → content-end | tool-plan-delta* | tool-call-start →
    tool-call-delta* → tool-call-end | citation-start → citation-end)* → message-end

Source: https://docs.cohere.com/reference/chat-stream (2026-11-22).
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.adapters.cohere.wire import (
    BROKEN_FINISHES,
    FINISHES,
    KNOWN_EVENTS,
    WireCall,
    WireCitation,
    WireContent,
    WireDelta,
    WireEvent,
    WireFunction,
    WireMessagePiece,
    decode_logprobs,
    decode_usage,
    read_body,
    read_event,
    read_type,
)
from trunkline.adapters.contract import Decoder
from trunkline.adapters.decoding import faults
from trunkline.adapters.decoding.calls import NAMELESS, says_nothing
from trunkline.adapters.decoding.halves import Halves
from trunkline.adapters.decoding.repeats import HeldStart
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import Annotation, FileCitation, Json, UrlCitation
from trunkline.protocol.request import Request
from trunkline.stream.deltas import (
    Arguments,
    Citation,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Reasoning,
    Spent,
    Stopped,
    Text,
)
from trunkline.stream.stopping import sole_stop
from trunkline.wire import UNREADABLE, Fault, WireMessage


class _Block:
    """One content block: `length` counts the characters of its text that are out."""

    __slots__ = ("is_text", "length", "slot")

    def __init__(self, slot: int, *, is_text: bool) -> None:
        self.slot = slot
        self.is_text = is_text
        self.length = 0


class CohereDecoder(Decoder):
    """One answer."""

    def __init__(self, request: Request, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._wants_logprobs = bool(request.top_logprobs)
        self._sequence = sole_stop(request.stop)
        self._slots = 0
        self._blocks: dict[int, _Block] = {}
        self._held: dict[int, HeldStart] = {}
        self._calls: dict[int, int] = {}
        self._has_calls = False
        self._plan: int | None = None
        self._waiting: list[WireCitation] = []
        self._sources: dict[str, int] = {}
        self._is_over = False
        self.is_done = False
        self._halves = Halves()

    def message(self, message: WireMessage) -> Sequence[Delta]:
        if self._is_over:
            return ()
        try:
            event = read_event(message.data)
        except UNREADABLE:
            mended = self._halves.mended(message)
            if mended is not None:
                return self.message(mended)
            return self._unread(message.data)
        if event.type == "content-delta" and not self._waiting and not self._wants_logprobs:
            # Nearly every message is a piece of plain text.
            block = self._blocks.get(event.index)
            delta = event.delta
            if block is not None and block.length and delta is not None and delta.message is not None:
                content = delta.message.content
                if content.__class__ is WireContent and content.text and not content.thinking:
                    block.length += len(content.text)
                    return (Text(block.slot, content.text),)
        if event.type not in KNOWN_EVENTS:
            told = faults.stray(message.data, self._endpoint.quirks)
            return () if told is None else self._failed(told)
        return self._event(event)

    def whole(self, body: bytes) -> Sequence[Delta]:
        if self._is_over:
            return ()
        try:
            answer = read_body(body)
        except UNREADABLE:
            return self._failed(faults.unread("the answer is not a chat response", body, self._endpoint.quirks))
        if not isinstance(answer.message, WireMessagePiece):
            return self._failed(faults.unread("the answer has no message", body, self._endpoint.quirks))
        out: list[Delta] = []
        self._hear_message(answer.message, answer.logprobs, out)
        if not self._is_over:
            out += self._conclude(answer.finish_reason, answer.usage, None)
        return out

    def end(self) -> Sequence[Delta]:
        """An answer without `message-end` was cut off; citations whose text never came are lost with it."""
        if self._is_over or self._slots:
            return ()
        return self._failed(faults.nonsense("the provider gave an empty answer"))

    # Events

    def _unread(self, data: bytes) -> Sequence[Delta]:
        """An event that is not one: an error that stands alone, something unknown, or nonsense."""
        tidy = data.strip()
        if not tidy or tidy == b"[DONE]":
            return ()
        try:
            is_known = read_type(data).type in KNOWN_EVENTS
        except UNREADABLE:
            return self._failed(faults.unread("an event cannot be read", data, self._endpoint.quirks))
        return self._failed(faults.nonsense("an event cannot be read", data)) if is_known else ()

    def _event(self, event: WireEvent) -> list[Delta]:
        delta = event.delta or WireDelta()
        piece = delta.message or WireMessagePiece()
        out: list[Delta] = []
        match event.type:
            case "content-start" if isinstance(piece.content, WireContent):
                if piece.content.text:
                    self._held[event.index] = HeldStart(piece.content.text)
                    self._blocks.pop(event.index, None)
                else:
                    self._hear_content(event.index, piece.content, event.logprobs, out)
            case "content-delta" if isinstance(piece.content, WireContent):
                if event.index in self._held and piece.content.text:
                    self._go_on(event.index, piece.content.text, out)
                else:
                    self._hear_content(event.index, piece.content, event.logprobs, out)
            case "content-end":
                self._end_content(event.index, out)
            case "tool-plan-delta":
                self._hear_plan(piece.tool_plan, out)
            case "tool-call-start" | "tool-call-delta" if isinstance(piece.tool_calls, WireCall):
                if event.type == "tool-call-start":
                    # Servers that number every call 0 begin another one so.
                    self._calls.pop(event.index, None)
                self._hear_call(event.index, piece.tool_calls, out)
            case "tool-call-end":
                if event.index in self._calls:
                    out.append(Closed(self._calls[event.index]))
            case "citation-start":
                if isinstance(piece.citations, WireCitation):
                    self._hear_citations([piece.citations], out, is_last=False)
            case "message-end":
                self.is_done = True
                for index in [*self._held]:
                    self._release(index, out)
                return out + self._conclude(delta.finish_reason, delta.usage, delta.error)
            case _:
                pass
        return out

    # Pieces

    def _hear_message(self, piece: WireMessagePiece, logprobs: list[Json] | None, out: list[Delta]) -> None:
        self._hear_plan(piece.tool_plan, out)
        content = [WireContent(text=piece.content)] if isinstance(piece.content, str) else piece.content
        contents = content if isinstance(content, list) else [content] if content is not None else []
        last_text = max((index for index, block in enumerate(contents) if block.text), default=None)
        for index, block in enumerate(contents):
            # Logprobs stand beside the message; they are told with the text they belong to.
            self._hear_content(index, block, logprobs if index == last_text else None, out)
            if not block.text:
                self._end_content(index, out)
        calls = piece.tool_calls if isinstance(piece.tool_calls, list) else []
        self._hear_citations(piece.citations if isinstance(piece.citations, list) else [], out, is_last=True)
        for index, call in enumerate(calls):
            if self._is_over:
                return
            self._hear_call(index, call, out)
            if index in self._calls:
                out.append(Closed(self._calls[index]))

    def _slot(self) -> int:
        self._slots += 1
        return self._slots - 1

    def _hear_content(self, index: int, content: WireContent, logprobs: Json, out: list[Delta]) -> None:
        if content.thinking:
            block = self._block(index, is_text=False)
            out.append(Reasoning(block.slot, content.thinking))
        if content.text:
            block = self._block(index, is_text=True)
            block.length += len(content.text)
            out.append(Text(block.slot, content.text, decode_logprobs(logprobs) if self._wants_logprobs else ()))
            self._cite(out, is_last=False)

    def _block(self, index: int, *, is_text: bool) -> _Block:
        block = self._blocks.get(index)
        if block is None or block.is_text != is_text:
            block = self._blocks[index] = _Block(self._slot(), is_text=is_text)
        return block

    def _go_on(self, index: int, text: str, out: list[Delta]) -> None:
        """Tell the next piece of a text, and before it what the start of its block held."""
        told = self._held[index].feed(text)
        if told is not None:
            del self._held[index]
            self._hear_content(index, WireContent(text=told), None, out)

    def _release(self, index: int, out: list[Delta]) -> None:
        held = self._held.pop(index, None)
        if held is not None:
            self._hear_content(index, WireContent(text=held.end()), None, out)

    def _end_content(self, index: int, out: list[Delta]) -> None:
        """Close a block of thought; text stays open for citations that come late."""
        self._release(index, out)
        block = self._blocks.get(index)
        if block is not None and not block.is_text:
            out.append(Closed(block.slot))

    def _hear_plan(self, plan: str | None, out: list[Delta]) -> None:
        if not plan:
            return
        if self._plan is None:
            self._plan = self._slot()
        out.append(Reasoning(self._plan, plan))

    def _hear_call(self, index: int, call: WireCall, out: list[Delta]) -> None:
        function = call.function or WireFunction()
        if index not in self._calls:
            if not function.name:
                if not says_nothing(function.arguments or ""):
                    out += self._failed(faults.nonsense(NAMELESS))
                return
            self._has_calls = True
            self._calls[index] = self._slot()
            out.append(FunctionCall(self._calls[index], call.id or "", function.name))
        if function.arguments:
            out.append(Arguments(self._calls[index], function.arguments))

    # Citations

    def _hear_citations(self, citations: list[WireCitation], out: list[Delta], *, is_last: bool) -> None:
        # Those of plans and thoughts have no place on our side.
        self._waiting += [citation for citation in citations if citation.type in (None, "TEXT_CONTENT")]
        self._cite(out, is_last=is_last)

    def _cite(self, out: list[Delta], *, is_last: bool) -> None:
        """Tell the citations whose text is out; at the end those that reach beyond it, cut to its length."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for citation in waiting:
            block = self._cited_block(citation)
            start, end = max(citation.start or 0, 0), max(citation.end or 0, 0)
            if block is not None and (end <= block.length or is_last):
                end = min(end, block.length)
                for source in citation.sources or ():
                    if (annotation := self._annotation(source, min(start, end), end)) is not None:
                        out.append(Citation(block.slot, annotation))
            elif not is_last:
                self._waiting.append(citation)

    def _cited_block(self, citation: WireCitation) -> _Block | None:
        """The text cited; None while it has not begun."""
        if citation.content_index is not None:
            block = self._blocks.get(citation.content_index)
            return block if block is not None and block.is_text else None
        return next((block for block in self._blocks.values() if block.is_text), None)

    def _annotation(self, source: Json, start: int, end: int) -> Annotation | None:
        """A page where the source has an address, else a file under the name the provider gave the source."""
        if not isinstance(source, dict):
            return None
        told = source.get("document") or source.get("tool_output")
        told = told if isinstance(told, dict) else {}
        url, title, name = told.get("url"), told.get("title"), source.get("id") or told.get("id")
        if isinstance(url, str) and url:
            return UrlCitation(url, title if isinstance(title, str) else "", start, end)
        if not isinstance(name, str) or not name:
            return None
        index = self._sources.setdefault(name, len(self._sources))
        return FileCitation(file_id=name, filename=title if isinstance(title, str) and title else name, index=index)

    # The end

    def _conclude(self, finish: str | None, usage: Json, error: Json) -> list[Delta]:
        out: list[Delta] = []
        self._cite(out, is_last=True)
        if (spent := decode_usage(usage)) is not None:
            out.append(Spent(spent))
        finish = (finish or "").upper()
        if error:
            return self._failed(faults.fault_of_error(error, self._endpoint.quirks), out)
        if finish in BROKEN_FINISHES:
            return self._failed(BROKEN_FINISHES[finish], out)
        self._is_over = True
        # The end mark came: without a reason it is the plain end.
        reason = FINISHES.get(finish, "stop")
        if reason in ("stop", "calls"):
            reason = "calls" if self._has_calls else "stop"
        out.append(Stopped(reason, self._sequence if finish == "STOP_SEQUENCE" else None))
        return out

    def _failed(self, fault: Fault, before: Sequence[Delta] = ()) -> list[Delta]:
        self._is_over = True
        return [*before, Failed(fault)]
