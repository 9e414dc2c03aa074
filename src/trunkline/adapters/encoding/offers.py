"""What of a request one endpoint is told, and what the names of its tools there stand for.

Every dialect knows functions, and one search. What goes beyond is passed on to OpenAI's own servers, and told to all
others as functions: a custom tool as one that takes its raw text as `input`, a namespace as its tools under names of
two parts, the search for more tools and the shell as functions of known arguments. A conversation is told in the same
names as the tools, and what a search found is offered like the others.

The same holds for what Anthropic's own servers know beyond Messages, which a Messages client says: they are told all of
it, and all others the tools among it that a client runs, as functions.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from trunkline.adapters.decoding.around import Heard
from trunkline.adapters.decoding.restoring import RestoringDecoder
from trunkline.adapters.encoding.anthropic_tools import as_function, search_blocks
from trunkline.adapters.encoding.caching import LOST_MARK
from trunkline.adapters.encoding.wire_names import NameTable, Own
from trunkline.adapters.naming import AS_THEY_ARE, INPUT, Called, WireNames
from trunkline.catalog.abilities import search_shortfall, takes_anthropic_members, takes_marks, takes_openai_tools
from trunkline.catalog.entries import Endpoint
from trunkline.errors import Unprocessable
from trunkline.protocol.extensions import anthropics_members, bound_to_anthropic, bound_to_openai
from trunkline.protocol.items import (
    AdditionalTools,
    AgentMessage,
    CustomCallItem,
    CustomCallOutput,
    EncryptedText,
    FunctionCallItem,
    FunctionCallOutput,
    InputItem,
    InputPart,
    InputText,
    Json,
    LocalShellCallItem,
    LocalShellCallOutput,
    Message,
    ToolSearchCallItem,
    ToolSearchOutput,
    WebSearchCall,
)
from trunkline.protocol.marking import with_last_marks
from trunkline.protocol.opaque import Anthropic, AnthropicItem, AnthropicTool, ServerItem, ServerTool
from trunkline.protocol.pairs import answered_call, call_id_of
from trunkline.protocol.request import Request, callable_tools, offered_tools, search_of
from trunkline.protocol.tools import (
    AllowedTools,
    CustomChoice,
    CustomTool,
    FunctionChoice,
    FunctionTool,
    Grammar,
    LocalShellTool,
    NamespaceTool,
    OwnChoice,
    Reference,
    SearchTool,
    Tool,
    ToolChoice,
    ToolSearchTool,
    newer_members,
)

LOST_SEARCH = "tools.web_search"
"""What a search that is left out is called in `x-trunkline-dropped`; other tools went out all the same."""

MOST_MARKS = 4
"""How many marks Claude takes; of more the first go, since what is marked later holds all before it."""

_TOOL_SEARCH = Own("tool_search", only="tool_search")
_LOCAL_SHELL = Own("local_shell", only="local_shell")

_RAW_TEXT: dict[str, Json] = {
    "type": "object",
    "properties": {
        "input": {
            "type": "string",
            "description": "The whole input as raw text, with no quotes and no fence around it.",
        }
    },
    "required": [INPUT],
    "additionalProperties": False,
}
_QUERY: dict[str, Json] = {
    "type": "object",
    "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
    "required": ["query"],
}
# https://developers.openai.com/api/reference/responses: the action of a `local_shell_call`, as in OpenAI's SDK 3.57.
_COMMAND: dict[str, Json] = {
    "type": "object",
    "properties": {
        "command": {"type": "array", "items": {"type": "string"}, "description": "The program and its arguments."},
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
        "timeout_ms": {"type": "integer"},
        "user": {"type": "string"},
        "working_directory": {"type": "string"},
    },
    "required": ["command"],
}

_FERNET = "gAAAA"
"""How every token of that kind begins, in which OpenAI seals what only its models may read."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Offer(Struct, frozen=True):
    """The request as an endpoint is asked, what its tools' names stand for, and the names of what is lost."""

    request: Request
    names: WireNames
    lost: tuple[str, ...]


