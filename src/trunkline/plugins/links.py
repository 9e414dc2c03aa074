"""Finds the links of a text that comes in pieces: those to pages of which somebody says that they were found.

Theory of operation
-------------------

Two readers hear every character, and neither ever goes back. The one knows bare addresses: they begin with `http://`,
`https://` or `www.`, where no word goes on, and end before what no address holds; signs that belong to the sentence are
taken off again. The other knows Markdown: `[` is kept by its place, `]` takes the last of them back, and `(` right
behind begins the target, which is an address, bare or in angle brackets, with a title or none.

A bare address may turn out to be a piece of something else, so it waits: in `[…` for what becomes of the bracket, and
behind a backtick for its like, since what stands in code is no link. What waits is told when nothing that is open
began before its end. A line end closes whatever is open, so nothing waits longer; a target that comes to nothing still
held an address, which the first reader has heard.

Lines between fences of three backticks or tildes are code. Whether a line opens one is known at its end.

All that is kept is bounded: the text of one address, the last brackets, the head of a line, the links that wait. A
character costs the same whatever came before it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

MAX_URL: Final = 2_048
_MAX_TITLE: Final = 1_000
_MAX_BRACKETS: Final = 32
_MAX_WAITING: Final = 64
_MAX_HEAD: Final = 80
_MAX_STRIPPED: Final = 16

_STIR: Final = re.compile(r"[\[\]`\\\n/.]")
"""Where something may begin while nothing is open."""
_URL_END: Final = frozenset(' \t\n\r\v\f<>"`|\\^{}[]\u00a0\u3000。，、；：！？（）【】《》「」『』“”‘’…')
_SENTENCE: Final = frozenset("?!.,:;*_~')")
_URL_START: Final = re.compile(r"(?:^|[^0-9A-Za-z])(https?://|www\.)$", re.IGNORECASE)
_LONGEST_START: Final = 9
_NOT_ASCII: Final = re.compile(r"[^\x21-\x7e]")
_ESCAPED: Final = re.compile(r"\\([!-/:-@\[-`{-~])")
_FENCE: Final = re.compile(r"[\s>]*(`{3,}(?![^\n]*`)|~{3,})")
_CLOSERS: Final = {'"': '"', "'": "'", "(": ")"}


class Link(NamedTuple):
    """The whole link in its text, in code points, and where it leads."""

    start: int
    end: int
    url: str


class _Target:
    """The target of the link whose text began at `start`, as far as it was heard."""

    __slots__ = ("closer", "depth", "form", "length", "pieces", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.form: Literal["begin", "plain", "angle", "after", "title"] = "begin"
        self.pieces: list[str] = []
        self.length = 0
        self.depth = 0
        self.closer = ""

    def hear(self, sign: str) -> bool | None:
        """Go on; True when the link ends with this, False when it is none."""
        match self.form:
            case "begin" if sign in " \t":
                return None
            case "begin" if sign == "<":
                self.form = "angle"
                return None
            case "begin":
                self.form = "plain"
                return self._hear_plain(sign)
            case "plain":
                return self._hear_plain(sign)
            case "angle":
                if sign == ">":
                    self.form = "after"
                    return None
                return False if sign == "<" else self._keep(sign, MAX_URL)
            case "after":
                return self._hear_after(sign)
            case "title":
                if sign == self.closer:
                    self.form = "after"
                return self._keep("", _MAX_TITLE)

    @property
    def url(self) -> str:
        return _ESCAPED.sub(r"\1", "".join(self.pieces))

    def _hear_plain(self, sign: str) -> bool | None:
        if sign in " \t":
            self.form, self.length = "after", 0
            return None
        if sign == ")" and not self.depth:
            return bool(self.pieces)
        self.depth += (sign == "(") - (sign == ")")
        return self._keep(sign, MAX_URL)

    def _hear_after(self, sign: str) -> bool | None:
        if sign == ")":
            return bool(self.pieces)
        if sign in _CLOSERS:
            self.form, self.length, self.closer = "title", 0, _CLOSERS[sign]
            return None
        return None if sign in " \t" else False

    def _keep(self, sign: str, most: int) -> bool | None:
        self.length += 1
        if sign:
            self.pieces.append(sign)
        return None if self.length <= most else False


class _Code(NamedTuple):
    """A run of so many backticks that may begin code."""

    start: int
    ticks: int


class Links:
    """The links of one text to what `is_found`; each is told once its end was heard."""

    def __init__(self, is_found: Callable[[str], bool]) -> None:
        self._is_found = is_found
        self._at = 0
        self._tail = ""
        self._head = ""
        self._fence = ""
        self._is_escaped = False
        self._ticks = 0
        self._code: _Code | None = None
        self._brackets: deque[int] = deque(maxlen=_MAX_BRACKETS)
        self._closed: int | None = None
        self._target: _Target | None = None
        self._url: list[str] | None = None
        self._url_start = 0
        self._url_depth = 0
        self._is_angled = False
        self._waiting: deque[Link] = deque()
        self._told: list[Link] = []

    def feed(self, text: str) -> list[Link]:
        """Hear more of the text; gives the links that are known now."""
        place, line = 0, 0
        while place < len(text):
            if self._is_calm():
                stir = _STIR.search(text, place)
                if stir is None:
                    break
                place = stir.start()
            sign = text[place]
            if sign == "\n":
                self._end_line(self._at + place, self._head + text[line : min(place, line + _MAX_HEAD)])
                self._head, line = "", place + 1
            elif not self._fence:
                self._hear(sign, self._at + place)
                if sign in "/." and self._url is None:
                    self._begin_url(self._tail + text[max(place + 1 - _LONGEST_START, 0) : place + 1], place)
            place += 1
        self._head = (self._head + text[line : line + _MAX_HEAD])[:_MAX_HEAD]
        self._tail = (self._tail + text[-_LONGEST_START:])[-_LONGEST_START:]
        self._at += len(text)
        return self._known()

    def end(self) -> list[Link]:
        """Hear that the text ends, or that nobody knows whether it goes on; gives the links that end with it."""
        self._end_line(self._at, self._head)
        self._head = ""
        return self._known()

    # What is heard

    def _is_calm(self) -> bool:
        is_between = self._closed is None and not self._ticks and not self._is_escaped
        return is_between and self._url is None and self._target is None

    def _hear(self, sign: str, at: int) -> None:
        if self._url is not None:
            self._hear_url(sign, at)
        if self._is_escaped:
            self._is_escaped = False
            if self._target is not None:
                self._hear_target("\\" + sign, at)
            return
        if sign == "`":
            self._ticks += 1
        elif self._ticks:
            self._end_ticks(at)
        if sign == "\\" and self._code is None:
            self._is_escaped = True
        elif self._target is not None:
            self._hear_target(sign, at)
        else:
            self._hear_bracket(sign, at)

    def _hear_bracket(self, sign: str, at: int) -> None:
        closed, self._closed = self._closed, None
        if sign == "[":
            self._brackets.append(at)
        elif sign == "]" and self._brackets:
            self._closed = self._brackets.pop()
        elif sign == "(" and closed is not None:
            self._target = _Target(closed)

    def _hear_target(self, sign: str, at: int) -> None:
        target = self._target
        assert target is not None
        is_link = target.hear(sign)
        if is_link is None:
            return
        self._target = None
        if not is_link:
            self._hear_bracket(sign, at)
            return
        # What stands in its text, and brackets around it, are no links besides.
        self._drop(lambda link: link.start >= target.start)
        self._brackets.clear()
        url = target.url
        if self._is_found(url):
            self._wait(Link(target.start, at + 1, url))

    def _end_ticks(self, at: int) -> None:
        ticks, self._ticks = self._ticks, 0
        code = self._code
        if code is None:
            self._code = _Code(at - ticks, ticks)
        elif code.ticks == ticks:
            self._code = None
            self._forget(code.start)

    def _end_line(self, at: int, head: str) -> None:
        if self._url is not None:
            self._end_url("\n", at)
        if self._ticks:
            self._end_ticks(at)
        code, self._code = self._code, None
        head = head[:_MAX_HEAD]
        mark = _FENCE.match(head)
        if self._fence:
            if mark is not None and mark[1].startswith(self._fence) and not head[mark.end() :].strip():
                self._fence = ""
        elif mark is not None:
            self._fence = mark[1]
            if code is not None:
                self._forget(code.start)
        self._brackets.clear()
        self._closed = self._target = None
        self._is_escaped = False

    def _forget(self, start: int) -> None:
        """Take back what was heard from `start` on: it is code."""
        self._drop(lambda link: link.end > start)
        while self._brackets and self._brackets[-1] > start:
            self._brackets.pop()
        self._closed = self._target = None

    # Bare addresses

    def _begin_url(self, before: str, place: int) -> None:
        begun = _URL_START.search(before)
        if begun is None:
            return
        self._url = [begun[1]]
        self._url_start = self._at + place + 1 - len(begun[1])
        self._url_depth = 0
        self._is_angled = before[begun.start(1) - 1 : begun.start(1)] == "<"

    def _hear_url(self, sign: str, at: int) -> None:
        assert self._url is not None
        if sign in _URL_END or (sign == ")" and not self._url_depth):
            self._end_url(sign, at)
            return
        self._url_depth += (sign == "(") - (sign == ")")
        self._url.append(sign)
        if len(self._url) > MAX_URL:
            self._url = None

    def _end_url(self, sign: str, at: int) -> None:
        assert self._url is not None
        whole, self._url = "".join(self._url), None
        start = self._url_start
        if sign == ">" and self._is_angled and self._is_found(whole):
            self._wait(Link(start - 1, at + 1, whole))
            return
        # In Chinese and Japanese the sentence goes on without a blank.
        for text in dict.fromkeys((whole, _NOT_ASCII.split(whole, maxsplit=1)[0])):
            url = text
            for _ in range(_MAX_STRIPPED):
                if self._is_found(url):
                    self._wait(Link(start, start + len(url), url))
                    return
                if url[-1:] not in _SENTENCE:
                    break
                url = url[:-1]

    # What waits

    def _wait(self, link: Link) -> None:
        self._waiting.append(link)
        if len(self._waiting) > _MAX_WAITING:
            self._told.append(self._waiting.popleft())

    def _drop(self, is_none: Callable[[Link], bool]) -> None:
        while self._waiting and is_none(self._waiting[-1]):
            self._waiting.pop()

    def _known(self) -> list[Link]:
        if not (self._waiting or self._told):
            return []
        open_since = [*self._brackets]
        if self._closed is not None:
            open_since.append(self._closed)
        if self._target is not None:
            open_since.append(self._target.start)
        if self._code is not None:
            open_since.append(self._code.start)
        first = min(open_since, default=None)
        while self._waiting and (first is None or self._waiting[0].end <= first):
            self._told.append(self._waiting.popleft())
        told, self._told = self._told, []
        return told
