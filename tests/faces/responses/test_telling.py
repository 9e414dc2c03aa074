"""An answer on its way out: the same events for a stream and for a whole answer, in which pieces they leave."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.fold import fold
from tests.gateway.server import read_events
from tests.stream.deltas_strategy import ANY_DELTAS, ENDED, assemble, assembler
from trunkline.errors import BadGateway
from trunkline.faces.responses.telling import ResponsesTelling
from trunkline.protocol.render import render_response
from trunkline.stream.deltas import Began, Delta, Spent, Stopped, Text, Usage

HEARD: list[list[Delta]] = [[Began("m"), Text(0, "Hel")], [Text(0, "lo")], [Stopped("stop")]]


def telling(*, is_stream: bool) -> ResponsesTelling:
    return ResponsesTelling(assembler(is_stream=is_stream), lambda: ENDED)


def test_what_comes_with_the_end_leaves_with_it() -> None:
    machine = telling(is_stream=True)
    pieces = [machine.feed(batch) for batch in HEARD]
    assert [bool(piece) for piece in pieces] == [True, True, False]
    last = machine.end([Spent(Usage(output_tokens=2))])
    assert last.endswith(b"data: [DONE]\n\n")
    events = read_events(b"".join(pieces) + last)
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["usage"]["output_tokens"] == 2
    assert b"response.completed" not in b"".join(pieces)


def test_a_whole_answer_leaves_at_its_end_alone() -> None:
    machine = telling(is_stream=False)
    assert [machine.feed(batch) for batch in HEARD] == [b"", b"", b""]
    assert json.loads(machine.end())["output_text"] == "Hello"


def test_a_failure_is_told_after_what_was_held_back() -> None:
    machine = telling(is_stream=True)
    said = b"".join(machine.feed(batch) for batch in HEARD)
    events = read_events(said + machine.fail(BadGateway("gone")))
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Hello"


def test_nothing_is_told_after_the_end() -> None:
    machine = telling(is_stream=True)
    assert machine.fail(BadGateway("gone"))
    assert machine.is_over
    assert machine.fail(BadGateway("again")) == machine.end() == b""


def test_a_large_end_leaves_in_pieces_that_nothing_can_change_any_more() -> None:
    machine = telling(is_stream=True)
    said = machine.feed([Began("m"), Text(0, "word " * 100_000)])
    pieces = [machine.feed([Stopped("stop")]), machine.end(), machine.more()]
    assert [len(piece) > 500_000 for piece in pieces] == [False, True, True]
    states = [(machine.is_ending, machine.is_over)]
    pieces.append(machine.fail(BadGateway("the gateway stops")))
    assert [*states, (machine.is_ending, machine.is_over)] == [(True, False), (True, True)]
    kinds = [event["type"] for event in read_events(said + b"".join(pieces))]
    assert kinds[-3:] == ["response.content_part.done", "response.output_item.done", "response.completed"]
    assert machine.more() == machine.end() == b""


@given(ANY_DELTAS, st.integers(0, 30))
def test_a_stream_is_told_alike_whatever_comes_in_one_list(deltas: list[Delta], place: int) -> None:
    one_by_one, in_two = telling(is_stream=True), telling(is_stream=True)
    said = b"".join([one_by_one.feed([delta]) for delta in deltas]) + one_by_one.end()
    halves = [half for half in (deltas[:place], deltas[place:]) if half]
    assert b"".join([in_two.feed(half) for half in halves]) + in_two.end() == said


@given(ANY_DELTAS)
def test_law_2_a_stream_and_a_whole_answer_come_to_the_same(deltas: list[Delta]) -> None:
    stream, whole = telling(is_stream=True), telling(is_stream=False)
    said = b"".join([stream.feed([delta]) for delta in deltas]) + stream.end()
    for delta in deltas:
        assert whole.feed([delta]) == b""
    body = whole.end()
    assert body == render_response(fold(assemble(*deltas)))
    assert read_events(said)[-1]["response"] == json.loads(body)
