"""Packed bytes → bytes, within a bound: for a client's body, a provider's answer and a file behind a link alike.

It waits for nothing and blames nobody: who feeds it decides when to let others run, and whose fault a `NotUnpacked` is.
"""

from __future__ import annotations

import zlib
from typing import Final, Literal

PIECE_BYTES: Final = 256 * 1024
"""No piece is larger, however little it was packed in."""

_ANY: Final = 32 + zlib.MAX_WBITS
_MEMBER: Final = b"\x1f"
"""How a further member begins, as far as one letter tells."""


class NotUnpacked(Exception):
    """Bytes that are not packed as they are said to be, end too early, or unpack to more than the bound."""

    def __init__(self, reason: Literal["corrupt", "cut_off", "too_large"]) -> None:
        super().__init__(reason)
        self.reason = reason


class Unpacker:
    """Takes gzip or zlib's deflate apart: `feed` what has come, then `take` until nothing is left; `end` once it ended.

    A file of several members, as `cat a.gz b.gz` makes, is one file; whatever else stands behind its end is passed
    over, as gzip itself does.
    """

    __slots__ = ("_is_full", "_left", "_packed", "_stream")

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._packed = b""
        self._is_full = False
        self._stream = zlib.decompressobj(_ANY)

    def feed(self, chunk: bytes) -> None:
        """Take in what has come; everything fed before has been taken."""
        self._packed = chunk

    def take(self) -> bytes:
        """The next piece; empty when all that has come is unpacked. Raises NotUnpacked."""
        while self._packed or self._is_full:
            if self._stream.eof:
                self._is_full = False
                if not self._packed.startswith(_MEMBER):
                    self._packed = b""
                    return b""
                self._stream = zlib.decompressobj(_ANY)
            try:
                piece = self._stream.decompress(self._packed, PIECE_BYTES)
            except zlib.error:
                raise NotUnpacked("corrupt") from None
            self._packed = self._stream.unconsumed_tail or self._stream.unused_data
            # What is packed may be used up while more of what it unpacks to is still to come.
            self._is_full = len(piece) == PIECE_BYTES
            self._left -= len(piece)
            if self._left < 0:
                raise NotUnpacked("too_large")
            if piece:
                return piece
        return b""

    def end(self) -> None:
        """Say that no more comes. Raises NotUnpacked when the end is missing."""
        if not self._stream.eof:
            raise NotUnpacked("cut_off")
