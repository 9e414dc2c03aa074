"""Readers of tools, the choice among them and the form of the answer's text, as Chat Completions spells them.

There the members of a tool stand in an object of their own, named by its type; Cursor sends them beside the type, as
Responses has them, and both are taken (https://github.com/BerriAI/litellm/issues/34029, 2026-11-28). What stands in
them is read by the readers of Responses; a path is told as the client wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from msgspec import UNSET, ValidationError, convert
from msgspec.structs import replace

from trunkline.faces.chat.parts import mark_of
from trunkline.protocol.items import Json
from trunkline.protocol.parse_tools import MAX_NAME, read_closely, read_text_config, read_tool_choice, usual_function
from trunkline.protocol.reading import (
    Reader,
    Wrong,
    any_text,
    array,
    flag,
    mismatch,
    opaque_object,
    record,
    tagged,
    text,
)
from trunkline.protocol.tools import (
    CustomTool,
    Format,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    SearchTool,
    SearchToolType,
    TextConfig,
    TextFormat,
    Tool,
    ToolChoice,
)

_NESTING = ("function", "custom", "allowed_tools")
"""The types whose members stand in an object of that name."""

_GATEWAY_SEARCH = "openrouter:web_search"
_SEARCHES: Mapping[str, str] = {**{kind: kind for kind in get_args(SearchToolType)}, _GATEWAY_SEARCH: "web_search"}
_SEARCH_SETTINGS = ("search_context_size", "user_location")
_DEFAULT_NAME = "response"


# Tools


def read_tools(value: Json) -> tuple[Tool, ...]:
    """Read `tools`; no two of the client's own have one name."""
    tools = _tools(value)
    _check_names(tools, value)
    return tools


def read_functions(value: Json) -> tuple[Tool, ...]:
    """Read the older `functions`."""
    tools = _functions(value)
    _check_names(tools, value)
    return tools


def read_search_options(value: Json) -> SearchTool:
    """Read `web_search_options`: a search, with the place of the user one level deeper than in a tool."""
    options = opaque_object(value)
    place = options.get("user_location")
    if not isinstance(place, dict) or not isinstance(place.get("approximate"), dict):
        return _search(_settings(options))
    flat = {**place["approximate"], "type": place.get("type")}
    try:
        return _search({**_settings(options), "user_location": flat})
    except Wrong as wrong:
        if wrong.steps[-1] == "user_location" and wrong.steps[:-1] not in ([], ["type"]):
            wrong.steps.insert(-1, "approximate")
        raise


def _tool(value: Json) -> Tool:
    tool = _usual_function(value)
    return _read_tool(value) if tool is None else tool


def _usual_function(value: Json) -> FunctionTool | None:
    """Read a function of the usual form, in one call; None for every other value."""
    if type(value) is not dict or len(value) != 2 or value.get("type") != "function":
        return None
    function = value.get("function")
    if type(function) is not dict or "type" in function:
        return None
    try:
        tool = convert(function, FunctionTool)
    except ValidationError:
        return None
    return tool if 0 < len(tool.name) <= MAX_NAME else None


def _function(value: dict[str, Json]) -> Tool:
    tool = _beside_or_nested(value, "function", {})
    mark = mark_of(value)
    return replace(tool, cache_control=mark) if mark is not UNSET and isinstance(tool, FunctionTool) else tool


def _custom(value: dict[str, Json]) -> Tool:
    """Read a custom tool, whose grammar too stands in an object of its own."""
    custom = value.get("custom")
    form = custom.get("format") if isinstance(custom, dict) else None
    grammar = form.get("grammar") if isinstance(form, dict) else None
    if not isinstance(form, dict) or not isinstance(grammar, dict):
        return _beside_or_nested(value, "custom", {})
    try:
        return _beside_or_nested(value, "custom", {"format": {**grammar, "type": form.get("type")}})
    except Wrong as wrong:
        if wrong.steps[-2:] == ["format", "custom"] and wrong.steps[0] in ("syntax", "definition"):
            wrong.steps.insert(-2, "grammar")
        raise


def _beside_or_nested(value: dict[str, Json], kind: str, instead: dict[str, Json]) -> Tool:
    """Read a tool whose members stand in an object, or beside its type; `instead` replaces some of those in it."""
    inner = value.get(kind)
    if inner is None and "name" in value:
        return usual_function(value) or read_closely(value)
    tool: Tool = _nested(value, kind, lambda members: read_closely({**members, **instead}))
    return tool


def _nested(value: dict[str, Json], kind: str, read: Reader[Any]) -> Any:
    """Read what stands in the object that is named by the type, as if it stood beside that."""
    inner = value.get(kind)
    try:
        if inner is None:
            raise Wrong("is required")
        if not isinstance(inner, dict):
            raise mismatch(inner, "an object")
        return read({**{name: member for name, member in inner.items() if name != kind}, "type": kind})
    except Wrong as wrong:
        wrong.steps.append(kind)
        raise


