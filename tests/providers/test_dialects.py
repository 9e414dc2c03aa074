"""Every dialect against a mock this project did not write: what a client of ours sees, and what the mock got.

Whether a request fits the vendor's own types is for `tests/adapters` to say, and odd bytes are for `tests/gateway`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args

import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response
from pydantic import BaseModel

from tests.document import check_stream, validate_error, validate_response
from tests.providers.aimock import Aimock
from tests.providers.fixtures import (
    CALLS,
    INPUT_TOKENS,
    KITE,
    OUTPUT_TOKENS,
    PIXEL,
    REDACTED,
    RESULT,
    SIGNATURE,
    TEXT,
    THOUGHT,
)
from tests.providers.readings import READINGS
from tests.providers.wires import IMAGE_USD, INPUT_USD, OUTPUT_USD, PAINTER, RELAY, WIRES, Wire
from trunkline.adapters.table import ADAPTERS

Json = Any
Feature = Literal[
    "text", "usage", "call", "calls", "schema", "image", "thought", "replay", "withheld", "length", "filter", "mixed"
]

LIMIT = 9_000
BUDGET = 7_200
"""What the effort `high` is of the limit."""

WEATHER: Json = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a place.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
THINKING: Json = {"reasoning": {"effort": "high"}, "max_output_tokens": LIMIT}
SHAPE: Json = {
    "type": "object",
    "properties": {"colour": {"type": "string"}, "height_m": {"type": "integer"}},
    "required": ["colour", "height_m"],
    "additionalProperties": False,
}
KITE_FORMAT: Json = {"format": {"type": "json_schema", "name": "Kite", "schema": SHAPE, "strict": True}}


class Kite(BaseModel):
    colour: str
    height_m: int


# What is tried


@dataclass(frozen=True)
class Case:
    """One feature over one wire, whole or as a stream."""

    feature: Feature
    wire: Wire
    stream: bool

    @property
    def id(self) -> str:
        return f"{self.wire.id}-{'stream' if self.stream else 'whole'}"

    @property
    def gap(self) -> str:
        """Why this mock cannot show it; empty if it can."""
        return GAPS.get((self.feature, self.wire.id)) or GAPS.get((self.feature, self.id)) or ""


_UNSIGNED = "the mock puts no signature on a thought in this dialect, and without one it may not go back"
_PLAIN = "the mock writes a thought as ordinary text in Cohere's form"
_NO_WAY_BACK = "OpenAI's chat has no field for an earlier thought"
_UNORDERED = "a whole answer in this dialect has its text and its calls in two places, without an order"
_UNCOUNTED = "the mock takes Mistral for chat, where streams are counted only if a field asks that Mistral refuses"

GAPS: Mapping[tuple[Feature, str], str] = {
    ("usage", "mistral-stream"): _UNCOUNTED,
    ("thought", "cohere"): _PLAIN,
    ("withheld", "cohere"): _PLAIN,
    ("replay", "cohere"): _PLAIN,
    ("replay", "gemini"): _UNSIGNED,
    ("replay", "gemini-vertex"): _UNSIGNED,
    ("replay", "converse"): _UNSIGNED,
    ("replay", "chat"): _NO_WAY_BACK,
    ("replay", "chat-azure"): _NO_WAY_BACK,
    ("filter", "responses"): "the mock says `failed` without an error, which the Responses API does not",
    ("filter", "cohere"): "Cohere has no finish that means a filter",
    ("mixed", "chat-whole"): _UNORDERED,
    ("mixed", "chat-azure-whole"): _UNORDERED,
    ("mixed", "chat-private-whole"): _UNORDERED,
    ("mixed", "chat-thinker-whole"): _UNORDERED,
    ("mixed", "cohere-whole"): _UNORDERED,
    ("mixed", "mistral-whole"): _UNORDERED,
}
"""What cannot be shown, by feature and the name of a wire or a case."""

UNMOCKED: Mapping[str, str] = {
    "bfl": "the mock has no wire of Black Forest Labs",
    "riverflow": "the mock has no wire of Riverflow",
    "fake": "FakeProvider is a part of the gateway",
}
"""The dialects that the mock does not speak."""

REPLAYS = ("chat-private", "chat-thinker", "responses", "messages", "mistral")
"""The wires over which the mock's thoughts can go back."""


