"""FakeProvider does what its page promises, through the same framing and decoding as any provider."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from tests.record import Cassette, cassettes
from trunkline.adapters.fake.adapter import ADAPTER
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.faces.responses.parse import parse
from trunkline.fakeprovider.examples import example, fitting
from trunkline.fakeprovider.picture import picture, size_of
from trunkline.fakeprovider.script import Performance, perform
from trunkline.protocol.items import UrlCitation
from trunkline.protocol.request import Request
from trunkline.stream.deltas import (
    Arguments,
    Citation,
    Delta,
    Failed,
    FunctionCall,
    Image,
    Reasoning,
    ReasoningSeal,
    ReasoningSummary,
    Refusal,
    Search,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.stream.framing import framing_for
from trunkline.stream.seals import Seal, seal
from trunkline.wire import Malformed

Json = Any


def endpoint(model: str) -> Endpoint:
    return Endpoint(
        model=Model(slug=f"fake/{model}"),
        provider=Provider(slug="fake-provider", name="FakeProvider"),
        upstream_model=model,
        dialect="fake",
        base_url="fake://provider",
    )


def request(said: Json = "Hello", **fields: Json) -> Request:
    return parse(json.dumps({"model": "fake/echo", "input": said, **fields}).encode())


def play(asked: Request, model: str = "echo") -> Performance:
    return perform(ADAPTER.encode(asked, endpoint(model), None))


def hear(asked: Request, model: str = "echo") -> list[Delta]:
    """Everything one answer says; a status that is no success is a fault."""
    played = play(asked, model)
    body = b"".join(step.data for step in played.steps)
    if played.status != 200:
        return [Failed(ADAPTER.fault(played.status, played.headers, body, endpoint(model)))]
    framing = framing_for(played.headers["content-type"], body)
    decoder = ADAPTER.decoder(asked, endpoint(model))
    deltas: list[Delta] = []
    for message in [*framing.feed(body), *framing.flush()]:
        deltas += decoder.whole(message.data) if framing.is_whole else decoder.message(message)
    return [*deltas, *decoder.end()]


def both(said: Json = "Hello", model: str = "echo", **fields: Json) -> list[Delta]:
    """The deltas of the whole answer, after checking that the streamed one says the same but for sketches."""
    whole = hear(request(said, **fields), model)
    streamed = hear(request(said, stream=True, **fields), model)
    assert [d for d in streamed if not _is_sketch(d)] == [d for d in whole if not _is_sketch(d)]
    return whole


def _is_sketch(delta: Delta) -> bool:
    return isinstance(delta, Image) and not delta.final


def told(deltas: list[Delta], kind: type[Text | Reasoning | ReasoningSummary | Refusal | Arguments] = Text) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, kind))


def only(deltas: list[Delta], kind: type) -> Any:
    [found] = [delta for delta in deltas if isinstance(delta, kind)]
    return found


# What the models do


def test_echo_says_it_back_four_characters_a_token() -> None:
    deltas = both("Hei på deg 🪁")
    assert [d.text for d in deltas if isinstance(d, Text)] == ["Hei ", "på d", "eg 🪁"]
    assert deltas[-1] == Stopped("stop")
    assert only(deltas, Spent).usage == Usage(input_tokens=3, output_tokens=3)


def test_the_same_request_gets_the_same_bytes() -> None:
    first, second = (list(play(request(stream=True), "reasoner").steps) for _ in range(2))
    assert first == second


def test_the_output_limit_cuts() -> None:
    deltas = both("Hello, my friend", max_output_tokens=2)
    assert told(deltas) == "Hello, m"
    assert deltas[-1] == Stopped("length")
    assert both("Hello, m", max_output_tokens=2)[-1] == Stopped("stop")


def test_lorem_is_as_long_as_it_is_told() -> None:
    assert only(both("!tokens 1000", "lorem"), Spent).usage.output_tokens == 1000
    assert only(both("x", "lorem", max_output_tokens=300), Spent).usage.output_tokens == 300
    assert both("!tokens 50", "lorem", max_output_tokens=20)[-1] == Stopped("length")


def test_the_models_own_limit_cuts_as_well() -> None:
    small = replace(endpoint("lorem"), max_output_tokens=10)
    sent = json.loads(ADAPTER.encode(request("!tokens 99", max_output_tokens=50), small, None).body)
    assert sent["most_tokens"] == 10
    assert json.loads(ADAPTER.encode(request("Hi"), small, None).body)["max_output_tokens"] is None


def test_a_citation_finds_its_text_although_a_call_came_between() -> None:
    deltas = both("!text See example.com\n!call f\n!cite https://example.com/a")
    assert only(deltas, Citation).slot == next(d.slot for d in deltas if isinstance(d, Text))


def test_a_long_answer_is_made_while_it_is_asked_for() -> None:
    steps = iter(play(request("!tokens 100000\n!rate 50", stream=True), "lorem").steps)
    assert [round(step.wait_s, 3) for step in islice(steps, 3)] == [0.02, 0.02, 0.02]


def test_a_whole_answer_takes_as_long_as_its_stream() -> None:
    [step] = play(request("!tokens 100\n!rate 50\n!first 1s"), "lorem").steps
    assert step.wait_s == pytest.approx(3.0)


def test_reasoner_thinks_and_seals() -> None:
    deltas = both("Hi", "reasoner")
    assert told(deltas, Reasoning).startswith("The user wrote 2 characters.")
    assert told(deltas) == "Hi"
    assert only(deltas, Spent).usage.reasoning_tokens > 0
    assert only(deltas, ReasoningSeal).endpoint_id == "fake-provider:fake/reasoner"
    assert told(both("Hi", "reasoner", reasoning={"summary": "auto"}), ReasoningSummary)
    assert not told(both("Hi", "reasoner", reasoning={"effort": "none"}), Reasoning)


def test_reasoner_thinks_longer_with_more_effort() -> None:
    thoughts = [told(both("Hi", "reasoner", reasoning={"effort": e}), Reasoning) for e in ("low", "medium", "high")]
    assert len(thoughts[0]) < len(thoughts[1]) < len(thoughts[2])


def replay(encrypted: str) -> list[Delta]:
    return both(
        [
            {"role": "user", "content": "Hi"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypted},
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": "Again"},
        ],
        "reasoner",
    )


def test_reasoner_wants_its_seal_back_byte_for_byte() -> None:
    given = only(both("Hi", "reasoner"), ReasoningSeal)
    origin = Seal(endpoint_id=given.endpoint_id, blob=given.encrypted, item_id=given.item_id)
    assert told(replay(seal(origin))) == "Again"
    assert told(replay(seal(Seal(endpoint_id="openai:x/y", blob="foreign", item_id="rs_9")))) == "Again"
    assert only(replay(seal(replace(origin, blob=given.encrypted.swapcase()))), Failed).fault.status == 400
    assert only(replay(seal(replace(origin, item_id="rs_other"))), Failed).fault.status == 400


def test_image_draws_a_real_picture_with_sketches() -> None:
    streamed = [d for d in hear(request("A kite", stream=True), "image") if isinstance(d, Image)]
    assert [d.final for d in streamed] == [False, False, False, True]
    assert b64decode(streamed[-1].base64).startswith(b"\x89PNG\r\n\x1a\n")
    assert only(both("A kite", "image"), Spent).usage.images == 1
    assert told(both("A kite", "image", modalities=["image"])) == ""


def test_search_cites_over_text_that_is_not_ascii() -> None:
    deltas = both("Kites?", "search")
    said = told(deltas)
    citation = next(d.annotation for d in deltas if isinstance(d, Citation))
    assert isinstance(citation, UrlCitation)
    assert said[citation.start_index : citation.end_index] == "example.com"
    assert [d.status for d in deltas if isinstance(d, Search)] == ["in_progress", "completed"]
    assert only(deltas, Spent).usage.searches == 1


def test_attachments_are_named_with_type_and_size() -> None:
    url = f"data:image/png;base64,{picture('x', 2, 2)}"
    parts = [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": url},
        {"type": "input_file", "filename": "a.pdf", "file_data": "JVBERi0xLjQK"},
        {"type": "input_image", "image_url": "https://example.com/a.png"},
    ]
    size = len(b64decode(picture("x", 2, 2)))
    assert told(both([{"role": "user", "content": parts}])) == (
        f"See\n[image/png, {size} bytes]\n[application/pdf, 9 bytes]\n[image, https://example.com/a.png]"
    )


# Tools and formats

WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
CLOCK = {"type": "function", "name": "clock", "parameters": None}


class Calls(Struct, frozen=True):
    id: str
    said: str
    names: list[str]
    fields: dict[str, Json] = {}


CALLS = [
    Calls("a text that names a tool calls it", "Use weather for Oslo", ["weather"]),
    Calls("a text that names none calls the first", "Whether or not", ["weather"]),
    Calls("a text that shares a word with a tool calls that one", "What does the clock show?", ["clock"]),
    Calls("two tools named are two calls", "weather and clock", ["weather", "clock"]),
    Calls("a number of calls", "weather three times", ["weather"] * 3),
    Calls("only one where they may not be parallel", "weather and clock", ["weather"], {"parallel_tool_calls": False}),
    Calls("required calls the first", "Hello", ["weather"], {"tool_choice": "required"}),
    Calls("a named one is called", "Hello", ["clock"], {"tool_choice": {"type": "function", "name": "clock"}}),
    Calls("none calls none", "weather", [], {"tool_choice": "none"}),
    Calls("a directive calls with its arguments", '!call clock {"zone": 1}', ["clock"]),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.id)
def test_calls(case: Calls) -> None:
    deltas = both(case.said, tools=[WEATHER, CLOCK], **case.fields)
    assert [d.name for d in deltas if isinstance(d, FunctionCall)] == case.names
    assert deltas[-1] == Stopped("calls" if case.names else "stop")
    ids = [d.call_id for d in deltas if isinstance(d, FunctionCall)]
    assert len(set(ids)) == len(ids)


def test_arguments_fit_the_schema_and_differ_between_calls() -> None:
    deltas = both("weather two times", tools=[WEATHER])
    slots = dict.fromkeys(d.slot for d in deltas if isinstance(d, FunctionCall))
    texts = ["".join(d.text for d in deltas if isinstance(d, Arguments) and d.slot == slot) for slot in slots]
    assert texts == ['{"city":"city","unit":"c"}', '{"city":"city 1","unit":"f"}']


def test_a_tools_result_is_the_answer() -> None:
    items = [
        {"role": "user", "content": "weather in Oslo"},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "4 °C"},
    ]
    deltas = both(items, tools=[WEATHER], tool_choice="required")
    assert told(deltas) == "weather says: 4 °C"


def test_formats_are_kept() -> None:
    form = {"type": "json_schema", "name": "n", "schema": WEATHER["parameters"]}
    assert json.loads(told(both("Oslo", text={"format": form}))) == {"city": "city", "unit": "c"}
    assert json.loads(told(both("Oslo", text={"format": {"type": "json_object"}}))) == {"said": "Oslo"}


# Directives


def test_a_script_says_its_lines_in_order() -> None:
    lines = ["!think Hm.", "!seal", "!search kites", "!text See example.com", "!cite https://example.com/a A page"]
    deltas = both("\n".join([*lines, "!refuse No.", "!usage input=7 output=9 cached=3 reasoning=2"]))
    assert (told(deltas, Reasoning), told(deltas), told(deltas, Refusal)) == ("Hm.", "See example.com", "No.")
    assert only(deltas, Citation).annotation == UrlCitation("https://example.com/a", "A page", 4, 15)
    assert only(deltas, Spent).usage == Usage(
        input_tokens=7, output_tokens=9, cache_read_tokens=3, reasoning_tokens=2, searches=1
    )


def test_usage_can_be_missing() -> None:
    assert not [d for d in both("!usage none\nHi") if isinstance(d, Spent)]


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
def test_an_end_can_be_chosen(reason: str) -> None:
    deltas = both(f"Hi\n!stop {reason}")
    assert (told(deltas), deltas[-1].reason if isinstance(deltas[-1], Stopped) else None) == ("Hi", reason)


STATUSES = [
    (400, "rejected"), (401, "credentials"), (402, "credentials"), (404, "missing"), (408, "silent"),
    (413, "too_long"), (429, "limited"), (500, "unavailable"), (502, "unavailable"), (503, "overloaded"),
    (529, "overloaded"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_a_status_is_a_fault(status: int, kind: str) -> None:
    fault = only(both(f"!status {status} retry_after=7 it broke"), Failed).fault
    assert (fault.status, fault.kind, fault.message, fault.retry_after) == (status, kind, "it broke", 7.0)


def test_a_context_can_be_too_long() -> None:
    assert only(both("!status 400 code=context_length_exceeded"), Failed).fault.kind == "too_long"


@pytest.mark.parametrize(("status", "kind"), [(529, "overloaded"), (429, "limited"), (500, "unavailable")])
def test_ST_11_and_ST_12_errors_inside_an_answer(status: int, kind: str) -> None:
    assert only(both(f"!error {status} sorry"), Failed).fault.kind == kind
    deltas = both(f"Hi\n!error {status} sorry")
    assert told(deltas) == "Hi"
    assert only(deltas[-1:], Failed).fault.kind == kind


def test_ST_07_a_cut_answer_has_no_end() -> None:
    played = play(request("Hello, my friend\n!cut 2", stream=True))
    deltas = hear(request("Hello, my friend\n!cut 2", stream=True))
    assert played.ending == "cut"
    assert told(deltas) == "Hello, m"
    assert not [d for d in deltas if isinstance(d, Stopped | Failed)]


def test_ST_09_a_stalled_answer_says_so() -> None:
    played = play(request("Hello\n!stall", stream=True))
    assert played.ending == "stall"
    assert told(hear(request("Hello\n!stall", stream=True))) == "Hello"


def test_ST_13_a_garbled_answer_is_nonsense() -> None:
    assert told(hear(request("Hello\n!garble 1", stream=True))) == "Hell"
    for stream in (True, False):
        assert only(hear(request("Hello\n!garble 1", stream=stream)), Failed).fault.kind == "nonsense"


def test_ST_25_noise_is_not_heard() -> None:
    quiet, noisy = hear(request("Hi", stream=True)), hear(request("!noise\nHi", stream=True))
    assert [d for d in noisy if not isinstance(d, Spent)] == [d for d in quiet if not isinstance(d, Spent)]


def test_waits_come_before_what_they_delay() -> None:
    steps = list(play(request("!first 500ms\n!text a\n!wait 2s\n!text b", stream=True)).steps)
    assert [step.wait_s for step in steps] == [0.5, 2.0]
    assert b'"a"' in steps[0].data
    assert b'"b"' in steps[1].data


@pytest.mark.parametrize(
    "line", ["!nonsense", "!status", "!status 200", "!wait long", "!wait 2h", "!tokens -1", "!usage x=1", "!stop now",
             "!call", "!cite", "!rate fast", "!error x"],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_refused_with_a_reason(line: str) -> None:
    fault = only(both(line), Failed).fault
    assert fault.kind == "rejected"
    assert fault.message


def test_an_unknown_model_is_missing() -> None:
    assert only(both("Hi", "no-such-model"), Failed).fault.kind == "missing"


# The parts


SCHEMAS: list[dict[str, Json]] = [
    {},
    {"type": "string", "maxLength": 2},
    {"type": "string", "minLength": 30},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "email"},
    {"type": "string", "format": "ipv6"},
    {"type": "string", "pattern": "^[A-Z]{3}-\\d{4}$"},
    {"type": "integer", "minimum": 10, "multipleOf": 7},
    {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 6},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 0.1},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "integer", "maximum": -4},
    {"type": ["null", "boolean"]},
    {"const": {"a": [1]}},
    {"enum": ["a", 2, None]},
    {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "maxItems": 2},
    {"type": "array", "maxItems": 0},
    {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}},
    {"anyOf": [{"type": "null"}, {"type": "integer"}]},
    {"oneOf": [{"type": "string", "format": "uri"}, {"type": "integer"}]},
    {"allOf": [{"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}},
               {"required": ["b"], "properties": {"b": {"const": 3}}}]},
    {"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
        "parent": {"$ref": "#/$defs/tree"}}}}},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
@pytest.mark.parametrize("number", range(3))
def test_examples_fit_their_schema(schema: dict[str, Json], number: int) -> None:
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(example(schema, number))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "https://example.com/schema"},
        {"allOf": [{"allOf": [{"$ref": "#"}] * 30}] * 30},
        {"type": "array", "minItems": 10**9, "items": {"type": "array", "minItems": 10**9}},
        {"type": "string", "minLength": 10**9},
        {"type": "string", "pattern": "((((a{999}){999}){999}){999}){999}"},
        {"type": "object", "required": [1, None], "properties": []},
    ],
    ids=["itself", "elsewhere", "a maze", "a sea", "a scroll", "a bomb", "nonsense"],
)
def test_SC_05_no_schema_makes_an_example_large(schema: dict[str, Json]) -> None:
    assert len(json.dumps(example(schema))) < 100_000


@given(st.text("abc()[]{}|*+?\\^$.-:=!<>019,", max_size=30))
@settings(max_examples=200)
def test_no_pattern_makes_a_fitting_raise(pattern: str) -> None:
    assert len(fitting(pattern)) <= 1_000


@pytest.mark.parametrize(
    ("ratio", "size"), [("1:1", (32, 32)), ("16:9", (32, 18)), ("9:16", (18, 32)), ("0:1", (32, 32)), ("x", (32, 32))]
)
def test_pictures_have_the_ratio_asked_for(ratio: str, size: tuple[int, int]) -> None:
    assert size_of(ratio, 32) == size


@given(st.binary(max_size=40))
def test_no_bytes_make_the_decoder_raise(data: bytes) -> None:
    asked = request()
    list(ADAPTER.decoder(asked, endpoint("echo")).whole(data))
    framing = framing_for("text/event-stream", data)
    try:
        messages = [*framing.feed(data), *framing.flush()]
    except Malformed:
        return
    for message in messages:
        list(ADAPTER.decoder(asked, endpoint("echo")).message(message))


def test_a_request_that_is_no_request_is_refused() -> None:
    sent = ADAPTER.encode(request(), endpoint("echo"), None)
    assert perform(replace(sent, body=b"{")).status == 400


# The page

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "fake-provider.md").read_text()
BODIES = re.findall(r"-d '(\{.*?\})'\n", PAGE, re.DOTALL)


@pytest.mark.parametrize("body", BODIES)
def test_the_examples_of_the_page_are_answered(body: str) -> None:
    asked = parse(body.encode())
    assert asked.model is not None
    played = play(asked, asked.model.removeprefix("fake/"))
    assert played.status == (429 if "!status" in body else 200)
    assert b"".join(step.data for step in played.steps)


def test_the_page_has_examples_and_names_every_directive() -> None:
    assert len(BODIES) > 8
    fault = only(both("!no-such-thing"), Failed).fault
    names = re.findall(r"!([a-z]+)", fault.message.partition("these are")[2])
    assert len(names) > 15
    assert [name for name in names if f"`!{name}" not in PAGE] == []


# The recorded answers

RECORDED = [cassette for cassette in cassettes() if cassette.folder.parent.name == "fake"]


@pytest.mark.parametrize("cassette", RECORDED, ids=lambda cassette: cassette.folder.name)
def test_recorded_answers_are_what_the_script_says_now(cassette: Cassette) -> None:
    for suffix, answer in cassette.answers.items():
        asked = replace(cassette.request, stream=suffix == ".sse" or cassette.status != 200)
        played = perform(ADAPTER.encode(asked, cassette.endpoint, None))
        assert (played.status, b"".join(step.data for step in played.steps)) == (cassette.status, answer)
