"""Thoughts come back to where they stood in their answer, and nothing else moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.adapters.encoding.thought_places import placed
from trunkline.protocol.items import (
    FunctionCallItem,
    FunctionCallOutput,
    InputItem,
    InputText,
    Message,
    OutputText,
    ReasoningItem,
)
from trunkline.stream.seals import Seal, sign, thought_item

USER = Message(role="user", content=(InputText("Look."),))
WORDS = Message(role="assistant", content=(OutputText("Looking."),))


def thought(name: str, *, after_text: bool = False, calls_before: int = 0) -> ReasoningItem:
    seal = Seal(endpoint_id="a:m", blob=name, after_text=after_text, calls_before=calls_before)
    return thought_item(data=sign(seal, is_data=True))


def call(number: int) -> FunctionCallItem:
    return FunctionCallItem(call_id=f"call_{number}", name="look", arguments="{}")


def result(number: int) -> FunctionCallOutput:
    return FunctionCallOutput(call_id=f"call_{number}", output="Nothing.")


FIRST = thought("first")
SECOND = thought("second", after_text=True)
THIRD = thought("third", after_text=True, calls_before=1)
BARE = ReasoningItem(signature="AAAA", format="anthropic-claude-v1")
CALLS = (call(1), call(2))

ANSWER = (FIRST, WORDS, SECOND, call(1), THIRD, call(2))

CASES: list[tuple[str, tuple[InputItem, ...], tuple[InputItem, ...]]] = [
    ("thoughts before all else", (USER, FIRST, SECOND, THIRD, WORDS, *CALLS), (USER, *ANSWER)),
    ("thoughts in order", (USER, *ANSWER), (USER, *ANSWER)),
    ("a thought whose place is gone", (USER, FIRST, THIRD, WORDS), (USER, FIRST, THIRD, WORDS)),
    ("a thought behind its place", (USER, WORDS, call(1), SECOND), (USER, WORDS, call(1), SECOND)),
    ("a thought that tells no place", (USER, BARE, WORDS, *CALLS), (USER, BARE, WORDS, *CALLS)),
    (
        "not into the next turn",
        (USER, SECOND, call(1), result(1), WORDS),
        (USER, SECOND, call(1), result(1), WORDS),
    ),
    (
        "each in its own turn",
        (SECOND, WORDS, call(1), result(1), SECOND, WORDS, USER),
        (WORDS, SECOND, call(1), result(1), WORDS, SECOND, USER),
    ),
    ("nothing but words", (USER, WORDS), (USER, WORDS)),
]


@pytest.mark.parametrize(("items", "wanted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_thoughts_are_placed(items: tuple[InputItem, ...], wanted: tuple[InputItem, ...]) -> None:
    assert placed(items) == wanted


@given(st.lists(st.sampled_from([USER, WORDS, FIRST, SECOND, THIRD, BARE, call(1), result(1)])))
def test_nothing_is_lost_nothing_else_moves_and_twice_is_once(items: list[InputItem]) -> None:
    found = placed(tuple(items))
    assert sorted(map(repr, found)) == sorted(map(repr, items))
    others = [item for item in found if not isinstance(item, ReasoningItem)]
    assert others == [item for item in items if not isinstance(item, ReasoningItem)]
    assert placed(found) == found


@given(st.lists(st.sampled_from(["words", "thought", "call"]), max_size=12))
def test_an_answer_whose_thoughts_were_put_first_is_as_it_was(kinds: list[str]) -> None:
    """Of words that follow one another without anything between, a Chat client makes one."""
    answer: list[InputItem] = []
    has_words, calls = False, 0
    for number, kind in enumerate(kinds):
        if kind == "words" and not has_words and not calls:
            answer.append(WORDS)
            has_words = True
        elif kind == "call":
            calls += 1
            answer.append(call(calls))
        elif kind == "thought":
            answer.append(thought(f"thought {number}", after_text=has_words, calls_before=calls))
    thoughts = [item for item in answer if isinstance(item, ReasoningItem)]
    rest = [item for item in answer if not isinstance(item, ReasoningItem)]
    assert placed((*thoughts, *rest)) == tuple(answer)
