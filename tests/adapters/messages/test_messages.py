"""The Messages adapter: what is asked, checked against the types of Anthropic's own library, and what is heard."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from pydantic import TypeAdapter

from tests.adapters.spoken import CLAUDE, Answer, call, joined, message, output, said, thought
from trunkline.adapters.contract import Decoder
from trunkline.adapters.messages.pauses import MAX_PAUSES
from trunkline.adapters.messages.request import ADAPTER
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks
from trunkline.errors import Unprocessable
from trunkline.faces.responses.parse import parse
from trunkline.protocol.items import FileCitation, Found, UrlCitation
from trunkline.protocol.request import Request
from trunkline.stream.deltas import (
    Arguments,
    Citation,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Reasoning,
    ReasoningSeal,
    Refusal,
    Search,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.wire import Fault, UpstreamRequest, WireMessage

Json = dict[str, Any]

ADAPTIVE = msgspec.structs.replace(CLAUDE, thinking_style="adaptive")
NO_SCHEMAS = msgspec.structs.replace(CLAUDE, structured_output="none")

PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQ="
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
WEATHER_SENT = {
    "name": "weather",
    "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
SCHEMA = {
    "type": "json_schema",
    "name": "kite",
    "schema": {"type": "object", "properties": {"length": {"type": "number", "minimum": 1}}},
}


def endpoint(quirks: Quirks = CLAUDE, **fields: Any) -> Endpoint:
    """An endpoint of Claude's; it is asked to cache only with a key, for what else is marked is not shown here."""
    given = {"upstream_model": "claude-x", "base_url": "https://claude.example/v1", **fields}
    model, provider = Model(slug="anthropic/claude-x"), Provider(slug="anthropic", name="Anthropic")
    return Endpoint(model=model, provider=provider, dialect="messages", quirks=quirks, prompt_caching="on_key", **given)


HOME = endpoint().id
HIDDEN = ReasoningSeal(1, "b64==", format="anthropic-claude-v1", endpoint_id=HOME)


def request(**body: Any) -> Request:
    return parse(msgspec.json.encode({"model": "anthropic/claude-x", "input": "Weather in Oslo?", **body}))


def encode(asked: Request, at: Endpoint, end_user: str | None = None) -> tuple[Json, UpstreamRequest]:
    sent = ADAPTER.encode(asked, at, end_user)
    return msgspec.json.decode(sent.body), sent


SIGNED = thought(content=[{"type": "reasoning_text", "text": "Need  the tool.\n"}], signature="EqQB+/=")
SIGNED_SENT = {"type": "thinking", "thinking": "Need  the tool.\n", "signature": "EqQB+/="}
CALL_SENT = {"type": "tool_use", "id": "toolu_7", "name": "weather", "input": {"city": "Oslo"}}
RESULT_SENT = {"type": "tool_result", "tool_use_id": "toolu_7", "content": "4 C, rain"}
QUESTION = {"role": "user", "content": [{"type": "text", "text": "Weather in Oslo?"}]}


class Case(Struct, frozen=True):
    """`sent` holds the fields that matter; a value of None says that the field must be absent."""

    id: str
    asked: Json
    sent: Json
    quirks: Quirks = CLAUDE
    dropped: tuple[str, ...] = ()
    fields: Json = {}


