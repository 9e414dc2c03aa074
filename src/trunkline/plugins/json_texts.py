"""The texts of a JSON text: what stands in quotes, read on as far as it goes, and the quotes themselves.

By which signs a quote ends a text is `json_quotes.py`'s.
"""

from __future__ import annotations

import re
from typing import Final

from trunkline.plugins.json_quotes import Place, ends_text
from trunkline.plugins.json_told import WAIT, Told
from trunkline.plugins.json_words import (
    CLOSERS,
    DELIMITER,
    ESCAPE_BEGUN,
    KEY_RUN,
    LIST_RUN,
    PLAIN,
    VALUE_RUN,
    escaped,
)

MAX_INNER_QUOTES: Final = 2000

_READS: Final = {quote: pattern.match for quote, pattern in PLAIN.items()}
_READS_KEY, _READS_MEMBER, _READS_LIST = KEY_RUN.match, VALUE_RUN.match, LIST_RUN.match


class Texts(Told):
    """Reads what stands in quotes."""

    __slots__ = ("_inner", "_reads")

    def __init__(self, *, sees_all: bool) -> None:
        super().__init__(sees_all=sees_all)
        self._reads = _READS_KEY
        self._inner = 0

    def _text(self, text: str, place: int) -> int:
        run = self._reads(text, place)
        assert run is not None
        end = run.end()
        if end > place:
            self._told.append(run[0])
            if run.lastindex:
                self._land(run.lastindex)
            if end == len(text) or not self._quote:
                return end
        return self._sign(text, end, place)

    def _sign(self, text: str, end: int, place: int) -> int:
        """Read the sign at which a run of plain text ended."""
        sign = text[end]
        if sign == '"' or sign in CLOSERS[self._quote]:
            return self._quote_within(text, end, place)
        if sign == "\\":
            return self._backslash(text, end, place)
        self.changed.add("newline" if sign in "\r\n" else "control" if sign < " " else "quotes")
        self._told.append(escaped(sign))
        return end + 1

    def _read_text(self, text: str, place: int, *, is_key: bool) -> int:
        """Read a text from its quote on, as far as it goes."""
        after = self._quoted(text[place], place, is_key=is_key)
        if after == len(text):
            return after
        end = self._text(text, after)
        return after if end == WAIT else end

    def _quote_within(self, text: str, at: int, place: int) -> int:
        """Read a quote in a text; one of another kind than opened it never ends it, but for the plain one."""
        sign, opened = text[at], self._quote
        if opened == '"' and (ended := DELIMITER.match(text, at)) is not None:
            if ended.lastindex == 4 and not self._is_all:
                return at if at > place else WAIT
            if self._ends_plainly(ended):
                return ended.end()
        is_closer = sign in CLOSERS[opened] or (sign == '"' and opened == "“")
        if is_closer:
            stands = Place(self._stack, self._is_key, self._is_all, self._sees_all)
            verdict = ends_text(text, at, stands)
            if verdict is None:
                return at if at > place else WAIT
            if verdict:
                self._told.append('"')
                self._quote, self._state = "", "colon" if self._is_key else "next"
                return at + 1
        if sign == '"':
            self.changed.add("quote" if is_closer else "quotes")
        self._inner += is_closer
        if self._inner > MAX_INNER_QUOTES:
            self._give_up(text[at:])
            return len(text)
        self._told.append('\\"' if sign == '"' else sign)
        return at + 1

    def _ends_plainly(self, ended: re.Match[str]) -> bool:
        """Tell a quote with what shows that it ends the text: the colon of a key, the closer of what is open."""
        if self._is_key:
            if ended.lastindex != 1:
                return False
            self._state = "value"
        elif self._sees_all or ended.lastindex != (2 if self._stack[-1] == "{" else 3):
            return False
        else:
            self._stack.pop()
            self._state = "next" if self._stack else "after"
        self._quote = ""
        self._told.append(ended[0])
        return True

    def _backslash(self, text: str, at: int, place: int) -> int:
        if ESCAPE_BEGUN.match(text, at):
            if self._is_all:
                self.changed.add("escape")
                return len(text)
            return at if at > place else WAIT
        self.changed.add("escape")
        if text[at + 1] in "\n\r":
            return at + 1  # the line end is escaped by itself
        if text[at + 1] in "'`“”‘’":
            self._told.append(text[at + 1])
            return at + 2
        self._told.append("\\\\")
        return at + 1

    def _quoted(self, quote: str, place: int, *, is_key: bool) -> int:
        self._flush()
        self._told.append('"')
        self._quote, self._state = quote, "text"
        self._turn(is_key=is_key)
        return place + 1

    def _land(self, kind: int) -> None:
        """Note where a run of members has ended, by its last group."""
        if kind in (1, 3):
            self._turn(is_key=kind == 1)
        else:
            self._quote, self._state = "", "value" if kind == 2 else "next"

    def _turn(self, *, is_key: bool) -> None:
        """Note whether the open text is a key, and with it what reads on as far as all is legal."""
        self._is_key = is_key
        if self._quote != '"' or self._sees_all:
            self._reads = _READS[self._quote]
        else:
            self._reads = _READS_KEY if is_key else _READS_MEMBER if self._stack[-1] == "{" else _READS_LIST
