"""The Chat Completions request where cassettes would say too little: settings one by one, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.adapters.served import endpoint
from trunkline.adapters.chat.request import ADAPTER, schema_form
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks
from trunkline.errors import BadRequest, Unprocessable
from trunkline.protocol.items import (
    FunctionCallItem,
    FunctionCallOutput,
    InputFile,
    InputItem,
    InputText,
    Message,
    MessagePart,
    ReasoningItem,
    ReasoningText,
)
from trunkline.protocol.request import ReasoningConfig, Request
from trunkline.protocol.tools import (
    FunctionChoice,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    SearchChoice,
    SearchFilters,
    SearchTool,
    TextConfig,
    UserLocation,
)
from trunkline.stream.deltas import ReasoningSeal
from trunkline.stream.seals import Seal, sealed
from trunkline.wire import WireMessage

Json = Any


def user(*parts: str | MessagePart) -> tuple[Message, ...]:
    content = tuple(InputText(part) if isinstance(part, str) else part for part in parts)
    return (Message(role="user", content=content),)


HI = user("Hi")
CLOCK = FunctionTool("clock")
WEATHER = FunctionTool("weather", "Weather.", {"type": "object", "properties": {"city": {"type": "string"}}}, True)
SCHEMA = JsonSchemaFormat("city", {"type": "object", "properties": {"name": {"type": "string"}}})
AUTO_ONLY = frozenset({"auto"})


# The request


@dataclass(frozen=True)
class Case:
    """`sent` are the body's fields besides model and messages."""

    id: str
    request: dict[str, Json]
    sent: dict[str, Json]
    quirks: dict[str, Json] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    endpoint: dict[str, Json] = field(default_factory=dict)