CASES = [
    Case(
        "a question alone",
        {},
        {
            "model": "claude-x",
            "max_tokens": 4096,
            "messages": [QUESTION],
            "system": None,
            "tools": None,
            "stream": None,
        },
    ),
    Case("the catalog's limit is the default", {}, {"max_tokens": 64000}, fields={"max_output_tokens": 64000}),
    Case("the client's limit wins", {"max_output_tokens": 9}, {"max_tokens": 9}, fields={"max_output_tokens": 64000}),
    Case("a stream", {"stream": True}, {"stream": True}),
    Case(
        "leading instructions take the system slot, later ones become marked user text",
        {
            "instructions": "Be brief.",
            "input": [message("developer", "Be kind."), message("user", "Hi"), message("system", "Now in verse.")],
        },
        {
            "system": "Be brief.\n\nBe kind.",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Hi"},
                        {"type": "text", "text": "[System note]\nNow in verse."},
                    ],
                }
            ],
        },
    ),
    Case(
        "instructions alone become the question",
        {"input": [message("system", "Say hello.")]},
        {"system": None, "messages": [{"role": "user", "content": [{"type": "text", "text": "Say hello."}]}]},
    ),
    Case(
        "a conversation that the assistant begins gets a user turn before it",
        {"input": [said("Hello!  "), message("user", "Hi")]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "(The conversation begins.)"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]},
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            ]
        },
    ),
    Case(
        "pictures by link and by data",
        {
            "input": [
                message(
                    "user",
                    {"type": "input_image", "image_url": "https://pictures.example/a.png"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                )
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "source": {"type": "url", "url": "https://pictures.example/a.png"}},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    ],
                }
            ]
        },
    ),
    Case(
        "documents: a PDF by data and by link, a text, a picture that came as a file",
        {
            "input": [
                message(
                    "user",
                    {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
                    {"type": "input_file", "file_url": "https://files.example/b.pdf"},
                    {"type": "input_file", "filename": "c.txt", "file_data": "data:text/plain;base64,R3LDvMOfZQ=="},
                    {"type": "input_file", "filename": "d.png", "file_data": PNG},
                )
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                            "title": "a.pdf",
                        },
                        {"type": "document", "source": {"type": "url", "url": "https://files.example/b.pdf"}},
                        {
                            "type": "document",
                            "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"},
                            "title": "c.txt",
                        },
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    ],
                }
            ]
        },
    ),
    Case(
        "a thought goes back byte for byte before its call, a redacted one as what it was",
        {
            "input": [
                message("user", "Weather in Oslo?"),
                SIGNED,
                thought(encrypted_content="b64=="),
                call("toolu_7"),
                output("toolu_7"),
            ],
            "tools": [WEATHER],
        },
        {
            "messages": [
                QUESTION,
                {
                    "role": "assistant",
                    "content": [SIGNED_SENT, {"type": "redacted_thinking", "data": "b64=="}, CALL_SENT],
                },
                {"role": "user", "content": [RESULT_SENT]},
            ],
            "tools": [WEATHER_SENT],
        },
    ),
    Case(
        "a thought issued elsewhere stays away",
        {
            "input": [
                message("user", "Weather in Oslo?"),
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g", "format": "unknown"},
                said("Rain."),
                message("user", "Weather in Oslo?"),
            ]
        },
        {"messages": [QUESTION, {"role": "assistant", "content": [{"type": "text", "text": "Rain."}]}, QUESTION]},
        dropped=("input.reasoning",),
    ),
    Case(
        "an unsigned thought goes back to a compatible host that wants it",
        {
            "input": [
                message("user", "Weather in Oslo?"),
                thought(format="unknown", content=[{"type": "reasoning_text", "text": "Hm."}]),
                said("Rain."),
                message("user", "Weather in Oslo?"),
            ]
        },
        {
            "messages": [
                QUESTION,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Hm.", "signature": ""},
                        {"type": "text", "text": "Rain."},
                    ],
                },
                QUESTION,
            ]
        },
        Quirks(reasoning_replay="reasoning_content"),
    ),
    Case(
        "results of one round stand together, before what the user adds",
        {
            "input": [
                message("user", "Weather in Oslo?"),
                call("toolu_7"),
                call("toolu_8", "oops"),
                output("toolu_8"),
                output("toolu_7"),
                message("user", "Quick!"),
            ],
            "tools": [WEATHER],
        },
        {
            "messages": [
                QUESTION,
                {
                    "role": "assistant",
                    "content": [CALL_SENT, {**CALL_SENT, "id": "toolu_8", "input": {"_raw": "oops"}}],
                },
                {
                    "role": "user",
                    "content": [
                        {**RESULT_SENT, "tool_use_id": "toolu_8"},
                        RESULT_SENT,
                        {"type": "text", "text": "Quick!"},
                    ],
                },
            ]
        },
    ),
    Case(
        "a history of calls without tools still defines them",
        {"input": [message("user", "Weather in Oslo?"), call("toolu_7"), output("toolu_7")]},
        {
            "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}],
            "tool_choice": {"type": "none"},
        },
    ),
    Case("tool choice auto", {"tools": [WEATHER], "tool_choice": "auto"}, {"tool_choice": {"type": "auto"}}),
    Case("tool choice required", {"tools": [WEATHER], "tool_choice": "required"}, {"tool_choice": {"type": "any"}}),
    Case("tool choice none", {"tools": [WEATHER], "tool_choice": "none"}, {"tool_choice": {"type": "none"}}),
    Case(
        "tool choice by name, one call at a time",
        {
            "tools": [WEATHER],
            "tool_choice": {"type": "function", "name": "weather"},
            "parallel_tool_calls": False,
        },
        {"tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}},
    ),
    Case(
        "one call at a time without a choice",
        {"tools": [WEATHER], "parallel_tool_calls": False},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    Case(
        "a model that thinks is asked for the call in words",
        {"tools": [WEATHER], "tool_choice": "required", "reasoning": {"effort": "high"}},
        {"tool_choice": {"type": "auto"}, "system": "Answer by calling one of the tools."},
        ADAPTIVE,
        ("tool_choice",),
    ),
    Case(
        "a host without named choice gets only that tool",
        {
            "tools": [WEATHER, {**WEATHER, "name": "time"}],
            "tool_choice": {"type": "function", "name": "weather"},
        },
        {"tools": [WEATHER_SENT], "tool_choice": {"type": "any"}},
        msgspec.structs.replace(CLAUDE, tool_choices=frozenset({"auto", "required"})),
    ),
    Case(
        "a host without none gets no tools",
        {"tools": [WEATHER], "tool_choice": "none"},
        {"tools": None, "tool_choice": None},
        msgspec.structs.replace(CLAUDE, tool_choices=frozenset({"auto"})),
    ),
    Case(
        "a strict tool is narrowed to what strict mode takes",
        {
            "tools": [
                {
                    **WEATHER,
                    "strict": True,
                    "parameters": {"type": "object", "properties": {"city": {"type": "string", "minLength": 1}}},
                }
            ]
        },
        {
            "tools": [
                {
                    "name": "weather",
                    "description": "Tells the weather.",
                    "input_schema": {
                        "type": "object",
                        "properties": {"city": {"type": "string"}},
                        "additionalProperties": False,
                        "required": ["city"],
                    },
                    "strict": True,
                }
            ]
        },
        dropped=("tools.strict", "tools.parameters"),
    ),
    Case(
        "a schema where the endpoint has schemas",
        {"text": {"format": SCHEMA}},
        {
            "output_config": {
                "format": {
                    "type": "json_schema",
                    "schema": {
                        "type": "object",
                        "properties": {"length": {"type": "number"}},
                        "additionalProperties": False,
                    },
                }
            },
            "tools": None,
        },
        dropped=("text.format.schema",),
    ),
    Case(
        "a schema elsewhere is a tool that must be called",
        {"text": {"format": SCHEMA}},
        {
            "output_config": None,
            "tools": [{"name": "kite", "description": "Give the final answer.", "input_schema": SCHEMA["schema"]}],
            "tool_choice": {"type": "tool", "name": "kite"},
        },
        NO_SCHEMAS,
        ("text.format",),
    ),
    Case(
        "a schema beside other tools lets the model call them first",
        {"text": {"format": {**SCHEMA, "name": "weather"}}, "tools": [WEATHER]},
        {"tool_choice": {"type": "any"}},
        NO_SCHEMAS,
        ("text.format",),
    ),
    Case(
        "a schema while thinking is asked for in words",
        {"text": {"format": SCHEMA}, "reasoning": {"effort": "low"}},
        {"tool_choice": {"type": "auto"}, "system": "Give your final answer only by calling the tool `kite`."},
        NO_SCHEMAS,
        ("text.format",),
    ),
    Case(
        "any JSON object is asked for in words",
        {"text": {"format": {"type": "json_object"}}},
        {"system": "Answer with one JSON object and nothing else.", "output_config": None},
        dropped=("text.format",),
    ),
    Case(
        "effort none turns thinking off and leaves sampling alone",
        {"reasoning": {"effort": "none"}, "temperature": 0.5},
        {"thinking": {"type": "disabled"}, "temperature": 0.5},
        ADAPTIVE,
    ),
    Case(
        "effort none where thinking cannot be turned off is the least effort",
        {"reasoning": {"effort": "none"}},
        {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        msgspec.structs.replace(ADAPTIVE, can_stop_thinking=False),
        ("reasoning.effort",),
    ),
    Case(
        "effort high on an adaptive model takes sampling away",
        {"reasoning": {"effort": "high"}, "temperature": 0.5, "top_p": 0.9, "top_k": 5},
        {
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": "high"},
            "temperature": None,
            "top_p": None,
            "top_k": None,
        },
        ADAPTIVE,
        ("temperature", "top_p", "top_k"),
    ),
    Case(
        "an effort that the model does not know becomes the next lower one",
        {"reasoning": {"effort": "xhigh"}},
        {"output_config": {"effort": "high"}},
        ADAPTIVE,
        ("reasoning.effort",),
    ),
    Case(
        "an effort that the endpoint lists is sent",
        {"reasoning": {"effort": "xhigh"}},
        {"output_config": {"effort": "xhigh"}},
        ADAPTIVE,
        fields={"reasoning_efforts": ("low", "high", "xhigh", "max")},
    ),
    Case(
        "effort high as a budget",
        {"reasoning": {"effort": "high"}, "max_output_tokens": 10000},
        {"thinking": {"type": "enabled", "budget_tokens": 8000}, "max_tokens": 10000},
    ),
    Case(
        "a small budget is raised to the least there is",
        {"reasoning": {"max_tokens": 10}, "max_output_tokens": 2000},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000},
        dropped=("reasoning.max_tokens",),
    ),
    Case(
        "a budget stays below the limit",
        {"reasoning": {"max_tokens": 50000}, "max_output_tokens": 2000},
        {"thinking": {"type": "enabled", "budget_tokens": 1900}, "max_tokens": 2000},
        dropped=("reasoning.max_tokens",),
    ),
    Case(
        "a limit too small for any budget means no thinking",
        {"reasoning": {"effort": "high"}, "max_output_tokens": 500},
        {"thinking": {"type": "disabled"}, "max_tokens": 500},
        dropped=("reasoning",),
    ),
    Case(
        "a budget with no limit known leaves room for the answer",
        {"reasoning": {"max_tokens": 20000}},
        {"thinking": {"type": "enabled", "budget_tokens": 20000}, "max_tokens": 24096},
    ),
    Case(
        "thinking cannot begin in the middle of a turn that began without it",
        {
            "input": [message("user", "Weather in Oslo?"), call("toolu_7"), output("toolu_7")],
            "tools": [WEATHER],
            "reasoning": {"effort": "high"},
        },
        {"thinking": {"type": "disabled"}},
        dropped=("reasoning",),
    ),
    Case(
        "thinking goes on in a turn that began with it",
        {
            "input": [message("user", "Weather in Oslo?"), SIGNED, call("toolu_7"), output("toolu_7")],
            "tools": [WEATHER],
            "reasoning": {"max_tokens": 2000},
        },
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    ),
    Case(
        "a model that cannot think is not asked to",
        {"reasoning": {"effort": "high"}},
        {"thinking": None},
        dropped=("reasoning",),
        fields={"supports": frozenset({"tools"})},
    ),
    Case(
        "what has no place is named",
        {
            "presence_penalty": 1,
            "frequency_penalty": 1,
            "top_logprobs": 3,
            "temperature": 1.5,
            "text": {"verbosity": "low"},
        },
        {"temperature": 1},
        dropped=("temperature", "presence_penalty", "frequency_penalty", "top_logprobs", "text.verbosity"),
    ),
    Case(
        "temperature and top_p together where the model takes one",
        {"temperature": 0.5, "top_p": 0.9, "top_k": 3},
        {"temperature": 0.5, "top_p": None, "top_k": 3},
        msgspec.structs.replace(CLAUDE, temperature_excludes_top_p=True),
        ("top_p",),
    ),
    Case(
        "a model that refuses sampling",
        {"temperature": 0.5},
        {"temperature": None},
        msgspec.structs.replace(CLAUDE, drops=frozenset({"temperature"})),
        ("temperature",),
    ),
    Case(
        "the web search tool",
        {
            "tools": [
                {
                    "type": "web_search",
                    "filters": {"allowed_domains": ["kites.example"]},
                    "search_context_size": "high",
                    "user_location": {"type": "approximate", "city": "Oslo", "country": "NO"},
                },
                WEATHER,
            ],
            "max_tool_calls": 4,
        },
        {
            "tools": [
                WEATHER_SENT,
                {
                    "type": "web_search_20250305",
                    "name": "web_search",
                    "max_uses": 4,
                    "allowed_domains": ["kites.example"],
                    "user_location": {"type": "approximate", "city": "Oslo", "country": "NO"},
                },
            ]
        },
    ),
    Case(
        "a forced search",
        {"tools": [{"type": "web_search_preview"}], "tool_choice": {"type": "web_search_preview"}},
        {
            "tools": [{"type": "web_search_20250305", "name": "web_search"}],
            "tool_choice": {"type": "tool", "name": "web_search"},
        },
    ),
    Case(
        "a cache key marks tools, instructions and the last of what the user said",
        {"instructions": "Be brief.", "tools": [WEATHER], "prompt_cache_key": "k"},
        {
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "tools": [{**WEATHER_SENT, "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "Weather in Oslo?", "cache_control": {"type": "ephemeral"}}],
                }
            ],
        },
    ),
    Case(
        "a host without cache marks",
        {"prompt_cache_key": "k"},
        {"messages": [QUESTION]},
        msgspec.structs.replace(CLAUDE, drops=frozenset({"prompt_cache_key"})),
        ("prompt_cache_key",),
    ),
]


def accepted(value: Any) -> Any:
    """Read all that pydantic left to be validated later."""
    if isinstance(value, dict):
        return {name: accepted(part) for name, part in value.items()}
    if isinstance(value, list | Iterator):
        return [accepted(part) for part in value]
    return list(value) if type(value).__name__ == "ValidatorIterator" else value


@cache
def params() -> TypeAdapter[Any]:
    """What the vendor's library takes; imported here since that takes seconds, in each process that collects tests."""
    from anthropic.types.message_create_params import MessageCreateParams

    return TypeAdapter(MessageCreateParams)


SAMPLING = frozenset({"temperature", "top_p", "top_k"})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_encodes(case: Case) -> None:
    body, sent = encode(request(**case.asked), endpoint(case.quirks, **case.fields))
    assert {name: body.get(name) for name in case.sent} == case.sent
    assert sent.dropped == case.dropped
    # The library's types leave out what they do not know, so equality says that they know all of it. Sampling is no
    # longer among them, as the newest models refuse it, but the API still takes it for the others.
    known = {name: value for name, value in body.items() if name not in SAMPLING}
    assert accepted(params().validate_python(known)) == known


def test_sends_where_and_how_anthropic_wants_it() -> None:
    body, sent = encode(request(stream=True), endpoint(), "user-hash")
    assert (sent.method, sent.url) == ("POST", "https://claude.example/v1/messages")
    assert sent.headers == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "anthropic-version": "2023-06-01",
    }
    assert body["metadata"] == {"user_id": "user-hash"}


