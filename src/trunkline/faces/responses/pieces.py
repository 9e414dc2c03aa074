"""What is open while an answer is assembled: parts that gather text, items that gather parts.

Each knows how it looks when it begins and when it is finished, and which events tell so. When to open and when to close
is `assemble.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from trunkline.faces.responses.numbering import Tell, tell_nobody
from trunkline.protocol.events import (
    ArgumentsDelta,
    ArgumentsDone,
    ContentPartAdded,
    ContentPartDone,
    CustomInputDelta,
    CustomInputDone,
    Event,
    OutputTextDone,
    ReasoningTextDelta,
    ReasoningTextDone,
    RefusalDelta,
    RefusalDone,
    SummaryPartAdded,
    SummaryPartDone,
    SummaryTextDelta,
    SummaryTextDone,
)
from trunkline.protocol.items import (
    Annotation,
    CustomCallItem,
    FunctionCallItem,
    ItemStatus,
    Json,
    LocalShellCallItem,
    Logprob,
    Message,
    MessagePart,
    OutputItem,
    OutputText,
    ReasoningFormat,
    ReasoningItem,
    ReasoningText,
    RefusalPart,
    SummaryText,
    ToolSearchCallItem,
    UrlCitation,
)
from trunkline.stream.deltas import CallKind, FunctionCall, ReasoningSeal, Slot
from trunkline.stream.seals import Seal, origin_of, sealed
from trunkline.wire import UNREADABLE

PartStruct = TypeVar("PartStruct", bound=RefusalPart | ReasoningText | SummaryText)


class Form(NamedTuple, Generic[PartStruct]):
    """How one kind of plain part is told: the part, and the events in the order they come."""

    part: Callable[[str], PartStruct]
    added: Callable[[int, str, int, int, PartStruct], Event]
    delta: Callable[[int, str, int, int, str], Event]
    text_done: Callable[[int, str, int, int, str], Event]
    done: Callable[[int, str, int, int, PartStruct], Event]


REFUSAL: Form[RefusalPart] = Form(RefusalPart, ContentPartAdded, RefusalDelta, RefusalDone, ContentPartDone)
THOUGHT: Form[ReasoningText] = Form(
    ReasoningText, ContentPartAdded, ReasoningTextDelta, ReasoningTextDone, ContentPartDone
)
SUMMARY: Form[SummaryText] = Form(SummaryText, SummaryPartAdded, SummaryTextDelta, SummaryTextDone, SummaryPartDone)


class Place(Struct, frozen=True, gc=False):
    """Where an item stands in the output; fixed when the item begins."""

    id: str
    output_index: int


# Parts


_NO_TEXT = OutputText("")


class TextPart:
    """An open `output_text` part of a message."""

    __slots__ = ("annotations", "cited", "index", "item_id", "logprobs", "message", "output_index", "pieces", "slot")

    def __init__(self, message: MessageItem, slot: Slot) -> None:
        self.message = message
        self.slot = slot
        self.item_id = message.place.id
        self.output_index = message.place.output_index
        self.index = len(message.content)
        self.pieces: list[str] = []
        self.logprobs: list[Logprob] = []
        self.annotations: list[Annotation] = []
        self.cited: set[tuple[str, int, int] | Annotation] | None = None  # most texts cite nothing

    def begin(self, tell: Tell) -> None:
        tell(ContentPartAdded, self.item_id, self.output_index, self.index, _NO_TEXT)

    def cites(self, annotation: Annotation) -> bool:
        """Take an annotation; False where the same was taken before, as of one passage and two places of one page."""
        key: tuple[str, int, int] | Annotation = annotation
        if isinstance(annotation, UrlCitation):
            key = (annotation.url, annotation.start_index, annotation.end_index)
        if self.cited is None:
            self.cited = set()
        is_new = key not in self.cited
        if is_new:
            self.cited.add(key)
            self.annotations.append(annotation)
        return is_new

    def finish(self, tell: Tell) -> None:
        text = "".join(self.pieces)
        logprobs = tuple(self.logprobs)
        part = OutputText(text, tuple(self.annotations), logprobs or UNSET)
        self.message.content.append(part)
        if tell is not tell_nobody:
            tell(OutputTextDone, self.item_id, self.output_index, self.index, text, logprobs)
            tell(ContentPartDone, self.item_id, self.output_index, self.index, part)


class PlainPart(Generic[PartStruct]):
    """An open refusal, reasoning text or summary.

    `said_part` is the provider's number of a summary part, `index` is ours; `keep` takes the part once it is finished.
    """

    __slots__ = ("form", "index", "item_id", "keep", "output_index", "pieces", "said_part", "slot")

    def __init__(
        self,
        form: Form[PartStruct],
        slot: Slot,
        *,
        place: Place,
        index: int,
        keep: Callable[[PartStruct], None],
        said_part: int = 0,
    ) -> None:
        self.form = form
        self.slot = slot
        self.item_id = place.id
        self.output_index = place.output_index
        self.index = index
        self.keep = keep
        self.said_part = said_part
        self.pieces: list[str] = []

    def begin(self, tell: Tell) -> None:
        tell(self.form.added, self.item_id, self.output_index, self.index, self.form.part(""))

    def takes(self, form: object, slot: Slot, said_part: int = 0) -> bool:
        """Say whether a delta of this form and slot belongs here."""
        return self.form is form and self.slot == slot and self.said_part == said_part

    def hear(self, text: str, tell: Tell) -> None:
        self.pieces.append(text)
        tell(self.form.delta, self.item_id, self.output_index, self.index, text)

    def finish(self, tell: Tell) -> None:
        text = "".join(self.pieces)
        part = self.form.part(text)
        self.keep(part)
        tell(self.form.text_done, self.item_id, self.output_index, self.index, text)
        tell(self.form.done, self.item_id, self.output_index, self.index, part)


OpenPart = TextPart | PlainPart[RefusalPart] | PlainPart[ReasoningText] | PlainPart[SummaryText]


# Items


class MessageItem:
    """`slots` are those of the parts it ever had, each with its kind; `phase` is the provider's word for what it is."""

    __slots__ = ("content", "phase", "place", "slots")

    def __init__(self, place: Place, phase: str | None = None) -> None:
        self.place = place
        self.phase = phase
        self.content: list[MessagePart] = []
        self.slots: set[tuple[object, Slot]] = set()

    def new_refusal(self, slot: Slot) -> PlainPart[RefusalPart]:
        return PlainPart(REFUSAL, slot, place=self.place, index=len(self.content), keep=self.content.append)

    def begun(self) -> Message:
        return Message(id=self.place.id, role="assistant", status="in_progress", phase=self.phase or UNSET, content=())

    def finished(self, is_cut: bool) -> Message:
        status: ItemStatus = "incomplete" if is_cut else "completed"
        phase, content = self.phase or UNSET, tuple(self.content)
        return Message(id=self.place.id, role="assistant", status=status, phase=phase, content=content)


