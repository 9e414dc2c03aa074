"""A call that was cut is never done, wherever it was cut: a client makes a call as soon as it hears that it is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.calling import CALLINGS, Calling
from tests.adapters.served import endpoint
from tests.document import check_stream, validate_response
from tests.record import Cassette, Heard, hear, told
from trunkline.faces.responses.parse import parse
from trunkline.protocol.render import render_event
from trunkline.wire import Fault

pytestmark = pytest.mark.law

TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
REQUEST = parse(json.dumps({"model": "acme/quill-2", "input": "Weather?", "tools": [TOOL], "stream": True}).encode())
DONE = {"response.function_call_arguments.done", "response.output_item.done"}

every_dialect = pytest.mark.parametrize("dialect", CALLINGS)


def cassette(dialect: str, media: str, answer: bytes) -> Cassette:
    return Cassette(Path(), REQUEST, endpoint(dialect=dialect), {media: answer}, 200, {})  # type: ignore[arg-type]


def events_of(played: Cassette, heard: Heard) -> list[dict[str, Any]]:
    """What a client hears of an answer; nothing where the attempt failed before anything was told."""
    outcome = told(played, heard)
    events = [] if isinstance(outcome, Fault) else [json.loads(render_event(event)) for event in outcome]
    if events:
        check_stream(events)
    return events


def play(dialect: str, media: str, answer: bytes) -> list[dict[str, Any]]:
    played = cassette(dialect, media, answer)
    return events_of(played, hear(played, media, [answer]))


def assert_not_done(events: list[dict[str, Any]], statuses: set[str]) -> None:
    assert not DONE & {event["type"] for event in events}
    response = events[-1]["response"] if events else {"status": "failed", "output": []}
    assert response["status"] in statuses
    assert response["output"] == []


@every_dialect
def test_ST_07_a_call_cut_at_any_byte_of_its_arguments(dialect: str) -> None:
    """At every byte of them, and of what the first and the last of them stand in."""
    calling = CALLINGS[dialect]
    whole, ends = calling.cut(len(calling.pieces)), [len(calling.cut(count)) for count in range(len(calling.pieces))]
    played, before = cassette(dialect, calling.media, whole), None
    for at in sorted({*range(ends[1]), *ends, *range(ends[-1], len(whole) + 1)}):
        heard = hear(played, calling.media, [whole[:at]])
        if heard != before:
            assert_not_done(events_of(played, heard), {"failed"})
        before = heard
    assert before is not None


@every_dialect
def test_a_call_that_the_limit_cut_after_any_piece(dialect: str) -> None:
    calling = CALLINGS[dialect]
    # Where calls come whole there is no half of one.
    lengths = [len(calling.pieces)] if not calling.before else range(len(calling.pieces) + 1)
    for length in lengths:
        assert_not_done(play(dialect, calling.media, calling.limited(length)), {"incomplete"})


@every_dialect
def test_a_half_call_in_a_whole_answer(dialect: str) -> None:
    calling = CALLINGS[dialect]
    events = play(dialect, ".json", json.dumps(calling.body).encode())
    assert_not_done(events, {"incomplete"})
    validate_response(events[-1]["response"])


@pytest.mark.parametrize("dialect", [name for name, calling in CALLINGS.items() if calling.closed])
def test_a_call_told_to_its_end_before_the_cut_is_done(dialect: str) -> None:
    calling: Calling = CALLINGS[dialect]
    closed = calling.closed.replace(b'"incomplete"', b'"completed"')
    events = play(dialect, calling.media, calling.cut(len(calling.pieces)) + closed)
    assert [event["type"] for event in events[-3:]] == [*sorted(DONE), "response.failed"]
    (item,) = events[-1]["response"]["output"]
    assert item["status"] == "completed"
    assert json.loads(item["arguments"])["city"].startswith("Paris")
