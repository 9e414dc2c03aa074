"""What holds of every answer of the Messages API, over deltas in any order and over all recorded conversations."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.faces.messages.grammar import Json, check_message, check_stream, fold, read_stream
from tests.faces.messages.told import stream_bytes, telling, whole
from tests.record import cassettes, hear
from tests.stream.deltas_strategy import ANY_DELTAS, UNSTOPPED_DELTAS, answers, reads
from trunkline.errors import BadGateway
from trunkline.protocol.opaque import AnthropicItem
from trunkline.protocol.render import render_text
from trunkline.stream.deltas import Arguments, Began, Delta, FunctionCall, Opaque, Spent, Stopped, StopReason, Text

pytestmark = pytest.mark.law

CUT_SHORT = ("max_tokens", "refusal")
EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
RECORDED = [(cassette, suffix) for cassette in cassettes() for suffix in cassette.answers]

MEMBERS = st.dictionaries(st.sampled_from("ab{}"), st.text('a"\\{}[]é', max_size=5) | st.integers(), max_size=2)


@st.composite
def interleaved(draw: st.DrawFn) -> list[Delta]:
    """Calls with whole arguments whose pieces come mixed, with texts between them."""
    wanted = [json.dumps(draw(MEMBERS)) for _ in range(draw(st.integers(1, 4)))]
    left = dict(enumerate(wanted))
    deltas: list[Delta] = [FunctionCall(slot, f"call_{slot}", "look") for slot in left]
    while left:
        slot = draw(st.sampled_from(sorted(left)))
        length = draw(st.integers(1, 6))
        piece, left[slot] = left[slot][:length], left[slot][length:]
        deltas += [Arguments(slot, piece), *([Text(9, "and ")] if draw(st.booleans()) else [])]
        if not left[slot]:
            del left[slot]
    return [*deltas, Stopped("calls")]


def makeable(message: Json) -> Json:
    """A message that ended early without the calls that nobody can make, which a whole one need not have."""
    if message["stop_reason"] not in CUT_SHORT:
        return message
    return message | {"content": [block for block in message["content"] if "_raw" not in block.get("input", ())]}


def check_answer(deltas: Sequence[Delta]) -> None:
    """Check the stream of an answer, and that it folds to the whole one."""
    events = read_stream(stream_bytes([[delta] for delta in deltas], searches=True))
    check_stream(events)
    body = whole(*deltas, searches=True)
    folded = fold(events)
    if folded is None:
        assert body["type"] == "error"
        assert body == events[-1]
    else:
        check_message(body)
        assert makeable(folded) == makeable(body)


@given(ANY_DELTAS)
def test_law_2_and_3_a_stream_keeps_the_grammar_and_folds_to_the_whole_answer(deltas: list[Delta]) -> None:
    check_answer([*deltas, Stopped("stop")])
    check_answer([*deltas, Stopped("length")])


@given(answers())
def test_law_2_and_3_of_answers_that_keep_every_rule(deltas: list[Delta]) -> None:
    check_answer(deltas)


@given(st.one_of(ANY_DELTAS, answers(), interleaved()), st.data())
def test_law_1_deltas_come_to_the_same_however_they_arrive(deltas: list[Delta], data: st.DataObject) -> None:
    deltas = [*deltas, Stopped("stop")]
    once = stream_bytes([deltas])
    assert stream_bytes(data.draw(reads(deltas))) == once
    assert stream_bytes([[delta] for delta in deltas]) == once


@given(interleaved())
def test_calls_that_interleave_are_all_told_whole(deltas: list[Delta]) -> None:
    said: dict[object, str] = {}
    for delta in deltas:
        if isinstance(delta, Arguments):
            said[delta.slot] = said.get(delta.slot, "") + delta.text
    blocks = [block for block in whole(*deltas)["content"] if block["type"] == "tool_use"]
    assert [block["input"] for block in blocks] == [json.loads(said[slot]) for slot in sorted(said)]  # type: ignore[type-var]  # numbers
    check_answer(deltas)


@given(UNSTOPPED_DELTAS)
def test_law_4_an_answer_that_was_cut_off_is_an_error(deltas: list[Delta]) -> None:
    events = read_stream(stream_bytes([[Began("m"), *deltas]]))
    check_stream(events)
    assert events[-1]["type"] == "error"
    assert "message_stop" not in [event["type"] for event in events]


@given(st.one_of(ANY_DELTAS, interleaved()), st.sampled_from(["length", "content_filter"]))
def test_law_4_no_call_that_was_cut_looks_done(deltas: list[Delta], reason: StopReason) -> None:
    deltas = [delta for delta in deltas if not isinstance(delta, Stopped)]
    told = fold(read_stream(stream_bytes([[*deltas, Stopped(reason)]])))
    assert told is not None
    kept = whole(*deltas, Stopped(reason))["content"]
    ids = [block["id"] for block in kept if block["type"] == "tool_use"]
    for block in told["content"]:
        if block["type"] == "tool_use" and block["id"] not in ids:
            assert "_raw" in block["input"]


@given(ANY_DELTAS, ANY_DELTAS)
def test_law_2_a_failure_is_told_after_what_was_said_and_nothing_after_it(
    deltas: list[Delta], rest: list[Delta]
) -> None:
    machine = telling(is_stream=True)
    said = machine.feed(deltas) + machine.fail(BadGateway("gone"), rest)
    events = read_stream(said)
    check_stream(events)
    assert events[-1]["error"] == {"type": "api_error", "message": "gone"}
    assert machine.is_over
    assert machine.fail(BadGateway("again")) == machine.end() == machine.feed(deltas) == machine.go_on(["x"]) == b""
    assert machine.more() == b""


@given(ANY_DELTAS, st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4), st.booleans())
def test_texts_that_go_on_are_told_as_deltas_are(deltas: list[Delta], texts: list[str], is_stream: bool) -> None:
    before: list[Delta] = [Began("m"), *deltas, Text(1, "so ")]
    fed, gone_on, run = (telling(is_stream=is_stream) for _ in range(3))
    told = [fed.feed(before) + fed.feed([Text(1, text) for text in texts])]
    told.append(gone_on.feed(before) + gone_on.go_on(texts))
    sent: list[bytes] = [run.feed(before) + run.go_on(texts[:1])]

    def send(frame: bytes) -> bool:
        sent.append(frame)
        return True

    going = run.run(send)
    assert all(going.send(text, render_text(text)[1:-1]) for text in texts[1:])
    told.append(b"".join(sent))
    ends = [machine.end([Stopped("stop")]) for machine in (fed, gone_on, run)]
    assert told[0] == told[1] == told[2]
    assert ends[0] == ends[1] == ends[2]


SENSIBLE = answers().map(lambda deltas: [delta for delta in deltas if not isinstance(delta, Arguments)])
"""The vendor's client raises for arguments that are no JSON, its own ones as well."""


