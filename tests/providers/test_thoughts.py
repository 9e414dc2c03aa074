"""Thoughts: told apart from the answer, sent back to who can read them, and to nobody else."""

from __future__ import annotations

import base64
import json

import pytest

from tests.providers.aimock import Aimock
from tests.providers.cases import BUDGET, THINKING, WEATHER, Answer, Ask, Case, Json, check_loop, of, results_of
from tests.providers.fixtures import REDACTED, RESULT, SIGNATURE, TEXT, THOUGHT
from tests.providers.readings import READINGS
from tests.providers.wires import WIRES, Wire

pytestmark = pytest.mark.law


@of("thought")
def test_a_thought_is_told_apart_from_the_answer(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    answer = ask(case, f"think {nonce}", **THINKING)
    assert _thought(answer) == THOUGHT
    assert answer.response.output_text == TEXT
    assert [item.type for item in answer.response.output][-2:] == ["reasoning", "message"]
    (seen,) = mock.seen(nonce)
    assert READINGS[case.wire.dialect].thinking(seen.body) in ("high", BUDGET)


@of("replay")
def test_a_thought_goes_back_as_it_came(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    question = {"role": "user", "content": f"think {nonce}"}
    first = ask(case, [question], **THINKING)
    ask(case, [question, *first.output, {"role": "user", "content": "think again"}], **THINKING)
    _, told = mock.seen(nonce)
    check_thought(case.wire, told.body)


@of("replay")
def test_a_thought_goes_back_with_the_call_it_led_to(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    """The mock is strict and, as Anthropic does, refuses a result whose call is not led by its thought."""
    question = {"role": "user", "content": f"think-and-call {nonce}"}
    first = ask(case, [question], tools=[WEATHER], **THINKING)
    assert _thought(first) == THOUGHT
    second = ask(case, [question, *first.output, *results_of(first)], tools=[WEATHER], **THINKING)
    assert second.response.output_text == f"Rain. {RESULT}"
    _, told = mock.seen(nonce)
    check_loop(case.wire, told.body, 1)
    check_thought(case.wire, told.body)
    assert READINGS[case.wire.dialect].thinking(told.body) in ("high", BUDGET)


@of("withheld")
def test_a_thought_that_may_not_go_back_stays_here(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    question = {"role": "user", "content": f"think {nonce}"}
    first = ask(case, [question], **THINKING)
    second = ask(case, [question, *first.output, {"role": "user", "content": "think again"}], **THINKING)
    assert second.response.output_text == TEXT
    _, told = mock.seen(nonce)
    assert THOUGHT not in json.dumps(told.body)


STRANGERS = tuple(wire for wire in WIRES if wire.id not in ("messages", "converse"))
"""The wires on which no Claude answers."""


@pytest.mark.parametrize("wire", STRANGERS, ids=lambda wire: wire.id)
def test_a_thought_signed_elsewhere_is_neither_sent_nor_refused(wire: Wire, ask: Ask, mock: Aimock, nonce: str) -> None:
    body = _told_after_claude(wire, ask, mock, nonce)
    sent = json.dumps(body, ensure_ascii=False)
    assert TEXT in sent
    assert not [secret for secret in (THOUGHT, SIGNATURE, REDACTED) if secret in sent]


def test_a_thought_of_claude_goes_along_to_claude_on_bedrock(ask: Ask, mock: Aimock, nonce: str) -> None:
    """Signatures hold on every platform that has Claude."""
    bedrock = next(wire for wire in WIRES if wire.id == "converse")
    assert READINGS["converse"].thought(_told_after_claude(bedrock, ask, mock, nonce)) == [
        {"redactedContent": REDACTED},
        {"reasoningText": {"text": THOUGHT, "signature": SIGNATURE}},
    ]


def _told_after_claude(wire: Wire, ask: Ask, mock: Aimock, nonce: str) -> Json:
    """What a wire is sent when the turn before was Anthropic's and came with a thought."""
    claude = next(wire for wire in WIRES if wire.id == "messages")
    question = {"role": "user", "content": f"think {nonce}"}
    first = ask(Case("replay", claude, stream=False), [question], **THINKING)
    again = {"role": "user", "content": f"herons {nonce}"}
    second = ask(Case("replay", wire, stream=False), [question, *first.output, again])
    assert second.response.output_text == TEXT
    _, told = mock.seen(nonce)
    return told.body


def _thought(answer: Answer) -> str:
    parts = [part for item in answer.items("reasoning") for part in [*item.summary, *(item.content or ())]]
    return "".join(part.text for part in parts)


def check_thought(wire: Wire, body: Json) -> None:
    """The first turn's thought is in the second turn's request, byte for byte."""
    found = READINGS[wire.dialect].thought(body)
    match wire.dialect:
        case "chat":
            assert found == THOUGHT
        case "messages":
            assert found == [
                {"type": "redacted_thinking", "data": REDACTED},
                {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE},
            ]
        case "responses":
            (item,) = found
            assert item["summary"] == [{"type": "summary_text", "text": THOUGHT}]
            # The mock makes its blob of the id that it gave the item.
            assert base64.b64decode(item["encrypted_content"]).decode().endswith(f":{item['id']}")
        case "mistral":
            assert found == [[{"type": "text", "text": THOUGHT}]]
        case _:
            raise AssertionError(f"no thought can go back over {wire.id}")
