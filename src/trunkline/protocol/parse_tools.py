"""Readers of tools, the choice among them, and the form of the answer's text; JSON schemas pass through unread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Literal, get_args

from msgspec import ValidationError, convert
from msgspec.structs import replace

from trunkline.protocol.marks import CacheMark
from trunkline.protocol.opaque import AnthropicTool, Json, ServerTool, ServerToolChoice
from trunkline.protocol.reading import (
    Reader,
    T,
    Wrong,
    array,
    flag,
    mismatch,
    named,
    one_of,
    opaque_object,
    record,
    refuse,
    shown,
    tagged,
    text,
)
from trunkline.protocol.tools import (
    AllowedTools,
    CustomChoice,
    CustomTool,
    Format,
    FunctionChoice,
    FunctionTool,
    Grammar,
    JsonObjectFormat,
    JsonSchemaFormat,
    LocalShellTool,
    NamespaceTool,
    OwnChoice,
    RawText,
    Reference,
    SearchChoice,
    SearchFilters,
    SearchTool,
    SearchToolType,
    TextConfig,
    TextFormat,
    Tool,
    ToolChoice,
    ToolSearchTool,
    UserLocation,
    Verbosity,
    ways_of,
    ways_to,
)

MAX_NAME = 256
"""Characters of a tool's name; whatever a provider refuses in it has another name there (`encoding/wire_names.py`)."""

_SERVER_TOOLS = (
    "apply_patch",
    "code_interpreter",
    "computer",
    "computer_use_preview",
    "file_search",
    "image_generation",
    "mcp",
    "programmatic_tool_calling",
    "shell",
)
"""The tools of OpenAI's SDK 3.57 (`types/responses/tool.py`) that only OpenAI's servers run or tell the calls of."""

_MODES: Mapping[str, ToolChoice] = {"auto": "auto", "none": "none", "required": "required"}
_NESTED = 'belongs to the Chat Completions API; put its members beside "type"'

_any_text = text()


_name = text(at_least=1, at_most=MAX_NAME)


def _mark(*, type: Literal["ephemeral"] = "ephemeral", ttl: Literal["5m", "1h"] | None = None) -> CacheMark:
    return CacheMark(ttl)


read_mark: Reader[CacheMark] = record(_mark, {"type": one_of(("ephemeral",)), "ttl": one_of(("5m", "1h"))})


def _function(
    *,
    name: str,
    description: str | None = None,
    parameters: dict[str, Json] | None = None,
    strict: bool | None = None,
    **newer: Json,
) -> FunctionTool:
    plain = FunctionTool(name, description, parameters, strict)
    return replace(plain, **_as_fields(newer)) if newer else plain


def usual_function(value: Json) -> FunctionTool | None:
    """Read a function of the usual form, in one call; None for every other value."""
    if type(value) is not dict or value.get("type") != "function" or "function" in value:
        return None
    try:
        tool = convert(value, FunctionTool)
    except ValidationError:
        return None
    return tool if 0 < len(tool.name) <= MAX_NAME else None


def _usual_or(reader: Reader[T]) -> Reader[T | FunctionTool]:
    """Read a usual function quickly, and leave to a reader whatever is another tool or wrong."""

    def read(value: Json) -> T | FunctionTool:
        tool = usual_function(value)
        return reader(value) if tool is None else tool

    return read


def _custom(**members: Json) -> CustomTool:
    return CustomTool(**_as_fields(members))


def _as_fields(members: dict[str, Json]) -> dict[str, Json]:
    if "async" in members:
        members["is_async"] = members.pop("async")
    return members


def _server_tool(value: Json) -> ServerTool:
    return ServerTool(value)


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
    "external_web_access": flag,
    "indexed_web_access": flag,
    "search_content_types": array(_any_text),
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

_NEWER: Mapping[str, Reader[object]] = {
    "defer_loading": flag,
    "allowed_callers": array(_any_text),
    "async": flag,
}
_INPUT_FORMATS: Mapping[str, Reader[RawText | Grammar]] = {
    "text": record(RawText, {}),
    "grammar": record(
        Grammar,
        {"syntax": one_of(("lark", "regex")), "definition": _any_text, "grammar": refuse(_NESTED)},
        required=("syntax", "definition"),
    ),
}
_CALLED: Mapping[str, Reader[FunctionTool | CustomTool]] = {
    "function": record(
        _function,
        {
            "name": _name,
            "description": _any_text,
            "parameters": opaque_object,
            "strict": flag,
            "output_schema": opaque_object,
            "cache_control": read_mark,
            "function": refuse(_NESTED),
            **_NEWER,
        },
        required=("name",),
    ),
    "custom": record(
        _custom,
        {
            "name": _name,
            "description": _any_text,
            "format": tagged(_INPUT_FORMATS),
            "custom": refuse(_NESTED),
            **_NEWER,
        },
        required=("name",),
    ),
}
_NO_SPACE_INSIDE = {"namespace": "must not stand in a namespace; put its tools beside it"}
_inner_tools = array(_usual_or(tagged(_CALLED, refused=_NO_SPACE_INSIDE)))

