"""Any proof of a thought comes back byte for byte, from whichever door it was told at to whichever it is sent to."""

from __future__ import annotations

import json
from itertools import count, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.doors import CHAT as CHAT_CLIENT
from tests.gateway.doors import MESSAGES as MESSAGES_CLIENT
from tests.gateway.doors import RESPONSES as RESPONSES_CLIENT
from tests.gateway.doors import Door, Piece, Thought, Words, compact
from trunkline.adapters.thinking import thought_text
from trunkline.faces.chat.face import CHAT
from trunkline.faces.contract import Answering, Face
from trunkline.faces.messages.face import MESSAGES
from trunkline.faces.responses.face import RESPONSES
from trunkline.protocol.items import ReasoningFormat, ReasoningItem
from trunkline.stream.deltas import Reasoning, ReasoningSeal, Stopped, Text
from trunkline.stream.seals import is_unsigned, read_proof

DOORS: tuple[tuple[Face, Door], ...] = (
    (RESPONSES, RESPONSES_CLIENT),
    (CHAT, CHAT_CLIENT),
    (MESSAGES, MESSAGES_CLIENT),
)
TOOL = {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
FORMS: tuple[ReasoningFormat, ...] = ("unknown", "anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1")

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
"""U+0000 is refused at every door."""


@pytest.mark.parametrize(
    ("first", "second"), list(product(DOORS, DOORS)), ids=lambda door: door[0].name.replace("/", " ") + " door"
)
@given(proof=text, thought=st.just("") | text, is_blob=st.booleans(), form=st.sampled_from(FORMS))
def test_a_proof_told_at_one_door_is_the_same_at_another(
    first: tuple[Face, Door],
    second: tuple[Face, Door],
    proof: str,
    thought: str,
    is_blob: bool,
    form: ReasoningFormat,
) -> None:
    if is_blob and form == "anthropic-claude-v1":
        thought = ""  # Claude hides a thought whole, or tells it whole
    seal = ReasoningSeal(0, proof if is_blob else None, None if is_blob else proof, form, endpoint_id="a:m")
    [thought_told] = [piece for piece in told(*first, thought, seal) if isinstance(piece, Thought)]
    [item] = sent(*second, thought_told)
    hidden, beside = item.encrypted_content or "", item.signature or ""
    found = read_proof(hidden, form=str(item.format), is_data=True) or read_proof(beside, form=str(item.format))
    assert found is not None
    assert (found.blob, found.signature) == ((proof, "") if is_blob else ("", proof))
    assert found.form == ("" if form == "unknown" else form)
    assert thought_text([item]) == thought


@pytest.mark.parametrize("second", DOORS, ids=lambda door: door[0].name)
@given(thought=text, form=st.sampled_from(FORMS))
def test_a_thought_without_a_proof_comes_from_messages_without_one(
    second: tuple[Face, Door], thought: str, form: ReasoningFormat
) -> None:
    pieces = told(MESSAGES, MESSAGES_CLIENT, thought, ReasoningSeal(0, format=form))
    [thought_told] = [piece for piece in pieces if isinstance(piece, Thought)]
    [item] = sent(*second, thought_told)
    proofs = [each for each in (item.encrypted_content, item.signature) if each]
    assert all(map(is_unsigned, proofs))


def told(face: Face, door: Door, thought: str, seal: ReasoningSeal) -> list[Piece]:
    """What a client reads of an answer with one thought."""
    asked = face.parse(compact(door.write("a/m", [Words("user", "Hi.")], TOOL)).encode(), None, {})
    telling = face.telling(asked, Answering("resp_1", (f"{each:06}" for each in count()), 0.0, "a/m", lambda: 0.0))
    body = telling.end([Reasoning(0, thought), seal, Text(1, "Hello."), Stopped("stop")])
    while not telling.is_over:
        body += telling.more()
    return door.read(json.loads(body))


def sent(face: Face, door: Door, thought: Thought) -> list[ReasoningItem]:
    """The thoughts of a request whose history has one."""
    history: list[Piece] = [Words("user", "Hi."), thought, Words("assistant", "Hello."), Words("user", "Go on.")]
    asked = face.parse(compact(door.write("a/m", history, TOOL)).encode(), None, {})
    return [item for item in asked.request.input if isinstance(item, ReasoningItem)]
