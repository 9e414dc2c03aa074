"""An answer that is told whole: what is written at once is what the machine of its face would have told."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

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
    UNSTOPPED_DELTAS,
    answers,
    tokens,
)
from trunkline.errors import BadGateway
from trunkline.faces.chat import whole as chat
from trunkline.faces.chat.face import CHAT
from trunkline.faces.chat.form import ChatForm
from trunkline.faces.chat.telling import ChatTelling
from trunkline.faces.contract import Answering, Asked, Face, Telling
from trunkline.faces.messages import whole as messages
from trunkline.faces.messages.face import MESSAGES
from trunkline.faces.messages.form import MessagesForm
from trunkline.faces.messages.telling import MessagesTelling
from trunkline.faces.responses import whole as responses
from trunkline.faces.responses.face import RESPONSES
from trunkline.faces.whole_telling import OneText
from trunkline.protocol.request import Request
from trunkline.protocol.tools import SearchTool
from trunkline.stream.deltas import Began, Closed, Delta, Reasoning, Spent, Stopped, Text, Usage

Machine = Callable[[Asked, Answering], Telling]

ASKED_CHAT = Asked(Request(input=()), ChatForm())
ASKED_MESSAGES = Asked(Request(input=(), tools=(SearchTool(type="web_search"),)), MessagesForm("claude-as-asked"))

ASKED = Asked(Request(input=()), None)

DOORS = [
    pytest.param(RESPONSES, ASKED, responses.assembled, responses.one_text, id="responses"),
    pytest.param(CHAT, ASKED_CHAT, ChatTelling, chat.one_text, id="chat"),
    pytest.param(MESSAGES, ASKED_MESSAGES, MessagesTelling, messages.one_text, id="messages"),
]

NEARLY_USUAL: st.SearchStrategy[list[Delta]] = st.tuples(
    st.lists(st.builds(Began, st.sampled_from([MODEL, "acme/small-1"])), max_size=1),
    st.lists(st.one_of(st.builds(Text, st.just(0), st.text(max_size=3)), TEXT, CLOSED, SPENT), max_size=4),
    st.lists(st.one_of(SPENT, STOPPED, CLOSED), max_size=3),
).map(lambda parts: [*parts[0], *parts[1], *parts[2]])
"""Answers that are one text, and such as differ from one in little."""


def answering() -> Answering:
    return Answering("resp_1", tokens(), STARTED, MODEL, lambda: ENDED)


def slowly(machine: Telling, heard: list[Delta]) -> bytes:
    machine.feed(heard)
    return machine.end()


@pytest.mark.parametrize(("face", "asked", "machine", "one_text"), DOORS)
@given(heard=st.one_of(ANY_DELTAS, UNSTOPPED_DELTAS, answers(), NEARLY_USUAL, NEARLY_USUAL))
def test_it_tells_what_the_machine_makes_of_the_same_deltas(
    face: Face, asked: Asked, machine: Machine, one_text: OneText, heard: list[Delta]
) -> None:
    whole, slow = face.telling(asked, answering()), machine(asked, answering())
    for before, after in pairwise([0, len(heard) // 2, len(heard)]):
        assert whole.feed(heard[before:after]) == b""
    assert whole.end() == slowly(slow, heard)
    assert whole.is_over
    assert (whole.failure is None) == (slow.failure is None)


@pytest.mark.parametrize(("face", "asked", "machine", "one_text"), DOORS)
@pytest.mark.parametrize(
    "heard",
    [
        pytest.param([Began("m"), Text(0, "Hi"), Spent(Usage(3, 1, 0, 1)), Stopped("stop")], id="counted"),
        pytest.param([Text(0, "H"), Text(0, ""), Text(0, "i"), Closed(0), Stopped("stop")], id="in pieces, and closed"),
        pytest.param([Text(0, "Hi"), Spent(Usage(), None, "ultrafast"), Stopped("calls")], id="in another tier"),
        pytest.param([Text(0, "Hi"), Stopped("stop", "!"), Stopped("length"), Text(0, "!")], id="more after its stop"),
    ],
)
def test_an_answer_that_is_one_text_is_written_at_once(
    face: Face, asked: Asked, machine: Machine, one_text: OneText, heard: list[Delta]
) -> None:
    assert one_text(asked, answering(), heard) == slowly(machine(asked, answering()), heard)


@pytest.mark.parametrize(("face", "asked", "machine", "one_text"), DOORS)
def test_one_that_was_cut_is_written_at_once_where_nothing_else_tells_of_it(
    face: Face, asked: Asked, machine: Machine, one_text: OneText
) -> None:
    heard: list[Delta] = [Text(0, "Hi"), Stopped("length")]
    told = one_text(asked, answering(), heard)
    assert (told is None) == (face is RESPONSES)
    assert told in (None, slowly(machine(asked, answering()), heard))


@pytest.mark.parametrize(("face", "asked", "machine", "one_text"), DOORS)
@pytest.mark.parametrize(
    "heard",
    [
        pytest.param([], id="nothing"),
        pytest.param([Text(0, "Hi")], id="without an end"),
        pytest.param([Reasoning(0, "Hm"), Text(1, "Hi"), Stopped("stop")], id="with a thought"),
    ],
)
def test_any_other_is_left_to_the_machine(
    face: Face, asked: Asked, machine: Machine, one_text: OneText, heard: list[Delta]
) -> None:
    assert one_text(asked, answering(), heard) is None


@pytest.mark.parametrize(("face", "asked", "machine", "one_text"), DOORS)
def test_texts_that_go_on_are_told_with_the_others(
    face: Face, asked: Asked, machine: Machine, one_text: OneText
) -> None:
    whole = face.telling(asked, answering())
    whole.feed([Text(0, "Hi"), Spent(Usage(1, 0, 0, 1))])
    assert whole.go_on([" the", "re"]) == b""
    assert whole.end([Stopped("stop")]) == slowly(machine(asked, answering()), [
        Text(0, "Hi there"), Spent(Usage(1, 0, 0, 1)), Stopped("stop"),
    ])  # fmt: skip
    assert whole.end() == whole.more() == b""


@pytest.mark.parametrize(("face", "asked", "machine", "one_text"), DOORS)
def test_one_that_failed_is_told_as_the_machine_tells_it(
    face: Face, asked: Asked, machine: Machine, one_text: OneText
) -> None:
    whole, slow = face.telling(asked, answering()), machine(asked, answering())
    error = BadGateway("The provider is gone.")
    heard: list[Delta] = [Text(0, "Hi"), Spent(Usage(1, 0, 0, 1))]
    whole.feed(heard[:1])
    slow.feed(heard)
    assert whole.fail(error, heard[1:]) == slow.fail(error)
    assert whole.failure is slow.failure
    assert whole.fail(error) == b""


@pytest.mark.law
@pytest.mark.parametrize(("face", "asked", "machine", "one_text"), DOORS)
def test_every_recorded_answer_is_told_as_the_machine_tells_it(
    face: Face, asked: Asked, machine: Machine, one_text: OneText
) -> None:
    written_at_once = 0
    for cassette in cassettes():
        asked = Asked(replace(cassette.request, stream=False), asked.form)
        for suffix, answer in cassette.answers.items():
            heard = list(hear(cassette, suffix, [answer]).deltas)
            whole = face.telling(asked, answering())
            whole.feed(heard)
            assert whole.end() == slowly(machine(asked, answering()), heard), cassette.name
            written_at_once += one_text(asked, answering(), heard) is not None
    assert written_at_once > 0