def _search_tool(value: dict[str, Json]) -> SearchTool:
    """Read a search; OpenRouter's has its settings in `parameters`, its domains outside of `filters`."""
    inner = value.get("parameters")
    if inner is None:
        return _filtered(value, value)
    try:
        return _filtered(opaque_object(inner), value)
    except Wrong as wrong:
        wrong.steps.append("parameters")
        raise


def _filtered(settings: Mapping[str, Json], tool: Mapping[str, Json]) -> SearchTool:
    given = {**settings, "type": _SEARCHES[tool["type"]]}
    domains = settings.get("allowed_domains")
    if domains is None or settings.get("filters") is not None:
        return _search(given)
    try:
        return _search({**given, "filters": {"allowed_domains": domains}})
    except Wrong as wrong:
        if wrong.steps[-1] == "filters":
            wrong.steps.pop()
        raise


def _search(members: dict[str, Json]) -> SearchTool:
    tool = read_closely({"type": "web_search", **members})
    assert isinstance(tool, SearchTool)
    return tool


def _settings(options: Mapping[str, Json]) -> dict[str, Json]:
    return {name: options[name] for name in _SEARCH_SETTINGS if name in options}


def _older_function(value: Json) -> Tool:
    return read_closely({**opaque_object(value), "type": "function"})


_read_tool: Reader[Tool] = tagged(
    {"function": _function, "custom": _custom, **dict.fromkeys(_SEARCHES, _search_tool)},
)
_tools: Reader[tuple[Tool, ...]] = array(_tool)
_functions: Reader[tuple[Tool, ...]] = array(_older_function)


def _check_names(tools: tuple[Tool, ...], written: Sequence[Json]) -> None:
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        if not isinstance(tool, FunctionTool | CustomTool):
            continue
        if tool.name in seen:
            steps = [kind for kind in _NESTING if isinstance(written[index].get(kind), dict)]
            raise mismatch(tool.name, "a name no other tool has", "name", *steps, index)
        seen.add(tool.name)


# The choice among them


def read_choice(value: Json) -> ToolChoice:
    """Read `tool_choice`."""
    if not isinstance(value, dict):
        return read_tool_choice(value)
    kind = nesting_of(value)
    if kind is not None:
        choice: ToolChoice = _nested(value, kind, _flat_choice)
        return choice
    return _flat_choice({**value, "type": _SEARCHES.get(str(value.get("type")), value.get("type"))})


def read_older_choice(value: Json) -> ToolChoice:
    """Read the older `function_call`: a word, or the name of a function."""
    if isinstance(value, dict):
        return read_tool_choice({**value, "type": "function"})
    return read_tool_choice(value)


def nesting_of(choice: Json) -> str | None:
    """The member that the rest of a choice stands in; None where that stands beside its type."""
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in _NESTING:
        return None
    # Beside its type stand the name of a tool, or the mode.
    return kind if choice.get(kind) is not None or not ("name" in choice or "mode" in choice) else None


def _flat_choice(choice: dict[str, Json]) -> ToolChoice:
    """Read a choice whose members stand beside its type; of tools that are allowed each may be nested."""
    tools = choice.get("tools")
    if choice["type"] != "allowed_tools" or not isinstance(tools, list):
        return read_tool_choice(choice)
    return read_tool_choice({**choice, "tools": [_flat_reference(tool) for tool in tools]})


def _flat_reference(tool: Json) -> Json:
    kind = tool.get("type") if isinstance(tool, dict) else None
    inner = tool.get(kind) if isinstance(kind, str) else None
    if isinstance(inner, dict) and kind in _NESTING:
        return {"type": kind, "name": inner.get("name")}
    return {**tool, "type": _SEARCHES[kind]} if isinstance(kind, str) and kind in _SEARCHES else tool


# The form of the answer


def _object_format(*, schema: dict[str, Json] | None = None) -> Format:
    """JSON of any shape, or of that which some hosts take here (Together's and Fireworks' older form)."""
    return JsonObjectFormat() if schema is None else JsonSchemaFormat(name=_DEFAULT_NAME, schema=schema)


def _schema_format(*, json_schema: JsonSchemaFormat) -> Format:
    return json_schema


def _named_schema(*, name: str = _DEFAULT_NAME, **members: Json) -> JsonSchemaFormat:
    return JsonSchemaFormat(name=name, **members)


read_format: Reader[Format] = tagged(
    {
        "text": record(TextFormat, {}),
        "json_object": record(_object_format, {"schema": opaque_object}),
        "json_schema": record(
            _schema_format,
            {
                "json_schema": record(
                    _named_schema,
                    {"name": text(at_least=1), "schema": opaque_object, "description": any_text, "strict": flag},
                    required=("schema",),
                )
            },
            required=("json_schema",),
        ),
    }
)
"""Read `response_format`."""


def read_verbosity(value: Json) -> TextConfig:
    """Read `verbosity`."""
    try:
        return read_text_config({"verbosity": value})
    except Wrong as wrong:
        wrong.steps.clear()
        raise
