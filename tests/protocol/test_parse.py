"""Bodies and the requests they become; bodies and the one short message they get."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from tests.document import SCHEMAS
from trunkline.errors import BadRequest
from trunkline.faces.responses.parse import parse
from trunkline.protocol.extent import extent_of
from trunkline.protocol.items import (
    FileCitation,
    FilePath,
    FileSearchCall,
    FunctionCallItem,
    FunctionCallOutput,
    ImageGenerationCall,
    InputAudio,
    InputFile,
    InputImage,
    InputText,
    InputVideo,
    Logprob,
    Message,
    OutputText,
    ReasoningItem,
    ReasoningText,
    RefusalPart,
    SummaryText,
    TopLogprob,
    UrlCitation,
    WebSearchCall,
)
from trunkline.protocol.preferences import (
    AutoRouterPlugin,
    Cutoffs,
    FileParserPlugin,
    MaxPrice,
    ModerationPlugin,
    ProviderPreferences,
    ResponseHealingPlugin,
    Sort,
    WebPlugin,
)
from trunkline.protocol.prompts import Prompt
from trunkline.protocol.request import SEARCH_SOURCES, Effort, ReasoningConfig, Request, Sampling
from trunkline.protocol.tools import (
    FunctionChoice,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    SearchChoice,
    SearchFilters,
    SearchTool,
    TextConfig,
    TextFormat,
    UserLocation,
)

HI = Message(role="user", content=(InputText("Hi"),))
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
ANSWER = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
TOOL = {"type": "function", "name": "f", "parameters": None}
LONG = "x" * 500
A_SEED = f"must be a whole number from {-(2**63)} to {2**63 - 1}, not "
UNANSWERED = (
    "is a call without its function_call_output in the input; if it was interrupted, send one that says so: call_id"
)


def parsed(**members: Any) -> Request:
    return parse(json.dumps({"input": "Hi", **members}).encode())


def refusal(body: bytes, session_header: str | None = None) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse(body, session_header)
    return caught.value


# What is taken


@dataclass(frozen=True)
class Taken:
    id: str
    members: dict[str, Any]
    expected: dict[str, Any] = field(default_factory=dict)


TAKEN = [
    Taken("a string is one user message", {}, {}),
    Taken("unknown members are left out", {"stream_options": {}, "conversation": None, "max_tokens": None}, {}),
    Taken(
        "members of other APIs are named",
        {"max_tokens": 5, "context_management": [], "reasoning": {"mode": "pro"}},
        {"ignored": ("context_management", "max_tokens", "reasoning.mode"), "reasoning": ReasoningConfig()},
    ),
    Taken("a stop text", {"stop": "END"}, {"stop": ("END",)}),
    Taken("stop texts, of which some are none", {"stop": ["a", "", "b", "a"]}, {"stop": ("a", "b")}),
    Taken("no stop texts", {"stop": []}, {"stop": ()}),
    Taken(
        "other ways of choosing words",
        {"seed": -7, "min_p": 0.1, "top_a": 0, "repetition_penalty": 1.1, "logit_bias": {"50256": -100}},
        {"sampling": Sampling(seed=-7, min_p=0.1, top_a=0.0, repetition_penalty=1.1, logit_bias={"50256": -100.0})},
    ),
    Taken("a bias of nothing", {"logit_bias": {}, "seed": None}, {"sampling": None}),
    *(
        Taken(f"the tier {tier}", {"service_tier": tier}, {"service_tier": asked})
        for tier, asked in {
            "auto": None,
            "default": None,
            "fast": "priority",
            "flex": "flex",
            "priority": "priority",
            "scale": "scale",
            "ultrafast": "ultrafast",
        }.items()
    ),
    *(
        Taken(f"the effort {effort}", {"reasoning": {"effort": effort}}, {"reasoning": ReasoningConfig(effort=effort)})
        for effort in get_args(Effort)
    ),
    Taken("no summary", {"reasoning": {"summary": "none"}}, {"reasoning": ReasoningConfig()}),
    Taken(
        "the older name of the summary, and a context that is left to the model",
        {"reasoning": {"generate_summary": "auto", "context": "auto"}},
        {"reasoning": ReasoningConfig(summary="auto")},
    ),
    Taken(
        "what OpenAI's clients include besides",
        {
            "include": [
                "web_search_call.action.sources",
                "message.output_text.logprobs",
                "reasoning.encrypted_content",
            ],
            "top_logprobs": 1,
        },
        {"include": (SEARCH_SOURCES, "reasoning.encrypted_content"), "top_logprobs": 1, "logprobs": True},
    ),
    Taken(
        "what has no effect when it is included",
        {"include": ["web_search_call.results", "web_search_call.results"]},
        {"ignored": ("include.web_search_call.results",)},
    ),
    Taken("a prediction", {"prediction": {"type": "content", "content": "x = 1"}}, {"prediction": "x = 1"}),
    Taken(
        "a prediction in parts",
        {
            "prediction": {
                "type": "content",
                "content": [{"type": "text", "text": "x "}, {"type": "text", "text": "= 1"}],
            }
        },
        {"prediction": "x = 1"},
    ),
    Taken(
        "null is absent everywhere but in metadata",
        {name: None for name in SCHEMAS["OpenResponsesRequest"]["properties"] if name not in ("input", "metadata")},
    ),
    Taken(
        "a template",
        {"prompt": {"id": "p", "version": "2", "variables": {"a": "x", "b": {"type": "input_text", "text": "y"}}}},
        {"prompt": Prompt(id="p", version="2", variables={"a": "x", "b": InputText("y")})},
    ),
    Taken(
        "a template with no more than a name",
        {"prompt": {"id": "p", "version": None, "variables": None}},
        {"prompt": Prompt(id="p")},
    ),
    Taken("null metadata stays null", {"metadata": None}, {"metadata": None}),
    Taken("stateless spellings are taken", {"store": False, "background": False, "service_tier": "auto"}, {}),
    Taken(
        "plain members",
        {
            "model": "a/b",
            "instructions": "Be kind.",
            "metadata": {"k": "v"},
            "parallel_tool_calls": False,
            "temperature": 0,
            "top_p": 1,
            "presence_penalty": -2,
            "frequency_penalty": 2,
            "prompt_cache_key": "k",
            "safety_identifier": "s",
            "truncation": "auto",
            "stream": True,
            "route": "sort",
            "user": "u",
            "session_id": "s",
            "include": ["reasoning.encrypted_content"],
            "modalities": ["image", "text"],
            "image_config": {"aspect_ratio": "1:1", "n": 2},
        },
        {
            "model": "a/b",
            "instructions": "Be kind.",
            "metadata": {"k": "v"},
            "parallel_tool_calls": False,
            "temperature": 0.0,
            "top_p": 1.0,
            "presence_penalty": -2.0,
            "frequency_penalty": 2.0,
            "prompt_cache_key": "k",
            "safety_identifier": "s",
            "truncation": "auto",
            "stream": True,
            "route": "sort",
            "user": "u",
            "session_id": "s",
            "include": ("reasoning.encrypted_content",),
            "modalities": ("image", "text"),
            "image_config": {"aspect_ratio": "1:1", "n": 2},
        },
    ),
    Taken(
        "whole numbers may be spelled with a fraction of zero",
        {"max_output_tokens": 3.0, "top_k": 40.0, "max_tool_calls": 2.0, "top_logprobs": 20.0},
        {"max_output_tokens": 3, "top_k": 40, "max_tool_calls": 2, "top_logprobs": 20},
    ),
    Taken("models keep the first of duplicates", {"models": ["a/b", "c/d", "a/b"]}, {"models": ("a/b", "c/d")}),
    Taken("32 models", {"models": [f"a/{n}" for n in range(32)]}, {"models": tuple(f"a/{n}" for n in range(32))}),
    Taken(
        "reasoning by effort",
        {"reasoning": {"effort": "xhigh", "summary": "auto", "max_tokens": None}},
        {"reasoning": ReasoningConfig("xhigh", "auto")},
    ),
    Taken(
        "reasoning by tokens",
        {"reasoning": {"max_tokens": 2000.0, "enabled": True}},
        {"reasoning": ReasoningConfig(max_tokens=2000, enabled=True)},
    ),
    # Tools, choice, formats
    Taken(
        "function tools with and without parameters",
        {
            "tools": [
                {"type": "function", "name": "f"},
                {**TOOL, "name": "g-2", "parameters": {"x": [1]}, "strict": True},
            ]
        },
        {"tools": (FunctionTool("f"), FunctionTool("g-2", None, {"x": [1]}, True))},
    ),
    Taken(
        "search tools, of which the preview ones have no filters",
        {
            "tools": [
                {"type": "web_search", "filters": {"allowed_domains": ["a.org"]}, "search_context_size": "low"},
                {"type": "web_search_2025_08_26", "filters": None, "user_location": {"city": "Bern"}},
                {"type": "web_search_preview", "filters": {"allowed_domains": ["a.org"]}},
            ]
        },
        {
            "tools": (
                SearchTool("web_search", SearchFilters(("a.org",)), "low"),
                SearchTool("web_search_2025_08_26", user_location=UserLocation(city="Bern")),
                SearchTool("web_search_preview"),
            )
        },
    ),
    Taken(
        "a choice of a function",
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "f"}},
        {"tools": (FunctionTool("f"),), "tool_choice": FunctionChoice("f")},
    ),
    Taken(
        "a choice of any search fits any search tool",
        {"tools": [{"type": "web_search_preview"}], "tool_choice": {"type": "web_search"}},
        {"tools": (SearchTool("web_search_preview"),), "tool_choice": SearchChoice("web_search")},
    ),
    Taken(
        "required with a tool",
        {"tools": [TOOL], "tool_choice": "required"},
        {"tools": (FunctionTool("f"),), "tool_choice": "required"},
    ),
    Taken("none without tools", {"tool_choice": "none"}, {"tool_choice": "none"}),
    Taken("an empty text object", {"text": {}}, {"text": TextConfig()}),
    Taken(
        "plain text by name, terse",
        {"text": {"format": {"type": "text"}, "verbosity": "low"}},
        {"text": TextConfig(TextFormat(), "low")},
    ),
    Taken("any object", {"text": {"format": {"type": "json_object"}}}, {"text": TextConfig(JsonObjectFormat())}),
    Taken(
        "a schema",
        {"text": {"format": {"type": "json_schema", "name": "s", "schema": {"x": 0.5}, "strict": True}}},
        {"text": TextConfig(JsonSchemaFormat("s", {"x": 0.5}, strict=True))},
    ),
    # Preferences
    Taken("an empty provider object", {"provider": {}}, {}),
    Taken(
        "all preferences null",
        {"provider": {"allow_fallbacks": None, "sort": None, "order": None, "max_price": None, "zdr": None}},
        {},
    ),
    Taken(
        "every preference",
        {
            "provider": {
                "allow_fallbacks": False,
                "require_parameters": True,
                "data_collection": "deny",
                "zdr": True,
                "enforce_distillable_text": True,
                "order": ["Amazon Bedrock"],
                "only": ["own/eu"],
                "ignore": [],
                "quantizations": ["fp8", "unknown"],
                "sort": {"by": None, "partition": "none"},
                "max_price": {"prompt": "1.50", "completion": 2, "image": "1e-3", "audio": None, "request": 0},
                "preferred_min_throughput": {"p50": 10, "p90": None},
                "preferred_max_latency": 2.5,
            }
        },
        {
            "provider": ProviderPreferences(
                allow_fallbacks=False,
                require_parameters=True,
                data_collection="deny",
                zdr=True,
                enforce_distillable_text=True,
                order=("Amazon Bedrock",),
                only=("own/eu",),
                quantizations=("fp8", "unknown"),
                sort=Sort(None, "none"),
                max_price=MaxPrice(
                    prompt=Decimal("1.50"), completion=Decimal(2), image=Decimal("0.001"), request=Decimal(0)
                ),
                preferred_min_throughput=Cutoffs(p50=10.0),
                preferred_max_latency=Cutoffs(p50=2.5),
            )
        },
    ),
    Taken("sort by name", {"provider": {"sort": "price"}}, {"provider": ProviderPreferences(sort=Sort("price"))}),
    Taken(
        "every plugin",
        {
            "plugins": [
                {"id": "auto-router", "allowed_models": ["a/*"], "enabled": None},
                {"id": "moderation", "unknown": 1},
                {"id": "web", "max_results": 3.0, "engine": "exa", "search_prompt": "See:"},
                {"id": "file-parser", "pdf": {"engine": "pdf-text"}},
                {"id": "response-healing", "enabled": False},
            ]
        },
        {
            "plugins": (
                AutoRouterPlugin(allowed_models=("a/*",)),
                ModerationPlugin(),
                WebPlugin(max_results=3, search_prompt="See:", engine="exa"),
                FileParserPlugin(engine="pdf-text"),
                ResponseHealingPlugin(False),
            )
        },
    ),
    Taken(
        "of two plugins with the same id the last",
        {"plugins": [{"id": "web", "max_results": 1}, {"id": "web", "enabled": False}]},
        {"plugins": (WebPlugin(enabled=False),)},
    ),
]


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.id)
def test_a_member_is_taken(case: Taken) -> None:
    assert parsed(**case.members) == Request(input=(HI,), is_text_alone=True, **case.expected)


PNG = "data:image/png;base64,AA=="
SAYS = {"role": "assistant", "content": [{"type": "output_text", "text": "Yes"}, {"type": "refusal", "refusal": "No"}]}
SHOWS = {"role": "user", "content": [{"type": "input_text", "text": "See"}, {"type": "input_image", "image_url": PNG}]}
THINKS = {"type": "reasoning", "summary": []}


@pytest.mark.parametrize(
    ("items", "is_text_alone"),
    [
        ([{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hi"}, SAYS], True),
        ([SHOWS], False),
        ([SAYS, SHOWS], False),
        ([{"role": "user", "content": "Hi"}, THINKS, SAYS], False),
        ([{"role": "user", "content": "Hi"}, CALL, ANSWER], False),
    ],
)
def test_an_input_of_text_alone_is_told_from_others(items: list[Any], is_text_alone: bool) -> None:
    assert parsed(input=items).is_text_alone == is_text_alone


SOURCE = {"type": "url", "url": "u"}
SEARCHES = [
    Taken(
        f"a search that did {action}, {status}",
        {"type": "web_search_call", "id": "w", "status": status, "action": action},
        {"": WebSearchCall(id="w", status="failed" if status == "failed" else "completed")},
    )
    for action, status in (
        ({"type": "search", "query": "q"}, "completed"),
        ({"type": "search", "query": "q", "queries": ["q"], "sources": [SOURCE]}, None),
        ({"type": "search", "query": "q", "sources": [{"type": "api", "name": "oai-weather"}]}, "failed"),
        ({"type": "open_page", "url": None}, "completed"),
        ({"type": "find_in_page", "url": "u", "pattern": "p"}, "incomplete"),
        ({"type": "other"}, "open"),
        (None, ""),
        ("q", "completed"),
    )
]
ITEMS = [
    Taken("the easiest message", {"role": "user", "content": "Hi"}, {"": HI}),
    Taken(
        "ids and statuses are kept",
        {"type": "message", "id": "m", "role": "developer", "status": "completed", "content": "Hi"},
        {"": Message(id="m", role="developer", status="completed", content=(InputText("Hi"),))},
    ),
    Taken(
        "every part of the client's side",
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Hi"},
                {"type": "input_image", "image_url": PNG},
                {"type": "input_image", "image_url": PNG, "detail": "low", "file_id": None},
                {"type": "input_file", "file_data": "AA==", "filename": "a.pdf", "file_id": None},
                {"type": "input_file", "file_url": "https://example.org/a.pdf", "file_data": None},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
                {"type": "input_video", "video_url": "https://example.org/v"},
            ],
        },
        {
            "": Message(
                role="user",
                content=(
                    InputText("Hi"),
                    InputImage(PNG),
                    InputImage(PNG, "low"),
                    InputFile("a.pdf", "AA=="),
                    InputFile(file_url="https://example.org/a.pdf"),
                    InputAudio("AA==", "mp3"),
                    InputVideo("https://example.org/v"),
                ),
            )
        },
    ),
    Taken(
        "an assistant's message as a string",
        {"role": "assistant", "content": "Yes"},
        {"": Message(role="assistant", content=(OutputText("Yes"),))},
    ),
    Taken(
        "an assistant's message without id and status, its parts of either side",
        {
            "role": "assistant",
            "content": [
                {"type": "input_text", "text": "a"},
                {"type": "output_text", "text": "b", "annotations": None},
                {"type": "refusal", "refusal": "c"},
            ],
        },
        {"": Message(role="assistant", content=(OutputText("a"), OutputText("b"), RefusalPart("c")))},
    ),
    Taken(
        "annotations and logprobs",
        {
            "role": "assistant",
            "content": [
                {
                    "type": "output_text",
                    "text": "b",
                    "annotations": [
                        {"type": "url_citation", "url": "u", "title": "t", "start_index": 0.0, "end_index": 1},
                        {"type": "file_citation", "file_id": "f", "filename": "n", "index": 2},
                        {"type": "file_path", "file_id": "f", "index": 3},
                    ],
                    "logprobs": [
                        {
                            "token": "b",
                            "bytes": [98],
                            "logprob": -1,
                            "top_logprobs": [{"token": "c", "bytes": [99], "logprob": -2}],
                        }
                    ],
                }
            ],
        },
        {
            "": Message(
                role="assistant",
                content=(
                    OutputText(
                        "b",
                        (UrlCitation("u", "t", 0, 1), FileCitation("f", "n", 2), FilePath("f", 3)),
                        (Logprob("b", (98,), -1.0, (TopLogprob("c", (99,), -2.0),)),),
                    ),
                ),
            )
        },
    ),
    Taken("a bare reasoning item", {"type": "reasoning"}, {"": ReasoningItem()}),
    Taken(
        "a whole reasoning item",
        {
            "type": "reasoning",
            "id": "r",
            "summary": [{"type": "summary_text", "text": "s"}],
            "content": [{"type": "reasoning_text", "text": "t"}],
            "encrypted_content": "e",
            "signature": "g",
            "format": "google-gemini-v1",
            "status": None,
        },
        {
            "": ReasoningItem(
                id="r",
                summary=(SummaryText("s"),),
                content=(ReasoningText("t"),),
                encrypted_content="e",
                signature="g",
                format="google-gemini-v1",
            )
        },
    ),
    Taken("a search", {"type": "web_search_call", "id": "w"}, {"": WebSearchCall(id="w", status="completed")}),
    *SEARCHES,
    Taken(
        "a file search",
        {"type": "file_search_call", "id": "w", "queries": ["q"], "status": "failed", "results": []},
        {"": FileSearchCall(id="w", queries=("q",), status="failed")},
    ),
    Taken(
        "an image",
        {"type": "image_generation_call", "id": "i", "result": PNG, "status": "completed"},
        {"": ImageGenerationCall(id="i", result=PNG, status="completed")},
    ),
]


@pytest.mark.parametrize("case", ITEMS, ids=lambda case: case.id)
def test_an_item_is_taken(case: Taken) -> None:
    assert parsed(input=[case.members]).input == (case.expected[""],)


def test_calls_and_outputs_are_joined_by_call_id() -> None:
    again = {**CALL, "arguments": "", "id": "fc_9"}
    parts = {**ANSWER, "output": [{"type": "input_text", "text": "rain"}]}
    items = [CALL, {"role": "assistant", "content": "Wait."}, ANSWER, {"role": "user", "content": "?"}, again, parts]
    assert parsed(input=items).input[-2:] == (
        FunctionCallItem(id="fc_9", call_id="c1", name="f", arguments="{}"),
        FunctionCallOutput(call_id="c1", output=(InputText("rain"),)),
    )


USER = {"role": "user", "content": "?"}


@pytest.mark.parametrize(
    "items",
    [
        [CALL, USER, ANSWER],
        [CALL, {"role": "developer", "content": "Approved."}, ANSWER],
        [CALL, USER],
        [CALL, {**CALL, "call_id": "c2"}, ANSWER, USER],
        [CALL, USER, CALL, ANSWER],
        [CALL, ANSWER, ANSWER],
        [CALL, USER, ANSWER, ANSWER],
    ],
    ids=[
        "a message of the user between",
        "a note of the client between",
        "interrupted",
        "one of two interrupted",
        "the id of one that was interrupted",
        "the same output again",
        "the same output again, after a message",
    ],
)
def test_histories_of_calls_are_taken_as_they_are(items: list[object]) -> None:
    assert len(parsed(input=items).input) == len(items)


@pytest.mark.parametrize("number", ["0.1", "1.2345678901234567890123456789", "3E-7", "0.30"])
def test_prices_are_exact_from_the_text(number: str) -> None:
    body = b'{"input":"Hi","provider":{"max_price":{"prompt":%s,"image":"%s"}}}' % (number.encode(), number.encode())
    price = parse(body).provider.max_price
    assert price == MaxPrice(prompt=Decimal(number), image=Decimal(number))


def test_IN_14_metadata_at_its_bounds_is_taken() -> None:
    metadata = {f"{n:02}" + "k" * 62: "😀" * 512 for n in range(16)}
    assert parsed(metadata=metadata).metadata == metadata


@pytest.mark.parametrize("character", ["u", "😀"])
def test_IN_15_identifiers_are_counted_in_code_points(character: str) -> None:
    assert parsed(user=character * 128, session_id=character * 128).user == character * 128
    for name in ("user", "session_id"):
        assert refusal(json.dumps({"input": "Hi", name: character * 129}).encode()).param == name


def test_IN_16_the_session_header_counts_when_the_body_has_none() -> None:
    assert parse(b'{"input":"Hi"}', "from-header").session_id == "from-header"
    assert parse(b'{"input":"Hi","session_id":null}', "from-header").session_id == "from-header"
    assert parse(b'{"input":"Hi","session_id":"from-body"}', "from-header").session_id == "from-body"
    assert parse(b'{"input":"Hi"}', "").session_id is None
    error = refusal(b'{"input":"Hi"}', "x" * 129)
    assert (error.param, error.message) == ("x-session-id", "x-session-id must have at most 128 characters, not 129.")


# What is refused


@dataclass(frozen=True)
class Refused:
    id: str
    members: dict[str, Any]
    path: str
    complaint: str


def item(number: int = 0, **members: Any) -> dict[str, Any]:
    """Make a body whose `input` ends in one item, after some that are right."""
    return {"input": [*[{"role": "user", "content": "Hi"}] * number, members]}


def part(**members: Any) -> dict[str, Any]:
    return item(role="user", content=[{"type": "input_text", "text": "a"}, members])


PART_KINDS = '"input_audio", "input_file", "input_image", "input_text", "input_video"'
TOOL_KINDS = ", ".join(
    f'"{kind}"'
    for kind in (
        "apply_patch",
        "code_interpreter",
        "computer",
        "computer_use_preview",
        "custom",
        "file_search",
        "function",
        "image_generation",
        "local_shell",
        "mcp",
        "namespace",
        "programmatic_tool_calling",
        "shell",
        "tool_search",
        "web_search",
        "web_search_2025_08_26",
        "web_search_preview",
        "web_search_preview_2025_03_11",
    )
)
ITEM_KINDS = ", ".join(
    f'"{kind}"'
    for kind in (
        "additional_tools",
        "agent_message",
        "apply_patch_call",
        "apply_patch_call_output",
        "code_interpreter_call",
        "compaction",
        "compaction_trigger",
        "computer_call",
        "computer_call_output",
        "configuration_update",
        "context_compaction",
        "custom_tool_call",
        "custom_tool_call_output",
        "file_search_call",
        "function_call",
        "function_call_output",
        "image_generation_call",
        "local_shell_call",
        "local_shell_call_output",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "mcp_list_tools",
        "message",
        "program",
        "program_output",
        "reasoning",
        "shell_call",
        "shell_call_output",
        "tool_search_call",
        "tool_search_output",
        "web_search_call",
    )
)
NOT_STORED = "nothing is stored between requests"

REFUSED = [
    # Input
    Refused("null input", {"input": None}, "input", "is required: a string or an array of items"),
    Refused("empty text", {"input": ""}, "input", "must not be empty"),
    Refused("no items", {"input": []}, "input", "must not be empty"),
    Refused("a number as input", {"input": 5}, "input", "must be a string or an array of items, not 5"),
    Refused("an item that is null", {"input": [None]}, "input[0]", "must be an object, not null"),
    Refused("an item that is a string", item(2) | {"input": ["Hi"]}, "input[0]", 'must be an object, not "Hi"'),
    Refused("an unknown item", item(2, type="mcp"), "input[2].type", f'must be one of {ITEM_KINDS}, not "mcp"'),
    *(
        Refused(
            f"an item reference as {json.dumps(shape)}",
            {"input": [{"role": "user", "content": "Hi"}, shape]},
            "input[1].type",
            '"item_reference" cannot be used: nothing is stored; send the item itself '
            "(AI SDK: providerOptions.openai.store = false)",
        )
        for shape in (
            {"type": "item_reference", "id": "m"},
            {"id": "m"},
            {"id": "m", "type": None},
            {"id": "m", "role": None, "content": None},
            {"type": "item_reference", "id": "m", "status": "completed", "role": "assistant"},
        )
    ),
    Refused("a type that is no string", item(type=5), "input[0].type", f"must be one of {ITEM_KINDS}, not 5"),
    Refused(
        "neither type nor role",
        item(content="Hi"),
        "input[0].role",
        'is required and must be one of "assistant", "developer", "system", "user"',
    ),
    Refused(
        "an unknown role",
        item(role="tool", content="Hi"),
        "input[0].role",
        'must be one of "assistant", "developer", "system", "user", not "tool"',
    ),
    Refused("a message without content", item(role="user"), "input[0].content", "is required"),
    Refused(
        "a message of an object",
        item(role="user", content={}),
        "input[0].content",
        "must be a string or an array of parts, not an object",
    ),
    Refused(
        "an unknown status",
        item(role="user", content="Hi", status="done"),
        "input[0].status",
        'must be one of "completed", "in_progress", "incomplete", not "done"',
    ),
    Refused(
        "an unknown part",
        part(type="picture"),
        "input[0].content[1].type",
        f'must be one of {PART_KINDS}, not "picture"',
    ),
    *(
        Refused(
            f"a part of Chat Completions: {kind}",
            part(type=kind),
            "input[0].content[1].type",
            f'"{kind}" belongs to the Chat Completions API; send "{ours}"',
        )
        for kind, ours in (("text", "input_text"), ("image_url", "input_image"), ("file", "input_file"))
    ),
    Refused(
        "a picture by id",
        part(type="input_image", file_id="file_1"),
        "input[0].content[1].file_id",
        "cannot be used: no files are stored; send image_url",
    ),
    Refused(
        "a stored conversation",
        {"conversation": "conv_1"},
        "conversation",
        f'must be null, not "conv_1": {NOT_STORED}; send the whole conversation as input',
    ),
    *(
        Refused(
            f"nothing is said: {content}",
            {"input": [{"role": "user", "content": content}]},
            "input[0].content",
            "must not be empty",
        )
        for content in ("", [], [{"type": "input_text", "text": ""}])
    ),
    Refused(
        "a search that is asked for and may not be made",
        {"tools": [{"type": "web_search"}], "tool_choice": "required", "max_tool_calls": 0},
        "max_tool_calls",
        "is 0, but tool_choice asks for a web search",
    ),
    Refused(
        "a part without type",
        part(text="a"),
        "input[0].content[1].type",
        f"is required and must be one of {PART_KINDS}",
    ),
    Refused(
        "an output part of a user",
        part(type="output_text", text="a"),
        "input[0].content[1].type",
        f'must be one of {PART_KINDS}, not "output_text"',
    ),
    Refused(
        "an image of the assistant",
        item(role="assistant", content=[{"type": "input_image", "image_url": PNG}]),
        "input[0].content[0].type",
        '"input_image" has no place in a message of the assistant; send it in a message of the user',
    ),
    Refused(
        "an image that is null",
        part(type="input_image", image_url=None),
        "input[0].content[1].image_url",
        "is required",
    ),
    Refused(
        "an unknown detail",
        part(type="input_image", image_url=PNG, detail="max"),
        "input[0].content[1].detail",
        'must be one of "auto", "high", "low", "original", not "max"',
    ),
    Refused(
        "a stored file",
        part(type="input_file", file_id="file_1"),
        "input[0].content[1].file_id",
        "cannot be used: no files are stored; send file_data or file_url",
    ),
    Refused(
        "DO-10 a file with no source",
        part(type="input_file", filename="a.pdf"),
        "input[0].content[1]",
        "must have exactly one of file_data and file_url",
    ),
    Refused(
        "DO-10 a file with two sources",
        part(type="input_file", file_data="AA==", file_url="https://example.org"),
        "input[0].content[1]",
        "must have exactly one of file_data and file_url",
    ),
    Refused(
        "DO-10 a file with all sources",
        part(type="input_file", file_data="AA==", file_url="https://example.org", file_id="f"),
        "input[0].content[1].file_id",
        "cannot be used: no files are stored; send file_data or file_url",
    ),
    Refused(
        "audio in an unknown format",
        part(type="input_audio", input_audio={"data": "AA==", "format": "amr"}),
        "input[0].content[1].input_audio.format",
        'must be one of "aac", "aiff", "flac", "m4a", "mp3", "ogg", "wav", not "amr"',
    ),
    Refused(
        "audio by link",
        part(type="input_audio", input_audio={"data": "https://example.org", "format": "wav"}),
        "input[0].content[1].input_audio.data",
        'must be base64 or a data URL (links to sounds are not followed), not "https://example.org"',
    ),
    # Calls and outputs
    Refused(
        "a call without an output",
        {"input": [CALL]},
        "input[0]",
        f'{UNANSWERED} "c1"',
    ),
    Refused(
        "a call without an output after one that was interrupted",
        {"input": [CALL, {"role": "user", "content": "?"}, {**CALL, "call_id": "c2"}]},
        "input[2]",
        f'{UNANSWERED} "c2"',
    ),
    Refused(
        "one of two calls without an output",
        {"input": [CALL, {**CALL, "call_id": "c2"}, ANSWER]},
        "input[1]",
        f'{UNANSWERED} "c2"',
    ),
    Refused(
        "an output before its call",
        {"input": [ANSWER, CALL, {"role": "user", "content": "?"}]},
        "input[0].call_id",
        'must be the call_id of an open function_call before it, not "c1"',
    ),
    Refused(
        "an output without a call",
        {"input": [{"role": "user", "content": "?"}, ANSWER]},
        "input[1].call_id",
        'must be the call_id of an open function_call before it, not "c1"',
    ),
    Refused(
        "two outputs of one call that differ",
        {"input": [CALL, ANSWER, {**ANSWER, "output": "other"}]},
        "input[2].call_id",
        'must be the call_id of an open function_call before it, not "c1"',
    ),
    Refused(
        "two open calls of the same name",
        {"input": [CALL, CALL, ANSWER, ANSWER]},
        "input[1].call_id",
        'must be unlike the call_id of a call still open, not "c1"',
    ),
    Refused("a call without a name", item(type="function_call", call_id="c"), "input[0].name", "is required"),
    Refused(
        "arguments that are an object",
        {"input": [{**CALL, "arguments": {}}]},
        "input[0].arguments",
        "must be a string, not an object",
    ),
    Refused("an output that is null", {"input": [CALL, {**ANSWER, "output": None}]}, "input[1].output", "is required"),
    # What is not kept
    Refused(
        "IN-20 store", {"store": True}, "store", f"must be false, not true: {NOT_STORED}; send false or leave it out"
    ),
    Refused(
        "background", {"background": True}, "background", f"must be false, not true: {NOT_STORED}; use stream instead"
    ),
    Refused(
        "a previous response",
        {"previous_response_id": "resp_1"},
        "previous_response_id",
        f'must be null, not "resp_1": {NOT_STORED}; send the whole conversation as input',
    ),
    Refused("a template of no name", {"prompt": {"version": "1"}}, "prompt.id", "is required"),
    Refused("a template of an empty name", {"prompt": {"id": ""}}, "prompt.id", "must not be empty"),
    Refused(
        "a template of a long name",
        {"prompt": {"id": "p" * 65}},
        "prompt.id",
        "must have at most 64 characters, not 65",
    ),
    Refused("a template by its name alone", {"prompt": "p"}, "prompt", 'must be an object, not "p"'),
    Refused(
        "a version that is a number", {"prompt": {"id": "p", "version": 2}}, "prompt.version", "must be a string, not 2"
    ),
    Refused(
        "variables in a list",
        {"prompt": {"id": "p", "variables": ["a"]}},
        "prompt.variables",
        "must be an object, not an array",
    ),
    *(
        Refused(
            f"the variable {value}",
            {"prompt": {"id": "p", "variables": {"a": value}}},
            "prompt.variables.a",
            f"must be a string or an input_text, input_image or input_file part, not {told}",
        )
        for value, told in ((None, "null"), (5, "5"), (["a"], "an array"))
    ),
    Refused(
        "a variable that sounds",
        {"prompt": {"id": "p", "variables": {"a": {"type": "input_audio"}}}},
        "prompt.variables.a.type",
        'must be one of "input_file", "input_image", "input_text", not "input_audio"',
    ),
    Refused(
        "a variable that is a picture of nothing",
        {"prompt": {"id": "p", "variables": {"a b": {"type": "input_image"}}}},
        'prompt.variables["a b"].image_url',
        "is required",
    ),
    Refused(
        "a variable that was uploaded",
        {"prompt": {"id": "p", "variables": {"a": {"type": "input_file", "file_id": "f"}}}},
        "prompt.variables.a.file_id",
        "cannot be used: no files are stored; send file_data or file_url",
    ),
    Refused(
        "IN-20 service tier",
        {"service_tier": "cheap"},
        "service_tier",
        'must be one of "auto", "default", "fast", "flex", "priority", "scale", "ultrafast", not "cheap"',
    ),
    Refused("a stop text that is none", {"stop": 5}, "stop", "must be an array, not 5"),
    Refused("five stop texts", {"stop": list("abcde")}, "stop", "must have at most 4 entries, not 5"),
    Refused("a long stop text", {"stop": ["a", "b" * 1001]}, "stop[1]", "must have at most 1000 characters, not 1001"),
    Refused("half a seed", {"seed": 0.5}, "seed", f"{A_SEED}0.5"),
    Refused("a seed beyond 64 bits", {"seed": 2**63}, "seed", f"{A_SEED}{2**63}"),
    Refused("too much of min_p", {"min_p": 1.1}, "min_p", "must be a number from 0 to 1, not 1.1"),
    Refused("a heavy bias", {"logit_bias": {"5": 101}}, "logit_bias.5", "must be a number from -100 to 100, not 101"),
    # Plain members
    Refused("an empty model", {"model": ""}, "model", "must not be empty"),
    Refused("a model that is a number", {"model": 4}, "model", "must be a string, not 4"),
    Refused("an empty name in models", {"models": ["a", ""]}, "models[1]", "must not be empty"),
    Refused("IN-23 33 models", {"models": ["a/b"] * 33}, "models", "must have at most 32 entries, not 33"),
    Refused("instructions as items", {"instructions": []}, "instructions", "must be a string, not an array"),
    Refused("IN-20 hot", {"temperature": 2.01}, "temperature", "must be a number from 0 to 2, not 2.01"),
    Refused("a temperature as text", {"temperature": "1"}, "temperature", 'must be a number from 0 to 2, not "1"'),
    Refused("a temperature of true", {"temperature": True}, "temperature", "must be a number from 0 to 2, not true"),
    Refused("top_p above one", {"top_p": 1.5}, "top_p", "must be a number from 0 to 1, not 1.5"),
    Refused("IN-20 21 logprobs", {"top_logprobs": 21}, "top_logprobs", "must be a whole number from 0 to 20, not 21"),
    Refused(
        "a penalty too low", {"presence_penalty": -2.5}, "presence_penalty", "must be a number from -2 to 2, not -2.5"
    ),
    Refused("stream as text", {"stream": "true"}, "stream", 'must be true or false, not "true"'),
    Refused(
        "a negative count of calls",
        {"max_tool_calls": -1},
        "max_tool_calls",
        "must be a whole number from 0 to 1000000000, not -1",
    ),
    Refused(
        "an unknown include",
        {"include": ["reasoning.encrypted_content", "x"]},
        "include[1]",
        'must be one of "code_interpreter_call.outputs", "computer_call_output.output.image_url", '
        '"file_search_call.results", "message.input_image.image_url", "message.output_text.logprobs", '
        '"reasoning.encrypted_content", "web_search_call.action.sources", "web_search_call.results", not "x"',
    ),
    Refused(
        "an unknown modality", {"modalities": ["audio"]}, "modalities[0]", 'must be one of "image", "text", not "audio"'
    ),
    Refused(
        "an image setting of true",
        {"image_config": {"n": True}},
        "image_config.n",
        "must be a string or a number, not true",
    ),
    Refused("an unknown route", {"route": "best"}, "route", 'must be one of "fallback", "sort", not "best"'),
    Refused(
        "a long wrong value is cut",
        {"truncation": LONG},
        "truncation",
        'must be one of "auto", "disabled", not "' + "x" * 78 + "…",
    ),
    Refused(
        "effort and tokens",
        {"reasoning": {"effort": "low", "max_tokens": 5}},
        "reasoning",
        "must have only one of effort and max_tokens",
    ),
    Refused(
        "an unknown effort",
        {"reasoning": {"effort": "utmost"}},
        "reasoning.effort",
        'must be one of "high", "low", "max", "medium", "minimal", "none", "ultra", "xhigh", not "utmost"',
    ),
    # Metadata
    Refused(
        "IN-14 17 pairs",
        {"metadata": {str(n): "" for n in range(17)}},
        "metadata",
        "must have at most 16 pairs, not 17",
    ),
    Refused(
        "IN-14 a key of 65",
        {"metadata": {"k" * 65: ""}},
        "metadata",
        f'must have keys of at most 64 characters without [ and ], not "{"k" * 65}"',
    ),
    Refused(
        "IN-14 a bracket",
        {"metadata": {"a]": ""}},
        "metadata",
        'must have keys of at most 64 characters without [ and ], not "a]"',
    ),
    Refused(
        "IN-14 a value of 513",
        {"metadata": {"a": "x" * 513}},
        "metadata.a",
        "must have at most 512 characters, not 513",
    ),
    Refused("a value that is no text", {"metadata": {"a b": 1}}, 'metadata["a b"]', "must be a string, not 1"),
    Refused("a value that is null", {"metadata": {"a": None}}, "metadata.a", "must be a string, not null"),
    # Tools
    Refused(
        "an unknown tool", {"tools": [{"type": "bash"}]}, "tools[0].type", f'must be one of {TOOL_KINDS}, not "bash"'
    ),
    Refused(
        "a tool of the other API",
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        "tools[0].function",
        'belongs to the Chat Completions API; put its members beside "type"',
    ),
    Refused("a tool name of nothing", {"tools": [{**TOOL, "name": ""}]}, "tools[0].name", "must not be empty"),
    Refused(
        "a tool name of 257",
        {"tools": [{**TOOL, "name": "a" * 257}]},
        "tools[0].name",
        "must have at most 256 characters, not 257",
    ),
    Refused(
        "two tools of one name", {"tools": [TOOL, TOOL]}, "tools[1].name", 'must be a name no other tool has, not "f"'
    ),
    Refused(
        "parameters as an array",
        {"tools": [{**TOOL, "parameters": []}]},
        "tools[0].parameters",
        "must be an object, not an array",
    ),
    Refused(
        "a precise location",
        {"tools": [{"type": "web_search", "user_location": {"type": "exact"}}]},
        "tools[0].user_location.type",
        'must be "approximate", not "exact"',
    ),
    Refused(
        "required without tools", {"tool_choice": "required"}, "tool_choice", 'is "required", but there are no tools'
    ),
    Refused(
        "an unknown choice",
        {"tool_choice": "any"},
        "tool_choice",
        'must be one of "auto", "none", "required", or an object that names a tool, not "any"',
    ),
    Refused(
        "a choice of an absent function",
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}},
        "tool_choice.name",
        'must be the name of a function in tools (f), not "g"',
    ),
    Refused(
        "a choice of an absent search",
        {"tools": [TOOL], "tool_choice": {"type": "web_search"}},
        "tool_choice.type",
        'is "web_search", but tools has no web search',
    ),
    Refused(
        "an unknown format",
        {"text": {"format": {"type": "xml"}}},
        "text.format.type",
        'must be one of "json_object", "json_schema", "text", not "xml"',
    ),
    Refused(
        "a schema of the other API",
        {"text": {"format": {"type": "json_schema", "json_schema": {}}}},
        "text.format.json_schema",
        'belongs to the Chat Completions API; put its members beside "type"',
    ),
    Refused(
        "a format without a schema",
        {"text": {"format": {"type": "json_schema", "name": "s"}}},
        "text.format.schema",
        "is required",
    ),
    # Preferences
    Refused(
        "IN-19 an unknown preference",
        {"provider": {"sorting": None}},
        "provider.sorting",
        "is not known here; known are allow_fallbacks, data_collection, enforce_distillable_text, ignore, max_price, "
        "only, order, preferred_max_latency, preferred_min_throughput, quantizations, require_parameters, sort, zdr",
    ),
    Refused(
        "an unknown sort",
        {"provider": {"sort": "cheap"}},
        "provider.sort",
        'must be one of "latency", "price", "throughput", or an object with by and partition, not "cheap"',
    ),
    Refused(
        "an unknown partition",
        {"provider": {"sort": {"partition": "all"}}},
        "provider.sort.partition",
        'must be one of "model", "none", not "all"',
    ),
    Refused(
        "an order that is text", {"provider": {"order": "openai"}}, "provider.order", 'must be an array, not "openai"'
    ),
    Refused(
        "a cutoff that is text",
        {"provider": {"preferred_max_latency": "2"}},
        "provider.preferred_max_latency",
        'must be a number, or an object with p50, p75, p90 and p99, not "2"',
    ),
    Refused(
        "a negative cutoff",
        {"provider": {"preferred_min_throughput": {"p99": -1}}},
        "provider.preferred_min_throughput.p99",
        "must be a number of at least 0, not -1",
    ),
    *(
        Refused(
            f"a price of {shown}",
            {"provider": {"max_price": {"prompt": value}}},
            "provider.max_price.prompt",
            f"must be an amount in USD, a number or a string, of at least 0, not {shown}",
        )
        for value, shown in (
            (-1, "-1"),
            (-0.5, "-0.5"),
            (True, "true"),
            ("NaN", '"NaN"'),
            ("Infinity", '"Infinity"'),
            ("1_0", '"1_0"'),
            (" 1", '" 1"'),
            ("", '""'),
            ("1e99", '"1e99"'),
            ([], "an array"),
        )
    ),
    # Plugins
    Refused(
        "IN-20 an unknown plugin",
        {"plugins": [{"id": "x"}]},
        "plugins[0].id",
        'must be one of "auto-router", "file-parser", "moderation", "response-healing", "web", not "x"',
    ),
    Refused(
        "26 results",
        {"plugins": [{"id": "web", "max_results": 26}]},
        "plugins[0].max_results",
        "must be a whole number from 1 to 25, not 26",
    ),
    Refused(
        "an unknown engine",
        {"plugins": [{"id": "file-parser", "pdf": {"engine": "ocr"}}]},
        "plugins[0].pdf.engine",
        'must be one of "mistral-ocr", "native", "pdf-text", not "ocr"',
    ),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_a_member_is_refused(case: Refused) -> None:
    error = refusal(json.dumps({"input": "Hi", **case.members}).encode())
    assert (error.message, error.param) == (f"{case.path} {case.complaint}.", case.path)
    assert error.metadata["param"] == case.path
    assert error.kind == ("invalid_prompt" if case.path.startswith("input") else "invalid_request")


@pytest.mark.parametrize("count", [-1, 0, 1.5, 1e18, 10**18, 10**400])
def test_IN_21_max_output_tokens_out_of_bounds_are_refused(count: float) -> None:
    error = refusal(json.dumps({"input": "Hi", "max_output_tokens": count}).encode())
    assert error.message.startswith("max_output_tokens must be a whole number from 1 to 1000000000, not ")
    assert len(error.message) < 200


def test_messages_without_input_get_a_hint() -> None:
    error = refusal(b'{"model":"a/b","messages":[]}')
    assert error.message == ("input is required; messages belongs to the Chat Completions API, send its list as input.")


def test_IN_24_line_breaks_stay_inside_their_strings() -> None:
    request = parsed(model="a\r\nX-Evil: 1", user="a\r\nb", metadata={"k\n": "v\r"})
    assert (request.model, request.user, request.metadata) == ("a\r\nX-Evil: 1", "a\r\nb", {"k\n": "v\r"})


def test_many_items_are_measured_once_for_as_long_as_they_are_the_same() -> None:
    items = [{"role": "user", "content": "Hello"}] * 400
    request = parse(json.dumps({"input": items, "instructions": "Hi"}).encode())
    counted = replace(request, measured=None)
    assert request.measured is not None
    assert extent_of(request) is request.measured.extent
    assert extent_of(request) == extent_of(counted)
    for change in ({"input": request.input[1:]}, {"instructions": "Hello there"}):
        assert extent_of(replace(request, **change)) == extent_of(replace(counted, **change))