VERTEX = msgspec.structs.replace(
    CLAUDE,
    path="/{model}:rawPredict",
    stream_path="/{model}:streamRawPredict",
    model_in_body=False,
    extra_body={"anthropic_version": "vertex-2023-10-16"},
)


@pytest.mark.parametrize(("stream", "verb"), [(False, "rawPredict"), (True, "streamRawPredict")])
def test_vertex_has_the_model_in_the_path_and_the_version_in_the_body(stream: bool, verb: str) -> None:
    body, sent = encode(request(stream=stream), endpoint(VERTEX, upstream_model="claude-x@20260101"))
    assert sent.url == f"https://claude.example/v1/claude-x@20260101:{verb}"
    assert "model" not in body
    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert "anthropic-version" not in sent.headers


def test_a_beta_is_a_header_of_the_row() -> None:
    quirks = msgspec.structs.replace(CLAUDE, extra_headers={"anthropic-beta": "context-1m"})
    assert encode(request(), endpoint(quirks))[1].headers["anthropic-beta"] == "context-1m"


def test_an_id_that_the_dialect_refuses_is_the_same_in_call_and_result() -> None:
    odd = "call:" + "ü" * 80
    body, _ = encode(request(input=[message("user", "Hi"), call(odd), output(odd)], tools=[WEATHER]), endpoint())
    used = body["messages"][1]["content"][0]["id"]
    assert body["messages"][2]["content"][0]["tool_use_id"] == used
    assert used.isascii()
    assert len(used) == 32


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "input_video", "video_url": "https://videos.example/a.mp4"},
        {"type": "input_image", "image_url": "data:image/tiff;base64,AAAA"},
        {"type": "input_file", "file_data": "data:application/zip;base64,AAAA"},
    ],
    ids=["audio", "video", "a picture of a rare type", "an archive"],
)
def test_what_the_dialect_has_no_words_for_is_refused(part: Json) -> None:
    with pytest.raises(Unprocessable):
        encode(request(input=[message("user", part)]), endpoint())


