"""Server-sent events as providers send them: upstream bytes → messages.

It cuts; what the messages say is the decoders' business. How ours are written is each face's.

The rules are those of the HTML standard (section 9.2, server-sent events,
https://html.spec.whatwg.org/multipage/server-sent-events.html, seen 2026-11-22), applied to bytes, so that no character
but CR and LF ever ends a line and broken UTF-8 is left to whoever reads the message. Three steps, each done once for
each byte:

1. A byte order mark at the very start is dropped, and CR LF and lone CR become LF. A CR counts at once; should the
   next read begin with LF, that LF is dropped.
2. Everything up to the last blank line is complete. The rest is the tail; it waits for the next read, in which only
   the new bytes are searched. The tail never starts with LF.
3. The complete part is cut into messages: at one stroke when all of them have the shape nearly every host sends (one
   `data: ` line each, or an `event: ` line and a `data: ` line each), else line by line.

Two departures. What is unfinished when the body ends is a message all the same, since many hosts leave out the last
blank line; a decoder that cannot read it will say so. A field `error` is the data of a message with that name:
llama.cpp tells so that a prompt does not fit (ggml-org/llama.cpp#16486, seen 2026-11-27).
"""

from __future__ import annotations

from typing import ClassVar

from trunkline.wire import Malformed, WireMessage

DONE = b"data: [DONE]\n\n"
"""Ends a stream of OpenAI's languages."""

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment that says only that the connection lives."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class SseFraming:
    """Cuts an upstream stream; `max_message_bytes` bounds one message with its field names and comments.

    `may_be_marked`: a byte order mark may stand first. Raises Malformed when a message is larger; what the same read
    held before it is lost with it.
    """

    is_whole: ClassVar[bool] = False

    def __init__(self, max_message_bytes: int, *, may_be_marked: bool = True) -> None:
        self._max_bytes = max_message_bytes
        self._tail = bytearray()
        # The first bytes while they may be a byte order mark, then None.
        self._start: bytes | None = b"" if may_be_marked else None
        self._after_cr = False
        self._usual: tuple[bytes, str | None] = (b"data: ", None)  # what a read of one message began with last

    def feed(self, data: bytes) -> list[WireMessage]:
        if self._start is not None:
            data = self._without_mark(self._start + data)
        if self._after_cr or b"\r" in data:
            data = self._with_lf(data)
        tail = self._tail
        if tail:
            searched = len(tail) - 1
            tail += data
            end = tail.rfind(b"\n\n", searched)
            if end >= 0:
                complete = bytes(tail[:end])
                del tail[: end + 2]
        else:
            end = data.rfind(b"\n\n")
            if end >= 0:
                complete = data[:end]
                tail += data[end + 2 :]
            else:
                tail += data.lstrip(b"\n")
        if len(tail) > self._max_bytes + 1:  # its last byte may be a line end, which does not count
            raise self._too_large()
        return self._cut(complete) if end >= 0 else []

    def messages_in(self, data: bytes) -> list[WireMessage] | None:
        if self._tail or self._start is not None or self._after_cr or b"\r" in data or not data.endswith(_END):
            return None
        end = len(data) - len(_END)
        if end > self._max_bytes:
            return None
        prefix, name = self._usual
        if data.startswith(prefix) and data.find(b"\n", len(prefix)) == end:
            return [WireMessage(name, data[len(prefix) : end])]
        messages = _cut_alike(data, end)
        if messages is not None and len(messages) == 1:
            self._usual = data[: end - len(messages[0].data)], messages[0].name
        return messages

    def flush(self) -> list[WireMessage]:
        rest = (self._start or b"") + bytes(self._tail)
        self._start = None
        self._tail.clear()
        return self._cut(rest)

    def _without_mark(self, start: bytes) -> bytes:
        if len(start) < len(BYTE_ORDER_MARK) and BYTE_ORDER_MARK.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(BYTE_ORDER_MARK)

    def _with_lf(self, data: bytes) -> bytes:
        if not data:
            return data
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _cut(self, complete: bytes) -> list[WireMessage]:
        if len(complete) <= self._max_bytes:
            messages = _cut_alike(complete, len(complete))
            if messages is not None:
                return messages
        return self._cut_carefully(complete)

    def _cut_carefully(self, complete: bytes) -> list[WireMessage]:
        messages = []
        for block in complete.split(b"\n\n"):
            lines = block.strip(b"\n")
            if len(lines) > self._max_bytes:
                raise self._too_large()
            message = _read_block(lines)
            if message is not None:
                messages.append(message)
        return messages

    def _too_large(self) -> Malformed:
        self._tail.clear()
        return Malformed(f"a message of the stream is larger than {self._max_bytes} bytes")


_END = b"\n\n"


def _cut_alike(data: bytes, end: int) -> list[WireMessage] | None:
    """Cut messages that all have one of the usual shapes, of `data` up to `end`; None if any has another."""
    if data.startswith(b"data: "):
        return _cut_plain(data, end)
    return _cut_named(data, end) if data.startswith(b"event: ") else None


def _cut_plain(data: bytes, end: int) -> list[WireMessage] | None:
    """Cut messages of exactly one `data: ` line each."""
    values = data[6:end].split(b"\n\ndata: ")
    if data.count(b"\n", 0, end) != 2 * len(values) - 2:
        return None
    return [WireMessage(None, value) for value in values]


def _cut_named(data: bytes, end: int) -> list[WireMessage] | None:
    """Cut messages of exactly one `event: ` line and one `data: ` line each."""
    blocks = data[7:end].split(b"\n\nevent: ")
    if data.count(b"\n", 0, end) != 3 * len(blocks) - 2:
        return None
    messages = []
    last, told = b"", None  # runs of one name are decoded once
    for block in blocks:
        name, between, value = block.partition(b"\ndata: ")
        if not between:
            return None
        if name != last:
            last, told = name, _name(name)
        messages.append(WireMessage(told, value))
    return messages


def _read_block(block: bytes) -> WireMessage | None:
    """Read the lines between two blank lines; None if no `data` is among them."""
    name: bytes = b""
    values: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            values.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
        elif field == b"error":
            name = b"error"
            values.append(value.removeprefix(b" "))
    return WireMessage(_name(name), b"\n".join(values)) if values else None


def _name(name: bytes) -> str | None:
    return name.decode(errors="replace") or None
