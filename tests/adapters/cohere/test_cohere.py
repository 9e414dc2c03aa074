"""The Cohere adapter: every recorded body against the types of Cohere's own library, and what the cassettes leave out.

Laws: nothing that arrives makes the decoder raise; no citation is told before its text is out, and none is lost.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from cohere import AssistantChatMessageV2, SystemChatMessageV2, ToolChatMessageV2, UserChatMessageV2
from cohere.types import ResponseFormatV2, Thinking, ToolV2
from cohere.v2.types import V2ChatResponse
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from pydantic import BaseModel, TypeAdapter

from tests.record import Cassette, cassettes, encode
from trunkline.adapters.cohere.request import ADAPTER
from trunkline.adapters.cohere.wire import decode_logprobs, decode_usage
from trunkline.adapters.contract import Decoder
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks
from trunkline.errors import Unprocessable
from trunkline.faces.responses.parse import parse
from trunkline.protocol.items import FileCitation, Logprob, UrlCitation
from trunkline.protocol.request import Request
from trunkline.stream.deltas import (
    Arguments,
    Citation,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Reasoning,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.wire import Fault, WireMessage

Json = dict[str, Any]

RECORDED = [cassette for cassette in cassettes() if cassette.folder.parent.name == "cohere"]
PLAIN = Quirks(error_shape="cohere")
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}}
FORM = {"format": {"type": "json_schema", "name": "kite", "schema": {"type": "object", "properties": {"a": {}}}}}

MESSAGES: dict[str, type[BaseModel]] = {
    "system": SystemChatMessageV2,
    "user": UserChatMessageV2,
    "assistant": AssistantChatMessageV2,
    "tool": ToolChatMessageV2,
}
FIELDS: dict[str, Any] = {"response_format": ResponseFormatV2, "thinking": Thinking}
NUMBERS = {"max_tokens", "temperature", "p", "k", "presence_penalty", "frequency_penalty"}
REST = {"model", "messages", "tools", "stream", "logprobs", "strict_tools", "tool_choice"}


def endpoint(quirks: Quirks = PLAIN, **fields: Any) -> Endpoint:
    given = {"upstream_model": "command-x", "base_url": "https://cohere.example/v2", **fields}
    model, provider = Model(slug="cohere/command-x"), Provider(slug="cohere", name="Cohere")
    return Endpoint(model=model, provider=provider, dialect="cohere", quirks=quirks, **given)


def request(**body: Any) -> Request:
    return parse(msgspec.json.encode({"model": "cohere/command-x", "input": "Weather in Oslo?", **body}))


def sent(asked: Request, at: Endpoint | None = None) -> tuple[Json, tuple[str, ...]]:
    made = ADAPTER.encode(asked, at or endpoint(), None)
    return msgspec.json.decode(made.body), made.dropped


def same(model: type[BaseModel], value: Json) -> None:
    """Hold a value to a vendor's type and see that nothing of it is left over."""
    assert json.loads(model.model_validate(value).model_dump_json(exclude_unset=True)) == value
    assert not model.model_validate(value).model_extra


def validated(body: Json) -> None:
    assert body.keys() <= NUMBERS | REST | FIELDS.keys()
    for message in body["messages"]:
        same(MESSAGES[message["role"]], message)
    for tool in body.get("tools", ()):
        same(ToolV2, tool)
    for name in FIELDS.keys() & body.keys():
        TypeAdapter(FIELDS[name]).validate_python(body[name])
    assert all(isinstance(body[name], int | float) for name in NUMBERS & body.keys())


def event(kind: str, index: int = 0, **message: Any) -> WireMessage:
    return WireMessage(kind, json.dumps({"type": kind, "index": index, "delta": {"message": message}}).encode())


def text(piece: str, index: int = 0) -> WireMessage:
    return event("content-delta", index, content={"text": piece})


def ended(finish: str | None = "COMPLETE", **delta: Any) -> WireMessage:
    return WireMessage(None, json.dumps({"type": "message-end", "delta": {"finish_reason": finish, **delta}}).encode())


def decoder(quirks: Quirks = PLAIN, **body: Any) -> Decoder:
    return ADAPTER.decoder(request(**body), endpoint(quirks))


def heard(*messages: WireMessage, **body: Any) -> list[Delta]:
    reader = decoder(**body)
    return [delta for message in messages for delta in reader.message(message)] + list(reader.end())


# The request


@pytest.mark.parametrize("cassette", RECORDED, ids=lambda cassette: cassette.folder.name)
def test_recorded_bodies_fit_the_vendor_types(cassette: Cassette) -> None:
    try:
        body = encode(cassette).body
    except Unprocessable:
        assert cassette.folder.name.endswith("is-refused")
    else:
        validated(msgspec.json.decode(body))