CASES = tuple(
    Case(feature, wire, stream)
    for feature in get_args(Feature)
    for wire in WIRES
    if feature != "withheld" or wire.id not in REPLAYS
    for stream in (False, True)
)


def of(feature: Feature) -> pytest.MarkDecorator:
    """Run a test for all cases of a feature; those that the mock cannot show are skipped and say why."""
    cases = [case for case in CASES if case.feature == feature]
    gaps = {case.id: [pytest.mark.skip(reason=case.gap)] for case in cases if case.gap}
    return pytest.mark.parametrize("case", [pytest.param(c, id=c.id, marks=gaps.get(c.id, ())) for c in cases])


def test_every_dialect_is_tried_or_listed() -> None:
    assert {wire.dialect for wire in (*WIRES, PAINTER)} | UNMOCKED.keys() == ADAPTERS.keys()
    assert not UNMOCKED.keys() & {wire.dialect for wire in WIRES}
    names = {(case.feature, name) for case in CASES for name in (case.id, case.wire.id)}
    assert GAPS.keys() <= names


@dataclass(frozen=True)
class Answer:
    """What a client sees of one answer; without a stream there are no events."""

    response: Response
    events: tuple[Json, ...] = ()

    @property
    def output(self) -> list[Json]:
        """The items in the form in which a client sends them back."""
        return [item.to_dict() for item in self.response.output]

    def items(self, kind: str) -> list[Any]:
        return [item for item in self.response.output if item.type == kind]


Ask = Callable[..., Answer]


@pytest.fixture
def ask(client: OpenAI) -> Ask:
    """Ask as a client does; what comes back is checked against the contract."""

    def ask(case: Case, what: Json, **request: Json) -> Answer:
        sent: Json = {"model": case.wire.model, "input": what, **request}
        if not case.stream:
            whole: Response = client.responses.create(**sent)
            validate_response(whole.to_dict())
            return Answer(whole)
        events: list[Any] = list(client.responses.create(**sent, stream=True))
        dumps = tuple(event.to_dict() for event in events)
        check_stream(dumps)
        return Answer(events[-1].response, dumps)

    return ask


# What is said


