"""The Converse adapter: what is asked, checked against botocore's model of the service, and what is heard."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import botocore.session  # type: ignore[import-untyped]
import msgspec
import pytest
from botocore.validate import ParamValidator  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tests.adapters import spoken
from tests.adapters.spoken import Answer, call, joined, message, output, thought
from trunkline.adapters.contract import Decoder, begin
from trunkline.adapters.converse.request import ADAPTER
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks
from trunkline.errors import Unprocessable
from trunkline.faces.responses.parse import parse
from trunkline.protocol.items import FileCitation, UrlCitation
from trunkline.protocol.request import Request
from trunkline.stream.aws_events import EXCEPTION
from trunkline.stream.deltas import (
    Arguments,
    Citation,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Image,
    Reasoning,
    ReasoningSeal,
    Search,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.wire import UpstreamRequest, WireMessage

Json = dict[str, Any]

CLAUDE = msgspec.structs.replace(spoken.CLAUDE, has_cache_points=True)
ADAPTIVE = msgspec.structs.replace(CLAUDE, thinking_style="adaptive")
NOVA = Quirks(thinking_style="nova")
GPT_OSS = Quirks(thinking_style="effort")
NO_SCHEMAS = msgspec.structs.replace(CLAUDE, structured_output="none")

PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQ="
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "name": "weather", "description": "Tells the weather.", "parameters": PARAMETERS}
WEATHER_SENT = {
    "toolSpec": {"name": "weather", "description": "Tells the weather.", "inputSchema": {"json": PARAMETERS}}
}
SCHEMA = {
    "type": "json_schema",
    "name": "kite",
    "schema": {"type": "object", "properties": {"length": {"type": "number"}}},
}
QUESTION = {"role": "user", "content": [{"text": "Weather in Oslo?"}]}


def endpoint(quirks: Quirks = CLAUDE, **fields: Any) -> Endpoint:
    """An endpoint of Claude's; it is asked to cache only with a key, for what else is marked is not shown here."""
    given = {"upstream_model": "eu.anthropic.claude-x-v1:0", "base_url": "https://bedrock.example", **fields}
    model, provider = Model(slug="anthropic/claude-x"), Provider(slug="amazon-bedrock", name="Amazon Bedrock")
    return Endpoint(model=model, provider=provider, dialect="converse", quirks=quirks, prompt_caching="on_key", **given)


HOME = endpoint().id
HIDDEN = ReasoningSeal(1, "b64=", format="anthropic-claude-v1", endpoint_id=HOME)


def request(**body: Any) -> Request:
    return parse(msgspec.json.encode({"model": "anthropic/claude-x", "input": "Weather in Oslo?", **body}))


def encode(asked: Request, at: Endpoint) -> tuple[Json, UpstreamRequest]:
    sent = ADAPTER.encode(asked, at, None)
    return msgspec.json.decode(sent.body), sent