class ThoughtItem:
    """Raw text, summary and proof of one slot; `is_ended` says that no more text belongs to it.

    `awaits_seal` says that its seal may come after the text it led to.
    """

    __slots__ = ("awaits_seal", "content", "format", "is_ended", "origin", "place", "slot", "summary")

    def __init__(self, place: Place, slot: Slot, *, after_text: bool = False, calls_before: int = 0) -> None:
        self.place = place
        self.awaits_seal = self.is_ended = False
        self.slot = slot
        self.content: list[ReasoningText] = []
        self.summary: list[SummaryText] = []
        self.origin = Seal(endpoint_id="", after_text=after_text, calls_before=calls_before)
        self.format: ReasoningFormat | UnsetType = UNSET

    def new_text(self) -> PlainPart[ReasoningText]:
        return PlainPart(THOUGHT, self.slot, place=self.place, index=len(self.content), keep=self.content.append)

    def new_summary(self, said_part: int) -> PlainPart[SummaryText]:
        index, keep = len(self.summary), self.summary.append
        return PlainPart(SUMMARY, self.slot, place=self.place, index=index, keep=keep, said_part=said_part)

    def seal(self, seal: ReasoningSeal) -> None:
        """Keep a proof; a later one replaces only what it says."""
        self.origin = origin_of(seal, self.origin)
        self.format = seal.format
        self.awaits_seal = seal.is_awaited

    def begun(self) -> ReasoningItem:
        return ReasoningItem(id=self.place.id, status="in_progress")

    def finished(self, is_cut: bool) -> ReasoningItem:
        item = ReasoningItem(
            id=self.place.id,
            summary=tuple(self.summary),
            content=tuple(self.content) or UNSET,
            format=self.format,
            status=_status(is_cut),
        )
        return sealed(item, self.origin) if self.origin.blob or self.origin.signature else item


