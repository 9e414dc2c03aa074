"""Large JSON, done piece by piece, is what it is in one call: the same values, the same errors, the same bytes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.record import Cassette, cassettes, encode
from trunkline.errors import BadRequest
from trunkline.faces.responses.parse import parse
from trunkline.protocol import body as bodies
from trunkline.protocol import piecemeal, scanning
from trunkline.protocol.body import decode_object
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.piecemeal import decode_piecemeal, encode_piecemeal, is_encoded_as
from trunkline.protocol.scanning import may_hold_nul, scan

UNITS = ("a", "é", "中", "😀", '\\"', "\\\\", "\\n", "\\u4e2d", "\\ud83d\\ude00", "\\\\u0000", "\\/", '\\\\\\"')
"""Characters as JSON spells them, one of each kind."""

SPOILS = ('"', "\\", "\n", "\\ud83d", "\\ude00", "\\u0000", "\\x", "\udcff", "[", "{", '","a":"', "\0", '":"', ",")
"""What makes a text another one, or none."""


@contextmanager
def small_sizes() -> Iterator[None]:
    """A few bytes are many, so that short documents are cut everywhere."""
    with ExitStack() as stack:
        for module, name, value in (
            (bodies, "_LARGE_BYTES", 8),
            (scanning, "_PIECE_BYTES", 4),
            (scanning, "_WINDOW_BYTES", 8),
            (scanning, "_FEW_BYTES", 1),
            (piecemeal, "LONG_BYTES", 2),
            (piecemeal, "SMALL_BYTES", 8),
            (piecemeal, "_ENTRIES", 2),
            (piecemeal, "_PIECE", 7),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield


def outcome(body: bytes) -> object:
    try:
        return decode_object(body)[0]
    except BadRequest as error:
        return error.message, error.param


def in_one_call(body: bytes) -> object:
    with patch.object(bodies, "decode_piecemeal", lambda body, spans: None):
        return outcome(body)


# Decoding

SPELLED = st.lists(st.sampled_from(UNITS), max_size=30).map("".join)
SPOILED = st.lists(st.sampled_from((*UNITS, *SPOILS)), max_size=30).map("".join)


@st.composite
def documents(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> bytes:
    """JSON with long texts in it; duplicate keys and a long key may be among them."""
    text = texts.map(lambda spelled: f'"{spelled}"')
    values = st.recursive(
        st.one_of(text, st.sampled_from(["1", "null", "1.5", '""'])),
        lambda below: st.one_of(
            st.lists(below, max_size=4).map(lambda entries: f"[{','.join(entries)}]"),
            st.lists(st.tuples(st.one_of(st.sampled_from(['"a"', '"b"', '"c"']), text), below), max_size=3).map(
                lambda members: "{" + ", ".join(f"{key}:{value}" for key, value in members) + "}"
            ),
        ),
        max_leaves=6,
    )
    members = draw(st.lists(values, min_size=1, max_size=4))
    spelled = "{" + ",".join(f'"m{at}": {value}' for at, value in enumerate(members)) + "}"
    return spelled.encode("utf-8", "surrogateescape")


@given(documents(SPELLED))
def test_a_document_is_decoded_to_the_same_value(body: bytes) -> None:
    with small_sizes():
        assert outcome(body) == in_one_call(body)
        if not may_hold_nul(body):
            whole = msgspec.json.decode(body)
            assert decode_piecemeal(body, scan(body).long_texts) in (whole, None)


@given(documents(SPELLED))
def test_a_document_without_long_keys_needs_no_second_call(body: bytes) -> None:
    value = outcome(body)
    if isinstance(value, dict) and all(len(key) <= 2 and key.isalnum() and key.isascii() for key in _keys(value)):
        with small_sizes():
            assert decode_piecemeal(body, scan(body).long_texts) == value


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(member)


@given(documents(SPOILED), st.integers(0, 200), st.booleans())
def test_what_is_wrong_is_said_in_the_same_words(body: bytes, cut: int, is_cut_off: bool) -> None:
    body = body[:cut] if is_cut_off else body
    with small_sizes():
        assert outcome(body) == in_one_call(body)


@given(st.binary(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=3))
def test_nothing_hangs_on_where_strings_are_thought_to_be(body: bytes, spans: list[tuple[int, int]]) -> None:
    ordered = sorted({place for span in spans for place in span if place <= len(body)})
    pairs = list(zip(ordered[::2], ordered[1::2], strict=False))
    if may_hold_nul(body):
        return
    value = decode_piecemeal(body, pairs)
    if value is not None:
        assert value == msgspec.json.decode(body)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("shift", range(12))
def test_a_long_text_is_cut_between_characters(unit: str, shift: int) -> None:
    spelled = "a" * shift + unit * (300_000 // len(unit.encode()))
    body = b'{"model":"m","input":"%s"}' % spelled.encode()
    written = scan(body)
    assert [body[start:end] for start, end in written.long_texts] == [spelled.encode()]
    assert decode_piecemeal(body, written.long_texts) == json.loads(body)


@given(st.lists(st.sampled_from(('"', "\\", "a", "\\u0000", "\\u000")), max_size=20).map("".join))
def test_a_NUL_is_seen_where_it_is_spelled_and_not_behind_a_backslash(spelled: str) -> None:
    try:
        value = json.loads(f'"{spelled}"')
    except ValueError:
        return
    with small_sizes():
        assert may_hold_nul(f'"{spelled}"'.encode()) == ("\0" in value)


def test_long_texts_among_many_items_are_put_in_their_places() -> None:
    texts = [f"{at} " + "x" * 40_000 for at in range(30)]
    items = [{"role": "user", "content": [{"type": "input_text", "text": text}, {"n": [1, None]}]} for text in texts]
    value = {"model": "m", "input": items, "metadata": {"a": "b"}}
    assert decode_object(json.dumps(value).encode()) == (value, True)


@pytest.mark.parametrize(
    ("count", "length", "size"),
    [(1, 10_000, "usual"), (1, 300_000, "long_texts"), (1, 1_100_000, "long_texts"), (8_000, 9, "large")],
)
def test_a_request_says_whether_it_is_large(count: int, length: int, size: str) -> None:
    part = {"type": "input_text", "text": "x" * length}
    assert parse(json.dumps({"input": [{"role": "user", "content": [part]}] * count}).encode()).size == size


# Encoding

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), TEXTS, st.just(msgspec.Raw(b'{"a":"bc"}'))),
    lambda below: st.one_of(
        st.lists(below, max_size=5),
        st.lists(below, max_size=5).map(tuple),
        st.dictionaries(TEXTS, below, max_size=4),
        TEXTS.map(lambda text: Message(role="user", content=(InputText(text),))),
    ),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_a_body_is_encoded_to_the_same_bytes(value: dict[str, Any]) -> None:
    with small_sizes():
        encoded = msgspec.json.encode(value)
        assert encode_piecemeal(value, msgspec.json.encode, has_long_texts=True) == encoded
        assert encode_piecemeal(value, msgspec.json.encode, has_long_texts=False) == encoded
        assert is_encoded_as(value, encoded, msgspec.json.encode)
        assert not is_encoded_as(value, encoded + b" ", msgspec.json.encode)
        assert not is_encoded_as(value, encoded[:-1], msgspec.json.encode)


@pytest.mark.parametrize("cassette", [each for each in cassettes() if each.answers], ids=lambda cassette: cassette.name)
def test_every_dialect_says_a_large_request_in_the_same_bytes(cassette: Cassette) -> None:
    large = msgspec.structs.replace(cassette.request, size="long_texts")
    with small_sizes():
        assert encode(dataclasses.replace(cassette, request=large)) == encode(cassette)
