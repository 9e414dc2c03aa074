"""Laws of parsing: whatever comes is a request or one short 400, and what means the same is the same request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.faces.chat.chatting import HI, call, calling, parsed, result
from tests.protocol.requests_strategy import JSON, TEXTS
from trunkline.errors import BadRequest
from trunkline.faces.chat.form import ChatForm
from trunkline.faces.chat.parse import parse
from trunkline.protocol.request import Request

pytestmark = pytest.mark.law

MAX_MESSAGE = 1_000

BODY: dict[str, Any] = {
    "model": "a/b",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "https://example.org/a", "detail": "low"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "AA=="}},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            ],
        },
        calling(
            call("a"),
            {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}},
            content="b",
            reasoning="c",
            reasoning_details=[{"type": "reasoning.text", "text": "c", "signature": "S", "index": 0}],
            annotations=[{"type": "url_citation", "url_citation": {"url": "u", "title": "t"}}],
            images=[{"image_url": {"url": "https://example.org/a"}}],
        ),
        result("a"),
        result("b", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "x"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
        {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}},
        {"type": "openrouter:web_search", "parameters": {"allowed_domains": ["a.b"]}},
    ],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "web_search"}]}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    "reasoning": {"effort": "low", "exclude": True},
    "thinking": {"type": "enabled", "budget_tokens": 5},
    "web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": "x"}}},
    "stream_options": {"include_usage": True},
    "provider": {"order": ["a"], "max_price": {"prompt": 1}},
    "user": {"id": "x"},
    "logprobs": True,
    "max_tokens": 5,
    "stop": ["a"],
    "logit_bias": {"1": 1},
    "metadata": {"a": "b"},
}
"""A body with something of everything."""


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """Draw the body with any JSON in the place of one value in it, or without that."""
    body = json.loads(json.dumps(BODY))
    place = body
    while True:
        step = draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
        if isinstance(place[step], (dict, list)) and place[step] and draw(st.integers(0, 3)):
            place = place[step]
            continue
        if draw(st.booleans()):
            place[step] = draw(JSON)
        else:
            del place[step]
        return body


def check(body: Any) -> None:
    try:
        asked = parse(json.dumps(body).encode(), None, {})
    except BadRequest as error:
        message = error.message
    else:
        assert isinstance(asked.request, Request)
        assert isinstance(asked.form, ChatForm)
        return
    assert len(message) < MAX_MESSAGE
    assert message.endswith(".")


def test_the_body_with_everything_is_taken() -> None:
    check(BODY)
    assert parsed(**BODY).has_extensions


@given(spoiled())
def test_a_body_with_one_value_replaced_is_taken_or_gets_a_short_message(body: Any) -> None:
    check(body)


@given(JSON)
def test_any_json_is_taken_or_refused_as_a_bad_request(value: Any) -> None:
    roles = ("system", "user", "assistant", "tool", "function")
    for message in (value, *({"role": role, "content": value} for role in roles)):
        check({"messages": [HI, message]})
    for name in ("messages", "tools", "functions", "response_format", "thinking", "user", "web_search_options"):
        check({"messages": [HI], name: value})
    for name in ("tool_calls", "function_call", "reasoning_details", "annotations", "images"):
        check({"messages": [HI, {"role": "assistant", "content": "a", name: value}]})


@given(st.lists(st.tuples(st.sampled_from(("system", "developer", "user", "assistant")), TEXTS), min_size=1))
def test_a_text_is_the_same_in_a_part(said: list[tuple[str, str]]) -> None:
    turns = [("user", "Hi"), *said]
    texts = [{"role": role, "content": text} for role, text in turns]
    parts = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]
    assert parsed(messages=texts) == parsed(messages=parts)


@given(st.lists(st.tuples(TEXTS, st.text("abc", min_size=1, max_size=2), TEXTS), min_size=1, max_size=3))
def test_calls_are_the_same_however_little_or_much_is_said_of_them(turns: list[tuple[str, str, str]]) -> None:
    usual: list[Any] = [HI]
    full: list[Any] = [HI]
    for number, (text, name, answer) in enumerate(turns):
        made = call(str(number), name)
        usual += [calling(made, content=text), result(str(number), answer)]
        full += [
            calling({**made, "index": 0}, content=[{"type": "text", "text": text}], refusal=None, name=None),
            result(str(number), [{"type": "text", "text": answer}], name=name),
        ]
    assert parsed(messages=usual) == parsed(messages=full)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), TEXTS, min_size=1, max_size=3))
def test_functions_are_the_same_in_every_form(functions: dict[str, str]) -> None:
    bare = [{"name": name, "description": told, "parameters": {"type": "object"}} for name, told in functions.items()]
    chosen = bare[0]["name"]
    nested = parsed(
        tools=[{"type": "function", "function": each} for each in bare],
        tool_choice={"type": "function", "function": {"name": chosen}},
    )
    flat = parsed(
        tools=[{"type": "function", **each} for each in bare], tool_choice={"type": "function", "name": chosen}
    )
    older = parsed(functions=bare, function_call={"name": chosen})
    assert nested == flat
    assert replace(nested, parallel_tool_calls=False) == older


@given(TEXTS.filter(bool))
def test_a_thought_is_the_same_under_every_name(text: str) -> None:
    forms: list[dict[str, Any]] = [
        {"reasoning": text},
        {"reasoning_content": text},
        {"reasoning": text, "reasoning_content": text},
        {"reasoning_details": [{"type": "reasoning.text", "text": text}]},
        {"reasoning": text, "reasoning_details": [{"type": "reasoning.text", "text": text, "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": letter, "index": 0} for letter in text]},
    ]
    requests = [parsed(messages=[HI, {"role": "assistant", "content": "a", **form}]) for form in forms]
    assert all(request == requests[0] for request in requests)
