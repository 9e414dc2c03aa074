"""Calls and results put in order: where each item ends up, and the laws over any history."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.adapters.encoding.histories import UNANSWERED, settled
from trunkline.protocol.items import (
    AgentMessage,
    CustomCallItem,
    CustomCallOutput,
    FunctionCallItem,
    FunctionCallOutput,
    InputItem,
    InputText,
    LocalShellCallItem,
    LocalShellCallOutput,
    Message,
    OutputText,
    ReasoningItem,
    Role,
    ToolSearchCallItem,
    ToolSearchOutput,
)
from trunkline.protocol.parse_items import _check_pairs
from trunkline.protocol.reading import Wrong


def call(call_id: str) -> FunctionCallItem:
    return FunctionCallItem(call_id=call_id, name="look", arguments="{}")


def result(call_id: str, output: str = "seen") -> FunctionCallOutput:
    return FunctionCallOutput(call_id=call_id, output=output)


def says(role: Role, text: str = "?") -> Message:
    part = OutputText(text) if role == "assistant" else InputText(text)
    return Message(role=role, content=(part,))


A, B, RA, RB = call("a"), call("b"), result("a"), result("b")
NO_A, NO_B = result("a", UNANSWERED), result("b", UNANSWERED)
USER, NOTE, SAID = says("user"), says("developer"), says("assistant")
THOUGHT = ReasoningItem()
PATCH = CustomCallItem(call_id="c", name="apply_patch", input="*** Begin Patch")
PATCHED, NO_PATCH = (CustomCallOutput(call_id="c", output=output) for output in ("Done.", UNANSWERED))
FIND = ToolSearchCallItem(call_id="f", arguments={"query": "weather"})
FOUND = ToolSearchOutput(call_id="f", tools=())
SHELL = LocalShellCallItem(id="lsh_1", call_id="s", action={"type": "exec", "command": ["ls"]})
LISTED, NO_LIST = LocalShellCallOutput(id="lsh_1", output="a"), LocalShellCallOutput(call_id="s", output=UNANSWERED)
AGENT = AgentMessage(content=(InputText("Go on."),))


class Case(NamedTuple):
    id: str
    items: list[InputItem]
    settled: list[InputItem]


CASES = [
    Case("no calls", [USER, SAID, USER], [USER, SAID, USER]),
    Case("a round in order", [USER, A, B, RA, RB, SAID], [USER, A, B, RA, RB, SAID]),
    Case("results in the client's order", [A, B, RB, RA, USER], [A, B, RB, RA, USER]),
    Case("a message of the user between", [A, USER, RA], [A, RA, USER]),
    Case("a note of the client between", [A, NOTE, RA], [A, RA, NOTE]),
    Case("a message between results", [A, B, RA, USER, RB], [A, B, RA, RB, USER]),
    Case("an answer between results", [A, B, RA, SAID, RB], [A, B, RA, RB, SAID]),
    Case("a thought between parallel calls", [THOUGHT, A, THOUGHT, B, RA, RB], [THOUGHT, A, THOUGHT, B, RA, RB]),
    Case("words of the model behind its call", [A, SAID, RA], [A, SAID, RA]),
    Case("each call with its result, though they overlap", [A, USER, B, RA, RB], [A, RA, USER, B, RB]),
    Case("one round after the other", [A, RA, B, RB], [A, RA, B, RB]),
    Case("an interrupted call", [A, USER], [A, NO_A, USER]),
    Case("an interrupted call before a note", [A, NOTE, SAID], [A, NO_A, NOTE, SAID]),
    Case("an interrupted call that the model spoke after", [A, SAID, USER], [A, SAID, NO_A, USER]),
    Case("one of two interrupted", [A, B, RB, USER], [A, B, RB, NO_A, USER]),
    Case("two interrupted, one after the other", [A, USER, B, USER], [A, NO_A, USER, B, NO_B, USER]),
    Case("a result said twice", [A, RA, USER, RA], [A, RA, USER]),
    Case("a result of no call is left as it is", [A, RA, RB], [A, RA, RB]),
    Case(
        "calls of all kinds, with a message between",
        [A, PATCH, FIND, SHELL, LISTED, USER, FOUND, PATCHED, RA],
        [A, PATCH, FIND, SHELL, LISTED, FOUND, PATCHED, RA, USER],
    ),
    Case(
        "interrupted calls of all kinds",
        [PATCH, FIND, SHELL, AGENT],
        [PATCH, FIND, SHELL, NO_PATCH, FOUND, NO_LIST, AGENT],
    ),
    Case("a result of another kind answers nothing", [PATCH, result("c"), AGENT], [PATCH, NO_PATCH, AGENT]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_where_calls_and_results_stand(case: Case) -> None:
    assert settled(tuple(case.items)) == tuple(case.settled)


def test_an_id_that_comes_again_is_told_apart_the_same_way_each_time() -> None:
    items = (A, RA, USER, A, USER, A, RA)
    first, _, _, second, unanswered, _, third, answered = settled(items)
    assert isinstance(first, FunctionCallItem)
    assert isinstance(second, FunctionCallItem)
    assert isinstance(third, FunctionCallItem)
    assert isinstance(unanswered, FunctionCallOutput)
    assert isinstance(answered, FunctionCallOutput)
    assert first.call_id == "a"
    assert len({first.call_id, second.call_id, third.call_id}) == 3
    assert (second.call_id, third.call_id) == (unanswered.call_id, answered.call_id)
    assert settled((*items, USER))[: len(settled(items))] == settled(items)


def is_taken(items: tuple[InputItem, ...]) -> bool:
    """Whether the parser lets a history pass."""
    try:
        _check_pairs(items)
    except Wrong:
        return False
    return True


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"city": "Oslo"}', '{"city": "Oslo"}'),
        ('{"n": 1.10, "n": 2}', '{"n": 1.10, "n": 2}'),
        ("", "{}"),
        ('{"ci', '{"_raw":"{\\"ci"}'),
        ('{"a": 1} and more', '{"_raw":"{\\"a\\": 1} and more"}'),
        ("[1]", '{"_raw":"[1]"}'),
        ("null", '{"_raw":"null"}'),
    ],
)
def test_arguments_are_an_object_for_every_server_that_reads_them(arguments: str, told: str) -> None:
    made, _, _ = settled((FunctionCallItem(call_id="a", name="look", arguments=arguments), RA, USER))
    assert isinstance(made, FunctionCallItem)
    assert made.arguments == told


ITEMS: tuple[InputItem, ...] = (A, B, RA, RB, USER, NOTE, SAID, THOUGHT)
HISTORIES: st.SearchStrategy[tuple[InputItem, ...]] = (
    st.lists(st.sampled_from(ITEMS), max_size=10).map(tuple).filter(is_taken)
)


@given(HISTORIES)
def test_law_all_results_follow_their_calls(items: tuple[InputItem, ...]) -> None:
    """Until the last message that is not the model's, behind which a call may still wait for its result."""
    due: list[str] = []
    is_answering = False
    answered: set[str] = set()
    for item in settled((*items, USER)):
        if isinstance(item, FunctionCallItem):
            assert not (is_answering and due), "a call between results"
            is_answering = False
            assert item.call_id not in answered | set(due)
            due.append(item.call_id)
        elif isinstance(item, FunctionCallOutput) and item.call_id in due:
            is_answering = True
            due.remove(item.call_id)
            answered.add(item.call_id)
        elif is_answering or (isinstance(item, Message) and item.role != "assistant"):
            assert due == [], f"{item} between a call and its result"
    assert due == []


@given(HISTORIES)
def test_law_nothing_else_is_lost_or_moved(items: tuple[InputItem, ...]) -> None:
    others = [item for item in items if not isinstance(item, FunctionCallOutput)]
    kept = [item for item in settled(items) if not isinstance(item, FunctionCallOutput)]
    assert [type(item) for item in kept] == [type(item) for item in others]
    assert [item for item in kept if isinstance(item, Message)] == [i for i in others if isinstance(i, Message)]


@given(HISTORIES)
def test_law_what_is_settled_stays_so(items: tuple[InputItem, ...]) -> None:
    once = settled(items)
    assert settled(once) == once
