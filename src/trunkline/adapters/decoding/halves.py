r"""Mends characters that a provider cut in two: JavaScript counts in halves, and a stream may be cut between two.

A character outside the basic plane is then sent as `"…\ud83d"` at the end of one message's text and `"\ude00…"` at the
beginning of the next one's. JSON readers refuse either half. A decoder asks here only after it could not read a
message; what was wrong with it otherwise stays wrong.

Theory of operation. Halves at the end of a string wait for the next message that could not be read, whose own halves at
the beginning of a string they are put before, in their order. Any other half becomes the replacement character. One
that waits for ever is lost: the text ends before it.
"""

from __future__ import annotations

import re

from trunkline.wire import WireMessage

_REPLACEMENT = rb"\ufffd"

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<first>u[dD][89abAB][0-9a-fA-F]{2})(?P<ends>(?=\"))?"
    rb"|(?P<second>u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|.)",
    re.DOTALL,
)
"""Escapes of a JSON text, whole characters first: a backslash that is itself escaped begins none."""


class Halves:
    """The halves of one stream that wait."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def mended(self, message: WireMessage) -> WireMessage | None:
        """The message with whole characters only; None if it held no half of one."""
        if b"\\u" not in message.data:
            return None
        waiting, self._waiting = self._waiting, []
        pieces: list[bytes] = []
        done, is_found = 0, False
        for escape in _ESCAPE.finditer(message.data):
            first, second = escape["first"], escape["second"]
            if first is None and second is None:
                continue
            is_found = True
            start = escape.start()
            pieces.append(message.data[done:start])
            if first is None:
                begins = start > done and message.data[start - 1] == _QUOTE
                pieces.append(waiting.pop(0) + escape[0] if begins and waiting else _REPLACEMENT)
            elif escape["ends"] is not None:
                self._waiting.append(escape[0])
            else:
                pieces.append(_REPLACEMENT)
            done = escape.end()
        if not is_found:
            self._waiting = waiting
            return None
        pieces.append(message.data[done:])
        return WireMessage(message.name, b"".join(pieces))


_QUOTE = ord('"')
