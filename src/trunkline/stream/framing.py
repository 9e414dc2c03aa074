"""How upstream bytes are cut into messages: the contract, and the framing of a body that is no stream."""

from __future__ import annotations

from typing import ClassVar, Protocol

from trunkline.wire import Malformed, WireMessage


class Framing(Protocol):
    """Bytes in, messages out; holds what is incomplete.

    `is_whole` says that the one message comes from `flush` and goes to `Decoder.whole`. Raises Malformed when the
    bytes break the framing or a message outgrows its bound.
    """

    is_whole: ClassVar[bool]

    def feed(self, data: bytes) -> list[WireMessage]: ...

    def flush(self) -> list[WireMessage]: ...


class WholeBody:
    """Gathers a body and hands it over once."""

    is_whole: ClassVar[bool] = True

    def __init__(self, max_bytes: int) -> None:
        self._chunks: list[bytes] = []
        self._room = max_bytes

    def feed(self, data: bytes) -> list[WireMessage]:
        self._room -= len(data)
        if self._room < 0:
            raise Malformed("the answer is larger than the gateway takes")
        self._chunks.append(data)
        return []

    def flush(self) -> list[WireMessage]:
        return [WireMessage(None, b"".join(self._chunks))]
