"""Text as it grows: blocks with sensible blank lines between them, headings, lists and tables as Markdown.

It knows of no kind of document, and stops at the most that one may say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from trunkline.upstream.documents.frames import Refused

MAX_INDENT: Final = 8


class Prose:
    """The text of one document. Raises Refused where that is more than `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._room = max_bytes
        self._pieces: list[str] = []
        self._was_item = False

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._pieces)

    def add(self, block: str, *, is_item: bool = False) -> None:
        """Add a block, unless it is empty; items of lists stand one under the other."""
        if not block.strip():
            return
        gap = "" if not self._pieces else "\n" if is_item and self._was_item else "\n\n"
        self._room -= len(block.encode("utf-8", "replace")) + len(gap)
        if self._room < 0:
            raise Refused("too_much_text")
        self._pieces += (gap, block)
        self._was_item = is_item

    def add_heading(self, level: int, text: str) -> None:
        """Add a heading; it is one line."""
        self.add(f"{'#' * min(max(level, 1), 6)} {' '.join(text.split())}" if text.strip() else "")

    def add_item(self, depth: int, number: int | None, text: str) -> None:
        """Add an item of a list, at a depth from 0; without a number it has a dash."""
        indent, mark = "  " * min(depth, MAX_INDENT), "- " if number is None else f"{number}. "
        room = "\n" + indent + " " * len(mark)
        self.add(f"{indent}{mark}{text.replace(chr(10), room)}" if text.strip() else "", is_item=True)

    def add_table(self, rows: Sequence[Sequence[str]]) -> None:
        """Add a table, the first row as its head; one of a single column is no table but paragraphs."""
        told = [row for row in rows if any(cell.strip() for cell in row)]
        if all(len(row) < 2 for row in told):
            for row in told:
                self.add(row[0])
            return
        # No row is filled up to the longest: ten thousand short ones beside a long one would be a billion cells.
        lines = ["| " + " | ".join(map(_cell, row)) + " |" for row in told]
        lines.insert(1, "|" + " --- |" * len(told[0]))
        self.add("\n".join(lines))


def clean(text: str) -> str:
    """A text without characters that show nothing and mean nothing; its line breaks are all of one kind."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def paged(number: int, text: str) -> str:
    """A page between its marks; a line of its text that begins as one of them has a backslash before it."""
    told = _MARK.sub(r"\\\g<0>", text)
    return f'<page n="{number}">\n{told}\n</page>'


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff\ud800-\udfff]")
_MARK: Final = re.compile(r"^[ \t]*(?:</?page\b|\[page \d)", re.MULTILINE)
