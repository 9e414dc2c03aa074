"""Reads Chat Completions answers: chunks and whole bodies → deltas.

Does not judge whether an answer is good; it says what was heard, and says `Failed` where a server breaks its own
language beyond what the sloppy ones are known to do. Sources: section 3 of the dialects notes;
https://platform.openai.com/docs/api-reference/chat-streaming, seen 2026-11-22.

Theory of operation. A whole body is one big chunk whose `message` stands where a chunk has `delta`, so both take the
same way. Pieces are numbered by one counter, as slots. Thought ends text and text ends thought; either beginning again
is a new piece. A tool call is known by its wire index and stays open until a later piece begins and its arguments are
whole. Nothing is said before there is something to say – `Began` waits for the first output or the finish – so that
an error in the first chunk still finds another provider. The finish is kept until `[DONE]` or the end of the bytes,
since usage follows it. A chunk that only continues the text, as nearly all do, is told from the rest at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from trunkline.adapters.chat.wire import (
    WireCall,
    WireChunk,
    WirePiece,
    arguments_of,
    decode_citation,
    decode_logprobs,
    decode_source,
    decode_usage,
    image_address,
    is_success,
    read_chunk,
    read_leniently,
    signature_of,
    text_of,
)
from trunkline.adapters.contract import Decoder
from trunkline.adapters.decoding import faults
from trunkline.adapters.decoding.calls import NAMELESS, says_nothing
from trunkline.adapters.decoding.halves import Halves
from trunkline.adapters.decoding.repeats import Cumulative
from trunkline.adapters.decoding.strange import read_json, read_loosely
from trunkline.adapters.decoding.tags import TagSplitter
from trunkline.adapters.media import inline
from trunkline.adapters.thinking import GEMINI_FORMAT, effort, format_named
from trunkline.catalog.entries import Endpoint
from trunkline.errors import BadRequest
from trunkline.protocol.data_urls import is_data_url
from trunkline.protocol.items import Json, UrlCitation
from trunkline.protocol.request import Request
from trunkline.stream.deltas import (
    Arguments,
    Citation,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Image,
    Reasoning,
    ReasoningSeal,
    ReasoningSummary,
    Refusal,
    Search,
    Spent,
    Stopped,
    StopReason,
    Text,
)
from trunkline.stream.seals import seal
from trunkline.wire import UNREADABLE, Fault, WireMessage

_FINISHES: dict[str, StopReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "tool_calls": "calls",
    "tool_use": "calls",
    "function_call": "calls",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "safety": "content_filter",
}
_BROKEN_FINISHES = frozenset({"error", "network_error", "abort", "aborted"})

ServiceTier = Literal["auto", "default", "flex", "priority", "scale"]
_TIERS: dict[str, ServiceTier] = {
    "auto": "auto",
    "default": "default",
    "flex": "flex",
    "priority": "priority",
    "scale": "scale",
}

_MARK = re.compile(r"\[(\d{1,3})\]")


class _Call:
    """One tool call; it is announced once its name is known."""

    __slots__ = ("arguments", "call_id", "is_announced", "is_closed", "name", "slot")

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.call_id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.is_announced = False
        self.is_closed = False

    @property
    def is_whole(self) -> bool:
        text = "".join(self.arguments)
        if not text.rstrip().endswith("}"):
            return False
        try:
            return isinstance(read_json(text), dict)
        except UNREADABLE:
            return False


class ChatDecoder(Decoder):
    """One answer. `answers_in_tool`: the text comes as the arguments of a call that we forced."""

    def __init__(self, request: Request, endpoint: Endpoint, *, answers_in_tool: bool = False) -> None:
        quirks = endpoint.quirks
        self._endpoint = endpoint
        self._quirks = quirks
        self._answers_in_tool = answers_in_tool
        self._wants_logprobs = bool(request.top_logprobs)
        self._keeps_text = quirks.web_search != "none"
        is_cumulative = quirks.deltas == "cumulative"
        self._texts = Cumulative() if is_cumulative else None
        self._thoughts = Cumulative() if is_cumulative else None
        has_tags = quirks.think_tags != "never"
        self._is_plain = not (answers_in_tool or self._keeps_text or has_tags or is_cumulative)
        self._splitter: TagSplitter | None = None
        if has_tags:
            is_opened = quirks.think_tags == "opened" and effort(request.reasoning) != "none"
            self._splitter = TagSplitter(quirks.think_tag, is_opened=is_opened)
        self._slots = 0
        self._thought: int | None = None
        self._text: int | None = None
        self._calls: list[_Call] = []
        self._call_by_key: dict[int | str, _Call] = {}
        self._call: _Call | None = None
        self._has_told = self._has_said = self._has_thought = self._has_drawn = False
        self.is_done = False
        self._is_over = False
        self._finish: str | None = None
        self._usage: Json = None
        self._tier: ServiceTier | None = None
        self._said: list[str] = []
        self._aside: list[str] = []
        self._uncited: list[UrlCitation] = []
        self._sources: list[Json] = []
        self._has_searched = False
        self._has_citations = False
        self._halves = Halves()

    def message(self, message: WireMessage) -> Sequence[Delta]:
        if self._is_over:
            return ()
        data = message.data
        try:
            chunk = read_chunk(data)
        except UNREADABLE:
            mended = self._halves.mended(message)
            if mended is not None:
                return self.message(mended)
            return self._unread(data)
        slot, choices = self._text, chunk.choices
        if slot is not None and choices and self._is_plain and chunk.usage is None and chunk.error is None:
            choice = choices[0]
            piece = choice.delta
            if (
                piece is not None
                and piece.content.__class__ is str
                and choice.finish_reason is None
                and choice.logprobs is None
                and piece.tool_calls is None
                and piece.reasoning_content is None
                and piece.reasoning is None
                and piece.reasoning_details is None
                and piece.function_call is None
                and piece.refusal is None
                and piece.annotations is None
                and piece.images is None
                and piece.audio is None
                and choice.usage is None
                and choice.error is None
            ):
                return (Text(slot, piece.content),) if piece.content else ()
        if message.name == "error" and not chunk.choices:
            return self._failed(faults.fault_of_error(read_loosely(data), self._quirks))
        return self._chunk(chunk, data)

    def whole(self, body: bytes) -> Sequence[Delta]:
        if self._is_over:
            return ()
        try:
            chunk = read_chunk(body)
        except UNREADABLE:
            loose = read_leniently(body)
            if loose is None:
                return self._failed(faults.unread("the answer is not a chat completion", body, self._quirks))
            chunk = loose
        if chunk.choices is None and chunk.error is None and is_success(chunk.base_resp):
            return self._failed(faults.unread("the answer has no choices", body, self._quirks))
        out = [*self._chunk(chunk, body)]
        return out if self._is_over else [*out, *self._conclude(is_done=True)]

    def end(self) -> Sequence[Delta]:
        """Say what was held back; an answer that neither finished nor said `[DONE]` is left without `Stopped`."""
        return () if self._is_over else self._conclude(is_done=False)

    # Messages

    def _unread(self, data: bytes) -> Sequence[Delta]:
        tidy = data.strip()
        if tidy == b"[DONE]":
            self.is_done = True
            return self._conclude(is_done=True)
        if not tidy:
            return ()
        chunk = read_leniently(data)
        if chunk is None and self._finish is not None:
            return ()  # what cannot be read after the finish takes nothing away from the answer
        if chunk is None:
            return self._failed(faults.unread("a chunk of the answer is not readable", data, self._quirks))
        return self._chunk(chunk, data)

    def _chunk(self, chunk: WireChunk, data: bytes) -> Sequence[Delta]:
        out: list[Delta] = []
        if chunk.error or not is_success(chunk.base_resp):
            return self._failed(faults.fault_of_error(read_loosely(data), self._quirks))
        if chunk.citations is not None or chunk.search_results is not None or chunk.web_search is not None:
            self._hear_sources(chunk.search_results or chunk.web_search or chunk.citations or [], out)
        if chunk.usage is not None:
            self._usage = chunk.usage
        elif chunk.x_groq is not None and isinstance(chunk.x_groq, dict) and chunk.x_groq.get("usage"):
            self._usage = chunk.x_groq["usage"]
        if chunk.service_tier is not None:
            self._tier = _TIERS.get(chunk.service_tier) if isinstance(chunk.service_tier, str) else None
        choices = chunk.choices
        if choices:
            choice = choices[0]
            if choice.error is not None:
                return self._failed(faults.fault_of_error(choice.error, self._quirks))
            if choice.usage is not None and chunk.usage is None:
                self._usage = choice.usage
            piece = choice.delta
            if piece is None and choice.message is not None:
                piece = self._untold(choice.message) if self._has_told else choice.message
            if piece is not None:
                self._piece(piece, choice.logprobs, out)
            if choice.finish_reason:
                if choice.finish_reason.lower() in _BROKEN_FINISHES:
                    message = f"the provider broke off: {choice.finish_reason}"
                    return [*(out if self._has_told else ()), *self._failed(Fault("unavailable", message))]
                self._finish = choice.finish_reason.lower()
        elif choices is None and chunk.usage is None and (fault := self._stray_error(data)):
            return self._failed(fault)
        if out:
            self._has_told = True
        if chunk.usage is not None and self._has_told:
            self._spend(out)
        return out

    def _stray_error(self, data: bytes) -> Fault | None:
        """An error that is spread over the chunk itself instead of standing under `error`."""
        found = read_loosely(data)
        if not isinstance(found, dict) or not isinstance(found.get("message") or found.get("detail"), str | list):
            return None
        is_named = found.get("object") == "error" or found.get("type") == "error" or "detail" in found
        if is_named or found.get("code") or found.get("status_code"):
            return faults.fault_of_error(found, self._quirks)
        return None

    def _untold(self, message: WirePiece) -> WirePiece:
        """What no delta told of a whole message at the end of a stream, where MiniMax says everything again."""
        return WirePiece(
            content=None if self._has_said else message.content,
            reasoning_content=None if self._has_thought else message.reasoning_content,
            reasoning=None if self._has_thought else message.reasoning,
            reasoning_details=None if self._has_thought else message.reasoning_details,
            tool_calls=None if self._calls else message.tool_calls,
            function_call=None if self._calls else message.function_call,
            refusal=None if self._has_said else message.refusal,
            annotations=None if self._has_citations else message.annotations,
            images=None if self._has_drawn else message.images,
        )

    def _piece(self, piece: WirePiece, logprobs: Json, out: list[Delta]) -> None:
        details = piece.reasoning_details
        if not details or not any(isinstance(entry, dict) and _has_words(entry) for entry in details):
            # Details that only seal stand beside the text of the thought (OpenRouter).
            if piece.reasoning_content:
                self._think_anew(text_of(piece.reasoning_content), out)
            elif piece.reasoning:
                self._think_anew(text_of(piece.reasoning), out)
        if details:
            self._hear_details(details, out)
        content = piece.content
        if self._texts is not None and content:
            content = self._texts.news(text_of(content))
        if content:
            if type(content) is str:
                if self._splitter is None and not self._answers_in_tool:
                    self._say(content, out, logprobs)
                else:
                    self._hear_text(content, out)
            else:
                self._hear_parts(content, out)
        if piece.refusal:
            self._refuse(piece.refusal, out)
        if piece.annotations:
            self._hear_annotations(piece.annotations, out)
        if piece.images:
            self._hear_images(piece.images, out)
        if piece.audio is not None and isinstance(piece.audio, dict) and piece.audio.get("transcript"):
            self._say(str(piece.audio["transcript"]), out)
        if piece.tool_calls:
            for position, call in enumerate(piece.tool_calls):
                self._hear_call(call, position, len(piece.tool_calls) > 1, out)
        elif piece.function_call is not None:
            self._hear_call(WireCall(0, None, piece.function_call), 0, False, out)

    def _slot(self) -> int:
        self._slots += 1
        return self._slots - 1

    # Text and thought

    def _say(self, text: str, out: list[Delta], logprobs: Json = None) -> None:
        if self._text is None:
            self._open_text(out)
        if self._keeps_text:
            self._said.append(text)
        if logprobs is not None and self._wants_logprobs:
            out.append(Text(self._text, text, decode_logprobs(logprobs)))
        else:
            out.append(Text(self._text, text))

    def _open_text(self, out: list[Delta]) -> None:
        self._has_said = True
        self._thought = None
        self._close_call(out)
        self._text = self._slot()
        out.extend(Citation(self._text, citation) for citation in self._uncited)
        self._uncited.clear()

    def _refuse(self, text: str, out: list[Delta]) -> None:
        if self._text is None:
            self._open_text(out)
        out.append(Refusal(self._text, text))

    def _hear_text(self, text: str, out: list[Delta]) -> None:
        """Text that may hold thought in tags, or may be beside the call we forced."""
        for side, piece in self._splitter.feed(text) if self._splitter is not None else [("text", text)]:
            self._hear_side(side, piece, out)

    def _hear_side(self, side: str, piece: str, out: list[Delta]) -> None:
        if side == "thought":
            self._think(piece, out)
        elif self._answers_in_tool:
            self._aside.append(piece)
        else:
            self._say(piece, out)

    def _think_anew(self, text: str, out: list[Delta]) -> None:
        self._think(text if self._thoughts is None else self._thoughts.news(text), out)

    def _think(self, text: str, out: list[Delta]) -> None:
        if text:
            out.append(Reasoning(self._open_thought(out), text))

    def _open_thought(self, out: list[Delta]) -> int:
        if self._thought is None:
            self._has_thought = True
            self._end_text(out)
            self._close_call(out)
            self._thought = self._slot()
        return self._thought

    def _end_text(self, out: list[Delta]) -> None:
        if self._text is not None:
            self._cite_marks(out)
            self._text = None
            self._said.clear()

    def _hear_details(self, details: list[Json], out: list[Delta]) -> None:
        for entry in details:
            if not isinstance(entry, dict):
                continue
            if text := entry.get("text"):
                self._think(text_of(text), out)
            if summary := entry.get("summary"):
                index = entry.get("index")
                part = index if isinstance(index, int) and not isinstance(index, bool) else 0
                out.append(ReasoningSummary(self._open_thought(out), text_of(summary), part))
            self._hear_seal(entry, out)

    def _hear_seal(self, entry: dict[str, Json], out: list[Delta]) -> None:
        blob, signature = entry.get("data"), entry.get("signature")
        form = format_named(entry.get("format"))
        if isinstance(blob, str) and blob:
            origin = entry.get("id")
            sealed = seal(blob, self._endpoint.id, origin if isinstance(origin, str) else "")
            out.append(ReasoningSeal(self._open_thought(out), encrypted=sealed, format=form))
        if isinstance(signature, str) and signature:
            out.append(ReasoningSeal(self._open_thought(out), signature=signature, format=form))

    def _hear_parts(self, content: Json, out: list[Delta]) -> None:
        """Content as a list of parts, as some servers send it."""
        for part in content if isinstance(content, list) else [content]:
            if not isinstance(part, dict):
                self._hear_text(text_of(part), out)
            elif "thinking" in part:
                self._think(text_of(part["thinking"]), out)
                self._hear_seal({"signature": part.get("signature")}, out)
            elif part.get("type") in ("image_url", "image"):
                self._hear_images([part], out)
            elif part.get("refusal"):
                self._refuse(text_of(part["refusal"]), out)
            else:
                self._hear_text(text_of(part), out)

    # Citations and searches

    def _hear_annotations(self, annotations: list[Json], out: list[Delta]) -> None:
        for annotation in annotations:
            citation = decode_citation(annotation)
            if citation is None:
                continue
            self._has_citations = True
            if self._text is None:
                self._uncited.append(citation)
            else:
                out.append(Citation(self._text, citation))

    def _hear_sources(self, sources: list[Json], out: list[Delta]) -> None:
        if not sources:
            return
        self._sources = sources
        if not self._has_searched and self._text is None:
            self._report_search(out)

    def _report_search(self, out: list[Delta]) -> None:
        self._has_searched = True
        self._thought = None
        out.append(Search(self._slot(), "web", "completed"))

    def _cite_marks(self, out: list[Delta]) -> None:
        """Join the `[n]` marks of the text with the provider's numbered list of sources."""
        if not self._sources or self._has_citations or self._text is None:
            return
        for mark in _MARK.finditer("".join(self._said)):
            number = int(mark[1])
            if 1 <= number <= len(self._sources):
                url, title = decode_source(self._sources[number - 1])
                if url:
                    out.append(Citation(self._text, UrlCitation(url, title, mark.start(), mark.end())))

    def _hear_images(self, images: list[Json], out: list[Delta]) -> None:
        self._has_drawn = True
        for image in images:
            url = image_address(image)
            if url and is_data_url(url):
                try:
                    found = inline(url)
                except BadRequest:
                    continue
                if found is not None:
                    self._thought = None
                    self._end_text(out)
                    slot = self._slot()
                    out += [Image(slot, found.data, True, found.media_type), Closed(slot)]
            elif url:
                # A link cannot be an image item, whose result is data; as text it is at least not lost.
                self._say(f"![image]({url})", out)

    # Calls

    def _hear_call(self, wire: WireCall, position: int, has_others: bool, out: list[Delta]) -> None:
        function = wire.function
        name = function.name if function is not None else None
        arguments = arguments_of(function.arguments) if function is not None else ""
        call = self._find_call(wire, name, arguments, position, has_others, out)
        if call is None or call.is_closed or function is None:
            return
        if name and not call.is_announced:
            call.name = name
        if self._texts is not None:
            before = "".join(call.arguments)
            arguments = arguments.removeprefix(before)
        if self._answers_in_tool:
            if arguments and call is self._calls[0]:
                call.arguments.append(arguments)
                self._say(arguments, out)
            return
        if call.name and not call.is_announced:
            call.is_announced = True
            if signature := signature_of(wire):
                out.append(ReasoningSeal(self._open_thought(out), signature=signature, format=GEMINI_FORMAT))
                self._thought = None
            out.append(FunctionCall(call.slot, call.call_id, call.name))
            if held := "".join(call.arguments):
                out.append(Arguments(call.slot, held))
        if arguments:
            call.arguments.append(arguments)
            if call.is_announced:
                out.append(Arguments(call.slot, arguments))

    def _find_call(
        self, wire: WireCall, name: str | None, arguments: str, position: int, has_others: bool, out: list[Delta]
    ) -> _Call | None:
        """The call a piece belongs to; None where it is a stub that no call was begun for.

        By its index; without one by its id, by its place among several, else to the latest. Some servers number every
        call 0: a known index with another id and a name is a new call, and so is one without an id whose name comes
        again after arguments that are whole.
        """
        latest = self._call
        key: int | str
        if wire.index is not None:
            key = wire.index
        elif wire.id:
            key = wire.id
        elif has_others:
            key = position
        elif latest is not None and not (name and latest.is_whole):
            return latest
        else:
            key = len(self._calls)
        call = self._call_by_key.get(key)
        if call is None and not name and not wire.id and says_nothing(arguments):
            return None
        if call is None or (name and self._is_another(call, wire.id, name, arguments)):
            call = self._call_by_key[key] = self._open_call(out)
        call.call_id = call.call_id or wire.id or ""
        self._call = call
        return call

    def _is_another(self, call: _Call, call_id: str | None, name: str, arguments: str) -> bool:
        """Whether a name at a known index begins a call of its own."""
        if call_id:
            return call.call_id not in ("", call_id)
        if self._texts is not None or (name == call.name and not arguments):
            return False
        return call.is_whole

    def _open_call(self, out: list[Delta]) -> _Call:
        if not self._answers_in_tool:
            self._thought = None
            self._end_text(out)
            self._close_call(out)
        call = _Call(self._slot())
        self._calls.append(call)
        return call

    def _close_call(self, out: list[Delta]) -> None:
        """Close the latest call if its arguments are whole; another may go on beside what begins now."""
        call = self._call
        if call is not None and call.is_announced and not call.is_closed and call.is_whole:
            call.is_closed = True
            out.append(Closed(call.slot))

    # The end

    def _conclude(self, *, is_done: bool) -> Sequence[Delta]:
        self._is_over = True
        out: list[Delta] = []
        if self._splitter is not None:
            for side, piece in self._splitter.end():
                self._hear_side(side, piece, out)
        if self._aside and self._text is None:
            self._say("".join(self._aside), out)
        nameless = [call for call in self._calls if not call.is_announced and not self._answers_in_tool]
        if any(not says_nothing("".join(call.arguments)) for call in nameless):
            return self._failed(faults.nonsense(NAMELESS))
        is_good = self._finish is not None or (is_done and (self._has_told or bool(out)))
        if not is_good and not self._has_told and not out:
            return self._failed(faults.nonsense("the provider gave an empty answer"))
        if self._sources and not self._has_searched:
            self._end_text(out)
            self._report_search(out)
        else:
            self._cite_marks(out)
        self._spend(out)
        if is_good:
            out.append(Stopped(self._reason()))
        return out

    def _reason(self) -> StopReason:
        reason = _FINISHES.get(self._finish or "stop", "stop")
        if self._answers_in_tool:
            return "stop" if reason == "calls" else reason
        if reason in ("stop", "calls"):
            return "calls" if any(call.is_announced for call in self._calls) else "stop"
        return reason

    def _failed(self, fault: Fault) -> list[Delta]:
        self._is_over = True
        out: list[Delta] = []
        if self._has_told:
            self._spend(out)
        out.append(Failed(fault))
        return out

    def _spend(self, out: list[Delta]) -> None:
        usage = decode_usage(self._usage, self._quirks.adds_reasoning_tokens, self._has_searched)
        if usage is not None:
            out.append(Spent(usage, service_tier=self._tier))
            self._usage = None


def _has_words(entry: dict[str, Json]) -> bool:
    return bool(entry.get("text") or entry.get("summary"))
