"""What a client was told and sends back is what the model said: the teller and the parser of one face, back to back.

Clients send back the message of a whole answer, or what they collected of a stream, in which every piece of a thought
may stand on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faces.chat.chatting import HI, result, said
from tests.faces.chat.play import body_of, told
from trunkline.protocol.items import (
    CustomCallItem,
    FunctionCallItem,
    ImageGenerationCall,
    InputItem,
    Message,
    OutputText,
    ReasoningFormat,
    ReasoningItem,
)
from trunkline.stream.deltas import (
    Arguments,
    Began,
    Delta,
    FunctionCall,
    Reasoning,
    ReasoningSeal,
    ReasoningSummary,
    Stopped,
    Text,
)
from trunkline.stream.seals import unseal

CLAUDE: ReasoningFormat = "anthropic-claude-v1"
GEMINI: ReasoningFormat = "google-gemini-v1"
OPENAI: ReasoningFormat = "openai-responses-v1"


def whole(deltas: Sequence[Delta]) -> dict[str, Any]:
    """The message of the whole answer."""
    message: dict[str, Any] = body_of(deltas)["choices"][0]["message"]
    return message


def collected(deltas: Sequence[Delta]) -> dict[str, Any]:
    """What a client collects of the stream: texts joined, calls by their index, and all other lists added up."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    calls: dict[int, Any] = {}
    for delta in told(deltas):
        for name, value in delta.items():
            if name == "tool_calls":
                for piece in value:
                    _add_call(calls, piece)
            elif isinstance(value, str) and name != "role":
                message[name] = (message.get(name) or "") + value
            elif isinstance(value, list):
                message[name] = message.get(name, []) + value
    return message | ({"tool_calls": [calls[index] for index in sorted(calls)]} if calls else {})


def _add_call(calls: dict[int, Any], piece: Any) -> None:
    if "id" in piece:
        calls[piece["index"]] = {"id": piece["id"], "type": piece["type"], piece["type"]: dict(piece[piece["type"]])}
        return
    call = calls[piece["index"]]
    kind = call["type"]
    for name, value in piece[kind].items():
        call[kind][name] += value


def sent_back(message: dict[str, Any]) -> tuple[InputItem, ...]:
    """The items that a message comes to, once its calls are answered."""
    answers = [result(call["id"]) for call in message.get("tool_calls") or ()]
    items = said(HI, message, *answers).input
    return items[1 : len(items) - len(answers)]


def heard(item: InputItem) -> tuple[str, ...]:
    """An item in the words of the deltas that it was told by."""
    match item:
        case ReasoningItem():
            text = "".join(part.text for part in item.content or ())
            summary = "".join(part.text for part in item.summary)
            origin = unseal(item.encrypted_content or "")
            if origin is None:
                return "thought", text, summary, item.signature or "", item.encrypted_content or ""
            return "thought", text or origin.text or "", summary, origin.signature, origin.blob
        case Message(content=parts):
            return "text", "".join(part.text for part in parts if isinstance(part, OutputText))
        case FunctionCallItem():
            return "call", item.call_id, item.name, item.arguments
        case CustomCallItem():
            return "custom", item.call_id, item.name, item.input
        case ImageGenerationCall():
            return "picture", item.result or ""
        case _:
            raise AssertionError(item)


def check(deltas: Sequence[Delta], expected: Sequence[tuple[str, ...]]) -> None:
    for message in (whole(deltas), collected(deltas)):
        assert [heard(item) for item in sent_back(message)] == list(expected)


@dataclass(frozen=True)
class Answer:
    id: str
    deltas: list[Delta]
    expected: list[tuple[str, ...]]


def signed(slot: int, text: str, signature: str, form: ReasoningFormat = CLAUDE) -> list[Delta]:
    return [Reasoning(slot, text), ReasoningSeal(slot, None, signature, form, endpoint_id="anthropic:m")]


def called(slot: int, call_id: str) -> list[Delta]:
    return [FunctionCall(slot, call_id, "f"), Arguments(slot, '{"a":'), Arguments(slot, "1}")]