SIGNED = thought(content=[{"type": "reasoning_text", "text": "Hm.\n"}], signature="EqQB+/=")
CALLED = [message("user", "Weather in Oslo?"), call("tooluse_1"), output("tooluse_1")]
CALL_SENT = {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Oslo"}}}
RESULT_SENT = {"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "4 C, rain"}]}}
CACHE_POINT = {"cachePoint": {"type": "default"}}


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
        {"messages": [QUESTION], "system": None, "inferenceConfig": None, "toolConfig": None, "outputConfig": None},
    ),
    Case(
        "instructions and settings",
        {"instructions": "Be brief.", "max_output_tokens": 500, "temperature": 0.3, "top_p": 0.9, "top_k": 7},
        {
            "system": [{"text": "Be brief."}],
            "inferenceConfig": {"maxTokens": 500, "temperature": 0.3, "topP": 0.9},
            "additionalModelRequestFields": {"top_k": 7},
        },
    ),
    Case(
        "Nova has its own place for top_k",
        {"top_k": 7},
        {"additionalModelRequestFields": {"inferenceConfig": {"topK": 7}}},
        NOVA,
    ),
    Case(
        "a thought and its call go back, the results first in the next turn",
        {"input": [CALLED[0], SIGNED, thought(encrypted_content="b64="), *CALLED[1:], message("user", "Quick!")]},
        {
            "messages": [
                QUESTION,
                {
                    "role": "assistant",
                    "content": [
                        {"reasoningContent": {"reasoningText": {"text": "Hm.\n", "signature": "EqQB+/="}}},
                        {"reasoningContent": {"redactedContent": "b64="}},
                        CALL_SENT,
                    ],
                },
                {"role": "user", "content": [RESULT_SENT, {"text": "Quick!"}]},
            ],
            "toolConfig": {
                "tools": [
                    {"toolSpec": {"name": "weather", "inputSchema": {"json": {"type": "object", "properties": {}}}}}
                ]
            },
            "system": [{"text": "Do not call any tool."}],
        },
    ),
    Case(
        "an empty result says so",
        {"input": [*CALLED[:2], output("tooluse_1", "")], "tools": [WEATHER]},
        {
            "messages": [
                QUESTION,
                {"role": "assistant", "content": [CALL_SENT]},
                {
                    "role": "user",
                    "content": [{"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "(empty)"}]}}],
                },
            ]
        },
    ),
    Case(
        "pictures and documents by data, a name for each that the service takes",
        {
            "input": [
                message(
                    "user",
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                    {
                        "type": "input_file",
                        "filename": "Größe_2.pdf",
                        "file_data": f"data:application/pdf;base64,{PDF}",
                    },
                    {"type": "input_file", "filename": "Gr e 2.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
                    {"type": "input_file", "filename": "x.json", "file_data": "data:application/json;base64,e30="},
                )
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"image": {"format": "png", "source": {"bytes": PNG}}},
                        {"document": {"format": "pdf", "name": "Gr e 2", "source": {"bytes": PDF}}},
                        {"document": {"format": "pdf", "name": "Gr e 2 (2)", "source": {"bytes": PDF}}},
                        {"document": {"format": "txt", "name": "x", "source": {"bytes": "e30="}}},
                        {"text": "(See the document.)"},
                    ],
                }
            ]
        },
    ),
    Case(
        "sound and film where the model takes them",
        {
            "input": [
                message(
                    "user",
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
                    {"type": "input_video", "video_url": "data:video/mp4;base64,AAAA"},
                )
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"audio": {"format": "mp3", "source": {"bytes": "AAAA"}}},
                        {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}},
                    ],
                }
            ]
        },
        NOVA,
        fields={"input_modalities": frozenset({"text", "audio", "video"})},
    ),
    Case(
        "tool choice auto",
        {"tools": [WEATHER], "tool_choice": "auto"},
        {"toolConfig": {"tools": [WEATHER_SENT], "toolChoice": {"auto": {}}}},
    ),
    Case(
        "tool choice required",
        {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False},
        {"toolConfig": {"tools": [WEATHER_SENT], "toolChoice": {"any": {}}}},
        dropped=("parallel_tool_calls",),
    ),
    Case(
        "tool choice by name",
        {"tools": [WEATHER], "tool_choice": {"type": "function", "name": "weather"}},
        {"toolConfig": {"tools": [WEATHER_SENT], "toolChoice": {"tool": {"name": "weather"}}}},
    ),
    Case("tool choice none leaves the tools out", {"tools": [WEATHER], "tool_choice": "none"}, {"toolConfig": None}),
    Case(
        "tool choice none after calls keeps the tools and forbids them in words",
        {"input": CALLED, "tools": [WEATHER], "tool_choice": "none"},
        {"toolConfig": {"tools": [WEATHER_SENT]}, "system": [{"text": "Do not call any tool."}]},
    ),
    Case(
        "a strict tool",
        {"tools": [{**WEATHER, "strict": True}]},
        {
            "toolConfig": {
                "tools": [
                    {
                        "toolSpec": {
                            "name": "weather",
                            "description": "Tells the weather.",
                            "inputSchema": {
                                "json": {**PARAMETERS, "additionalProperties": False, "required": ["city"]}
                            },
                            "strict": True,
                        }
                    }
                ]
            }
        },
        dropped=("tools.strict",),
    ),
    Case(
        "a schema where the endpoint has schemas",
        {"text": {"format": SCHEMA}},
        {
            "outputConfig": {
                "textFormat": {
                    "type": "json_schema",
                    "structure": {
                        "jsonSchema": {
                            "name": "kite",
                            "schema": '{"type":"object","properties":{"length":{"type":"number"}},'
                            '"additionalProperties":false}',
                        }
                    },
                }
            }
        },
    ),
    Case(
        "a schema elsewhere is a tool that must be called",
        {"text": {"format": SCHEMA}},
        {
            "outputConfig": None,
            "toolConfig": {
                "tools": [
                    {
                        "toolSpec": {
                            "name": "kite",
                            "description": "Give the final answer.",
                            "inputSchema": {"json": SCHEMA["schema"]},
                        }
                    }
                ],
                "toolChoice": {"tool": {"name": "kite"}},
            },
        },
        NO_SCHEMAS,
        ("text.format",),
    ),
    Case(
        "Claude thinks by a budget",
        {"reasoning": {"effort": "high"}, "max_output_tokens": 10000, "temperature": 0.5},
        {
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 8000}},
            "inferenceConfig": {"maxTokens": 10000},
        },
        dropped=("temperature",),
    ),
    Case(
        "Claude thinks as it sees fit",
        {"reasoning": {"effort": "low"}},
        {
            "additionalModelRequestFields": {
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": "low"},
            }
        },
        ADAPTIVE,
    ),
    Case(
        "no thinking by a budget needs no word",
        {"reasoning": {"effort": "none"}},
        {"additionalModelRequestFields": None},
    ),
    Case(
        "Nova thinks by effort",
        {"reasoning": {"effort": "xhigh"}},
        {"additionalModelRequestFields": {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}},
        NOVA,
        ("reasoning.effort",),
    ),
    Case(
        "Nova stops thinking",
        {"reasoning": {"effort": "none"}},
        {"additionalModelRequestFields": {"reasoningConfig": {"type": "disabled"}}},
        NOVA,
    ),
    Case(
        "gpt-oss cannot stop thinking",
        {"reasoning": {"effort": "none"}, "temperature": 0.5},
        {"additionalModelRequestFields": {"reasoning_effort": "low"}, "inferenceConfig": {"temperature": 0.5}},
        GPT_OSS,
        ("reasoning.effort",),
    ),
    Case(
        "a cache key sets points after instructions, tools and the question",
        {"instructions": "Be brief.", "tools": [WEATHER], "prompt_cache_key": "k"},
        {
            "system": [{"text": "Be brief."}, CACHE_POINT],
            "toolConfig": {"tools": [WEATHER_SENT, CACHE_POINT]},
            "messages": [{"role": "user", "content": [{"text": "Weather in Oslo?"}, CACHE_POINT]}],
        },
    ),
    Case(
        "a model without cache points", {"prompt_cache_key": "k"}, {"messages": [QUESTION]}, NOVA, ("prompt_cache_key",)
    ),
    Case(
        "metadata where the row forwards it",
        {"metadata": {"team": "kites"}},
        {"requestMetadata": {"team": "kites"}},
        msgspec.structs.replace(CLAUDE, forwards_metadata=True),
    ),
    Case(
        "the operator's guardrail and tier",
        {},
        {
            "guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"},
            "serviceTier": {"type": "priority"},
        },
        msgspec.structs.replace(
            CLAUDE,
            extra_body={
                "guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"},
                "serviceTier": {"type": "priority"},
            },
        ),
    ),
    Case(
        "Nova's own search",
        {"tools": [{"type": "web_search"}]},
        {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}},
        msgspec.structs.replace(NOVA, search_tool="nova_grounding"),
    ),
    Case(
        "what has no place is named",
        {
            "presence_penalty": 1,
            "temperature": 1.5,
            "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        },
        {"inferenceConfig": {"temperature": 1}, "system": [{"text": "Answer with one JSON object and nothing else."}]},
        dropped=("text.format", "temperature", "presence_penalty", "text.verbosity"),
    ),
]

