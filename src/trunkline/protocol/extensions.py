"""Whether a request keeps to what every dialect knows, decided once; what goes beyond is told in other words.

A name that is good everywhere begins with a letter or an underscore and has at most 64 of the characters that all
vendors take; the vendors' own rules are in `adapters/encoding/wire_names.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

from msgspec import UNSET

from trunkline.protocol.items import AdditionalTools, FunctionCallItem, PlainItem, ToolSearchOutput, WebSearchCall
from trunkline.protocol.opaque import AnthropicTool, ServerItem, ServerTool
from trunkline.protocol.request import Request
from trunkline.protocol.tools import (
    FunctionChoice,
    FunctionTool,
    SearchChoice,
    SearchTool,
    Tool,
    ToolSearchTool,
    newer_members,
)

_with_dashes = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}").fullmatch

_MAX_PLAIN_NAME = 64
_PLAIN_ITEMS = frozenset(get_args(PlainItem))


def has_extensions(request: Request) -> bool:
    """Whether a tool, an item, a choice or a name of a request is not plain; on the path of every request."""
    for tool in request.tools:
        if type(tool) is FunctionTool:
            if not _is_plain_name(tool.name) or (
                tool.defer_loading is not UNSET
                or tool.allowed_callers is not UNSET
                or tool.output_schema is not UNSET
                or tool.is_async is not UNSET
            ):
                return True
        elif type(tool) is not SearchTool or newer_members(tool):
            return True
    for item in request.input:
        if type(item) is FunctionCallItem:
            if item.namespace is not UNSET or item.anthropic is not UNSET or not _is_plain_name(item.name):
                return True
        elif type(item) not in _PLAIN_ITEMS or (type(item) is WebSearchCall and item.results):
            return True
    choice = request.tool_choice
    return not (choice is None or isinstance(choice, str | SearchChoice | FunctionChoice))


def _is_plain_name(name: str) -> bool:
    # Quicker than the pattern, and nearly all names are so.
    if name.isidentifier() and name.isascii() and len(name) <= _MAX_PLAIN_NAME:
        return True
    return _with_dashes(name) is not None


def bound_to_openai(request: Request) -> list[str]:
    """Name, with its path and type, every tool and item that only OpenAI's own servers can do something with.

    An update of the configuration is none: its settings can be left out, and named.
    """
    spelled = request.paths.spelled
    found = [f'{spelled("tools", place)} "{kind}"' for place, kind in _bound_tools(request.tools)]
    for index, item in enumerate(request.input):
        if isinstance(item, ServerItem) and item.type != "configuration_update":
            found.append(f'{spelled("input", index)} "{item.type}"')
        elif isinstance(item, AdditionalTools | ToolSearchOutput):
            found += [f'{spelled("input", index, "tools", place)} "{kind}"' for place, kind in _bound_tools(item.tools)]
    return found


_ANTHROPICS_DOING = ("container", "mcp_servers", "compaction", "fallbacks")
"""Members without which the answer would be another one; the others of a Messages client's can be left out, and named.
"""


def bound_to_anthropic(request: Request) -> list[str]:
    """Name, as its client wrote it, all that only Anthropic's own servers can do something with, and has to be done."""
    said = {} if request.anthropic is None else request.anthropic.members
    found = [name for name in _ANTHROPICS_DOING if said.get(name)] if said else []
    if request.has_extensions:
        found += [
            f'{request.paths.spelled("tools", place)} "{tool.type}"'
            for place, tool in enumerate(request.tools)
            if isinstance(tool, AnthropicTool) and not tool.is_clients
        ]
    return found


def anthropics_members(request: Request) -> list[str]:
    """Name what a request says that only Anthropic's own servers know, where it is left out for all others."""
    said = request.anthropic
    if said is None or not (said.betas or said.members or said.tools):
        return []
    of_tools = [f"tools.{name}" for members in said.tools.values() for name in members if name != "type"]
    return [*(("betas",) if said.betas else ()), *said.members, *of_tools]


def _bound_tools(tools: tuple[Tool, ...]) -> Iterator[tuple[int, str]]:
    for place, tool in enumerate(tools):
        if isinstance(tool, ServerTool):
            yield place, tool.type
        elif isinstance(tool, ToolSearchTool) and tool.execution != "client":
            yield place, "tool_search"
