"""The Gemini adapter: every recorded body against the types of Google's own library, and what the cassettes leave out.

Laws: nothing that arrives makes the decoder raise; a citation points at the words it was told; a signature that a
client plays back stands on the part it came on.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from tests.fold import fold
from tests.record import Cassette, cassettes, encode
from trunkline.adapters.contract import Decoder
from trunkline.adapters.encoding.schema_subsets import GEMINI, GEMINI_OPENAPI, Subset
from trunkline.adapters.encoding.schema_writer import write_schema
from trunkline.adapters.gemini.request import ADAPTER
from trunkline.adapters.gemini.sources import cited, read_grounding
from trunkline.adapters.gemini.wire import FORMAT, decode_usage
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks
from trunkline.errors import BadRequest, Unprocessable
from trunkline.faces.responses.assemble import Assembler
from trunkline.faces.responses.parse import parse
from trunkline.protocol.items import Found
from trunkline.protocol.render import render_response
from trunkline.protocol.request import Request
from trunkline.stream.deltas import (
    Arguments,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    ReasoningSeal,
    ReasoningSummary,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.wire import WireMessage

Json = dict[str, Any]

RECORDED = [cassette for cassette in cassettes() if cassette.folder.parent.name == "gemini"]
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}}
PLAIN = Quirks()
SCHEMA = {"type": "json_schema", "name": "kite", "schema": {"type": "object"}}


@cache
def vendor_types() -> Any:
    """The vendor's types; imported here since that takes seconds, in each process that collects tests."""
    from google.genai import types

    return types


VENDOR_TYPES = {
    "contents": "Content",
    "systemInstruction": "Content",
    "tools": "Tool",
    "toolConfig": "ToolConfig",
    "safetySettings": "SafetySetting",
    "generationConfig": "GenerateContentConfig",
}


def endpoint(quirks: Quirks = PLAIN, **fields: Any) -> Endpoint:
    given = {"upstream_model": "gemini-x", "base_url": "https://gemini.example/v1beta", **fields}
    return Endpoint(
        model=Model(slug="google/gemini-x"),
        provider=Provider(slug="google", name="Google"),
        dialect="gemini",
        quirks=quirks,
        **given,
    )


def request(**body: Any) -> Request:
    return parse(msgspec.json.encode({"model": "google/gemini-x", "input": "Weather in Oslo?", **body}))


def sent(asked: Request, at: Endpoint | None = None) -> tuple[Json, tuple[str, ...]]:
    made = ADAPTER.encode(asked, at or endpoint(), None)
    return msgspec.json.decode(made.body), made.dropped


def decoder(**body: Any) -> Decoder:
    return ADAPTER.decoder(request(**body), endpoint())


def chunk(*parts: Json, **more: Any) -> WireMessage:
    finish = more.pop("finish", None)
    candidate = {"content": {"role": "model", "parts": parts}, **({"finishReason": finish} if finish else {})}
    return WireMessage(None, json.dumps({"candidates": [candidate], **more}).encode())


def heard(*messages: WireMessage, **body: Any) -> list[Delta]:
    reader = decoder(**body)
    return [delta for message in messages for delta in reader.message(message)] + list(reader.end())


def validated(body: Json) -> None:
    """Hold every field of a body to the vendor's type for it, which knows no others."""
    for name, value in body.items():
        for piece in value if isinstance(value, list) else [value]:
            getattr(vendor_types(), VENDOR_TYPES[name]).model_validate_json(json.dumps(piece))


# The request


@pytest.mark.parametrize("cassette", RECORDED, ids=lambda cassette: cassette.folder.name)
def test_recorded_bodies_fit_the_vendor_types(cassette: Cassette) -> None:
    validated(msgspec.json.decode(encode(cassette).body))