def offered(request: Request, endpoint: Endpoint) -> Offer:
    """Make the offer for an endpoint.

    A search that may not be made is left out for every endpoint, one that an endpoint cannot make as it is asked for is
    lost. Raises Unprocessable where that search is demanded, or what only the servers of one maker know has to be done
    and is not known; routing asks no such endpoint.
    """
    lost, names = request.ignored, AS_THEY_ARE
    if (request.anthropic is not None or request.has_extensions) and not takes_anthropic_members(endpoint):
        if bound := bound_to_anthropic(request):
            raise Unprocessable(f"{endpoint.model.slug} does not take {', '.join(bound)} at {endpoint.provider.name}")
        if request.anthropic is not None:
            if members := anthropics_members(request):
                lost = (*lost, *dict.fromkeys(members))
            request = replace(request, anthropic=None)
    if request.has_extensions:
        retold = _Retelling(request, endpoint)
        request, names = retold.request(), retold.table.called
        lost = (*lost, *dict.fromkeys(retold.lost))
    if request.has_marks:
        request, is_lost = with_last_marks(request, MOST_MARKS if takes_marks(endpoint) else 0)
        lost = (*lost, LOST_MARK) if is_lost else lost
    tools = request.tools
    if not tools or SearchTool not in map(type, tools):
        return Offer(request, names, lost)
    search = search_of(request)
    shortfall = None if search is None else search_shortfall(endpoint, search)
    kept = search.tool if search is not None and shortfall is None else None
    if search is not None and shortfall is not None and search.is_demanded:
        raise Unprocessable(f"{endpoint.model.slug} {shortfall} at {endpoint.provider.name}")
    left = tuple(tool for tool in tools if not isinstance(tool, SearchTool) or tool is kept)
    if len(left) < len(tools):
        request = replace(request, tools=left)
    return Offer(request, names, lost if shortfall is None else (*lost, LOST_SEARCH))


def restoring(decoder: Heard, offer: Offer) -> Heard:
    """The decoder of the answer to an offer, which tells calls by the names that the client gave its tools."""
    if not offer.names:
        return decoder
    plain = [
        tool.name for tool in offer.request.tools if isinstance(tool, FunctionTool) and tool.name not in offer.names
    ]
    plain += [str(tool.get("name")) for tool in offer.request.tools if isinstance(tool, AnthropicTool)]
    return RestoringDecoder(decoder, offer.names, plain)


