"""What a client of Chat Completions was told and sends back is what a client of Responses would have of the answer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec import UNSET

from tests.faces.chat.chatting import HI, result, said
from tests.faces.chat.grammar import Json, fold
from tests.faces.chat.play import body_of, chunks_of, told
from tests.record import Cassette, assemble, cassettes, hear, new_assembler
from trunkline.protocol.items import CustomCallItem, FunctionCallItem, Message, OutputText, ReasoningItem
from trunkline.stream.deltas import Delta, Stopped
from trunkline.stream.seals import unseal

pytestmark = pytest.mark.law

ANSWERS = [(cassette, suffix) for cassette in cassettes() for suffix in cassette.answers]


@pytest.mark.parametrize(("cassette", "suffix"), ANSWERS, ids=[cassette.name + suffix for cassette, suffix in ANSWERS])
def test_what_was_told_comes_back(cassette: Cassette, suffix: str) -> None:
    heard = hear(cassette, suffix, [cassette.answers[suffix]])
    deltas = heard.deltas
    if heard.fault is not None or not _is_uncut(deltas):
        return
    machine = new_assembler(cassette)
    assemble(machine, heard)
    given = _meaning(machine.response.output)
    whole, folded = body_of(deltas)["choices"][0]["message"], fold(chunks_of(deltas))["message"]
    pieces = [detail for delta in told(deltas) for detail in delta.get("reasoning_details", ())]
    collected = {**folded, "reasoning_details": pieces}
    for message in (whole, folded, collected):
        results = [result(call["id"]) for call in message.get("tool_calls", ())]
        assert _meaning(said(HI, message, *results).input) == given


def _is_uncut(deltas: Sequence[Delta]) -> bool:
    stop = next((delta for delta in deltas if isinstance(delta, Stopped)), None)
    return stop is not None and stop.reason in ("stop", "calls")


def _meaning(items: Sequence[object]) -> Json:
    """What items of an answer come to: the text, each thought with its proofs, each call."""
    texts, thoughts, calls = [], [], []
    for item in items:
        match item:
            case Message(role="assistant", content=parts):
                texts += [part.text for part in parts if isinstance(part, OutputText)]
            case ReasoningItem():
                thoughts.append(_thought(item))
            case FunctionCallItem(name=name, arguments=text) | CustomCallItem(name=name, input=text):
                calls.append((name, text))
            case _:
                pass  # a greeting, or what the provider ran
    return "".join(texts), [thought for thought in thoughts if any(thought)], calls


def _thought(item: ReasoningItem) -> tuple[str, str, frozenset[str]]:
    raw = "" if item.content is UNSET else "".join(part.text for part in item.content)
    summary = "".join(part.text for part in item.summary).replace("\n\n", "")
    proofs = set()
    for told_proof in (item.encrypted_content, item.signature):
        if told_proof is not UNSET:
            origin = unseal(told_proof)
            proofs |= {told_proof} if origin is None else {origin.blob, origin.signature}
    return raw, summary, frozenset(proofs - {""})