@pytest.mark.parametrize("cassette", RECORDED, ids=lambda cassette: cassette.folder.name)
def test_recorded_answers_fit_the_vendor_types(cassette: Cassette) -> None:
    answer = cassette.answers.get(".json", b"")
    if cassette.status == 200 and answer.startswith(b"{") and b'"error"' not in answer:
        vendor_types().GenerateContentResponse.model_validate_json(answer)


def test_vendor_types_refuse_a_field_nobody_knows() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        validated({"generationConfig": {"topp": 1}})


class Path(Struct, frozen=True):
    id: str
    base_url: str
    sent: str
    stream: bool = False
    quirks: Quirks = Quirks()
    upstream_model: str = "gemini-x"


VERTEX = "https://v.example/v1/projects/p/locations/l/publishers/google/models"
PATHS = [
    Path("whole at AI Studio", "https://g.example/v1beta", "https://g.example/v1beta/models/gemini-x:generateContent"),
    Path(
        "streamed at AI Studio",
        "https://g.example/v1beta",
        "https://g.example/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
        stream=True,
    ),
    Path("the base of Vertex names the models already", VERTEX, f"{VERTEX}/gemini-x:generateContent"),
    Path(
        "an endpoint that can only stream",
        "https://g.example",
        "https://g.example/models/gemini-x:streamGenerateContent?alt=sse",
        quirks=Quirks(streams="always"),
    ),
    Path("a path of its own", "https://g.example", "https://g.example/m/gemini-x", quirks=Quirks(path="/m/{model}")),
    Path(
        "a path of its own for streams",
        "https://g.example",
        "https://g.example/s/gemini-x",
        stream=True,
        quirks=Quirks(path="/m/{model}", stream_path="/s/{model}"),
    ),
    Path(
        "a name cannot leave its place in the path",
        "https://g.example",
        "https://g.example/models/..%2Fadmin%3Fx%23y:generateContent",
        upstream_model="../admin?x#y",
    ),
]


@pytest.mark.parametrize("case", PATHS, ids=lambda case: case.id)
def test_path(case: Path) -> None:
    at = endpoint(case.quirks, base_url=case.base_url, upstream_model=case.upstream_model)
    assert ADAPTER.encode(request(stream=case.stream), at, None).url == case.sent


class Case(Struct, frozen=True):
    """`config` is the generation config expected, `rest` other fields; a value of None: absent."""

    id: str
    asked: Json
    config: Json = {}
    rest: Json = {}
    quirks: Quirks = Quirks()
    fields: Json = {}
    dropped: tuple[str, ...] = ()


