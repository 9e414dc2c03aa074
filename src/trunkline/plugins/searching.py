"""The search that a request asks for, as the gateway makes it: what is offered to the model, and how much it may.

Pure. Whether a provider makes the search itself instead is decided where the request is planned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from trunkline.billing import nearest_nano
from trunkline.errors import BadRequest
from trunkline.money import NanoUsd
from trunkline.plugins.web import characters_of, choose_engine, search_function
from trunkline.protocol.items import AdditionalTools, InputItem, InputText, Message, ToolSearchOutput
from trunkline.protocol.preferences import WebPlugin
from trunkline.protocol.request import Request, callable_tools, offered_tools, search_of
from trunkline.protocol.tools import (
    AllowedTools,
    CustomTool,
    FunctionChoice,
    FunctionTool,
    NamespaceTool,
    Reference,
    SearchChoice,
    SearchTool,
    Tool,
    ToolChoice,
    UserLocation,
)
from trunkline.settings.sections import Settings
from trunkline.upstream.engines.found import Query

MAX_QUERY_CHARACTERS: Final = 400
"""Longer ones are refused by engines: https://api-dashboard.search.brave.com (Web Search, `q`), 2026-11-28."""

_NAME: Final = "web_search"


class SearchStep(NamedTuple):
    """A search that the gateway makes.

    `asked` is the request with a function named `name` in the place of the search tool; without one in it (`is_offered`
    is false) there is the plugin alone, which searches once before the model is asked, with `query_text`, and tells it
    what was found after `prompt`. `native` is the request for an endpoint that searches by itself, None where an engine
    is named; `is_native_only`: no other may answer. `most` searches are made at the most, `asked_results` are the
    client's.
    """

    asked: Request
    native: Request | None
    is_native_only: bool
    is_offered: bool
    name: str
    engine: str
    price_nano: NanoUsd
    most: int
    max_results: int
    characters: int
    domains: tuple[str, ...] = ()
    location: UserLocation | None = None
    prompt: str = ""
    query_text: str = ""
    fails_with_search: bool = False
    carries_results: bool = False

    def query(self, text: str) -> Query:
        """What the engine is asked for these words."""
        return Query(text[:MAX_QUERY_CHARACTERS], self.max_results, self.characters, self.domains, self.location)


def search_step(
    request: Request, web: WebPlugin | None, settings: Settings, engines: Sequence[str]
) -> SearchStep | None:
    """The search of a request by its tools and the plugin; None where the gateway has none to make.

    Raises BadRequest where one has to be made and may not.
    """
    search = None if SearchTool not in map(type, offered_tools(request)) else search_of(request)
    if search is None and engine_of(web, settings, engines) and _is_barred(request):
        message = "tool_choice asks for a search, and max_tool_calls allows none; raise it, or leave tool_choice out."
        raise BadRequest(message, param=request.paths.spelled("max_tool_calls"))
    engine = engine_of(web, settings, engines)
    if (web is None and search is None) or (not engine and (web is None or web.engine != "native")):
        return None
    tool = None if search is None else search.tool
    about = settings.plugins.web
    has_native = web is None or web.engine in (None, "native")
    most = about.max_searches if request.max_tool_calls is None else min(about.max_searches, request.max_tool_calls)
    name = _free_name(request)
    found = SearchStep(
        asked=request if search is None else _offering(request, name),
        native=None if not has_native else request if search is not None else _with_tool(request),
        is_native_only=web is not None and web.engine == "native",
        is_offered=search is not None,
        name=name,
        engine=engine,
        price_nano=nearest_nano(settings.search[engine].price) if engine else 0,
        most=max(1, most),  # the plugin's own search is no call of a tool: where those are barred, it is still made
        max_results=about.max_results if web is None or web.max_results is None else web.max_results,
        characters=characters_of(about.characters, None if tool is None else tool.search_context_size),
        domains=() if search is None else search.domains,
        location=None if tool is None else tool.user_location or None,
        prompt="" if web is None else web.search_prompt or about.search_prompt,
        query_text="" if web is None else last_words(request)[:MAX_QUERY_CHARACTERS],
        fails_with_search=about.on_failure == "fail",
        carries_results=about.carry_results,
    )
    return found if search is not None or found.query_text or found.is_native_only else None


