"""Reads Chat Completions answers: chunks and whole bodies → deltas.

Does not judge whether an answer is good; it says what was heard, and says `Failed` where a server breaks its own
language beyond what the sloppy ones are known to do. Sources: section 3 of the dialects notes;
https://platform.openai.com/docs/api-reference/chat-streaming, seen 2026-11-22.

Theory of operation. A whole body is one big chunk whose `message` stands where a chunk has `delta`, so both take the
same way. Pieces are numbered by one counter, as slots; texts and thoughts are told by `texts.py`, and `calls.py` finds
the call a piece belongs to. Nothing is said before there is something to say – `Began` waits for the first output or
the finish – so that an error in the first chunk still finds another provider. The finish is kept until `[DONE]` or the
end of the bytes, since usage follows it. A chunk that only continues the text, as nearly all do, is told from the rest
at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from trunkline.adapters.chat.calls import Call, Calls
from trunkline.adapters.chat.texts import Texts
from trunkline.adapters.chat.wire import (
    WireCall,
    WireChoice,
    WireChunk,
    WirePiece,
    arguments_of,
    decode_usage,
    is_success,
    only_message,
    only_text,
    read_chunk,
    read_leniently,
    signature_of,
    text_of,
)
from trunkline.adapters.contract import Decoder
from trunkline.adapters.decoding import faults
from trunkline.adapters.decoding.calls import NAMELESS
from trunkline.adapters.decoding.halves import Halves
from trunkline.adapters.decoding.strange import read_loosely
from trunkline.adapters.decoding.template import Template
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import Json
from trunkline.protocol.request import Request
from trunkline.stream.deltas import (
    Arguments,
    Delta,
    Failed,
    FunctionCall,
    ServedTier,
    Slot,
    Spent,
    Stopped,
    StopReason,
    Text,
)
from trunkline.stream.seals import GEMINI_FORMAT
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
_DONE = b"[DONE]"
_BROKEN_FINISHES = frozenset({"error", "network_error", "abort", "aborted"})

_TIERS: dict[str, ServedTier] = {
    "auto": "auto",
    "default": "default",
    "flex": "flex",
    "priority": "priority",
    "scale": "scale",
    "ultrafast": "ultrafast",
    "standard": "default",
    "on_demand": "default",
    "fast": "priority",
}


class ChatDecoder(Decoder):
    """One answer. `answers_in_tool`: the text comes as the arguments of a call that we forced."""

    is_done = False
    _has_told = False
    _is_whole = False
    _is_over = False
    _finish: str | None = None
    _sequence: str | None = None
    _usage: Json = None
    _tier: ServedTier | None = None
    # Made when there is something to keep in them, which is never in most answers.
    _calls: Calls | None = None
    _halves: Halves | None = None
    _template: Template | None = None

    def __init__(self, request: Request, endpoint: Endpoint, *, answers_in_tool: bool = False) -> None:
        self._quirks = endpoint.quirks
        self._answers_in_tool = answers_in_tool
        self._is_cumulative = endpoint.quirks.deltas == "cumulative"
        self._slots = count()
        self._texts = Texts(request, endpoint, self._slots, answers_in_tool=answers_in_tool)
        self._is_plain = self._texts.is_plain
        self._stops = request.stop

    @property
    def held_back(self) -> int:
        return self._texts.held_back

    def message(self, message: WireMessage) -> Sequence[Delta]:
        if self._is_over:
            return ()
        data = message.data
        slot, template = self._texts.slot if self._is_plain else None, self._template
        if slot is not None and template is not None and (text := template.text_in(data)):
            return (Text(slot, text),)
        if data == _DONE and self._halves is None:
            return self._unread(data)
        try:
            chunk = read_chunk(data)
        except UNREADABLE:
            if self._halves is None:
                self._halves = Halves()
            mended = self._halves.mended(message)
            if mended is not None:
                return self.message(mended)
            return self._unread(data)
        text = only_text(chunk) if self._is_plain else None
        if slot is not None and text is not None:
            self._learn(data, text)
            return (Text(slot, text),) if text else ()
        if message.name == "error" and not chunk.choices:
            return self._failed(faults.fault_of_error(read_loosely(data), self._quirks))
        out = self._chunk(chunk, data)
        if text and len(out) == 1 and type(out[0]) is Text:
            # Most that come behind the first text are like it.
            self._learn(data, text)
        return out

    def continues(self, messages: Sequence[WireMessage], slot: Slot) -> list[str] | None:
        if slot != self._texts.slot or not self._is_plain or self._is_over:
            return None
        template = self._template
        if template is not None and len(messages) > 1 and (alike := template.texts_in(messages)) is not None:
            return alike
        texts: list[str] = []
        # What is no text stands at the end most often, where the answer ends.
        for message in reversed(messages):
            data = message.data
            text = (None if template is None else template.text_in(data)) or self._read_text(data)
            if not text:
                return None
            texts.append(text)
            template = self._template
        texts.reverse()
        return texts

    def _read_text(self, data: bytes) -> str | None:
        try:
            text = only_text(read_chunk(data))
        except UNREADABLE:
            return None
        if text:
            self._learn(data, text)
        return text

    def _learn(self, data: bytes, text: str) -> None:
        if self._template is None:
            self._template = Template(b'"content"')
        self._template.learn(data, text)

    def whole(self, body: bytes) -> Sequence[Delta]:
        if self._is_over:
            return ()
        self._is_whole = True
        try:
            chunk = read_chunk(body)
        except UNREADABLE:
            loose = read_leniently(body)
            if loose is None:
                return self._failed(faults.unread("the answer is not a chat completion", body, self._quirks))
            chunk = loose
        if chunk.choices is None and chunk.error is None and is_success(chunk.base_resp):
            return self._failed(faults.unread("the answer has no choices", body, self._quirks))
        if self._is_plain and (text := only_message(chunk)) and (told := self._only_said(chunk, text)) is not None:
            return told
        out = self._chunk(chunk, body)
        return out if self._is_over else [*out, *self._conclude(is_done=True)]

    def _only_said(self, chunk: WireChunk, text: str) -> Sequence[Delta] | None:
        """What most whole answers say, a text and its end, told in one step; None where the end is no usual one."""
        assert chunk.choices, "its text was in one"
        choice = chunk.choices[0]
        reason = _FINISHES.get(choice.finish_reason or "")
        if reason is None or self._stops or self._has_told:
            return None
        self._is_over = True
        out: list[Delta] = [Text(next(self._slots), text)]
        usage = decode_usage(chunk.usage, self._quirks.adds_reasoning_tokens)
        if usage is not None:
            tier = chunk.service_tier
            out.append(Spent(usage, service_tier=_TIERS.get(tier) if isinstance(tier, str) else None))
        out.append(Stopped("stop" if reason == "calls" else reason))
        return out

    def end(self) -> Sequence[Delta]:
        """Say what was held back; an answer that neither finished nor said `[DONE]` is left without `Stopped`."""
        return () if self._is_over else self._conclude(is_done=False)

    # Messages

    def _unread(self, data: bytes) -> Sequence[Delta]:
        tidy = data.strip()
        if tidy == _DONE:
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
        if self._template is not None:
            self._template.forget()
        out: list[Delta] = []
        fault: Fault | None = None
        if chunk.error or (chunk.base_resp is not None and not is_success(chunk.base_resp)):
            fault = faults.fault_of_error(read_loosely(data), self._quirks)
            if not self._keeps_output:
                return self._failed(fault)
        if chunk.citations is not None or chunk.search_results is not None or chunk.web_search is not None:
            self._texts.hear_sources(chunk.search_results or chunk.web_search or chunk.citations or [])
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
                fault = fault or faults.fault_of_error(choice.error, self._quirks)
                if not self._keeps_output:
                    return self._failed(fault)
            if choice.usage is not None and chunk.usage is None:
                self._usage = choice.usage
            piece = choice.delta
            if piece is None and choice.message is not None:
                piece = self._untold(choice.message) if self._has_told else choice.message
            if piece is not None:
                self._piece(piece, choice.logprobs, out)
            if choice.finish_reason:
                if choice.finish_reason.lower() in _BROKEN_FINISHES:
                    fault = fault or Fault("unavailable", f"the provider broke off: {choice.finish_reason}")
                    if not self._keeps_output:
                        return self._failed(fault)
                self._finish = choice.finish_reason.lower()
                self._sequence = self._stop_told(choice)
        elif choices is None and chunk.usage is None and fault is None and (stray := faults.stray(data, self._quirks)):
            return self._failed(stray)
        if out:
            self._has_told = True
        if fault is not None:
            return [*out, *self._failed(fault)]
        if chunk.usage is not None and self._has_told:
            self._spend(out)
        return out

    @property
    def _keeps_output(self) -> bool:
        """Whether what a failure comes with counts: not in a first chunk, so that another provider is asked."""
        return self._has_told or self._is_whole

    def _untold(self, message: WirePiece) -> WirePiece:
        """What no delta told of a whole message at the end of a stream, where MiniMax says everything again."""
        texts, has_called = self._texts, self._calls is not None and bool(self._calls.all)
        return WirePiece(
            content=None if texts.has_said else message.content,
            reasoning_content=None if texts.has_thought else message.reasoning_content,
            reasoning=None if texts.has_thought else message.reasoning,
            reasoning_details=None if texts.has_thought else message.reasoning_details,
            tool_calls=None if has_called else message.tool_calls,
            function_call=None if has_called else message.function_call,
            refusal=None if texts.has_said else message.refusal,
            annotations=None if texts.has_citations else message.annotations,
            images=None if texts.has_drawn else message.images,
        )

    def _piece(self, piece: WirePiece, logprobs: Json, out: list[Delta]) -> None:
        texts, details = self._texts, piece.reasoning_details
        if not details or not any(isinstance(entry, dict) and _has_words(entry) for entry in details):
            # Details that only seal stand beside the text of the thought (OpenRouter).
            if piece.reasoning_content:
                texts.think_anew(text_of(piece.reasoning_content), out)
            elif piece.reasoning:
                texts.think_anew(text_of(piece.reasoning), out)
        if details:
            texts.hear_details(details, out)
        if piece.content:
            texts.hear(piece.content, logprobs, out)
        if piece.refusal:
            texts.refuse(piece.refusal, out)
        if piece.annotations:
            texts.hear_annotations(piece.annotations, out)
        if piece.images:
            texts.hear_images(piece.images, out)
        if piece.audio is not None and isinstance(piece.audio, dict) and piece.audio.get("transcript"):
            texts.say(str(piece.audio["transcript"]), out)
        if piece.tool_calls:
            for position, call in enumerate(piece.tool_calls):
                self._hear_call(call, position, len(piece.tool_calls) > 1, out)
        elif piece.function_call is not None:
            self._hear_call(WireCall(0, None, piece.function_call), 0, False, out)

    # Calls

    def _hear_call(self, wire: WireCall, position: int, has_others: bool, out: list[Delta]) -> None:
        function = wire.function
        name = function.name if function is not None else None
        arguments = arguments_of(function.arguments) if function is not None else ""
        calls = self._calls
        if calls is None:
            calls = self._calls = self._texts.calls = Calls(is_cumulative=self._is_cumulative)
        before = calls.latest
        call = calls.find(wire, name, arguments, position, has_others)
        if call is not None and call.slot < 0:
            self._open_call(call, before, out)
        if call is None or call.is_closed or function is None:
            return
        if name and not call.is_announced:
            call.name = name
        if self._is_cumulative:
            arguments = arguments.removeprefix("".join(call.arguments))
        if self._answers_in_tool:
            if arguments and call is calls.all[0]:
                call.arguments.append(arguments)
                self._texts.say(arguments, out)
            return
        if call.name and not call.is_announced:
            call.is_announced = True
            if signature := signature_of(wire):
                self._texts.prove(out, form=GEMINI_FORMAT, signature=signature)
            out.append(FunctionCall(call.slot, call.call_id, call.name))
            if held := "".join(call.arguments):
                out.append(Arguments(call.slot, held))
        if arguments:
            call.arguments.append(arguments)
            if call.is_announced:
                out.append(Arguments(call.slot, arguments))

    def _open_call(self, call: Call, before: Call | None, out: list[Delta]) -> None:
        if not self._answers_in_tool:
            self._texts.end_open(out)
            if before is not None:
                before.close(out)
        call.slot = next(self._slots)

    # The end

    def _conclude(self, *, is_done: bool) -> Sequence[Delta]:
        self._is_over = True
        out: list[Delta] = []
        if not self._is_plain:
            self._texts.release(out, is_whole=is_done or self._finish is not None)
        if self._calls is not None and self._calls.has_nameless and not self._answers_in_tool:
            return self._failed(faults.nonsense(NAMELESS))
        is_good = self._finish is not None or (is_done and (self._has_told or bool(out)))
        if not is_good and not self._has_told and not out:
            return self._failed(faults.nonsense("the provider gave an empty answer"))
        self._texts.end(out)
        if self._usage is not None:
            self._spend(out)
        if is_good:
            out.append(Stopped(self._reason(), self._sequence))
        return out

    def _stop_told(self, choice: WireChoice) -> str | None:
        """The stop text that ended an answer, as vLLM and SGLang name it; of a token they tell its number.

        https://github.com/vllm-project/vllm/pull/2976, https://github.com/sgl-project/sglang/pull/1684 (2026-11-28).
        """
        if not self._stops:
            return None
        told = (choice.stop_reason, choice.matched_stop)
        return next((stop for stop in self._stops if stop in told), None)

    def _reason(self) -> StopReason:
        reason = _FINISHES.get(self._finish or "stop", "stop")
        if self._answers_in_tool:
            return "stop" if reason == "calls" else reason
        if reason in ("stop", "calls"):
            return "calls" if self._calls is not None and self._calls.has_announced else "stop"
        return reason

    def _failed(self, fault: Fault) -> list[Delta]:
        self._is_over = True
        out: list[Delta] = []
        if self._has_told:
            self._spend(out)
        out.append(Failed(fault))
        return out

    def _spend(self, out: list[Delta]) -> None:
        usage = decode_usage(self._usage, self._quirks.adds_reasoning_tokens, self._texts.has_searched)
        if usage is not None:
            out.append(Spent(usage, service_tier=self._tier))
            self._usage = None


def _has_words(entry: dict[str, Json]) -> bool:
    return bool(entry.get("text") or entry.get("summary"))
