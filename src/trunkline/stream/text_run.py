"""A text that goes on, told piece by piece: what is left of a token when nothing but its text is new."""

from __future__ import annotations

from collections.abc import Callable

from trunkline.protocol.render import render_text
from trunkline.stream.sse import TextFrames


class TextRun:
    """Tells one open text; holds as long as nothing else is told. `pieces` are those of its part."""

    __slots__ = ("_head", "_middle", "_number", "_pieces", "_tail")

    def __init__(self, pieces: list[str], frames: TextFrames, number: Callable[[], int]) -> None:
        self._pieces = pieces
        self._head, self._middle, self._tail = frames.head, frames.middle, frames.tail
        self._number = number

    def tell(self, text: str) -> bytes:
        """Keep a text, which is not empty, and write its frame."""
        self._pieces.append(text)
        return b"%b%d%b%b%b" % (self._head, self._number(), self._middle, render_text(text), self._tail)
