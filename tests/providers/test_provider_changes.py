"""One client, many providers: the same answer from all, a conversation across all, another where one fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import OpenAI

from tests.providers.aimock import Aimock
from tests.providers.cases import CASES, WEATHER, Ask, Case, Json, results_of
from tests.providers.fixtures import INPUT_TOKENS, RESULT, TEXT
from tests.providers.readings import READINGS
from tests.providers.wires import RELAY, WIRES

pytestmark = pytest.mark.law


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
        history += [*first.output, *results_of(first)]
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
