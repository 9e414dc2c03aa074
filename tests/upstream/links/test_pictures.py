"""Heads of pictures: sizes, frames, wholeness; and whatever bytes come, no more than a bounded look at them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.upstream.links.pictures import MAX_FRAMES, MAX_PIXELS, MAX_STEPS, Picture, examined

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
    + struct.pack(">IIBBBBB", 640, 480, 8, 6, 0, 0, 0)
    + b"crc."
    + b"...IEND\xaeB`\x82"
)
FRAME = b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00"
COLOURED = b",\x00\x00\x00\x00\x01\x00\x01\x00\x80" + b"\x00" * 6 + b"\x02\x01\x00\x00"
GIF = b"GIF89a" + struct.pack("<HHBBB", 640, 480, 0x80, 0, 0) + b"\x00" * 6
NOTE = b"!\xfe\x03abc\x02de\x00"
SOF = b"\xff\xc2\x00\x0b\x08" + struct.pack(">HH", 480, 640) + b"\x01\x01\x11\x00"
THUMBNAIL = b"\xff\xe1\x00\x08..\xff\xd9..\xff\xff"


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) % 2)


VP8X = chunk(b"VP8X", b"\x00" * 4 + (639).to_bytes(3, "little") + (479).to_bytes(3, "little"))
VP8 = chunk(b"VP8 ", b"\x00" * 3 + b"\x9d\x01\x2a" + struct.pack("<HH", 640, 480 | 0x4000))
VP8L = chunk(b"VP8L", b"\x2f" + (639 | 479 << 14).to_bytes(4, "little"))


@pytest.mark.parametrize(
    ("media_type", "data", "picture"),
    [
        ("image/png", PNG, Picture(640, 480)),
        ("image/png", PNG[:-8], Picture(640, 480, is_whole=False)),
        ("image/png", PNG[:20], None),
        ("image/jpeg", b"\xff\xd8" + SOF + b"..\xff\xd9", Picture(640, 480)),
        ("image/jpeg", b"\xff\xd8" + THUMBNAIL + SOF + b"..\xff\xd9", Picture(640, 480)),
        ("image/jpeg", b"\xff\xd8" + THUMBNAIL + SOF + b"..", Picture(640, 480, is_whole=False)),
        ("image/jpeg", b"\xff\xd8\xff\xe0\x00\x04..", None),
        ("image/jpeg", b"\xff\xd8....", None),
        ("image/gif", GIF + FRAME + b";", Picture(640, 480, 1)),
        ("image/gif", GIF + NOTE + FRAME + NOTE + COLOURED + b";rest", Picture(640, 480, 2)),
        ("image/gif", GIF + FRAME, Picture(640, 480, 1, is_whole=False)),
        ("image/gif", GIF + FRAME[:-4], Picture(640, 480, 1, is_whole=False)),
        ("image/gif", GIF[:9], None),
        ("image/webp", riff(VP8), Picture(640, 480)),
        ("image/webp", riff(VP8L), Picture(640, 480)),
        ("image/webp", riff(VP8X, chunk(b"ANMF", b"abc"), chunk(b"ANMF", b"abcd")), Picture(640, 480, 2)),
        ("image/webp", riff(VP8X, VP8), Picture(640, 480, 1)),
        ("image/webp", riff(VP8X, VP8)[:-1], Picture(640, 480, is_whole=False)),
        ("image/webp", riff(VP8)[:-1], None),
        ("image/webp", riff(chunk(b"JUNK", b"1234567890")), None),
        ("image/png", PNG[:16] + b"\x00" * 8 + PNG[24:], None),
        ("image/bmp", PNG, None),
    ],
)
def test_a_head_is_read(media_type: str, data: bytes, picture: Picture | None) -> None:
    assert examined(data, media_type) == picture


def test_too_large_is_by_pixels_or_frames() -> None:
    side = int(MAX_PIXELS**0.5)
    assert not Picture(side, side, MAX_FRAMES).is_too_large
    assert Picture(side + 1, side).is_too_large
    assert Picture(1, 1, MAX_FRAMES + 1).is_too_large


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("image/gif", GIF + FRAME * 5_000 + b";"),
        ("image/webp", riff(VP8X, chunk(b"ANMF", b"") * 5_000)),
    ],
)
def test_frames_are_counted_only_as_far_as_it_matters(media_type: str, data: bytes) -> None:
    picture = examined(data, media_type)
    assert picture is not None
    assert picture.frames == MAX_FRAMES + 1
    assert picture.is_too_large


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("image/gif", GIF + b"!\xfe" + b"\x01x" * 1_000_000),
        ("image/gif", GIF + b"!\xfe\x00" * 1_000_000),
        ("image/jpeg", b"\xff\xd8" + b"\xff" * 2_000_000),
        ("image/jpeg", b"\xff\xd8" + b"\xff\xe0\x00\x02" * 500_000),
    ],
)
def test_tiny_blocks_without_end_are_not_followed(media_type: str, data: bytes) -> None:
    assert len(data) > MAX_STEPS
    assert examined(data, media_type) is None


@given(
    st.sampled_from(["image/png", "image/jpeg", "image/gif", "image/webp"]),
    st.sampled_from([PNG[:16], b"\xff\xd8\xff", GIF, riff(VP8X), b""]),
    st.binary(max_size=60),
)
def test_any_bytes_are_a_picture_or_none(media_type: str, start: bytes, rest: bytes) -> None:
    picture = examined(start + rest, media_type)
    assert picture is None or (picture.width > 0 and picture.height > 0)