@st.composite
def turns(draw: st.DrawFn) -> tuple[list[Delta], list[tuple[str, ...]]]:
    """Draw a turn whose order a message can tell: thoughts, a text, thoughts, and calls with thoughts between them."""
    deltas: list[Delta] = []
    expected: list[tuple[str, ...]] = []

    def think(*, must_be_proven: bool) -> None:
        for _ in range(draw(st.integers(0, 2))):
            slot, text, kind = len(deltas), draw(THOUGHTS), draw(st.sampled_from(ISSUERS))
            proof = "" if kind is None and not must_be_proven else f"P{slot}+/="
            deltas.append(Reasoning(slot, text))
            if not proof:
                expected.append(("thought", text, "", "", ""))
            elif kind == OPENAI:
                deltas.append(ReasoningSeal(slot, proof, None, OPENAI, endpoint_id="openai:m", item_id="rs_1"))
                expected.append(("thought", text, "", "", proof))
            else:
                deltas.append(ReasoningSeal(slot, None, proof, kind or CLAUDE, endpoint_id="anthropic:m"))
                expected.append(("thought", text, "", proof, ""))

    think(must_be_proven=False)
    if text := draw(st.text("ab", max_size=2)):
        deltas.append(Text("text", text))
        expected.append(("text", text))
    count = draw(st.integers(0, 3))
    for number in range(count):
        think(must_be_proven=True)
        deltas.extend(called(100 + number, f"c{number}"))
        expected.append(("call", f"c{number}", "f", '{"a":1}'))
    return [*deltas, CALLS if count else STOP], expected


THOUGHTS = st.text("xyz", min_size=1, max_size=3)
ISSUERS: tuple[ReasoningFormat | None, ...] = (None, CLAUDE, GEMINI, OPENAI)
STOP, CALLS = Stopped("stop"), Stopped("calls")

ANSWERS = [
    Answer("a text", [Text(0, "a"), Text(0, "b"), STOP], [("text", "ab")]),
    Answer(
        "a thought without a proof",
        [Reasoning(0, "a"), Reasoning(0, "b"), Text(1, "c"), STOP],
        [("thought", "ab", "", "", ""), ("text", "c")],
    ),
    Answer(
        "Claude, which thinks between its calls",
        [
            *signed(0, "a", "S+/="),
            Text(1, "b"),
            *called(2, "c1"),
            *signed(3, "d", "T"),
            *called(4, "c2"),
            CALLS,
        ],
        [
            ("thought", "a", "", "S+/=", ""),
            ("text", "b"),
            ("call", "c1", "f", '{"a":1}'),
            ("thought", "d", "", "T", ""),
            ("call", "c2", "f", '{"a":1}'),
        ],
    ),
    Answer(
        "Claude, whose thought is hidden",
        [ReasoningSeal(0, "BLOB", None, CLAUDE, endpoint_id="anthropic:m"), Text(1, "b"), STOP],
        [("thought", "", "", "", "BLOB"), ("text", "b")],
    ),
    Answer(
        "OpenAI, which tells summaries",
        [
            ReasoningSummary(0, "a", 0),
            ReasoningSummary(0, "b", 1),
            ReasoningSeal(0, "BLOB", None, OPENAI, endpoint_id="openai:m", item_id="rs_1"),
            *called(1, "c1"),
            CALLS,
        ],
        [("thought", "", "a\n\nb", "", "BLOB"), ("call", "c1", "f", '{"a":1}')],
    ),
    Answer(
        "Gemini, which signs a call",
        [
            Reasoning(0, "a"),
            ReasoningSeal(1, None, "SIGN", GEMINI, endpoint_id="google:m"),
            *called(2, "c1"),
            CALLS,
        ],
        [("thought", "a", "", "", ""), ("thought", "", "", "SIGN", ""), ("call", "c1", "f", '{"a":1}')],
    ),
    Answer(
        "a call of a custom tool",
        [FunctionCall(0, "c1", "g", "custom"), Arguments(0, "x"), Arguments(0, "y"), CALLS],
        [("custom", "c1", "g", "xy")],
    ),
]


@pytest.mark.parametrize("answer", [pytest.param(answer, id=answer.id) for answer in ANSWERS])
def test_what_was_told_is_what_was_said(answer: Answer) -> None:
    check([Began("acme/large-1"), *answer.deltas], answer.expected)


@given(turns())
def test_every_turn_comes_back(turn: tuple[list[Delta], list[tuple[str, ...]]]) -> None:
    deltas, expected = turn
    check([Began("acme/large-1"), *deltas], expected)
