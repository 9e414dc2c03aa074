"""What telling costs grows with what is told, and no faster; counted in lines and calls, which no clock disturbs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pytest

from tests.faces.chat.play import telling
from tests.work import work_of
from trunkline.stream.deltas import Arguments, Closed, Delta, FunctionCall, Reasoning, Text

Event = Literal["line", "call"]
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


def work(heard: Callable[[int], Sequence[Delta]], times: int, event: Event, *, is_stream: bool) -> int:
    """The work of telling all of it in one list."""
    deltas = [delta for number in range(times) for delta in heard(number)]
    machine = telling(is_stream=is_stream)

    def tell() -> None:
        machine.feed(deltas)
        machine.end()

    return work_of(tell, event)


@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_what_comes_more_often_costs_no_more_each_time(case: Case, is_stream: bool) -> None:
    few, many = (work(case.heard, times, "line", is_stream=is_stream) for times in (FEW, MANY))
    assert many <= few * (MANY / FEW) * 1.2


@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])
def test_a_list_of_texts_is_told_without_a_call_for_each(is_stream: bool) -> None:
    texts = CASES[0].heard
    assert work(texts, MANY, "call", is_stream=is_stream) == work(texts, FEW, "call", is_stream=is_stream)