CONVERSE = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape


def with_bytes(value: Any) -> Any:
    """Read base64 where botocore wants bytes."""
    if isinstance(value, list):
        return [with_bytes(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        name: b64decode(part) if name in ("bytes", "redactedContent") else with_bytes(part)
        for name, part in value.items()
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_encodes(case: Case) -> None:
    body, sent = encode(request(**case.asked), endpoint(case.quirks, **case.fields))
    assert {name: body.get(name) for name in case.sent} == case.sent
    assert sent.dropped == case.dropped
    report = ParamValidator().validate({"modelId": "m", **with_bytes(body)}, CONVERSE)
    assert not report.has_errors(), report.generate_report()
    assert body.keys() <= CONVERSE.members.keys()


@pytest.mark.parametrize(
    ("stream", "verb", "accept"),
    [(False, "converse", "application/json"), (True, "converse-stream", "application/vnd.amazon.eventstream")],
)
def test_sends_where_and_how_bedrock_wants_it(stream: bool, verb: str, accept: str) -> None:
    body, sent = encode(request(stream=stream), endpoint())
    assert sent.url == f"https://bedrock.example/model/eu.anthropic.claude-x-v1%3A0/{verb}"
    assert (sent.method, sent.headers) == ("POST", {"content-type": "application/json", "accept": accept})
    assert "stream" not in body


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "image_url": "https://pictures.example/a.png"},
        {"type": "input_image", "image_url": "data:image/tiff;base64,AAAA"},
        {"type": "input_file", "file_url": "https://files.example/a.pdf"},
        {"type": "input_file", "file_data": "data:application/zip;base64,AAAA"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "input_video", "video_url": "data:video/mp4;base64,AAAA"},
    ],
    ids=["a linked picture", "a rare picture", "a linked file", "an archive", "audio", "video"],
)
def test_what_the_model_has_no_words_for_is_refused(part: Json) -> None:
    with pytest.raises(Unprocessable):
        encode(request(input=[message("user", part)]), endpoint())