def engine_of(web: WebPlugin | None, settings: Settings, engines: Sequence[str]) -> str:
    """The engine that a search is made with, by the plugin or without it; empty where none is there."""
    wish = None if web is None or web.engine == "native" else web.engine
    return choose_engine(engines, wish, settings.plugins.web.engine) or ""


def is_online(request: Request) -> bool:
    """Whether the name of a model that is asked for asks for the web plugin."""
    return any("online" in _suffixes(name) for name in _names(request))


def offline(request: Request) -> Request:
    """The request with models' names that do not ask for it any more."""
    models = tuple(map(_without_online, request.models))
    return replace(request, model=None if request.model is None else _without_online(request.model), models=models)


def last_words(request: Request) -> str:
    """The last text of the user, in one line."""
    for item in reversed(request.input):
        if isinstance(item, Message) and item.role == "user":
            words = " ".join(part.text for part in item.content if isinstance(part, InputText)).split()
            if words:
                return " ".join(words)
    return ""


def later_choice(choice: ToolChoice | None, name: str) -> ToolChoice | None:
    """The choice in later turns: a force that is kept would make the model search for ever."""
    if choice == "required" or (isinstance(choice, FunctionChoice) and choice.name == name):
        return "auto"
    if isinstance(choice, AllowedTools) and choice.mode == "required":
        return replace(choice, mode="auto")
    return choice


def _names(request: Request) -> Iterator[str]:
    if request.model is not None:
        yield request.model
    yield from request.models


def _suffixes(name: str) -> Sequence[str]:
    return [suffix.strip().lower() for suffix in name.split(":")[1:]] if ":" in name else ()


def _without_online(name: str) -> str:
    if "online" not in _suffixes(name):
        return name
    base, *suffixes = name.split(":")
    return ":".join([base, *(suffix for suffix in suffixes if suffix.strip().lower() != "online")])


def _is_barred(request: Request) -> bool:
    """Whether a search is demanded that may not be made."""
    if request.max_tool_calls != 0 or not request.tools:
        return False
    if isinstance(request.tool_choice, SearchChoice):
        return True
    is_forced = request.tool_choice == "required" or (
        isinstance(request.tool_choice, AllowedTools) and request.tool_choice.mode == "required"
    )
    tools = callable_tools(request)
    return is_forced and bool(tools) and all(isinstance(tool, SearchTool) for tool in tools)


def _with_tool(request: Request) -> Request:
    """The request with a search tool, for the plugin where an endpoint searches by itself."""
    return replace(request, tools=(*request.tools, SearchTool("web_search")))


def _offering(request: Request, name: str) -> Request:
    """The request with a function in the place of its search tools."""
    function = search_function(name)
    tools = tuple(_replaced(request.tools, function)) or (function,)
    if function not in tools:
        tools = (*tools, function)
    changed = replace(request, tools=tools, tool_choice=_offered_choice(request.tool_choice, name))
    if request.has_extensions:
        changed = replace(changed, input=tuple(map(_without_search, request.input)))
    return changed


def _replaced(tools: Sequence[Tool], function: FunctionTool) -> Iterator[Tool]:
    is_there = False
    for tool in tools:
        if not isinstance(tool, SearchTool):
            yield tool
        elif not is_there:
            is_there = True
            yield function


def _without_search(item: InputItem) -> InputItem:
    if isinstance(item, AdditionalTools | ToolSearchOutput) and SearchTool in map(type, item.tools):
        return replace(item, tools=tuple(tool for tool in item.tools if not isinstance(tool, SearchTool)))
    return item


def _offered_choice(choice: ToolChoice | None, name: str) -> ToolChoice | None:
    match choice:
        case SearchChoice():
            return FunctionChoice(name)
        case AllowedTools():
            function = Reference("function", name)
            named = dict.fromkeys(function if each.type.startswith("web_search") else each for each in choice.tools)
            return replace(choice, tools=tuple(named))
        case _:
            return choice


def _free_name(request: Request) -> str:
    """A name for the function that none of the client's tools has."""
    taken: set[str] = set()
    for tool in offered_tools(request):
        if isinstance(tool, FunctionTool | CustomTool | NamespaceTool):
            taken.add(tool.name)
    name, count = _NAME, 2
    while name in taken:
        name, count = f"{_NAME}_{count}", count + 1
    return name