# Answers


def event(kind: str, **fields: Any) -> WireMessage:
    return WireMessage(kind, msgspec.json.encode({"type": kind, **fields}))


def opened(index: int, **block: Any) -> WireMessage:
    return event("content_block_start", index=index, content_block=block)


def piece(index: int, kind: str, **fields: Any) -> WireMessage:
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def closed(index: int) -> WireMessage:
    return event("content_block_stop", index=index)


def ended(reason: str | None, tokens: int = 9, **details: Any) -> list[WireMessage]:
    delta = {"stop_reason": reason, "stop_sequence": None, **details}
    return [event("message_delta", delta=delta, usage={"output_tokens": tokens}), event("message_stop")]


USAGE = {"input_tokens": 12, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 5, "output_tokens": 1}
STARTED = event("message_start", message={"id": "msg_u", "content": [], "stop_reason": None, "usage": USAGE})
COUNTED = [
    Spent(
        Usage(input_tokens=917, cache_read_tokens=900, cache_write_tokens=5, output_tokens=1, estimated=True),
    ),
]
SPENT = Spent(Usage(input_tokens=917, cache_read_tokens=900, cache_write_tokens=5, output_tokens=9))


def decoder(asked: Request | None = None, quirks: Quirks = CLAUDE) -> Decoder:
    return ADAPTER.decoder(asked or request(), endpoint(quirks))


def hear(heard: list[WireMessage], asked: Request | None = None, quirks: Quirks = CLAUDE) -> list[Delta]:
    reader = decoder(asked, quirks)
    return [delta for part in heard for delta in reader.message(part)] + list(reader.end())


def hear_body(body: Json, asked: Request | None = None, quirks: Quirks = CLAUDE) -> list[Delta]:
    reader = decoder(asked, quirks)
    return [*reader.whole(msgspec.json.encode(body)), *reader.end()]


def body(*content: Json, reason: str = "end_turn", **fields: Any) -> Json:
    return {
        "id": "msg_u",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {**USAGE, "output_tokens": 9},
        **fields,
    }


PAGE = {
    "type": "web_search_result_location",
    "url": "https://kites.example",
    "title": "Kites",
    "cited_text": "…",
    "encrypted_index": "E",
}
QUERY = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search"}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [
        {
            "type": "web_search_result",
            "url": "https://kites.example",
            "title": "Kites",
            "page_age": "2 days ago",
            "encrypted_content": "X",
        }
    ],
}

