"""Tools, the choice among them, and the form of the answer's text."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Literal, assert_never, get_args

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import replace

from trunkline.protocol.marks import CacheMark
from trunkline.protocol.opaque import AnthropicTool, Json, ServerTool, ServerToolChoice

SearchToolType = Literal["web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"]
Verbosity = Literal["low", "medium", "high"]


class FunctionTool(Struct, frozen=True, tag_field="type", tag="function"):
    """A tool the client runs; `parameters` is a JSON schema, or None for no arguments.

    What stands behind `strict` only OpenAI's servers know (`newer_members`).
    """

    name: str
    description: str | None = None
    parameters: dict[str, Json] | None = None
    strict: bool | None = None
    defer_loading: bool | UnsetType = UNSET
    allowed_callers: tuple[str, ...] | UnsetType = UNSET
    output_schema: dict[str, Json] | UnsetType = UNSET
    is_async: bool | UnsetType = field(default=UNSET, name="async")
    cache_control: CacheMark | UnsetType = UNSET


class RawText(Struct, frozen=True, tag_field="type", tag="text"):
    """Any text at all."""


class Grammar(Struct, frozen=True, tag_field="type", tag="grammar"):
    """Text that a grammar holds."""

    syntax: Literal["lark", "regex"]
    definition: str


class CustomTool(Struct, frozen=True, tag_field="type", tag="custom"):
    """A tool the client runs that takes raw text instead of arguments."""

    name: str
    description: str | UnsetType = UNSET
    format: RawText | Grammar | UnsetType = UNSET
    defer_loading: bool | UnsetType = UNSET
    allowed_callers: tuple[str, ...] | UnsetType = UNSET
    is_async: bool | UnsetType = field(default=UNSET, name="async")


class NamespaceTool(Struct, frozen=True, tag_field="type", tag="namespace"):
    """Tools under a name of their own; only within it their names are distinct."""

    name: str
    description: str | UnsetType = UNSET
    tools: tuple[FunctionTool | CustomTool, ...] = ()


class ToolSearchTool(Struct, frozen=True, tag_field="type", tag="tool_search"):
    """A search for more tools; where not said otherwise a server makes it, over tools whose loading is deferred."""

    execution: Literal["client", "server"] | UnsetType = UNSET
    description: str | UnsetType = UNSET
    parameters: dict[str, Json] | UnsetType = UNSET


class LocalShellTool(Struct, frozen=True, tag_field="type", tag="local_shell"):
    """The client's shell."""


class UserLocation(Struct, frozen=True):
    type: Literal["approximate"] = "approximate"
    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class SearchFilters(Struct, frozen=True):
    allowed_domains: tuple[str, ...] | None = None


class SearchTool(Struct, frozen=True):
    """A web search the provider or the gateway runs; the four types are one feature, only two take `filters`.

    What stands behind `user_location` only OpenAI's servers know (`newer_members`).
    """

    type: SearchToolType
    filters: SearchFilters | UnsetType | None = UNSET
    search_context_size: Literal["low", "medium", "high"] | UnsetType = UNSET
    user_location: UserLocation | UnsetType | None = UNSET
    external_web_access: bool | UnsetType = UNSET
    indexed_web_access: bool | UnsetType = UNSET
    search_content_types: tuple[str, ...] | UnsetType = UNSET
    cache_control: CacheMark | UnsetType = UNSET


_NEWER_FIELDS = (
    "defer_loading",
    "allowed_callers",
    "output_schema",
    "is_async",
    "external_web_access",
    "indexed_web_access",
    "search_content_types",
)

PlainTool = FunctionTool | SearchTool
"""The tools that every dialect knows; `adapters/encoding/offers.py` tells the others as functions."""

Tool = (
    FunctionTool
    | SearchTool
    | CustomTool
    | NamespaceTool
    | ToolSearchTool
    | LocalShellTool
    | ServerTool
    | AnthropicTool
)


class FunctionChoice(Struct, frozen=True, tag_field="type", tag="function"):
    name: str
    namespace: str | UnsetType = UNSET


class CustomChoice(Struct, frozen=True, tag_field="type", tag="custom"):
    name: str
    namespace: str | UnsetType = UNSET


class SearchChoice(Struct, frozen=True):
    type: SearchToolType


