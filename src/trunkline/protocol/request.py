"""The request body, as read: lenient forms are already made regular, every bound is checked."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from trunkline.protocol.items import AdditionalTools, InputItem, InputModality, Json, ToolSearchOutput
from trunkline.protocol.opaque import Anthropic, AnthropicTool, ServerTool
from trunkline.protocol.paths import OWN_PATHS, Paths
from trunkline.protocol.preferences import NO_PREFERENCES, PluginSettings, ProviderPreferences
from trunkline.protocol.prompts import Prompt
from trunkline.protocol.tools import (
    AllowedTools,
    FunctionTool,
    SearchChoice,
    SearchTool,
    TextConfig,
    Tool,
    ToolChoice,
    narrowed,
    ways_of,
)

Effort = Literal["ultra", "max", "xhigh", "high", "medium", "low", "minimal", "none"]
"""The first two are OpenAI's and Codex's; the contract ends with `xhigh`."""

ServiceTier = Literal["flex", "priority", "scale", "ultrafast"]
"""A tier that somebody has to be asked for: `auto` and `default` are as good as nothing, `fast` is `priority`."""

Includable = Literal[
    "file_search_call.results",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "reasoning.encrypted_content",
    "code_interpreter_call.outputs",
]

SearchSources = Literal["web_search_call.action.sources"]
"""OpenAI's, which the contract does not have and `@ai-sdk/openai` includes with every search tool."""

SEARCH_SOURCES: Final[SearchSources] = "web_search_call.action.sources"


class ReasoningConfig(Struct, frozen=True):
    """How much to think. At most one of `effort` and `max_tokens` is set.

    `context`: which earlier thoughts the model is shown again, None where that is left to it.
    """

    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    max_tokens: int | None = None
    enabled: bool | None = None
    context: Literal["current_turn", "all_turns"] | None = None


class Sampling(Struct, frozen=True, kw_only=True):
    """What else a client says of choosing words, beyond the contract: at least one of these, under the usual names.

    `logit_bias` is by token, as its number in the model's own vocabulary.
    """

    seed: int | None = None
    min_p: float | None = None
    top_a: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[str, float] | None = None

    def said(self) -> dict[str, Json]:
        """What is said, by name."""
        given = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: value for name, value in given if value is not None}


class Extent(Struct, frozen=True, gc=False):
    """`characters` of text, text files included; `sealed` is the last encrypted thought.

    `modalities` are those that a model must read beside text. What tools gave back is none of them: there a note can
    stand for it. `least_characters` are those that stay where the input may be made shorter.
    """

    characters: int
    modalities: frozenset[InputModality]
    sealed: str | None
    least_characters: int


class Measured(NamedTuple):
    """What was read once of a request with many items; it holds while these are what is said."""

    input: tuple[InputItem, ...]
    instructions: str | None
    extent: Extent


class Request(Struct, frozen=True, kw_only=True):
    """One call of `POST /responses`. None means that the client did not say.

    `logprobs` are those of the tokens that were chosen; `top_logprobs` above 0 asks for them and for others.
    `prediction` is most of what the client believes that the answer will be.
    `limit_is_wish`: nobody is ruled out for a smaller limit than `max_output_tokens`, which is lowered to it.
    `ignored` names what it said in the words of another API, or of a later one, and what has no effect here.
    `has_prefill`: the last message is the assistant's, and the client means that the answer begins with it.
    `has_marks`: something is marked for the cache (see `marking.py`).
    `has_extensions`: a tool, an item, a choice or a name is none that every dialect knows (see `extensions.py`).
    `is_text_alone`: the input is known to be messages of text, in which nobody needs to look for anything else.
    `measured`: of many items, what `extent_of` found, so that nobody counts them on the loop.
    `reads_files`: every file in the input can be read by the gateway for who takes none, so that nobody has to.
    `paths` say where the client wrote each of these, in the words of its API.
    `size`: what is not usual is said to providers piece by piece (see `piecemeal.py`).
    """

    input: tuple[InputItem, ...]
    model: str | None = None
    models: tuple[str, ...] = ()
    instructions: str | None = None
    metadata: dict[str, str] | None = {}
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    max_tool_calls: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_k: int | None = None
    sampling: Sampling | None = None
    stop: tuple[str, ...] = ()
    prediction: str | None = None
    service_tier: ServiceTier | None = None
    image_config: dict[str, str | float] | None = None
    modalities: tuple[Literal["text", "image"], ...] = ()
    prompt_cache_key: str | None = None
    prompt: Prompt | None = None
    include: tuple[Includable | SearchSources, ...] = ()
    safety_identifier: str | None = None
    truncation: Literal["auto", "disabled"] | None = None
    stream: bool = False
    provider: ProviderPreferences = NO_PREFERENCES
    plugins: tuple[PluginSettings, ...] = ()
    route: Literal["fallback", "sort"] | None = None
    user: str | None = None
    session_id: str | None = None
    limit_is_wish: bool = False
    anthropic: Anthropic | None = None
    ignored: tuple[str, ...] = ()
    has_prefill: bool = False
    has_marks: bool = False
    has_extensions: bool = False
    is_text_alone: bool = False
    measured: Measured | None = None
    reads_files: bool = False
    paths: Paths = OWN_PATHS
    size: Literal["usual", "large", "long_texts"] = "usual"


