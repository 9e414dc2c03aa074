"""An answer for a client that wants no stream: all that was heard, told at its end in one piece.

Theory of operation. Nothing is told before the end, so until then what is heard is only kept. What an answer is the
machine of its face decides, by all that could come next; but nearly every one is a single text that ended by itself, of
which nothing is left to decide. That one is written as it is told. Both ways come to the same, which is a law of its
tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trunkline.errors import GatewayError
from trunkline.faces.contract import Answering, Asked, Run, Send, Telling
from trunkline.stream.deltas import Delta, Slot, Text

OneText = Callable[[Asked, Answering, Sequence[Delta]], bytes | None]
"""Writes the body of an answer that is one text and ended; None for any other."""

Machine = Callable[[Asked, Answering], Telling]
"""Begins to tell any answer."""


class WholeTelling:
    """Tells one answer whole, in the words of the face whose these two are."""

    __slots__ = ("_answering", "_asked", "_heard", "_machine", "_one_text", "failure", "is_over")

    is_stream = False

    def __init__(self, asked: Asked, answering: Answering, *, one_text: OneText, machine: Machine) -> None:
        self._asked = asked
        self._answering = answering
        self._one_text = one_text
        self._machine = machine
        self._heard: list[Delta] = []
        self.failure: GatewayError | None = None
        self.is_over = False

    @property
    def is_ending(self) -> bool:
        """Whether it is settled how the answer ends: all of that leaves at once."""
        return self.is_over

    def feed(self, batch: Sequence[Delta]) -> bytes:
        """Keep what was heard."""
        self._heard += batch
        return b""

    def go_on(self, texts: Sequence[str]) -> bytes:
        """Keep more of the text that was heard last."""
        slot: Slot = next(said.slot for said in reversed(self._heard) if isinstance(said, Text))
        self._heard += [Text(slot, text) for text in texts]
        return b""

    def run(self, send: Send) -> Run:
        """Nothing is sent before the end."""
        raise AssertionError("a whole answer is told text by text")

    def end(self, rest: Sequence[Delta] = ()) -> bytes:
        """Tell the last that was heard, and with it the whole body."""
        if self.is_over:
            return b""
        self.is_over = True
        self._heard += rest
        body = self._one_text(self._asked, self._answering, self._heard)
        if body is not None:
            return body
        machine = self._machine(self._asked, self._answering)
        machine.feed(self._heard)
        body = machine.end()
        self.failure = machine.failure
        return body

    def fail(self, error: GatewayError, rest: Sequence[Delta] = ()) -> bytes:
        """Tell that the answer failed."""
        if self.is_over:
            return b""
        self.is_over = True
        machine = self._machine(self._asked, self._answering)
        machine.feed([*self._heard, *rest])
        body = machine.fail(error)
        self.failure = machine.failure
        return body

    def more(self) -> bytes:
        """Nothing is left after the end."""
        return b""
