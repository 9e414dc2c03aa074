"""Server-sent events: upstream bytes are cut as the standard says, however they arrive; ours have one shape."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.deltas_strategy import ANY_DELTAS, assemble, kind
from trunkline.faces.responses.frames import write_events, write_pieces
from trunkline.protocol.events import ErrorEvent, Event, OutputItemAdded
from trunkline.protocol.items import FunctionCallItem
from trunkline.protocol.render import render_event
from trunkline.stream.deltas import Arguments, Delta, FunctionCall, Stopped, Text
from trunkline.stream.sse import DONE, KEEP_ALIVE, SseFraming
from trunkline.wire import Malformed, WireMessage


class Case(NamedTuple):
    id: str
    stream: bytes
    messages: list[tuple[str | None, bytes]]


CASES = [
    Case("two plain messages", b"data: a\n\ndata: b\n\n", [(None, b"a"), (None, b"b")]),
    Case("named messages", b"event: x\ndata: a\n\nevent: y\ndata: b\n\n", [("x", b"a"), ("y", b"b")]),
    Case("the name may come after the data", b"data: a\nevent: x\n\n", [("x", b"a")]),
    Case("a name lasts for one message", b"event: x\ndata: a\n\ndata: b\n\n", [("x", b"a"), (None, b"b")]),
    Case("the last of two names counts", b"event: x\nevent: y\ndata: a\n\n", [("y", b"a")]),
    Case("an empty name is no name", b"event:\ndata: a\n\nevent: \ndata: b\n\n", [(None, b"a"), (None, b"b")]),
    Case("a name without data is no message", b"event: x\n\ndata: a\n\n", [(None, b"a")]),
    Case("CR LF ends lines", b"event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n", [("x", b"a"), (None, b"b")]),
    Case("CR ends lines", b"event: x\rdata: a\r\rdata: b\r\r", [("x", b"a"), (None, b"b")]),
    Case("line ends are mixed", b"data: a\r\ndata: b\rdata: c\n\r\ndata: d\n\r", [(None, b"a\nb\nc"), (None, b"d")]),
    Case("no space after the colon", b"data:a\n\nevent:x\ndata:b\n\n", [(None, b"a"), ("x", b"b")]),
    Case("only one space is dropped", b"data:  a\n\n", [(None, b" a")]),
    Case("several data lines are joined", b"data: a\ndata:\ndata: b\n\n", [(None, b"a\n\nb")]),
    Case("a data line may be empty", b"data\n\ndata:\n\ndata: \n\n", [(None, b""), (None, b""), (None, b"")]),
    Case("comments are dropped", b": hi\n\n:\ndata: a\n: ho\n\n", [(None, b"a")]),
    Case("id, retry and unknown fields are dropped", b"id: 1\nretry: 9\nfoo: 2\nDATA: n\ndata: a\n\n", [(None, b"a")]),
    Case("a field name is matched whole", b"data : n\n data: n\ndatax: n\ndata: a\n\n", [(None, b"a")]),
    Case("blank lines in plenty", b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", [(None, b"a"), (None, b"b")]),
    Case("a byte order mark", b"\xef\xbb\xbfdata: a\n\n", [(None, b"a")]),
    Case(
        "a second byte order mark is part of a name", b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [(None, b"b")]
    ),
    Case("a byte order mark further on is text", b"data: \xef\xbb\xbfa\n\n", [(None, b"\xef\xbb\xbfa")]),
    Case("half a byte order mark", b"\xef\xbb", []),
    Case("broken UTF-8 is left as it is", b"data: \xff\xfe\n\n", [(None, b"\xff\xfe")]),
    Case("broken UTF-8 in a name is replaced", b"event: \xff\ndata: a\n\n", [("\ufffd", b"a")]),
    Case("the last blank line is missing", b"data: a\n\ndata: b\n", [(None, b"a"), (None, b"b")]),
    Case("the last line end is missing", b"data: a\n\nevent: x\ndata: b", [(None, b"a"), ("x", b"b")]),
    Case("the end has no data", b"data: a\n\nevent: x\n", [(None, b"a")]),
    Case("nothing at all", b"", []),
    Case("a colon in the value", b'data: {"a":1}\n\n', [(None, b'{"a":1}')]),
    Case("plain and named in one read", b"event: x\ndata: a\n\ndata: b\n\n: c\n\n", [("x", b"a"), (None, b"b")]),
    Case("data that looks like a separator", b"event: a\n\nevent: b\ndata: c\ndata: d\n\n", [("b", b"c\nd")]),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def cut(*reads: bytes, bound: int = 1 << 20) -> list[tuple[str | None, bytes]]:
    framing = SseFraming(bound)
    messages = [message for read in reads for message in framing.feed(read)] + framing.flush()
    return [(message.name, message.data) for message in messages]


def in_bytes(stream: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in stream]


@each_case
def test_a_stream_in_one_read(case: Case) -> None:
    assert cut(case.stream) == case.messages


@each_case
def test_ST_02_one_byte_in_each_read(case: Case) -> None:
    assert cut(*in_bytes(case.stream)) == case.messages


@each_case
def test_a_stream_cut_anywhere_once(case: Case) -> None:
    for at in range(len(case.stream) + 1):
        assert cut(case.stream[:at], b"", case.stream[at:]) == case.messages


def slowly(stream: bytes) -> list[tuple[str | None, bytes]]:
    """The standard's rules, one line after another, with no haste."""
    lines = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    messages: list[tuple[str | None, bytes]] = []
    name, values = b"", b""
    for line in [*lines, b""]:
        if not line:
            if values:
                messages.append((name.decode(errors="replace") or None, values[:-1]))
            name, values = b"", b""
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if field == b"event":
            name = value
        if field == b"data":
            values += value + b"\n"
    return messages


