"""An answer that is told whole: what is written at once says what the assembler would have said."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.record import cassettes, hear
from tests.stream.deltas_strategy import (
    ANY_DELTAS,
    CLOSED,
    ENDED,
    MODEL,
    SPENT,
    STARTED,
    STOPPED,
    TEXT,
    answers,
    assembler,
    tokens,
)
from trunkline.errors import BadGateway
from trunkline.faces.contract import Answering
from trunkline.faces.responses.face import RESPONSES
from trunkline.faces.responses.telling import ResponsesTelling
from trunkline.faces.responses.whole import WholeTelling, one_text
from trunkline.protocol.render import render_response
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Began, Closed, Delta, Reasoning, Spent, Stopped, Text, Usage

REQUEST = Request(input=())

NEARLY_USUAL: st.SearchStrategy[list[Delta]] = st.tuples(
    st.lists(st.builds(Began, st.sampled_from([MODEL, "acme/small-1"])), max_size=1),
    st.lists(st.one_of(st.builds(Text, st.just(0), st.text(max_size=3)), TEXT, CLOSED, SPENT), max_size=4),
    st.lists(st.one_of(SPENT, STOPPED, CLOSED), max_size=3),
).map(lambda parts: [*parts[0], *parts[1], *parts[2]])
"""Answers that are one text, and such as differ from one in little."""


def answering() -> Answering:
    return Answering("resp_1", tokens(), STARTED, MODEL, lambda: ENDED)


def whole(request: Request = REQUEST) -> WholeTelling:
    return WholeTelling(request, answering())


def slowly(heard: list[Delta], request: Request = REQUEST) -> bytes:
    """What is told of an answer that the assembler decides."""
    machine = ResponsesTelling(assembler(request, is_stream=False), lambda: ENDED)
    machine.feed(heard)
    return machine.end()


@given(st.one_of(ANY_DELTAS, answers(), NEARLY_USUAL, NEARLY_USUAL))
def test_it_tells_what_the_assembler_makes_of_the_same_deltas(heard: list[Delta]) -> None:
    machine = whole()
    for before, after in pairwise([0, len(heard) // 2, len(heard)]):
        assert machine.feed(heard[before:after]) == b""
    assert machine.end() == slowly(heard)


@pytest.mark.law
def test_it_tells_every_recorded_answer_as_the_assembler_does() -> None:
    written_at_once = 0
    for cassette in cassettes():
        for suffix, answer in cassette.answers.items():
            heard = hear(cassette, suffix, [answer]).deltas
            machine = whole(cassette.request)
            machine.feed(heard)
            assert machine.end() == slowly(heard, cassette.request), cassette.name
            written_at_once += one_text(cassette.request, answering(), heard) is not None
    assert written_at_once > 0


@pytest.mark.parametrize(
    "heard",
    [
        pytest.param([Began("m"), Text(0, "Hi"), Spent(Usage(3, 0, 0, 1)), Stopped("stop")], id="counted"),
        pytest.param([Text(0, "H"), Text(0, ""), Text(0, "i"), Closed(0), Stopped("stop")], id="in pieces, and closed"),
        pytest.param([Text(0, "Hi"), Spent(Usage(), None, "ultrafast"), Stopped("calls")], id="in another tier"),
        pytest.param([Text(0, "Hi"), Stopped("stop"), Stopped("length"), Text(0, "!")], id="with more after its stop"),
    ],
)
def test_an_answer_that_is_one_text_is_written_at_once(heard: list[Delta]) -> None:
    response = one_text(REQUEST, answering(), heard)
    assert response is not None
    assert render_response(response) == slowly(heard)


def test_what_was_heard_last_is_told_with_the_end() -> None:
    machine = whole()
    machine.feed([Reasoning(0, "Hm."), Text(1, "Hel")])
    machine.go_on(["l", "o"])
    body = machine.end([Stopped("stop")])
    assert body == slowly([Reasoning(0, "Hm."), Text(1, "Hello"), Stopped("stop")])
    assert machine.is_over
    assert machine.is_ending


def test_a_failure_is_told_with_what_was_said_before_it() -> None:
    machine = whole()
    machine.feed([Text(0, "Hel")])
    told = json.loads(machine.fail(BadGateway("gone"), [Text(0, "lo")]))
    assert (told["status"], told["output_text"], told["error"]["message"]) == ("failed", "Hello", "gone")


def test_nothing_is_told_after_the_end() -> None:
    machine = whole()
    machine.feed([Text(0, "Hi"), Stopped("stop")])
    assert machine.end()
    assert machine.end() == machine.more() == machine.fail(BadGateway("late")) == b""


def test_the_face_tells_a_client_that_wants_no_stream_whole() -> None:
    asked = RESPONSES.parse(b'{"model": "m", "input": "Hi", "stream": false}', None, {})
    assert not RESPONSES.telling(asked, answering()).is_stream
