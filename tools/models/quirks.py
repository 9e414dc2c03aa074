"""What is special about a model whoever serves it, and about some models at some providers, as tables of quirks.

A provider's own deviations stand in `providers.toml`; here is what differs from model to model. `merge.py` writes the
outcome into each endpoint. The lists say some of it themselves (`Fact.can`); the patterns say the rest.

Where it is from: litellm's flags where a rule has `can`; Gemini and Claude follow what `catalog/quirks.py` documents at
`thinking_style`; where a rule has its source above it, that; the rest is general knowledge that was not looked up, so
probe before relying on a rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from trunkline.catalog.entries import Dialect
from trunkline.settings.sections import Json

REASONERS: Final = re.compile(r"openai/(o\d|gpt-[5-9](?!.*-chat)|codex)")
"""OpenAI's models that think: they refuse sampling parameters."""

_CLAUDE = r"anthropic/claude-"
_THINKS = rf"{_CLAUDE}(3\.7|opus-4|sonnet-4|haiku-4|[a-z]+-[5-9]|[a-z]+-\d\d)"
_ADAPTS = rf"{_CLAUDE}((opus|sonnet|haiku)-4\.[6-9]|[a-z]+-[5-9]|[a-z]+-\d\d)"
_SAMPLES_ITSELF = rf"{_CLAUDE}(opus-4\.[7-9]|[a-z]+-[5-9]|[a-z]+-\d\d)"
_ONE_OF_BOTH = rf"{_CLAUDE}(opus-4\.[1-9]|(sonnet|haiku)-4\.[5-9]|[a-z]+-[5-9]|[a-z]+-\d\d)"
_THREE = ("low", "medium", "high")
_GEMINI_3 = r"google/gemini-(\d\d|[3-9])|google/gemini-(flash|pro|flash-lite)-latest"


class Rule(Struct, frozen=True, kw_only=True):
    """Quirks for the models whose slug begins with `model`, narrowed to providers and dialects where these are named.

    `can` must agree with what the lists say of the model.
    """

    model: str
    quirks: Mapping[str, Json]
    providers: frozenset[str] = frozenset()
    dialects: frozenset[Dialect] = frozenset()
    can: Mapping[str, bool] = {}


def _rule(
    model: str,
    *dialects: Dialect,
    at: Iterable[str] = (),
    can: Mapping[str, bool] | None = None,
    **quirks: Json,
) -> Rule:
    return Rule(model=model, quirks=quirks, providers=frozenset(at), dialects=frozenset(dialects), can=can or {})


def _grok(name: str, *efforts: str) -> Rule:
    model = rf"x-ai/grok-{name}"
    return _rule(model, "chat", "responses", at=("xai",), reasoning_request="effort", reasoning_efforts=efforts)


