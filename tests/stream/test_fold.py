"""Folding: the answer of a client that does not stream is the one it would have been streamed."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.stream.deltas_strategy import ANY_DELTAS, assemble, assembler
from trunkline.errors import BadGateway, InternalError
from trunkline.protocol.events import ErrorEvent, ResponseCompleted, ResponseFailed, ResponseIncomplete
from trunkline.stream.deltas import Delta, Stopped, Text
from trunkline.stream.fold import fold


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


def test_events_without_an_end_are_a_defect() -> None:
    with pytest.raises(InternalError, match="ended without a response"):
        fold(assemble(Text(0, "a"), Stopped("stop"))[:-1])
    with pytest.raises(InternalError):
        fold([])


def test_an_error_event_holds_no_response() -> None:
    with pytest.raises(InternalError, match="broken"):
        fold([ErrorEvent(0, None, "broken", None)])
