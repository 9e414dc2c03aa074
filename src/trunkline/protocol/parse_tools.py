"""Readers of tools, the choice among them, and the form of the answer's text; JSON schemas pass through unread."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import get_args

from trunkline.protocol.items import Json
from trunkline.protocol.reading import (
    Reader,
    Wrong,
    array,
    flag,
    mismatch,
    named,
    one_of,
    opaque_object,
    record,
    refuse,
    tagged,
    text,
)
from trunkline.protocol.tools import (
    Format,
    FunctionChoice,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    SearchChoice,
    SearchFilters,
    SearchTool,
    SearchToolType,
    TextConfig,
    TextFormat,
    Tool,
    ToolChoice,
    UserLocation,
    Verbosity,
)

_FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MODES: Mapping[str, ToolChoice] = {"auto": "auto", "none": "none", "required": "required"}
_NESTED = 'belongs to the Chat Completions API; put its members beside "type"'

_any_text = text()


def _function_name(value: Json) -> str:
    if not isinstance(value, str) or not _FUNCTION_NAME.fullmatch(value):
        raise mismatch(value, "1 to 64 of the characters A-Z a-z 0-9 _ -")
    return value


_SEARCH: Mapping[str, Reader[object]] = {
    "search_context_size": one_of(("low", "medium", "high")),
    "user_location": record(
        UserLocation,
        {
            "type": one_of(("approximate",)),
            "city": _any_text,
            "country": _any_text,
            "region": _any_text,
            "timezone": _any_text,
        },
    ),
}
_FILTERED_SEARCH: Mapping[str, Reader[object]] = {
    **_SEARCH,
    "filters": record(SearchFilters, {"allowed_domains": array(text(at_least=1))}),
}
_SEARCH_MEMBERS: Mapping[SearchToolType, Mapping[str, Reader[object]]] = {
    "web_search": _FILTERED_SEARCH,
    "web_search_2025_08_26": _FILTERED_SEARCH,
    "web_search_preview": _SEARCH,
    "web_search_preview_2025_03_11": _SEARCH,
}

_TOOLS: Mapping[str, Reader[Tool]] = {
    "function": record(
        FunctionTool,
        {
            "name": _function_name,
            "description": _any_text,
            "parameters": opaque_object,
            "strict": flag,
            "function": refuse(_NESTED),
        },
        required=("name",),
    ),
    **{kind: record(partial(SearchTool, type=kind), members) for kind, members in _SEARCH_MEMBERS.items()},
}
_tools = array(tagged(_TOOLS))

_CHOICES: Mapping[str, Reader[ToolChoice]] = {
    "function": record(FunctionChoice, {"name": _any_text, "function": refuse(_NESTED)}, required=("name",)),
    **{kind: record(partial(SearchChoice, type=kind), {}) for kind in _SEARCH_MEMBERS},
}
_choice_object = tagged(_CHOICES)

_FORMATS: Mapping[str, Reader[Format]] = {
    "text": record(TextFormat, {}),
    "json_object": record(JsonObjectFormat, {}),
    "json_schema": record(
        JsonSchemaFormat,
        {
            "name": text(at_least=1),
            "schema": opaque_object,
            "description": _any_text,
            "strict": flag,
            "json_schema": refuse(_NESTED),
        },
        required=("name", "schema"),
    ),
}

read_text_config: Reader[TextConfig] = record(
    TextConfig, {"format": tagged(_FORMATS), "verbosity": one_of(get_args(Verbosity))}
)


def read_tools(value: Json) -> tuple[Tool, ...]:
    """Read `tools`; the names of functions are distinct."""
    tools = _tools(value)
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        if isinstance(tool, FunctionTool):
            if tool.name in seen:
                raise mismatch(tool.name, "a name no other tool has", "name", index)
            seen.add(tool.name)
    return tools


def read_tool_choice(value: Json) -> ToolChoice:
    """Read `tool_choice`."""
    if isinstance(value, dict):
        return _choice_object(value)
    if not isinstance(value, str) or value not in _MODES:
        raise mismatch(value, f"{named(_MODES)}, or an object that names a tool")
    return _MODES[value]


def check_tool_choice(choice: ToolChoice | None, tools: tuple[Tool, ...]) -> None:
    """Check that the tools hold what the choice asks for; the four search types are one feature."""
    match choice:
        case "required" if not tools:
            raise Wrong('is "required", but there are no tools')
        case FunctionChoice(name):
            names = [tool.name for tool in tools if isinstance(tool, FunctionTool)]
            if name not in names:
                raise mismatch(name, f"the name of a function in tools ({', '.join(names) or 'there is none'})", "name")
        case SearchChoice(kind):
            if not any(isinstance(tool, SearchTool) for tool in tools):
                raise Wrong(f'is "{kind}", but tools has no web search', "type")
        case _:
            pass