ANSWERS = [
    Answer(
        "text in pieces, with pings between",
        [
            STARTED,
            event("ping"),
            opened(0, type="text", text=""),
            piece(0, "text_delta", text="Rain, "),
            event("ping"),
            piece(0, "text_delta", text="4 °C 🌧"),
            closed(0),
            *ended("end_turn"),
        ],
        body({"type": "text", "text": "Rain, 4 °C 🌧"}),
        [Text(0, "Rain, 4 °C 🌧"), SPENT, Stopped("stop")],
    ),
    Answer(
        "a stop text, which is named",
        [
            STARTED,
            opened(0, type="text", text=""),
            piece(0, "text_delta", text="Rain"),
            closed(0),
            *ended("stop_sequence", stop_sequence="END"),
        ],
        body({"type": "text", "text": "Rain"}, reason="stop_sequence", stop_sequence="END"),
        [Text(0, "Rain"), SPENT, Stopped("stop", "END")],
    ),
    Answer(
        "a stop text, which is not named",
        [
            STARTED,
            opened(0, type="text", text=""),
            piece(0, "text_delta", text="Rain"),
            closed(0),
            *ended("stop_sequence"),
        ],
        body({"type": "text", "text": "Rain"}, reason="stop_sequence", stop_sequence=None),
        [Text(0, "Rain"), SPENT, Stopped("stop")],
    ),
    Answer(
        "a signed thought, a redacted one, then text",
        [
            STARTED,
            opened(0, type="thinking", thinking="", signature=""),
            piece(0, "thinking_delta", thinking="Hm"),
            piece(0, "thinking_delta", thinking=" m."),
            piece(0, "signature_delta", signature="EqQB+/="),
            closed(0),
            opened(1, type="redacted_thinking", data="b64=="),
            closed(1),
            opened(2, type="text", text=""),
            piece(2, "text_delta", text="Rain."),
            closed(2),
            *ended("end_turn"),
        ],
        body(
            {"type": "thinking", "thinking": "Hm m.", "signature": "EqQB+/="},
            {"type": "redacted_thinking", "data": "b64=="},
            {"type": "text", "text": "Rain."},
        ),
        [
            Reasoning(0, "Hm m."),
            ReasoningSeal(0, signature="EqQB+/=", format="anthropic-claude-v1", endpoint_id=HOME),
            Closed(0),
            HIDDEN,
            Closed(1),
            Text(2, "Rain."),
            SPENT,
            Stopped("stop"),
        ],
    ),
    Answer(
        "text, then two calls, one without arguments",
        [
            STARTED,
            opened(0, type="text", text=""),
            piece(0, "text_delta", text="Let me see."),
            closed(0),
            opened(1, type="tool_use", id="toolu_1", name="weather", input={}),
            piece(1, "input_json_delta", partial_json=""),
            piece(1, "input_json_delta", partial_json='{"city":'),
            piece(1, "input_json_delta", partial_json='"Oslo","n":1.50}'),
            closed(1),
            opened(2, type="tool_use", id="toolu_2", name="time", input={}),
            closed(2),
            *ended("tool_use"),
        ],
        {
            **body(reason="tool_use"),
            "content": [
                {"type": "text", "text": "Let me see."},
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "weather",
                    "input": msgspec.Raw(b'{"city": "Oslo", "n": 1.50}'),
                },
                {"type": "tool_use", "id": "toolu_2", "name": "time", "input": {}},
            ],
        },
        [
            Text(0, "Let me see."),
            Closed(0),
            FunctionCall(1, "toolu_1", "weather"),
            Arguments(1, '{"city":"Oslo","n":1.50}'),
            Closed(1),
            FunctionCall(2, "toolu_2", "time"),
            Closed(2),
            SPENT,
            Stopped("calls"),
        ],
    ),
    Answer(
        "a tool that stands for the answer is text",
        [
            STARTED,
            opened(0, type="tool_use", id="toolu_1", name="kite", input={}),
            piece(0, "input_json_delta", partial_json='{"length":'),
            piece(0, "input_json_delta", partial_json="3}"),
            closed(0),
            *ended("tool_use"),
        ],
        body({"type": "tool_use", "id": "toolu_1", "name": "kite", "input": {"length": 3}}, reason="tool_use"),
        [Text(0, '{"length":3}'), Closed(0), SPENT, Stopped("stop")],
        {"text": {"format": SCHEMA}},
        NO_SCHEMAS,
    ),
    Answer(
        "a search, then text split by citations, counted in code points",
        [
            STARTED,
            opened(0, **QUERY, input={}),
            piece(0, "input_json_delta", partial_json='{"query":"kite 🪁"}'),
            closed(0),
            opened(1, **FOUND),
            closed(1),
            opened(2, type="text", text=""),
            piece(2, "text_delta", text="Grüße 🪁: "),
            closed(2),
            opened(3, type="text", text="", citations=[]),
            piece(3, "citations_delta", citation=PAGE),
            piece(3, "text_delta", text="sie flie"),
            piece(3, "text_delta", text="gen"),
            closed(3),
            opened(4, type="text", text=""),
            piece(4, "text_delta", text="."),
            closed(4),
            *ended("end_turn"),
        ],
        body(
            {**QUERY, "input": {"query": "kite 🪁"}},
            FOUND,
            {"type": "text", "text": "Grüße 🪁: "},
            {"type": "text", "text": "sie fliegen", "citations": [PAGE]},
            {"type": "text", "text": "."},
        ),
        [
            Search("srvtoolu_1", "web", "in_progress"),
            Search("srvtoolu_1", "web", "searching", ("kite 🪁",)),
            Search(
                "srvtoolu_1",
                "web",
                "completed",
                sources=("https://kites.example",),
                results=(Found("https://kites.example", "Kites", "2 days ago", "X"),),
            ),
            Text(2, "Grüße 🪁: sie fliegen"),
            Citation(2, UrlCitation("https://kites.example", "Kites", 9, 20)),
            Text(2, "."),
            SPENT,
            Stopped("stop"),
        ],
        {"tools": [{"type": "web_search"}]},
    ),
    Answer(
        "a search that failed",
        [
            STARTED,
            opened(0, **QUERY, input={}),
            closed(0),
            opened(1, **FOUND | {"content": {"type": "web_search_tool_result_error", "error_code": "unavailable"}}),
            closed(1),
            *ended("end_turn"),
        ],
        body(
            {**QUERY, "input": {}},
            FOUND | {"content": {"type": "web_search_tool_result_error", "error_code": "unavailable"}},
        ),
        [
            Search("srvtoolu_1", "web", "in_progress"),
            Search("srvtoolu_1", "web", "searching"),
            Search("srvtoolu_1", "web", "failed"),
            SPENT,
            Stopped("stop"),
        ],
    ),
    Answer(
        "a citation of a document",
        [
            STARTED,
            opened(0, type="text", text="", citations=[]),
            piece(0, "text_delta", text="So it says."),
            piece(
                0,
                "citations_delta",
                citation={"type": "page_location", "document_index": 1, "document_title": "a.pdf", "cited_text": "…"},
            ),
            closed(0),
            *ended("end_turn"),
        ],
        body(
            {
                "type": "text",
                "text": "So it says.",
                "citations": [
                    {"type": "page_location", "document_index": 1, "document_title": "a.pdf", "cited_text": "…"}
                ],
            }
        ),
        [
            Text(0, "So it says."),
            Citation(0, FileCitation("a.pdf", "a.pdf", 1)),
            SPENT,
            Stopped("stop"),
        ],
    ),
    Answer(
        "an answer cut at its limit",
        [STARTED, opened(0, type="text", text=""), piece(0, "text_delta", text="Ra"), closed(0), *ended("max_tokens")],
        body({"type": "text", "text": "Ra"}, reason="max_tokens"),
        [Text(0, "Ra"), SPENT, Stopped("length")],
    ),
    Answer(
        "an empty answer",
        [STARTED, *ended("end_turn")],
        body(),
        [SPENT, Stopped("stop")],
    ),
    Answer(
        "a refusal that explains itself",
        [STARTED, *ended("refusal", stop_details={"type": "refusal", "category": None, "explanation": "I may not."})],
        body(reason="refusal", stop_details={"type": "refusal", "category": None, "explanation": "I may not."}),
        [SPENT, Refusal("refusal", "I may not."), Stopped("stop")],
    ),
    Answer(
        "ST-29 a filter in the middle of the text",
        [STARTED, opened(0, type="text", text=""), piece(0, "text_delta", text="Ra"), closed(0), *ended("refusal")],
        body({"type": "text", "text": "Ra"}, reason="refusal"),
        [Text(0, "Ra"), SPENT, Stopped("content_filter")],
    ),
    Answer(
        "kinds of events, blocks and pieces that nobody knows yet",
        [
            STARTED,
            event("weather_report", sunny=True),
            opened(0, type="hologram", depth=3),
            piece(0, "hologram_delta", light="…"),
            closed(0),
            opened(1, type="text", text=""),
            piece(1, "glitter_delta", text="?"),
            piece(1, "text_delta", text="Rain."),
            closed(1),
            *ended("end_turn"),
        ],
        body({"type": "hologram", "depth": 3}, {"type": "text", "text": "Rain."}),
        [Text(1, "Rain."), SPENT, Stopped("stop")],
    ),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.id)
