"""The rounds of a conversation alternate and lose nothing that was said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.adapters.encoding.histories import settled
from trunkline.adapters.encoding.rounds import OPENING, UserRound, rounds
from trunkline.adapters.encoding.turns import SYSTEM_PREFIX, AssistantTurn, Said
from trunkline.protocol.items import (
    FunctionCallItem,
    FunctionCallOutput,
    InputItem,
    InputText,
    Message,
    OutputText,
)
from trunkline.protocol.request import Request


def user(text: str) -> Message:
    return Message(role="user", content=(InputText(text),))


def system(text: str) -> Message:
    return Message(role="system", content=(InputText(text),))


def said(text: str) -> Message:
    return Message(role="assistant", content=(OutputText(text),))


CALL = FunctionCallItem(call_id="c", name="f", arguments="{}")
RESULT = FunctionCallOutput(call_id="c", output="r")

ITEMS: st.SearchStrategy[list[InputItem]] = st.lists(
    st.sampled_from([user("u"), system("s"), said("a"), CALL, RESULT]), min_size=1, max_size=8
)


@given(ITEMS)
def test_rounds_alternate_and_begin_with_the_user(items: list[InputItem]) -> None:
    _, found = rounds(Request(input=tuple(items)))
    assert [isinstance(part, UserRound) for part in found] == [index % 2 == 0 for index in range(len(found))]
    assert all(part.results or part.parts for part in found if isinstance(part, UserRound))
    whole = settled(tuple(items))
    said_count = sum(len(part.pieces) for part in found if isinstance(part, AssistantTurn))
    assert said_count == sum(isinstance(item, FunctionCallItem) or item == said("a") for item in whole)
    results = [item for item in whole if isinstance(item, FunctionCallOutput)]
    assert [each for part in found if isinstance(part, UserRound) for each in part.results] == results


def test_results_stand_apart_from_what_the_user_adds() -> None:
    _, found = rounds(Request(input=(user("q"), CALL, system("s"), RESULT, user("more"))))
    parts = (InputText(SYSTEM_PREFIX + "s"), InputText("more"))
    assert found == [UserRound((), (InputText("q"),)), AssistantTurn((CALL,)), UserRound((RESULT,), parts)]


def test_a_conversation_that_the_assistant_begins_is_opened() -> None:
    _, found = rounds(Request(input=(said("a"),)))
    assert found == [UserRound((), OPENING.parts), AssistantTurn((Said("a"),))]


def test_system_text_alone_is_what_the_user_says() -> None:
    assert rounds(Request(input=(system("s"),), instructions="i")) == (None, [UserRound((), (InputText("i\n\ns"),))])
