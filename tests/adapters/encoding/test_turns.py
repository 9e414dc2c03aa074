"""Grouping the items of a request into turns."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from trunkline.adapters.encoding.call_ids import fitted_call_id
from trunkline.adapters.encoding.turns import (
    IMAGE_NOTE,
    RESULT_NOTE,
    AssistantTurn,
    ResultsTurn,
    Said,
    SystemTurn,
    Turn,
    UserTurn,
    call_names,
    images_as_user,
    merged,
    result_text,
    results_media_as_user,
    split_system,
    system_as_user,
    turns,
)
from trunkline.protocol.items import (
    FunctionCallItem,
    FunctionCallOutput,
    ImageGenerationCall,
    InputImage,
    InputItem,
    InputText,
    Message,
    MessagePart,
    OutputText,
    ReasoningItem,
    RefusalPart,
    Role,
    WebSearchCall,
)
from trunkline.protocol.request import Request


def said(role: Role, *parts: str | MessagePart) -> Message:
    texts = OutputText if role == "assistant" else InputText
    return Message(role=role, content=tuple(texts(part) if isinstance(part, str) else part for part in parts))


def user_turn(*texts: str) -> UserTurn:
    return UserTurn(tuple(InputText(text) for text in texts))


CALL = FunctionCallItem(call_id="c1", name="clock", arguments="{}")
OTHER = FunctionCallItem(call_id="c2", name="weather", arguments="{}")
RESULT = FunctionCallOutput(call_id="c1", output="noon")
OTHER_RESULT = FunctionCallOutput(call_id="c2", output="rain")
THOUGHT = ReasoningItem(id="rs_1")
PICTURE = ImageGenerationCall(id="ig_1", result="data:image/png;base64,AAAA", status="completed")
LINKED = InputImage("https://pictures.example/a.png")


@dataclass(frozen=True)
class Case:
    id: str
    input: tuple[InputItem, ...]
    turns: tuple[Turn, ...]
    instructions: str | None = None


CASES = [
    Case("instructions come first", (said("user", "Hi"),), (SystemTurn("Be brief."), user_turn("Hi")), "Be brief."),
    Case(
        "system and developer messages stay where they are",
        (said("user", "Hi"), said("developer", "Rhyme."), said("system", "", "Now."), said("user", "Go")),
        (user_turn("Hi"), SystemTurn("Rhyme."), SystemTurn("Now."), user_turn("Go")),
    ),
    Case("empty texts are left out", (said("user", "", "Hi"), said("user", "")), (user_turn("Hi"),)),
    Case(
        "media of a system message are the user's",
        (said("system", "Look.", LINKED),),
        (SystemTurn("Look."), UserTurn((LINKED,))),
    ),
    Case(
        "a refusal is what the assistant said",
        (said("assistant", "No: ", RefusalPart("I can't.")),),
        (AssistantTurn((Said("No: I can't."),)),),
    ),
    Case(
        "thought, text and calls make one turn, results another",
        (THOUGHT, said("assistant", "I look."), CALL, OTHER, RESULT, OTHER_RESULT, said("assistant", "Noon.")),
        (
            AssistantTurn((THOUGHT, Said("I look."), CALL, OTHER)),
            ResultsTurn((RESULT, OTHER_RESULT)),
            AssistantTurn((Said("Noon."),)),
        ),
    ),
    Case(
        "each round of calls has its own thought",
        (THOUGHT, CALL, RESULT, THOUGHT, OTHER, OTHER_RESULT),
        (
            AssistantTurn((THOUGHT, CALL)),
            ResultsTurn((RESULT,)),
            AssistantTurn((THOUGHT, OTHER)),
            ResultsTurn((OTHER_RESULT,)),
        ),
    ),
    Case("a thought that nothing follows is left out", (said("user", "Hi"), THOUGHT), (user_turn("Hi"),)),
    Case(
        "search calls are left out",
        (WebSearchCall(id="ws_1", status="completed"), said("assistant", "Found.")),
        (AssistantTurn((Said("Found."),)),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_turns(case: Case) -> None:
    assert turns(Request(input=case.input, instructions=case.instructions)) == list(case.turns)


def test_a_turn_tells_its_text_thoughts_and_calls_apart() -> None:
    turn = AssistantTurn((THOUGHT, Said("One."), CALL, Said("Two.")))
    assert turn.apart() == ("One.\n\nTwo.", [THOUGHT], [CALL])


def test_leading_system_turns_are_split_off_as_one_text() -> None:
    system, rest = split_system([SystemTurn("A"), SystemTurn("B"), user_turn("Hi"), SystemTurn("C")])
    assert (system, rest) == (SystemTurn("A\n\nB"), [user_turn("Hi"), SystemTurn("C")])
    assert system_as_user(rest)[1] == user_turn("[System note]\nC")


def test_merging_joins_turns_of_one_kind_only() -> None:
    found: list[Turn] = [user_turn("A"), user_turn("B"), AssistantTurn((CALL,)), ResultsTurn((RESULT,)), user_turn("C")]
    assert merged(found) == [user_turn("A", "B"), *found[2:]]
    assert merged([SystemTurn("A"), SystemTurn("B")]) == [SystemTurn("A\n\nB")]


def test_generated_images_move_into_the_next_user_turn() -> None:
    found: list[Turn] = [AssistantTurn((Said("Here."), PICTURE)), user_turn("Again.")]
    shown = UserTurn((InputText(IMAGE_NOTE), InputImage("data:image/png;base64,AAAA"), InputText("Again.")))
    assert images_as_user(found) == [AssistantTurn((Said("Here."),)), shown]


def test_generated_images_that_no_user_turn_follows_get_one() -> None:
    moved = images_as_user([AssistantTurn((PICTURE,))])
    assert moved == [UserTurn((InputText(IMAGE_NOTE), InputImage("data:image/png;base64,AAAA")))]


def test_media_of_a_result_are_named_in_its_text_and_shown_after_the_results() -> None:
    result = FunctionCallOutput(call_id="c1", output=(InputText("see:"), LINKED))
    assert result_text(result) == "see:\n[image]"
    found: list[Turn] = [ResultsTurn((result, OTHER_RESULT))]
    assert results_media_as_user(found) == [*found, UserTurn((InputText(RESULT_NOTE), LINKED))]


def test_calls_are_known_by_name() -> None:
    assert call_names((CALL, RESULT, OTHER)) == {"c1": "clock", "c2": "weather"}


def test_call_ids_stay_or_become_a_stable_hash() -> None:
    pattern = re.compile(r"[a-zA-Z0-9]{9}")
    assert fitted_call_id("abcDEF123", pattern, 9) == "abcDEF123"
    hashed = fitted_call_id("call_0 with a blank", pattern, 9)
    assert pattern.fullmatch(hashed)
    assert fitted_call_id("call_0 with a blank", pattern, 9) == hashed
    assert fitted_call_id("call_1 with a blank", pattern, 9) != hashed
