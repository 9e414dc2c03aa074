"""What a client asks for at one door is the same request as at the other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faces.chat.chatting import HI, call, calling, parsed, result
from trunkline.faces.responses.parse import parse as parse_responses

SCHEMA = {"type": "object", "properties": {}}
PICTURE = "data:image/png;base64,iVBORw0KGgo="


@dataclass(frozen=True)
class Same:
    """The members of a body beside the greeting at either door."""

    id: str
    chat: dict[str, Any]
    responses: dict[str, Any]


SAME = [
    Same("a greeting", {}, {}),
    Same(
        "a conversation",
        {"messages": [{"role": "system", "content": "a"}, HI, {"role": "assistant", "content": "b"}, HI]},
        {"input": [{"role": "system", "content": "a"}, HI, {"role": "assistant", "content": "b"}, HI]},
    ),
    Same(
        "media",
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "a"},
                        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "high"}},
                        {"type": "file", "file": {"filename": "a.pdf", "file_data": "AA=="}},
                        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                        {"type": "video_url", "video_url": {"url": "https://example.org/a"}},
                    ],
                }
            ]
        },
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "a"},
                        {"type": "input_image", "image_url": PICTURE, "detail": "high"},
                        {"type": "input_file", "filename": "a.pdf", "file_data": "AA=="},
                        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                        {"type": "input_video", "video_url": "https://example.org/a"},
                    ],
                }
            ]
        },
    ),
    Same(
        "a thought, calls and their results",
        {
            "messages": [
                HI,
                calling(
                    call("a"),
                    {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}},
                    content="Let me see.",
                    reasoning_details=[
                        {"type": "reasoning.text", "text": "c", "signature": "S", "format": "anthropic-claude-v1"}
                    ],
                ),
                result("a"),
                result("b", "rainy"),
            ]
        },
        {
            "input": [
                HI,
                {
                    "type": "reasoning",
                    "summary": [],
                    "content": [{"type": "reasoning_text", "text": "c"}],
                    "signature": "S",
                    "format": "anthropic-claude-v1",
                },
                {"role": "assistant", "content": "Let me see."},
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                {"type": "custom_tool_call", "call_id": "b", "name": "g", "input": "x"},
                {"type": "function_call_output", "call_id": "a", "output": "sunny"},
                {"type": "custom_tool_call_output", "call_id": "b", "output": "rainy"},
            ]
        },
    ),
    Same(
        "tools, a choice, and a search",
        {
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}},
                {"type": "custom", "custom": {"name": "g"}},
            ],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "parallel_tool_calls": False,
            "web_search_options": {"search_context_size": "low"},
        },
        {
            "tools": [
                {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True},
                {"type": "custom", "name": "g"},
                {"type": "web_search", "search_context_size": "low"},
            ],
            "tool_choice": {"type": "function", "name": "f"},
            "parallel_tool_calls": False,
        },
    ),
    Same(
        "the form of the answer, and how much to think and say",
        {
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
            "verbosity": "low",
            "reasoning_effort": "high",
            "max_completion_tokens": 9,
            "stop": "x",
            "seed": 1,
        },
        {
            "text": {
                "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
                "verbosity": "low",
            },
            "reasoning": {"effort": "high"},
            "max_output_tokens": 9,
            "stop": "x",
            "seed": 1,
        },
    ),
    Same(
        "where it goes",
        {"models": ["a/b", "c/d"], "provider": {"max_price": {"prompt": 0.1}}, "plugins": [{"id": "web"}]},
        {"models": ["a/b", "c/d"], "provider": {"max_price": {"prompt": 0.1}}, "plugins": [{"id": "web"}]},
    ),
    Same("hundreds of messages, measured once", {"messages": [HI] * 301}, {"input": [HI] * 301}),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in SAME])
def test_either_door_is_the_same(case: Same) -> None:
    body = json.dumps({"input": [HI], **case.responses}).encode()
    assert parsed(**case.chat) == parse_responses(body)