@pytest.mark.parametrize("cassette", RECORDED, ids=lambda cassette: cassette.folder.name)
def test_recorded_answers_fit_the_vendor_types(cassette: Cassette) -> None:
    answer = cassette.answers.get(".json", b"")
    if cassette.status == 200 and b'"finish_reason"' in answer:
        V2ChatResponse.model_validate_json(answer)


class Case(Struct, frozen=True):
    """`sent` holds the fields that matter; a value of None says that the field must be absent."""

    id: str
    asked: Json
    sent: Json
    quirks: Quirks = PLAIN
    fields: Json = {}
    dropped: tuple[str, ...] = ()


CASES = [
    Case(
        "a named function is the only one, and required",
        {"tools": [WEATHER, {**WEATHER, "name": "clock"}], "tool_choice": {"type": "function", "name": "weather"}},
        {"tools": [{"type": "function", "function": {"name": "weather", "parameters": WEATHER["parameters"]}}]}
        | {"tool_choice": "REQUIRED"},
    ),
    Case("auto is the default and has no word", {"tools": [WEATHER], "tool_choice": "auto"}, {"tool_choice": None}),
    Case(
        "a call cannot be forced while the model thinks, where the row says so",
        {"tools": [WEATHER], "tool_choice": "required", "reasoning": {"enabled": True}},
        {"tool_choice": None, "thinking": {"type": "enabled"}},
        quirks=Quirks(thinking_forbids_forced_tools=True),
        dropped=("tool_choice",),
    ),
    Case(
        "strictness holds for all tools or for none",
        {"tools": [{**WEATHER, "strict": True}, {**WEATHER, "name": "clock"}]},
        {"strict_tools": None},
        dropped=("tools.strict",),
    ),
    Case(
        "a schema without a native form becomes a tool",
        {"text": FORM},
        {"response_format": None, "tool_choice": "REQUIRED"},
        quirks=Quirks(structured_output="none"),
        dropped=("text.format",),
    ),
    Case(
        "JSON where the server has no form for it is asked for in words",
        {"text": {"format": {"type": "json_object"}}},
        {"response_format": None},
        quirks=Quirks(structured_output="none"),
        dropped=("text.format",),
    ),
    Case(
        "a budget of the client goes as it is",
        {"reasoning": {"max_tokens": 77}},
        {"thinking": {"type": "enabled", "token_budget": 77}},
    ),
    Case(
        "no thinking where the model has none is no loss",
        {"reasoning": {"effort": "none"}},
        {"thinking": None},
        fields={"supports": frozenset({"tools"})},
    ),
    Case(
        "thinking where the model has none is dropped",
        {"reasoning": {"effort": "low"}},
        {"thinking": None},
        fields={"supports": frozenset({"tools"})},
        dropped=("reasoning",),
    ),
    Case(
        "what the row drops",
        {"top_logprobs": 2, "top_k": 3},
        {"logprobs": None, "k": 3},
        quirks=Quirks(drops=frozenset({"top_logprobs"})),
        dropped=("top_logprobs",),
    ),
    Case(
        "fixed fields never override the client's",
        {"max_output_tokens": 9},
        {"max_tokens": 9},
        quirks=Quirks(extra_body={"max_tokens": 1}),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_encode(case: Case) -> None:
    body, dropped = sent(request(**case.asked), endpoint(case.quirks, **case.fields))
    validated(body)
    assert {name: body.get(name) for name in case.sent} == case.sent
    assert dropped == case.dropped


def test_tools_where_there_are_none_are_refused() -> None:
    with pytest.raises(Unprocessable):
        sent(request(tools=[WEATHER]), endpoint(supports=frozenset({"temperature"})))


def test_a_bad_token_is_the_operators_fault_in_any_row() -> None:
    """498 is a rate limit elsewhere."""
    assert ADAPTER.fault(498, {}, b'{"message":"invalid token"}', endpoint(Quirks())).kind == "credentials"


# The answer


def test_a_plan_and_calls_whose_pieces_interleave() -> None:
    calls = [
        event("tool-call-start", 0, tool_calls={"id": "a", "function": {"name": "weather", "arguments": ""}}),
        event("tool-call-start", 1, tool_calls={"id": "b", "function": {"name": "clock"}}),
        event("tool-call-delta", 0, tool_calls={"function": {"arguments": "{}"}}),
        event("tool-call-delta", 1, tool_calls={"function": {"arguments": "{ }"}}),
        event("tool-call-end", 1),
        event("tool-call-end", 0),
    ]
    assert heard(event("tool-plan-delta", tool_plan="I ask."), *calls, ended("TOOL_CALL")) == [
        Reasoning(0, "I ask."),
        FunctionCall(1, "a", "weather"),
        FunctionCall(2, "b", "clock"),
        Arguments(1, "{}"),
        Arguments(2, "{ }"),
        Closed(2),
        Closed(1),
        Stopped("calls"),
    ]


def test_a_call_without_a_name_is_nonsense() -> None:
    nameless = {"id": "a", "function": {"arguments": '{"b":1}'}}
    streamed = heard(event("tool-call-start", 0, tool_calls=nameless), ended("TOOL_CALL"))
    body = {"message": {"tool_plan": "I ask.", "tool_calls": [nameless]}, "finish_reason": "TOOL_CALL"}
    for deltas in (streamed, list(decoder().whole(json.dumps(body).encode()))):
        assert isinstance(deltas[-1], Failed)
        assert deltas[-1].fault.kind == "nonsense"
        assert not any(isinstance(delta, Stopped) for delta in deltas)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("ERROR_LIMIT", "length"),
        ("NEW", "stop"),
    ],
)
def test_finish(finish: str, reason: str) -> None:
    assert heard(text("a"), ended(finish))[-1] == Stopped(reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stops", "finish", "sequence"),
    [(["END"], "STOP_SEQUENCE", "END"), (["END", "X"], "STOP_SEQUENCE", None), (["END"], "COMPLETE", None)],
    ids=["the only one", "one of two", "none"],
)
def test_which_stop_text_ended_an_answer_is_told_where_there_is_but_one(
    stops: list[str], finish: str, sequence: str | None
) -> None:
    assert heard(text("a"), ended(finish), stop=stops)[-1] == Stopped("stop", sequence)