FRAGMENTS = st.lists(
    st.sampled_from(
        [b"\n", b"\r", b"\r\n", b"\n\n", b"data: ", b"data:", b"data", b"event: ", b"event:", b": c", b":", b" ", b"x",
         b'{"a":1}', b"data: a\n\n", b"event: e\ndata: b\n\n", b"id: 1\n", b"retry: 1",
         b"\xef\xbb\xbf", b"\xe2\x80\xa8"]
    ),
    max_size=24,
)  # fmt: skip


@given(FRAGMENTS, st.data())
def test_a_stream_cut_anywhere_is_read_as_the_standard_says(fragments: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(fragments)
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5))), len(stream)]
    assert cut(*[stream[start:end] for start, end in pairwise(cuts)]) == slowly(stream)


@given(FRAGMENTS, st.integers(0, 20), st.data())
def test_the_bound_holds_alike_however_a_stream_is_cut(fragments: list[bytes], bound: int, data: st.DataObject) -> None:
    def outcome(*reads: bytes) -> list[tuple[str | None, bytes]] | None:
        try:
            return cut(*reads, bound=bound)
        except Malformed:
            return None

    stream = b"".join(fragments)
    at = data.draw(st.integers(0, len(stream)))
    whole = outcome(stream)
    assert outcome(stream[:at], stream[at:]) == whole
    assert outcome(*in_bytes(stream)) == whole


def test_a_message_is_told_with_the_byte_that_completes_it() -> None:
    framing = SseFraming(100)
    assert framing.feed(b"data: a\r\n") == []
    assert framing.feed(b"\r") == [WireMessage(None, b"a")]
    assert framing.feed(b"\ndata: b\n\n") == [WireMessage(None, b"b")]


def test_a_whole_body_is_not_what_this_framing_gives() -> None:
    assert not SseFraming.is_whole


def test_ST_01_a_character_split_at_each_of_its_bytes() -> None:
    stream = 'data: {"text":"😀"}\n\n'.encode()
    first = stream.index("😀".encode())
    for at in range(first, first + 5):
        assert cut(stream[:at], stream[at:]) == [(None, '{"text":"😀"}'.encode())]


def test_ST_03_line_ends_mark_comments_and_data_lines_in_one_stream() -> None:
    stream = b"\xef\xbb\xbf: hello\r\nretry: 10\rdata:{\r\ndata: }\n\r\nevent: x\rdata: 1\r\r"
    assert cut(stream) == cut(*in_bytes(stream)) == [(None, b"{\n}"), ("x", b"1")]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085", "\v", "\f", "\x1c", "\x1d", "\x1e"])
def test_ST_04_other_line_marks_are_text(mark: str) -> None:
    text = f'{{"text":"a{mark}b"}}'.encode()
    assert cut(b"data: " + text + b"\n\n") == [(None, text)]
    assert cut(b"data: " + text + b"\r\n\r\n") == [(None, text)]


