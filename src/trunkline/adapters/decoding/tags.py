"""Thought that comes in tags inside the text, parted from it.

Theory of operation. It is in one of three states. `start` – nothing but white space was heard, an opening tag may come;
`inside` – all is thought until the closing tag; `outside` – all is text to the end. What may be
the beginning of the tag awaited is held back until more comes. White space around the tags belongs to neither side
and is dropped.
"""

from __future__ import annotations

from typing import Literal

Side = Literal["thought", "text"]


class TagSplitter:
    """Splits running text with tags (`<think>` for the name `think`) into thought and text.

    `is_opened` says that the template wrote the first tag. An opening tag counts only at the beginning: a later one is
    text that talks about tags.
    """

    def __init__(self, name: str = "think", *, is_opened: bool = False) -> None:
        self._opening = f"<{name}>"
        self._closing = f"</{name}>"
        self._state: Literal["start", "inside", "outside"] = "start"
        self._is_opened = is_opened
        self._held = ""
        self._trims = True

    def feed(self, text: str) -> list[tuple[Side, str]]:
        """Split the next piece; adjacent results differ in their side and none is empty."""
        if self._state == "outside" and not self._trims:
            return [("text", text)] if text else []
        self._held += text
        found: list[tuple[Side, str]] = []
        if self._state == "start" and not self._leave_start(is_last=False):
            return found
        if self._state == "inside":
            self._read_thought(found, is_last=False)
        if self._state == "outside":
            self._read_text(found)
        return found

    def end(self) -> list[tuple[Side, str]]:
        """Give out what was held back."""
        found: list[tuple[Side, str]] = []
        if self._state == "start":
            self._leave_start(is_last=True)
        if self._state == "inside":
            self._read_thought(found, is_last=True)
        if self._state == "outside":
            self._read_text(found)
        return found

    def _leave_start(self, *, is_last: bool) -> bool:
        begin = self._held.lstrip()
        if begin.startswith(self._opening):
            self._held = begin[len(self._opening) :]
            self._state = "inside"
        elif not is_last and self._opening.startswith(begin):
            return False
        elif self._is_opened:
            self._state = "inside"
        else:
            self._state, self._trims = "outside", False
        return True

    def _read_thought(self, found: list[tuple[Side, str]], *, is_last: bool) -> None:
        if self._trims:
            self._held = self._held.lstrip()
            if not self._held:
                return
            self._trims = False
        thought, tag, rest = self._held.partition(self._closing)
        if tag:
            thought, self._held = thought.rstrip(), rest
            self._state, self._trims = "outside", True
        else:
            keep = 0 if is_last else _unsure(thought, self._closing)
            cut = len(thought) - keep
            thought, self._held = thought[:cut], thought[cut:]
        if thought:
            found.append(("thought", thought))

    def _read_text(self, found: list[tuple[Side, str]]) -> None:
        text, self._held = self._held, ""
        if self._trims:
            text = text.lstrip()
            self._trims = not text
        if text:
            found.append(("text", text))


def _unsure(thought: str, closing: str) -> int:
    """How many characters at the end may be white space before the closing tag, or its beginning."""
    solid = len(thought)
    for size in range(min(len(closing) - 1, len(thought)), 0, -1):
        if closing.startswith(thought[-size:]):
            solid -= size
            break
    return len(thought) - len(thought[:solid].rstrip())