LEVEL = Quirks(thinking_style="level")
CASES = [
    Case("nothing asked, no config", {}, rest={"generationConfig": None}),
    Case(
        "a parameter the row drops",
        {"top_k": 4, "top_p": 0.5},
        {"topP": 0.5},
        quirks=Quirks(drops=frozenset({"top_k"})),
        dropped=("top_k",),
    ),
    Case(
        "a parameter the model does not support",
        {"presence_penalty": 1, "temperature": 2},
        {"temperature": 2},
        fields={"supports": frozenset({"temperature"})},
        dropped=("presence_penalty",),
    ),
    Case(
        "logprobs where there are none", {"top_logprobs": 3}, quirks=Quirks(logprobs="never"), dropped=("top_logprobs",)
    ),
    Case(
        "thinking where the model has none is dropped",
        {"reasoning": {"effort": "high"}},
        fields={"supports": frozenset({"tools"})},
        dropped=("reasoning",),
    ),
    Case(
        "no thinking where the model has none is no loss",
        {"reasoning": {"effort": "none"}},
        quirks=Quirks(thinking_style="none"),
    ),
    Case(
        "an effort the model has",
        {"reasoning": {"effort": "minimal"}},
        {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "MINIMAL"}},
        quirks=LEVEL,
        fields={"reasoning_efforts": ("none", "minimal", "high")},
    ),
    Case(
        "a level for a budget",
        {"reasoning": {"max_tokens": 900}, "max_output_tokens": 1000},
        {"maxOutputTokens": 1000, "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"}},
        quirks=LEVEL,
        dropped=("reasoning.effort", "reasoning.max_tokens"),
    ),
    Case(
        "thinking on, as much as the model likes",
        {"reasoning": {"enabled": True}},
        {"thinkingConfig": {"includeThoughts": True}},
        quirks=LEVEL,
    ),
    Case(
        "a small budget is raised to the least",
        {"reasoning": {"max_tokens": 100}},
        {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 512}},
        dropped=("reasoning.max_tokens",),
    ),
    Case(
        "strict tools where a server knows no strictness",
        {"tools": [{**WEATHER, "strict": True}]},
        rest={"toolConfig": None},
        quirks=Quirks(has_strict_tools=False),
        dropped=("tools.strict",),
    ),
    Case(
        "JSON beside tools is asked for in words",
        {"tools": [WEATHER], "text": {"format": {"type": "json_object"}}},
        rest={"systemInstruction": {"parts": [{"text": "Answer with one JSON object and nothing else."}]}},
        dropped=("text.format",),
    ),
    Case(
        "a schema beside a search is asked for in words",
        {"tools": [{"type": "web_search"}], "text": {"format": SCHEMA}},
        rest={"tools": [{"googleSearch": {}}]},
        dropped=("text.format",),
    ),
    Case(
        "a schema beside a search where both are taken",
        {"tools": [{"type": "web_search"}], "text": {"format": SCHEMA}},
        {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        rest={"tools": [{"googleSearch": {}}]},
        quirks=Quirks(schema_beside_tools=True),
    ),
    Case(
        "JSON beside tools where both are taken",
        {"tools": [WEATHER], "text": {"format": {"type": "json_object"}}},
        {"responseMimeType": "application/json"},
        quirks=Quirks(schema_beside_tools=True),
    ),
    Case(
        "what has no place here",
        {"prompt_cache_key": "k", "safety_identifier": "u", "tools": [WEATHER], "parallel_tool_calls": False},
        dropped=("safety_identifier", "prompt_cache_key", "parallel_tool_calls"),
    ),
    Case(
        "earlier calls without tools get stand-ins that may not be called",
        {
            "input": [
                {"role": "user", "content": "Hi"},
                {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": ""},
                {"type": "function_call_output", "call_id": "c1", "output": "rain"},
            ]
        },
        rest={
            "tools": [{"functionDeclarations": [{"name": "weather"}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "NONE"}},
        },
    ),
    Case(
        "system text alone becomes the question",
        {"input": [{"role": "system", "content": "Say hi."}]},
        rest={"systemInstruction": None, "contents": [{"role": "user", "parts": [{"text": "Say hi."}]}]},
    ),
    Case(
        "a picture that never came leaves no trace",
        {
            "input": [
                {"role": "user", "content": "A kite"},
                {"type": "image_generation_call", "id": "ig_1", "status": "failed", "result": None},
                {"role": "user", "content": "Again"},
            ]
        },
        rest={"contents": [{"role": "user", "parts": [{"text": "A kite"}, {"text": "Again"}]}]},
    ),
    Case(
        "a conversation that the model begins",
        {"input": [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Hi"}]},
        rest={
            "contents": [
                {"role": "user", "parts": [{"text": "(The conversation begins.)"}]},
                {"role": "model", "parts": [{"text": "Hello."}]},
                {"role": "user", "parts": [{"text": "Hi"}]},
            ]
        },
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_encode(case: Case) -> None:
    body, dropped = sent(request(**case.asked), endpoint(case.quirks, **case.fields))
    validated(body)
    assert body.get("generationConfig", {}) == case.config
    assert {name: body.get(name) for name in case.rest} == case.rest
    assert dropped == case.dropped


@pytest.mark.parametrize(
    ("asked", "quirks", "fields"),
    [
        ({"tools": [WEATHER]}, Quirks(drops=frozenset({"tools"})), {}),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://x.example/a.pdf"}]}]},
            Quirks(),
            {"input_modalities": frozenset({"text"})},
        ),
    ],
    ids=["tools where there are none", "a file where none are read"],
)
def test_refused(asked: Json, quirks: Quirks, fields: Json) -> None:
    with pytest.raises(Unprocessable):
        sent(request(**asked), endpoint(quirks, **fields))


def test_data_that_is_not_base64_is_the_clients_fault() -> None:
    part = {"type": "input_image", "image_url": "data:image/png;base64,???"}
    with pytest.raises(BadRequest):
        sent(request(input=[{"role": "user", "content": [part]}]))


def test_numbers_of_a_tool_result_are_not_read_and_written_again() -> None:
    output = '{"share": 1.0, "id": 12345678901234567890123}'
    items = [
        {"role": "user", "content": "Hi"},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": output},
    ]
    assert output.encode() in ADAPTER.encode(request(input=items), endpoint(), None).body


# Schemas


def written(given: Json, subset: Subset) -> Json:
    found = write_schema(given, subset, is_strict=False)
    assert found is not None
    return found.schema


@pytest.mark.parametrize(
    ("given", "narrowed"),
    [
        ({"const": 4, "pattern": "x"}, {"enum": [4]}),
        ({"allOf": [{"type": "object", "title": "a"}, {"title": "b"}], "title": "c"}, {"type": "object", "title": "c"}),
        ({"definitions": {"a": {"type": "string"}}, "$ref": "#/definitions/a"}, {"type": "string"}),
        ({"properties": {"pattern": {"type": "string"}}}, {"properties": {"pattern": {"type": "string"}}}),
    ],
    ids=[
        "a constant is an enum of one",
        "parts of a whole are folded in",
        "old definitions are inlined",
        "a property may have the name of a keyword",
    ],
)
def test_json_schema(given: Json, narrowed: Json) -> None:
    assert written(given, GEMINI) == narrowed


@pytest.mark.parametrize(
    ("given", "narrowed"),
    [
        ({"type": ["string", "null"], "enum": ["a", None]}, {"type": "string", "nullable": True, "enum": ["a"]}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer"}),
        ({"type": "string", "format": "uri"}, {"type": "string"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "integer", "format": "int32"}, {"type": "integer", "format": "int32"}),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}], "nullable": True}),
        ({"type": "object", "additionalProperties": False}, {"type": "object"}),
    ],
    ids=[
        "null is a flag",
        "several types are alternatives",
        "an enum of numbers is left out",
        "an unknown format is left out",
        "a known format stays",
        "a format of numbers stays",
        "one of is any of",
        "closing is left out",
    ],
)
def test_openapi_schema(given: Json, narrowed: Json) -> None:
    made = written(given, GEMINI_OPENAPI)
    assert made == narrowed
    vendor_types().Schema.model_validate_json(json.dumps(made))


# The answer


def test_calls_without_ids_get_the_same_in_the_same_answer_and_others_in_every_turn() -> None:
    def ids(**body: Any) -> list[str]:
        parts = [{"functionCall": {"name": "weather"}}, {"functionCall": {"name": "weather"}}]
        deltas = heard(chunk(*parts, responseId="r1", finish="STOP"), **body)
        return [delta.call_id for delta in deltas if isinstance(delta, FunctionCall)]

    later = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    assert ids() == ids()
    assert len({*ids(), *ids(input=later)}) == 4


def test_a_call_is_told_whole_behind_its_seal() -> None:
    call = {"functionCall": {"id": "f1", "name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": "Cp+/"}
    assert heard(chunk({"text": "Hm", "thought": True}), chunk(call, finish="STOP")) == [
        ReasoningSummary(0, "Hm"),
        ReasoningSeal(0, signature="Cp+/", format=FORMAT, endpoint_id=endpoint().id),
        FunctionCall(1, "f1", "weather"),
        Arguments(1, '{"city":"Oslo"}'),
        Closed(1),
        Stopped("calls"),
    ]


SIGNED_PARTS = st.lists(
    st.one_of(
        st.builds(lambda text: {"text": text}, st.text("aü🪁", min_size=1, max_size=3)),
        st.builds(
            lambda text, sign: {"text": text, "thoughtSignature": sign},
            st.text("aü", min_size=1, max_size=3),
            st.sampled_from(["AAAA", "BB+/", "CC=="]),
        ),
        st.builds(lambda name: {"functionCall": {"id": name, "name": name, "args": {}}}, st.sampled_from(["f", "g"])),
    ),
    min_size=1,
    max_size=6,
)


@given(SIGNED_PARTS)
def test_signatures_come_back_byte_for_byte_and_in_their_order(parts: list[Json]) -> None:
    """Texts that continue each other come back as one part; of parallel calls the first is signed, as in life."""
    for before, part in zip([{}, *parts], parts, strict=False):
        if "functionCall" in part and "functionCall" not in before:
            part["thoughtSignature"] = "DDDD"
    deltas = heard(*[chunk(part) for part in parts], chunk(finish="STOP"))
    assembler = Assembler(request(), "resp_1", iter(str(n) for n in range(99)), 0.0, "google/gemini-x")
    response = fold(assembler.feed(deltas) + assembler.end(1.0))
    output = json.loads(render_response(response))["output"]
    calls = [item["call_id"] for item in output if item["type"] == "function_call"]
    results = [{"type": "function_call_output", "call_id": call_id, "output": "ok"} for call_id in calls]
    body, _ = sent(
        request(input=[{"role": "user", "content": "Hi"}, *output, *results, {"role": "user", "content": "Go"}])
    )
    played = [part for content in body["contents"] if content["role"] == "model" for part in content["parts"]]

    def signatures(of: list[Json]) -> list[str]:
        return [part["thoughtSignature"] for part in of if "functionCall" in part and "thoughtSignature" in part]

    assert signatures(played) == signatures(parts)
    assert {part.get("thoughtSignature") for part in played} <= {part.get("thoughtSignature") for part in parts} | {
        None
    }
    assert "".join(part.get("text", "") for part in played) == "".join(part.get("text", "") for part in parts)


@given(st.text("aø🌧 ", min_size=1, max_size=30), st.data())
def test_a_citation_points_at_the_words_it_was_told(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    segment = {"startIndex": len(text[:start].encode()), "endIndex": len(text[:end].encode())}
    if data.draw(st.booleans()):
        segment["text"] = text[start:end]  # type: ignore[assignment]
    told = {
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
        "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0, 7]}],
    }
    (citation,) = cited(text, read_grounding(Raw(json.dumps(told).encode())))
    assert (citation.start_index, citation.end_index) == (start, end)


def test_what_a_search_found_is_each_page_once_with_its_title() -> None:
    pages = [{"uri": "https://a.example", "title": "A"}, {"uri": "https://b.example"}, {"uri": "https://a.example"}, {}]
    told = {"webSearchQueries": ["kites"], "groundingChunks": [{"web": page} for page in pages]}
    found = read_grounding(Raw(json.dumps(told).encode())).results
    assert found == (Found("https://a.example", "A"), Found("https://b.example"))


def test_offsets_of_another_part_give_way_to_the_words() -> None:
    told = b'{"groundingChunks":[{"maps":{"uri":"https://m.example"}}],"groundingSupports":[{"segment":{"startIndex":90,"endIndex":95,"text":"rain"},"groundingChunkIndices":[0]}]}'
    (citation,) = cited("Some rain.", read_grounding(Raw(told)))
    assert (citation.start_index, citation.end_index, citation.title) == (5, 9, "")


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("NO_IMAGE", "content_filter"),
        ("CONTINUATION", "length"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_finish(finish: str, reason: str) -> None:
    assert heard(chunk({"text": "Hi"}, finish=finish))[-1] == Stopped(reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "finish", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE", "OTHER"]
)
def test_a_broken_finish_is_a_fault_that_may_go_better_elsewhere(finish: str) -> None:
    (failed,) = heard(chunk(finish=finish))
    assert isinstance(failed, Failed)
    assert failed.fault.kind == "unavailable"


def test_usage_is_told_early_as_an_estimate_and_last_as_counted() -> None:
    early, late = {"promptTokenCount": 5}, {"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 3}
    spent = [
        delta.usage
        for delta in heard(
            chunk({"text": "a"}, usageMetadata=early), chunk({"text": "b"}, usageMetadata=late, finish="STOP")
        )
        if isinstance(delta, Spent)
    ]
    assert spent == [Usage(input_tokens=5, estimated=True), Usage(input_tokens=5, output_tokens=5, reasoning_tokens=3)]


def test_MO_08_negative_counts_and_more_cached_than_read() -> None:
    told = Raw(
        b'{"promptTokenCount":10,"candidatesTokenCount":-500,"cachedContentTokenCount":99,"thoughtsTokenCount":-1}'
    )
    assert decode_usage(told) == Usage(input_tokens=10, cache_read_tokens=10)


def test_MO_09_counts_that_are_no_counts() -> None:
    usage = decode_usage(
        Raw(
            b'{"promptTokenCount":9223372036854775808,"candidatesTokenCount":"12","thoughtsTokenCount":1.5,"cachedContentTokenCount":null}'
        )
    )
    assert usage == Usage(input_tokens=2**31 - 1, output_tokens=13, reasoning_tokens=1)


def test_MO_10_no_usage_is_not_invented() -> None:
    assert not any(isinstance(delta, Spent) for delta in heard(chunk({"text": "a"}, finish="STOP")))


def test_UP_07_a_whole_body_that_is_none() -> None:
    for body in (b"", b"null", b"<html>", b'{"candidates":', b"{}", b"[]", b"[1]", b'"text"'):
        (failed,) = decoder().whole(body)
        assert isinstance(failed, Failed)
        assert failed.fault.kind == "nonsense"


def test_UP_22_nesting_without_end_and_numbers_without_end() -> None:
    deep = (
        b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":'
        + b"[" * 10_000
        + b"]" * 10_000
        + b"}}}]}}]}"
    )
    long = b'{"usageMetadata":{"promptTokenCount":' + b"9" * 5_000 + b"}}"
    for data in (deep, long):
        reader = decoder()
        assert all(isinstance(delta, Delta) for delta in [*reader.message(WireMessage(None, data)), *reader.end()])


def test_ST_13_one_broken_message_ends_the_answer() -> None:
    deltas = heard(chunk({"text": "a"}), WireMessage(None, b'{"candidates":[}'), chunk({"text": "b"}, finish="STOP"))
    assert [type(delta) for delta in deltas] == [Text, Failed]


def test_ST_07_an_answer_without_a_finish_has_no_stop() -> None:
    assert heard(chunk({"text": "a"})) == [Text(0, "a")]


def test_a_finish_in_every_message_ends_nothing() -> None:
    deltas = heard(chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, finish="STOP"))
    assert deltas == [Text(0, "a"), Text(0, "b"), Stopped("stop")]


NAMES = (
    "candidates content parts text thought thoughtSignature functionCall name args inlineData data mimeType "
    "finishReason groundingMetadata groundingSupports segment groundingChunks web uri webSearchQueries usageMetadata "
    "promptFeedback blockReason logprobsResult error code message"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20), max_size=4))
def test_nothing_that_arrives_makes_the_decoder_raise(messages: list[bytes]) -> None:
    streamed, whole = decoder(top_logprobs=1), decoder()
    deltas = [delta for data in messages for delta in streamed.message(WireMessage(None, data))] + list(streamed.end())
    assert all(isinstance(delta, Delta) for delta in deltas)
    assert sum(isinstance(delta, Failed | Stopped) for delta in deltas) <= 1
    for data in messages[:1]:
        assert all(isinstance(delta, Delta) for delta in whole.whole(data))