@pytest.mark.parametrize("read", [b"data: " + b"x" * 94, b"data: x\n", b": keep-alive\n", b"x"])
def test_ST_14_a_message_without_end_is_refused_at_the_bound(read: bytes) -> None:
    framing = SseFraming(1000)
    for _ in range(1000 // len(read)):
        assert framing.feed(read) == []
    with pytest.raises(Malformed, match="1000 bytes"):
        framing.feed(read * 2)


def test_ST_14_many_messages_may_be_larger_than_the_bound_together() -> None:
    assert len(cut(b"data: 12345\n\n" * 100, bound=11)) == 100
    with pytest.raises(Malformed):
        cut(b"data: 12345\n\ndata: 123456\n\n", bound=11)


def read_back(stream: bytes) -> list[tuple[str | None, dict[str, object]]]:
    return [(name, msgspec.json.decode(value)) for name, value in slowly(stream)]


def test_an_event_has_one_name_line_and_one_data_line() -> None:
    event = ErrorEvent(0, None, "no", None)
    assert write_events([event]) == b"event: error\ndata: " + render_event(event) + b"\n\n"
    assert write_events([]) == b""


@given(ANY_DELTAS)
def test_events_written_are_read_back_one_for_one(deltas: list[Delta]) -> None:
    events = assemble(*deltas)
    stream = write_events(events)
    assert b"\r" not in stream
    assert stream.count(b"\n") == 3 * len(events)
    assert [name for name, _ in read_back(stream)] == [kind(event) for event in events]
    assert cut(stream) == [(kind(event), render_event(event)) for event in events]


@given(ANY_DELTAS, st.integers(0, 2_000))
def test_events_are_written_alike_one_by_one_together_and_in_pieces(deltas: list[Delta], enough_bytes: int) -> None:
    events = assemble(*deltas)
    stream = b"".join(write_events([event]) for event in events)
    assert write_events(events) == stream
    pieces = list(write_pieces(events, enough_bytes))
    assert b"".join(pieces) == stream
    assert all(len(piece) > enough_bytes for piece in pieces[:-1])


def test_every_event_type_has_its_name_line() -> None:
    names = {kind(event_type) for event_type in get_args(Event)}
    assert len(names) == len(get_args(Event)) == 29


def test_marks_of_our_own_streams() -> None:
    assert cut(DONE) == [(None, b"[DONE]")]
    assert cut(KEEP_ALIVE) == []
    assert KEEP_ALIVE == b": keep-alive\n\n"


def test_ST_05_text_that_looks_like_an_event_stays_text() -> None:
    text = 'a\n\ndata: {"type":"response.completed"}\n\nevent: x\r\rdata: b'
    events = assemble(Text(0, text), Stopped("stop"))
    told = read_back(write_events(events))
    assert len(told) == len(events)
    assert [value["delta"] for name, value in told if name == "response.output_text.delta"] == [text]
    assert [name for name, _ in told].count("response.completed") == 1


def test_ST_06_names_and_ids_with_line_ends_add_no_field() -> None:
    events = assemble(FunctionCall(0, "c\r\nevent: x", "n\r\n\r\ndata: y"), Arguments(0, "{}\r\n"), Stopped("calls"))
    told = read_back(write_events(events))
    assert [name for name, _ in told] == [kind(event) for event in events]
    added = next(event.item for event in events if isinstance(event, OutputItemAdded))
    assert isinstance(added, FunctionCallItem)
    assert (added.call_id, added.name) == ("c\r\nevent: x", "n\r\n\r\ndata: y")


def test_ST_06_an_upstream_name_with_line_ends_cannot_be() -> None:
    assert cut(b"event: x\rdata: a\r\n\r\n") == [("x", b"a")]


def test_ST_25_keep_alives_between_ten_thousand_events_do_not_count() -> None:
    events = assemble(*[Text(0, "x")] * 10_000, Stopped("stop"))
    stream = b"".join(write_events([event]) + KEEP_ALIVE for event in events) + DONE
    values = [msgspec.json.decode(value) for _, value in cut(stream) if value != b"[DONE]"]
    assert [value["sequence_number"] for value in values] == list(range(10_000 + 8))