def test_the_tool_that_stands_for_an_answer_is_text() -> None:
    start = event("tool-call-start", 0, tool_calls={"id": "a", "function": {"name": "kite", "arguments": ""}})
    piece = event("tool-call-delta", 0, tool_calls={"function": {"arguments": '{"a":1}'}})
    deltas = heard(start, piece, ended("TOOL_CALL"), tools=[WEATHER], text=FORM)
    assert deltas == [Text(0, '{"a":1}'), Stopped("stop")]


def test_sources_become_pages_or_files() -> None:
    sources: list[Json] = [
        {"type": "document", "id": "d1", "document": {"url": "https://a.example", "title": "A"}},
        {"type": "document", "id": "d2", "document": {"title": "Diary"}},
        {"type": "tool", "id": "t1", "tool_output": {"rain": True}},
        {"type": "document", "id": "d2", "document": {"title": "Diary"}},
        {"type": "document"},
    ]
    deltas = heard(text("Rain."), event("citation-start", citations={"start": 0, "end": 4, "sources": sources}))
    assert [delta.annotation for delta in deltas if isinstance(delta, Citation)] == [
        UrlCitation("https://a.example", "A", 0, 4),
        FileCitation(file_id="d2", filename="Diary", index=0),
        FileCitation(file_id="t1", filename="t1", index=1),
        FileCitation(file_id="d2", filename="Diary", index=0),
    ]


PIECES = st.lists(st.text("aø🌧", min_size=1, max_size=4), min_size=1, max_size=6)


@given(PIECES, st.data())
def test_no_citation_is_told_before_its_text_and_none_is_lost(pieces: list[str], data: st.DataObject) -> None:
    whole = "".join(pieces)
    spans = data.draw(
        st.lists(st.tuples(st.integers(0, len(whole)), st.integers(0, len(whole))).map(sorted), max_size=4)
    )
    messages = [text(piece) for piece in pieces]
    for start, end in spans:
        source = {"type": "tool", "id": "t", "tool_output": {"url": "https://a.example"}}
        cited = event("citation-start", citations={"start": start, "end": end, "sources": [source]})
        messages.insert(data.draw(st.integers(0, len(messages))), cited)
    out, told = "", []
    for delta in heard(*messages, ended()):
        if isinstance(delta, Text):
            out += delta.text
        elif isinstance(delta, Citation) and isinstance(delta.annotation, UrlCitation):
            assert delta.annotation.end_index <= len(out)
            told.append([delta.annotation.start_index, delta.annotation.end_index])
    assert out == whole
    assert sorted(told) == sorted(map(list, spans))


@pytest.mark.parametrize(
    ("finish", "fault"),
    [("ERROR", "unavailable"), ("TIMEOUT", "silent")],
)
def test_a_broken_finish_is_a_fault(finish: str, fault: str) -> None:
    assert isinstance((failed := heard(ended(finish))[-1]), Failed)
    assert failed.fault.kind == fault


