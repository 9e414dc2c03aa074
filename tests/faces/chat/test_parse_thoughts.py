"""Thoughts as clients of Chat Completions give them back: whole, in pieces, twice, with proofs of every issuer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import UNSET

from tests.faces.chat.chatting import HI, call, calling, refused, result, said
from trunkline.protocol.items import (
    FunctionCallItem,
    InputItem,
    Message,
    OutputText,
    ReasoningItem,
    ReasoningText,
    SummaryText,
)
from trunkline.stream.seals import Seal, holding, seal, unsigned

CLAUDE, OPENAI = "anthropic-claude-v1", "openai-responses-v1"
ISSUED = seal(Seal(endpoint_id="openai:m", blob="BLOB+/=", item_id="rs_1", form=OPENAI))
SECOND = seal(Seal(endpoint_id="anthropic:m", signature="S2", form=CLAUDE, calls_before=1))
THIRD = seal(Seal(endpoint_id="anthropic:m", signature="S3", form=CLAUDE, after_text=True, calls_before=2))
LATE = seal(Seal(endpoint_id="anthropic:m", signature="S4", form=CLAUDE, after_text=True))


def text(text: str, **members: Any) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, **members}


def summary(text: str, **members: Any) -> dict[str, Any]:
    return {"type": "reasoning.summary", "summary": text, **members}


def encrypted(data: str, **members: Any) -> dict[str, Any]:
    return {"type": "reasoning.encrypted", "data": data, **members}


def thought(told: str = "", *summaries: str, **members: Any) -> ReasoningItem:
    return ReasoningItem(
        content=(ReasoningText(told),) if told else UNSET, summary=tuple(map(SummaryText, summaries)), **members
    )


@dataclass(frozen=True)
class Thought:
    id: str
    members: dict[str, Any]
    items: list[InputItem]


THOUGHTS = [
    Thought("plain, as DeepSeek's clients have it", {"reasoning_content": "a"}, [thought("a")]),
    Thought("plain, as OpenRouter's have it", {"reasoning": "a"}, [thought("a")]),
    Thought("under both names", {"reasoning": "a", "reasoning_content": "a"}, [thought("a")]),
    Thought("nothing", {"reasoning": None, "reasoning_content": "", "reasoning_details": []}, []),
    Thought("details that say nothing", {"reasoning": "a", "reasoning_details": [text("")]}, [thought("a")]),
    Thought(
        "in details and beside them is once",
        {"reasoning": "a", "reasoning_content": "a", "reasoning_details": [text("a", index=0)]},
        [thought("a")],
    ),
    Thought(
        "signed by Claude",
        {"reasoning": "a", "reasoning_details": [text("a", signature="S", format=CLAUDE, index=0)]},
        [thought("a", signature="S", format=CLAUDE)],
    ),
    Thought(
        "signed without a word of by whom, and without a tag",
        {"reasoning_details": [text("a", signature="S")]},
        [thought("a", signature="S", format=CLAUDE)],
    ),
    Thought(
        "in the pieces of a stream",
        {
            "reasoning_details": [
                text("a", format=CLAUDE, index=0),
                text(" b", format=CLAUDE, index=0),
                text("", signature="S", format=CLAUDE, index=0),
                text("c", format=CLAUDE, index=1),
                text("", signature="T", format=CLAUDE, index=1),
            ]
        },
        [thought("a b", signature="S", format=CLAUDE), thought("c", signature="T", format=CLAUDE)],
    ),
    Thought(
        "proven twice, the second time with all there is",
        {"reasoning_details": [text("a", index=0), text("", signature="S", index=0), encrypted(ISSUED, index=0)]},
        [thought("a", signature="S", encrypted_content=ISSUED, format=OPENAI)],
    ),
    Thought(
        "and another under the same index",
        {"reasoning_details": [text("a", signature="S", index=0), text("b", signature="T", index=0)]},
        [thought("a", signature="S", format=CLAUDE), thought("b", signature="T", format=CLAUDE)],
    ),
    Thought(
        "in pieces whose index a client lost",
        {"reasoning_details": [text("a"), {"type": "reasoning.text", "signature": "S"}, text("b"), text("c")]},
        [thought("a", signature="S", format=CLAUDE), thought("b"), thought("c")],
    ),
    Thought(
        "signed, with its text beside it alone",
        {"reasoning": "a", "reasoning_details": [text("", signature="S", format=CLAUDE)]},
        [thought("a", signature="S", format=CLAUDE)],
    ),
    Thought(
        "a tag goes before what the format says",
        {"reasoning_details": [encrypted(ISSUED, format=CLAUDE, index=0)]},
        [thought(encrypted_content=ISSUED, format=OPENAI)],
    ),
    Thought(
        "encrypted, with its summary in parts",
        {"reasoning_details": [summary("a"), summary("b"), encrypted(ISSUED, format=OPENAI, id="rs_x")]},
        [thought("", "a", "b", encrypted_content=ISSUED, format=OPENAI)],
    ),
    Thought(
        "encrypted, with its summary in the pieces of a stream",
        {"reasoning_details": [summary("a", index=0), summary("b", index=0), encrypted(ISSUED, index=0)]},
        [thought("", "ab", encrypted_content=ISSUED, format=OPENAI)],
    ),
    Thought(
        "encrypted by somebody whose format is not known here",
        {"reasoning_details": [encrypted("X", format="meta-responses-v1")]},
        [thought(encrypted_content="X")],
    ),
    Thought(
        "hidden by Claude",
        {"reasoning_details": [encrypted("X", format=CLAUDE)]},
        [thought(encrypted_content="X", format=CLAUDE)],
    ),
    Thought(
        "two of two makers",
        {"reasoning_details": [text("a", format=CLAUDE), text("b", format=OPENAI)]},
        [thought("a", format=CLAUDE), thought("b", format=OPENAI)],
    ),
    Thought(
        "with the mark that it has no proof", {"reasoning_details": [text("a", signature=unsigned())]}, [thought("a")]
    ),
    Thought(
        "kinds of entries that are not known",
        {"reasoning_details": [{"type": "reasoning.server_tool_call", "tool_name": "x"}, text("a")]},
        [thought("a")],
    ),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in THOUGHTS])
def test_read(case: Thought) -> None:
    answer = Message(role="assistant", content=(OutputText("Yes."),))
    items = said(HI, {"role": "assistant", "content": "Yes.", **case.members}, HI).input[1:-1]
    assert list(items) == [*case.items, answer]


def test_thoughts_stand_before_what_they_led_to() -> None:
    details = [
        text("a", signature="S1", format=CLAUDE, index=0),
        text("b", signature=SECOND, index=1),
        text("c", signature=THIRD, index=2),
    ]
    request = said(
        HI, calling(call("x"), call("y"), content="Let me see.", reasoning_details=details), result("x"), result("y")
    )
    assert request.input[1:7] == (
        thought("a", signature="S1", format=CLAUDE),
        Message(role="assistant", content=(OutputText("Let me see."),)),
        FunctionCallItem(call_id="x", name="f", arguments="{}"),
        thought("b", encrypted_content=SECOND, format=CLAUDE),
        FunctionCallItem(call_id="y", name="f", arguments="{}"),
        thought("c", encrypted_content=THIRD, format=CLAUDE),
    )


@pytest.mark.parametrize("calls", [0, 1])
def test_a_thought_after_a_text_stands_there(calls: int) -> None:
    message = {"role": "assistant", "content": "Yes.", "reasoning_details": [text("a", signature=LATE)]}
    turn = [message | {"tool_calls": [call()]}, result()] if calls else [message]
    kinds = [type(item) for item in said(HI, *turn).input[1:]]
    assert kinds[:2] == [Message, ReasoningItem]
    assert len(kinds) == 2 + 2 * calls


def test_a_proof_that_holds_its_text_is_not_given_another() -> None:
    held = seal(holding(Seal(endpoint_id="anthropic:m", signature="S", form=CLAUDE), "a"))
    message = {
        "role": "assistant",
        "content": "Yes.",
        "reasoning": "b",
        "reasoning_details": [text("", signature=held)],
    }
    assert said(HI, message).input[1] == thought(encrypted_content=held, format=CLAUDE)


def test_the_same_signature_on_a_call_and_in_the_details_is_once() -> None:
    signed = {**call(), "extra_content": {"google": {"thought_signature": "S"}}}
    details = [text("a", signature="S", format="google-gemini-v1")]
    kinds = [type(item) for item in said(HI, calling(signed, reasoning_details=details), result()).input[1:3]]
    assert kinds == [ReasoningItem, FunctionCallItem]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"reasoning": {}}, "reasoning"),
        ({"reasoning_details": {}}, "reasoning_details"),
        ({"reasoning_details": ["a"]}, "reasoning_details[0]"),
        ({"reasoning_details": [{"text": "a"}]}, "reasoning_details[0].type"),
        ({"reasoning_details": [text("a", signature=1)]}, "reasoning_details[0].signature"),
        ({"reasoning_details": [text("a", index="0")]}, "reasoning_details[0].index"),
    ],
)
def test_wrong(members: dict[str, Any], param: str) -> None:
    assert refused(messages=[HI, {"role": "assistant", "content": "a", **members}]).param == f"messages[1].{param}"
