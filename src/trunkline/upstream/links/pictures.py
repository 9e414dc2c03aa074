"""What a picture's own bytes say of it: size in pixels, frames, whether it is all there. Pure.

Only headers and the chain of blocks are read, and of that no more than an honest picture has; nothing is unpacked. So
neither a small file that unpacks to gigabytes nor a large one of tiny blocks costs anything. What type the bytes are
is `adapters/media.py`'s to tell.

Sources: https://www.w3.org/TR/png-3/, https://www.w3.org/Graphics/GIF/spec-gif89a.txt,
https://www.w3.org/Graphics/JPEG/itu-t81.pdf, https://developers.google.com/speed/webp/docs/riff_container (2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

MAX_PIXELS: Final = 100_000_000
MAX_FRAMES: Final = 1_000
MAX_STEPS: Final = 100_000
"""So many blocks are skipped; a picture with more counts as damaged. At 255 bytes each this is 25 MB of GIF."""


@dataclass(frozen=True)
class Picture:
    """`frames` is not counted on beyond MAX_FRAMES; `is_whole` is then unknown and told as true."""

    width: int
    height: int
    frames: int = 1
    is_whole: bool = True

    @property
    def is_too_large(self) -> bool:
        return self.width * self.height > MAX_PIXELS or self.frames > MAX_FRAMES


def examined(data: bytes, media_type: str) -> Picture | None:
    """Read the head of a picture; None when it cannot be read or says nothing sensible."""
    reader = _READERS.get(media_type)
    try:
        picture = reader(data) if reader else None
    except IndexError:
        return None
    return picture if picture and picture.width > 0 and picture.height > 0 else None


def is_examinable(media_type: str) -> bool:
    return media_type in _READERS


def _png(data: bytes) -> Picture | None:
    if data[12:16] != b"IHDR" or len(data) < 24:
        return None
    return Picture(_big(data, 16, 4), _big(data, 20, 4), is_whole=data.rfind(b"IEND") > 24)


def _jpeg(data: bytes) -> Picture | None:
    place = 2
    for _ in range(MAX_STEPS):
        if data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _JPEG_FRAMES:
            # A thumbnail's end mark may stand before the frame, so only one behind it counts.
            is_whole = data.rfind(b"\xff\xd9") > place
            return Picture(_big(data, place + 7, 2), _big(data, place + 5, 2), is_whole=is_whole)
        else:
            place += 2 + max(_big(data, place + 2, 2), 2)
    return None


_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _gif(data: bytes) -> Picture | None:
    width, height = _little(data, 6, 2), _little(data, 8, 2)
    frames = 0
    place = 13 + _colours(data[10])
    is_in_block = False
    for _ in range(MAX_STEPS):
        if is_in_block:
            is_in_block = place < len(data) and data[place] > 0
            place += data[place] + 1 if is_in_block else 1
            continue
        match data[place : place + 1]:
            case b"," if frames <= MAX_FRAMES:
                frames += 1
                place += 11 + _colours(data[place + 9])
            case b"!":
                place += 2
            case kind:
                return Picture(width, height, frames, is_whole=kind in (b";", b","))
        is_in_block = True
    return None


def _colours(flags: int) -> int:
    """The bytes of a colour table."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _webp(data: bytes) -> Picture | None:
    is_whole = len(data) >= _little(data, 4, 4) + 8
    match data[12:16]:
        case b"VP8 ":
            return Picture(_little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF, is_whole=is_whole)
        case b"VP8L":
            bits = _little(data, 21, 4)
            return Picture((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, is_whole=is_whole)
        case b"VP8X":
            frames = _webp_frames(data)
            return Picture(_little(data, 24, 3) + 1, _little(data, 27, 3) + 1, frames, is_whole)
    return None


def _webp_frames(data: bytes) -> int:
    frames, place = 0, 12
    for _ in range(MAX_STEPS):
        if place + 8 > len(data) or frames > MAX_FRAMES:
            break
        frames += data[place : place + 4] == b"ANMF"
        length = _little(data, place + 4, 4)
        place += 8 + length + length % 2
    return max(frames, 1)


def _big(data: bytes, place: int, length: int) -> int:
    return int.from_bytes(_cut(data, place, length), "big")


def _little(data: bytes, place: int, length: int) -> int:
    return int.from_bytes(_cut(data, place, length), "little")


def _cut(data: bytes, place: int, length: int) -> bytes:
    if place + length > len(data):
        raise IndexError("the picture ends inside its head")
    return data[place : place + length]


_READERS: Mapping[str, Callable[[bytes], Picture | None]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/gif": _gif,
    "image/webp": _webp,
}