def test_decodes_a_stream_and_a_body_alike(answer: Answer) -> None:
    asked = request(**answer.asked)
    assert joined(hear(answer.stream, asked, answer.quirks)) == answer.deltas
    assert joined(hear_body(answer.body, asked, answer.quirks)) == answer.deltas


@pytest.mark.parametrize("answer", ANSWERS[:6], ids=lambda answer: answer.id)
def test_the_bodies_here_are_what_the_library_reads(answer: Answer) -> None:
    from anthropic.types import Message as AnthropicMessage

    AnthropicMessage.model_validate_json(msgspec.json.encode(answer.body))


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.id)
def test_ST_07_a_stream_cut_anywhere_never_ends_well(answer: Answer) -> None:
    """It has an end once the reason was told; some hosts leave out the mark after it."""
    asked = request(**answer.asked)
    has_reason = next(at for at, part in enumerate(answer.stream) if b'"stop_reason":"' in part.data)
    for cut in range(has_reason + 1):
        assert not [d for d in hear(answer.stream[:cut], asked, answer.quirks) if isinstance(d, Stopped | Failed)]


def test_nothing_is_told_before_the_first_content() -> None:
    reader = decoder()
    assert not [*reader.message(STARTED), *reader.message(event("ping")), *reader.message(opened(0, type="text"))]
    assert [*reader.message(piece(0, "text_delta", text="R"))] == [*COUNTED, Text(0, "R")]
    assert [*reader.message(piece(0, "text_delta", text="a"))] == [Text(0, "a")]
    assert [*reader.message(piece(0, "text_delta", text=""))] == []


def only_fault(deltas: list[Delta]) -> Any:
    assert [type(delta) for delta in deltas] == [Failed]
    assert isinstance(deltas[0], Failed)
    return deltas[0].fault


ERROR_KINDS = {
    "invalid_request_error": "rejected",
    "authentication_error": "credentials",
    "billing_error": "credentials",
    "permission_error": "credentials",
    "not_found_error": "missing",
    "rate_limit_error": "limited",
    "api_error": "unavailable",
    "timeout_error": "silent",
    "overloaded_error": "overloaded",
}


@pytest.mark.parametrize(("kind", "fault"), ERROR_KINDS.items(), ids=ERROR_KINDS.keys())
def test_ST_11_an_error_before_any_content_is_all_that_is_told(kind: str, fault: str) -> None:
    error = {"type": kind, "message": "No."}
    assert only_fault(hear([STARTED, event("error", error=error)])).kind == fault
    assert only_fault(hear([event("error", error=error)])).message == "No."
    # UP-06: the same in a body that came with a 200.
    assert only_fault(hear_body({"type": "error", "error": error})).kind == fault


