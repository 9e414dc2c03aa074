"""The deltas of an answer with its JSON healed: deltas in, deltas out; a machine.

Theory of operation
-------------------

**Parts.** The text of a message and the arguments of each call are parts, each with a `Healer` of its own. A part of
text ends when something else of the answer's output begins; a call's when it is closed, or a new item or a call in its
slot begins. All end with the answer.

**How a part ends.** By itself, if more output follows or the model stopped by itself: then what is open is closed. Cut,
if the model stopped for its length or a filter, or the answer broke off: then it is told as it came. Some providers
close a part before they say why the model stopped, so `Closed` is kept until the next delta says which it was.

**As it comes, or whole.** A stream is told piece by piece. An answer that is told at once gathers each part to its end
and looks at all of it (`heal`); one that was cut is not touched.

**What belongs to a text.** Log probabilities are of the tokens that the model wrote: from the first change on there are
none. A citation counts code points of the text, so it stands as long as nothing was changed, and waits until what it
cites is told; in a text that was changed it is left out. A seal waits for the end of the text, before which it would
open an item. What a provider says was spent passes by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trunkline.plugins.healing import Healer, heal
from trunkline.plugins.healing_step import HealingStep
from trunkline.plugins.json_roots import Root
from trunkline.protocol.content import bytes_of
from trunkline.protocol.items import Logprob, UrlCitation
from trunkline.stream.deltas import (
    Arguments,
    Began,
    Citation,
    Closed,
    Delta,
    FunctionCall,
    Phase,
    ReasoningSeal,
    Slot,
    Spent,
    Stopped,
    Text,
)

_CUT: Final = frozenset({"length", "content_filter"})
_COMMENTARY: Final = "commentary"


class _Part:
    """The text of one message, or the arguments of one call."""

    __slots__ = ("_gathered", "_healer", "_logprobs", "_root", "behind", "changed", "is_unrepairable", "slot", "told")

    def __init__(self, slot: Slot, root: Root, *, is_whole: bool) -> None:
        self.slot = slot
        self.told: list[str] = []
        self.behind: list[Delta] = []
        self.changed: set[str] = set()
        self.is_unrepairable = False
        self._root = root
        self._logprobs: list[Logprob] = []
        self._healer = None if is_whole else Healer(root)
        self._gathered: list[str] = []

    @property
    def held(self) -> str:
        """What was heard and is not told."""
        return "".join(self._gathered) if self._healer is None else self._healer.held

    def feed(self, text: str) -> str:
        """Hear more; give what can be told of it."""
        if self._healer is None:
            self._gathered.append(text)
            return ""
        told = self._healer.feed(text)
        if told:
            self.told.append(told)
        return told

    def end(self, *, is_cut: bool) -> str:
        """Give what is left to be told."""
        if self._healer is not None:
            rest = self._healer.end(is_cut=is_cut)
            self.changed, self.is_unrepairable = self._healer.changed, self._healer.is_unrepairable
        elif is_cut:
            rest = self.held
        else:
            rest, self.changed, self.is_unrepairable = heal(self.held, self._root)
        self._gathered.clear()
        if rest:
            self.told.append(rest)
        return rest

    def text(self, delta: Text) -> Text | None:
        """Hear more of a text with what belongs to it."""
        told = self.feed(delta.text)
        if told == delta.text and not (self._logprobs or (delta.logprobs and self._is_changed)):
            return delta
        self._logprobs += delta.logprobs
        return Text(self.slot, told, self.take_logprobs()) if told else None

    def take_logprobs(self) -> tuple[Logprob, ...]:
        """Those of what is told now; none from the first change on."""
        taken = () if self._is_changed else tuple(self._logprobs)
        self._logprobs.clear()
        return taken

    def may_cite(self, citation: Citation, *, is_over: bool) -> bool | None:
        """Whether a citation may be told; None where it has to wait."""
        if self._is_changed:
            return False
        annotation = citation.annotation
        end = annotation.end_index if isinstance(annotation, UrlCitation) else annotation.index
        if is_over or (self._healer is not None and end <= sum(map(len, self.told))):
            return True
        return None

    @property
    def _is_changed(self) -> bool:
        return bool(self.changed if self._healer is None else self._healer.changed)


class HealedDeltas:
    """Heals the deltas of one answer; `is_whole`: all of them are heard before any is told.

    `changed` names what was not legal, of all parts. `texts` are those of the messages as they were told, kept where
    there is a schema; the last is to fit it, and is the one that may be beyond repair: what a model says before a call
    need not be JSON. `lost_bytes` is how much more was heard than told, or is held.
    """

    __slots__ = (
        "_calls", "_closing", "_commentary", "_is_whole", "_kept", "_step", "_text", "are_arguments_beyond_repair",
        "changed", "citations_left_out", "is_text_beyond_repair", "lost_bytes", "texts",
    )  # fmt: skip

    def __init__(self, step: HealingStep, *, is_whole: bool) -> None:
        self._step = step
        self._is_whole = is_whole
        self._text: _Part | None = None
        self._calls: dict[Slot, _Part] = {}
        self._closing: list[Closed] = []
        self._commentary: Slot = None
        self.changed: set[str] = set()
        self.is_text_beyond_repair = False
        self.are_arguments_beyond_repair = False
        self.citations_left_out = 0
        self.lost_bytes = 0
        self.texts: list[str] = []

    @property
    def is_unrepairable(self) -> bool:
        """Whether something was told as it came, though it is no JSON."""
        return self.is_text_beyond_repair or self.are_arguments_beyond_repair

    @property
    def held(self) -> list[Text]:
        """What was heard and nobody was told."""
        parts = [*self._calls.values()] if self._text is None else [self._text, *self._calls.values()]
        return [Text(part.slot, held) for part in parts if (held := part.held)]

    def feed(self, batch: Sequence[Delta]) -> list[Delta]:
        """Hear some deltas; give those that can be told."""
        told: list[Delta] = []
        for delta in batch:
            kind = type(delta)
            if kind is Text:
                self._hear_text(delta, told)  # type: ignore[arg-type]  # kind is its type
            elif kind is Arguments:
                self._hear_arguments(delta, told)  # type: ignore[arg-type]
            else:
                self._hear(delta, told)
        return told

    def end(self) -> list[Delta]:
        """Give what is left of an answer that is over; one that did not say why it stopped was cut."""
        told: list[Delta] = []
        self._end_all(told, is_cut=True)
        return told

    def _hear_text(self, delta: Text, told: list[Delta]) -> None:
        part = self._text
        if part is None or part.slot != delta.slot or self._closing:
            self._end_all(told, is_cut=False)
            part = self._begin_text(delta.slot)
        if part is None:
            told.append(delta)
            return
        healed = part.text(delta)
        self.lost_bytes += bytes_of(delta.text)
        if healed is not None:
            self._tell(healed, told)

    def _hear_arguments(self, delta: Arguments, told: list[Delta]) -> None:
        part = self._calls.get(delta.slot)
        if part is None:
            told.append(delta)
            return
        if self._closing:
            self._settle_closing(told, is_cut=False)
            part = self._calls.get(delta.slot)
        if part is not None and delta.text:
            healed = part.feed(delta.text)
            self.lost_bytes += bytes_of(delta.text)
            if healed:
                self._tell(delta if healed == delta.text else Arguments(delta.slot, healed), told)

    def _hear(self, delta: Delta, told: list[Delta]) -> None:
        """Hear what is neither text nor arguments."""
        match delta:
            case Spent() | Began():
                pass
            case Citation():
                if self._text is not None and self._text.slot == delta.slot:
                    self._cite(self._text, delta, told, is_over=False)
                    return
            case ReasoningSeal() if self._text is not None:
                self._text.behind.append(delta)
                return
            case Closed():
                if self._is_open(delta.slot):
                    self._closing.append(delta)
                    return
            case Phase():
                self._hear_phase(delta, told)
            case FunctionCall():
                self._hear_call(delta, told)
            case Stopped():
                self._end_all(told, is_cut=delta.reason in _CUT)
                if delta.reason == "calls":
                    self.texts.clear()
                    self.is_text_beyond_repair = False
            case _:
                self._end_all(told, is_cut=False)
        told.append(delta)

    def _hear_phase(self, delta: Phase, told: list[Delta]) -> None:
        if self._text is not None and self._text.slot != delta.slot:
            self._end_text(told, is_cut=False)
        self._commentary = delta.slot if delta.phase == _COMMENTARY else None

    def _hear_call(self, delta: FunctionCall, told: list[Delta]) -> None:
        self._settle_closing(told, is_cut=False)
        self._end_text(told, is_cut=False)
        if delta.slot in self._calls:
            self._end(self._calls.pop(delta.slot), told, is_cut=False)
        if self._step.heals_arguments and delta.kind == "function":
            self._calls[delta.slot] = _Part(delta.slot, "{", is_whole=self._is_whole)

    # The ends of parts

    def _begin_text(self, slot: Slot) -> _Part | None:
        root = self._step.root
        if root is not None and not (self._commentary is not None and slot == self._commentary):
            self._text = _Part(slot, root, is_whole=self._is_whole)
        return self._text

    def _is_open(self, slot: Slot) -> bool:
        return slot in self._calls or (self._text is not None and self._text.slot == slot)

    def _end_all(self, told: list[Delta], *, is_cut: bool) -> None:
        """End all that is open; of calls, the one that was begun last is cut."""
        if self._closing:
            self._settle_closing(told, is_cut=is_cut)
        self._end_text(told, is_cut=is_cut)
        while self._calls:
            slot = next(iter(self._calls))
            self._end(self._calls.pop(slot), told, is_cut=is_cut and not self._calls)

    def _settle_closing(self, told: list[Delta], *, is_cut: bool) -> None:
        closing, self._closing = self._closing, []
        for closed in closing:
            if self._text is not None and self._text.slot == closed.slot:
                self._end_text(told, is_cut=is_cut)
            if (call := self._calls.pop(closed.slot, None)) is not None:
                self._end(call, told, is_cut=is_cut)
            told.append(closed)

    def _end_text(self, told: list[Delta], *, is_cut: bool) -> None:
        part, self._text = self._text, None
        if part is None:
            return
        if rest := part.end(is_cut=is_cut):
            self._tell(Text(part.slot, rest, part.take_logprobs()), told)
        for delta in part.behind:
            if isinstance(delta, Citation):
                self._cite(part, delta, told, is_over=True)
            else:
                told.append(delta)
        if self._step.schema is not None and not is_cut:
            self.texts.append("".join(part.told))
        self.is_text_beyond_repair = part.is_unrepairable
        self.changed |= part.changed

    def _end(self, call: _Part, told: list[Delta], *, is_cut: bool) -> None:
        if rest := call.end(is_cut=is_cut):
            self._tell(Arguments(call.slot, rest), told)
        self.are_arguments_beyond_repair |= call.is_unrepairable
        self.changed |= call.changed

    def _cite(self, part: _Part, citation: Citation, told: list[Delta], *, is_over: bool) -> None:
        match part.may_cite(citation, is_over=is_over):
            case None:
                part.behind.append(citation)
            case True:
                told.append(citation)
            case False:
                self.citations_left_out += 1

    def _tell(self, delta: Text | Arguments, told: list[Delta]) -> None:
        self.lost_bytes -= bytes_of(delta.text)
        told.append(delta)
