"""What a response echoes: real defaults where the client said nothing, else what it said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.document import NOTHING_USED, validate_response
from tests.fold import fold
from tests.stream.deltas_strategy import assemble
from trunkline.faces.responses.echo import echo
from trunkline.protocol.items import Json
from trunkline.protocol.render import render_response
from trunkline.protocol.request import ReasoningConfig, Request
from trunkline.protocol.tools import (
    FunctionChoice,
    FunctionTool,
    JsonSchemaFormat,
    SearchTool,
    TextConfig,
)
from trunkline.stream.deltas import Stopped


def told(request: Request) -> dict[str, Json]:
    body: dict[str, Any] = msgspec.json.decode(render_response(echo(request, "resp_1", 1_700_000_000.9, "acme/large")))
    validate_response(body)
    return body


def test_defaults_are_real_values() -> None:
    assert told(Request(input=())) == {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "completed_at": None,
        "status": "in_progress",
        "model": "acme/large",
        "usage": NOTHING_USED,
        "output": [],
        "output_text": "",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "text": {"format": {"type": "text"}},
        "reasoning": None,
        "temperature": 1,
        "top_p": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_logprobs": 0,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "truncation": "disabled",
        "service_tier": "default",
        "prompt_cache_key": None,
        "safety_identifier": None,
        "user": None,
        "previous_response_id": None,
        "prompt": None,
        "background": False,
        "store": False,
    }


SAID = Request(
    input=(),
    instructions="Be brief.",
    metadata={"a": "b"},
    tools=(FunctionTool("look"), SearchTool("web_search")),
    tool_choice=FunctionChoice("look"),
    parallel_tool_calls=False,
    text=TextConfig(JsonSchemaFormat("answer", {"type": "object"}), "low"),
    reasoning=ReasoningConfig(effort="low", summary="concise"),
    temperature=0.0,
    top_p=0.5,
    presence_penalty=-1.0,
    frequency_penalty=2.0,
    top_logprobs=3,
    max_output_tokens=100,
    max_tool_calls=2,
    truncation="auto",
    prompt_cache_key="cache",
    safety_identifier="safe",
    user="me",
)


def test_what_the_client_said_is_echoed() -> None:
    body = told(SAID)
    assert {key: body[key] for key in body if body[key] != told(Request(input=()))[key]} == {
        "instructions": "Be brief.",
        "metadata": {"a": "b"},
        "tools": [
            {"type": "function", "name": "look", "description": None, "parameters": None, "strict": None},
            {"type": "web_search"},
        ],
        "tool_choice": {"type": "function", "name": "look"},
        "parallel_tool_calls": False,
        "text": {
            "format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}},
            "verbosity": "low",
        },
        "reasoning": {"effort": "low", "summary": "concise"},
        "temperature": 0,
        "top_p": 0.5,
        "presence_penalty": -1,
        "frequency_penalty": 2,
        "top_logprobs": 3,
        "max_output_tokens": 100,
        "max_tool_calls": 2,
        "truncation": "auto",
        "prompt_cache_key": "cache",
        "safety_identifier": "safe",
        "user": "me",
    }


@pytest.mark.parametrize(
    ("said", "echoed"),
    [
        (ReasoningConfig(), None),
        (ReasoningConfig(max_tokens=100), None),
        (ReasoningConfig(effort="high"), {"effort": "high"}),
        (ReasoningConfig(summary="auto"), {"effort": None, "summary": "auto"}),
    ],
)
def test_reasoning_has_words_for_effort_and_summary_only(said: ReasoningConfig, echoed: dict[str, str] | None) -> None:
    assert told(Request(input=(), reasoning=said))["reasoning"] == echoed


def test_the_echo_is_in_the_last_response_too() -> None:
    response = fold(assemble(Stopped("stop"), request=SAID))
    assert (response.instructions, response.temperature, response.tools) == ("Be brief.", 0.0, SAID.tools)
