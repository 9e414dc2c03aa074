"""Bytes → `Request`, or an error that names the offending path.

The readers of the larger members are beside: `parse_items.py`, `parse_tools.py`, `parse_preferences.py`,
`parse_prompts.py`. Whether a model exists, or can do what is asked, is not judged here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from msgspec.structs import replace

from trunkline.errors import BadRequest
from trunkline.protocol.body import MAX_INPUT_ITEMS, decode_object, decode_prices, too_many_items
from trunkline.protocol.extensions import has_extensions
from trunkline.protocol.extent import extent_of, is_text_alone
from trunkline.protocol.items import InputItem, Json
from trunkline.protocol.parse_items import check_input, read_input
from trunkline.protocol.parse_preferences import read_plugins, read_preferences
from trunkline.protocol.parse_prompts import read_prompt, read_template
from trunkline.protocol.parse_tools import check_tool_choice, read_text_config, read_tool_choice, read_tools
from trunkline.protocol.piecemeal import SMALL_BYTES
from trunkline.protocol.preferences import NO_PREFERENCES, PluginSettings, ProviderPreferences
from trunkline.protocol.prompts import Template
from trunkline.protocol.reading import (
    Reader,
    Wrong,
    array,
    flag,
    mapping,
    mismatch,
    number,
    one_of,
    record,
    shown,
    spelled_path,
    text,
    whole,
)
from trunkline.protocol.request import (
    SEARCH_SOURCES,
    Effort,
    Includable,
    Measured,
    ReasoningConfig,
    Request,
    Sampling,
    ServiceTier,
    offered_tools,
)
from trunkline.protocol.tools import SearchChoice, SearchTool

MAX_MODELS = 32
MAX_COUNT = 1_000_000_000
MAX_SEED = 2**63 - 1
MAX_STOPS = 4
MAX_STOP_CHARACTERS = 1_000

_MANY_ITEMS = 300
_SESSION_HEADER = "x-session-id"
_NOTHING_STORED = "nothing is stored between requests"


def parse(body: bytes | bytearray, session_header: str | None = None) -> Request:
    """Read the body of `POST /responses`; `session_header` counts when the body has no `session_id`.

    Raises BadRequest.
    """
    raw, has_long_texts = decode_object(body)
    has_more = not _BESIDE.isdisjoint(raw)
    try:
        if has_more:
            _prepare(raw, body)
        members = _read_members(raw)
        if "input" not in members:
            if "prompt" not in members:
                raise _no_input(raw)
            members["input"] = ()
        if session_header and "session_id" not in members:
            members["session_id"] = _read_headers({_SESSION_HEADER: session_header})[_SESSION_HEADER]
        if ("models" in members or ":" in members.get("model", "")) and _is_thinker_named(members):
            members["reasoning"] = _thinking(members.get("reasoning"))
        if has_more:
            _add_what_is_beside(members, raw)
        if len(body) > SMALL_BYTES or has_long_texts:
            members["size"] = "long_texts" if has_long_texts else "large"
        members["is_text_alone"] = type(raw.get("input")) is str or is_text_alone(members["input"])
        return _looked_through(Request(**members))
    except Wrong as wrong:
        raise _bad_request(wrong) from None


def with_input(request: Request, input: tuple[InputItem, ...], instructions: str | None, *, body_bytes: int) -> Request:
    """The request with another input, as if that had come in a body of so many bytes.

    Raises BadRequest.
    """
    if len(input) > MAX_INPUT_ITEMS:
        raise too_many_items(len(input))
    try:
        check_input(input)
        return _looked_through(
            replace(
                request,
                input=input,
                instructions=instructions,
                is_text_alone=is_text_alone(input),
                measured=None,
                # Long texts are looked for wherever there may be some.
                size="long_texts" if body_bytes > SMALL_BYTES else request.size,
            )
        )
    except Wrong as wrong:
        wrong.steps.append("input")
        raise _bad_request(wrong) from None


def parse_template(body: bytes) -> Template:
    """Read a template as an operator wrote it.

    Raises BadRequest.
    """
    raw, _ = decode_object(body)
    try:
        return read_template(raw)
    except Wrong as wrong:
        raise _bad_request(wrong) from None


def parse_defaults(body: bytes) -> tuple[ProviderPreferences, tuple[PluginSettings, ...]]:
    """Read the `provider` and the `plugins` of a body that has no more, as those of a request are read.

    Raises BadRequest.
    """
    raw, _ = decode_object(body)
    try:
        _prepare(raw, body)
        members = _read_members(raw)
    except Wrong as wrong:
        raise _bad_request(wrong) from None
    return members.get("provider", NO_PREFERENCES), members.get("plugins", ())


def _prepare(raw: dict[str, Json], body: bytes | bytearray) -> None:
    if not _FIXED.keys().isdisjoint(raw):
        _read_fixed(raw)
    provider = raw.get("provider")
    if isinstance(provider, dict) and provider.get("max_price") is not None:
        provider["max_price"] = decode_prices(body)


def _is_thinker_named(members: Mapping[str, Json]) -> bool:
    """Whether a model is named with `:thinking`: thinking is then on unless the request says otherwise."""
    names = (members.get("model") or "", *members.get("models", ()))
    return any("thinking" in name.lower().split(":")[1:] for name in names)


def _thinking(config: ReasoningConfig | None) -> ReasoningConfig:
    config = config or ReasoningConfig()
    is_said = config.effort is not None or config.max_tokens is not None or config.enabled is not None
    return config if is_said else replace(config, enabled=True)


def _add_what_is_beside(members: dict[str, Json], raw: Mapping[str, Json]) -> None:
    if "metadata" in raw and raw["metadata"] is None:
        members["metadata"] = None
    if not _SAMPLING.keys().isdisjoint(raw):
        members["sampling"] = _read_sampling(raw)
    members["ignored"] = tuple(_ignored(raw))


def _ignored(raw: Mapping[str, Json]) -> Iterator[str]:
    """Name what was said and does nothing here."""
    yield from sorted(name for name in _IGNORED if raw.get(name) is not None)
    if (raw.get("reasoning") or {}).get("mode") not in (None, "standard"):
        yield "reasoning.mode"
    for name in dict.fromkeys(raw.get("include") or ()):
        if name in _NOT_INCLUDED and not (name == _LOGPROBS and raw.get("top_logprobs")):
            yield f"include.{name}"


def _bad_request(wrong: Wrong) -> BadRequest:
    path = spelled_path(reversed(wrong.steps))
    kind = wrong.kind or ("invalid_prompt" if wrong.steps[-1] == "input" else None)
    return BadRequest(f"{path} {wrong.complaint}.", param=path, kind=kind)


def _no_input(raw: dict[str, Json]) -> Wrong:
    if "messages" in raw:
        return Wrong("is required; messages belongs to the Chat Completions API, send its list as input", "input")
    return Wrong("is required: a string or an array of items", "input")


def _looked_through(request: Request) -> Request:
    """Check what hangs on several members, and note once what would be looked for again and again."""
    if request.tools or request.tool_choice is not None or not request.is_text_alone:
        request = _with_calls_checked(request)
    if len(request.input) > _MANY_ITEMS:
        measured = Measured(request.input, request.instructions, extent_of(request))
        request = replace(request, measured=measured)
    return request


def _with_calls_checked(request: Request) -> Request:
    """Check the choice among the tools, and say whether all of them and all items are what every dialect knows."""
    if has_extensions(request):
        request = replace(request, has_extensions=True)
    if request.tool_choice is not None:
        _check_choice(request)
    return request


def _check_choice(request: Request) -> None:
    tools = offered_tools(request)
    try:
        check_tool_choice(request.tool_choice, tools)
    except Wrong as wrong:
        wrong.steps.append("tool_choice")
        raise
    is_demanded = request.tool_choice == "required" or isinstance(request.tool_choice, SearchChoice)
    if request.max_tool_calls == 0 and is_demanded and all(isinstance(tool, SearchTool) for tool in tools):
        raise Wrong("is 0, but tool_choice asks for a web search", "max_tool_calls")


# Readers of single members


def _include(value: Json) -> tuple[str, ...]:
    return tuple(name for name in _include_names(value) if name not in _NOT_INCLUDED)


def _false(reason: str) -> Reader[None]:
    def read(value: Json) -> None:
        if value is not False:
            raise Wrong(f"must be false, not {shown(value)}: {reason}")

    return read


def _null(reason: str) -> Reader[None]:
    def read(value: Json) -> None:
        raise Wrong(f"must be null, not {shown(value)}: {reason}")

    return read


def _metadata(value: Json) -> dict[str, str]:
    pairs = _pairs(value)
    if len(pairs) > 16:
        raise Wrong(f"must have at most 16 pairs, not {len(pairs)}")
    for key in pairs:
        if len(key) > 64 or "[" in key or "]" in key:
            raise Wrong(f"must have keys of at most 64 characters without [ and ], not {shown(key)}")
    return pairs


def _models(value: Json) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_model_list(value)))


def _image_setting(value: Json) -> str | float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise mismatch(value, "a string or a number")
    return value


def _stop(value: Json) -> tuple[str, ...]:
    """Read the texts that end an answer; an empty one, as some clients send for none, ends nothing."""
    stops = (_stop_text(value),) if isinstance(value, str) else _stop_list(value)
    return tuple(dict.fromkeys(text for text in stops if text))


def _service_tier(value: Json) -> ServiceTier | None:
    return _TIERS[_tier_name(value)]


def _sampling(**members: Json) -> Sampling | None:
    # A bias of nothing says nothing.
    said = {name: value for name, value in members.items() if value != {}}
    return Sampling(**said) if said else None


def _config(
    *,
    summary: Literal["auto", "concise", "detailed", "none"] | None = None,
    generate_summary: Literal["auto", "concise", "detailed", "none"] | None = None,
    context: Literal["auto", "current_turn", "all_turns"] | None = None,
    **members: Json,
) -> ReasoningConfig:
    """Make the configuration; `generate_summary` is the older name of `summary`."""
    wanted = summary or generate_summary
    return ReasoningConfig(
        summary=None if wanted == "none" else wanted, context=None if context == "auto" else context, **members
    )


def _reasoning(value: Json) -> ReasoningConfig:
    config = _reasoning_config(value)
    if config.effort is not None and config.max_tokens is not None:
        raise Wrong("must have only one of effort and max_tokens")
    return config


_any_text = text()
_some_text = text(at_least=1)
_short_text = text(at_most=128)
_tokens = whole(1, MAX_COUNT)
_pairs = mapping(text(at_most=512))
_model_list = array(_some_text, at_most=MAX_MODELS)
_stop_text = text(at_most=MAX_STOP_CHARACTERS)
_stop_list = array(_stop_text, at_most=MAX_STOPS)
_summary = one_of(("auto", "concise", "detailed", "none"))
_reasoning_config = record(
    _config,
    {
        "effort": one_of(get_args(Effort)),
        "summary": _summary,
        "generate_summary": _summary,
        "context": one_of(("auto", "current_turn", "all_turns")),
        "max_tokens": _tokens,
        "enabled": flag,
    },
)

_SAMPLING: Mapping[str, Reader[object]] = {
    "seed": whole(-MAX_SEED - 1, MAX_SEED),
    "min_p": number(0, 1),
    "top_a": number(0, 1),
    "repetition_penalty": number(0, 2),
    "logit_bias": mapping(number(-100, 100)),
}
_read_sampling: Reader[Sampling | None] = record(_sampling, _SAMPLING)

_TIERS: Mapping[str, ServiceTier | None] = {
    "auto": None,
    "default": None,
    # Two names of one tier: https://developers.openai.com/api/docs/guides/fast-mode (seen 2026-11-27).
    "fast": "priority",
    **{tier: tier for tier in get_args(ServiceTier)},
}
_tier_name = one_of(_TIERS)

_LOGPROBS = "message.output_text.logprobs"
_NOT_INCLUDED = (_LOGPROBS, "web_search_call.results")
"""What OpenAI's clients ask for besides: the first is said by `top_logprobs` alone, which has a place in every dialect;
for the text of what was found a response has no place."""
_include_names = array(one_of((*get_args(Includable), SEARCH_SOURCES, *_NOT_INCLUDED)))

_IGNORED = frozenset(
    {
        "access_programs",
        "background_options",
        "context_management",
        "image",
        "max_completion_tokens",
        "max_tokens",
        "moderation",
        "n",
        "prompt_cache_options",
        "prompt_cache_retention",
        "response_format",
        "transforms",
        "verbosity",
    }
)
"""Members of other APIs, and of a later version of this one, that do something there; whoever sends one must hear that
it did nothing."""

_read_headers: Reader[dict[str, str]] = record(dict, {_SESSION_HEADER: _short_text})

_FIXED: Mapping[str, Reader[object]] = {
    "store": _false(f"{_NOTHING_STORED}; send false or leave it out"),
    "background": _false(f"{_NOTHING_STORED}; use stream instead"),
    "previous_response_id": _null(f"{_NOTHING_STORED}; send the whole conversation as input"),
    "conversation": _null(f"{_NOTHING_STORED}; send the whole conversation as input"),
}
"""Members that the contract knows and that leave no choice."""

_MEMBERS: Mapping[str, Reader[object]] = {
    "input": read_input,
    "model": _some_text,
    "models": _models,
    "instructions": _any_text,
    "metadata": _metadata,
    "tools": read_tools,
    "tool_choice": read_tool_choice,
    "parallel_tool_calls": flag,
    "text": read_text_config,
    "reasoning": _reasoning,
    "max_output_tokens": _tokens,
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "top_logprobs": whole(0, 20),
    "max_tool_calls": whole(0, MAX_COUNT),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "top_k": whole(0, MAX_COUNT),
    "stop": _stop,
    "service_tier": _service_tier,
    "image_config": mapping(_image_setting),
    "modalities": array(one_of(("text", "image"))),
    "prompt_cache_key": _any_text,
    "include": _include,
    "prompt": read_prompt,
    "safety_identifier": _any_text,
    "truncation": one_of(("auto", "disabled")),
    "stream": flag,
    "provider": read_preferences,
    "plugins": read_plugins,
    "route": one_of(("fallback", "sort")),
    "user": _short_text,
    "session_id": _short_text,
}

_BESIDE = _FIXED.keys() | _SAMPLING.keys() | _IGNORED | {"include", "metadata", "provider", "reasoning"}
"""Members of which something else becomes than one of the request, wholly or sometimes; most requests have none."""

_read_fixed: Reader[dict[str, Json]] = record(dict, _FIXED)
_read_members: Reader[dict[str, Json]] = record(dict, _MEMBERS)
