"""Values as bytes that tell whether they are whole, one after the other: `<length><CRC-32><MessagePack>`.

Bytes of which the end is missing, or wrong, are read up to there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

import msgspec

_HEAD = struct.Struct("<II")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[str, object])


def pack(values: Mapping[str, object]) -> bytes:
    """Write one record of named values."""
    body = _encoder.encode(values)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def unpack(data: bytes) -> Iterator[tuple[dict[str, object], int]]:
    """Read records until one is not whole; with each the place of the byte after it."""
    place = 0
    while place + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, place)
        end = place + _HEAD.size + length
        body = data[place + _HEAD.size : end]
        if len(body) < length or zlib.crc32(body) != checksum:
            return
        try:
            values = _decoder.decode(body)
        except msgspec.DecodeError:
            return
        yield values, end
        place = end
