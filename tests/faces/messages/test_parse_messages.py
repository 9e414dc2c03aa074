"""Bodies of the Messages API and the requests they become; bodies and the one short message they get."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from trunkline.errors import BadRequest
from trunkline.faces.contract import Asked
from trunkline.faces.messages.form import MessagesForm
from trunkline.faces.messages.parse import parse
from trunkline.protocol.items import (
    CacheMark,
    Found,
    FunctionCallItem,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputItem,
    InputText,
    Message,
    OutputText,
    ReasoningItem,
    ReasoningText,
    SearchAction,
    SummaryText,
    WebSearchCall,
)
from trunkline.protocol.opaque import Anthropic, AnthropicItem, AnthropicTool
from trunkline.protocol.paths import OWN_PATHS
from trunkline.protocol.preferences import ProviderPreferences, ResponseHealingPlugin
from trunkline.protocol.request import ReasoningConfig, Request
from trunkline.protocol.tools import (
    FunctionChoice,
    FunctionTool,
    JsonSchemaFormat,
    SearchChoice,
    SearchFilters,
    SearchTool,
    TextConfig,
    UserLocation,
)
from trunkline.stream.seals import CLAUDE_FORMAT, Seal, seal, unsigned

Json = Any

HI = Message(role="user", content=(InputText("Hi"),))
MARK = {"type": "ephemeral"}
SCHEMA = {"type": "object", "properties": {"b": {}, "a": {}}}
TOOL = {"name": "f", "input_schema": SCHEMA}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
CALL = FunctionCallItem(call_id="t1", name="f", arguments="{}")
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}
ANSWER = FunctionCallOutput(call_id="t1", output="sunny")
PNG = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
TAGGED = seal(Seal(endpoint_id="openai:gpt", blob="zzz", form="openai-responses-v1"))


def body_of(**members: Json) -> bytes:
    whole = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], **members}
    return json.dumps(whole).encode()


def read(body: bytes, session: str | None = None, **said: str) -> Asked:
    return parse(body, session, {name.replace("_", "-").encode(): value.encode() for name, value in said.items()})


def asked(**members: Json) -> Request:
    """A body as it is read, but for where it said what."""
    return replace(read(body_of(**members)).request, paths=OWN_PATHS)


def of_user(*blocks: Json) -> list[Json]:
    return [{"role": "user", "content": list(blocks)}]


def of_assistant(*blocks: Json) -> list[Json]:
    return [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": list(blocks)}]


# What is taken


@dataclass(frozen=True)
class Taken:
    """Members beside a usual body, and what of the request they change."""

    id: str
    members: dict[str, Json]
    expected: dict[str, Any] = field(default_factory=dict)


def anthropics(**members: Any) -> dict[str, Any]:
    return {"anthropic": Anthropic(**members)}


TAKEN = (
    Taken("a string is one message of the user", {}),
    Taken("null is as good as nothing", {"system": None, "tools": None, "thinking": None, "cache_control": None}),
    Taken("members of others' servers are named", {"num_ctx": 1, "options": {}}, {"ignored": ("num_ctx", "options")}),
    Taken("a version in the body means nothing", {"anthropic_version": "bedrock-2023-05-31"}),
    Taken(
        "how words are chosen",
        {"temperature": 1, "top_p": 0.5, "top_k": 7, "stop_sequences": ["a", "", "b", "a"]},
        {"temperature": 1.0, "top_p": 0.5, "top_k": 7, "stop": ("a", "b")},
    ),
    Taken("a stream", {"stream": True}, {"stream": True}),
    Taken("the usual tier", {"service_tier": "auto"}),
    Taken(
        "no priority",
        {"service_tier": "standard_only"},
        anthropics(members={"service_tier": "standard_only"}),
    ),
    Taken(
        "what the gateway takes beside",
        {
            "models": ["n"],
            "provider": {"only": ["x"]},
            "plugins": [{"id": "response-healing"}],
            "session_id": "s",
            "prompt_cache_key": "k",
            "route": "fallback",
        },
        {
            "models": ("n",),
            "provider": ProviderPreferences(only=("x",)),
            "plugins": (ResponseHealingPlugin(),),
            "session_id": "s",
            "prompt_cache_key": "k",
            "route": "fallback",
        },
    ),
    Taken(
        "what only Anthropic knows",
        {"context_management": {"edits": []}, "container": "c", "mcp_servers": [], "speed": "fast"},
        anthropics(
            members={"container": "c", "context_management": {"edits": []}, "mcp_servers": [], "speed": "fast"},
        ),
    ),
    Taken(
        "betas in the body, as other clouds' servers want them",
        {"anthropic_beta": ["a-1", "b-2", "a-1"]},
        anthropics(betas=("a-1", "b-2")),
    ),
    # Thinking
    Taken("no thinking", {"thinking": {"type": "disabled"}}, {"reasoning": ReasoningConfig(effort="none")}),
    Taken(
        "a budget",
        {"thinking": {"type": "enabled", "budget_tokens": 31_999}},
        {"reasoning": ReasoningConfig(max_tokens=31_999)},
    ),
    Taken("the model's own measure", {"thinking": {"type": "adaptive"}}, {"reasoning": ReasoningConfig(enabled=True)}),
    Taken(
        "an effort",
        {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}},
        {"reasoning": ReasoningConfig(effort="max")},
    ),
    Taken("an effort alone", {"output_config": {"effort": "low"}}, {"reasoning": ReasoningConfig(effort="low")}),
    Taken(
        "an effort beside a budget, and thoughts that nobody wants to see",
        {"thinking": {"type": "enabled", "budget_tokens": 5, "display": "omitted"}, "output_config": {"effort": "low"}},
        {
            "reasoning": ReasoningConfig(max_tokens=5),
            "ignored": ("output_config.effort", "thinking.display"),
        },
    ),
    Taken(
        "thoughts that are to be seen in a way that one maker knows",
        {"thinking": {"type": "adaptive", "display": "updates"}},
        {"reasoning": ReasoningConfig(enabled=True), "ignored": ("thinking.display",)},
    ),
    Taken(
        "thought between tools alone",
        {"thinking": {"type": "between_tools"}},
        {"reasoning": ReasoningConfig(enabled=True), "ignored": ("thinking.type",)},
    ),
    Taken("a name that asks for it", {"model": "m:thinking"}, {"reasoning": ReasoningConfig(enabled=True)}),
    # The form of the answer
    *(
        Taken(
            f"a schema in {name}",
            {name: {"format": form} if name == "output_config" else form},
            {"text": TextConfig(JsonSchemaFormat("answer", SCHEMA, strict=True))},
        )
        for name in ("output_config", "output_format")
        for form in ({"type": "json_schema", "schema": SCHEMA},)
    ),
    Taken(
        "what else Anthropic knows of an answer",
        {"output_config": {"task_budget": {"tokens": 5}}},
        anthropics(members={"output_config": {"task_budget": {"tokens": 5}}}),
    ),
    # Tools
    Taken(
        "a tool",
        {"tools": [{**TOOL, "type": "custom", "description": "d", "strict": True, "cache_control": MARK}]},
        {"tools": (FunctionTool("f", "d", SCHEMA, strict=True, cache_control=CacheMark()),), "has_marks": True},
    ),
    Taken(
        "what of a tool only Anthropic knows",
        {"tools": [{**TOOL, "eager_input_streaming": True, "input_examples": [{"a": 1}], "defer_loading": None}]},
        {
            "tools": (FunctionTool("f", None, SCHEMA),),
            **anthropics(tools={"f": {"eager_input_streaming": True, "input_examples": [{"a": 1}]}}),
        },
    ),
    Taken(
        "a search",
        {
            "tools": [
                {
                    "type": "web_search_20250305",
                    "name": "web_search",
                    "max_uses": 8,
                    "allowed_domains": ["a.b"],
                    "user_location": {"type": "approximate", "city": "Bern"},
                }
            ]
        },
        {
            "tools": (
                SearchTool("web_search", filters=SearchFilters(("a.b",)), user_location=UserLocation(city="Bern")),
            ),
            "max_tool_calls": 8,
            **anthropics(tools={"web_search": {"type": "web_search_20250305"}}),
        },
    ),
    Taken(
        "a search that leaves pages out",
        {"tools": [{"type": "web_search_20260318", "name": "web_search", "blocked_domains": ["a.b"]}]},
        {
            "tools": (SearchTool("web_search"),),
            **anthropics(tools={"web_search": {"type": "web_search_20260318", "blocked_domains": ["a.b"]}}),
        },
    ),
    *(
        Taken(
            f"Anthropic's {kind}",
            {"tools": [{"type": kind, "name": "n"}]},
            {"tools": (AnthropicTool(type=kind, name="n"),), "has_extensions": True},
        )
        for kind in (
            "bash_20250124",
            "text_editor_20250728",
            "computer_toolset_20260801",
            "memory_20250818",
            "code_execution_20260521",
            "web_fetch_20260318",
            "tool_search_tool_bm25",
            "tool_search_tool_regex_20251119",
            "mcp_toolset",
        )
    ),
    Taken(
        "any tool, one at a time",
        {"tools": [TOOL], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
        {"tools": (FunctionTool("f", None, SCHEMA),), "tool_choice": "required", "parallel_tool_calls": False},
    ),
    Taken(
        "one tool, several at a time",
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": False}},
        {
            "tools": (FunctionTool("f", None, SCHEMA),),
            "tool_choice": FunctionChoice("f"),
            "parallel_tool_calls": True,
        },
    ),
    Taken(
        "the search by its name",
        {
            "tools": [{"type": "web_search_20250305", "name": "web_search"}],
            "tool_choice": {"type": "tool", "name": "web_search"},
        },
        {
            "tools": (SearchTool("web_search"),),
            "tool_choice": SearchChoice("web_search"),
            **anthropics(tools={"web_search": {"type": "web_search_20250305"}}),
        },
    ),
    Taken(
        "no tool",
        {"tools": [TOOL], "tool_choice": {"type": "none"}},
        {"tools": (FunctionTool("f", None, SCHEMA),), "tool_choice": "none"},
    ),
    Taken(
        "a tool of Anthropic's by its name",
        {"tools": [{"type": "bash_20250124", "name": "sh"}], "tool_choice": {"type": "tool", "name": "sh"}},
        {
            "tools": (AnthropicTool(type="bash_20250124", name="sh"),),
            "tool_choice": FunctionChoice("sh"),
            "has_extensions": True,
        },
    ),
    Taken("a choice among nothing", {"tool_choice": {"type": "auto"}}),
)


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.id)
def test_a_body_becomes_a_request(case: Taken) -> None:
    usual = {
        "input": (HI,),
        "model": "m",
        "max_output_tokens": 9,
        "limit_is_wish": True,
        "is_text_alone": True,
        "anthropic": Anthropic(),
    }
    model = {"model": case.members["model"]} if "model" in case.members else {}
    assert asked(**case.members) == Request(**{**usual, **model, **case.expected})


# Conversations


@dataclass(frozen=True)
class Told:
    """Messages, and the items that they become."""

    id: str
    messages: list[Json]
    items: tuple[InputItem, ...]
    system: Json = None
    more: dict[str, Any] = field(default_factory=dict)


def system(*parts: InputText) -> Message:
    return Message(role="system", content=parts)


def user(*parts: Any) -> Message:
    return Message(role="user", content=parts)


def assistant(*parts: Any) -> Message:
    return Message(role="assistant", content=parts)


SEARCHED = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}}
PAGE = {"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "e", "page_age": "1 day"}
FETCHED = {"type": "server_tool_use", "id": "s2", "name": "web_fetch", "input": {"url": "u"}}
FETCH_RESULT = {"type": "web_fetch_tool_result", "tool_use_id": "s2", "content": {"type": "web_fetch_result"}}

TOLD = (
    Told("a system text", of_user({"type": "text", "text": "Hi"}), (system(InputText("Be brief.")), HI), "Be brief."),
    Told(
        "system blocks are one message, each with its mark",
        of_user({"type": "text", "text": "Hi"}),
        (system(InputText("a", CacheMark("1h")), InputText("b")), HI),
        [{"type": "text", "text": "a", "cache_control": {**MARK, "ttl": "1h"}}, {"type": "text", "text": "b"}],
    ),
    Told(
        "the line that says which program calls is no part of the text",
        of_user({"type": "text", "text": "Hi"}),
        (system(InputText("a")), HI),
        [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2;"}, {"type": "text", "text": "a"}],
        anthropics(billing="x-anthropic-billing-header: cc_version=2;"),
    ),
    Told(
        "… nor of a block that goes on behind it, which keeps its mark",
        of_user({"type": "text", "text": "Hi"}),
        (system(InputText("a\nb", CacheMark())), HI),
        [{"type": "text", "text": "x-anthropic-billing-header: 1\na\nb", "cache_control": MARK}],
        anthropics(billing="x-anthropic-billing-header: 1"),
    ),
    Told(
        "… and a second such line is a text like others",
        of_user({"type": "text", "text": "Hi"}),
        (system(InputText("x-anthropic-billing-header: 2")), HI),
        [{"type": "text", "text": f"x-anthropic-billing-header: {each}"} for each in (1, 2)],
        anthropics(billing="x-anthropic-billing-header: 1"),
    ),
    Told(
        "… and one that is longer than such a line is a text, which is judged and counted",
        of_user({"type": "text", "text": "Hi"}),
        (system(InputText("x-anthropic-billing-header:" + "a" * 512)), HI),
        "x-anthropic-billing-header:" + "a" * 512,
    ),
    Told(
        "… and neither is it in one text",
        of_user({"type": "text", "text": "Hi"}),
        (system(InputText("a\nb")), HI),
        "x-anthropic-billing-header: 1\na\nb",
        anthropics(billing="x-anthropic-billing-header: 1"),
    ),
    Told(
        "that the tools are others is said in words",
        [
            *of_user({"type": "text", "text": "Hi"}),
            {
                "role": "system",
                "content": [
                    {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "f"}, "cache_control": MARK},
                    {"type": "tool_removal", "tool": {"type": "mcp_toolset_reference", "server_name": "wiki"}},
                ],
            },
        ],
        (
            HI,
            system(
                InputText("The tool f can be used from here on.", CacheMark()),
                InputText("The tool wiki cannot be used any more."),
            ),
        ),
    ),
    Told(
        "a system message that only says how to answer is none",
        [*of_user({"type": "text", "text": "Hi"}), {"role": "system", "output_config": {"effort": "low"}}],
        (HI,),
        more={"ignored": ("messages.output_config",)},
    ),
    Told(
        "who called is kept, where it was not the model itself",
        [
            {"role": "user", "content": "Hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "a", "name": "f", "input": {}, "caller": {"type": "direct"}},
                    {"type": "tool_use", "id": "b", "name": "f", "input": {}, "caller": {"type": "c", "tool_id": "s"}},
                    {"type": "tool_use", "id": "c", "name": "f", "input": {}, "toolset_name": "computer"},
                ],
            },
            of_user(*({"type": "tool_result", "tool_use_id": each, "content": "x"} for each in "abc"))[0],
        ],
        (
            HI,
            FunctionCallItem(call_id="a", name="f", arguments="{}"),
            FunctionCallItem(
                call_id="b", name="f", arguments="{}", anthropic={"caller": {"type": "c", "tool_id": "s"}}
            ),
            FunctionCallItem(call_id="c", name="f", arguments="{}", anthropic={"toolset_name": "computer"}),
            *(FunctionCallOutput(call_id=each, output="x") for each in "abc"),
        ),
        None,
        {"has_extensions": True, "is_text_alone": False},
    ),
    Told(
        "a system message in the middle stays there",
        [
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": "Now."},
            {"role": "assistant", "content": "A"},
        ],
        (HI, system(InputText("Now.")), assistant(OutputText("A"))),
    ),
    Told(
        "a system message for one turn is not shown in later ones",
        [
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": "Now.", "clear_at": "next_user_message"},
            {"role": "assistant", "content": "A"},
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": "Then.", "clear_at": "next_user_message"},
        ],
        (HI, assistant(OutputText("A")), HI, system(InputText("Then."))),
    ),
    Told(
        "pictures",
        of_user(
            {"type": "image", "source": PNG, "cache_control": MARK},
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        ),
        (
            user(
                InputImage("data:image/png;base64,AAAA", cache_control=CacheMark()),
                InputImage("https://example.org/a.png"),
            ),
        ),
        more={"is_text_alone": False},
    ),
    Told(
        "documents",
        of_user(
            {"type": "document", "source": {"type": "base64", "data": "JVBERg=="}, "title": "T", "context": "C"},
            {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "ü"}},
            {"type": "document", "source": {"type": "content", "content": "c"}, "title": "T", "cache_control": MARK},
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "d"}]}},
        ),
        (
            user(
                InputText("C"),
                InputFile("T", "data:application/pdf;base64,JVBERg=="),
                InputFile(file_url="https://example.org/a.pdf"),
                InputFile(file_data="data:text/plain;base64," + b64encode("ü".encode()).decode()),
                InputText("T"),
                InputText("c", CacheMark()),
                InputText("d"),
            ),
        ),
        more={"is_text_alone": False},
    ),
    Told(
        "what the client found itself is text, and nobody is asked to cite it",
        of_user(
            {
                "type": "search_result",
                "source": "https://a",
                "title": "T",
                "content": [{"type": "text", "text": "c"}],
                "citations": {"enabled": True},
                "cache_control": MARK,
            }
        ),
        (user(InputText("T\nhttps://a"), InputText("c", CacheMark())),),
        more={"ignored": ("messages.citations",)},
    ),
    Told(
        "a call and its result, with words after it",
        [*of_assistant({"type": "text", "text": "Let me see."}, USE), *of_user(RESULT, {"type": "text", "text": "Hi"})],
        (HI, assistant(OutputText("Let me see.")), CALL, ANSWER, HI),
        more={"is_text_alone": False},
    ),
    Told(
        "what a tool gave back in blocks, and that it failed",
        [
            *of_assistant(USE, {**USE, "id": "t2", "cache_control": MARK}, {**USE, "id": "t3"}),
            *of_user(
                {**RESULT, "content": [{"type": "image", "source": PNG}], "is_error": True},
                {"type": "tool_result", "tool_use_id": "t2", "is_error": False, "cache_control": MARK},
                {
                    "type": "tool_result",
                    "tool_use_id": "t3",
                    "content": [{"type": "tool_reference", "tool_name": "g"}, {"type": "text", "text": "x"}],
                },
            ),
        ],
        (
            HI,
            CALL,
            FunctionCallItem(call_id="t2", name="f", arguments="{}", cache_control=CacheMark()),
            FunctionCallItem(call_id="t3", name="f", arguments="{}"),
            FunctionCallOutput(call_id="t1", output=(InputImage("data:image/png;base64,AAAA"),), is_error=True),
            FunctionCallOutput(call_id="t2", output="", cache_control=CacheMark()),
            FunctionCallOutput(call_id="t3", output=(InputText("g"), InputText("x"))),
        ),
        more={"is_text_alone": False},
    ),
    Told(
        "thoughts: Anthropic's own, somebody else's, hidden ones, and one without a proof",
        of_assistant(
            {"type": "thinking", "thinking": "a", "signature": "sig"},
            {"type": "thinking", "thinking": "", "signature": "sig"},
            {"type": "thinking", "thinking": "b", "signature": TAGGED},
            {"type": "redacted_thinking", "data": "hid"},
            {"type": "thinking", "thinking": "c", "signature": unsigned()},
            {"type": "text", "text": "A", "citations": [{"type": "char_location"}]},
        ),
        (
            HI,
            ReasoningItem(content=(ReasoningText("a"),), signature="sig", format=CLAUDE_FORMAT),
            ReasoningItem(signature="sig", format=CLAUDE_FORMAT),
            ReasoningItem(summary=(SummaryText("b"),), encrypted_content=TAGGED, format="openai-responses-v1"),
            ReasoningItem(encrypted_content="hid", format=CLAUDE_FORMAT),
            ReasoningItem(content=(ReasoningText("c"),)),
            assistant(OutputText("A")),
        ),
        more={"is_text_alone": False},
    ),
    Told(
        "a search and what it found",
        of_assistant(
            SEARCHED,
            {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [PAGE]},
            {**SEARCHED, "id": "s3"},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "s3",
                "content": {"type": "web_search_tool_result_error"},
            },
            {"type": "text", "text": "A"},
        ),
        (
            HI,
            WebSearchCall(
                id="s1",
                status="completed",
                action=SearchAction("q", ("q",)),
                results=(Found("u", "t", "1 day", "e"),),
            ),
            WebSearchCall(id="s3", status="failed", action=SearchAction("q", ("q",))),
            assistant(OutputText("A")),
        ),
        more={"is_text_alone": False, "has_extensions": True},
    ),
    Told(
        "what only Anthropic's servers can read",
        of_assistant(FETCHED, FETCH_RESULT, {"type": "compaction", "content": "c"}),
        (
            HI,
            AnthropicItem(FETCHED),
            AnthropicItem(FETCH_RESULT),
            AnthropicItem(type="compaction", content="c"),
        ),
        more={"is_text_alone": False, "has_extensions": True},
    ),
    Told(
        "an answer that has begun",
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "{"}],
        (HI, assistant(OutputText("{"))),
    ),
)


@pytest.mark.parametrize("case", TOLD, ids=lambda case: case.id)
def test_a_conversation_becomes_items(case: Told) -> None:
    request = asked(messages=case.messages, **({} if case.system is None else {"system": case.system}))
    assert request.input == case.items
    assert request.is_text_alone == case.more.get("is_text_alone", not request.has_marks)
    assert request.ignored == case.more.get("ignored", ())
    assert request.anthropic == case.more.get("anthropic", Anthropic())


@dataclass(frozen=True)
class Marked:
    id: str
    messages: list[Json]
    last: Any


MARKED = (
    Marked("a text", of_user({"type": "text", "text": "a"}), user(InputText("a", CacheMark("1h")))),
    Marked(
        "a result",
        [*of_assistant(USE), *of_user(RESULT)],
        FunctionCallOutput(call_id="t1", output="sunny", cache_control=CacheMark("1h")),
    ),
    Marked(
        "what has a mark keeps it",
        of_user({"type": "text", "text": "a", "cache_control": MARK}),
        user(InputText("a", CacheMark())),
    ),
)


@pytest.mark.parametrize("case", MARKED, ids=lambda case: case.id)
def test_a_mark_beside_the_messages_is_on_the_last_of_them(case: Marked) -> None:
    assert asked(messages=case.messages, cache_control={**MARK, "ttl": "1h"}).input[-1] == case.last


def test_a_thought_may_come_last_and_is_passed_over_by_a_mark() -> None:
    thought = {"type": "thinking", "thinking": "a", "signature": "s"}
    items = asked(messages=of_assistant({"type": "text", "text": "b"}, thought), cache_control=MARK).input
    assert items[1] == assistant(OutputText("b", cache_control=CacheMark()))


INPUTS = ('{"b":1.0,"a":[1e2, 0.10]}', "{ }", '{"k":{"input":{"z":"\\u00fc\\/"}},\n "n":12345678901234567890}')


@pytest.mark.parametrize("text", INPUTS)
def test_the_input_of_a_call_is_kept_letter_by_letter(text: str) -> None:
    body = body_of(messages=of_assistant({"type": "text", "text": "a"}, {**USE, "input": {"here": 1}}, USE) + of_user())
    whole = body.replace(b'{"here": 1}', text.encode()).replace(b'"t1"', b'"t0"', 1)
    results = [{**RESULT, "tool_use_id": "t0"}, RESULT]
    whole = whole.replace(b'{"role": "user", "content": []}', json.dumps(of_user(*results)[0]).encode())
    calls = [item for item in read(whole).request.input if isinstance(item, FunctionCallItem)]
    assert [call.arguments for call in calls] == [text, "{}"]


# Who calls

CLAUDE_CODE = json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": "4ee9e5f4-0b3a-4e6f-9d9e-2f5a"})


@dataclass(frozen=True)
class Who:
    id: str
    members: dict[str, Json]
    session: str | None
    header: str | None = None
    said: dict[str, str] = field(default_factory=dict)


WHO = (
    Who("nobody", {}, None),
    Who("Claude Code's user says the session", {"metadata": {"user_id": CLAUDE_CODE}}, "4ee9e5f4-0b3a-4e6f-9d9e-2f5a"),
    Who(
        "an older Claude Code's",
        {"metadata": {"user_id": "user_0a_account__session_" + "0" * 36}},
        "0" * 36,
    ),
    Who("its header", {}, "h", said={"x_claude_code_session_id": "h"}),
    Who(
        "the header of all APIs counts for more",
        {"metadata": {"user_id": CLAUDE_CODE}},
        "own",
        "own",
        {"x_claude_code_session_id": "h"},
    ),
    Who("the body counts for most (IN-16)", {"session_id": "b"}, "b", "own"),
    Who("a session beyond use is none", {"metadata": {"user_id": json.dumps({"session_id": "x" * 129})}}, None),
    Who("JSON that nests without end is a name", {"metadata": {"user_id": '{"a":' + "[" * 100_000}}, None),
    Who("JSON of another kind is a name", {"metadata": {"user_id": '{"session_id": 5}'}}, None),
)


@pytest.mark.parametrize("case", WHO, ids=lambda case: case.id)
def test_a_session_is_found(case: Who) -> None:
    assert read(body_of(**case.members), case.header, **case.said).request.session_id == case.session


def test_no_user_is_too_long() -> None:
    assert asked(metadata={"user_id": CLAUDE_CODE}).user == CLAUDE_CODE
    users = [asked(metadata={"user_id": "🚀" * count}).user for count in (256, 257, 258, 100_000)]
    assert users[0] == "🚀" * 256
    assert len({*users}) == 4
    assert all(len(user) <= 256 for user in users if user is not None)


def test_betas_are_those_of_the_header() -> None:
    request = read(body_of(), anthropic_beta="a-2026-01-01, b,a-2026-01-01").request
    assert request.anthropic == Anthropic(betas=("a-2026-01-01", "b"))


def test_the_form_of_a_stream_has_an_estimate() -> None:
    assert read(body_of()).form == MessagesForm("m")
    form = read(body_of(stream=True, system="x" * 400)).form
    assert isinstance(form, MessagesForm)
    assert 100 < form.estimated_input_tokens < 150


def test_the_name_asked_may_stand_among_others() -> None:
    assert read(body_of(model=None, models=["a", "b"])).form == MessagesForm("a")


def test_no_limit_is_needed_where_nothing_is_answered() -> None:
    body = body_of(max_tokens=None)
    assert parse(body, None, {}, needs_limit=False).request.max_output_tokens is None


# What is refused


@dataclass(frozen=True)
class Refused:
    """Members beside a usual body, and the whole message."""

    id: str
    members: dict[str, Json]
    message: str


A_RESULT = "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
A_CALL = "Each `tool_use` block must have a corresponding `tool_result` block in the next message."

REFUSED = (
    Refused("no limit", {"max_tokens": None}, "max_tokens: Field required."),
    Refused("no messages", {"messages": None}, "messages: Field required."),
    Refused("none among them", {"messages": []}, "messages: at least one message is required."),
    Refused("no list", {"messages": "Hi"}, 'messages: must be an array of messages, not "Hi".'),
    Refused(
        "nothing said",
        {"messages": [{"role": "user", "content": ""}]},
        "messages: at least one message must say something.",
    ),
    Refused("no role", {"messages": [{"content": "Hi"}]}, "messages.0.role: Field required."),
    Refused("no content", {"messages": [{"role": "user"}]}, "messages.0.content: Field required."),
    Refused(
        "another role",
        {"messages": [{"role": "tool", "content": "Hi"}]},
        'messages.0.role: must be one of "assistant", "system", "user", not "tool".',
    ),
    Refused(
        "another block",
        {"messages": of_user({"type": "text", "text": "a"}, {"type": "video"})},
        'messages.0.content.1.type: must be one of "document", "image", "search_result", "text", "tool_result", '
        'not "video".',
    ),
    Refused(
        "a block without a type", {"messages": of_user({"text": "a"})}, "messages.0.content.0.type: Field required."
    ),
    Refused(
        "a block in the wrong place",
        {"messages": of_user(USE)},
        'messages.0.content.0.type: "tool_use" has no place in a message of the user.',
    ),
    Refused("no text", {"messages": of_user({"type": "text"})}, "messages.0.content.0.text: Field required."),
    Refused(
        "a picture in a system text",
        {"system": [{"type": "text", "text": "a"}, {"type": "image", "source": PNG}]},
        'system.1.type: must be "text", not "image".',
    ),
    Refused(
        "a stored file",
        {"messages": of_user({"type": "document", "source": {"type": "file", "file_id": "x"}})},
        "messages.0.content.0.source.type: cannot be used: no files are stored; send the file itself, or a link to it.",
    ),
    Refused(
        "data that is none",
        {"messages": of_user({"type": "image", "source": {**PNG, "data": "!"}})},
        "messages.0.content.0.source.data: holds data that is not base64.",
    ),
    Refused(
        "a link into this network, in a result",
        {
            "messages": of_assistant(USE)
            + of_user({**RESULT, "content": [{"type": "image", "source": {"type": "url", "url": "http://10.0.0.1/"}}]})
        },
        "messages.2.content.0.content.0.source.url: leads to no public address.",
    ),
    Refused(
        "a result without its call",
        {"messages": of_user({"type": "text", "text": "a"}, RESULT)},
        f"messages.0.content.1: unexpected `tool_use_id` found in `tool_result` blocks: t1. {A_RESULT}",
    ),
    Refused(
        "a call without its result",
        {"messages": of_assistant(USE)},
        f"messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. {A_CALL}",
    ),
    Refused(
        "two calls of one id",
        {"messages": of_assistant(USE, USE)},
        'messages.1.content.1.id: `tool_use` ids must be unique, unlike "t1".',
    ),
    Refused(
        "an input that is none",
        {"messages": of_assistant({**USE, "input": "x"})},
        'messages.1.content.0.input: must be an object, not "x".',
    ),
    Refused(
        "a mark of another kind",
        {"messages": of_user({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "2h"}})},
        'messages.0.content.0.cache_control.ttl: must be one of "1h", "5m", not "2h".',
    ),
    Refused(
        "a mark of another kind on what only Anthropic knows",
        {"messages": of_assistant({"type": "compaction", "content": "c", "cache_control": {"type": "for ever"}})},
        'messages.1.content.0.cache_control.type: must be "ephemeral", not "for ever".',
    ),
    Refused(
        "… and on a tool of theirs",
        {"tools": [TOOL, {"type": "bash_20250124", "name": "bash", "cache_control": "yes"}]},
        'tools.1.cache_control: must be an object, not "yes".',
    ),
    Refused(
        "a tool that is defined in the middle",
        {
            "messages": [
                {"role": "system", "content": [{"type": "tool_addition", "tool": {"type": "tool_definition"}}]},
            ]
        },
        "messages.0.content.0.tool.type: cannot be defined here: define it in tools.",
    ),
    Refused(
        "a conversation that somebody keeps",
        {"thread": {"type": "create"}},
        "thread: cannot be used: no conversations are stored; send the whole conversation.",
    ),
    Refused("too warm", {"temperature": 1.5}, "temperature: must be a number from 0 to 1, not 1.5."),
    Refused("no budget", {"thinking": {"type": "enabled"}}, "thinking.budget_tokens: Field required."),
    Refused(
        "another form of answer",
        {"output_config": {"format": {"type": "grammar"}}},
        'output_config.format.type: must be "json_schema", not "grammar".',
    ),
    Refused("no schema", {"tools": [{"name": "f"}]}, "tools.0.input_schema: Field required."),
    Refused(
        "another type of tool",
        {"tools": [TOOL, {"type": "function", "function": TOOL}]},
        'tools.1.type: must be left out, "custom", or a type of Anthropic\'s tools as "web_search_20250305", '
        'not "function".',
    ),
    Refused(
        "two tools of one name",
        {"tools": [TOOL, TOOL]},
        'tools.1.name: must be unique among the names of tools, unlike "f".',
    ),
    Refused(
        "domains twice",
        {"tools": [{"type": "web_search_20250305", "allowed_domains": ["a"], "blocked_domains": ["b"]}]},
        "tools.0.blocked_domains: must not be there beside allowed_domains.",
    ),
    Refused("any of no tools", {"tool_choice": {"type": "any"}}, 'tool_choice.type: is "any", but there are no tools.'),
    Refused(
        "a tool that is not there",
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}},
        'tool_choice.name: is "g", but tools has no tool of that name.',
    ),
    Refused(
        "IN-19 an unknown preference",
        {"provider": {"x\ny": 1}},
        'provider."x\\ny": is not known here; known are allow_fallbacks, data_collection, enforce_distillable_text, '
        "ignore, max_price, only, order, preferred_max_latency, preferred_min_throughput, quantizations, "
        "require_parameters, sort, zdr.",
    ),
    Refused(
        "a beta that is no name",
        {"betas": ["a\r\nx: y"]},
        "anthropic-beta: must be at most 64 names, with commas between.",
    ),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_a_body_is_refused(case: Refused) -> None:
    with pytest.raises(BadRequest) as caught:
        asked(**case.members)
    assert caught.value.message == case.message
    assert caught.value.param == case.message.partition(": ")[0]


# Faults


def raw(member: str) -> bytes:
    """A good body with one more member, as raw text."""
    return b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], ' + member.encode() + b"}"


@dataclass(frozen=True)
class Fault:
    id: str
    body: bytes
    words: str = ""


FAULTS = (
    Fault("IN-01 cut off in the middle", b'{"model":"m","mess', "not valid JSON"),
    Fault("IN-02 100,000 open brackets", b'{"messages":' + b"[" * 100_000, "deep"),
    Fault("IN-02 100,000 pairs of brackets", b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
    Fault("IN-03 a number of 5,001 digits", raw(f'"top_k": {"9" * 5001}')),
    *(Fault(f"IN-04 {text}", raw(f'"temperature": {text}')) for text in ("NaN", "Infinity", "-Infinity", "1e400")),
    Fault("IN-05 a key twice", raw('"model": "dear"'), "twice"),
    Fault("IN-05 a key twice in the input of a call", raw('"x": [{"input": {"a": 1, "a": 2}}]'), "twice"),
    Fault("IN-07 half a surrogate pair", raw('"system": "\\ud800"')),
    Fault("IN-07 half a surrogate pair in the user", raw('"metadata": {"user_id": "\\udfff"}')),
    Fault("IN-08 NUL in the user", raw('"metadata": {"user_id": "a\\u0000"}'), "metadata.user_id: must not contain"),
    Fault(
        "IN-08 NUL in a tool's name",
        raw('"tools": [{"name": "a\\u0000", "input_schema": {}}]'),
        "tools.0.name: must not contain",
    ),
    Fault("IN-09 broken UTF-8", raw('"system": "').replace(b'"}', b'\xc3\x28"}')),
    Fault("IN-09 a byte order mark", b"\xef\xbb\xbf" + raw('"stream": false'), "byte order mark"),
    *(
        Fault(
            f"IN-21 max_tokens of {text}",
            raw('"x": 1').replace(b'"max_tokens": 9', f'"max_tokens": {text}'.encode()),
            "max_tokens: must be",
        )
        for text in ("-1", "0", "1.5", "1e18", '"5"')
    ),
    Fault(
        "IN-22 more messages than any conversation has",
        raw('"x": 1').replace(b'[{"role"', b"[" + b'{"role": "user", "content": "a"},' * 10_000 + b'{"role"'),
        "messages: has 10001 messages; at most 10000 are taken",
    ),
    Fault(
        "IN-23 a thousand models", raw(f'"models": {json.dumps([str(n) for n in range(1000)])}'), "models: must have"
    ),
    Fault(
        "IN-15 a session of 129 characters", raw(f'"session_id": "{"🚀" * 129}"'), "session_id: must have at most 128"
    ),
    Fault("the body is a list", b"[]", "must be a JSON object"),
    Fault("the body is empty", b"", "empty"),
)


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.id)
def test_a_fault_is_told_as_one(case: Fault) -> None:
    with pytest.raises(BadRequest) as caught:
        read(case.body)
    assert case.words in caught.value.message


def test_IN_16_a_session_in_a_header_has_a_bound() -> None:
    with pytest.raises(BadRequest, match=r"^x-session-id: must have at most 128 characters, not 129"):
        read(body_of(), "x" * 129)


def test_IN_24_line_ends_stay_within_their_values() -> None:
    request = asked(metadata={"user_id": "a\r\nX-Evil: 1"}, session_id="b\r\nX-Evil: 1")
    assert (request.user, request.session_id) == ("a\r\nX-Evil: 1", "b\r\nX-Evil: 1")