def test_ST_12_an_error_after_content_ends_the_answer() -> None:
    text = [STARTED, opened(0, type="text", text=""), piece(0, "text_delta", text="Ra")]
    deltas = hear([*text, event("error", error={"type": "overloaded_error", "message": "Busy."}), *ended("end_turn")])
    assert deltas[:-1] == [*COUNTED, Text(0, "Ra")]
    assert isinstance(deltas[-1], Failed)
    assert deltas[-1].fault.kind == "overloaded"


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"",
        b"null",
        b'{"type":"content_block_delta","index":0}',
        b'{"type":"content_block_delta","index":"x","delta":{"type":"text_delta"}}',
        b'{"type":"content_block_start","index":0,"content_block":{"text":3}}',
        b'{"type":"content_block_delta","index":7,"delta":{"type":"input_json_delta","partial_json":"{"}}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","input":{"a":1}}}',
        b'{"type":"ping","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\xff"}}',
    ],
)
def test_ST_13_an_event_that_breaks_the_dialect_ends_the_answer(data: bytes) -> None:
    assert only_fault(hear([STARTED, WireMessage(None, data), *ended("end_turn")])).kind == "nonsense"


@pytest.mark.parametrize(
    "data", [b"", b"null", b"<html>", b'{"id":"msg_1"', b"[]", b'{"content":[3]}', b'{"content":"x"}', b"{}"]
)
def test_UP_07_a_body_that_is_no_answer_is_nonsense(data: bytes) -> None:
    assert only_fault([*decoder().whole(data)]).kind == "nonsense"


def test_ST_17_nothing_counts_after_the_end() -> None:
    stream = [STARTED, opened(0, type="text"), piece(0, "text_delta", text="Ra"), closed(0), *ended("end_turn")]
    assert hear([*stream, *ended("end_turn", 99), piece(0, "text_delta", text="x")]) == hear(stream)
    reader = decoder()
    for part in stream:
        assert not reader.is_done
        list(reader.message(part))
    assert reader.is_done


def test_ST_23_text_and_thought_may_come_without_having_been_opened() -> None:
    deltas = hear([STARTED, piece(0, "thinking_delta", thinking="Hm"), piece(1, "text_delta", text="Ra"), *ended("x")])
    assert deltas == [*COUNTED, Reasoning(0, "Hm"), Text(1, "Ra"), SPENT, Stopped("stop")]


def test_ST_23_what_a_block_has_beside_its_text_is_told_though_nobody_ends_it() -> None:
    source = {"type": "web_search_result_location", "url": "https://a.example", "title": "A"}
    said = [
        opened(0, type="thinking", thinking=""),
        piece(0, "thinking_delta", thinking="Hm"),
        piece(0, "signature_delta", signature="sig"),
        opened(1, type="text", text=""),
        piece(1, "text_delta", text="Ra"),
        piece(1, "citations_delta", citation=source),
    ]
    proof = ReasoningSeal(0, None, "sig", "anthropic-claude-v1", endpoint_id=endpoint().id)
    cited = Citation(1, UrlCitation(url="https://a.example", title="A", start_index=0, end_index=2))
    heard = hear([STARTED, *said, *ended("end_turn")])
    assert heard == [*COUNTED, Reasoning(0, "Hm"), Text(1, "Ra"), proof, Closed(0), cited, SPENT, Stopped("stop")]


def refused(*said: WireMessage) -> Delta:
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    return hear([STARTED, *said, *ended("refusal", stop_details=details)])[-1]


def test_a_call_before_a_refusal_may_be_half_a_call() -> None:
    assert refused(opened(0, type="text"), piece(0, "text_delta", text="Ra")) == Stopped("stop")
    half = [opened(0, type="tool_use", id="t", name="f", input={}), piece(0, "input_json_delta", partial_json='{"a":')]
    assert refused(*half) == Stopped("content_filter")


def test_ST_28_an_end_mark_without_a_reason_is_the_plain_end() -> None:
    said = [opened(0, type="text"), piece(0, "text_delta", text="Ra")]
    assert hear([STARTED, *said, *ended(None)])[-1] == Stopped("stop")
    assert hear_body({**body(), "stop_reason": None})[-1] == Stopped("stop")


def test_a_stream_without_event_names_is_read_alike() -> None:
    stream = ANSWERS[0].stream
    assert hear([WireMessage(None, part.data) for part in stream]) == hear(stream)


def test_no_usage_is_told_when_none_was_given() -> None:
    quiet = [event("message_start", message={}), opened(0, type="text"), piece(0, "text_delta", text="Ra")]
    deltas = hear([*quiet, event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")])
    assert deltas == [Text(0, "Ra"), Stopped("stop")]


def test_MO_08_counts_below_zero_or_beyond_sense_cost_nothing() -> None:
    told = {
        "input_tokens": -500,
        "cache_read_input_tokens": "7",
        "output_tokens": 3,
        "output_tokens_details": {"thinking_tokens": 50},
        "server_tool_use": {"web_search_requests": 2},
        "service_tier": "priority",
    }
    deltas = hear_body({**body(), "usage": told})
    usage = Usage(input_tokens=7, cache_read_tokens=7, output_tokens=3, reasoning_tokens=3, searches=2)
    assert Spent(usage, service_tier="priority") in deltas


def test_a_last_zero_does_not_erase_what_was_counted() -> None:
    done = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"input_tokens": 0, "output_tokens": 9})
    assert hear([STARTED, done, event("message_stop")])[0] == SPENT


STEP = {"input_tokens": 100, "cache_read_input_tokens": 20, "output_tokens": 30}


@pytest.mark.parametrize(
    ("told", "usage", "tier"),
    [
        (
            {"iterations": [{"type": "message", **STEP}, {"type": "compaction", **STEP}]},
            Usage(input_tokens=1037, cache_read_tokens=920, cache_write_tokens=5, output_tokens=39),
            None,
        ),
        (
            {"iterations": [{"type": "advisor_message", "model": "m", **STEP}, {"type": "new", **STEP}, None]},
            Usage(input_tokens=1037, cache_read_tokens=920, cache_write_tokens=5, output_tokens=39),
            None,
        ),
        ({"iterations": None, "speed": "fast"}, SPENT.usage, "ultrafast"),
        ({"speed": "standard", "service_tier": "priority"}, SPENT.usage, "priority"),
    ],
    ids=["a compaction", "an advisor", "the fast mode", "priority"],
)
def test_what_is_paid_for_beside_the_sums_is_counted(told: Json, usage: Usage, tier: Any) -> None:
    answer = body({"type": "text", "text": "Hi"}, usage={**USAGE, "output_tokens": 9, **told})
    assert Spent(usage, service_tier=tier) in hear_body(answer)


