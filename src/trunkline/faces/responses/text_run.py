"""A text that goes on, told piece by piece: what is left of a token when nothing but its text is new."""

from __future__ import annotations

from collections.abc import Callable

from trunkline.faces.responses.frames import TextFrames


class TextRun:
    """Tells one open text; holds as long as nothing else is told. `pieces` are those of its part."""

    __slots__ = ("_head", "_middle", "_number", "_pieces", "_send", "_tail")

    def __init__(
        self, pieces: list[str], frames: TextFrames, number: Callable[[], int], send: Callable[[bytes], bool]
    ) -> None:
        self._send = send
        self._pieces = pieces
        self._head, self._middle, self._tail = frames.head, frames.middle, frames.tail
        self._number = number

    def send(self, text: str, inner: bytes) -> bool:
        """Keep a text, which is not empty, and send its frame; say whether there is room for more."""
        self._pieces.append(text)
        return self._send(b'%b%d%b"%b"%b' % (self._head, self._number(), self._middle, inner, self._tail))