class _Retelling:
    """One request told anew for one endpoint."""

    def __init__(self, request: Request, endpoint: Endpoint) -> None:
        self._is_openai = takes_openai_tools(endpoint)
        self._is_anthropic = takes_anthropic_members(endpoint)
        if not self._is_openai and (bound := bound_to_openai(request)):
            raise Unprocessable(f"{endpoint.model.slug} does not take {', '.join(bound)} at {endpoint.provider.name}")
        self.lost: list[str] = []
        self._asked = request = request if self._is_anthropic else self._without_anthropics(request)
        self._places = {own: place for place, item in enumerate(request.input) if (own := call_id_of(item)) is not None}
        self.table = NameTable(endpoint.dialect)

    def request(self) -> Request:
        """The request in words that the endpoint knows."""
        if self._is_openai:
            return self._for_openai()
        if isinstance(self._asked.tool_choice, AllowedTools):
            # Names are told apart among all tools, so that they stay the same whatever is allowed.
            for tool in offered_tools(self._asked):
                list(self._plain_tools(tool))
        tools: dict[Own | int, Tool] = {}
        for tool in callable_tools(self._asked):
            for own, plain in self._plain_tools(tool):
                # What is found again may say more than before, and keeps its place for the provider's cache.
                tools[own if own is not None else len(tools)] = plain
        choice = self._plain_choice(self._asked.tool_choice)
        return replace(
            self._asked,
            tools=tuple(tools.values()),
            tool_choice=choice if tools or choice != "auto" else None,
            input=tuple(told for item in self._asked.input for told in self._plain_items(item)),
            anthropic=self._renamed(self._asked.anthropic),
            has_extensions=False,
        )

    def _without_anthropics(self, asked: Request) -> Request:
        """The request without what only Anthropic's servers know: tools that a client runs are functions like others.

        An item is what those servers did or made, and is left out; all else that it led to is still said.
        """
        told = (as_function(tool) if isinstance(tool, AnthropicTool) else tool for tool in asked.tools)
        self.lost += [f"input.{item.type}" for item in asked.input if isinstance(item, AnthropicItem)]
        kept = tuple(
            replace(item, anthropic=UNSET) if isinstance(item, FunctionCallItem) and item.anthropic else item
            for item in asked.input
            if not isinstance(item, AnthropicItem)
        )
        return replace(asked, tools=tuple(tool for tool in told if tool is not None), input=kept)

    def _renamed(self, said: Anthropic | None) -> Anthropic | None:
        """What is said of single tools, by the names that they have on the wire."""
        if said is None or not said.tools:
            return said
        return replace(said, tools={self.table.known(name): members for name, members in said.tools.items()})

    # For those who know functions

    def _plain_tools(self, tool: Tool) -> Iterable[tuple[Own | None, Tool]]:
        match tool:
            case FunctionTool() | CustomTool():
                yield self._plain_function(tool, Own(tool.name))
            case NamespaceTool():
                for place, inner in enumerate(tool.tools):
                    own, function = self._plain_function(inner, Own(inner.name, tool.name))
                    if place == 0 and tool.description:
                        about = f"About all tools of `{tool.name}`: {tool.description}"
                        function = replace(function, description=_joined(function.description, about))
                    yield own, function
            case ToolSearchTool():
                description = tool.description or "Search for more tools; those that are found can be called then."
                yield _TOOL_SEARCH, FunctionTool(self._own(_TOOL_SEARCH), description, tool.parameters or _QUERY)
            case LocalShellTool():
                yield (
                    _LOCAL_SHELL,
                    FunctionTool(self._own(_LOCAL_SHELL), "Run a command in the user's shell.", _COMMAND),
                )
            case SearchTool():
                self._lose(tool)
                yield (
                    None,
                    replace(tool, external_web_access=UNSET, indexed_web_access=UNSET, search_content_types=UNSET),
                )
            case AnthropicTool():
                yield None, tool
            case ServerTool():
                pass

    def _plain_function(self, tool: FunctionTool | CustomTool, own: Own) -> tuple[Own, FunctionTool]:
        self._lose(tool)
        name = self.table.name(own)
        if isinstance(tool, CustomTool):
            self.table.called[name] = Called("custom", tool.name, own.namespace)
            return own, FunctionTool(name, _told_custom(tool), _RAW_TEXT)
        if name != tool.name or own.namespace:
            self.table.called[name] = Called("function", tool.name, own.namespace)
        plain = FunctionTool(name, tool.description, tool.parameters, tool.strict, cache_control=tool.cache_control)
        return own, plain

    def _own(self, own: Own) -> str:
        """The name of a tool that there is one of."""
        name = self.table.name(own)
        self.table.called[name] = Called("tool_search" if own is _TOOL_SEARCH else "local_shell", own.name)
        return name

    def _plain_choice(self, choice: ToolChoice | None) -> ToolChoice | None:
        match choice:
            case AllowedTools(mode=mode):
                return mode
            case FunctionChoice(name, namespace) | CustomChoice(name, namespace):
                return FunctionChoice(self.table.name(Own(name, namespace or "")))
            case OwnChoice(kind):
                return FunctionChoice(self.table.name(_TOOL_SEARCH if kind == "tool_search" else _LOCAL_SHELL))
            case _:
                return choice

    def _plain_items(self, item: InputItem) -> Iterable[InputItem]:
        match item:
            case FunctionCallItem(name=name):
                yield replace(item, name=self.table.name(Own(name, item.namespace or "")), namespace=UNSET)
            case CustomCallItem(name=name):
                yield self._call(item, self.table.name(Own(name, item.namespace or "")), {INPUT: item.input})
            case CustomCallOutput():
                yield FunctionCallOutput(call_id=item.call_id, output=item.output)
            case ToolSearchCallItem(arguments=arguments) if item.call_id is not None:
                yield self._call(item, self.table.name(_TOOL_SEARCH), arguments)
            case ToolSearchOutput() if item.call_id is not None:
                yield FunctionCallOutput(call_id=item.call_id, output=self._told_found(item))
            case LocalShellCallItem():
                arguments = {name: value for name, value in item.action.items() if name != "type"}
                yield self._call(item, self.table.name(_LOCAL_SHELL), arguments)
            case LocalShellCallOutput():
                call_id = answered_call(item, self._asked.input, self._places)
                yield FunctionCallOutput(call_id=str(call_id), output=item.output)
            case AgentMessage():
                yield Message(role="user", content=tuple(_told_part(part) for part in item.content))
            case WebSearchCall() if self._is_anthropic and item.results and search_of(self._asked) is not None:
                yield from search_blocks(item)
            case ServerItem():
                self.lost.append(f"input.{item.type}")
            case AdditionalTools() | ToolSearchCallItem() | ToolSearchOutput():
                # Their tools are offered; a server's own search says nothing else.
                pass
            case _:
                yield item

    def _call(
        self, item: CustomCallItem | ToolSearchCallItem | LocalShellCallItem, name: str, arguments: Json
    ) -> FunctionCallItem:
        told = arguments if isinstance(arguments, str) else _encode(arguments).decode()
        return FunctionCallItem(call_id=str(item.call_id), name=name, arguments=told)

    def _told_found(self, item: ToolSearchOutput) -> str:
        found = [
            plain for tool in item.tools for _, plain in self._plain_tools(tool) if isinstance(plain, FunctionTool)
        ]
        if not found:
            return "No tools were found."
        return "\n".join(
            ["These tools were found and can be called from now on:", *(f"- {each.name}" for each in found)]
        )

    def _lose(self, tool: Tool) -> None:
        self.lost += [f"tools.{name}" for name in newer_members(tool)]

    # For OpenAI's own servers

    def _for_openai(self) -> Request:
        """The request as it came, but for names that are refused there too."""
        asked, choice = self._asked, self._asked.tool_choice
        tools = self._known_tools(asked.tools)
        items = tuple(self._known_item(item) for item in asked.input)
        if not self.table.called:
            return asked
        if isinstance(choice, FunctionChoice | CustomChoice):
            choice = replace(choice, name=self._known_name(choice.name, choice.namespace or ""))
        elif isinstance(choice, AllowedTools):
            choice = replace(choice, tools=tuple(self._known_reference(each) for each in choice.tools))
        return replace(asked, tools=tools, input=items, tool_choice=choice)

    def _known_tools(self, tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
        return tuple(known for tool in tools for known in self._known_tool(tool))

    def _known_tool(self, tool: Tool) -> Iterable[Tool]:
        match tool:
            case FunctionTool() | CustomTool():
                yield self._known_function(tool, "")
            case NamespaceTool(name=name):
                inner = [self._known_function(each, name) for each in tool.tools]
                if self.table.is_good(name):
                    yield replace(tool, tools=tuple(inner))
                else:
                    yield from inner
            case _:
                yield tool

    def _known_function(self, tool: FunctionTool | CustomTool, namespace: str) -> FunctionTool | CustomTool:
        name = self._known_name(tool.name, namespace)
        if name == tool.name:
            return tool
        self.table.called[name] = Called(
            "function" if isinstance(tool, FunctionTool) else "custom", tool.name, namespace
        )
        return replace(tool, name=name)

    def _known_name(self, name: str, namespace: str) -> str:
        own = Own(name, namespace)
        return self.table.inner_name(own) if namespace and self.table.is_good(namespace) else self.table.name(own)

    def _known_item(self, item: InputItem) -> InputItem:
        match item:
            case FunctionCallItem(name=name) | CustomCallItem(name=name):
                space = item.namespace or ""
                known = self._known_name(name, space)
                return replace(item, name=known, namespace=space if space and self.table.is_good(space) else UNSET)
            case AdditionalTools() | ToolSearchOutput():
                return replace(item, tools=self._known_tools(item.tools))
            case _:
                return item

    def _known_reference(self, reference: Reference) -> Reference:
        for wire, called in self.table.called.items():
            if called.name == reference.name and (reference.namespace or called.namespace) == called.namespace:
                return replace(reference, name=wire)
        return reference


def _told_part(part: InputPart | EncryptedText) -> InputPart:
    """A part of what an agent was told; who else than OpenAI's models told it did so in plain words."""
    if not isinstance(part, EncryptedText):
        return part
    is_sealed = part.encrypted_content.startswith(_FERNET)
    return InputText("[a message that only OpenAI's models can read]" if is_sealed else part.encrypted_content)


def _told_custom(tool: CustomTool) -> str:
    """A custom tool in words: clients that know what it is say that no JSON is to be written."""
    told = _joined(tool.description, "Here it is called as a function: put its raw text, unchanged, in `input`.")
    if not isinstance(tool.format, Grammar):
        return told
    kind = "regular expression" if tool.format.syntax == "regex" else "Lark grammar"
    return f"{told}\n\nThe text must match this {kind}:\n{tool.format.definition}"


def _joined(text: str | UnsetType | None, more: str) -> str:
    return f"{text}\n\n{more}" if text else more
