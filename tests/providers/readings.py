"""Where each dialect has the things that every request says: the tests' own reading of what the mock got.

Written from the vendors' references, not from the adapters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Json = Any


@dataclass(frozen=True)
class Reading:
    """How to find in a request body: the tools' names, the picture after the text of the first message, the schema of
    the answer, the limit of the answer, how thought is asked for, what of the first turn's thought comes back, the
    calls made so far as (id, name, arguments), and their results as (id, text).
    """

    tools: Callable[[Json], list[str]]
    image: Callable[[Json], str]
    schema: Callable[[Json], Json]
    limit: Callable[[Json], int]
    thinking: Callable[[Json], Json]
    thought: Callable[[Json], Json]
    calls: Callable[[Json], list[tuple[str, str, Json]]]
    results: Callable[[Json], list[tuple[str, str]]]


def _of_role(messages: Json, *roles: str) -> list[Json]:
    return [part for message in messages if message["role"] in roles for part in message.get("tool_calls", ())]


def _parts(messages: Json, kind: str, place: str = "content") -> list[Json]:
    """Parts of one kind: those of that `type`, or those that are an object with that one key."""
    parts = [part for message in messages for part in message[place] if isinstance(part, dict)]
    return [part.get(kind, part) for part in parts if kind in part or part.get("type") == kind]


def _chat_calls(body: Json) -> list[tuple[str, str, Json]]:
    calls = _of_role(body["messages"], "assistant")
    return [(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]


def _chat_results(body: Json) -> list[tuple[str, str]]:
    return [(message["tool_call_id"], message["content"]) for message in body["messages"] if message["role"] == "tool"]


def _function_names(body: Json) -> list[str]:
    return [tool["function"]["name"] for tool in body["tools"]]


def _image_url(body: Json) -> str:
    url: str = body["messages"][0]["content"][1]["image_url"]["url"]
    return url.removeprefix("data:image/png;base64,")


def _chat_schema(body: Json) -> Json:
    """The schema of the answer, or of the one tool that stands for it, or told in words on a line of its own."""
    if "tools" in body:
        (tool,) = body["tools"]
        return tool["function"]["parameters"]
    form = body["response_format"]
    if form["type"] == "json_object":
        return json.loads(body["messages"][0]["content"].splitlines()[-1])
    return form["json_schema"]["schema"]


def _responses_items(body: Json, kind: str) -> list[Json]:
    return [item for item in body["input"] if item["type"] == kind]


_CHAT = Reading(
    tools=_function_names,
    image=_image_url,
    schema=_chat_schema,
    limit=lambda body: body.get("max_completion_tokens") or body["max_tokens"],
    thinking=lambda body: body["reasoning_effort"],
    thought=lambda body: body["messages"][1].get("reasoning_content") or body["messages"][1].get("reasoning"),
    calls=_chat_calls,
    results=_chat_results,
)

READINGS: Mapping[str, Reading] = {
    "chat": _CHAT,
    "mistral": Reading(
        tools=_function_names,
        image=_image_url,
        schema=_chat_schema,
        limit=lambda body: body["max_tokens"],
        thinking=lambda body: body["reasoning_effort"],
        thought=lambda body: _parts(body["messages"][1:2], "thinking"),
        calls=_chat_calls,
        results=_chat_results,
    ),
    "cohere": Reading(
        tools=_function_names,
        image=_image_url,
        schema=lambda body: body["response_format"]["json_schema"],
        limit=lambda body: body["max_tokens"],
        thinking=lambda body: body["thinking"]["token_budget"],
        thought=lambda body: None,
        calls=_chat_calls,
        results=_chat_results,
    ),
    "responses": Reading(
        tools=lambda body: [tool["name"] for tool in body["tools"]],
        image=lambda body: body["input"][0]["content"][1]["image_url"].removeprefix("data:image/png;base64,"),
        schema=lambda body: body["text"]["format"]["schema"],
        limit=lambda body: body["max_output_tokens"],
        thinking=lambda body: body["reasoning"]["effort"],
        thought=lambda body: _responses_items(body, "reasoning"),
        calls=lambda body: [
            (item["call_id"], item["name"], json.loads(item["arguments"]))
            for item in _responses_items(body, "function_call")
        ],
        results=lambda body: [
            (item["call_id"], item["output"]) for item in _responses_items(body, "function_call_output")
        ],
    ),
    "messages": Reading(
        tools=lambda body: [tool["name"] for tool in body["tools"]],
        image=lambda body: body["messages"][0]["content"][1]["source"]["data"],
        schema=lambda body: body["output_config"]["format"]["schema"],
        limit=lambda body: body["max_tokens"],
        thinking=lambda body: body["thinking"]["budget_tokens"],
        thought=lambda body: [part for part in body["messages"][1]["content"] if "thinking" in part["type"]],
        calls=lambda body: [(part["id"], part["name"], part["input"]) for part in _parts(body["messages"], "tool_use")],
        results=lambda body: [
            (part["tool_use_id"], part["content"]) for part in _parts(body["messages"], "tool_result")
        ],
    ),
    "gemini": Reading(
        tools=lambda body: [tool["name"] for tool in body["tools"][0]["functionDeclarations"]],
        image=lambda body: body["contents"][0]["parts"][1]["inlineData"]["data"],
        schema=lambda body: body["generationConfig"]["responseJsonSchema"],
        limit=lambda body: body["generationConfig"]["maxOutputTokens"],
        thinking=lambda body: body["generationConfig"]["thinkingConfig"]["thinkingBudget"],
        thought=lambda body: [part for part in body["contents"][1]["parts"] if "thought" in part],
        calls=lambda body: [
            (part["id"], part["name"], part["args"]) for part in _parts(body["contents"], "functionCall", "parts")
        ],
        results=lambda body: [
            (part["id"], json.dumps(part["response"])) for part in _parts(body["contents"], "functionResponse", "parts")
        ],
    ),
    "converse": Reading(
        tools=lambda body: [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]],
        image=lambda body: body["messages"][0]["content"][1]["image"]["source"]["bytes"],
        schema=lambda body: json.loads(body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]),
        limit=lambda body: body["inferenceConfig"]["maxTokens"],
        thinking=lambda body: body["additionalModelRequestFields"]["thinking"]["budget_tokens"],
        thought=lambda body: _parts(body["messages"][1:2], "reasoningContent"),
        calls=lambda body: [
            (part["toolUseId"], part["name"], part["input"]) for part in _parts(body["messages"], "toolUse")
        ],
        results=lambda body: [
            (part["toolUseId"], part["content"][0]["text"]) for part in _parts(body["messages"], "toolResult")
        ],
    ),
}