_TOOLS: Mapping[str, Reader[Tool]] = {
    **_CALLED,
    **{kind: record(partial(SearchTool, type=kind), members) for kind, members in _SEARCH_MEMBERS.items()},
    "namespace": record(
        NamespaceTool,
        {"name": _name, "description": _any_text, "tools": _inner_tools},
        required=("name", "tools"),
    ),
    "tool_search": record(
        ToolSearchTool,
        {"execution": one_of(("client", "server")), "description": _any_text, "parameters": opaque_object},
    ),
    "local_shell": record(LocalShellTool, {}),
    **dict.fromkeys(_SERVER_TOOLS, _server_tool),
}
read_closely: Reader[Tool] = tagged(_TOOLS)
_tools = array(_usual_or(read_closely))

_NAMED: Mapping[str, Reader[object]] = {"name": _any_text, "namespace": _any_text, "function": refuse(_NESTED)}
_reference = record(
    Reference,
    {"type": _any_text, **_NAMED, "server_label": _any_text},
    required=("type",),
)
_CHOICES: Mapping[str, Reader[ToolChoice]] = {
    "function": record(FunctionChoice, _NAMED, required=("name",)),
    "custom": record(CustomChoice, {**_NAMED, "custom": refuse(_NESTED)}, required=("name",)),
    **{kind: record(partial(SearchChoice, type=kind), {}) for kind in _SEARCH_MEMBERS},
    "tool_search": record(partial(OwnChoice, type="tool_search"), {}),
    "local_shell": record(partial(OwnChoice, type="local_shell"), {}),
    "allowed_tools": record(
        AllowedTools,
        {"mode": one_of(("auto", "required")), "tools": array(_reference), "allowed_tools": refuse(_NESTED)},
        required=("mode", "tools"),
    ),
    **dict.fromkeys((*_SERVER_TOOLS, "computer_use"), ServerToolChoice),
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
    """Read `tools`; the names of functions and custom tools are distinct within each namespace."""
    tools = _tools(value)
    seen: set[str] = set()
    spaces: dict[str, set[str]] = {}
    for index, tool in enumerate(tools):
        if isinstance(tool, FunctionTool | CustomTool):
            if tool.name in seen:
                raise mismatch(tool.name, "a name no other tool has", "name", index)
            seen.add(tool.name)
        elif isinstance(tool, NamespaceTool):
            inside = spaces.setdefault(tool.name, set())
            for place, inner in enumerate(tool.tools):
                if inner.name in inside:
                    raise mismatch(
                        inner.name, "a name no other tool of its namespace has", "name", place, "tools", index
                    )
                inside.add(inner.name)
    return tools


def read_tool_choice(value: Json) -> ToolChoice:
    """Read `tool_choice`."""
    if isinstance(value, dict):
        return _choice_object(value)
    if not isinstance(value, str) or value not in _MODES:
        raise mismatch(value, f"{named(_MODES)}, or an object that names a tool")
    return _MODES[value]


def check_tool_choice(choice: ToolChoice | None, tools: tuple[Tool, ...]) -> None:
    """Check that the tools hold what the choice asks for; the four search types are one feature.

    `tools` are all that may be called, also those that stand in the input.
    """
    match choice:
        case "required" if not tools:
            raise Wrong('is "required", but there are no tools')
        case FunctionChoice(name) if any(
            isinstance(tool, AnthropicTool) and tool.get("name") == name for tool in tools
        ):
            pass
        case FunctionChoice(name, namespace):
            _check_named(name, namespace or "", _names(tools, FunctionTool), "function")
        case CustomChoice(name, namespace):
            _check_named(name, namespace or "", _names(tools, CustomTool), "custom tool")
        case SearchChoice(kind):
            if not any(isinstance(tool, SearchTool) for tool in tools):
                raise Wrong(f'is "{kind}", but tools has no web search', "type")
        case OwnChoice(kind):
            wanted = ToolSearchTool if kind == "tool_search" else LocalShellTool
            if not any(isinstance(tool, wanted) for tool in tools):
                raise Wrong(f'is "{kind}", but tools has none', "type")
        case ServerToolChoice():
            if not any(isinstance(tool, ServerTool) and _family(tool) == _family(choice) for tool in tools):
                raise Wrong(f"is {shown(choice.type)}, but tools has none", "type")
        case AllowedTools(mode, references):
            offered = {way for tool in tools for way in ways_to(tool)}
            for index, reference in enumerate(references):
                if offered.isdisjoint(ways_of(reference)):
                    raise Wrong("names no tool in tools", index, "tools")
            if mode == "required" and not references:
                raise Wrong('is "required", but no tools are allowed', "mode")
        case _:
            pass


def _check_named(name: str, namespace: str, known: Mapping[tuple[str, str], str], noun: str) -> None:
    if (namespace, name) not in known:
        names = ", ".join(known.values()) or "there is none"
        raise mismatch(name, f"the name of a {noun} in tools ({names})", "name")


def _names(tools: tuple[Tool, ...], kind: type[FunctionTool | CustomTool]) -> Mapping[tuple[str, str], str]:
    """How each tool of a kind is spelled in a message, by its namespace and name."""
    return {(space, tool.name): f"{space}.{tool.name}" if space else tool.name for space, tool in _each(tools, kind)}


def _each(
    tools: tuple[Tool, ...], kind: type[FunctionTool | CustomTool]
) -> Iterator[tuple[str, FunctionTool | CustomTool]]:
    for tool in tools:
        if isinstance(tool, NamespaceTool):
            yield from ((tool.name, inner) for inner in tool.tools if isinstance(inner, kind))
        elif isinstance(tool, kind):
            yield "", tool


def _family(tool: ServerTool | ServerToolChoice) -> str:
    """The type of a tool; `computer` has several names."""
    return "computer" if tool.type.startswith("computer") else tool.type
