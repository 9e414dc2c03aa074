"""Tools and choices in every form that clients send, and what is told of wrong ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import UNSET

from tests.faces.chat.chatting import parsed, refused
from trunkline.protocol.marks import CacheMark
from trunkline.protocol.tools import (
    AllowedTools,
    CustomChoice,
    CustomTool,
    FunctionChoice,
    FunctionTool,
    Grammar,
    RawText,
    Reference,
    SearchChoice,
    SearchFilters,
    SearchTool,
    Tool,
    ToolChoice,
    UserLocation,
)

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
F = {"type": "function", "function": {"name": "f"}}
G = {"type": "custom", "custom": {"name": "g"}}
GRAMMAR = Grammar("lark", "start: x")


@dataclass(frozen=True)
class Offered:
    id: str
    members: dict[str, Any]
    tools: tuple[Tool, ...]


def tool(value: Any) -> dict[str, Any]:
    return {"tools": [value]}


OFFERED = [
    Offered("none", {"tools": []}, ()),
    Offered(
        "a function",
        tool({"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}}),
        (FunctionTool("f", "d", SCHEMA, True),),
    ),
    Offered(
        "a function with nulls",
        tool({"type": "function", "function": {"name": "f", "description": None, "parameters": None, "strict": None}}),
        (FunctionTool("f"),),
    ),
    Offered(
        "a function with its members beside its type, as Cursor has it",
        tool({"type": "function", "name": "f", "description": "d", "parameters": SCHEMA}),
        (FunctionTool("f", "d", SCHEMA),),
    ),
    Offered(
        "a marked one",
        tool({**F, "cache_control": {"type": "ephemeral"}}),
        (FunctionTool("f", cache_control=CacheMark()),),
    ),
    Offered("one with members of single clients", tool({**F, "eager_input_streaming": True}), (FunctionTool("f"),)),
    Offered(
        "the older functions", {"functions": [{"name": "f", "parameters": SCHEMA}]}, (FunctionTool("f", None, SCHEMA),)
    ),
    Offered("a custom tool", tool(G), (CustomTool("g"),)),
    Offered(
        "a custom tool with its grammar",
        tool(
            {
                "type": "custom",
                "custom": {
                    "name": "g",
                    "description": "d",
                    "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}},
                },
            }
        ),
        (CustomTool("g", "d", GRAMMAR),),
    ),
    Offered(
        "the same beside its type, as Cursor has it",
        tool(
            {
                "type": "custom",
                "name": "g",
                "description": "d",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
            }
        ),
        (CustomTool("g", "d", GRAMMAR),),
    ),
    Offered(
        "a custom tool of raw text",
        tool({"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}}),
        (CustomTool("g", UNSET, RawText()),),
    ),
    Offered("a search", tool({"type": "web_search"}), (SearchTool("web_search"),)),
    Offered(
        "OpenRouter's search",
        tool(
            {
                "type": "openrouter:web_search",
                "parameters": {"engine": "exa", "allowed_domains": ["a.b"], "search_context_size": "low"},
            }
        ),
        (SearchTool("web_search", SearchFilters(("a.b",)), "low"),),
    ),
    Offered(
        "OpenRouter's shorter form",
        tool({"type": "web_search", "allowed_domains": ["a.b"], "max_results": 3}),
        (SearchTool("web_search", SearchFilters(("a.b",))),),
    ),
    Offered(
        "options of a search",
        {
            "web_search_options": {
                "search_context_size": "high",
                "user_location": {"type": "approximate", "approximate": {"city": "Oslo", "country": "NO"}},
            }
        },
        (SearchTool("web_search", UNSET, "high", UserLocation(city="Oslo", country="NO")),),
    ),
    Offered("options that say nothing", {"web_search_options": {}}, (SearchTool("web_search"),)),
    Offered(
        "options beside a function and a search that is said already",
        {"tools": [F, {"type": "web_search_preview"}], "web_search_options": {}},
        (FunctionTool("f"), SearchTool("web_search_preview")),
    ),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in OFFERED])
def test_offered(case: Offered) -> None:
    assert parsed(**case.members).tools == case.tools


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        *((word, word) for word in ("auto", "none", "required")),
        ({"type": "function", "function": {"name": "f"}}, FunctionChoice("f")),
        ({"type": "function", "name": "f"}, FunctionChoice("f")),
        ({"type": "custom", "custom": {"name": "g"}}, CustomChoice("g")),
        ({"type": "custom", "name": "g"}, CustomChoice("g")),
        ({"type": "web_search"}, SearchChoice("web_search")),
        ({"type": "openrouter:web_search"}, SearchChoice("web_search")),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [F, G, {"type": "openrouter:web_search"}]},
            },
            AllowedTools("auto", (Reference("function", "f"), Reference("custom", "g"), Reference("web_search"))),
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
            AllowedTools("required", (Reference("function", "f"),)),
        ),
    ],
)
def test_chosen(choice: Any, expected: ToolChoice) -> None:
    assert parsed(tools=[F, G, {"type": "web_search"}], tool_choice=choice).tool_choice == expected


@pytest.mark.parametrize(
    ("choice", "expected"), [("auto", "auto"), ("none", "none"), ({"name": "f"}, FunctionChoice("f")), (None, None)]
)
def test_chosen_in_the_older_form(choice: Any, expected: ToolChoice | None) -> None:
    assert parsed(functions=[{"name": "f"}], function_call=choice).tool_choice == expected


def test_only_what_every_dialect_knows_is_plain() -> None:
    assert not parsed(tools=[F], tool_choice=F).has_extensions
    assert parsed(tools=[F, G]).has_extensions


@dataclass(frozen=True)
class Wrong:
    id: str
    members: dict[str, Any]
    param: str
    words: str


WRONG = [
    Wrong("a tool that is none", tool(1), "tools[0]", "must be an object"),
    Wrong("a tool without a type", tool({"function": {"name": "f"}}), "tools[0].type", "is required"),
    Wrong(
        "one of OpenRouter's servers", tool({"type": "openrouter:datetime"}), "tools[0].type", '"openrouter:datetime"'
    ),
    Wrong("one of OpenAI's", tool({"type": "file_search"}), "tools[0].type", '"file_search"'),
    Wrong("a function of nothing", tool({"type": "function"}), "tools[0].function", "is required"),
    Wrong("a function that is none", tool({"type": "function", "function": "f"}), "tools[0].function", "an object"),
    Wrong("no name", tool({"type": "function", "function": {}}), "tools[0].function.name", "is required"),
    Wrong(
        "parameters that are none",
        tool({"type": "function", "function": {"name": "f", "parameters": "{}"}}),
        "tools[0].function.parameters",
        "an object",
    ),
    Wrong("no name beside a type", tool({"type": "function", "name": ""}), "tools[0].name", "must not be empty"),
    Wrong("a custom tool of nothing", tool({"type": "custom"}), "tools[0].custom", "is required"),
    Wrong(
        "an unknown grammar",
        tool(
            {
                "type": "custom",
                "custom": {"name": "g", "format": {"type": "grammar", "grammar": {"syntax": "x", "definition": "y"}}},
            }
        ),
        "tools[0].custom.format.grammar.syntax",
        '"x"',
    ),
    Wrong(
        "a grammar of nothing",
        tool({"type": "custom", "custom": {"name": "g", "format": {"type": "grammar", "grammar": {"syntax": "lark"}}}}),
        "tools[0].custom.format.grammar.definition",
        "is required",
    ),
    Wrong("two of one name", {"tools": [F, F]}, "tools[1].function.name", "a name no other tool has"),
    Wrong(
        "two of one name, one of them beside its type",
        {"tools": [F, {"type": "function", "name": "f"}]},
        "tools[1].name",
        "a name no other tool has",
    ),
    Wrong("two older ones", {"functions": [{"name": "f"}, {"name": "f"}]}, "functions[1].name", "a name no other"),
    Wrong("old and new", {"functions": [{"name": "f"}], "tools": [F]}, "functions", "must not stand beside tools"),
    Wrong(
        "domains that are none", tool({"type": "web_search", "allowed_domains": [1]}), "tools[0].allowed_domains[0]", ""
    ),
    Wrong(
        "OpenRouter's domains that are none",
        tool({"type": "openrouter:web_search", "parameters": {"allowed_domains": [1]}}),
        "tools[0].parameters.allowed_domains[0]",
        "",
    ),
    Wrong(
        "an odd city",
        {"web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": 1}}}},
        "web_search_options.user_location.approximate.city",
        "a string",
    ),
    Wrong(
        "an odd place",
        {"web_search_options": {"user_location": {"type": "exact", "approximate": {}}}},
        "web_search_options.user_location.type",
        '"exact"',
    ),
    Wrong("an odd choice", {"tools": [F], "tool_choice": "any"}, "tool_choice", '"any"'),
    Wrong(
        "a choice of nothing",
        {"tools": [F], "tool_choice": {"type": "function"}},
        "tool_choice.function",
        "is required",
    ),
    Wrong(
        "a choice of what is not there",
        {"tools": [F], "tool_choice": {"type": "function", "function": {"name": "x"}}},
        "tool_choice.function.name",
        "the name of a function in tools (f)",
    ),
    Wrong(
        "the same beside its type",
        {"tools": [F], "tool_choice": {"type": "function", "name": "x"}},
        "tool_choice.name",
        "the name of a function in tools (f)",
    ),
    Wrong(
        "the same in the older form",
        {"functions": [{"name": "f"}], "function_call": {"name": "x"}},
        "function_call.name",
        "the name of a function in tools (f)",
    ),
    Wrong(
        "what is allowed and not there",
        {"tools": [F], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [G]}}},
        "tool_choice.allowed_tools.tools[0]",
        "names no tool",
    ),
    Wrong("required of none", {"tool_choice": "required"}, "tool_choice", "there are no tools"),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in WRONG])
def test_wrong(case: Wrong) -> None:
    error = refused(**case.members)
    assert error.param == case.param
    assert error.message.startswith(f"{case.param} ")
    assert case.words in error.message
