"""Folding: the answer of a client that does not stream is the one it would have been streamed."""

from __future__ import annotations

from hypothesis import given

from tests.fold import fold
from tests.stream.deltas_strategy import ANY_DELTAS, assemble, assembler
from trunkline.errors import BadGateway
from trunkline.protocol.events import ResponseCompleted, ResponseFailed, ResponseIncomplete
from trunkline.stream.deltas import Delta, Text


@given(ANY_DELTAS)
def test_the_response_is_that_of_the_terminal_event(deltas: list[Delta]) -> None:
    events = assemble(*deltas)
    last = events[-1]
    assert isinstance(last, ResponseCompleted | ResponseIncomplete | ResponseFailed)
    assert fold(iter(events)) is last.response


def test_a_failed_answer_is_a_response_too() -> None:
    machine = assembler()
    events = [*machine.feed([Text(0, "a")]), *machine.fail(BadGateway("gone"))]
    assert (fold(events).status, fold(events).output_text) == ("failed", "a")