def test_an_error_at_the_end_is_told_by_its_words() -> None:
    deltas = heard(text("a"), ended("ERROR", error="rate limit exceeded", usage={"tokens": {"output_tokens": 3}}))
    assert deltas[1:] == [
        Spent(Usage(output_tokens=3)),
        Failed(Fault("limited", "rate limit exceeded", raw='"rate limit exceeded"')),
    ]


def test_is_done_at_the_end_of_the_message() -> None:
    reader = decoder()
    before, _, after = reader.is_done, list(reader.message(ended())), reader.is_done
    assert (before, after) == (False, True)
    assert list(reader.message(text("late"))) == []


def test_content_that_is_a_plain_text() -> None:
    body = b'{"message":{"role":"assistant","content":"Hi"},"finish_reason":"COMPLETE"}'
    assert list(decoder().whole(body)) == [Text(0, "Hi"), Stopped("stop")]


def test_ST_07_an_answer_without_its_end_has_no_stop() -> None:
    assert heard(text("a")) == [Text(0, "a")]


def test_ST_13_a_known_event_that_cannot_be_read_ends_the_answer_and_an_unknown_one_does_not() -> None:
    odd = WireMessage(None, b'{"type":"from-the-future","delta":[1]}')
    broken = WireMessage(None, b'{"type":"content-delta","delta":[1]}')
    assert [type(delta) for delta in heard(text("a"), odd, broken, text("b"))] == [Text, Failed]


def test_ST_17_only_the_first_end_counts() -> None:
    usage = {"tokens": {"input_tokens": 1, "output_tokens": 2}}
    deltas = heard(text("a"), ended(usage=usage), ended("MAX_TOKENS", usage=usage), WireMessage(None, b"[DONE]"))
    assert deltas[1:] == [Spent(Usage(input_tokens=1, output_tokens=2)), Stopped("stop")]


def test_UP_07_a_whole_body_that_is_none() -> None:
    for body in (b"", b"null", b"<html>", b'{"message":', b"{}", b"[]", b'"text"'):
        (failed,) = decoder().whole(body)
        assert isinstance(failed, Failed)
        assert failed.fault.kind == "nonsense"


def test_MO_08_negative_counts_and_more_cached_than_read() -> None:
    told = {"tokens": {"input_tokens": 10, "output_tokens": -500}, "cached_tokens": 99}
    assert decode_usage(told) == Usage(input_tokens=10, cache_read_tokens=10)


def test_MO_09_counts_that_are_no_counts() -> None:
    told = {"tokens": {"input_tokens": 2.0**80, "output_tokens": "12"}, "cached_tokens": None, "billed_units": 4}
    assert decode_usage(told) == Usage(input_tokens=2**31 - 1, output_tokens=12)


def test_MO_10_no_usage_is_not_invented() -> None:
    nothing: list[Any] = [None, [], {}, {"tokens": {}}, {"tokens": None, "billed_units": {"input_tokens": 0}}]
    assert not any(decode_usage(told) for told in nothing)


def test_logprobs_that_are_none() -> None:
    assert decode_logprobs([None, 3, {"text": "a"}, {"text": "a", "logprobs": "b"}]) == ()
    assert decode_logprobs({"text": "ø", "logprobs": [-1, -0.5]}) == (Logprob("ø", (195, 184), -1.5),)


NAMES = (
    "index delta message content text thinking tool_plan tool_calls id function name arguments citations start end "
    "sources document finish_reason usage tokens error logprobs"
)
KINDS = "content-start content-delta content-end tool-call-start citation-start message-end x"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.text(max_size=4) | st.sampled_from(["text", "ERROR"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=4),
    max_leaves=20,
)


@given(
    st.lists(
        st.builds(lambda kind, body: {"type": kind, "delta": body}, st.sampled_from(KINDS.split()), JSON) | JSON,
        max_size=4,
    )
)
def test_nothing_that_arrives_makes_the_decoder_raise(values: list[Any]) -> None:
    messages = [json.dumps(value).encode() for value in values]
    streamed, whole = decoder(top_logprobs=1), decoder()
    deltas = [delta for data in messages for delta in streamed.message(WireMessage(None, data))] + list(streamed.end())
    assert all(isinstance(delta, Delta) for delta in deltas)
    assert sum(isinstance(delta, Failed | Stopped) for delta in deltas) <= 1
    for data in messages[:1]:
        assert all(isinstance(delta, Delta) for delta in whole.whole(data))
