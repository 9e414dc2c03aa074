"""Paints FakeProvider's pictures: small valid PNG files, the same for the same words."""

from __future__ import annotations

import hashlib
import struct
import zlib
from base64 import b64encode


def picture(words: str, width: int, height: int) -> str:
    """Paint a gradient in colours that depend on the words; gives back a PNG as base64."""
    start, end = (hashlib.sha256(words.encode("utf-8", "replace")).digest()[at : at + 3] for at in (0, 3))
    rows = bytearray()
    for y in range(height):
        rows.append(0)  # no filter
        for x in range(width):
            share = (x + y) / max(1, width + height - 2)
            rows += bytes(round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    # Stored, not squeezed: builds of zlib differ in how they squeeze, and the bytes must not.
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(rows), 0)) + _chunk(b"IEND", b"")
    return b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode("ascii")


def size_of(aspect_ratio: str, longest: int) -> tuple[int, int]:
    """The width and height of a picture whose longest side is given; a ratio that cannot be read is a square."""
    wide, _, high = aspect_ratio.partition(":")
    if not (wide.isdecimal() and high.isdecimal() and int(wide[:4]) > 0 and int(high[:4]) > 0):
        return longest, longest
    most = max(int(wide[:4]), int(high[:4]))
    return max(1, longest * int(wide[:4]) // most), max(1, longest * int(high[:4]) // most)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
