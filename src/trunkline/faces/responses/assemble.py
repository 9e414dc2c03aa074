"""Deltas → events: the machine that decides ids, indices, order, and when things open and close.

It never hears of a provider and never looks at a clock; what an item looks like is `pieces.py`'s, what the response
says besides its output is `echo.py`'s.

Theory of operation
-------------------

**Begin.** The first deltas fed bring `response.created` and `response.in_progress`. The model told is that of `Began`,
or the one given where the first delta is another. From then on each delta is told at once, as an event of its own.

**One item is open at a time.** A delta that belongs to another item finishes the open one first. The exception are
function calls, of which several may be open and interleave: a call finishes what is not a call, and what is not a call
finishes every call. Inside an item one part is open at a time, in the same way. Every id and index is given when its
item or part begins and never changes.

**Where a delta goes** is decided by its kind and slot:

- Text, Refusal: the open part of that kind and slot; else a new part of the open message, unless that message had the
  slot before; else a new message.
- Phase: of the open message, if that has a part of its slot; else of the message that begins next, which is a new one
  unless the open one is of the same phase.
- Citation: where Text of its slot would go, opening an empty part if it must. One that comes early waits there for its
  text, one that comes late has a message of its own; none is lost, and the same of one part is told once.
- Reasoning, ReasoningSummary: the open reasoning item of that slot, else a new one. A change between the two, or of a
  summary's `part`, begins a new part.
- ReasoningSeal: the open reasoning item of that slot, closed or not; else a new one without text. One that is awaited
  keeps its item open beside the message that follows; it is finished by its seal, or when the message is.
- FunctionCall: a new call, of the kind it says. Said again word for word while it is open, it is ignored. A `call_id`
  that is missing, or was used in this answer before, is replaced by one of ours.
- Arguments: the open call of that slot; ignored if there is none, for a call without a name cannot be made.
- Search: the open search of that kind and slot, else a new one; ignored once that search is finished.
- Image: the open image of that slot, else a new one.
- Opaque: the open one of that slot, else a new one; ignored once that is finished. What is Anthropic's own is not told.

Deltas without text say nothing and open nothing.

**Closed** ends a part at once, but not the item: its last event carries a status, and whether an item was cut is known
only when the next item begins or the answer ends (dialects close a block that ran into the token limit before they say
so). A call that is closed takes no more arguments, and is finished once another call speaks or begins. A search or
image that is closed is finished. Text for a slot that was closed begins a new item.

**End.** The first `Stopped` heard decides: completed, or incomplete. None heard: the answer was cut off, and failed.
In an answer that was cut – incomplete or failed – an unfinished item is incomplete, a search or image failed. A call
that was cut is never finished: clients make a call as soon as they hear that it is done, whatever its status says. The
terminal event alone ends it, without it in its output. A call is cut unless it was closed, and something was said after
it or, where the answer failed, its arguments are plainly whole. What the last call of an incomplete answer looks like
proves nothing: some providers complete the JSON of what ran into the limit. An empty call, or one that says `null`,
says `{}` when it is finished. `Spent` counts as last heard. After the terminal event everything is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from msgspec.structs import replace

from trunkline.errors import GatewayError
from trunkline.faces.responses.echo import BROKEN, CUT_SHORT, echo, told_error, told_text, told_tier, told_usage
from trunkline.faces.responses.numbering import Events
from trunkline.faces.responses.open_calls import OpenCalls
from trunkline.faces.responses.output import Output
from trunkline.faces.responses.pieces import (
    REFUSAL,
    SUMMARY,
    THOUGHT,
    MessageItem,
    OpenPart,
    PlainPart,
    TextPart,
    ThoughtItem,
)
from trunkline.faces.responses.tool_pieces import ImageItem, OpaqueItem, SearchItem
from trunkline.protocol.events import (
    AnnotationAdded,
    Event,
    ImageInProgress,
    OutputTextDelta,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
)
from trunkline.protocol.opaque import AnthropicItem
from trunkline.protocol.request import SEARCH_SOURCES, Request
from trunkline.protocol.response import IncompleteDetails, Response
from trunkline.stream.deltas import (
    Arguments,
    Began,
    Citation,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Image,
    Opaque,
    Phase,
    Reasoning,
    ReasoningSeal,
    ReasoningSummary,
    Refusal,
    Search,
    Slot,
    Spent,
    Stopped,
    StopReason,
    Text,
)


class Assembler:
    """Assembles one answer.

    `ids` yields random tokens without end, `model` is told when no `Began` is heard, `created_at` and `now` are Unix
    seconds. Exactly one of `end` and `fail` is called last and gives the terminal event; from then on `response` is
    the whole answer. A client that wants no stream gets that alone, and no event is made (`is_stream`).
    """

    def __init__(
        self,
        request: Request,
        response_id: str,
        ids: Iterator[str],
        created_at: float,
        model: str,
        *,
        is_stream: bool = True,
    ) -> None:
        self.response = echo(request, response_id, created_at, model)
        self.is_stream = is_stream
        self._events = Events() if is_stream else None
        self._output = Output(ids, self._events)
        self._tell = self._output.tell
        self._has_begun = False
        self._is_over = False
        self._open: MessageItem | ThoughtItem | SearchItem | ImageItem | OpaqueItem | None = None
        self._part: OpenPart | None = None
        self._unsealed: ThoughtItem | None = None
        self._calls: OpenCalls | None = None
        self._over: set[tuple[str, Slot]] | None = None  # made for the first: an idle stream is to be small
        self._phase: Phase | None = None
        self._spent: Spent | None = None
        self._stop: StopReason | None = None
        self._tells_sources = SEARCH_SOURCES in request.include

    def feed(self, deltas: Sequence[Delta]) -> list[Event]:
        """Tell what was heard."""
        if self._is_over or not deltas:
            return []
        if not self._has_begun:
            first = deltas[0]
            self._begin(first.model if isinstance(first, Began) else None)
        for kind, run in groupby(deltas, type):
            if kind is Text:
                self._hear_texts(run)  # type: ignore[arg-type]  # kind is their type
            elif kind is not Began:
                hear = _HEAR[kind]
                for delta in run:
                    hear(self, delta)
        return [] if self._events is None else self._events.take()

    def go_on(self, texts: Sequence[str]) -> TextPart:
        """Hear more of the text that was heard last, none of it empty, and tell nothing: it is told by its part."""
        part = self._part
        assert isinstance(part, TextPart), "a text goes on that is not open"
        part.pieces += texts
        return part

    @property
    def number(self) -> Callable[[], int]:
        """Gives the number of the next event; of a stream alone."""
        assert self._events is not None
        return self._events.number

    def end(self, now: float) -> list[Event]:
        """Close what is open and tell how the answer ended, by what was heard."""
        if self._stop is None:
            return self._conclude(ResponseFailed, is_cut=True, status="failed", error=BROKEN)
        reason = CUT_SHORT.get(self._stop)
        if reason is None:
            return self._conclude(ResponseCompleted, is_cut=False, status="completed", completed_at=int(now))
        details = IncompleteDetails(reason)
        return self._conclude(ResponseIncomplete, is_cut=True, status="incomplete", incomplete_details=details)

    def fail(self, error: GatewayError) -> list[Event]:
        """Close what is open and tell `error`."""
        return self._conclude(ResponseFailed, is_cut=True, status="failed", error=told_error(error))

    # The response

    def _begin(self, model: str | None) -> None:
        self._has_begun = True
        if model is not None and model != self.response.model:
            self.response = replace(self.response, model=model)
        if (events := self._events) is not None:
            number, response = events.number, self.response
            events.told += (ResponseCreated(number(), response), ResponseInProgress(number(), response))

    def _conclude(self, event: Callable[[int, Response], Event], *, is_cut: bool, **changes: object) -> list[Event]:
        if self._is_over:
            return []
        if not self._has_begun:
            self._begin(None)
        self._finish_open(is_cut=is_cut)
        if self._calls is not None and is_cut:
            self._calls.cut(has_stopped=self._stop is not None)
        elif self._calls is not None:
            self._calls.finish()
        self._is_over = True
        output = self._output.whole()
        self.response = replace(
            self.response,
            output=output,
            output_text=told_text(output),
            usage=told_usage(self._spent),
            **changes,
        )
        if self._events is None:
            return []
        self._tell(event, self.response)
        return self._events.take()

    # One method for each kind of delta, which hears one, but for texts

    def _hear_texts(self, deltas: Iterable[Text]) -> None:
        # Not one by one as the others: nearly all deltas are texts, and come in dozens where a provider is fast.
        part, events = self._part, self._events
        if not isinstance(part, TextPart):
            part = None
        tell, number = (None, None) if events is None else (events.told.append, events.number)
        for delta in deltas:
            text, logprobs = delta.text, delta.logprobs
            if not (text or logprobs):
                continue
            if part is None or part.slot != delta.slot:
                part = self._begin_text(delta.slot)
            part.pieces.append(text)
            if logprobs:
                part.logprobs += logprobs
            if tell is not None and number is not None:
                tell(OutputTextDelta(number(), part.item_id, part.output_index, part.index, text, logprobs))

    def _hear_citation(self, delta: Citation) -> None:
        part = self._part
        if not isinstance(part, TextPart) or part.slot != delta.slot:
            part = self._begin_text(delta.slot)
        place = (part.item_id, part.output_index, part.index, len(part.annotations))
        if part.cites(delta.annotation):
            self._tell(AnnotationAdded, *place, delta.annotation)

    def _hear_refusal(self, delta: Refusal) -> None:
        if not delta.text:
            return
        part = self._part
        if not (isinstance(part, PlainPart) and part.takes(REFUSAL, delta.slot)):
            part = self._message_for(REFUSAL, delta.slot).new_refusal(delta.slot)
            self._begin_part(part)
        part.hear(delta.text, self._tell)

    def _hear_reasoning(self, delta: Reasoning) -> None:
        if not delta.text:
            return
        part = self._part
        if not (isinstance(part, PlainPart) and part.takes(THOUGHT, delta.slot)):
            part = self._thought_for(delta.slot).new_text()
            self._begin_part(part)
        part.hear(delta.text, self._tell)

    def _hear_summary(self, delta: ReasoningSummary) -> None:
        if not delta.text:
            return
        part = self._part
        if not (isinstance(part, PlainPart) and part.takes(SUMMARY, delta.slot, delta.part)):
            part = self._thought_for(delta.slot).new_summary(delta.part)
            self._begin_part(part)
        part.hear(delta.text, self._tell)

    def _hear_seal(self, delta: ReasoningSeal) -> None:
        if self._unsealed is not None and self._unsealed.slot == delta.slot:
            self._unsealed.seal(delta)
            self._finish_unsealed()
            return
        item = self._open
        if not isinstance(item, ThoughtItem) or item.slot != delta.slot:
            item = self._begin_thought(delta.slot)
        item.seal(delta)

    def _hear_phase(self, delta: Phase) -> None:
        message = self._open
        if isinstance(message, MessageItem) and any(slot == delta.slot for _, slot in message.slots):
            message.phase = delta.phase
        else:
            self._phase = delta

    def _hear_call(self, delta: FunctionCall) -> None:
        if self._calls is None:
            self._calls = OpenCalls(self._output)
        if not self._calls.is_repeated(delta):
            self._finish_open(is_cut=False)
            self._calls.begin(delta)

    def _hear_arguments(self, delta: Arguments) -> None:
        if self._calls is not None:
            self._calls.hear(delta)

    def _hear_search(self, delta: Search) -> None:
        if self._over is not None and (delta.kind, delta.slot) in self._over:
            return
        item = self._open
        if isinstance(item, SearchItem) and item.slot == delta.slot and item.said.kind == delta.kind:
            item.hear(delta)
        else:
            place = self._output.place("ws_" if delta.kind == "web" else "fs_")
            self._begin_item(SearchItem(place, delta, tells_sources=self._tells_sources))
        if delta.status in ("completed", "failed"):
            self._finish_open(is_cut=False)

    def _hear_image(self, delta: Image) -> None:
        item = self._open
        if not isinstance(item, ImageItem) or item.slot != delta.slot:
            item = self._begin_image(delta.slot)
        item.hear(delta, self._tell)
        if delta.final:
            self._finish_open(is_cut=False)

    def _hear_opaque(self, delta: Opaque) -> None:
        # Of what is Anthropic's own clients of this API know nothing.
        if isinstance(delta.item, AnthropicItem) or (self._over is not None and ("opaque", delta.slot) in self._over):
            return
        item = self._open
        if not isinstance(item, OpaqueItem) or item.slot != delta.slot:
            item = OpaqueItem(self._output.length, delta.slot, delta.item)
            self._begin_item(item)
        item.said = delta.item
        if delta.is_done:
            item.is_done = True
            self._finish_open(is_cut=False)

    def _hear_closed(self, delta: Closed) -> None:
        part = self._part
        if self._calls is not None:
            self._calls.close(delta.slot)
        match self._open:
            case MessageItem() if part is not None and part.slot == delta.slot:
                self._finish_part()
            case ThoughtItem() as item if item.slot == delta.slot:
                self._finish_part()
                item.is_ended = True
            case SearchItem() | ImageItem() | OpaqueItem() as item if item.slot == delta.slot:
                self._finish_open(is_cut=False)
            case _:
                pass  # nothing open has that slot

    def _hear_spent(self, delta: Spent) -> None:
        self._spent = delta
        if delta.service_tier not in (None, self.response.service_tier):
            self.response = replace(self.response, service_tier=told_tier(delta.service_tier))

    def _hear_stopped(self, delta: Stopped) -> None:
        self._stop = self._stop or delta.reason

    def _ignore(self, delta: Began | Failed) -> None:
        """Tell nothing: `feed` has heard `Began`; `Failed` is caught before, and if not, the answer ends cut off."""

    # Opening

    def _begin_text(self, slot: Slot) -> TextPart:
        self._part = part = TextPart(self._message_for(TextPart, slot), slot)
        if self._events is not None:
            part.begin(self._tell)
        return part

    def _message_for(self, kind: object, slot: Slot) -> MessageItem:
        """Find or begin the message that takes a new part; the part before is finished."""
        if self._part is not None:
            self._finish_part()
        message, told = self._open, self._phase
        is_open = isinstance(message, MessageItem) and (told is None or message.phase == told.phase)
        if not isinstance(message, MessageItem) or not is_open or (kind, slot) in message.slots:
            message = MessageItem(self._output.place("msg_"), None if told is None else told.phase)
            self._begin_item(message)
        self._phase = None
        message.slots.add((kind, slot))
        return message

    def _thought_for(self, slot: Slot) -> ThoughtItem:
        """Find or begin the reasoning item that takes a new part; the part before is finished."""
        self._finish_part()
        item = self._open
        if isinstance(item, ThoughtItem) and item.slot == slot and not item.is_ended:
            return item
        return self._begin_thought(slot)

    def _begin_thought(self, slot: Slot) -> ThoughtItem:
        output = self._output
        place = output.place("rs_")
        item = ThoughtItem(place, slot, after_text=output.has_message, calls_before=output.calls_begun)
        self._begin_item(item)
        return item

    def _begin_image(self, slot: Slot) -> ImageItem:
        item = ImageItem(self._output.place("ig_"), slot)
        self._begin_item(item)
        self._tell(ImageInProgress, item.place.id, item.place.output_index)
        return item

    def _begin_part(self, part: OpenPart) -> None:
        self._part = part
        if self._events is not None:
            part.begin(self._tell)

    def _begin_item(self, item: MessageItem | ThoughtItem | SearchItem | ImageItem | OpaqueItem) -> None:
        before = self._open
        if isinstance(before, ThoughtItem) and before.awaits_seal and isinstance(item, MessageItem):
            self._finish_part()
            self._unsealed = before
        else:
            if before is not None:
                self._finish_open(is_cut=False)
            if self._calls is not None:
                self._calls.finish()
        self._open = item
        self._output.begin(item)

    # Closing

    def _finish_unsealed(self) -> None:
        item, self._unsealed = self._unsealed, None
        if item is not None:
            self._output.finish(item, is_cut=False)

    def _finish_open(self, *, is_cut: bool) -> None:
        if self._unsealed is not None:
            self._finish_unsealed()
        if self._part is not None:
            self._finish_part()
        item, self._open = self._open, None
        if item is None:
            return
        if isinstance(item, SearchItem):
            self._note_over(item.said.kind, item.slot)
        elif isinstance(item, OpaqueItem):
            self._note_over("opaque", item.slot)
        self._output.finish(item, is_cut=is_cut)

    def _note_over(self, kind: str, slot: Slot) -> None:
        self._over = self._over or set()
        self._over.add((kind, slot))

    def _finish_part(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            part.finish(self._tell)


_HEAR: Mapping[type, Callable[[Assembler, Any], None]] = {
    Reasoning: Assembler._hear_reasoning,
    ReasoningSummary: Assembler._hear_summary,
    ReasoningSeal: Assembler._hear_seal,
    Phase: Assembler._hear_phase,
    FunctionCall: Assembler._hear_call,
    Arguments: Assembler._hear_arguments,
    Refusal: Assembler._hear_refusal,
    Citation: Assembler._hear_citation,
    Search: Assembler._hear_search,
    Image: Assembler._hear_image,
    Opaque: Assembler._hear_opaque,
    Closed: Assembler._hear_closed,
    Spent: Assembler._hear_spent,
    Stopped: Assembler._hear_stopped,
    Began: Assembler._ignore,
    Failed: Assembler._ignore,
}
"""By type of delta, who hears it; one look-up instead of a ladder."""
