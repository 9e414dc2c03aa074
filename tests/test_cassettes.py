"""The laws of docs/architecture.md, section 10, over every recorded conversation; a cassette needs no code here.

Law 1, cut anywhere, is a law of the machine that hears: `tests/upstream/test_hearing.py`.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import msgspec
import pytest

from tests import document
from tests.fold import fold
from tests.record import WRITTEN, Cassette, Heard, assemble, cassettes, encode, hear, new_assembler, play, record, told
from trunkline.errors import Unprocessable
from trunkline.protocol.events import Event, OutputItemDone, ResponseCompleted
from trunkline.protocol.items import FunctionCallItem
from trunkline.protocol.render import render_event, render_response
from trunkline.stream.deltas import Spent, Stopped
from trunkline.wire import Fault

pytestmark = pytest.mark.law

ALL = cassettes()
ANSWERS = [(cassette, suffix) for cassette in ALL for suffix in cassette.answers]

MAX_LINES_BYTES = 16_000
"""So much of an answer is cut at each of its lines."""

BETWEEN = 60
"""At so many places more it is cut wherever they fall."""

every_cassette = pytest.mark.parametrize("cassette", ALL, ids=lambda cassette: cassette.name)
every_answer = pytest.mark.parametrize(
    ("cassette", "suffix"), ANSWERS, ids=[cassette.name + suffix for cassette, suffix in ANSWERS]
)


def events_of(cassette: Cassette, suffix: str) -> list[Event]:
    """The events, or none when the attempt failed before the client was told anything."""
    outcome = play(cassette, suffix)
    return [] if isinstance(outcome, Fault) else outcome


def as_json(events: list[Event]) -> list[document.Json]:
    return [json.loads(render_event(event)) for event in events]


def output_of(heard: Heard) -> list[object]:
    return [delta for delta in heard.deltas if not isinstance(delta, Spent | Stopped)]


@every_cassette
def test_recorded_files_are_what_the_code_makes_now(cassette: Cassette) -> None:
    made = record(cassette)
    found = {name: (cassette.folder / name).read_bytes() for name in WRITTEN if (cassette.folder / name).exists()}
    assert found == made, "run `make cassettes` and review the difference"


@every_cassette
def test_what_is_known_of_an_input_makes_no_other_request(cassette: Cassette) -> None:
    unknown = replace(cassette, request=msgspec.structs.replace(cassette.request, is_text_alone=False))
    try:
        sent = encode(cassette)
    except Unprocessable:
        return
    assert encode(unknown) == sent


@every_cassette
def test_source_names_the_public_reference_and_when_it_was_seen(cassette: Cassette) -> None:
    source = (cassette.folder / "source.md").read_text()
    assert "https://" in source
    assert re.search(r"20\d\d-\d\d-\d\d", source)


@every_answer
def test_law_2_the_events_fold_to_the_response(cassette: Cassette, suffix: str) -> None:
    events = events_of(cassette, suffix)
    if events:
        response = json.loads(render_response(fold(events)))
        rebuilt = document.independent_fold(as_json(events))
        assert {name: response[name] for name in rebuilt} == rebuilt


@every_answer
def test_law_2_a_whole_answer_is_the_fold_of_the_events_it_is_not_told(cassette: Cassette, suffix: str) -> None:
    heard = hear(cassette, suffix, [cassette.answers[suffix]])
    whole = new_assembler(cassette, is_stream=False)
    assert assemble(whole, heard) == []
    assert render_response(whole.response) == render_response(fold(assemble(new_assembler(cassette), heard)))


@pytest.mark.parametrize("cassette", [c for c in ALL if len(c.answers) > 1], ids=lambda cassette: cassette.name)
def test_law_2_body_and_stream_come_to_the_same(cassette: Cassette) -> None:
    outcomes = [play(cassette, suffix) for suffix in cassette.answers]
    ends = [outcome.kind if isinstance(outcome, Fault) else fold(outcome) for outcome in outcomes]
    assert all(end == ends[0] for end in ends)


@every_answer
def test_law_3_events_keep_the_grammar(cassette: Cassette, suffix: str) -> None:
    events = events_of(cassette, suffix)
    if events:
        document.check_stream(as_json(events))


@every_answer
def test_law_4_an_answer_cut_short_is_never_completed(cassette: Cassette, suffix: str) -> None:
    answer = cassette.answers[suffix]
    full = output_of(hear(cassette, suffix, [answer]))
    whole = [call for event in events_of(cassette, suffix) for call in _called(event)]
    before = None
    for place in sorted(_places(answer)):
        cut = hear(cassette, suffix, [answer[:place]])
        if cut == before:
            continue  # nothing more was heard in these bytes
        before = cut
        outcome = told(cassette, cut)
        if isinstance(outcome, list) and output_of(cut) != full:
            document.check_stream(as_json(outcome))
            assert not isinstance(outcome[-1], ResponseCompleted), f"cut after {place} bytes"
            called = [call for event in outcome for call in _called(event)]
            assert called == whole[: len(called)], f"cut after {place} bytes, half a call is done"


@every_answer
def test_law_5_everything_sent_fits_the_document(cassette: Cassette, suffix: str) -> None:
    events = events_of(cassette, suffix)
    for event in as_json(events):
        document.validate_event(event)
    if events:
        document.validate_response(json.loads(render_response(fold(events))))


def _called(event: Event) -> list[tuple[str, str]]:
    """The call that an event says is done: its name and arguments."""
    item = event.item if isinstance(event, OutputItemDone) else None
    return [(item.name, item.arguments)] if isinstance(item, FunctionCallItem) else []


def _places(answer: bytes) -> set[int]:
    """Where to cut: around the ends of its lines, and at some places between."""
    ends = {place for end in re.finditer(rb"\n", answer[:MAX_LINES_BYTES]) for place in end.span()}
    return ends | set(range(0, len(answer), max(1, len(answer) // BETWEEN)))
