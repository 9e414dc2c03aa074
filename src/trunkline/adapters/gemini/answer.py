"""Reads what generateContent answers, streamed or whole, into deltas.

It does not judge whether an answer is good; it says what was heard. What the provider did between the parts (code it
ran, moods of its safety filters) has no place on our side and is passed over.

Theory of operation. Every message, and a whole body, is a response with the next parts of one candidate; both take the
same way. Neighbouring texts are one text, neighbouring thoughts one thought; a part of another kind ends them. Nothing
is told before there is something to tell, so that an error in the first message may still lead elsewhere. There is no
end mark: the finish is kept until the bytes end, since usage (cumulative, the last counts) and sources may follow it,
and some versions name a finish in every message.

A signature belongs to the part it came on. On a call, a picture or the first piece of a text it is told before that
part, as the seal of the thought; on a later piece, or on the empty text at the end of a stream, after the text: a
thought told before that text is kept open for it. Where no thought was told, one on a text that is the whole rest of
the answer is told after it too, as that of the same text in a stream. Sources are offsets in bytes into the text, told
when that text ends. Searches come last: in a stream they mostly do, and an answer has one order.

Sources: https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/thought-signatures
(2026-11-22).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from msgspec import Raw
from msgspec.structs import replace

from trunkline.adapters.contract import Decoder
from trunkline.adapters.decoding import faults
from trunkline.adapters.decoding.calls import NAMELESS, says_nothing
from trunkline.adapters.decoding.halves import Halves
from trunkline.adapters.encoding.call_ids import hashed_id
from trunkline.adapters.gemini.sources import Grounding, cited, read_grounding
from trunkline.adapters.gemini.wire import (
    BROKEN_FINISHES,
    FINISHES,
    FORMAT,
    WireBlob,
    WireCall,
    WireCandidate,
    WirePart,
    WireResponse,
    compact,
    decode_logprobs,
    decode_tier,
    decode_usage,
    only_text,
    read_body,
    read_response,
)
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import Logprob
from trunkline.protocol.request import Request
from trunkline.stream.deltas import (
    Arguments,
    Citation,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Image,
    ReasoningSeal,
    ReasoningSummary,
    Search,
    Slot,
    Spent,
    Stopped,
    StopReason,
    Text,
    Usage,
)
from trunkline.wire import UNREADABLE, Fault, WireMessage


class GeminiDecoder(Decoder):
    """One answer."""

    is_done = False

    def __init__(self, request: Request, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._wants_logprobs = bool(request.top_logprobs or request.logprobs)
        self._turn = len(request.input)
        self._response_id = ""
        self._slots = 0
        self._thought: int | None = None
        self._unsealed: int | None = None
        self._text: int | None = None
        self._said: list[str] = []
        self._signature = ""
        self._grounding = Grounding()
        self._calls = 0
        self._images = 0
        self._usage = Raw()
        self._finish: str | None = None
        self._finish_message = ""
        self._is_blocked = False
        self._has_told = False
        self._is_over = False
        self._is_whole = False
        self._halves = Halves()

    def message(self, message: WireMessage) -> Sequence[Delta]:
        if self._is_over:
            return ()
        data = message.data
        try:
            response = read_response(data)
        except UNREADABLE:
            mended = self._halves.mended(message)
            if mended is not None:
                return self.message(mended)
            return self._unread(data)
        if self._text is not None and not self._signature and (text := only_text(response)):
            # Nearly every message is a piece of plain text.
            self._usage = response.usage_metadata or self._usage
            self._said.append(text)
            return (Text(self._text, text),)
        if response.candidates is None and not (response.error or response.prompt_feedback or response.usage_metadata):
            told = faults.stray(data, self._endpoint.quirks)
            if told is not None:
                return self._failed(told)
        return self._count_input(self._hear(response))

    def continues(self, messages: Sequence[WireMessage], slot: Slot) -> list[str] | None:
        if slot != self._text or self._signature or self._is_over:
            return None
        texts: list[str] = []
        usage = self._usage
        try:
            for message in messages:
                response = read_response(message.data)
                text = only_text(response)
                if not text:
                    return None
                texts.append(text)
                usage = response.usage_metadata or usage
        except UNREADABLE:
            return None
        self._usage = usage
        self._said += texts
        return texts

    @property
    def usage_member(self) -> bytes:
        return b'"usageMetadata":'

    def went_on(self, texts: Sequence[str], latest: WireMessage | None) -> None:
        self._said += texts
        if latest is not None:
            with suppress(*UNREADABLE):
                self._usage = read_response(latest.data).usage_metadata or self._usage

    def whole(self, body: bytes) -> Sequence[Delta]:
        """Decode a whole answer; a list of them is a stream that was asked for without `alt=sse`."""
        if self._is_over:
            return ()
        self._is_whole = True
        try:
            answer = read_body(body)
        except UNREADABLE:
            return self._failed(faults.unread("the answer is not a Gemini response", body, self._endpoint.quirks))
        responses = answer if isinstance(answer, list) else [answer]
        if not any(part.candidates or part.prompt_feedback or part.error for part in responses):
            return self._failed(faults.unread("the answer has no candidates", body, self._endpoint.quirks))
        out: list[Delta] = []
        for response in responses:
            out += self._hear(response)
            self._has_told = bool(out)
        # Without a finish the end of a whole body is its end.
        self._finish = self._finish or ("STOP" if self._slots else None)
        return [*out, *self.end()]

    def end(self) -> Sequence[Delta]:
        """Say what was held back; an answer without a finish was cut off."""
        if self._is_over:
            return ()
        out: list[Delta] = []
        self._end_text(out)
        self._report_searches(out)
        self._is_over = True
        if self._finish in BROKEN_FINISHES:
            message = f"the provider broke off: {self._finish} {self._finish_message}".rstrip()
            return self._failed(Fault("unavailable", message), out)
        is_finished = self._finish is not None or self._is_blocked
        if not is_finished and not self._has_told and not self._slots:
            return self._failed(faults.nonsense("the provider gave an empty answer"))
        self._spend(out)
        if is_finished:
            out.append(Stopped(self._reason()))
        return self._count_input(out)

    # Messages

    def _unread(self, data: bytes) -> Sequence[Delta]:
        """A message that is no response: an error in a list, or nonsense."""
        tidy = data.strip()
        if not tidy or tidy == b"[DONE]":
            return ()
        return self._failed(faults.unread("a message of the answer cannot be read", data, self._endpoint.quirks))

    def _hear(self, response: WireResponse) -> list[Delta]:
        if response.error is not None:
            return self._failed(faults.fault_of_error({"error": response.error}, self._endpoint.quirks))
        if response.usage_metadata:
            self._usage = response.usage_metadata
        self._response_id = response.response_id or self._response_id
        if isinstance(response.prompt_feedback, dict) and response.prompt_feedback.get("blockReason"):
            self._is_blocked = True
        out: list[Delta] = []
        for candidate in (response.candidates or ())[:1]:
            self._hear_candidate(candidate, out)
        return out

    def _hear_candidate(self, candidate: WireCandidate, out: list[Delta]) -> None:
        if candidate.grounding_metadata:
            self._grounding = self._grounding.updated(read_grounding(candidate.grounding_metadata))
        logprobs = decode_logprobs(candidate.logprobs_result) if self._wants_logprobs else ()
        parts = (candidate.content.parts if candidate.content is not None else None) or ()
        last = len(parts) - 1 if self._is_whole or candidate.finish_reason else None
        for place, part in enumerate(parts):
            if self._is_over:
                return
            self._hear_part(part, logprobs, out, is_last=place == last)
            if part.text and not part.thought:
                logprobs = ()
        if candidate.finish_reason:
            self._finish = candidate.finish_reason.upper()
            self._finish_message = candidate.finish_message or ""

    def _count_input(self, deltas: list[Delta]) -> list[Delta]:
        """Put the tokens known by then before the first thing told."""
        if self._has_told or not deltas or isinstance(deltas[0], Failed):
            return deltas
        self._has_told = True
        usage = None if self._is_over else self._used()
        # The output is still to come; should nobody hear the end, it has to be estimated.
        return deltas if usage is None else [Spent(replace(usage, estimated=True)), *deltas]

    # Parts

    def _hear_part(self, part: WirePart, logprobs: tuple[Logprob, ...], out: list[Delta], *, is_last: bool) -> None:
        if part.function_call is not None:
            self._hear_call(part.function_call, part.thought_signature, out)
        elif part.inline_data is not None and not part.thought:
            self._hear_image(part.inline_data, part.thought_signature, out)
        elif part.thought:
            # A sketch of a picture may stand here too, and is passed over.
            self._think(part.text or "", part.thought_signature, out)
        elif part.text or part.thought_signature:
            if part.thought_signature:
                self._hear_signature(part.thought_signature, out, is_on_rest=is_last and bool(part.text))
            if part.text:
                self._say(part.text, out, logprobs)

    def _slot(self) -> int:
        self._slots += 1
        return self._slots - 1

    def _hear_signature(self, signature: str, out: list[Delta], *, is_on_rest: bool) -> None:
        """Hear the signature of a text; `is_on_rest`: of one that is the whole rest of the answer."""
        if self._text is not None or (is_on_rest and self._unsealed is None):
            self._signature = signature
        else:
            self._seal(signature, out)

    def _say(self, text: str, out: list[Delta], logprobs: tuple[Logprob, ...] = ()) -> None:
        if self._text is None:
            if self._unsealed is not None:
                out.append(ReasoningSeal(self._unsealed, format=FORMAT, is_awaited=True))
            self._thought = None
            self._text = self._slot()
        self._said.append(text)
        out.append(Text(self._text, text, logprobs))

    def _end_text(self, out: list[Delta]) -> None:
        """Leave the text: its sources are told, and a signature that came on its later pieces."""
        slot, self._text = self._text, None
        if slot is not None:
            if self._grounding.supports:
                found = cited("".join(self._said), self._grounding)
                out.extend(Citation(slot, annotation) for annotation in found)
            self._said.clear()
        signature, self._signature = self._signature, ""
        unsealed, self._unsealed = self._unsealed, None
        if signature and unsealed is not None and slot is not None:
            out.append(self._proof(unsealed, signature))
        elif signature:
            self._seal(signature, out)
            self._thought = None

    def _think(self, text: str, signature: str | None, out: list[Delta]) -> None:
        if text or signature:
            self._end_text(out)
        if text:
            self._unsealed = self._open_thought()
            out.append(ReasoningSummary(self._unsealed, text))
        if signature:
            self._seal(signature, out)

    def _seal(self, signature: str, out: list[Delta]) -> None:
        """Put a signature on the open thought, else on one without text."""
        self._unsealed = None
        out.append(self._proof(self._open_thought(), signature))

    def _proof(self, slot: int, signature: str) -> ReasoningSeal:
        return ReasoningSeal(slot, signature=signature, format=FORMAT, endpoint_id=self._endpoint.id)

    def _open_thought(self) -> int:
        if self._thought is None:
            self._thought = self._slot()
        return self._thought

    def _hear_image(self, blob: WireBlob, signature: str | None, out: list[Delta]) -> None:
        if not blob.data or not blob.mime_type.startswith("image/"):
            return  # sounds, which have no place on our side
        self._end_text(out)
        if signature:
            self._seal(signature, out)
        self._thought = None
        self._images += 1
        slot = self._slot()
        out += (Image(slot, blob.data, True, blob.mime_type), Closed(slot))

    def _hear_call(self, call: WireCall, signature: str | None, out: list[Delta]) -> None:
        arguments = compact(call.args)
        if not call.name:
            if not says_nothing(arguments):
                out += self._failed(faults.nonsense(NAMELESS))
            return
        self._end_text(out)
        if signature:
            self._seal(signature, out)
        self._thought = None
        slot = self._slot()
        self._calls += 1
        out.append(FunctionCall(slot, call.id or self._minted(call.name), call.name))
        if arguments:
            out.append(Arguments(slot, arguments))
        out.append(Closed(slot))

    def _minted(self, name: str) -> str:
        """An id for a call that came without: the same for the same answer, another in every turn."""
        return f"call_{hashed_id(f'{self._response_id}/{self._turn}/{self._calls}/{name}', 20)}"

    def _report_searches(self, out: list[Delta]) -> None:
        """One search for each query; nobody says which of them found a page, so the first tells all pages."""
        if not self._grounding.queries:
            return
        sources, results = self._grounding.sources, self._grounding.results
        for query in self._grounding.queries:
            out.append(Search(self._slot(), "web", "completed", (query,), sources=sources, results=results))
            sources, results = (), ()

    # The end

    def _reason(self) -> StopReason:
        if self._is_blocked and self._finish is None:
            return "content_filter"
        reason = FINISHES.get(self._finish or "STOP", "stop")
        return "calls" if reason == "stop" and self._calls else reason

    def _failed(self, fault: Fault, before: Sequence[Delta] = ()) -> list[Delta]:
        """Break off; what was spent is told only where something was told before."""
        self._is_over = True
        if not self._has_told:
            return [Failed(fault)]
        out = list(before)
        self._spend(out)
        return [*out, Failed(fault)]

    def _spend(self, out: list[Delta]) -> None:
        usage = self._used()
        if usage is not None:
            out.append(Spent(usage, service_tier=decode_tier(self._usage)))

    def _used(self) -> Usage | None:
        return decode_usage(self._usage, images=self._images, searches=self._grounding.searches)
