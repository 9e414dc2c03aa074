"""The lane takes what is like the last read and nothing else, and what it takes is what the long way hears.

That the bytes a client gets are the same is a law over every recorded stream in `tests/test_push.py`.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.protocol.render import render_text
from trunkline.upstream.lane import Lane

NUMBER = b'"sequence_number":'


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def event(text: str, *, number: object = 7, more: str = "", is_ascii: bool = True) -> bytes:
    said = json.dumps(text, ensure_ascii=is_ascii)
    fields = f'"type":"t","sequence_number":{number},"item_id":"msg_1","delta":{said}{more}'
    return f"event: t\ndata: {{{fields}}}\n\n".encode()


def learned(piece: bytes, text: str, room: int = 1000) -> Lane:
    lane = Lane(lambda: (lambda text, inner: True, room), NUMBER)
    lane.last = text
    assert lane.learn(chunk(piece), piece)
    return lane


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
    st.integers(0, 10**6),
    st.sampled_from(["", ',"logprobs":[]', ',"x":"delta"']),
    st.booleans(),
)
@pytest.mark.law
def test_a_text_that_is_taken_is_the_one_that_json_says(text: str, number: int, more: str, is_ascii: bool) -> None:
    lane = learned(event(" the", more=more), " the")
    said = event(text, number=number, more=more, is_ascii=is_ascii)
    taken = lane.text_in(chunk(said))
    assert taken in (None, json.loads(said.partition(b"data: ")[2])["delta"])
    if taken is not None:
        assert b'"%b"' % lane.inner == render_text(taken)
    if (text.isascii() or not is_ascii) and text.isprintable() and not {'"', "\\"} & set(text):
        assert taken == text


@pytest.mark.parametrize(
    "read",
    [
        chunk(event("a", more=',"logprobs":[]')),
        chunk(event("a", number='"8"')),
        chunk(event("a", number=-8)),
        chunk(event("a", number="")),
        chunk(event("a") + event("b")),
        chunk(event("a")) + chunk(event("b")),
        chunk(event("a"))[:-1],
        chunk(event("a")) + b"0\r\n\r\n",
        chunk(event("a"))[1:],
        b"0" + chunk(event("a")),
        b"ff" + chunk(event("a"))[2:],
        event("a"),
        chunk(event('say "a"')),
        chunk(event("line\n")),
        chunk(event("a").replace(b'"a"', b'"a\xff"')),
        chunk(event("a").replace(b'"a"', b'"\x07"')),
        chunk(event("a").replace(b'"a"', b'""')),
        chunk(event("a").replace(b'"a"', b"null")),
        chunk(event("a").replace(b"msg_1", b"msg_2")),
        b"",
        b"\r\n",
    ],
)
def test_whatever_is_not_like_the_last_read_goes_the_long_way(read: bytes) -> None:
    assert learned(event(" the"), " the").text_in(read) is None


@pytest.mark.parametrize(
    ("read", "piece", "text"),
    [
        (chunk(event("a")), event("a"), None),
        (chunk(event("a")) + chunk(event("a")), event("a"), "a"),
        (event("a"), event("a"), "a"),
        (chunk(event("a"))[:-1], event("a"), "a"),
        (chunk(event('"')), event('"'), '"'),
        (chunk(event("a", more=',"b":"a"')), event("a", more=',"b":"a"'), "a"),
        (chunk(event("a", more=',"b":"\\u0061"')), event("a", more=',"b":"\\u0061"'), "a"),
        (chunk(event("delta")), event("delta"), "delta"),
    ],
)
def test_what_is_not_certain_is_not_learned(read: bytes, piece: bytes, text: str | None) -> None:
    lane = Lane(lambda: (lambda text, inner: True, 1000), NUMBER)
    lane.last = text
    assert not lane.learn(read, piece)


def test_no_more_is_taken_than_there_is_room_for_without_counting() -> None:
    lane = learned(event(" the"), " the", room=5)
    assert [lane.text_in(chunk(event(text))) for text in ("abc", "def", "gh")] == ["abc", None, "gh"]


def test_what_is_learned_in_vain_is_not_learned_for_ever() -> None:
    lane = learned(event("a"), "a")
    assert [lane.learn(chunk(event("a")), event("a")) for _ in range(6)] == [True, True, True, True, False, False]
    used = learned(event("a"), "a")
    for _ in range(9):
        assert used.text_in(chunk(event("b"))) == "b"
        assert used.learn(chunk(event("a")), event("a"))


def spending(text: str, spent: object, *, reason: str = "") -> bytes:
    said = f'{{"candidates":[{{"content":{{"parts":[{{"text":{json.dumps(text)}}}]}},"index":0{reason}}}]'
    return f'data: {said},"usageMetadata":{{"total":{spent}}},"model":"m-2"}}\n\n'.encode()


def test_what_was_spent_may_differ_and_the_last_word_is_kept() -> None:
    lane = Lane(lambda: (lambda text, inner: True, 1000), usage_member=b'"usageMetadata":')
    lane.last = "a"
    assert lane.learn(chunk(spending("a", 1)), spending("a", 1))
    assert not lane.latest
    assert [lane.text_in(chunk(spending(text, spent))) for text, spent in (("b", 2), ("c", 30))] == ["b", "c"]
    assert lane.latest == spending("c", 30)
    for other in (
        spending("d", '"4"'),
        spending("d", 5, reason=',"finishReason":"STOP"'),
        spending("d", 5).replace(b'"index":0', b'"index":1'),
        spending("d", "5,6.0").replace(b"total", b"totals"),
        spending('d"', 5),
        spending("", 5),
    ):
        assert lane.text_in(chunk(other)) is None
    assert lane.latest == spending("c", 30)
