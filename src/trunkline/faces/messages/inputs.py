"""The inputs of a conversation's calls as the client wrote them, byte for byte.

What was decoded and encoded again could spell a number another way, and the cache of a provider begins at the first
byte that differs. Only messages with calls in them are read once more, and of those what is beside a call not at all.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder


class _Body(Struct):
    messages: list[Raw]


class _Message(Struct):
    content: list[Raw]


class _Call(Struct):
    input: Raw


_decode_body: Final = Decoder(_Body).decode
_decode_message: Final = Decoder(_Message).decode
_decode_call: Final = Decoder(_Call).decode


class Inputs:
    """Finds the input of a call by the place of its message, and its own place in that.

    Whoever asks has seen that both are there. The body is read when it is first asked for.
    """

    def __init__(self, body: bytes | bytearray) -> None:
        self._body = body
        self._messages: list[Raw] = []
        self._at = -1
        self._blocks: list[Raw] = []

    def text(self, message: int, block: int) -> str:
        """The input of a call as JSON text."""
        if not self._messages:
            self._messages = _decode_body(self._body).messages
        if self._at != message:
            self._at, self._blocks = message, _decode_message(self._messages[message]).content
        return bytes(_decode_call(self._blocks[block]).input).decode()
