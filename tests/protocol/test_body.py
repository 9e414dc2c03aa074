"""Bytes that are no request at all, and the two counts of keys that find duplicates."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import BadRequest
from trunkline.faces.responses.parse import parse
from trunkline.protocol.body import MAX_DEPTH, MAX_INPUT_ITEMS, MAX_VALUES, decode_object

TOO_DEEP = "The body is nested too deeply; at most 128 levels are taken."


def refusal(body: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse(body)
    return caught.value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "The body is empty; send a JSON object.", id="empty"),
        pytest.param(b" \r\n", "The body is empty; send a JSON object.", id="white space"),
        pytest.param(b"[]", "The body must be a JSON object, not an array.", id="an array"),
        pytest.param(b"null", "The body must be a JSON object, not null.", id="null"),
        pytest.param(b'"' + b"x" * 99 + b'"', 'The body must be a JSON object, not "' + "x" * 78 + "….", id="text"),
        pytest.param(b'{"model":"m","inp', "The body is not valid JSON: input data was truncated.", id="IN-01 cut off"),
        pytest.param(b"{'a':1}", "The body is not valid JSON: ", id="single quotes"),
        pytest.param(b'{"a":1,}', "The body is not valid JSON: ", id="a trailing comma"),
        pytest.param(b'{"a":1} {}', "The body is not valid JSON: ", id="two values"),
        pytest.param(b'{"a":"\n"}', "The body is not valid JSON: ", id="a bare line break in a string"),
        pytest.param(b'{"a":"\0"}', "The body is not valid JSON: ", id="a bare NUL"),
        pytest.param(b'{"input":"\xc3\x28"}', "The body is not UTF-8.", id="IN-09 broken UTF-8 in a value"),
        pytest.param(b'{"\xff":1}', "The body is not UTF-8.", id="IN-09 broken UTF-8 in a key"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', "The body is not UTF-8.", id="IN-09 a surrogate in UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", "The body starts with a byte order mark; send plain UTF-8.", id="IN-09 a BOM"),
        pytest.param("{}".encode("utf-16"), "The body starts with a byte order mark", id="IN-09 UTF-16 with a BOM"),
        pytest.param("{}".encode("utf-16-le"), "The body is not valid JSON: ", id="IN-09 UTF-16 without a BOM"),
        pytest.param(b'{"input":"\\ud800"}', "The body is not valid JSON: ", id="IN-07 a lone high surrogate"),
        pytest.param(b'{"user":"\\udc00a"}', "The body is not valid JSON: ", id="IN-07 a lone low surrogate"),
        pytest.param(b'{"metadata":{"\\ud800x":""}}', "The body is not valid JSON: ", id="IN-07 a surrogate in a key"),
        pytest.param(
            b'{"max_output_tokens":' + b"9" * 5001 + b"}", "The body is not valid JSON: ", id="IN-03 5001 digits"
        ),
        *(
            pytest.param(b'{"temperature":%s}' % number, "The body is not valid JSON: ", id=f"IN-04 {number.decode()}")
            for number in (b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400")
        ),
        pytest.param(b'{"input":' + b"[" * 100_000, TOO_DEEP, id="IN-02 deep and open"),
        pytest.param(b'{"input":' + b"[" * 100_000 + b"]" * 100_000 + b"}", TOO_DEEP, id="IN-02 deep and closed"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, TOO_DEEP, id="IN-02 deep objects"),
        pytest.param(
            b'{"input":[' + b"0," * MAX_INPUT_ITEMS + b"0]}",
            "input has 10001 items; at most 10000 are taken.",
            id="IN-22 many items",
        ),
        pytest.param(
            b'{"tools":[' + b"0," * MAX_VALUES + b"0]}",
            "The body has too many values; at most 250000 are taken.",
            id="IN-22 many values elsewhere",
        ),
    ],
)
def test_bytes_are_refused(body: bytes, message: str) -> None:
    assert refusal(body).message.startswith(message)


def nested(depth: int) -> bytes:
    """Make a body that is this deep, itself included."""
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize("size", [1, 70_000, 3_000_000])
@pytest.mark.parametrize("innermost", [b"1", b"[]"])
def test_IN_02_depth_at_its_bound_is_taken(size: int, innermost: bytes) -> None:
    def body(depth: int) -> bytes:
        inside = nested(depth - 1).replace(b"1", innermost)
        return b'{"input":"%s","a":%s}' % (b"x" * size, inside)

    deepest = MAX_DEPTH if innermost == b"1" else MAX_DEPTH - 1
    assert decode_object(body(deepest))
    with pytest.raises(BadRequest, match="nested too deeply"):
        decode_object(body(deepest + 1))


@pytest.mark.parametrize(
    ("body", "path"),
    [
        pytest.param(b'{"input":"Hi","user":"a\\u0000"}', "user", id="an identifier"),
        pytest.param(b'{"input":"\\u0000"}', "input", id="text"),
        pytest.param(b'{"metadata":{"a\\u0000":"","b":""}}', 'metadata["a\\u0000"]', id="a key"),
        pytest.param(b'{"tools":[{},{"name":"f\\u0000"}]}', "tools[1].name", id="a tool name"),
        pytest.param(
            b'{"tools":[{"parameters":{"enum":["","\\u0000"]}}]}', "tools[0].parameters.enum[1]", id="a schema"
        ),
    ],
)
def test_IN_08_the_character_NUL_is_refused(body: bytes, path: str) -> None:
    error = refusal(body)
    assert (error.param, error.message) == (path, f"{path} must not contain the character U+0000.")


def test_IN_08_the_spelling_of_NUL_behind_a_backslash_is_only_text() -> None:
    assert decode_object(rb'{"input":"\\u0000"}')[0] == {"input": "\\u0000"}


# Duplicate keys


@pytest.mark.parametrize(
    ("body", "key"),
    [
        pytest.param(b'{"model":"cheap","model":"dear","input":"Hi"}', '"model"', id="on top"),
        pytest.param(b'{"model":1,"mod\\u0065l":2}', '"model"', id="spelled with an escape"),
        pytest.param(b'{"a" :1,"a"\n:2}', '"a"', id="with white space before the colon"),
        pytest.param(b'{"tools":[{"parameters":{"x":{},"x":{}}}]}', '"x"', id="inside a schema"),
        pytest.param(b'{"a":"\\":","a":":"}', '"a"', id="with quotes and colons in values"),
        pytest.param(b'{"a\\\\":1,"a\\\\":":"}', '"a\\\\"', id="ending in a backslash"),
        pytest.param(b'{"":1,"":2}', '""', id="empty"),
        pytest.param(b'{"a":' + b"9" * 4000 + b',"a":1e5}', '"a"', id="with long numbers"),
    ],
)
def test_IN_05_duplicate_keys_are_refused(body: bytes, key: str) -> None:
    assert refusal(body).message == f"The key {key} occurs twice in one object of the body."


def test_IN_05_a_lost_value_may_be_as_deep_as_the_decoder_goes() -> None:
    messages = [refusal(b'{"a":%s,"a":1}' % (b"[" * deep + b"]" * deep)).message for deep in range(700, 1_100)]
    assert "occurs twice" in messages[0]
    assert all("occurs twice" in message or "nested too deeply" in message for message in messages)


def test_IN_05_in_a_very_large_body_the_key_is_not_named() -> None:
    body = b'{"input":"%s","a":1,"a":2}' % (b"x" * 1_000_000)
    assert refusal(body).message == "A key occurs twice in one object of the body."


@pytest.mark.parametrize("size", [200_000, 600_000, 2_100_000])
@pytest.mark.parametrize("strings", [1, 5_000], ids=["few strings", "many strings"])
@pytest.mark.parametrize("escape", [b"", b'\\"'], ids=["plain", "escaped"])
def test_IN_05_duplicate_keys_are_found_in_large_bodies(size: int, strings: int, escape: bytes) -> None:
    array = b"[" + b",".join([b'"a:b"'] * strings) + b"]"
    body = b'{"input":"%s","a":%s,"b":":"%%s}' % (b"x" * size + escape, array)
    assert decode_object(body % b"")[0]["a"] == ["a:b"] * strings
    assert "occurs twice" in refusal(body % b',"b":1').message


TEXTS = st.text(st.sampled_from('ab":\\ {}[],\n\t/é😀u0'), max_size=6)
SPACES = st.text(st.sampled_from(" \t\r\n"), max_size=2)
LEAVES = st.one_of(
    TEXTS.map(lambda text: ("text", text)), st.sampled_from([("bare", word) for word in ("1", "null", "-2.5e3")])
)
TREES = st.recursive(
    LEAVES,
    lambda below: st.one_of(
        st.tuples(st.just("array"), st.lists(below, max_size=4)),
        st.tuples(st.just("object"), st.lists(st.tuples(TEXTS, below), max_size=4)),
    ),
    max_leaves=12,
)
OBJECTS = st.tuples(st.just("object"), st.lists(st.tuples(TEXTS, TREES), max_size=4))


@st.composite
def written(draw: st.DrawFn, trees: st.SearchStrategy[Any]) -> tuple[str, bool]:
    """Write a tree with any escapes and white space; say whether one of its objects has a key twice."""
    duplicates = False

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=draw(st.booleans())).replace("/", draw(st.sampled_from(["/", "\\/"])))

    def spell(tree: Any) -> str:
        nonlocal duplicates
        kind, inside = tree
        space = draw(SPACES)
        match kind:
            case "text":
                return quoted(inside) + space
            case "array":
                return "[" + space + ",".join(map(spell, inside)) + "]"
            case "object":
                keys = [key for key, _ in inside]
                duplicates |= len(set(keys)) < len(keys)
                members = (quoted(key) + draw(SPACES) + ":" + space + spell(value) for key, value in inside)
                return "{" + ",".join(members) + "}"
            case _:
                return str(inside)

    return spell(draw(trees)), duplicates


@given(written(OBJECTS))
def test_IN_05_duplicate_keys_are_found_in_any_spelling_and_nothing_else_is(case: tuple[str, bool]) -> None:
    text, has_duplicates = case
    if has_duplicates:
        with pytest.raises(BadRequest, match="occurs twice"):
            decode_object(text.encode())
    else:
        assert decode_object(text.encode())[0] == json.loads(text)


@given(st.binary(max_size=40))
def test_any_bytes_are_refused_or_make_an_object(body: bytes) -> None:
    try:
        value, _ = decode_object(body)
    except BadRequest:
        return
    assert value == json.loads(body)


@pytest.mark.parametrize("shift", range(8))
@pytest.mark.parametrize("escape", [b'\\"', b"\\\\", b'\\\\\\"', b"\\u0041"])
def test_IN_05_the_pieces_of_a_large_body_are_cut_behind_escapes(shift: int, escape: bytes) -> None:
    text = b"x" * shift + (escape + b":,[{" * 3) * 40_000
    assert decode_object(b'{"a":"%s","b":{"c":"%s"}}' % (text, text))
    assert "twice" in refusal(b'{"a":"%s","b":1,"b":"%s"}' % (text, text)).message
