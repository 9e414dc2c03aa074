"""What a model says, turned into the JSON that was asked for, where no grammar holds it to that.

Two decoders around the one of a dialect, which knows neither a tool that stands for the answer nor a fence of code.
They are there only where a request needs them, so that other answers cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from trunkline.adapters.decoding.around import Around, Heard
from trunkline.stream.deltas import Arguments, Citation, Closed, Delta, Failed, FunctionCall, Slot, Stopped, Text


class AnswerDecoder(Around):
    """Takes the first call of the tool that stands for a structured answer as the whole text.

    What the model says beside it is held back until the end, and told only if the tool was not called: clients parse
    the text as JSON. A call of another tool lets it go, as the answer is then still to come. Where the answer
    breaks off it is not told at all: as long as nothing was, the next endpoint may be asked.
    """

    def __init__(self, inner: Heard, tool: str) -> None:
        super().__init__(inner)
        self._tool = tool
        self._held: list[Delta] = []
        self._answer: Slot | None = None
        self._passed_over: set[Slot] = set()
        self._is_empty = True
        self._has_calls = self._is_released = False

    def end(self) -> Iterable[Delta]:
        return self._heard(self._inner.end())

    def _turned(self, delta: Delta) -> Sequence[Delta]:
        match delta:
            case Text() | Citation() if not self._is_released:
                self._held.append(delta)
                return ()
            case FunctionCall(slot=slot, name=name) if name == self._tool:
                if self._answer is None:
                    self._answer = slot
                else:
                    self._passed_over.add(slot)
                return ()
            case FunctionCall():
                self._has_calls = True
                return [*self._rest(), delta]
            case Arguments(slot=slot) if slot in self._passed_over:
                return ()
            case Arguments(slot=slot, text=text) if self._answer == slot:
                self._is_empty &= not text
                return (Text(self._answer, text),)
            case Closed(slot=slot):
                return self._closed(slot, delta)
            case Stopped(reason=reason):
                stopped = Stopped("stop") if reason == "calls" and not self._has_calls else delta
                return [*self._rest(), stopped]
            case Failed():
                return [*self._rest(), delta]
            case _:
                return (delta,)

    def _closed(self, slot: Slot, delta: Closed) -> Sequence[Delta]:
        if slot in self._passed_over:
            return ()
        if self._answer == slot:
            return [*((Text(self._answer, "{}"),) if self._is_empty else ()), Closed(self._answer)]
        if any(type(held) is Text and held.slot == slot for held in self._held):
            self._held.append(delta)
            return ()
        return (delta,)

    def _rest(self) -> list[Delta]:
        told = self._held if self._answer is None else []
        self._held = []
        self._is_released = self._is_released or self._answer is None
        return told


_FENCE = "```"
_LONGEST_HEAD = 24
"""Characters in which a fence and the name of its language must have ended."""


class FenceDecoder(Around):
    """Takes the fence of code off a text that is nothing but one.

    Models that are asked for JSON in words like to put it in one. Only the few characters that may be a fence are held
    back: those at the beginning, and those from the last fence on.
    """

    def __init__(self, inner: Heard) -> None:
        super().__init__(inner)
        self._slot: Slot | None = None
        self._head: str | None = ""
        self._opening = ""
        self._tail = ""

    def _turned(self, delta: Delta) -> Sequence[Delta]:
        match delta:
            case Text(slot=slot, text=text):
                before = self._rest() if self._slot is not None and slot != self._slot else []
                self._slot = slot
                return [*before, *self._said(delta, text)]
            case Closed(slot=slot) if slot == self._slot:
                return [*self._rest(), delta]
            case Stopped() | Failed() | FunctionCall():
                return [*self._rest(), delta]
            case _:
                return (delta,)

    def _said(self, delta: Text, text: str) -> list[Delta]:
        if self._head is not None:
            self._head += text
            begun = self._head.lstrip()
            if begun.startswith(_FENCE):
                opening, newline, inside = begun.partition("\n")
                if newline and opening[len(_FENCE) :].strip().lower() in ("", "json", "jsonc", "json5"):
                    self._opening, self._head = self._head[: len(self._head) - len(inside)], None
                    return self._inside(delta.slot, inside)
                if not newline and len(begun) < _LONGEST_HEAD:
                    return []
            elif _FENCE.startswith(begun):
                return []
            held, self._head = self._head, None
            return [msgspec.structs.replace(delta, text=held)]
        return self._inside(delta.slot, text) if self._opening else [delta]

    def _passes_text(self, slot: Slot) -> bool:
        return slot == self._slot and self._head is None and not self._opening

    def _inside(self, slot: Slot, text: str) -> list[Delta]:
        """Tell what is inside the fence, but for what may be its end."""
        text = self._tail + text
        place = len(text.rstrip("` \r\n\t"))
        self._tail = text[place:]
        return [Text(slot, text[:place])] if place else []

    def _rest(self) -> list[Delta]:
        """Tell what was held back, unless it is the end of the fence."""
        held = self._head or ""
        if self._opening:
            tail = self._tail.rstrip()
            held = tail.removesuffix(_FENCE).rstrip() if tail.endswith(_FENCE) else self._tail
        slot = self._slot
        self._head, self._opening, self._tail, self._slot = None, "", "", None
        return [Text(slot, held)] if held else []
