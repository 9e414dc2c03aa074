"""How upstream bytes are cut into messages: the contract, the choice, and the framing of a body that is no stream."""

from __future__ import annotations

from typing import ClassVar, Protocol

from trunkline.stream.aws_events import AwsEventFraming
from trunkline.stream.sse import SseFraming
from trunkline.wire import Malformed, WireMessage

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""The largest framed message of a stream: a partial image as base64 must fit."""

MAX_BODY_BYTES = 128 * 1024 * 1024
"""The largest whole answer."""

AWS_EVENT_STREAM = "application/vnd.amazon.eventstream"


class Framing(Protocol):
    """Bytes in, messages out; holds what is incomplete.

    `is_whole` says that the one message comes from `flush` and goes to `Decoder.whole`. Raises Malformed when the
    bytes break the framing or a message outgrows its bound.
    """

    is_whole: ClassVar[bool]

    def feed(self, data: bytes) -> list[WireMessage]: ...

    def flush(self) -> list[WireMessage]: ...


def framing_for(media_type: str) -> Framing:
    """Choose how an answer's bytes are cut, by its media type in any case and with any parameters."""
    kind = media_type.partition(";")[0].strip().lower()
    # Some servers say `application/event-stream`.
    if kind.endswith("event-stream"):
        return SseFraming(MAX_MESSAGE_BYTES)
    if kind == AWS_EVENT_STREAM:
        return AwsEventFraming(MAX_MESSAGE_BYTES)
    return WholeBody(MAX_BODY_BYTES)


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
