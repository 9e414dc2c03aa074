"""Cuts the binary event stream of AWS into messages.

It knows nothing of what the payloads mean. A frame that tells of a failure is a message like any other, its name
marked with `EXCEPTION`.

Theory of operation. A frame is

    total length (4) · header length (4) · CRC of these eight bytes (4) · headers · payload · CRC of all before (4)

with big-endian numbers and CRC-32 sums. The machine waits for a certain count of bytes: first for a prelude of
twelve, which is checked and bounded before anything more is kept, then for the whole frame it announces. Bytes are
appended to one buffer and removed once per read, so the work is linear however the bytes are cut. A stream repeats
the same few header blocks for ever, so their meaning is remembered by their bytes.

Source: https://smithy.io/2.0/aws/amazon-eventstream.html (2026-11-22).
"""

from __future__ import annotations

from struct import Struct
from typing import ClassVar
from zlib import crc32

import msgspec

from trunkline.wire import Malformed, WireMessage

EXCEPTION = "exception/"
"""Begins the name of a message that tells of a failure; the type of the failure follows."""

_PRELUDE = 12
_CRC = 4
_SMALLEST_FRAME = _PRELUDE + _CRC
_LARGEST_HEADERS = 128 * 1024
_REMEMBERED = 64

_read_prelude = Struct("!III").unpack_from
_read_checksum = Struct("!I").unpack_from

_STRING = 7
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Header value types of one size: true, false, byte, short, integer, long, timestamp, UUID."""
_SIZED = {6, _STRING}
"""Header value types that begin with a two-byte length: byte array and string."""


class AwsEventFraming:
    """Bytes of `application/vnd.amazon.eventstream` in, one message a frame out.

    `WireMessage.name` is the `:event-type`. Of an exception frame it is `EXCEPTION` and the `:exception-type`; of an
    error frame, which has no payload, `EXCEPTION` and the `:error-code`, with `{"message": …}` as data.
    """

    is_whole: ClassVar[bool] = False

    def __init__(self, max_message_bytes: int) -> None:
        self._max_bytes = max_message_bytes
        self._buffer = bytearray()
        self._awaited = _PRELUDE
        self._names: dict[bytes, str] = {}
        self._broken: Malformed | None = None

    def feed(self, data: bytes) -> list[WireMessage]:
        if self._broken is not None:
            raise self._broken
        self._buffer += data
        messages: list[WireMessage] = []
        try:
            self._cut(messages)
        except Malformed as error:
            if not messages:
                raise
            # What came whole before the damage in the same read is still told.
            self._broken = error
        return messages

    def messages_in(self, data: bytes) -> None:
        """Frames have a checksum, and are read one way."""

    def flush(self) -> list[WireMessage]:
        """Forget what is incomplete: a frame cut short says nothing, and the decoder misses the stop it held."""
        if self._broken is not None:
            raise self._broken
        self._buffer.clear()
        return []

    def _cut(self, messages: list[WireMessage]) -> None:
        buffer = self._buffer
        start = 0
        while len(buffer) - start >= self._awaited:
            size, payload_start = self._bounds(start)
            if len(buffer) - start < size:
                self._awaited = size
                break
            frame = buffer[start : start + size]
            (checksum,) = _read_checksum(frame, size - _CRC)
            del frame[-_CRC:]
            if crc32(frame) != checksum:
                raise Malformed("an event frame fails its checksum")
            messages.append(self._message(bytes(frame[_PRELUDE:payload_start]), bytes(frame[payload_start:])))
            start += size
            self._awaited = _PRELUDE
        del buffer[:start]

    def _bounds(self, start: int) -> tuple[int, int]:
        """The size of the frame and where in it the payload starts."""
        size, header_size, checksum = _read_prelude(self._buffer, start)
        if crc32(self._buffer[start : start + 8]) != checksum:
            raise Malformed("the prelude of an event frame fails its checksum")
        if size < _SMALLEST_FRAME + header_size or header_size > _LARGEST_HEADERS:
            raise Malformed("the lengths of an event frame contradict each other")
        if size > self._max_bytes:
            raise Malformed("an event frame is larger than the gateway takes")
        return size, _PRELUDE + header_size

    def _message(self, header_bytes: bytes, payload: bytes) -> WireMessage:
        name = self._names.get(header_bytes)
        if name is None:
            headers = _read_headers(header_bytes)
            if headers.get(":message-type") == "error":
                return _error_message(headers)
            name = _name(headers)
            if len(self._names) < _REMEMBERED:
                self._names[header_bytes] = name
        return WireMessage(name, payload)


def _name(headers: dict[str, str]) -> str:
    match headers.get(":message-type"):
        case "event":
            return headers.get(":event-type", "")
        case "exception":
            return EXCEPTION + headers.get(":exception-type", "")
        case _:
            raise Malformed("an event frame does not say what it is")


def _error_message(headers: dict[str, str]) -> WireMessage:
    message = headers.get(":error-message", "")
    return WireMessage(EXCEPTION + headers.get(":error-code", ""), msgspec.json.encode({"message": message}))


def _read_headers(data: bytes) -> dict[str, str]:
    """Read the string headers of a frame; those of other types are passed over."""
    headers: dict[str, str] = {}
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name = data[at + 1 : name_end].decode()
            kind = data[name_end]
            at = name_end + 1
            if kind in _SIZED:
                at += 2
                size = int.from_bytes(data[at - 2 : at])
            else:
                size = _FIXED_SIZES[kind]
            if at + size > len(data):
                raise Malformed("a header of an event frame is cut off")
            if kind == _STRING:
                headers[name] = data[at : at + size].decode()
            at += size
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise Malformed("the headers of an event frame cannot be read") from error
    return headers
