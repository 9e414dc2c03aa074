"""Texts of files that were read lately, in memory alone: whose, by their content, by what they were read with."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

KEPT_S: Final = 3600.0
_OVERHEAD_BYTES: Final = 500


class Text(NamedTuple):
    """What a document says; `silent_pages` have no text. `pictures` are data URLs."""

    text: str
    pages: int
    silent_pages: int = 0
    pictures: tuple[str, ...] = ()

    @property
    def is_silent(self) -> bool:
        """Whether nothing is written in it."""
        return self.silent_pages >= self.pages


class Known(NamedTuple):
    """By what a text is found again: never by another account."""

    account: str
    digest: bytes
    read_with: str


class Texts:
    """Keeps texts for an hour each, the least used of them given up where they are too many bytes together."""

    def __init__(self, max_bytes: int) -> None:
        self._left = self._max_bytes = max_bytes
        self._kept: OrderedDict[Known, tuple[Text, int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, known: Known, now: float) -> Text | None:
        """Find a text; it is then the last to be given up."""
        found = self._kept.get(known)
        if found is None:
            return None
        if now >= found[2] + KEPT_S:
            self._give_up(known)
            return None
        self._kept.move_to_end(known)
        return found[0]

    def keep(self, known: Known, text: Text, now: float) -> None:
        """Keep a text from now on; one that takes up more than half of the room is not."""
        size = _size(text)
        if known in self._kept:
            self._give_up(known)
        if 2 * size > self._max_bytes:
            return
        while self._left < size:
            self._give_up(next(iter(self._kept)))
        self._kept[known] = text, size, now
        self._left -= size

    def _give_up(self, known: Known) -> None:
        self._left += self._kept.pop(known)[1]


def _size(text: Text) -> int:
    # A text with one character beyond Latin takes two bytes for each, with one picture of a face four.
    each = 1 if text.text.isascii() else 2 if not text.text or max(text.text) < "\U00010000" else 4
    return len(text.text) * each + sum(map(len, text.pictures)) + _OVERHEAD_BYTES
