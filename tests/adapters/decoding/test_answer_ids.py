"""What a provider calls its answer: a table over the dialects' first messages, and every recorded answer."""

from __future__ import annotations

import pytest

from tests.upstream.test_hearing import ANSWERS, hear, recorded
from trunkline.adapters.decoding.answer_ids import read_answer_id

NAMELESS = frozenset({"bfl", "converse", "fake", "images", "riverflow"})
"""Dialects whose bodies name nothing; Bedrock says it in the head."""


@pytest.mark.parametrize(
    ("message", "id"),
    [
        pytest.param(
            b'{"choices":[{"delta":{"tool_calls":[{"id":"call_1"}]}}],"id":"chatcmpl-1"}', "chatcmpl-1", id="chat"
        ),
        pytest.param(b'{"type":"response.created","response":{"id":"resp_1"}}', "resp_1", id="responses"),
        pytest.param(b'{"type":"message_start","message":{"id":"msg_1"}}', "msg_1", id="messages"),
        pytest.param(b'{"candidates":[],"responseId":"r1"}', "r1", id="gemini"),
        pytest.param(b'{"id":"c1","type":"message-start"}', "c1", id="cohere"),
        pytest.param(b'{"id":"","choices":[]}', None, id="Azure's filter results before the first piece"),
        pytest.param(b' {\n "id": "gen-1~[]", "choices": []}', "gen-1~[]", id="first, with blanks"),
        pytest.param(b'{"id":"a\\u0062c"}', "abc", id="first, with an escape"),
        pytest.param('{"id":"ü"}'.encode(), "ü", id="first, beyond ASCII"),
        pytest.param(b'{"id":7}', None, id="a number"),
        pytest.param(b'{"message":"failed","id":"e1"}', "e1", id="a message that is text"),
        pytest.param(b'{"id":"' + b"x" * 300 + b'"}', "x" * 256, id="too long to keep"),
        pytest.param(b'["id"]', None, id="a list"),
        pytest.param(b"{" * 100_000, None, id="nonsense"),
    ],
)
def test_what_is_read_of_a_message(message: bytes, id: str | None) -> None:
    assert read_answer_id(message) == id


@pytest.mark.law
def test_every_dialect_that_names_its_answers_is_read() -> None:
    named: dict[str, set[bool]] = {}
    for cassette, suffix in ANSWERS:
        hearing = recorded(cassette, suffix)
        hear(hearing, [cassette.answers[suffix]])
        named.setdefault(cassette.endpoint.dialect, set()).add(hearing.answer_id is not None)
    assert {dialect for dialect, found in named.items() if True not in found} == NAMELESS
