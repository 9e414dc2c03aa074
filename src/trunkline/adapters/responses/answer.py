"""Decodes what a Responses server answers, streamed or whole, into deltas.

It does not trust the stream to be complete: a text, a call or an item that was announced only when it was done, or
only in the last event, is told then. It forwards no upstream id or number. Items of OpenAI's own tools pass as they
are, those that nobody knows are dropped, as are the events of both.

Theory of operation. Every piece belongs to an item, and an item to a slot, which is the item's `output_index` unless
the server gives two items the same one. What has been told of a slot is kept in `_heard`; a `done` event, a finished
item and the final response all go through the same functions, which tell whatever is not in `_heard` yet. Nothing is
told before the answer has said something, so that a failure right after `response.created` can still be retried
elsewhere; after the terminal event nothing is told at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Raw

from trunkline.adapters.contract import Decoder
from trunkline.adapters.decoding.faults import fault_of_error, nonsense, stray, unread
from trunkline.adapters.decoding.halves import Halves
from trunkline.adapters.decoding.logprobs import as_logprobs
from trunkline.adapters.responses.items import Items, json_text, media_type, part_slot
from trunkline.adapters.responses.wire import (
    Look,
    Part,
    Piece,
    TextPiece,
    WireResponse,
    decode_service_tier,
    decode_usage,
    read_error,
    read_item_event,
    read_look,
    read_piece,
    read_response,
    read_terminal,
    read_text_piece,
)
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import Json
from trunkline.stream.deltas import (
    Closed,
    Delta,
    Failed,
    Image,
    Phase,
    Reasoning,
    ReasoningSummary,
    Refusal,
    Slot,
    Spent,
    Stopped,
    StopReason,
    Text,
)
from trunkline.wire import UNREADABLE, Fault, WireMessage

TEXT_DELTA = "response.output_text.delta"


class ResponsesDecoder(Decoder):
    """The state of one answer."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.is_done = False
        self._works = 0
        self._is_whole = False
        self._failure: Fault | None = None
        self._talking: Slot = None
        self._slots: dict[int, Slot] = {}
        self._slot_of_id: dict[str, Slot] = {}
        self._items = Items(endpoint)
        self._heard = self._items.heard
        self._closed: set[Slot] = set()
        self._order: list[Slot] = []
        self._phases: dict[Slot, str] = {}
        self._phases_told: dict[Slot, str | None] = {}
        self._halves = Halves()

    @property
    def held_back(self) -> int:
        return self._works

    def message(self, message: WireMessage) -> Iterable[Delta]:
        if self.is_done:
            return ()
        if self._failure is not None:
            return self._explained(message)
        try:
            if _is_text_delta(message):
                return self._text_delta(message.data)
            return self._event(message.name, message.data)
        except UNREADABLE as error:
            mended = self._halves.mended(message)
            if mended is not None:
                return self.message(mended)
            return self._unread(f"an event could not be read: {error}", message.data)

    @property
    def number_member(self) -> bytes:
        return b'"sequence_number":'

    def continues(self, messages: Sequence[WireMessage], slot: Slot) -> list[str] | None:
        if slot != self._talking or self.is_done or self._failure is not None:
            return None
        texts: list[str] = []
        # Nearly always all are of one part.
        item: int | None = None
        part = 0
        try:
            for message in messages:
                if message.name != TEXT_DELTA and not _is_text_delta(message):
                    return None
                piece = read_text_piece(message.data)
                if not piece.delta or piece.logprobs:
                    return None
                if piece.output_index != item or piece.content_index != part:
                    item, part = piece.output_index, piece.content_index
                    if self._slot_of(piece) != slot:
                        return None
                texts.append(piece.delta)
        except UNREADABLE:
            return None
        return texts

    def whole(self, body: bytes) -> Iterable[Delta]:
        self._is_whole = True
        try:
            response = read_response(body)
            if isinstance(response.error, str):
                return self._error(body)
            if not (response.status or response.output or response.error):
                return self._unread("the answer is empty and has no status", body)
            return self._final(response, "completed")
        except UNREADABLE as error:
            return self._unread(f"the answer could not be read: {error}", body)

    def end(self) -> Iterable[Delta]:
        """Tell a failure that nothing explained."""
        return () if self.is_done or self._failure is None else self._broken_off(self._failure)

    # The path of a token

    def _text_delta(self, data: bytes) -> Sequence[Delta]:
        piece = read_text_piece(data)
        if not piece.delta and not piece.logprobs:
            return ()
        slot = self._slot_of(piece)
        if slot != self._talking:
            self._talking = slot
            self._heard.add(("text", slot, 0))
            if self._phases:
                item = self._slots.get(piece.output_index, piece.output_index)
                return (*self._told_phase(item), Text(slot, piece.delta, as_logprobs(piece.logprobs or ())))
        return (Text(slot, piece.delta, as_logprobs(piece.logprobs)) if piece.logprobs else Text(slot, piece.delta),)

    def _slot_of(self, piece: TextPiece) -> Slot:
        slot = self._slots.get(piece.output_index, piece.output_index)
        return (slot, piece.content_index) if piece.content_index else slot

    # All other events

    def _event(self, name: str | None, data: bytes) -> Sequence[Delta]:
        if data == b"[DONE]":
            return ()
        read = _EVENTS.get(name) if name else None
        if read is None:
            look = read_look(data)
            read = _EVENTS.get(look.type or "")
            if read is None and look.type:
                # A server's own tool at work, of which the client hears when it is done.
                self._works += look.type.startswith(_AT_WORK)
                return self._error(data) if look.error else ()
            if read is None:
                told = stray(data, self._endpoint.quirks)
                return () if told is None else self._upstream_fault(told)
        return read(self, data)

    def _piece(self, data: bytes) -> tuple[Piece, Slot]:
        piece = read_piece(data)
        known = self._slot_of_id.get(piece.item_id or "")
        return piece, known if known is not None else self._slots.get(piece.output_index, piece.output_index)

    def _text_done(self, data: bytes) -> Sequence[Delta]:
        piece, slot = self._piece(data)
        part = Part("output_text", text=piece.text or "", logprobs=piece.logprobs)
        return self._phased(slot, self._items.part(part_slot(slot, piece.content_index), part))

    def _refusal(self, data: bytes) -> Sequence[Delta]:
        piece, item = self._piece(data)
        slot = part_slot(item, piece.content_index)
        if piece.delta:
            self._heard.add(("refusal", slot, 0))
            return self._phased(item, [Refusal(slot, piece.delta)])
        return self._phased(item, self._items.part(slot, Part("refusal", refusal=piece.refusal or "")))

    def _part_done(self, data: bytes) -> Sequence[Delta]:
        piece, slot = self._piece(data)
        if piece.part is None:
            return ()
        if piece.part.type == "reasoning_text":
            return self._items.thought(slot, piece.content_index, piece.part.text)
        return self._phased(slot, self._items.part(part_slot(slot, piece.content_index), piece.part))

    def _annotation(self, data: bytes) -> Sequence[Delta]:
        piece, slot = self._piece(data)
        return self._items.annotation(part_slot(slot, piece.content_index), piece.annotation)

    def _reasoning_delta(self, data: bytes) -> Sequence[Delta]:
        piece, slot = self._piece(data)
        if not piece.delta:
            return ()
        self._heard.add(("reasoning", slot, piece.content_index))
        return (Reasoning(slot, piece.delta),)

    def _reasoning_done(self, data: bytes) -> Sequence[Delta]:
        piece, slot = self._piece(data)
        return self._items.thought(slot, piece.content_index, piece.text)

    def _summary_delta(self, data: bytes) -> Sequence[Delta]:
        piece, slot = self._piece(data)
        if not piece.delta:
            return ()
        self._heard.add(("summary", slot, piece.summary_index))
        return (ReasoningSummary(slot, piece.delta, piece.summary_index),)

    def _summary_done(self, data: bytes) -> Sequence[Delta]:
        piece, slot = self._piece(data)
        text = piece.part.text if piece.part else piece.text
        return self._items.summary(slot, piece.summary_index, text)

    def _arguments_delta(self, data: bytes) -> Sequence[Delta]:
        piece, slot = self._piece(data)
        return self._items.arguments(slot, piece.delta) if piece.delta else ()

    def _arguments_done(self, data: bytes) -> Sequence[Delta]:
        piece, slot = self._piece(data)
        if ("arguments", slot, 0) in self._heard or not piece.arguments:
            return ()
        return self._items.arguments(slot, json_text(piece.arguments))

    def _input_done(self, data: bytes) -> Sequence[Delta]:
        piece, slot = self._piece(data)
        if ("arguments", slot, 0) in self._heard or not piece.input:
            return ()
        return self._items.arguments(slot, piece.input)

    def _partial_image(self, data: bytes) -> Sequence[Delta]:
        piece, slot = self._piece(data)
        self._heard.add(("sketch", slot, 0))
        return (Image(slot, piece.partial_image_b64, False, media_type(piece.output_format)),)

    def _added(self, data: bytes) -> Sequence[Delta]:
        event = read_item_event(data)
        look = read_look(event.item)
        slot = self._open(event.output_index, look.id)
        self._note_phase(slot, look)
        return self._items.begun(slot, event.item)

    def _done(self, data: bytes) -> Sequence[Delta]:
        event = read_item_event(data)
        look = read_look(event.item)
        known = self._slot_of_id.get(look.id or "")
        slot = known if known is not None else self._slots.get(event.output_index)
        return self._finish(event.item, look, self._open(event.output_index, look.id) if slot is None else slot)

    def _terminal(self, data: bytes, status: str) -> Sequence[Delta]:
        terminal = read_terminal(data)
        if terminal.error and not terminal.response.error:
            return self._upstream_fault(terminal.error)
        return self._final(terminal.response, status)

    def _error(self, data: bytes) -> Sequence[Delta]:
        event = read_error(data)
        told = event.error if isinstance(event.error, dict) else {}
        if not (event.error or event.code or event.message):
            return self._upstream_fault(stray(data, self._endpoint.quirks) or "the provider reported an error")
        return self._upstream_fault(told or {"code": event.code, "message": event.error or event.message})

    # Items and their parts

    def _open(self, index: int, item_id: str | None) -> Slot:
        """Find the slot for a new item; a second item at the same index gets one of its own."""
        if item_id and item_id in self._slot_of_id:
            return self._slot_of_id[item_id]
        slot: Slot = index if index not in self._slots else (index, len(self._slot_of_id), "again")
        self._slots[index] = slot
        self._order.append(slot)
        self._slot_of_id[item_id or f"nameless {len(self._slot_of_id)}"] = slot
        return slot

    def _finish(self, raw: Raw, look: Look, slot: Slot) -> list[Delta]:
        if slot in self._closed:
            return []
        deltas = self._items.finished(slot, raw, look)
        if deltas is None:
            return []
        self._closed.add(slot)
        if look.phase:
            self._note_phase(slot, look)
        if ("text", slot, 0) in self._heard:
            # Where it was said before, the phase is told late, of the message that is still open.
            deltas = [*self._told_phase(slot), *deltas]
        elif look.type == "message":
            deltas = self._phased(slot, deltas)
        self.is_done = self.is_done or any(isinstance(delta, Failed) for delta in deltas)
        # An item that was cut is done here, but not closed: a call of that kind is not to be made.
        return deltas if self.is_done or look.status == "incomplete" else [*deltas, Closed(slot)]

    def _note_phase(self, slot: Slot, look: Look) -> None:
        if look.type == "message" and look.phase and isinstance(look.phase, str):
            self._phases[slot] = look.phase

    def _phased(self, slot: Slot, deltas: list[Delta]) -> list[Delta]:
        return [*self._told_phase(slot), *deltas] if deltas and self._phases else deltas

    def _told_phase(self, slot: Slot) -> list[Delta]:
        """What a message is, once for each: it is told with its first words, not before."""
        phase, told = self._phases.get(slot), self._phases_told
        if phase == told.get(slot) and (slot in told or not told):
            return []
        told[slot] = phase
        return [Phase(slot, phase)]

    # The end

    def _final(self, response: WireResponse, default_status: str) -> Sequence[Delta]:
        status = response.status or default_status
        if response.error or status in ("failed", "cancelled"):
            said = self._said_until_then(response) if self._is_whole or self._heard else []
            return [*said, *self._upstream_fault(response.error or f"the provider ended the response as {status}")]
        if status not in ("completed", "incomplete"):
            return self._nonsense(f"the response ended while {status}")
        if response.status is None and not response.output and not self._heard:
            return self._nonsense("the answer is empty and has no status")
        deltas = self._unheard(response.output or ())
        if not self.is_done and self._items.has_nameless_arguments:
            return self._nonsense("arguments came for a function call that was never named")
        if self.is_done:
            return deltas
        self.is_done = True
        usage = decode_usage(response.usage, images=self._items.images, searches=self._items.searches)
        if usage:
            deltas.append(Spent(usage, service_tier=decode_service_tier(response.service_tier)))
        deltas.append(Stopped(self._reason(status, response)))
        return deltas

    def _said_until_then(self, response: WireResponse) -> list[Delta]:
        """What a failed response holds. None of it is closed: a call may be cut, and is not to be made."""
        heard = self._unheard(response.output or ())
        deltas: list[Delta] = [delta for delta in heard if not isinstance(delta, Closed | Failed)]
        usage = decode_usage(response.usage, images=self._items.images, searches=self._items.searches)
        tier = decode_service_tier(response.service_tier)
        return [*deltas, Spent(usage, service_tier=tier)] if usage else deltas

    def _unheard(self, output: Iterable[Raw]) -> list[Delta]:
        deltas: list[Delta] = []
        for index, raw in enumerate(output):
            look = read_look(raw)
            deltas += self._finish(raw, look, self._slot_in_response(index, look.id))
        return deltas

    def _slot_in_response(self, index: int, item_id: str | None) -> Slot:
        # Ids may change from event to event and indices may all be 0; the order of the items is right everywhere.
        if item_id and item_id in self._slot_of_id:
            return self._slot_of_id[item_id]
        if index in self._slots:
            return self._slots[index]
        return self._order[index] if index < len(self._order) else index

    def _reason(self, status: str, response: WireResponse) -> StopReason:
        if status == "incomplete":
            reason = response.incomplete_details.reason if response.incomplete_details else None
            return "content_filter" if reason == "content_filter" else "length"
        return "calls" if any(kind == "call" for kind, _, _ in self._heard) else "stop"

    def _upstream_fault(self, told: Json | Fault) -> list[Delta]:
        fault = told if isinstance(told, Fault) else fault_of_error(told, self._endpoint.quirks)
        if not self._is_whole and fault.kind == "unavailable":
            # At Azure the reason comes in an event of its own after the failure.
            self._failure = self._failure or fault
            return []
        self.is_done = True
        if fault.kind == "too_long" and self._heard:
            # The context filled up while the model spoke: what was said stands.
            return [Stopped("length")]
        return [Failed(fault)]

    def _explained(self, message: WireMessage) -> list[Delta]:
        """Tell a failure by the message after it, if that says more."""
        held = self._failure or Fault("unavailable", "")
        try:
            deltas = [*self._event(message.name, message.data)]
        except UNREADABLE:
            deltas = []
        return [delta for delta in deltas if isinstance(delta, Failed | Stopped)] or self._broken_off(held)

    def _broken_off(self, fault: Fault) -> list[Delta]:
        self.is_done = True
        return [Failed(fault)]

    def _unread(self, message: str, raw: bytes) -> list[Delta]:
        self.is_done = True
        return [Failed(unread(message, raw, self._endpoint.quirks))]

    def _nonsense(self, message: str, raw: bytes = b"") -> list[Delta]:
        self.is_done = True
        return [Failed(nonsense(message, raw))]