class OwnChoice(Struct, frozen=True):
    """The choice of one of the client's tools that there is but one of."""

    type: Literal["tool_search", "local_shell"]


class Reference(Struct, frozen=True):
    """One of the tools, or all of a namespace, among those that are allowed."""

    type: str
    name: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    server_label: str | UnsetType = UNSET


class AllowedTools(Struct, frozen=True, tag_field="type", tag="allowed_tools"):
    """A choice among some of the tools; the others are as if they were not there."""

    mode: Literal["auto", "required"]
    tools: tuple[Reference, ...]


PlainChoice = Literal["auto", "none", "required"] | FunctionChoice | SearchChoice
"""The choices among plain tools."""

ToolChoice = (
    Literal["auto", "none", "required"]
    | FunctionChoice
    | CustomChoice
    | SearchChoice
    | OwnChoice
    | AllowedTools
    | ServerToolChoice
)


def newer_members(tool: Tool) -> dict[str, Json]:
    """The members of a tool that only OpenAI's servers know, as they are written."""
    values = ((name, getattr(tool, name, UNSET)) for name in _NEWER_FIELDS)
    return {"async" if name == "is_async" else name: value for name, value in values if value is not UNSET}


Way = tuple[str | None, ...]
"""One way in which a reference can mean a tool."""

_SEARCH_TYPES = frozenset(get_args(SearchToolType))


def ways_of(reference: Reference) -> Iterator[Way]:
    """What a reference can mean: each of these, as it is not said of which kind the tool is."""
    kind, name = reference.type, reference.name or ""
    if kind == "namespace":
        yield "namespace", name
    else:
        yield "tool", kind, name, reference.namespace or ""
    yield "own", kind
    yield "anthropic", name
    yield "server", kind, None if reference.server_label is UNSET else reference.server_label
    if kind in _SEARCH_TYPES:
        yield ("search",)


def ways_to(tool: Tool) -> Iterator[Way]:
    """In which ways a tool can be meant, or one of a namespace's."""
    match tool:
        case NamespaceTool():
            yield "namespace", tool.name
            for each in tool.tools:
                yield from _ways_to_function(each, tool.name)
        case FunctionTool() | CustomTool():
            yield from _ways_to_function(tool, "")
        case SearchTool():
            yield ("search",)
        case ToolSearchTool():
            yield "own", "tool_search"
        case LocalShellTool():
            yield "own", "local_shell"
        case AnthropicTool():
            yield "anthropic", _text_or_none(tool.get("name"))
        case ServerTool():
            yield "server", tool.type, None
            yield "server", tool.type, _text_or_none(tool.get("server_label"))
        case _:
            assert_never(tool)


def narrowed(tool: Tool, allowed: AbstractSet[Way]) -> Tool | None:
    """What of a tool is among those that are allowed: all of it, some of a namespace's tools, or None."""
    if isinstance(tool, NamespaceTool) and ("namespace", tool.name) not in allowed:
        inner = tuple(each for each in tool.tools if any(way in allowed for way in _ways_to_function(each, tool.name)))
        return replace(tool, tools=inner) if inner else None
    return None if all(way not in allowed for way in ways_to(tool)) else tool


def _ways_to_function(tool: FunctionTool | CustomTool, namespace: str) -> tuple[Way, Way]:
    kind = "function" if isinstance(tool, FunctionTool) else "custom"
    return ("tool", kind, tool.name, namespace), ("tool", kind, tool.name, "")


def _text_or_none(value: Json) -> str | None:
    return value if isinstance(value, str) else None


class TextFormat(Struct, frozen=True, tag_field="type", tag="text"):
    """Plain text."""


class JsonObjectFormat(Struct, frozen=True, tag_field="type", tag="json_object"):
    """Any JSON object."""


class JsonSchemaFormat(Struct, frozen=True, tag_field="type", tag="json_schema"):
    """JSON that fits `schema`."""

    name: str
    schema: dict[str, Json]
    description: str | UnsetType = UNSET
    strict: bool | UnsetType | None = UNSET


Format = TextFormat | JsonObjectFormat | JsonSchemaFormat


class TextConfig(Struct, frozen=True):
    format: Format = TextFormat()
    verbosity: Verbosity | UnsetType = UNSET