class CallItem:
    """A call of a client's function; `is_closed` says that no more arguments belong to it.

    `PREFIX` is that of its id, `NOTHING` what it says that was told nothing; subclasses are the other kinds of calls.
    """

    PREFIX = "fc_"
    NOTHING = "{}"

    __slots__ = ("call_id", "is_closed", "pieces", "place", "said")

    def __init__(self, place: Place, call_id: str, said: FunctionCall) -> None:
        self.place = place
        self.call_id = call_id
        self.said = said
        self.is_closed = False
        self.pieces: list[str] = []

    @property
    def is_plainly_whole(self) -> bool:
        """Whether its arguments show that nothing is missing: no JSON object is the beginning of another.

        Raw text never shows that: half a script is a script.
        """
        try:
            return self.said.kind != "custom" and isinstance(msgspec.json.decode("".join(self.pieces)), dict)
        except UNREADABLE:
            return False

    def hear(self, text: str, tell: Tell) -> None:
        """Take a piece, and tell it where there are words for that."""
        self.pieces.append(text)
        tell(ArgumentsDelta, self.place.id, self.place.output_index, text)

    def end(self, tell: Tell) -> None:
        """Tell that no more is to come, where there are words for that."""
        place = self.place
        tell(ArgumentsDone, place.id, place.output_index, self.said.name, "".join(self.pieces))

    def begun(self) -> OutputItem:
        return self._told("in_progress")

    def finished(self, is_cut: bool) -> OutputItem:
        return self._told(_status(is_cut))

    def _told(self, status: ItemStatus) -> OutputItem:
        return FunctionCallItem(
            id=self.place.id,
            call_id=self.call_id,
            name=self.said.name,
            arguments="".join(self.pieces),
            namespace=self.said.namespace or UNSET,
            status=status,
        )


class CustomCall(CallItem):
    """A call of a tool that takes raw text."""

    PREFIX = "ctc_"
    NOTHING = ""

    __slots__ = ()

    def hear(self, text: str, tell: Tell) -> None:
        self.pieces.append(text)
        tell(CustomInputDelta, self.place.id, self.place.output_index, text)

    def end(self, tell: Tell) -> None:
        tell(CustomInputDone, self.place.id, self.place.output_index, "".join(self.pieces))

    def _told(self, status: ItemStatus) -> OutputItem:
        return CustomCallItem(
            id=self.place.id,
            call_id=self.call_id,
            name=self.said.name,
            input="".join(self.pieces),
            namespace=self.said.namespace or UNSET,
            status=status,
        )


class _ObjectCall(CallItem):
    """A call with an object, which is told only as a whole."""

    __slots__ = ()

    def hear(self, text: str, tell: Tell) -> None:
        self.pieces.append(text)

    def end(self, tell: Tell) -> None:
        """There is no event for it."""

    def _object(self) -> dict[str, Json]:
        try:
            return msgspec.json.decode("".join(self.pieces), type=dict[str, Json])
        except UNREADABLE:
            return {}


class ToolSearchCall(_ObjectCall):
    """A call of the client's search for more tools."""

    PREFIX = "tsc_"

    __slots__ = ()

    def _told(self, status: ItemStatus) -> OutputItem:
        return ToolSearchCallItem(id=self.place.id, call_id=self.call_id, arguments=self._object(), status=status)


class LocalShellCall(_ObjectCall):
    """A command for the client's shell."""

    PREFIX = "lsh_"

    __slots__ = ()

    def _told(self, status: ItemStatus) -> OutputItem:
        action = {"type": "exec", "command": [], "env": {}} | self._object()
        return LocalShellCallItem(id=self.place.id, call_id=self.call_id, action=action, status=status)


CALLS: Mapping[CallKind, type[CallItem]] = {
    "function": CallItem,
    "custom": CustomCall,
    "tool_search": ToolSearchCall,
    "local_shell": LocalShellCall,
}


def _status(is_cut: bool) -> ItemStatus:
    return "incomplete" if is_cut else "completed"
