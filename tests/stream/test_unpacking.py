"""Packed bytes taken apart: whatever the pieces they come in, within the bound, and never without their end."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.stream.unpacking import PIECE_BYTES, NotUnpacked, Unpacker

TEXTS = st.one_of(
    st.binary(max_size=300), st.builds(bytes, st.integers(0, 3 * PIECE_BYTES)), st.just(bytes(PIECE_BYTES))
)
CUTS = st.lists(st.integers(0, 2_000), max_size=8)


def pieces_of(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def unpacked(chunks: Sequence[bytes], max_bytes: int) -> list[bytes]:
    unpacker = Unpacker(max_bytes)
    pieces: list[bytes] = []
    for chunk in chunks:
        unpacker.feed(chunk)
        while piece := unpacker.take():
            pieces.append(piece)
    unpacker.end()
    return pieces


@given(st.lists(TEXTS, min_size=1, max_size=3), CUTS, st.sampled_from([b"", bytes(7), b"garbage"]))
def test_law_what_was_packed_comes_out_in_bounded_pieces(texts: list[bytes], cuts: list[int], rest: bytes) -> None:
    said = b"".join(texts)
    packed = b"".join(map(gzip.compress, texts)) + rest
    pieces = unpacked(pieces_of(packed, cuts), len(said))
    assert b"".join(pieces) == said
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)


@given(TEXTS, CUTS)
def test_law_deflate_is_taken_as_well(text: bytes, cuts: list[int]) -> None:
    assert b"".join(unpacked(pieces_of(zlib.compress(text), cuts), len(text))) == text


@given(TEXTS.filter(bool), CUTS)
def test_law_one_byte_beyond_the_bound_is_too_large(text: bytes, cuts: list[int]) -> None:
    with pytest.raises(NotUnpacked) as caught:
        unpacked(pieces_of(gzip.compress(text, mtime=0), cuts), len(text) - 1)
    assert caught.value.reason == "too_large"


@given(TEXTS, st.integers(1, 400), CUTS)
def test_law_without_its_end_nothing_is_whole(text: bytes, lost: int, cuts: list[int]) -> None:
    packed = gzip.compress(text, mtime=0)
    with pytest.raises(NotUnpacked) as caught:
        unpacked(pieces_of(packed[: -min(lost, len(packed))], cuts), len(text))
    assert caught.value.reason == "cut_off"


@pytest.mark.parametrize(
    "packed", [b"not packed", gzip.compress(b"x", mtime=0)[:-4] + b"wxyz", gzip.compress(b"x", mtime=0) + b"\x1fmore"]
)
def test_what_is_not_packed_is_corrupt(packed: bytes) -> None:
    with pytest.raises(NotUnpacked) as caught:
        unpacked([packed], 1_000)
    assert caught.value.reason == "corrupt"
