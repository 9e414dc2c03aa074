"""Schemas end to end: what the provider gets of one, what the client is told of it, and the JSON that comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.checks import ask, events_of, response_of, text_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, stream, whole

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
"""
DIALECTS = ("chat", "mistral", "responses", "messages", "converse", "gemini", "cohere")
SHIPPED = {"groq": "chat", "openai": "responses"}
NO_SCHEMAS = 'quirks = { structured_output = "none" }\n'


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`mock/<dialect>` has schemas, `bare/<dialect>` has none; `mock/groq` and `mock/openai` are the shipped rows."""
    config = CONFIG
    for dialect in DIALECTS:
        config += PROVIDER.format(name=f"form-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        config += ENDPOINT.format(provider=f"form-{dialect}", model=f"mock/{dialect}")
        config += ENDPOINT.format(provider=f"form-{dialect}", model=f"bare/{dialect}") + NO_SCHEMAS
    for name in SHIPPED:
        config += f'[providers.{name}]\nbase_url = "{upstream.url}/{name}/v1"\napi_key = {{ env = "MOCK_KEY" }}\n'
        config += f'dialect = "{SHIPPED[name]}"\n' + ENDPOINT.format(provider=name, model=f"mock/{name}")
    with running(tmp_path_factory.mktemp("schemas"), config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def form(schema: Any, *, strict: bool = True) -> dict[str, Any]:
    return {"text": {"format": {"type": "json_schema", "name": "answer", "strict": strict, "schema": schema}}}


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


SCORES = {"type": "object", "additionalProperties": {"type": "number"}}
NODE = closed(name={"type": "string"}, children={"type": "array", "items": {"$ref": "#/$defs/Node"}})
BOUNDED = closed(
    age={"type": "integer", "minimum": 0},
    names={"type": "array", "items": {"type": "string", "maxLength": 9}, "maxItems": 3},
)

ANSWERS: dict[str, Any] = {
    "chat": completion("{}"),
    "responses": {
        "id": "resp_up",
        "object": "response",
        "status": "completed",
        "output": [
            {
                "type": "message",
                "id": "msg_up",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "{}", "annotations": []}],
            }
        ],
        "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
    },
    "messages": {"type": "message", "content": [{"type": "text", "text": "{}"}], "stop_reason": "end_turn"},
    "converse": {"output": {"message": {"role": "assistant", "content": [{"text": "{}"}]}}, "stopReason": "end_turn"},
    "gemini": {"candidates": [{"content": {"parts": [{"text": "{}"}]}, "finishReason": "STOP"}]},
    "cohere": {
        "message": {"role": "assistant", "content": [{"type": "text", "text": "{}"}]},
        "finish_reason": "COMPLETE",
    },
}
ANSWERS["mistral"] = ANSWERS["chat"]


def asking(model: str, nonce: str, **more: Any) -> dict[str, Any]:
    """A request whose fields may be called like the arguments of `ask`."""
    return ask(model, nonce) | more


def sent(gateway: Gateway, upstream: Upstream, nonce: str, model: str, **asked: Any) -> tuple[Any, list[str]]:
    """What the provider got, and the names that the client is told."""
    dialect = model.partition("/")[2]
    upstream.play(nonce, whole(ANSWERS[SHIPPED.get(dialect, dialect)]))
    reply = gateway.call(asking(model, nonce, **asked))
    assert reply.status == 200, reply.body
    return upstream.seen(nonce)[-1].json, reply.headers.get("x-trunkline-dropped", "").split(", ")


class TestShapesWithoutAPlace:
    """S1, S2: a map and a schema that holds itself stay what they are, or leave the grammar and are named."""

    @pytest.mark.parametrize("schema", [closed(scores=SCORES), {**NODE, "$defs": {"Node": NODE}}], ids=["map", "cycle"])
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_S1_S2_nothing_is_shut_in_silence(
        self, dialect: str, schema: Any, gateway: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        body, dropped = sent(gateway, upstream, nonce, f"mock/{dialect}", **form(schema))
        told = json.dumps(body).replace("\\", "")
        assert '"scores": {"type": "object", "properties": {}' not in told.replace('":', '": ').replace('":  ', '": ')
        if dialect in ("messages", "converse"):
            assert "text.format" in dropped
            assert not body.keys() & {"output_config", "outputConfig"}
            assert json.dumps(schema["properties"]) in json.dumps(
                body["tools" if dialect == "messages" else "toolConfig"]
            )
        elif dialect in ("chat", "mistral") and "$defs" not in schema:
            assert "text.format.strict" in dropped
            assert body["response_format"]["json_schema"] == {"name": "answer", "schema": schema, "strict": False}
        else:
            assert dropped == [""]


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "lax"])
@pytest.mark.parametrize("dialect", ["messages", "converse"])
def test_S3_S4_one_grammar_gets_one_language(
    dialect: str, strict: bool, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    """Bedrock gets what Anthropic gets: bounds are left out and named, and what is said otherwise is rewritten."""
    schema = {
        **BOUNDED,
        "properties": {
            **BOUNDED["properties"],
            "either": {"oneOf": [{"type": "string", "format": "uuid"}, {"type": "string", "format": "iri"}]},
            "other": {"allOf": [{"$ref": "#/$defs/Other"}], "description": "Another."},
        },
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"Other": closed(a={"type": "string", "nullable": True})},
    }
    body, dropped = sent(gateway, upstream, nonce, f"mock/{dialect}", **form(schema, strict=strict))
    assert "text.format.schema" in dropped
    if dialect == "messages":
        written = body["output_config"]["format"]["schema"]
    else:
        written = json.loads(body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"])
    assert written["properties"] == {
        "age": {"type": "integer"},
        "names": {"type": "array", "items": {"type": "string"}},
        "either": {"anyOf": [{"type": "string", "format": "uuid"}, {"type": "string"}]},
        "other": {"description": "Another.", **closed(a={"type": ["string", "null"]})},
    }
    assert written["additionalProperties"] is False
    assert "$schema" not in written


LOOK = {"type": "function", "name": "look", "parameters": closed(a={"type": "string"})}


class TestGroq:
    """S5, S6: no JSON form goes out beside tools there, and `json_object` never without the word."""

    @pytest.mark.parametrize(
        "text", [form(NODE | {"$defs": {"Node": NODE}}), {"text": {"format": {"type": "json_object"}}}]
    )
    def test_S5_beside_tools_it_is_asked_for_in_words(
        self, text: Any, gateway: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        body, dropped = sent(gateway, upstream, nonce, "mock/groq", tools=[LOOK], **text)
        assert "text.format" in dropped
        assert "response_format" not in body
        assert "JSON" in body["messages"][0]["content"]
        assert len(body["tools"]) == 1

    def test_S6_the_word_is_said(self, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
        body, dropped = sent(gateway, upstream, nonce, "mock/groq", text={"format": {"type": "json_object"}})
        assert body["response_format"] == {"type": "json_object"}
        assert "JSON" in json.dumps(body["messages"])
        assert dropped == [""]


@pytest.mark.parametrize(("said", "added"), [("Hello", 1), ("As json, please", 0)])
def test_decision_1_the_word_stands_in_the_input(
    said: str, added: int, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    asked = {"input": f"{said} {nonce}", "instructions": "Answer in JSON.", "text": {"format": {"type": "json_object"}}}
    body, _ = sent(gateway, upstream, nonce, "mock/openai", **asked)
    assert len(body["input"]) == 1 + added
    assert "json" in json.dumps(body["input"]).lower()


ARGUMENTS = {"a": "x"}
CALLED: dict[str, Any] = {
    "messages": {
        "type": "message",
        "content": [
            {"type": "text", "text": "Here it is:"},
            {"type": "tool_use", "id": "t1", "name": "answer", "input": ARGUMENTS},
            {"type": "text", "text": "Enjoy."},
        ],
        "stop_reason": "tool_use",
    },
    "converse": {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"text": "Here it is:"},
                    {"toolUse": {"toolUseId": "t1", "name": "answer", "input": ARGUMENTS}},
                ],
            }
        },
        "stopReason": "tool_use",
    },
    "gemini": {
        "candidates": [
            {
                "content": {
                    "parts": [{"text": "Here it is:"}, {"functionCall": {"name": "answer", "args": ARGUMENTS}}]
                },
                "finishReason": "STOP",
            }
        ]
    },
    "cohere": {
        "message": {
            "role": "assistant",
            "content": [{"type": "text", "text": "Here it is:"}],
            "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "answer", "arguments": '{"a":"x"}'}}],
        },
        "finish_reason": "TOOL_CALL",
    },
    "chat": completion(
        "Here it is:",
        "tool_calls",
        tool_calls=[{"id": "t1", "type": "function", "function": {"name": "answer", "arguments": '{"a":"x"}'}}],
    ),
}
CALLED["mistral"] = CALLED["chat"]


@pytest.mark.parametrize("dialect", sorted(CALLED))
def test_S7_the_answer_tool_is_the_whole_text(dialect: str, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    upstream.play(nonce, whole(CALLED[dialect]))
    response = response_of(gateway.call(asking(f"bare/{dialect}", nonce, **form(closed(a={"type": "string"})))))
    messages = [item for item in response["output"] if item["type"] == "message"]
    assert [json.loads(part["text"]) for message in messages for part in message["content"]] == [ARGUMENTS]
    assert not [item for item in response["output"] if item["type"] == "function_call"]


def test_S7_a_stream_holds_the_text_beside_it_back(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    events = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Here it is:"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "t1", "name": "answer", "input": {}},
        },
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a":'}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '"x"}'}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]
    upstream.play(nonce, Script([head(200, "text/event-stream"), sse(events)]))
    reply = gateway.call(asking("bare/messages", nonce, stream=True, **form(closed(a={"type": "string"}))))
    assert text_of(events_of(reply)) == '{"a":"x"}'


@pytest.mark.parametrize("dialect", ["messages", "converse"])
def test_S8_the_answer_tool_has_an_object_at_its_root(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    schema = {"$ref": "#/$defs/R", "$defs": {"R": closed(a={"type": "string"})}}
    body, _ = sent(gateway, upstream, nonce, f"bare/{dialect}", **form(schema))
    tool = body["tools"][0] if dialect == "messages" else body["toolConfig"]["tools"][0]["toolSpec"]
    written = tool["input_schema"] if dialect == "messages" else tool["inputSchema"]["json"]
    assert written["properties"] == {"a": {"type": "string"}}
    assert written["type"] == "object"
    assert "$ref" not in written


@pytest.mark.parametrize(
    "parameters",
    [
        {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
        {"oneOf": [closed(a={"type": "string"}), closed(b={"type": "string"})]},
    ],
    ids=["beside properties", "instead of them"],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_S9_no_union_stands_at_the_root_of_a_tool(
    dialect: str, parameters: Any, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    tool = {"type": "function", "name": "look", "parameters": parameters}
    body, dropped = sent(gateway, upstream, nonce, f"mock/{dialect}", tools=[tool])
    assert "tools.parameters" in dropped
    told = json.dumps(body.get("tools") or body.get("toolConfig"))
    assert '"anyOf"' not in told
    assert '"oneOf"' not in told
    assert '"a": {"type": "string"}, "b": {"type": "string"}' in told
    assert "one of these: a; b." in told


@pytest.mark.parametrize("dialect", ["chat", "mistral"])
def test_decision_12_closing_is_named(dialect: str, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    schema = closed(a={"type": "string"}, b={"type": "string"}) | {"required": ["a"]}
    body, dropped = sent(gateway, upstream, nonce, f"mock/{dialect}", **form(schema))
    assert dropped == ["text.format.strict"]
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["a", "b"]


class TestFence:
    """Decision 14: where JSON was asked for in words, one fence around the whole is taken off; nowhere else."""

    FENCED = '```json\n{"a": "x"}\n```\n'

    @pytest.mark.parametrize("pieces", [1, 3, 7], ids="{} at a time".format)
    @pytest.mark.parametrize(
        ("said", "told"),
        [
            (FENCED, '{"a": "x"}'),
            ('{"a": "```"}', '{"a": "```"}'),
            ('```\n{"a": "```x"}\n```', '{"a": "```x"}'),
            ("``", "``"),
        ],
    )
    def test_a_stream(
        self, pieces: int, said: str, told: str, gateway: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        cut = [said[start : start + pieces] for start in range(0, len(said), pieces)]
        upstream.play(nonce, stream([*(chunk(piece) for piece in cut), chunk(finish="stop"), "[DONE]"]))
        asked = {"text": {"format": {"type": "json_object"}}}
        assert text_of(events_of(gateway.call(asking("bare/chat", nonce, stream=True, **asked)))) == told

    def test_a_grammar_and_plain_text_are_left_alone(self, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
        for asked in ({}, form(closed(a={"type": "string"}))):
            upstream.play(nonce, whole(completion(self.FENCED)))
            response = response_of(gateway.call(asking("mock/chat", nonce, **asked)))
            assert response["output"][-1]["content"][0]["text"] == self.FENCED
