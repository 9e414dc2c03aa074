"""What of an input goes together: a table of histories by hand, and laws over drawn ones."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given

from tests.protocol.histories_strategy import call, histories, result, said, thought
from trunkline.protocol.items import AdditionalTools, AgentMessage, InputItem, InputText
from trunkline.protocol.opaque import ServerItem
from trunkline.protocol.pairs import is_from_outside, pairs_of
from trunkline.protocol.spans import Spans, is_fixed, spans_of

USER, SAID, SYSTEM, THOUGHT = said("user", 4), said("assistant", 4), said("system", 4), thought(4)


def round_of(*numbers: int) -> list[InputItem]:
    return [THOUGHT, *map(call, numbers), *(result(number, 4) for number in numbers)]


def screen(kind: str) -> InputItem:
    return ServerItem({"type": f"computer_call{kind}", "call_id": "c"})


class Case(NamedTuple):
    items: list[InputItem]
    spans: Spans


CASES = {
    "nothing": Case([], Spans((), (), ())),
    "one message": Case([USER], Spans((0,), (), ())),
    "instructions stay wherever they stand": Case(
        [SYSTEM, USER, SAID, SYSTEM, USER, AdditionalTools(tools=())], Spans((0, 3, 4, 5), ((1, 2),), ())
    ),
    "a round goes with its turn": Case([USER, *round_of(1, 2), SAID, USER], Spans((7,), ((0, 1, 2, 3, 4, 5, 6),), ())),
    "what stands before the first message is a turn": Case([SAID, USER, SAID, USER], Spans((3,), ((0,), (1, 2)), ())),
    "two messages in a row are two turns": Case([USER, USER, USER], Spans((2,), ((0,), (1,)), ())),
    "rounds of the last turn but the latest": Case(
        [USER, *round_of(1), *round_of(2, 3), *round_of(4)], Spans((0, 9, 10, 11), (), ((1, 2, 3), (4, 5, 6, 7, 8)))
    ),
    "without a message of the user all is the last turn": Case(
        [*round_of(1), *round_of(2)], Spans((3, 4, 5), (), ((0, 1, 2),))
    ),
    "a message between a call and its result": Case(
        [USER, call(1), USER, result(1, 4), SAID, USER], Spans((5,), ((0, 1, 3), (2, 4)), ())
    ),
    "a result that comes in the last turn": Case(
        [USER, call(1), USER, call(2), result(1, 4), result(2, 4), *round_of(3)],
        Spans((2, 6, 7, 8), ((0,),), ((1, 4), (3, 5))),
    ),
    "the round that began last, and that of the last result": Case(
        [USER, call(1), USER, call(2), result(2, 4), result(1, 4)], Spans((1, 2, 3, 4, 5), ((0,),), ())
    ),
    "a call without its result stays in the last turn": Case(
        [USER, call(1), call(2), result(2, 4), *round_of(3)], Spans((0, 1, 2, 3, 4, 5, 6), (), ())
    ),
    "a result said twice goes with its call": Case(
        [USER, *round_of(1), result(1, 4), USER], Spans((5,), ((0, 1, 2, 3, 4),), ())
    ),
    "an id that comes again": Case(
        [USER, *round_of(0), USER, *round_of(0), USER], Spans((8,), ((0, 1, 2, 3), (4, 5, 6, 7)), ())
    ),
    "a system message inside a round does not part it": Case(
        [USER, THOUGHT, SYSTEM, call(1), result(1, 4), *round_of(2)], Spans((0, 2, 5, 6, 7), (), ((1, 3, 4),))
    ),
    "OpenAI's own calls and results": Case(
        [USER, screen(""), screen("_output"), screen(""), screen("_output")], Spans((0, 3, 4), (), ((1, 2),))
    ),
    "what stands for an earlier history stays": Case(
        [ServerItem({"type": "compaction"}), SAID, USER], Spans((0, 2), ((1,),), ())
    ),
    "an agent's message is the user's side": Case(
        [USER, SAID, AgentMessage(content=(InputText("Hi"),))], Spans((2,), ((0, 1),), ())
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_goes_together(name: str) -> None:
    assert spans_of(CASES[name].items) == CASES[name].spans


@given(histories())
def test_law_every_place_is_in_one_span(items: tuple[InputItem, ...]) -> None:
    spans = spans_of(items)
    places = [*spans.fixed, *(place for span in (*spans.turns, *spans.rounds) for place in span)]
    assert sorted(places) == list(range(len(items)))


@given(histories())
def test_law_a_call_and_its_result_are_in_one_span(items: tuple[InputItem, ...]) -> None:
    spans = spans_of(items)
    span_of = {place: span for span in (spans.fixed, *spans.turns, *spans.rounds) for place in span}
    assert all(span_of[each] is span_of[result] for each, result in pairs_of(items).items())


@given(histories())
def test_law_what_is_fixed_stays_and_so_does_the_last_message(items: tuple[InputItem, ...]) -> None:
    fixed = set(spans_of(items).fixed)
    users = [place for place, item in enumerate(items) if is_from_outside(item) and not is_fixed(item)]
    assert fixed >= {place for place, item in enumerate(items) if is_fixed(item)} | {*users[-1:]}