# Answers


def event(name: str, **fields: Any) -> WireMessage:
    return WireMessage(name, msgspec.json.encode({**fields, "p": "abcdef"}))


def opened(index: int, **start: Any) -> WireMessage:
    return event("contentBlockStart", contentBlockIndex=index, start=start)


def piece(index: int, **delta: Any) -> WireMessage:
    return event("contentBlockDelta", contentBlockIndex=index, delta=delta)


def closed(index: int) -> WireMessage:
    return event("contentBlockStop", contentBlockIndex=index)


USAGE = {
    "inputTokens": 12,
    "outputTokens": 9,
    "totalTokens": 926,
    "cacheReadInputTokens": 900,
    "cacheWriteInputTokens": 5,
}
STARTED = event("messageStart", role="assistant")
SPENT = Spent(Usage(input_tokens=917, cache_read_tokens=900, cache_write_tokens=5, output_tokens=9))


def ended(reason: str) -> list[WireMessage]:
    return [event("messageStop", stopReason=reason), event("metadata", usage=USAGE, metrics={"latencyMs": 640})]


def body(*content: Json, reason: str = "end_turn") -> Json:
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason,
        "usage": USAGE,
        "metrics": {"latencyMs": 640},
    }


def decoder(asked: Request | None = None, quirks: Quirks = CLAUDE) -> Decoder:
    return ADAPTER.decoder(asked or request(), endpoint(quirks))


def hear(heard: list[WireMessage], asked: Request | None = None, quirks: Quirks = CLAUDE) -> list[Delta]:
    reader = decoder(asked, quirks)
    return [delta for part in heard for delta in reader.message(part)] + list(reader.end())


PAGE = {"title": "Kites", "location": {"web": {"url": "https://kites.example", "domain": "kites.example"}}}
PLACE = {"title": "a.pdf", "location": {"documentPage": {"documentIndex": 1, "start": 0, "end": 1}}}

