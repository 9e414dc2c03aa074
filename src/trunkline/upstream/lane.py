"""The shortest way of a token: a read that is like the one before it but for its text.

Theory of operation. Most reads of a stream are one HTTP chunk with one event that adds one piece to the open text, and
differ from the read before in that piece alone. When such a read was heard the long way – by the parser, the framing
and the decoder – `learn` keeps what stands around its text. A read with the same bytes around another text means the
same, and leaves all three of them as they were: so it is taken here, before any of them sees it.

It is learned only where that is certain: the chunk is whole, and its bytes are the piece that the parser gave, so the
parser stands between two chunks; no backslash is in it, so each string is written as it is; the text stands in it
once, between quotes; and in a read that is taken the text holds no quote, no backslash and nothing unprintable. Some
dialects number their events, which nobody hears, or say with each what was spent so far, of which the last word counts:
there the digits may be others. Whatever is not like it goes the long way, and must be seen to be like it again.

What was taken here is accounted for later (`texts`, `latest`), before anything else is heard.
"""

from __future__ import annotations

from collections.abc import Callable

_MOST_VAIN = 4
"""So often is something learned that no read is like before it is given up: some servers write something new into each
event."""

_DIGITS = b"0123456789"


class Lane:
    """The lane of one answer.

    `last` is the text that the piece heard last was, if it was nothing else. `begin` is asked when a lane is learned:
    for what tells a text and says whether there is room for more, and for how many characters may be taken uncounted.
    `is_full`: there is no room for more. `inner` is the text taken last, as it stands between its quotes, and `latest`
    the last piece taken, where it says what was spent.
    """

    __slots__ = (
        "_begin",
        "_closing",
        "_closing_size",
        "_is_new",
        "_loose_end",
        "_middle",
        "_number_member",
        "_opening",
        "_opening_size",
        "_room",
        "_usage_member",
        "_vain",
        "inner",
        "is_full",
        "last",
        "latest",
        "tell",
        "texts",
    )

    def __init__(
        self,
        begin: Callable[[], tuple[Callable[[str, bytes], bool], int]],
        number_member: bytes = b"",
        usage_member: bytes = b"",
    ) -> None:
        self._begin = begin
        self._number_member = number_member
        self._usage_member = usage_member
        self._opening = self._middle = self._closing = self._loose_end = self.latest = self.inner = b""
        self._opening_size = self._closing_size = 0
        self._is_new = False
        self._vain = 0
        self._room = 0
        self.is_full = False
        self.last: str | None = None
        self.tell: Callable[[str, bytes], bool]
        self.texts: list[str] = []

    def learn(self, data: bytes, piece: bytes) -> bool:
        """Learn from a read that was heard the long way and the one piece in it, if that is sure."""
        if self.last is None or self._vain >= _MOST_VAIN or b"\\" in piece:
            return False
        start, literal = len(data) - len(piece) - 2, b'"%b"' % self.last.encode()
        if data[:start] != b"%x\r\n" % len(piece) or data[start:-2] != piece or piece.count(literal) != 1:
            return False
        self._vain += self._is_new
        self._is_new = True
        opening, _, closing = piece.partition(literal)
        self._opening, self._middle = opening + b'"', b""
        self._closing, self._loose_end, self.latest = b'"%b\r\n' % closing, b"", b""
        if self._number_member and self._number_member in opening:
            before, member, rest = opening.partition(self._number_member)
            after = rest.lstrip(_DIGITS)
            if len(after) < len(rest):
                self._opening, self._middle = before + member, after + b'"'
        if self._usage_member and self._usage_member in closing:
            before, member, rest = self._closing.partition(self._usage_member)
            self._closing, self._loose_end = before + member, rest.translate(None, _DIGITS)
        self._opening_size, self._closing_size = len(self._opening), len(self._closing)
        self.tell, self._room = self._begin()
        return True

    def text_in(self, data: bytes) -> str | None:
        """The text of a read like the one that was learned; None for any other."""
        size = len(data)
        # Between these sizes the line before the chunk has three digits, as it mostly has.
        start = 5 if 262 < size < 4103 else data.find(b"\r\n", 0, 10) + 2
        if not data.startswith(b"%x\r\n%b" % (size - start - 2, self._opening)):
            return None
        begin, end = start + self._opening_size, size - self._closing_size
        if self._middle:
            begin = self._place_after_number(data, begin)
        if self._loose_end:
            end = self._place_before_usage(data, begin)
        elif not data.endswith(self._closing):
            return None
        if end <= begin:
            return None
        inner = data[begin:end]
        try:
            text = inner.decode()
        except UnicodeDecodeError:
            return None
        room = self._room - len(text)
        if room < 0 or not text.isprintable() or '"' in text or "\\" in text:
            return None
        if self._loose_end:
            self.latest = data[start:-2]
        self.inner = inner
        self._room = room
        if self._is_new:
            self._is_new = False
            self._vain = 0
        return text

    def _place_after_number(self, data: bytes, place: int) -> int:
        """Where the text begins behind a number and what follows it; where nothing can, if something else is there."""
        end = data.find(self._middle, place, place + len(self._middle) + 20)
        return end + len(self._middle) if data[place:end].isdigit() and end > place else len(data)

    def _place_before_usage(self, data: bytes, place: int) -> int:
        """Where a text ends before what was spent; where none is, if something else follows it."""
        end = data.find(b'"', place)
        after = end + len(self._closing)
        is_like = end > place and data[end:after] == self._closing
        return end if is_like and data[after:].translate(None, _DIGITS) == self._loose_end else 0
