"""What is tried over each wire, what this mock cannot show and why, and what several files of tests look at."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pytest
from openai.types.responses import Response

from tests.providers.fixtures import CALLS, RESULT
from tests.providers.readings import READINGS
from tests.providers.wires import WIRES, Wire

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


# Tools


def called(answer: Answer) -> list[tuple[str, Json]]:
    """The calls of an answer, as (id, arguments)."""
    return [(call.call_id, json.loads(call.arguments)) for call in answer.items("function_call")]


def results_of(answer: Answer) -> list[Json]:
    """A result for each call of an answer."""
    calls = answer.items("function_call")
    return [{"type": "function_call_output", "call_id": call.call_id, "output": RESULT} for call in calls]


def check_loop(wire: Wire, body: Json, count: int) -> None:
    """Check that the calls went back as they came, each with its result."""
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