_TEXT_DELTA_HEADS = (b'{"type":"response.output_text.delta"', b'{"type": "response.output_text.delta"')


def _is_text_delta(message: WireMessage) -> bool:
    return message.name == TEXT_DELTA or (message.name is None and message.data.startswith(_TEXT_DELTA_HEADS))


_AT_WORK = ("response.code_interpreter_call", "response.mcp_", "response.shell_call", "response.apply_patch_call")

_Reader = Callable[[ResponsesDecoder, bytes], Sequence[Delta]]
_EVENTS: Mapping[str, _Reader] = {
    "response.output_text.delta": ResponsesDecoder._text_delta,
    "response.output_text.done": ResponsesDecoder._text_done,
    "response.text.delta": ResponsesDecoder._text_delta,
    "response.text.done": ResponsesDecoder._text_done,
    "response.output_text.annotation.added": ResponsesDecoder._annotation,
    "response.refusal.delta": ResponsesDecoder._refusal,
    "response.refusal.done": ResponsesDecoder._refusal,
    "response.content_part.done": ResponsesDecoder._part_done,
    "response.reasoning_text.delta": ResponsesDecoder._reasoning_delta,
    "response.reasoning_text.done": ResponsesDecoder._reasoning_done,
    "response.reasoning_summary_text.delta": ResponsesDecoder._summary_delta,
    "response.reasoning_summary_text.done": ResponsesDecoder._summary_done,
    "response.reasoning_summary_part.done": ResponsesDecoder._summary_done,
    "response.function_call_arguments.delta": ResponsesDecoder._arguments_delta,
    "response.function_call_arguments.done": ResponsesDecoder._arguments_done,
    "response.custom_tool_call_input.delta": ResponsesDecoder._arguments_delta,
    "response.custom_tool_call_input.done": ResponsesDecoder._input_done,
    "response.image_generation_call.partial_image": ResponsesDecoder._partial_image,
    "response.output_item.added": ResponsesDecoder._added,
    "response.output_item.done": ResponsesDecoder._done,
    "response.completed": lambda decoder, data: decoder._terminal(data, "completed"),
    "response.incomplete": lambda decoder, data: decoder._terminal(data, "incomplete"),
    "response.failed": lambda decoder, data: decoder._terminal(data, "failed"),
    "response.cancelled": lambda decoder, data: decoder._terminal(data, "cancelled"),
    "response.error": ResponsesDecoder._error,
    "error": ResponsesDecoder._error,
}