@of("text")
def test_a_text_comes_from_where_it_was_asked(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    answer = ask(case, f"herons {nonce}", instructions="Speak of birds.")
    assert answer.response.output_text == TEXT
    assert answer.response.status == "completed"
    assert answer.response.model == case.wire.model
    (seen,) = mock.seen(nonce)
    assert (seen.method, seen.path) == ("POST", case.wire.arrival(case.stream))
    name, value = case.wire.credential
    assert seen.headers[name] == value
    assert "Speak of birds." in json.dumps(seen.body)


@of("text")
def test_a_stream_says_the_text_bit_by_bit(case: Case, ask: Ask, nonce: str) -> None:
    answer = ask(case, f"herons {nonce}")
    deltas = [event["delta"] for event in answer.events if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == (TEXT if case.stream else "")
    assert len(deltas) > 5 or not case.stream


@of("usage")
def test_tokens_are_counted_and_priced_to_the_last_digit(case: Case, ask: Ask, nonce: str) -> None:
    usage = ask(case, f"herons {nonce}").response.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    assert usage.total_tokens == INPUT_TOKENS + OUTPUT_TOKENS
    usd = Decimal(INPUT_USD) * INPUT_TOKENS + Decimal(OUTPUT_USD) * OUTPUT_TOKENS
    assert Decimal(repr(usage.model_dump()["cost"])) == usd / 1_000_000


@of("length")
def test_an_answer_cut_by_the_limit_is_incomplete(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    answer = ask(case, f"too-long {nonce}", max_output_tokens=LIMIT)
    assert answer.response.status == "incomplete"
    assert answer.response.incomplete_details is not None
    assert answer.response.incomplete_details.reason == "max_output_tokens"
    assert answer.response.output_text == TEXT
    (seen,) = mock.seen(nonce)
    assert READINGS[case.wire.dialect].limit(seen.body) == LIMIT


@of("filter")
def test_an_answer_stopped_by_a_filter_is_incomplete(case: Case, ask: Ask, nonce: str) -> None:
    answer = ask(case, f"filter {nonce}")
    assert answer.response.status == "incomplete"
    assert answer.response.incomplete_details is not None
    assert answer.response.incomplete_details.reason == "content_filter"


@of("schema")
def test_an_answer_is_held_to_a_schema(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    answer = ask(case, f"kite {nonce}", text=KITE_FORMAT)
    assert json.loads(answer.response.output_text) == json.loads(KITE)
    assert not answer.items("function_call")
    (seen,) = mock.seen(nonce)
    assert READINGS[case.wire.dialect].schema(seen.body) == SHAPE


def test_a_schema_with_spaces_in_its_name_makes_a_tool_without_any(ask: Ask, mock: Aimock, nonce: str) -> None:
    private = next(wire for wire in WIRES if wire.id == "chat-private")
    named = {"format": {**KITE_FORMAT["format"], "name": "A red kite"}}
    answer = ask(Case("schema", private, stream=False), f"kite {nonce}", text=named)
    assert json.loads(answer.response.output_text) == json.loads(KITE)
    (seen,) = mock.seen(nonce)
    assert READINGS["chat"].tools(seen.body) == ["A_red_kite"]


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
def test_the_sdk_parses_an_answer_into_a_model(wire: Wire, client: OpenAI, nonce: str) -> None:
    whole = client.responses.parse(model=wire.model, input=f"kite {nonce}", text_format=Kite)
    with client.responses.stream(model=wire.model, input=f"kite {nonce}", text_format=Kite) as events:
        streamed = events.get_final_response()
    assert whole.output_parsed == streamed.output_parsed == Kite(colour="red", height_m=40)


@of("image")
def test_a_picture_arrives_byte_for_byte(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"}
    question = {"role": "user", "content": [{"type": "input_text", "text": f"herons {nonce}"}, picture]}
    assert ask(case, [question]).response.output_text == TEXT
    (seen,) = mock.seen(nonce)
    assert READINGS[case.wire.dialect].image(seen.body) == PIXEL


# Tools


@of("call")
def test_a_tool_is_called_and_its_result_answered(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    question = {"role": "user", "content": f"one-call {nonce}"}
    first = ask(case, [question], tools=[WEATHER])
    assert _called(first) == [(name, json.loads(arguments)) for name, arguments in CALLS[:1]]
    second = ask(case, [question, *first.output, *_results(first)], tools=[WEATHER])
    assert second.response.output_text == f"Rain. {RESULT}"
    asked, told = mock.seen(nonce)
    assert READINGS[case.wire.dialect].tools(asked.body) == ["weather"]
    _check_loop(case.wire, told.body, 1)


@of("calls")
def test_parallel_calls_keep_their_ids_and_their_order(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    question = {"role": "user", "content": f"two-calls {nonce}"}
    first = ask(case, [question], tools=[WEATHER])
    assert first.response.output_text == "Let me look."
    assert _called(first) == [(name, json.loads(arguments)) for name, arguments in CALLS]
    second = ask(case, [question, *first.output, *_results(first)], tools=[WEATHER])
    assert second.response.output_text == f"Rain. {RESULT}"
    _, told = mock.seen(nonce)
    _check_loop(case.wire, told.body, 2)


@of("mixed")
def test_text_after_a_call_stays_after_it(case: Case, ask: Ask, nonce: str) -> None:
    answer = ask(case, f"mixed {nonce}", tools=[WEATHER])
    assert answer.response.output_text == TEXT
    assert _called(answer) == [(name, json.loads(arguments)) for name, arguments in CALLS[:1]]
    order = [item.type for item in answer.response.output if item.type != "reasoning"]
    assert order == ["function_call", "message"]


def _called(answer: Answer) -> list[tuple[str, Json]]:
    return [(call.call_id, json.loads(call.arguments)) for call in answer.items("function_call")]


def _results(answer: Answer) -> list[Json]:
    calls = answer.items("function_call")
    return [{"type": "function_call_output", "call_id": call.call_id, "output": RESULT} for call in calls]


def _check_loop(wire: Wire, body: Json, count: int) -> None:
    """The calls went back as they came, each with its result."""
    reading = READINGS[wire.dialect]
    calls, results = reading.calls(body), reading.results(body)
    assert [(name, arguments) for _, name, arguments in calls] == [
        ("weather", json.loads(arguments)) for _, arguments in CALLS[:count]
    ]
    assert [call_id for call_id, _, _ in calls] == [call_id for call_id, _ in results]
    assert all(RESULT in text for _, text in results)
    if wire.dialect == "mistral":
        assert all(len(call_id) == 9 and call_id.isalnum() for call_id, _, _ in calls)
    else:
        assert [call_id for call_id, _, _ in calls] == [call_id for call_id, _ in CALLS[:count]]


def test_a_search_of_the_provider_is_told(ask: Ask, mock: Aimock, nonce: str) -> None:
    responses = next(wire for wire in WIRES if wire.id == "responses")
    for stream in (False, True):
        answer = ask(Case("text", responses, stream), f"search {nonce}", tools=[{"type": "web_search"}])
        assert [item.type for item in answer.response.output] == ["web_search_call", "message"]
        assert answer.output[0]["status"] == "completed"
    assert [tool["type"] for tool in mock.seen(nonce)[0].body["tools"]] == ["web_search"]


# Thoughts


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
    _check_thought(case.wire, told.body)


@of("replay")
def test_a_thought_goes_back_with_the_call_it_led_to(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    """The mock is strict and, as Anthropic does, refuses a result whose call is not led by its thought."""
    question = {"role": "user", "content": f"think-and-call {nonce}"}
    first = ask(case, [question], tools=[WEATHER], **THINKING)
    assert _thought(first) == THOUGHT
    second = ask(case, [question, *first.output, *_results(first)], tools=[WEATHER], **THINKING)
    assert second.response.output_text == f"Rain. {RESULT}"
    _, told = mock.seen(nonce)
    _check_loop(case.wire, told.body, 1)
    _check_thought(case.wire, told.body)
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


def _check_thought(wire: Wire, body: Json) -> None:
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


# Pictures


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_picture_is_painted_and_priced(stream: bool, ask: Ask, mock: Aimock, nonce: str) -> None:
    answer = ask(Case("image", PAINTER, stream), f"paint a kite {nonce}")
    (item,) = answer.output
    assert (item["type"], item["status"]) == ("image_generation_call", "completed")
    assert item["result"] == f"data:image/png;base64,{PIXEL}"
    assert answer.response.usage is not None
    assert Decimal(repr(answer.response.usage.model_dump()["cost"])) == Decimal(IMAGE_USD)
    (seen,) = mock.seen(nonce)
    assert seen.path == PAINTER.path
    assert seen.body["prompt"] == f"paint a kite {nonce}"


# Sameness


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_client_cannot_tell_which_provider_answered(stream: bool, ask: Ask, nonce: str) -> None:
    cases = [case for case in CASES if case.feature == "usage" and case.stream == stream and not case.gap]
    answers = [ask(case, f"herons {nonce}") for case in cases]
    assert len({json.dumps(_without_names(answer.response.model_dump()), sort_keys=True) for answer in answers}) == 1


_NAMES = ("id", "created_at", "completed_at", "model")


def _without_names(value: Json) -> Json:
    if isinstance(value, list):
        return [_without_names(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_names(part) for key, part in value.items() if key not in _NAMES}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_conversation_goes_on_at_every_provider_in_turn(stream: bool, ask: Ask, mock: Aimock, nonce: str) -> None:
    """With calls whose ids each made up in its own manner, and thoughts that only some of them signed."""
    history: list[Json] = []
    for wire in WIRES:
        case = Case("calls", wire, stream)
        history.append({"role": "user", "content": f"journey {nonce}"})
        first = ask(case, history, tools=[WEATHER])
        history += [*first.output, *_results(first)]
        second = ask(case, history, tools=[WEATHER])
        assert second.response.output_text == f"Rain. {RESULT}"
        history += second.output
    told = mock.seen(nonce)[1::2]
    for turn, (wire, seen) in enumerate(zip(WIRES, told, strict=True)):
        reading = READINGS[wire.dialect]
        calls, results = reading.calls(seen.body), reading.results(seen.body)
        ids = [call_id for call_id, _, _ in calls]
        assert len(set(ids)) == len(calls) == 2 * (turn + 1)
        assert ids == [call_id for call_id, _ in results]
        assert json.dumps(seen.body).count("Let me look.") == turn + 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_next_provider_answers_in_another_dialect(stream: bool, client: OpenAI, mock: Aimock, nonce: str) -> None:
    sent: Json = {"model": RELAY, "input": f"relay {nonce}", "stream": stream}
    order = ["anthropic", "amazon-bedrock", "google-ai-studio"]
    answer: Any = client.responses.create(**sent, extra_body={"provider": {"order": order}})
    response = list(answer)[-1].response if stream else answer
    assert response.output_text == TEXT
    assert response.usage.input_tokens == INPUT_TOKENS
    paths = [seen.path for seen in mock.seen(nonce)]
    tried = [next(wire for wire in WIRES if wire.provider == provider) for provider in order]
    assert list(dict.fromkeys(paths)) == [wire.arrival(stream) for wire in tried]


# Faults


@dataclass(frozen=True)
class FaultCase:
    """A fault that the mock plays, and the status and kind a client hears of it."""

    script: str
    status: int
    kind: str

    @property
    def id(self) -> str:
        return self.script


FAULTS = (
    FaultCase("fault-400", 400, "invalid_request"),
    FaultCase("fault-401", 502, "provider_unavailable"),
    FaultCase("fault-429", 429, "rate_limit_exceeded"),
    FaultCase("fault-500", 502, "provider_unavailable"),
    FaultCase("fault-503", 503, "provider_unavailable"),
    FaultCase("fault-529", 529, "provider_overloaded"),
    FaultCase("fault-drop", 502, "provider_unavailable"),
    FaultCase("fault-malformed", 502, "provider_unavailable"),
    FaultCase("fault-disconnect", 502, "provider_unavailable"),
)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
def test_a_fault_has_the_status_of_its_kind(
    wire: Wire, fault: FaultCase, stream: bool, client: OpenAI, nonce: str
) -> None:
    model = wire.fresh(2 * FAULTS.index(fault) + stream)
    with pytest.raises(openai.APIStatusError) as raised:
        client.responses.create(model=model, input=f"{fault.script} {nonce}", stream=stream)
    error = raised.value
    told = error.response.json()
    validate_error(error.status_code, told)
    assert (error.status_code, told["error"]["metadata"]["error_type"]) == (fault.status, fault.kind)
    assert error.response.headers.get("retry-after") == ("7" if fault.status == 429 else None)
    (attempt,) = told["error"]["metadata"]["attempts"]
    assert attempt["provider"] == wire.provider
    if fault.script[-3:].isdigit():
        assert attempt["status"] == int(fault.script[-3:])
        assert attempt["message"].startswith("scripted fault")


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
def test_a_stream_cut_in_the_middle_ends_as_failed(wire: Wire, client: OpenAI, nonce: str) -> None:
    sent: Json = {"model": wire.fresh(2 * len(FAULTS)), "input": f"cut {nonce}"}
    events = [event.to_dict() for event in client.responses.create(**sent, stream=True)]
    check_stream(events)
    assert any(event["type"] == "response.output_text.delta" for event in events)
    assert events[-1]["type"] == "response.failed"