def request_within(request: Request, max_output_tokens: int) -> Request:
    """The same request with another bound on its answer."""
    return replace(request, max_output_tokens=max_output_tokens)


def with_defaults(
    request: Request, preferences: ProviderPreferences | None, plugins: tuple[PluginSettings, ...]
) -> Request:
    """The request with what it does not say itself: preferences, or plugins, each as a whole."""
    if preferences is not None and request.provider == NO_PREFERENCES:
        request = replace(request, provider=preferences)
    if plugins and not request.plugins:
        request = replace(request, plugins=plugins)
    return request


def with_cache_key(request: Request, key: str) -> Request:
    """The request with another `prompt_cache_key`."""
    return replace(request, prompt_cache_key=key)


class Search(Struct, frozen=True):
    """A web search that a request lets the model make.

    `is_demanded`: there is nothing else to call, or the choice names it. `is_beside_others`: other tools may be called
    as well.
    """

    tool: SearchTool
    is_demanded: bool
    is_beside_others: bool

    @property
    def domains(self) -> tuple[str, ...]:
        """The only domains that may be searched; empty means all."""
        return (self.tool.filters and self.tool.filters.allowed_domains) or ()


def offered_tools(request: Request) -> tuple[Tool, ...]:
    """The tools of the request and those that stand in its input, in order."""
    if not request.has_extensions:
        return request.tools
    tools = list(request.tools)
    for item in request.input:
        if isinstance(item, AdditionalTools | ToolSearchOutput):
            tools += item.tools
    return tuple(tools)


def callable_tools(request: Request) -> tuple[Tool, ...]:
    """The offered tools that may be called, where not all of them may."""
    tools, choice = offered_tools(request), request.tool_choice
    if not isinstance(choice, AllowedTools):
        return tools
    allowed = {way for reference in choice.tools for way in ways_of(reference)}
    return tuple(left for tool in tools if (left := narrowed(tool, allowed)) is not None)


def has_functions(request: Request) -> bool:
    """Whether the model may call what the client runs."""
    if not request.has_extensions:
        return any(type(tool) is FunctionTool for tool in request.tools)
    return any(
        tool.is_clients if isinstance(tool, AnthropicTool) else not isinstance(tool, SearchTool | ServerTool)
        for tool in callable_tools(request)
    )


def search_of(request: Request) -> Search | None:
    """The search that may be made, of several the one with the stricter filter; None where there is none to make."""
    tools = callable_tools(request)
    if not tools:
        return None
    searches = [tool for tool in tools if isinstance(tool, SearchTool)]
    if not searches or request.tool_choice == "none" or request.max_tool_calls == 0:
        return None
    is_named = isinstance(request.tool_choice, SearchChoice)
    is_alone = len(searches) == len(tools)
    tool = next((each for each in searches if each.filters and each.filters.allowed_domains), searches[0])
    return Search(tool, is_alone or is_named, not is_alone and not is_named)
