"""Readers of single members that mean the same in the bodies of several APIs.

What is read into items is in `parse_items.py`, tools in `parse_tools.py`, preferences and plugins in
`parse_preferences.py`. Which members an API has is its face's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from msgspec.structs import replace

from trunkline.protocol.items import Json
from trunkline.protocol.parse_preferences import read_plugins, read_preferences
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
    text,
    whole,
)
from trunkline.protocol.request import Effort, ReasoningConfig, Sampling, ServiceTier

MAX_MODELS = 32
MAX_COUNT = 1_000_000_000
MAX_SEED = 2**63 - 1
MAX_STOPS = 4
MAX_STOP_CHARACTERS = 1_000

_SESSION_HEADER = "x-session-id"


def is_thinker_named(members: Mapping[str, Json]) -> bool:
    """Whether a model is named with `:thinking`: thinking is then on unless the request says otherwise."""
    names = (members.get("model") or "", *members.get("models", ()))
    return any("thinking" in name.lower().split(":")[1:] for name in names)


def with_thinking(config: ReasoningConfig | None) -> ReasoningConfig:
    """Turn thinking on, where a request says nothing of it."""
    config = config or ReasoningConfig()
    is_said = config.effort is not None or config.max_tokens is not None or config.enabled is not None
    return config if is_said else replace(config, enabled=True)


def read_session_header(value: str) -> str:
    """Read the session that a header field names. Raises Wrong."""
    return _read_headers({_SESSION_HEADER: value})[_SESSION_HEADER]


def read_metadata(value: Json) -> dict[str, str]:
    """Read `metadata`: at most 16 pairs of texts."""
    pairs = _pairs(value)
    if len(pairs) > 16:
        raise Wrong(f"must have at most 16 pairs, not {len(pairs)}")
    for key in pairs:
        if len(key) > 64 or "[" in key or "]" in key:
            raise Wrong(f"must have keys of at most 64 characters without [ and ], not {shown(key)}")
    return pairs


def read_models(value: Json) -> tuple[str, ...]:
    """Read `models`, each named once."""
    return tuple(dict.fromkeys(_model_list(value)))


def _image_setting(value: Json) -> str | float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise mismatch(value, "a string or a number")
    return value


def read_stop(value: Json) -> tuple[str, ...]:
    """Read the texts that end an answer; an empty one, as some clients send for none, ends nothing."""
    stops = (_stop_text(value),) if isinstance(value, str) else _stop_list(value)
    return tuple(dict.fromkeys(text for text in stops if text))


def read_prediction(value: Json) -> str:
    """Read `prediction`, what the client believes that the answer will be: a text, or parts of text."""
    return _prediction(value)


def _predicted(*, content: str, type: str = "content") -> str:
    return content


def _content(value: Json) -> str:
    return value if isinstance(value, str) else "".join(_text_parts(value))


def _text_part(*, text: str) -> str:
    return text


def read_service_tier(value: Json) -> ServiceTier | None:
    """Read a tier; None for those that nobody needs to be asked for."""
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


def read_reasoning(value: Json) -> ReasoningConfig:
    """Read how much to think, as the Responses API has it."""
    config = _reasoning_config(value)
    if config.effort is not None and config.max_tokens is not None:
        raise Wrong("must have only one of effort and max_tokens")
    return config


any_text = text()
some_text = text(at_least=1)
short_text = text(at_most=128)
tokens = whole(1, MAX_COUNT)
_pairs = mapping(text(at_most=512))
_model_list = array(some_text, at_most=MAX_MODELS)
_stop_text = text(at_most=MAX_STOP_CHARACTERS)
_stop_list = array(_stop_text, at_most=MAX_STOPS)
_text_parts = array(record(_text_part, {"text": any_text}, required=("text",)))
_prediction = record(_predicted, {"type": one_of(("content",)), "content": _content}, required=("content",))
_summary = one_of(("auto", "concise", "detailed", "none"))
_reasoning_config = record(
    _config,
    {
        "effort": one_of(get_args(Effort)),
        "summary": _summary,
        "generate_summary": _summary,
        "context": one_of(("auto", "current_turn", "all_turns")),
        "max_tokens": tokens,
        "enabled": flag,
    },
)

SAMPLING: Mapping[str, Reader[object]] = {
    "seed": whole(-MAX_SEED - 1, MAX_SEED),
    "min_p": number(0, 1),
    "top_a": number(0, 1),
    "repetition_penalty": number(0, 2),
    "logit_bias": mapping(number(-100, 100)),
}
read_sampling: Reader[Sampling | None] = record(_sampling, SAMPLING)

_TIERS: Mapping[str, ServiceTier | None] = {
    "auto": None,
    "default": None,
    # Two names of one tier: https://developers.openai.com/api/docs/guides/fast-mode (seen 2026-11-27).
    "fast": "priority",
    **{tier: tier for tier in get_args(ServiceTier)},
}
_tier_name = one_of(_TIERS)

_read_headers: Reader[dict[str, str]] = record(dict, {_SESSION_HEADER: short_text})

SHARED: Mapping[str, Reader[object]] = {
    "model": some_text,
    "models": read_models,
    "metadata": read_metadata,
    "parallel_tool_calls": flag,
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "top_logprobs": whole(0, 20),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "top_k": whole(0, MAX_COUNT),
    "stop": read_stop,
    "prediction": read_prediction,
    "service_tier": read_service_tier,
    "image_config": mapping(_image_setting),
    "modalities": array(one_of(("text", "image"))),
    "prompt_cache_key": any_text,
    "safety_identifier": any_text,
    "stream": flag,
    "provider": read_preferences,
    "plugins": read_plugins,
    "route": one_of(("fallback", "sort")),
    "user": short_text,
    "session_id": short_text,
}
"""Members that have one name and one meaning in the bodies of OpenAI's APIs, as the gateway takes them."""
