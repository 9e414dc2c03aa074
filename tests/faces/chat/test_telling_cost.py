"""What telling costs grows with what is told, and no faster; counted in lines and calls, which no clock disturbs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pytest

from tests.faces.chat.play import telling
from trunkline.stream.deltas import Arguments, Closed, Delta, FunctionCall, Reasoning, Text

FEW, MANY = 50, 400


@dataclass(frozen=True)
class Case:
    """Deltas that come again and again, by the number of the time."""

    id: str
    heard: Callable[[int], Sequence[Delta]]


CASES = [
    Case("texts", lambda number: [Text(0, "a")]),
    Case("texts in slots of their own", lambda number: [Text(number, "a")]),
    Case("a call and a text", lambda number: [FunctionCall(number, "", "f"), Text(-1, "a")]),
    Case(
        "calls that are closed", lambda number: [FunctionCall(number, "", "f"), Arguments(number, "1"), Closed(number)]
    ),
    Case("thoughts in slots of their own", lambda number: [Reasoning(number, "a")]),
    Case("a thought and a call", lambda number: [Reasoning(-1, "a"), FunctionCall(number, "", "f")]),
]


def work_of(heard: Callable[[int], Sequence[Delta]], times: int, event: str, *, is_stream: bool = True) -> int:
    """How many lines run, or functions of ours are called, while all of it is told in one list."""
    deltas = [delta for number in range(times) for delta in heard(number)]
    machine = telling(is_stream=is_stream)
    count = 0

    def trace(frame: FrameType, what: str, _: Any) -> Any:
        nonlocal count
        count += what == event
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        machine.feed(deltas)
        machine.end()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_what_comes_more_often_costs_no_more_each_time(case: Case, is_stream: bool) -> None:
    few, many = (work_of(case.heard, times, "line", is_stream=is_stream) for times in (FEW, MANY))
    assert many <= few * (MANY / FEW) * 1.2


@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])
def test_a_list_of_texts_is_told_without_a_call_for_each(is_stream: bool) -> None:
    texts = CASES[0].heard
    assert work_of(texts, MANY, "call", is_stream=is_stream) == work_of(texts, FEW, "call", is_stream=is_stream)
