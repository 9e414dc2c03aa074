"""An answer on its way to its client, and all of it kept, packed: for one that may be asked for again.

A stream says the same again and again, a hundred bytes around each word, so it is packed as it is told, each piece in
the microseconds that are there anyhow, to less than a tenth. What is too large, packed or not, is told and not kept.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Sequence
from typing import Final

from trunkline.errors import GatewayError
from trunkline.faces.contract import Run, Send, Telling
from trunkline.stream.deltas import Delta

MAX_PACKED_BYTES: Final = 2**20
MAX_TOLD_BYTES: Final = 2**23
_MAX_PIECE_BYTES: Final = 2**20
_WINDOW_BITS, _MEMORY = 13, 6  # 64 KiB for each answer under way; with the usual ones it would be four times that


class KeptTelling:
    """Tells an answer as another telling does, and keeps what it told.

    `_ahead` are pieces of the end that were asked for to be kept, and have not left.
    """

    __slots__ = ("_ahead", "_is_kept", "_packed", "_packed_bytes", "_packer", "_telling", "_told_bytes")

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW_BITS, _MEMORY)
        self._packed: list[bytes] = []
        self._packed_bytes = 0
        self._told_bytes = 0
        self._is_kept = True
        self._ahead: deque[bytes] = deque()

    @property
    def is_stream(self) -> bool:
        return self._telling.is_stream

    @property
    def is_over(self) -> bool:
        return self._telling.is_over and not self._ahead

    @property
    def failure(self) -> GatewayError | None:
        return self._telling.failure

    @property
    def is_ending(self) -> bool:
        return self._telling.is_ending

    def feed(self, batch: Sequence[Delta]) -> bytes:
        return self._keep(self._telling.feed(batch))

    def go_on(self, texts: Sequence[str]) -> bytes:
        return self._keep(self._telling.go_on(texts))

    def run(self, send: Send) -> Run:
        return self._telling.run(lambda frame: send(self._keep(frame)))

    def end(self, rest: Sequence[Delta] = ()) -> bytes:
        return self._ahead.popleft() if self._ahead else self._keep(self._telling.end(rest))

    def fail(self, error: GatewayError, rest: Sequence[Delta] = ()) -> bytes:
        ahead = b"".join(self._ahead)
        self._ahead.clear()
        told = self._telling.fail(error, rest)
        # The end of a stream is as many pieces in one.
        step = _MAX_PIECE_BYTES if self.is_stream else max(len(told), 1)
        for at in range(0, len(told), step):
            self._keep(told[at : at + step])
        return ahead + told

    def more(self) -> bytes:
        return self._ahead.popleft() if self._ahead else self._keep(self._telling.more())

    def kept(self) -> bytes | None:
        """All of the answer, packed, once its end has begun to leave, as if that had; None where it is too large."""
        telling = self._telling
        while self._is_kept and telling.is_ending and not telling.is_over:
            self._ahead.append(self._keep(telling.more()))
        packed = [*self._packed, self._packer.flush()] if self._is_kept else []
        self._forget()
        return b"".join(packed) or None

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
