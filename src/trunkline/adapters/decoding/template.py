"""What stands around the text of a message that says nothing else, known again in the messages after it.

Most servers send a text token by token in messages whose bytes differ in that token alone. What the first of them
meant, one like it means too, and reading it needs no JSON.

Theory of operation. A template is learned from a message that was read in full. It is exact: the member that holds the
text is the only one of its name, no backslash stands in the message, so no name is written in another way, and nothing
that looks like the member is part of a string. A message is like it when its bytes are the same but for the text, and
its text needs no unescaping and holds nothing that JSON forbids. It holds only until something else is heard: then the
same bytes may mean something else, and whoever hears it must `forget`.

Some servers write something new into each message. After a few templates that nothing was like, none is learned any
more.
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.wire import WireMessage

_MOST_LEARNED = 4
_BETWEEN = b"\n"


class Template:
    """The template of one stream; `member` is the name that the text has in its messages, as JSON."""

    __slots__ = ("_closing", "_left", "_member", "_opening")

    def __init__(self, member: bytes) -> None:
        self._member = member
        self._left = _MOST_LEARNED
        self._opening: bytes | None = None
        self._closing = b""

    def text_in(self, data: bytes) -> str | None:
        """The text of a message like the last; None for any other."""
        opening, closing = self._opening, self._closing
        if opening is None or not (data.startswith(opening) and data.endswith(closing)):
            return None
        start, end = len(opening), len(data) - len(closing)
        if end < start:
            return None
        try:
            text = data[start:end].decode()
        except UnicodeDecodeError:
            return None
        return text if text.isprintable() and '"' not in text and "\\" not in text else None

    def texts_in(self, messages: Sequence[WireMessage]) -> list[str] | None:
        """The texts of several messages all of which are like the last, none of them empty; else None."""
        opening, closing = self._opening, self._closing
        if opening is None:
            return None
        start, end = len(opening), -len(closing)
        literals = [message.data[start:end] for message in messages]
        # One comparison for all: what is shorter than what stands around a text makes the lengths differ.
        said_alike = b"%b%b%b" % (opening, (closing + _BETWEEN + opening).join(literals), closing)
        if said_alike != _BETWEEN.join([message.data for message in messages]):
            return None
        try:
            texts = _BETWEEN.join(literals).decode().split("\n")
        except UnicodeDecodeError:
            return None
        said = "".join(texts)
        is_plain = said.isprintable() and '"' not in said and "\\" not in said
        return texts if is_plain and len(texts) == len(literals) and "" not in texts else None

    def learn(self, data: bytes, text: str) -> None:
        """Keep what stands around the text of a message that says nothing else, if that is sure."""
        member, literal = self._member, text.encode()
        if not self._left or b"\\" in data or data.count(member) != 1:
            return
        named = data.find(member) + len(member)
        start = data.find(b'"', named) + 1
        end = start + len(literal)
        if data[named : start - 1].strip() != b":" or data[start : end + 1] != literal + b'"':
            return
        opening, closing = data[:start], data[end:]
        if opening != self._opening or closing != self._closing:
            self._opening, self._closing = opening, closing
            self._left -= 1

    def forget(self) -> None:
        """Hear something else."""
        self._opening = None
