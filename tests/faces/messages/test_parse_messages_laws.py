"""Laws of reading a Messages body: one meaning whatever its form, and never another error than one short 400."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.protocol.requests_strategy import JSON, TEXTS
from trunkline.errors import BadRequest
from trunkline.faces.messages.parse import parse
from trunkline.protocol.items import FunctionCallItem

pytestmark = pytest.mark.law

Json = Any
MAX_MESSAGE = 900
WORDS = TEXTS.filter(bool)


def _texts(text: str) -> st.SearchStrategy[tuple[Json, Json]]:
    """One content in its two forms."""
    return st.just((text, [{"type": "text", "text": text}]))


CONTENTS = WORDS.flatmap(_texts)


@st.composite
def twins(draw: st.DrawFn) -> tuple[Json, Json]:
    """A body whose texts are strings, and the same with blocks in their place."""
    bodies: tuple[Json, Json] = tuple({"model": "m", "max_tokens": 5, "messages": []} for _ in range(2))  # type: ignore[assignment]
    if draw(st.booleans()):
        system = draw(CONTENTS)
        for body, form in zip(bodies, system, strict=True):
            body["system"] = form
    for turn in range(draw(st.integers(1, 4))):
        user, said, result = draw(CONTENTS), draw(CONTENTS), draw(CONTENTS)
        has_call = draw(st.booleans())
        given_input = draw(st.dictionaries(TEXTS, JSON, max_size=3))
        call = {"type": "tool_use", "id": f"t{turn}", "name": "f", "input": given_input}
        for at, body in enumerate(bodies):
            body["messages"].append({"role": "user", "content": user[at]})
            if not has_call:
                body["messages"].append({"role": "assistant", "content": said[at]})
                continue
            answer = {"type": "tool_result", "tool_use_id": f"t{turn}", "content": result[at]}
            body["messages"].append({"role": "assistant", "content": [*said[1], call]})
            body["messages"].append({"role": "user", "content": [answer]})
    return bodies


@given(twins())
@settings(max_examples=150)
def test_a_text_is_the_same_in_a_block(bodies: tuple[Json, Json]) -> None:
    one, other = (parse(json.dumps(body).encode(), None, {}).request for body in bodies)
    assert replace(one, paths=other.paths) == other
    calls = [item for item in one.input if isinstance(item, FunctionCallItem)]
    inputs = [
        block["input"]
        for message in bodies[1]["messages"]
        for block in message["content"]
        if block["type"] == "tool_use"
    ]
    assert [json.loads(call.arguments) for call in calls] == inputs


PIECES = st.one_of(
    JSON,
    st.sampled_from(
        [
            "text",
            "tool_use",
            "user",
            "assistant",
            "system",
            "base64",
            {"type": "ephemeral"},
            {"type": "text", "text": "a"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {"type": "tool_use", "id": "t", "name": "f", "input": {}},
            {"type": "tool_result", "tool_use_id": "t"},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": 5}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "u"}]},
            {"type": "thinking", "thinking": "a", "signature": ""},
            {"type": "web_search_20250305"},
            {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "f"}},
            {"type": "compaction", "content": "c"},
            {"name": "f", "input_schema": {}},
        ]
    ),
)
OBJECTS = st.dictionaries(
    st.sampled_from(
        ["type", "text", "role", "content", "source", "id", "name", "input", "tool_use_id", "cache_control", "clear_at"]
    ),
    st.one_of(PIECES, st.lists(PIECES, max_size=2)),
    max_size=5,
)
MEMBERS = [
    "cache_control",
    "context_management",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "provider",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "thinking",
    "tool_choice",
    "tools",
    "anthropic_beta",
]


@given(
    st.lists(st.one_of(OBJECTS, PIECES), max_size=3),
    st.dictionaries(st.sampled_from(MEMBERS), st.one_of(OBJECTS, PIECES, st.lists(PIECES, max_size=2)), max_size=3),
    st.booleans(),
)
@settings(max_examples=300)
def test_whatever_comes_is_taken_or_gets_a_short_message(messages: list[Json], more: Json, are_blocks: bool) -> None:
    said: Json = [{"role": "assistant", "content": messages}] if are_blocks else messages
    body = {"model": "m", "max_tokens": 5, "messages": said, **more}
    try:
        parse(json.dumps(body).encode(), None, {b"anthropic-beta": b"a"})
    except BadRequest as error:
        message = error.message
    else:
        return
    assert len(message) < MAX_MESSAGE
    assert message.endswith(".")


@given(JSON)
def test_any_json_is_taken_or_refused_as_a_bad_request(value: Any) -> None:
    for body in (value, {"messages": value}, {"model": "m", "max_tokens": 1, "messages": [value], "system": value}):
        with pytest.raises(BadRequest):
            parse(json.dumps(body).encode(), None, {})


_TEXTS = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXTS.filter(bool)), min_size=1, max_size=6)


@given(_TEXTS, st.booleans())
def test_a_conversation_of_texts_is_read_in_one_step_as_block_by_block(
    said: list[tuple[str, str]], is_marked: bool
) -> None:
    """A member that nobody reads leads through the readers of everything else."""
    system = [{"type": "text", "text": "s", **({"cache_control": {"type": "ephemeral"}} if is_marked else {})}]
    quick = [{"role": role, "content": content} for role, content in said]
    closely = [{**message, "output_config": None} for message in quick]
    read = [
        parse(
            json.dumps({"model": "m", "max_tokens": 1, "system": system, "messages": each}).encode(), None, {}
        ).request
        for each in (quick, closely)
    ]
    assert read[0] == read[1]


@given(
    st.fixed_dictionaries({}, optional={"temperature": st.floats(0, 1), "stream": st.booleans(), "top_k": st.just(3)})
)
def test_the_usual_members_are_read_in_one_step_as_beside_others(members: dict[str, Any]) -> None:
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "a"}], **members}
    read = [parse(json.dumps(each).encode(), None, {}) for each in (body, {**body, "tools": []})]
    assert read[0] == read[1]