ANSWERS = [
    Answer(
        "text in pieces",
        [STARTED, piece(0, text="Rain, "), piece(0, text="4 °C 🌧"), closed(0), *ended("end_turn")],
        body({"text": "Rain, 4 °C 🌧"}),
        [Text(0, "Rain, 4 °C 🌧"), SPENT, Stopped("stop")],
    ),
    Answer(
        "a signed thought, a redacted one, then text",
        [
            STARTED,
            piece(0, reasoningContent={"text": "Hm"}),
            piece(0, reasoningContent={"text": " m."}),
            piece(0, reasoningContent={"signature": "EqQB+/="}),
            closed(0),
            piece(1, reasoningContent={"redactedContent": "b64="}),
            closed(1),
            piece(2, text="Rain."),
            closed(2),
            *ended("end_turn"),
        ],
        body(
            {"reasoningContent": {"reasoningText": {"text": "Hm m.", "signature": "EqQB+/="}}},
            {"reasoningContent": {"redactedContent": "b64="}},
            {"text": "Rain."},
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
        "text, then two calls",
        [
            STARTED,
            piece(0, text="Let me see."),
            closed(0),
            opened(1, toolUse={"toolUseId": "tooluse_1", "name": "weather"}),
            piece(1, toolUse={"input": '{"city":'}),
            piece(1, toolUse={"input": '"Oslo"}'}),
            closed(1),
            opened(2, toolUse={"toolUseId": "tooluse_2", "name": "time"}),
            piece(2, toolUse={"input": "{}"}),
            closed(2),
            *ended("tool_use"),
        ],
        body(
            {"text": "Let me see."},
            {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Oslo"}}},
            {"toolUse": {"toolUseId": "tooluse_2", "name": "time", "input": {}}},
            reason="tool_use",
        ),
        [
            Text(0, "Let me see."),
            Closed(0),
            FunctionCall(1, "tooluse_1", "weather"),
            Arguments(1, '{"city":"Oslo"}'),
            Closed(1),
            FunctionCall(2, "tooluse_2", "time"),
            Arguments(2, "{}"),
            Closed(2),
            SPENT,
            Stopped("calls"),
        ],
    ),
    Answer(
        "a tool that stands for the answer is text",
        [
            STARTED,
            opened(0, toolUse={"toolUseId": "tooluse_1", "name": "kite"}),
            piece(0, toolUse={"input": '{"length":'}),
            piece(0, toolUse={"input": "3}"}),
            closed(0),
            *ended("tool_use"),
        ],
        body({"toolUse": {"toolUseId": "tooluse_1", "name": "kite", "input": {"length": 3}}}, reason="tool_use"),
        [Text(0, '{"length":3}'), Closed(0), SPENT, Stopped("stop")],
        {"text": {"format": SCHEMA}},
        NO_SCHEMAS,
    ),
    Answer(
        "a search, then text with citations, counted in code points",
        [
            STARTED,
            opened(0, toolUse={"toolUseId": "tooluse_1", "name": "nova_grounding", "type": "server_tool_use"}),
            piece(0, toolUse={"input": '{"query":"kites"}'}),
            closed(0),
            opened(1, toolResult={"toolUseId": "tooluse_1", "type": "nova_grounding_result", "status": "success"}),
            closed(1),
            piece(2, text="Grüße 🪁: "),
            closed(2),
            piece(3, text="sie "),
            piece(3, citation=PAGE),
            piece(3, text="fliegen"),
            piece(3, citation=PLACE),
            closed(3),
            *ended("end_turn"),
        ],
        body(
            {
                "toolUse": {
                    "toolUseId": "tooluse_1",
                    "name": "nova_grounding",
                    "type": "server_tool_use",
                    "input": {"query": "kites"},
                }
            },
            {"toolResult": {"toolUseId": "tooluse_1", "type": "nova_grounding_result", "status": "success"}},
            {"text": "Grüße 🪁: "},
            {"citationsContent": {"content": [{"text": "sie "}, {"text": "fliegen"}], "citations": [PAGE, PLACE]}},
        ),
        [
            Search("tooluse_1", "web", "in_progress"),
            Search("tooluse_1", "web", "searching", ("kites",)),
            Search("tooluse_1", "web", "completed"),
            Text(2, "Grüße 🪁: sie fliegen"),
            Citation(2, UrlCitation("https://kites.example", "Kites", 9, 20)),
            Citation(2, FileCitation("a.pdf", "a.pdf", 1)),
            SPENT,
            Stopped("stop"),
        ],
    ),
    Answer(
        "a picture",
        [
            STARTED,
            opened(0, image={"format": "jpeg"}),
            piece(0, image={"source": {"bytes": "/9j/"}}),
            closed(0),
            *ended("end_turn"),
        ],
        body({"image": {"format": "jpeg", "source": {"bytes": "/9j/"}}}),
        [
            Image(0, "", final=False, media_type="image/jpeg"),
            Image(0, "/9j/", final=True, media_type="image/jpeg"),
            SPENT,
            Stopped("stop"),
        ],
    ),
    Answer(
        "an answer cut at its limit",
        [STARTED, piece(0, text="Ra"), closed(0), *ended("max_tokens")],
        body({"text": "Ra"}, reason="max_tokens"),
        [Text(0, "Ra"), SPENT, Stopped("length")],
    ),
    Answer(
        "ST-29 a guardrail in the middle of the text",
        [STARTED, piece(0, text="Ra"), closed(0), *ended("guardrail_intervened")],
        body({"text": "Ra"}, reason="guardrail_intervened"),
        [Text(0, "Ra"), SPENT, Stopped("content_filter")],
    ),
    Answer("an empty answer", [STARTED, *ended("end_turn")], body(), [SPENT, Stopped("stop")]),
    Answer(
        "kinds of events, blocks and pieces that nobody knows yet",
        [
            event("initial-response"),
            STARTED,
            event("weatherReport", sunny=True),
            opened(0, hologram={"depth": 3}),
            piece(0, hologram="…"),
            closed(0),
            piece(1, text="Rain."),
            closed(1),
            *ended("end_turn"),
        ],
        body({"hologram": {"depth": 3}}, {"text": "Rain."}),
        [Text(1, "Rain."), SPENT, Stopped("stop")],
    ),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.id)
def test_decodes_a_stream_and_a_body_alike(answer: Answer) -> None:
    asked = request(**answer.asked)
    assert joined(hear(answer.stream, asked, answer.quirks)) == answer.deltas
    reader = decoder(asked, answer.quirks)
    assert joined([*reader.whole(msgspec.json.encode(answer.body)), *reader.end()]) == answer.deltas


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.id)
def test_ST_07_a_stream_cut_before_its_stop_never_ends_well(answer: Answer) -> None:
    asked = request(**answer.asked)
    for cut in range(len(answer.stream) - 1):
        assert not [d for d in hear(answer.stream[:cut], asked, answer.quirks) if isinstance(d, Stopped | Failed)]


@pytest.mark.parametrize(
    ("stops", "reason", "sequence"),
    [(["END"], "stop_sequence", "END"), (["END", "X"], "stop_sequence", None), (["END"], "end_turn", None)],
    ids=["the only one", "one of two", "none"],
)
def test_which_stop_text_ended_an_answer_is_told_where_there_is_but_one(
    stops: list[str], reason: str, sequence: str | None
) -> None:
    asked = request(stop=stops)
    assert hear([STARTED, piece(0, text="Rain"), *ended(reason)], asked)[-1] == Stopped("stop", sequence)
    whole = decoder(asked).whole(msgspec.json.encode(body({"text": "Rain"}, reason=reason)))
    assert [*whole][-1] == Stopped("stop", sequence)


def test_the_end_waits_for_the_usage() -> None:
    reader = decoder()
    stop, metadata = ended("end_turn")
    assert [*reader.message(STARTED), *reader.message(piece(0, text="R"))] == [Text(0, "R")]
    assert [*reader.message(closed(0)), *reader.message(stop)] == []
    was_done = reader.is_done
    assert [*reader.message(metadata)] == [SPENT, Stopped("stop")]
    assert (was_done, reader.is_done) == (False, True)
    assert [*reader.message(metadata), *reader.end()] == []


def test_an_answer_whose_usage_never_came_ends_all_the_same() -> None:
    assert hear([STARTED, piece(0, text="R"), closed(0), ended("end_turn")[0]])[-1] == Stopped("stop")


def only_fault(deltas: list[Delta]) -> Any:
    (failed,) = begin(deltas, endpoint())
    assert isinstance(failed, Failed)
    return failed.fault


EXCEPTIONS = {
    "throttlingException": "limited",
    "modelStreamErrorException": "unavailable",
    "serviceUnavailableException": "overloaded",
    "internalServerException": "unavailable",
    "validationException": "rejected",
    "modelTimeoutException": "silent",
    "somethingNewException": "unavailable",
}


@pytest.mark.parametrize(("kind", "fault"), EXCEPTIONS.items(), ids=EXCEPTIONS.keys())
def test_ST_11_ST_12_an_exception_frame_ends_the_answer(kind: str, fault: str) -> None:
    frame = WireMessage(EXCEPTION + kind, b'{"message":"No.","originalStatusCode":400}')
    found = only_fault(hear([STARTED, frame]))
    assert (found.kind, found.message) == (fault, "No.")
    deltas = hear([STARTED, piece(0, text="R"), frame, *ended("end_turn")])
    assert deltas[:-1] == [Text(0, "R")]
    assert isinstance(deltas[-1], Failed)


def test_an_exception_without_a_payload_is_still_one() -> None:
    assert only_fault(hear([WireMessage(EXCEPTION + "throttlingException", b"")])).kind == "limited"


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_a_model_that_broke_off_has_failed(reason: str) -> None:
    assert only_fault(hear([STARTED, *ended(reason)])).kind == "nonsense"
    whole = [*decoder().whole(msgspec.json.encode(body({"text": "R"}, reason=reason)))]
    for deltas in (whole, hear([STARTED, piece(0, text="R"), *ended(reason)])):
        assert deltas[:-1] == [Text(0, "R"), SPENT]
        assert isinstance(deltas[-1], Failed)


@pytest.mark.parametrize(
    "broken",
    [
        WireMessage("contentBlockDelta", b"{"),
        WireMessage("contentBlockDelta", b'{"delta":{"text":"x"}}'),
        WireMessage("contentBlockStart", b'{"contentBlockIndex":0,"start":{"toolUse":{"name":"x"}}}'),
        WireMessage("messageStop", b"{}"),
        WireMessage("metadata", b'{"usage":3}'),
        WireMessage("contentBlockDelta", b'{"contentBlockIndex":7,"delta":{"toolUse":{"input":"{"}}}'),
        WireMessage("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"\xff"}}'),
    ],
)
def test_ST_13_an_event_that_breaks_the_dialect_ends_the_answer(broken: WireMessage) -> None:
    assert only_fault(hear([STARTED, broken, *ended("end_turn")])).kind == "nonsense"


@pytest.mark.parametrize("data", [b"", b"null", b"<html>", b'{"output":{}}', b"[]", b'{"output":{"message":'])
def test_UP_07_a_body_that_is_no_answer_is_nonsense(data: bytes) -> None:
    assert only_fault([*decoder().whole(data)]).kind == "nonsense"


def test_UP_06_an_error_with_a_good_status_is_an_error() -> None:
    body = b'{"__type":"ThrottlingException","message":"Too many requests"}'
    assert only_fault([*decoder().whole(body)]).kind == "limited"


def test_MO_08_counts_below_zero_cost_nothing() -> None:
    odd = event("metadata", usage={"inputTokens": -5, "outputTokens": "3", "cacheReadInputTokens": 2})
    assert Spent(Usage(input_tokens=2, cache_read_tokens=2, output_tokens=3)) in hear([ended("end_turn")[0], odd])


@given(st.lists(st.sampled_from([part for answer in ANSWERS for part in answer.stream]), max_size=30))
def test_any_order_of_events_is_read_without_an_exception(stream: list[WireMessage]) -> None:
    deltas = hear(stream)
    assert sum(isinstance(delta, Stopped | Failed) for delta in deltas) <= 1


@pytest.mark.parametrize(
    ("status", "kind", "fault"),
    [
        (400, "ValidationException", "rejected"),
        (400, "ServiceQuotaExceededException", "limited"),
        (403, "AccessDeniedException", "credentials"),
        (404, "ResourceNotFoundException", "missing"),
        (408, "ModelTimeoutException", "silent"),
        (424, "ModelErrorException", "unavailable"),
        (429, "ThrottlingException", "limited"),
        (429, "ModelNotReadyException", "overloaded"),
        (500, "InternalServerException", "unavailable"),
        (503, "ServiceUnavailableException", "overloaded"),
    ],
)
def test_a_status_is_classified(status: int, kind: str, fault: str) -> None:
    headers = {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/"}
    found = ADAPTER.fault(status, headers, b'{"message":"No."}', endpoint())
    assert (found.kind, found.status, found.message) == (fault, status, "No.")
