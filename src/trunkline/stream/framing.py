"""How upstream bytes are cut into messages: the contract, the choice, and the framing of a body that is no stream.

Theory of operation. The bytes say what they are, for labels lie: servers send events as `application/json`, as
`text/plain` or without a type (openclaw/openclaw#96497, Wei-Shaw/sub2api#2826, seen 2026-11-27), and a JSON error where
a stream was asked for. What begins with `{` or `[` is a whole body, whatever its label. What is labelled as events is
events else, and so is what begins with the name of a field of theirs; all other bytes, as those of a picture or a page,
are a whole body. Only AWS's binary events are known by their label.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from trunkline.stream.aws_events import AwsEventFraming
from trunkline.stream.sse import BYTE_ORDER_MARK, SseFraming
from trunkline.wire import Malformed, WireMessage

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""The largest framed message of a stream: a partial image as base64 must fit."""

MAX_BODY_BYTES = 128 * 1024 * 1024
"""The largest whole answer."""

JSON_TYPE = "application/json"
_EVENTS_TYPE = "text/event-stream"
BODY = (b"{", b"[")
"""How a body of JSON begins, with nothing before it."""

_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b"error:", b":")
_USUAL_FIELDS = (b"data:", b"event:")
_LONGEST_FIELD = max(map(len, _FIELDS))
_BEGUN_FIELDS = frozenset(field[:length] for field in _FIELDS for length in range(1, len(field)))

AWS_EVENT_STREAM = "application/vnd.amazon.eventstream"


class Framing(Protocol):
    """Bytes in, messages out; holds what is incomplete.

    `is_whole` says that the one message comes from `flush` and goes to `Decoder.whole`. Raises Malformed when the
    bytes break the framing or a message outgrows its bound.
    """

    is_whole: ClassVar[bool]

    def feed(self, data: bytes) -> list[WireMessage]: ...

    def messages_in(self, data: bytes) -> list[WireMessage] | None:
        """The messages of a read that holds whole ones alone; None for any other, of which nothing was taken."""
        ...

    def flush(self) -> list[WireMessage]: ...


def usual_framing(media_type: str, start: bytes) -> Framing | None:
    """The framing of what both says and shows that it is a stream of events; None where that is to be looked at."""
    if media_type.startswith(_EVENTS_TYPE) and start.startswith(_USUAL_FIELDS):
        return SseFraming(MAX_MESSAGE_BYTES, may_be_marked=False)
    return None


def is_telling(start: bytes) -> bool:
    """Whether the start of an answer is long enough to choose by."""
    if start.startswith(BODY):
        return True
    told = _told(start)
    return bool(told) and told not in _BEGUN_FIELDS


def framing_for(media_type: str, start: bytes) -> Framing:
    """Choose how an answer's bytes are cut, by how they start and by their media type in any case."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind == AWS_EVENT_STREAM:
        return AwsEventFraming(MAX_MESSAGE_BYTES)
    if start.startswith(BODY) or (told := _told(start)).startswith(BODY):
        return WholeBody(MAX_BODY_BYTES)
    is_labelled = kind.endswith("event-stream")  # some servers say `application/event-stream`
    return SseFraming(MAX_MESSAGE_BYTES) if is_labelled or told.startswith(_FIELDS) else WholeBody(MAX_BODY_BYTES)


def _told(start: bytes) -> bytes:
    return start.removeprefix(BYTE_ORDER_MARK).lstrip()[:_LONGEST_FIELD]


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

    def messages_in(self, data: bytes) -> None:
        """A body is whole when it has ended."""

    def flush(self) -> list[WireMessage]:
        return [WireMessage(None, b"".join(self._chunks))]