# Pauses

SEARCHING = {"tools": [{"type": "web_search"}]}
PAUSED = [
    STARTED,
    opened(0, type="thinking", thinking="", signature=""),
    piece(0, "thinking_delta", thinking="Hm."),
    piece(0, "signature_delta", signature="Eq=="),
    closed(0),
    opened(1, type="text", text=""),
    piece(1, "text_delta", text="I "),
    piece(1, "text_delta", text="search."),
    piece(1, "citations_delta", citation=PAGE),
    closed(1),
    opened(2, **QUERY, input={}),
    piece(2, "input_json_delta", partial_json='{"query":"kites"}'),
    closed(2),
    opened(3, **FOUND),
    closed(3),
    opened(4, type="text", text=""),
    closed(4),
    *ended("pause_turn"),
]
PAUSED_CONTENT: list[Json] = [
    {"type": "thinking", "thinking": "Hm.", "signature": "Eq=="},
    {"type": "text", "text": "I search.", "citations": [PAGE]},
    {**QUERY, "input": {"query": "kites"}},
    FOUND,
]


@pytest.mark.parametrize("is_whole", [False, True], ids=["streamed", "whole"])
def test_a_paused_answer_goes_on_in_the_same_decoder(is_whole: bool) -> None:
    asked = request(**SEARCHING)
    sent = ADAPTER.encode(asked, endpoint(), None)
    reader = ADAPTER.decoder(asked, endpoint())
    if is_whole:
        heard = [*reader.whole(msgspec.json.encode(body(*PAUSED_CONTENT, reason="pause_turn")))]
    else:
        heard = [delta for part in PAUSED for delta in reader.message(part)]
    assert not [delta for delta in heard if isinstance(delta, Stopped)]

    exchange = reader.next_exchange(sent, None)
    assert exchange is not None
    assert (exchange.reach, exchange.wait_s) == ("provider", 0.0)
    again = exchange.request
    resent, first = msgspec.json.decode(again.body), msgspec.json.decode(sent.body)
    assert resent.pop("messages") == [*first.pop("messages"), {"role": "assistant", "content": PAUSED_CONTENT}]
    assert resent == first
    assert (again.url, again.headers) == (sent.url, sent.headers)
    assert accepted(params().validate_json(again.body))

    rest = [STARTED, opened(0, type="text", text=""), piece(0, "text_delta", text="So."), closed(0), *ended("end_turn")]
    later = [delta for part in rest for delta in reader.message(part)]
    texts = [delta for delta in later if isinstance(delta, Text)]
    assert [text.text for text in texts] == ["So."]
    assert texts[0].slot not in {getattr(delta, "slot", None) for delta in heard}
    assert later[-2:] == [
        Spent(Usage(input_tokens=1834, cache_read_tokens=1800, cache_write_tokens=10, output_tokens=18)),
        Stopped("stop"),
    ]
    assert reader.next_exchange(sent, None) is None
    assert [*reader.end()] == []


def test_a_paused_answer_that_nobody_goes_on_with_is_incomplete() -> None:
    assert hear(PAUSED, request(**SEARCHING))[-1] == Stopped("length")


def test_an_answer_that_was_not_paused_cannot_go_on() -> None:
    reader = decoder(request(**SEARCHING))
    for part in ANSWERS[0].stream:
        list(reader.message(part))
    assert reader.next_exchange(ADAPTER.encode(request(**SEARCHING), endpoint(), None), None) is None


def test_an_answer_that_pauses_without_end_is_given_up_as_incomplete() -> None:
    reader = decoder(request(**SEARCHING))
    sent = ADAPTER.encode(request(**SEARCHING), endpoint(), None)
    for _ in range(MAX_PAUSES):
        assert not [delta for part in PAUSED for delta in reader.message(part) if isinstance(delta, Stopped)]
        assert reader.next_exchange(sent, None) is not None
    for part in PAUSED:
        list(reader.message(part))
    assert reader.next_exchange(sent, None) is None
    spent, stopped = reader.end()
    assert isinstance(spent, Spent)
    assert not spent.usage.estimated
    assert stopped == Stopped("length")


def test_a_continuation_that_fails_is_not_asked_for_again() -> None:
    reader = decoder(request(**SEARCHING))
    sent = ADAPTER.encode(request(**SEARCHING), endpoint(), None)
    for part in PAUSED:
        list(reader.message(part))
    assert reader.next_exchange(sent, None) is not None
    assert reader.next_exchange(sent, Fault("overloaded", "busy")) is None


# Whatever comes


@given(st.lists(st.sampled_from([part for answer in ANSWERS for part in answer.stream] + PAUSED), max_size=30))
def test_any_order_of_events_is_read_without_an_exception(stream: list[WireMessage]) -> None:
    deltas = hear(stream, request(**SEARCHING))
    assert sum(isinstance(delta, Stopped | Failed) for delta in deltas) <= 1


@given(st.binary(max_size=80))
def test_noise_is_read_without_an_exception(noise: bytes) -> None:
    assert hear([STARTED, WireMessage(None, noise)])
    assert [*decoder().whole(noise)]


# Statuses


@pytest.mark.parametrize(
    ("status", "kind", "fault"),
    [
        (400, "invalid_request_error", "rejected"),
        (401, "authentication_error", "credentials"),
        (402, "billing_error", "credentials"),
        (404, "not_found_error", "missing"),
        (413, "request_too_large", "too_long"),
        (429, "rate_limit_error", "limited"),
        (500, "api_error", "unavailable"),
        (503, "api_error", "overloaded"),
        (504, "timeout_error", "silent"),
        (529, "overloaded_error", "overloaded"),
    ],
)
def test_a_status_is_classified(status: int, kind: str, fault: str) -> None:
    error = msgspec.json.encode({"type": "error", "error": {"type": kind, "message": "No."}, "request_id": "req_1"})
    found = ADAPTER.fault(status, {"retry-after": "7"}, error, endpoint())
    assert (found.kind, found.status, found.message, found.retry_after) == (fault, status, "No.", 7)
