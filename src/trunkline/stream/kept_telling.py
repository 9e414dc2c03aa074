"""An answer on its way to its client, and all of it kept, packed: for one that may be asked for again.

A stream says the same again and again, a hundred bytes around each word, so it is packed as it is told, each piece in
the microseconds that are there anyhow, to less than a tenth. What is too large, packed or not, is told and not kept.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Final

from trunkline.stream.assemble import Assembler
from trunkline.stream.deltas import Delta
from trunkline.stream.sse import DONE
from trunkline.stream.telling import Telling
from trunkline.stream.text_run import TextRun

MAX_PACKED_BYTES: Final = 2**20
MAX_TOLD_BYTES: Final = 2**23
_MAX_PIECE_BYTES: Final = 2**20
_WINDOW_BITS, _MEMORY = 13, 6  # 64 KiB for each answer under way; with the usual ones it would be four times that


class KeptTelling(Telling):
    """Tells an answer like any other, and keeps what it told."""

    __slots__ = ("_is_kept", "_packed", "_packed_bytes", "_packer", "_told_bytes")

    def __init__(self, assembler: Assembler, now: Callable[[], float]) -> None:
        super().__init__(assembler, now)
        self._packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW_BITS, _MEMORY)
        self._packed: list[bytes] = []
        self._packed_bytes = 0
        self._told_bytes = 0
        self._is_kept = True

    def feed(self, batch: Sequence[Delta]) -> bytes:
        return self._keep(super().feed(batch))

    def go_on(self, texts: Sequence[str]) -> bytes:
        return self._keep(super().go_on(texts))

    def run(self, send: Callable[[bytes], bool]) -> TextRun:
        return super().run(lambda frame: send(self._keep(frame)))

    def more(self) -> bytes:
        return self._keep(super().more())

    def kept(self) -> bytes | None:
        """All of the answer, packed, once its end has begun to leave, as if that had; None where it is too large."""
        if self._end is not None and not self.is_over:
            self._look_ahead(self._end)
        packed = [*self._packed, self._packer.flush()] if self._is_kept else []
        self._forget()
        return b"".join(packed) or None

    def _look_ahead(self, end: Iterator[bytes]) -> None:
        ahead: list[bytes] = []
        while self._is_kept and (piece := next(end, None)) is not None:
            ahead.append(self._keep(piece))
        self._keep(DONE)
        self._end = chain(ahead, end)

    def _keep(self, piece: bytes) -> bytes:
        if not self._is_kept:
            return piece
        self._told_bytes += len(piece)
        if len(piece) > _MAX_PIECE_BYTES or self._told_bytes > MAX_TOLD_BYTES:
            self._forget()
        elif packed := self._packer.compress(piece):
            self._packed.append(packed)
            self._packed_bytes += len(packed)
            if self._packed_bytes > MAX_PACKED_BYTES:
                self._forget()
        return piece

    def _forget(self) -> None:
        """Keep nothing more."""
        self._is_kept = False
        self._packed.clear()
