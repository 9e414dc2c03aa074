"""Every dialect through the two other doors, against a mock this project did not write.

What each feature is, and which of them the mock cannot show over a wire, is the same at all doors: `cases.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.gateway.server import KEY, Gateway
from tests.providers.aimock import Aimock
from tests.providers.cases import BUDGET, CASES, LIMIT, SHAPE, Case, Feature, check_loop
from tests.providers.doors import DOORS, Door, Told
from tests.providers.fixtures import CALLS, INPUT_TOKENS, KITE, OUTPUT_TOKENS, PIXEL, RESULT, TEXT, THOUGHT
from tests.providers.readings import READINGS
from tests.providers.test_thoughts import check_thought
from tests.providers.wires import FRESH, INPUT_USD, OUTPUT_USD, WIRES, Wire

pytestmark = pytest.mark.law

Json = Any
Ask = Callable[..., Told]

_WAY_BACK = {"chat", "chat-azure"}
"""Where a thought has no way back at any door."""


def of(feature: Feature) -> Callable[[Any], Any]:
    """Run a test at both doors for all cases of a feature; those that the mock cannot show are skipped and say why."""
    cases = [case for case in CASES if case.feature == feature]
    marks = {case.id: [pytest.mark.skip(reason=case.gap)] for case in cases if case.gap}
    by_case = pytest.mark.parametrize("case", [pytest.param(c, id=c.id, marks=marks.get(c.id, ())) for c in cases])
    by_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name.partition("/")[0])
    return lambda test: by_door(by_case(test))


@pytest.fixture(scope="module")
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=f"{gateway.url}/api/v1", headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def ask(http: httpx.Client) -> Ask:
    """Ask at a door as its client does."""

    def ask(door: Door, case: Case, *turns: Json, instructions: str = "", **members: Json) -> Told:
        sent = {**door.body(case.wire.model, turns, instructions=instructions), **members, "stream": case.stream}
        if not case.stream:
            sent.pop("stream_options", None)
        answer = http.post(f"/{door.name}", json=sent)
        assert answer.status_code == 200, answer.text
        return door.fold(list(_lines(answer.text))) if case.stream else door.read(answer.json())

    return ask


def _lines(body: str) -> Iterator[tuple[str | None, str]]:
    """The events of a stream, each with its name; comments are none."""
    for block in body.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            yield fields.get("event"), fields["data"]


@of("text")
def test_a_text_comes_from_where_it_was_asked(door: Door, case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    told = ask(door, case, door.question(f"herons {nonce}"), instructions="Speak of birds.")
    assert (told.text, told.finish, told.calls) == (TEXT, door.finishes["stop"], [])
    assert told.pieces > 5 or not case.stream
    (seen,) = mock.seen(nonce)
    assert seen.path == case.wire.arrival(case.stream)
    assert "Speak of birds." in json.dumps(seen.body)


@of("text")
def test_a_stop_text_ends_the_answer_whoever_keeps_to_it(door: Door, case: Case, ask: Ask, nonce: str) -> None:
    told = ask(door, case, door.question(f"herons {nonce}"), **door.stops([" stand", "never said"]))
    assert (told.text, told.finish) == (TEXT.partition(" stand")[0], door.stopped)


@of("usage")
def test_tokens_are_counted_and_priced_to_the_last_digit(door: Door, case: Case, ask: Ask, nonce: str) -> None:
    told = ask(door, case, door.question(f"herons {nonce}"))
    assert told.usage == (INPUT_TOKENS, OUTPUT_TOKENS)
    assert told.cost == (Decimal(INPUT_USD) * INPUT_TOKENS + Decimal(OUTPUT_USD) * OUTPUT_TOKENS) / 1_000_000


@of("length")
def test_an_answer_cut_by_the_limit_says_so(door: Door, case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    told = ask(door, case, door.question(f"too-long {nonce}"), max_tokens=LIMIT)
    assert (told.text, told.finish) == (TEXT, door.finishes["length"])
    (seen,) = mock.seen(nonce)
    assert READINGS[case.wire.dialect].limit(seen.body) == LIMIT


@of("filter")
def test_an_answer_stopped_by_a_filter_says_so(door: Door, case: Case, ask: Ask, nonce: str) -> None:
    assert ask(door, case, door.question(f"filter {nonce}")).finish == door.finishes["filter"]


@of("schema")
def test_an_answer_is_held_to_a_schema(door: Door, case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    told = ask(door, case, door.question(f"kite {nonce}"), **door.schema("Kite", SHAPE))
    assert json.loads(told.text) == json.loads(KITE)
    assert not told.calls
    (seen,) = mock.seen(nonce)
    assert READINGS[case.wire.dialect].schema(seen.body) == SHAPE


@of("image")
def test_a_picture_arrives_byte_for_byte(door: Door, case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    assert ask(door, case, door.question(f"herons {nonce}", picture=True)).text == TEXT
    (seen,) = mock.seen(nonce)
    assert READINGS[case.wire.dialect].image(seen.body) == PIXEL


@of("call")
def test_a_tool_is_called_and_its_result_answered(door: Door, case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    question = door.question(f"one-call {nonce}")
    first = ask(door, case, question, **door.tools())
    _check_calls(door, first, 1)
    second = ask(door, case, question, first.message, *door.results(first, RESULT), **door.tools())
    assert second.text == f"Rain. {RESULT}"
    asked, told = mock.seen(nonce)
    assert READINGS[case.wire.dialect].tools(asked.body) == ["weather"]
    check_loop(case.wire, told.body, 1)


@of("calls")
def test_parallel_calls_keep_their_ids_and_their_order(
    door: Door, case: Case, ask: Ask, mock: Aimock, nonce: str
) -> None:
    question = door.question(f"two-calls {nonce}")
    first = ask(door, case, question, **door.tools())
    assert first.text == "Let me look."
    _check_calls(door, first, 2)
    second = ask(door, case, question, first.message, *door.results(first, RESULT), **door.tools())
    assert second.text == f"Rain. {RESULT}"
    _, told = mock.seen(nonce)
    check_loop(case.wire, told.body, 2)


@of("mixed")
def test_a_text_after_a_call_is_told(door: Door, case: Case, ask: Ask, nonce: str) -> None:
    told = ask(door, case, door.question(f"mixed {nonce}"), **door.tools())
    assert told.text == TEXT
    _check_calls(door, told, 1)
    if door.name == "messages":
        kinds = [block["type"] for block in told.message["content"] if block["type"] != "thinking"]
        assert kinds == ["tool_use", "text"]


@of("thought")
def test_a_thought_is_told_apart_from_the_answer(door: Door, case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    told = ask(door, case, door.question(f"think {nonce}"), **door.thinking(LIMIT, BUDGET))
    assert (told.thought, told.text) == (THOUGHT, TEXT)
    (seen,) = mock.seen(nonce)
    assert READINGS[case.wire.dialect].thinking(seen.body) in ("high", BUDGET)


@of("replay")
def test_a_thought_goes_back_as_it_came(door: Door, case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    question, thinking = door.question(f"think {nonce}"), door.thinking(LIMIT, BUDGET)
    first = ask(door, case, question, **thinking)
    ask(door, case, question, first.message, door.question("think again"), **thinking)
    _, told = mock.seen(nonce)
    check_thought(case.wire, told.body)


@of("replay")
def test_a_thought_goes_back_with_the_call_it_led_to(
    door: Door, case: Case, ask: Ask, mock: Aimock, nonce: str
) -> None:
    question, asked = door.question(f"think-and-call {nonce}"), {**door.thinking(LIMIT, BUDGET), **door.tools()}
    first = ask(door, case, question, **asked)
    assert first.thought == THOUGHT
    second = ask(door, case, question, first.message, *door.results(first, RESULT), **asked)
    assert second.text == f"Rain. {RESULT}"
    _, told = mock.seen(nonce)
    check_loop(case.wire, told.body, 1)
    check_thought(case.wire, told.body)


@of("withheld")
def test_a_thought_that_may_not_go_back_stays_here(door: Door, case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    question, thinking = door.question(f"think {nonce}"), door.thinking(LIMIT, BUDGET)
    first = ask(door, case, question, **thinking)
    second = ask(door, case, question, first.message, door.question("think again"), **thinking)
    assert second.text == TEXT
    _, told = mock.seen(nonce)
    assert THOUGHT not in json.dumps(told.body)


STATUSES = {400: (400, 400), 401: (502, 502), 429: (429, 429), 500: (502, 502), 503: (503, 529), 529: (529, 529)}
"""What a provider's status becomes at the doors: Chat, Messages."""


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name.partition("/")[0])
@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_fault_is_told_in_the_words_of_the_door(
    door: Door, wire: Wire, stream: bool, http: httpx.Client, nonce: str
) -> None:
    for number, (status, told) in enumerate(STATUSES.items()):
        body = {
            **door.body(wire.fresh(_fresh_of(door) + 2 * number + stream), [door.question(f"fault-{status} {nonce}")]),
            "stream": stream,
        }
        answer = http.post(f"/{door.name}", json=body)
        assert answer.status_code == told[DOORS.index(door)], (status, answer.text)
        assert door.message_of(answer.json()["error"])


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name.partition("/")[0])
@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
def test_a_stream_that_is_cut_ends_with_an_error_and_no_finish(
    door: Door, wire: Wire, http: httpx.Client, nonce: str
) -> None:
    body = {
        **door.body(wire.fresh(_fresh_of(door) + 2 * len(STATUSES)), [door.question(f"cut {nonce}")]),
        "stream": True,
    }
    told = door.fold(list(_lines(http.post(f"/{door.name}", json=body).text)))
    assert told.finish is None
    assert told.text.startswith("Herons stand.")
    assert door.message_of(told.error)


def _fresh_of(door: Door) -> int:
    """The first model of a wire that is this door's: what is known of an endpoint in trouble is known at all doors."""
    return FRESH - (DOORS.index(door) + 1) * (2 * len(STATUSES) + 1)


def _check_calls(door: Door, told: Told, count: int) -> None:
    assert told.finish == door.finishes["calls"]
    assert told.calls == [(call_id, "weather", json.loads(arguments)) for call_id, arguments in CALLS[:count]]