RULES: Final = (
    # Claude, wherever it is served in its own words or in Amazon's.
    _rule(_CLAUDE, "messages", "converse", thinking_style="none"),
    _rule(_CLAUDE, "converse", has_cache_points=True),
    _rule(_THINKS, "messages", "converse", thinking_style="budget"),
    _rule(_ADAPTS, "messages", "converse", thinking_style="adaptive"),
    _rule(_CLAUDE, "messages", "converse", can={"adaptive_thinking": True}, thinking_style="adaptive"),
    _rule(_CLAUDE, "messages", "converse", can={"unstoppable_thinking": True}, can_stop_thinking=False),
    _rule(_ONE_OF_BOTH, "messages", "converse", temperature_excludes_top_p=True),
    _rule(_SAMPLES_ITSELF, "messages", "converse", drops=("temperature", "top_p", "top_k")),
    _rule(_CLAUDE, "messages", "converse", can={"forced_tools": False}, tool_choices=("auto", "none")),
    # The other models on Bedrock.
    _rule(r"(?!anthropic/)", "converse", thinking_style="none", reasoning_format="", has_top_k=False),
    _rule(r"openai/gpt-oss", "converse", thinking_style="effort", reasoning_efforts=("low", "medium", "high")),
    _rule(r"amazon/nova", "converse", has_top_k=True, has_cache_points=True),
    _rule(r"amazon/nova-2", "converse", thinking_style="nova", reasoning_efforts=("low", "medium", "high")),
    # Gemini.
    _rule(r"google/", "gemini", thinking_style="none"),
    _rule(r"google/gemini-2\.5(?!.*image)", "gemini", thinking_style="budget"),
    # The least budgets: https://ai.google.dev/gemini-api/docs/thinking (2026-11-22).
    _rule(r"google/gemini-2\.5-flash(?!-lite|.*image)", "gemini", min_thinking_budget=1),
    _rule(r"google/gemini-2\.5-pro", "gemini", can_stop_thinking=False, min_thinking_budget=128),
    _rule(
        _GEMINI_3,
        "gemini",
        thinking_style="level",
        can_stop_thinking=False,
        reasoning_replay_is_required=True,
        schema_beside_tools=True,
        has_call_ids=True,
    ),
    # Google's table of levels, as told in https://github.com/maximhq/bifrost/pull/6280. `minimal` is a 400 at Flash 3.6
    # and later, not at Flash-Lite: https://github.com/fishjar/kiss-translator/pull/1051 (both seen 2026-11-27).
    _rule(_GEMINI_3, "gemini", reasoning_efforts=_THREE),
    _rule(r"google/gemini-3-pro", "gemini", reasoning_efforts=("low", "high"), reasoning_effort_map={"medium": "high"}),
    _rule(r"google/gemini-(3(\.5)?-flash|[3-9](\.\d)?-flash-lite)", "gemini", reasoning_efforts=("minimal", *_THREE)),
    _rule(r"google/gemini-3\.1-flash(-lite)?-image", "gemini", reasoning_efforts=("minimal", "high")),
    # OpenAI and the hosts of its models.
    _rule(r"openai/(gpt|chatgpt)-image", "images", drops=("response_format",)),
    _rule(r"openai/o1-(mini|preview)", "chat", "responses", system_role="user"),
    _rule(r"openai/gpt-oss", "chat", "responses", reasoning_efforts=("low", "medium", "high")),
    _rule(r"openai/gpt-(3|4)|openai/chatgpt", "chat", "responses", at=("openai", "azure"), has_verbosity=False),
    _rule(
        r"(?!openai/)",
        "chat",
        at=("azure",),
        max_tokens_field="max_tokens",
        has_verbosity=False,
        has_cache_key=False,
        has_safety_identifier=False,
        reasoning_format="",
    ),
    # Some models at their makers.
    _rule(r"qwen/(qwq|qvq|.*omni)", "chat", at=("alibaba",), streams="always"),
    _rule(r"x-ai/grok-(4|code)", "chat", "responses", at=("xai",), drops=("frequency_penalty", "presence_penalty")),
    # Most Grok models answer an effort with a 400, also those that think; a new one gets none until it is known.
    # https://github.com/NousResearch/hermes-agent/pull/23435 (asked live), https://github.com/theopenco/llmgateway/pull/3046
    # and https://github.com/mnfst/modelparams.dev/pull/330 (xAI's documents), seen 2026-11-27.
    _rule(r"x-ai/", "chat", "responses", at=("xai",), reasoning_request="none"),
    _grok(r"3-mini", "low", "high"),
    _grok(r"4\.20-multi-agent", *_THREE, "xhigh"),
    _grok(r"4\.3", "none", *_THREE),
    _grok(r"4\.5", *_THREE),
    _grok(r"4\.6", *_THREE, "xhigh"),
    # What Z.AI and DeepSeek mean by the efforts in between. GLM-5.3 cannot be kept from thinking.
    # https://github.com/can1357/oh-my-pi/issues/2833 and https://github.com/adolfousier/opencrabs/issues/1349
    # (https://docs.z.ai/guides/capabilities/thinking), https://github.com/charmbracelet/catwalk/pull/603; DeepSeek's:
    # https://github.com/openclaw/openclaw/issues/138685. Seen 2026-11-27.
    _rule(
        r"z-ai/glm-(5\.[2-9]|[6-9]|\d\d)",
        "chat",
        at=("z-ai",),
        reasoning_request="thinking_and_effort",
        reasoning_efforts=("low", "high", "max"),
        reasoning_effort_map={"minimal": "low", "medium": "high", "xhigh": "max"},
        can_stop_thinking=False,
    ),
    _rule(
        r"z-ai/glm-5\.2",
        "chat",
        at=("z-ai",),
        reasoning_efforts=("high", "max"),
        reasoning_effort_map={"minimal": "none", "low": "high", "medium": "high", "xhigh": "max"},
        can_stop_thinking=True,
    ),
    _rule(r"deepseek/", "chat", at=("deepseek",), reasoning_effort_map={"medium": "high", "xhigh": "max"}),
    _rule(r"qwen/qwen3", "chat", at=("groq",), reasoning_efforts=("none", "default")),
    _rule(
        r"(?!openai/gpt-oss|moonshotai/kimi-k2|meta-llama/llama-4)",
        "chat",
        at=("groq",),
        structured_output="json_object",
    ),
    _rule(r"perplexity/sonar", "chat", at=("perplexity",), drops=("tools",)),
    _rule(r"moonshotai/kimi-k(2\.[5-9]|[3-9])", "chat", at=("moonshotai",), drops=("temperature", "top_p")),
    _rule(r"moonshotai/kimi-k[3-9]", "chat", at=("moonshotai",), reasoning_efforts=("low", "high", "max")),
    _rule(r"mistralai/magistral", "chat", "mistral", reasoning_request="prompt_mode"),
)
"""All that apply are laid over one another, later ones on top."""

_COMPILED = tuple((re.compile(rule.model), rule) for rule in RULES)


def model_quirks(slug: str, provider: str, dialect: Dialect, can: Mapping[str, bool]) -> dict[str, Json]:
    """Gather the quirks of one endpoint that its provider does not have of itself."""
    gathered: dict[str, Json] = {}
    for pattern, rule in _COMPILED:
        if (
            pattern.match(slug)
            and (not rule.providers or provider in rule.providers)
            and (not rule.dialects or dialect in rule.dialects)
            and all(can.get(name) is wanted for name, wanted in rule.can.items())
        ):
            gathered |= rule.quirks
    return gathered
