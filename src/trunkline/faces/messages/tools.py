"""Readers of `tools` and `tool_choice`.

JSON schemas pass through unread, and so do tools of a type that Anthropic defines.
Source: https://platform.claude.com/docs/en/api/messages and the types of the anthropic Python package 2.14.0, seen
2026-11-28.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from msgspec import UNSET

from trunkline.faces.messages.blocks import read_own_mark
from trunkline.protocol.items import CacheMark
from trunkline.protocol.opaque import AnthropicTool, Json
from trunkline.protocol.parse_tools import MAX_NAME, read_mark
from trunkline.protocol.reading import (
    Reader,
    Wrong,
    any_text,
    array,
    flag,
    mismatch,
    one_of,
    opaque_object,
    record,
    shown,
    tagged,
    text,
    whole,
)
from trunkline.protocol.tools import (
    FunctionChoice,
    FunctionTool,
    SearchChoice,
    SearchFilters,
    SearchTool,
    Tool,
    ToolChoice,
    UserLocation,
)

_ANTHROPICS: Final = re.compile(
    r"(?:advisor|bash|browser_toolset|code_execution|computer|computer_toolset|memory|text_editor"
    r"|tool_search_tool_(?:bm25|regex)|web_fetch)_[0-9]{8}"
    r"|tool_search_tool_(?:bm25|regex)|mcp_toolset"
)
_SEARCH: Final = re.compile(r"web_search_[0-9]{8}")
_OF_FUNCTIONS: Final = frozenset({"allowed_callers", "defer_loading", "eager_input_streaming", "input_examples"})
_OF_SEARCHES: Final = frozenset({"allowed_callers", "blocked_domains", "defer_loading", "strict", "type"})
"""Members of tools that Anthropic alone knows, or that no other tool of the kind has."""

_KINDS: Final = 'left out, "custom", or a type of Anthropic\'s tools as "web_search_20250305"'
_name = text(at_least=1, at_most=MAX_NAME)
_domains = array(text(at_least=1))


class Tools(NamedTuple):
    """What is offered. `members` are those of single tools that Anthropic alone knows, by the tools' names."""

    tools: tuple[Tool, ...] = ()
    members: Mapping[str, dict[str, Json]] = {}
    max_searches: int | None = None


class Choice(NamedTuple):
    """How a tool is chosen; None: the client leaves it open."""

    choice: ToolChoice | None = None
    parallel: bool | None = None


def _function(
    *,
    name: str,
    input_schema: dict[str, Json],
    description: str | None = None,
    strict: bool | None = None,
    cache_control: CacheMark | None = None,
) -> FunctionTool:
    return FunctionTool(name, description, input_schema, strict, cache_control=cache_control or UNSET)


class _Search(NamedTuple):
    tool: SearchTool
    max_uses: int | None


def _search(
    *,
    name: str = "web_search",
    allowed_domains: tuple[str, ...] = (),
    blocked_domains: tuple[str, ...] = (),
    max_uses: int | None = None,
    user_location: UserLocation | None = None,
    cache_control: CacheMark | None = None,
) -> _Search:
    if allowed_domains and blocked_domains:
        raise Wrong("must not be there beside allowed_domains", "blocked_domains")
    filters = SearchFilters(allowed_domains) if allowed_domains else UNSET
    tool = SearchTool(
        "web_search",
        filters=filters,
        user_location=user_location or UNSET,
        cache_control=cache_control or UNSET,
    )
    return _Search(tool, max_uses)


_read_function: Reader[FunctionTool] = record(
    _function,
    {
        "name": _name,
        "description": any_text,
        "input_schema": opaque_object,
        "strict": flag,
        "cache_control": read_mark,
    },
    required=("name", "input_schema"),
)
_read_search: Reader[_Search] = record(
    _search,
    {
        "name": one_of(("web_search",)),
        "allowed_domains": _domains,
        "blocked_domains": _domains,
        "max_uses": whole(1, 1_000_000_000),
        "user_location": record(
            UserLocation,
            {
                "type": one_of(("approximate",)),
                "city": any_text,
                "country": any_text,
                "region": any_text,
                "timezone": any_text,
            },
        ),
        "cache_control": read_mark,
    },
)


def read_tools(value: Json) -> Tools:
    """Read `tools`, whose names are distinct. Raises Wrong."""
    if not isinstance(value, list):
        raise mismatch(value, "an array of tools")
    tools: list[Tool] = []
    members: dict[str, dict[str, Json]] = {}
    max_searches: int | None = None
    seen: set[str] = set()
    for place, each in enumerate(value):
        try:
            tool, name, max_uses = _read_tool(each)
            if name in seen:
                raise Wrong(f"must be unique among the names of tools, unlike {shown(name)}", "name")
        except Wrong as wrong:
            wrong.steps.append(place)
            raise
        seen.add(name)
        tools.append(tool)
        max_searches = max_uses if max_searches is None else max_searches
        known = _OF_SEARCHES if isinstance(tool, SearchTool) else _OF_FUNCTIONS
        if isinstance(tool, SearchTool | FunctionTool) and (more := _said(each, known)):
            members[name] = more
    return Tools(tuple(tools), members, max_searches)


def _read_tool(value: Json) -> tuple[Tool, str, int | None]:
    if not isinstance(value, dict):
        raise mismatch(value, "an object")
    match value.get("type"):
        case None | "custom":
            tool = _read_function(value)
            return tool, tool.name, None
        case str() as kind if _SEARCH.fullmatch(kind):
            found = _read_search(value)
            return found.tool, "web_search", found.max_uses
        case str() as kind if _ANTHROPICS.fullmatch(kind):
            name = value.get("name", value.get("mcp_server_name"))
            read_own_mark(value)
            return AnthropicTool(value), name if isinstance(name, str) else kind, None
        case kind:
            raise mismatch(kind, _KINDS, "type")


def _said(value: dict[str, Json], names: frozenset[str]) -> dict[str, Json]:
    return {name: member for name, member in value.items() if name in names and member is not None}


def _choose(
    *, type: Literal["auto", "any", "none", "tool"], name: str = "", disable_parallel_tool_use: bool | None = None
) -> Choice:
    parallel = None if disable_parallel_tool_use is None else not disable_parallel_tool_use
    match type:
        case "any":
            return Choice("required", parallel)
        case "tool":
            return Choice(FunctionChoice(name), parallel)
        case _:
            return Choice(type, parallel)


_CHOICE: Mapping[str, Reader[object]] = {"type": any_text, "disable_parallel_tool_use": flag}
read_choice: Reader[Choice] = tagged(
    {
        **dict.fromkeys(("auto", "any", "none"), record(_choose, _CHOICE)),
        "tool": record(_choose, {**_CHOICE, "name": any_text}, required=("name",)),
    }
)


def check_choice(choice: ToolChoice | None, offered: Tools) -> ToolChoice | None:
    """Check that the tools hold what is chosen; a search is chosen by its name, as every tool is. Raises Wrong."""
    if choice == "required" and not offered.tools:
        raise Wrong('is "any", but there are no tools', "type", "tool_choice")
    if not isinstance(choice, FunctionChoice):
        return choice if offered.tools else None
    for tool in offered.tools:
        if isinstance(tool, SearchTool) and choice.name == "web_search":
            return SearchChoice("web_search")
        name = tool.name if isinstance(tool, FunctionTool) else tool.get("name") if isinstance(tool, dict) else None
        if name == choice.name:
            return choice
    raise Wrong(f"is {shown(choice.name)}, but tools has no tool of that name", "name", "tool_choice")