@given(st.one_of(SENSIBLE, interleaved()))
def test_the_vendors_own_client_reads_the_stream_as_the_whole_answer(deltas: list[Delta]) -> None:
    snapshot: Json = None
    buffers: dict[int, bytes] = {}
    for event in read_stream(stream_bytes([deltas], searches=True)):
        if event["type"] != "ping":
            read = EVENT.validate_python(event)
            snapshot = accumulate_event(event=read, current_snapshot=snapshot, json_bufs=buffers)
    body = whole(*deltas, searches=True)
    read_blocks = [block.model_dump(exclude_none=True) for block in snapshot.content]
    if body["stop_reason"] in CUT_SHORT:
        return  # it takes a call that was cut for whole, and goes by the reason alone
    for block, told in zip(read_blocks, body["content"], strict=True):
        assert block["type"] == told["type"]
        for name in ("text", "thinking", "signature", "data", "id", "input"):
            assert block.get(name) == told.get(name)
    assert (snapshot.stop_reason, snapshot.id) == (body["stop_reason"], body["id"])
    assert snapshot.usage.output_tokens == body["usage"]["output_tokens"]


@pytest.mark.parametrize(("cassette", "suffix"), RECORDED, ids=[c.name + suffix for c, suffix in RECORDED])
def test_laws_over_every_recorded_conversation(cassette: Json, suffix: str) -> None:
    heard = hear(cassette, suffix, [cassette.answers[suffix]])
    if not heard.deltas:
        return
    check_answer(heard.deltas)
    content = whole(*heard.deltas, searches=True).get("content", ())
    said = "".join(delta.text for delta in heard.deltas if isinstance(delta, Text))
    told = "".join(block["text"] for block in content if block["type"] == "text" and "![image]" not in block["text"])
    if content and all(type(delta) in (Text, Began, Spent, Stopped) for delta in heard.deltas):
        assert told == said
    place = len(heard.deltas) // 2
    cut = [delta for delta in heard.deltas[:place] if not isinstance(delta, Stopped)]
    events = read_stream(stream_bytes([cut, []]))
    check_stream(events)
    assert events[-1]["type"] == "error"


@given(st.lists(st.booleans(), max_size=5))
def test_a_block_that_only_anthropic_knows_is_told_once_and_in_its_place(are_done: list[bool]) -> None:
    item: Json = AnthropicItem(
        {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "n", "server_name": "s", "input": {"a": 1}}
    )
    told = whole(Began("m"), *(Opaque(4, item, is_done) for is_done in are_done), Stopped("stop"))
    assert told["content"] == ([dict(item)] if any(are_done) else [])