CASES = [
    Case("nothing said, nothing sent", {}, {}),
    Case(
        "the limit goes by the quirk's name",
        {"max_output_tokens": 9},
        {"max_completion_tokens": 9},
        {"max_tokens_field": "max_completion_tokens"},
    ),
    Case(
        "temperature is clamped and named",
        {"temperature": 1.7},
        {"temperature": 1.0},
        {"max_temperature": 1.0},
        ("temperature",),
    ),
    Case(
        "temperature 0 is raised",
        {"temperature": 0.0},
        {"temperature": 0.01},
        {"min_temperature": 0.01},
        ("temperature",),
    ),
    Case(
        "penalties",
        {"presence_penalty": 0.5, "frequency_penalty": -0.5},
        {"presence_penalty": 0.5, "frequency_penalty": -0.5},
    ),
    Case(
        "what a quirk drops is named",
        {"presence_penalty": 0.5, "top_p": 0.9},
        {"top_p": 0.9},
        {"drops": frozenset({"presence_penalty"})},
        ("presence_penalty",),
    ),
    Case(
        "what the endpoint does not support is named",
        {"top_p": 0.9, "temperature": 1.0},
        {"temperature": 1.0},
        {},
        ("top_p",),
        {"supports": frozenset({"temperature"})},
    ),
    Case("top_k", {"top_k": 5}, {"top_k": 5}),
    Case("top_k off says nothing", {"top_k": 0}, {}, {"has_top_k": False}),
    Case("top_k refused", {"top_k": 5}, {}, {"has_top_k": False}, ("top_k",)),
    Case("logprobs as a count", {"top_logprobs": 3}, {"logprobs": 3}, {"logprobs": "count"}),
    Case("logprobs never", {"top_logprobs": 3}, {}, {"logprobs": "never"}, ("top_logprobs",)),
    # Reasoning
    Case("effort", {"reasoning": ReasoningConfig(effort="low")}, {"reasoning_effort": "low"}),
    Case(
        "the nearest lower effort",
        {"reasoning": ReasoningConfig(effort="xhigh")},
        {"reasoning_effort": "high"},
        {"reasoning_efforts": ("low", "high", "max")},
        ("reasoning.effort",),
    ),
    Case(
        "efforts of the endpoint",
        {"reasoning": ReasoningConfig(effort="medium")},
        {"reasoning_effort": "low"},
        {},
        ("reasoning.effort",),
        {"reasoning_efforts": ("low", "high")},
    ),
    Case(
        "thinking that cannot be turned off",
        {"reasoning": ReasoningConfig(effort="none")},
        {},
        {"reasoning_efforts": ("low", "high")},
        ("reasoning.effort",),
    ),
    Case(
        "a budget as an effort",
        {"reasoning": ReasoningConfig(max_tokens=800), "max_output_tokens": 1000},
        {"max_tokens": 1000, "reasoning_effort": "high"},
        {},
        ("reasoning.max_tokens",),
    ),
    Case(
        "a switch",
        {"reasoning": ReasoningConfig(enabled=True)},
        {"thinking": {"type": "enabled"}},
        {"reasoning_request": "thinking"},
    ),
    Case(
        "a switch loses the effort",
        {"reasoning": ReasoningConfig(effort="high")},
        {"thinking": {"type": "enabled"}},
        {"reasoning_request": "thinking"},
        ("reasoning.effort",),
    ),
    Case(
        "switch and effort",
        {"reasoning": ReasoningConfig(effort="high")},
        {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
        {"reasoning_request": "thinking_and_effort"},
    ),
    Case(
        "switch and effort, off",
        {"reasoning": ReasoningConfig(enabled=False)},
        {"thinking": {"type": "disabled"}},
        {"reasoning_request": "thinking_and_effort"},
    ),
    Case(
        "a budget",
        {"reasoning": ReasoningConfig(max_tokens=700)},
        {"enable_thinking": True, "thinking_budget": 700},
        {"reasoning_request": "enable_thinking"},
    ),
    Case(
        "a budget, off",
        {"reasoning": ReasoningConfig(effort="none")},
        {"enable_thinking": False},
        {"reasoning_request": "enable_thinking"},
    ),
    Case(
        "template arguments",
        {"reasoning": ReasoningConfig(enabled=True)},
        {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}},
        {"reasoning_request": "template_kwargs"},
    ),
    Case(
        "a reasoning object",
        {"reasoning": ReasoningConfig(effort="high")},
        {"reasoning": {"enabled": True, "effort": "high"}},
        {"reasoning_request": "reasoning_object"},
    ),
    Case(
        "a reasoning object with a budget",
        {"reasoning": ReasoningConfig(max_tokens=9)},
        {"reasoning": {"enabled": True, "max_tokens": 9}},
        {"reasoning_request": "reasoning_object"},
    ),
    Case(
        "no way to ask",
        {"reasoning": ReasoningConfig(effort="high", summary="auto")},
        {},
        {"reasoning_request": "none"},
        ("reasoning", "reasoning.summary"),
    ),
    Case(
        "a model that does not think need not be told so",
        {"reasoning": ReasoningConfig(effort="none")},
        {},
        {},
        (),
        {"supports": frozenset({"tools"})},
    ),
    Case(
        "a model that does not think",
        {"reasoning": ReasoningConfig(effort="low")},
        {},
        {},
        ("reasoning",),
        {"supports": frozenset({"tools"})},
    ),
    # Tools
    Case(
        "a strict tool is closed",
        {"tools": (WEATHER,)},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "weather",
                        "description": "Weather.",
                        "parameters": {
                            "type": "object",
                            "properties": {"city": {"type": "string"}},
                            "additionalProperties": False,
                            "required": ["city"],
                        },
                        "strict": True,
                    },
                }
            ]
        },
        dropped=("tools.strict",),
    ),
    Case("parallel calls off", {"tools": (CLOCK,), "parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    Case(
        "parallel calls off without a switch",
        {"tools": (CLOCK,), "parallel_tool_calls": False},
        {},
        {"has_parallel_switch": False},
        ("parallel_tool_calls",),
    ),
    Case(
        "parallel calls need no switch",
        {"tools": (CLOCK,), "parallel_tool_calls": True},
        {},
        {"has_parallel_switch": False},
    ),
    Case(
        "auto where choices are unknown", {"tools": (CLOCK,), "tool_choice": "auto"}, {}, {"tool_choices": frozenset()}
    ),
    Case("none", {"tools": (CLOCK,), "tool_choice": "none"}, {"tool_choice": "none"}),
    Case("required", {"tools": (CLOCK,), "tool_choice": "required"}, {"tool_choice": "required"}),
    Case(
        "required while thinking forbids it",
        {"tools": (CLOCK,), "tool_choice": "required"},
        {"tool_choice": "auto"},
        {"thinking_forbids_forced_tools": True},
        ("tool_choice",),
    ),
    Case(
        "required once thinking is off",
        {"tools": (CLOCK,), "tool_choice": "required", "reasoning": ReasoningConfig(effort="none")},
        {"tool_choice": "required", "reasoning_effort": "none"},
        {"thinking_forbids_forced_tools": True},
    ),
    # Web search
    Case(
        "search by options",
        {"tools": (SearchTool("web_search", search_context_size="low", user_location=UserLocation(city="Oslo")),)},
        {
            "web_search_options": {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}},
            }
        },
        {"web_search": "web_search_options"},
    ),
    Case(
        "search within domains",
        {
            "tools": (
                SearchTool("web_search", SearchFilters(("a.example",)), "low", UserLocation(city="Oslo", country="NO")),
            )
        },
        {
            "web_search_options": {"search_context_size": "low", "user_location": {"city": "Oslo", "country": "NO"}},
            "search_domain_filter": ["a.example"],
        },
        {"web_search": "search_domain_filter"},
    ),
    Case(
        "search by a tool beside functions",
        {
            "tools": (
                SearchTool("web_search", search_context_size="high", user_location=UserLocation(city="Oslo")),
                CLOCK,
            )
        },
        {
            "tools": [
                {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}},
                {"type": "web_search", "web_search": {"enable": True, "search_result": True, "count": 5}},
            ]
        },
        {"web_search": "web_search_tool"},
        ("tools.user_location",),
    ),
    Case(
        "search forced",
        {"tools": (SearchTool("web_search"),), "tool_choice": SearchChoice("web_search")},
        {"venice_parameters": {"include": False, "enable_web_search": "on", "enable_web_citations": True}},
        {
            "web_search": "venice_parameters",
            "extra_body": {"venice_parameters": {"include": False, "enable_web_search": "off"}},
        },
    ),
    # Form
    Case("a JSON object", {"text": TextConfig(JsonObjectFormat())}, {"response_format": {"type": "json_object"}}),
    Case(
        "a JSON object by words only",
        {"text": TextConfig(JsonObjectFormat())},
        {},
        {"structured_output": "none"},
        ("text.format",),
    ),
    Case(
        "a schema by words only",
        {"text": TextConfig(SCHEMA)},
        {},
        {"structured_output": "none", "tool_choices": AUTO_ONLY},
        ("text.format",),
    ),
    Case("verbosity refused", {"text": TextConfig(verbosity="low")}, {}, {}, ("text.verbosity",)),
    # The rest
    Case(
        "images where none come",
        {"modalities": ("image", "text"), "image_config": {"aspect_ratio": "1:1"}},
        {},
        {},
        ("modalities", "image_config"),
    ),
    Case("text alone needs no modality", {"modalities": ("text",)}, {}),
    Case(
        "a safety identifier",
        {"safety_identifier": "u"},
        {"safety_identifier": "hash"},
        {"has_safety_identifier": True},
    ),
    Case("a user in its place", {"user": "u"}, {"user": "hash"}, {"has_user": True}),
    Case(
        "an identity without a place",
        {"safety_identifier": "u", "prompt_cache_key": "k"},
        {},
        {},
        ("safety_identifier", "prompt_cache_key"),
    ),
    Case("streams", {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    Case("streams with usage unasked", {"stream": True}, {"stream": True}, {"usage_in_stream": "always"}),
    Case("an endpoint that never streams", {"stream": True}, {}, {"streams": "never"}),
    Case(
        "an endpoint that always streams",
        {},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"streams": "always"},
    ),
    Case(
        "fixed fields never override",
        {"temperature": 0.5},
        {"temperature": 0.5, "reasoning_split": True},
        {"extra_body": {"temperature": 1.0, "reasoning_split": True}},
    ),
    Case(
        "what only the gateway reads is not sent",
        {"metadata": {"a": "b"}, "session_id": "s", "truncation": "disabled", "max_tool_calls": 3},
        {},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_encode_settings(case: Case) -> None:
    request = Request(**{"input": HI, **case.request})
    sent = ADAPTER.encode(request, endpoint(Quirks(**case.quirks), **case.endpoint), "hash")
    body = json.loads(sent.body)
    assert body.pop("model") == "quill-2"
    body.pop("messages")
    if "tools" not in case.sent:
        body.pop("tools", None)
    assert (body, sent.dropped) == (case.sent, case.dropped)


def messages(request: Request, quirks: Quirks | None = None, **fields: Any) -> list[Json]:
    found: list[Json] = json.loads(ADAPTER.encode(request, endpoint(quirks, **fields), None).body)["messages"]
    return found


def test_address_and_headers() -> None:
    quirks = Quirks(path="/chat/apply", extra_headers={"x-team": "t"})
    sent = ADAPTER.encode(Request(input=HI, stream=True), endpoint(quirks), None)
    assert (sent.method, sent.url) == ("POST", "https://api.acme.example/v1/chat/apply")
    assert sent.headers == {"content-type": "application/json", "accept": "text/event-stream", "x-team": "t"}


def test_hints_join_the_leading_instructions() -> None:
    request = Request(input=HI, instructions="Be brief.", tools=(CLOCK, WEATHER), tool_choice=FunctionChoice("clock"))
    quirks = Quirks(tool_choices=AUTO_ONLY)
    sent = json.loads(ADAPTER.encode(request, endpoint(quirks), None).body)
    assert sent["messages"][0]["role"] == "system"
    assert sent["messages"][0]["content"].startswith("Be brief.\n\n")
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["clock"]


def test_turns_alternate_where_they_must() -> None:
    items: tuple[InputItem, ...] = (*HI, Message(role="system", content=(InputText("Rhyme."),)), *user("Go"))
    found = messages(Request(input=items, instructions="Be brief."), Quirks(alternates_turns=True))
    assert [message["role"] for message in found] == ["system", "user"]
    assert found[1]["content"] == "Hi\n\n[System note]\nRhyme.\n\nGo"


def test_instructions_get_a_user_turn_where_no_system_role_is_and_no_user_begins() -> None:
    items = (Message(role="assistant", content=(InputText("Hello."),)), *HI)
    found = messages(Request(input=items, instructions="Be brief."), Quirks(system_role="user"))
    assert [(message["role"], message["content"]) for message in found] == [
        ("user", "Be brief."),
        ("assistant", "Hello."),
        ("user", "Hi"),
    ]


LOOP: tuple[InputItem, ...] = (
    *HI,
    ReasoningItem(content=(ReasoningText("Hm."),)),
    FunctionCallItem(call_id="c1", name="clock", arguments=""),
    FunctionCallOutput(call_id="c1", output="noon"),
)


@pytest.mark.parametrize(
    ("replay", "told"),
    [
        ("never", {}),
        ("reasoning_content", {"reasoning_content": "Hm."}),
        ("reasoning", {"reasoning": "Hm."}),
        ("reasoning_details", {"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]}),
    ],
)
def test_thought_goes_back_in_the_field_of_the_quirk(replay: Any, told: dict[str, Json]) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    found = messages(Request(input=LOOP), Quirks(reasoning_replay=replay))
    assert found[1] == {"role": "assistant", "content": None, **told, "tool_calls": [call]}


def test_a_missing_thought_is_a_blank_only_with_tools() -> None:
    quirks = Quirks(reasoning_replay="reasoning_details", reasoning_replay_is_required=True)
    without_thought = (LOOP[0], *LOOP[2:])
    found = messages(Request(input=without_thought), quirks)
    assert found[1]["reasoning_details"] == [{"type": "reasoning.text", "text": " "}]
    items = (*HI, Message(role="assistant", content=(InputText("Hello."),)), *HI)
    assert "reasoning_details" not in messages(Request(input=items), quirks)[1]


def test_a_sealed_thought_goes_back_to_its_issuer_alone() -> None:
    entry = {"type": "reasoning.encrypted", "data": "b3BhcXVl", "id": "r-1"}
    decoder = ADAPTER.decoder(Request(input=HI), endpoint())
    told = json.dumps({"choices": [{"delta": {"reasoning_details": [entry]}}]}).encode()
    (given,) = (d for d in decoder.message(WireMessage(None, told)) if isinstance(d, ReasoningSeal))
    origin = Seal(endpoint_id=given.endpoint_id, blob=given.encrypted or "", item_id=given.item_id)
    items: tuple[InputItem, ...] = (*HI, sealed(ReasoningItem(format="unknown"), origin), *LOOP[2:])
    quirks = Quirks(reasoning_replay="reasoning_details")
    assert messages(Request(input=items), quirks)[1]["reasoning_details"] == [entry]
    other = Provider(slug="other", name="Other")
    foreign = json.loads(ADAPTER.encode(Request(input=items), other_endpoint(other, quirks), None).body)["messages"]
    assert "reasoning_details" not in foreign[1]


def other_endpoint(provider: Provider, quirks: Quirks) -> Endpoint:
    return Endpoint(
        model=Model(slug="acme/quill-2"),
        provider=provider,
        upstream_model="q",
        dialect="chat",
        base_url="https://other.example",
        quirks=quirks,
    )


@pytest.mark.parametrize(
    ("request_", "quirks", "fields"),
    [
        (Request(input=HI, tools=(CLOCK,)), Quirks(drops=frozenset({"tools"})), {}),
        (Request(input=HI, tools=(CLOCK,)), Quirks(), {"supports": frozenset({"temperature"})}),
        (Request(input=user(InputFile(file_url="https://f.example/a.pdf"))), Quirks(), {}),
        (Request(input=user(InputFile(file_data="JVBERi0xLjQK"))), Quirks(), {"input_modalities": frozenset({"text"})}),
    ],
)
def test_what_may_not_be_dropped_is_refused(request_: Request, quirks: Quirks, fields: dict[str, Json]) -> None:
    with pytest.raises(Unprocessable):
        ADAPTER.encode(request_, endpoint(quirks, **fields), None)


def test_a_file_by_link_where_that_is_taken() -> None:
    part = InputFile(file_url="https://f.example/a.pdf")
    found = messages(Request(input=user("Read", part)), Quirks(file_links="file_url"))
    assert found[0]["content"][1] == {"type": "file_url", "file_url": {"url": "https://f.example/a.pdf"}}


def test_a_file_that_is_not_base64_is_the_clients_fault() -> None:
    with pytest.raises(BadRequest):
        ADAPTER.encode(Request(input=user(InputFile(file_data="%%%"))), endpoint(), None)


@pytest.mark.parametrize(
    ("quirks", "tools", "supports", "form"),
    [
        (Quirks(), (), None, "native"),
        (Quirks(), (CLOCK,), frozenset({"tools", "structured_outputs"}), "native"),
        (Quirks(), (), frozenset({"tools", "tool_choice"}), "tool"),
        (Quirks(), (), frozenset({"tools", "response_format"}), "json_object"),
        (Quirks(), (), frozenset({"tools"}), "instructed"),
        (Quirks(structured_output="json_object"), (), None, "tool"),
        (Quirks(structured_output="json_object"), (CLOCK,), None, "json_object"),
        (Quirks(structured_output="json_object", tool_choices=AUTO_ONLY), (), None, "json_object"),
        (Quirks(structured_output="none", drops=frozenset({"tools"})), (), None, "instructed"),
        (Quirks(structured_output="none"), (), frozenset({"temperature"}), "instructed"),
    ],
)
def test_schemas_are_asked_for_in_the_best_way_there_is(quirks: Quirks, tools: Any, supports: Any, form: str) -> None:
    request = Request(input=HI, tools=tools, text=TextConfig(SCHEMA))
    assert schema_form(request, endpoint(quirks, supports=supports), SCHEMA) == form
