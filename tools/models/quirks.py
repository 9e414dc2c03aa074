"""What is special about a model whoever serves it, and about some models at some providers, as tables of quirks.

A provider's own deviations stand in `providers.toml`; here is what differs from model to model. `merge.py` writes the
outcome into each endpoint. The lists say some of it themselves (`Fact.can`); the patterns say the rest.

Each rule says where it is from and of which day that is. What was not looked up says that it is unverified: probe
before relying on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from trunkline.catalog.entries import Dialect
from trunkline.settings.forms import Json

REASONERS: Final = re.compile(r"openai/(o\d|gpt-[5-9](?!.*-chat)|codex)")
"""OpenAI's models that think: they refuse sampling parameters."""

_CLAUDE = r"anthropic/claude-"
_THINKS = rf"{_CLAUDE}(3\.7|opus-4|sonnet-4|haiku-4|[a-z]+-[5-9]|[a-z]+-\d\d)"
_ADAPTS = rf"{_CLAUDE}((opus|sonnet|haiku)-4\.[6-9]|[a-z]+-[5-9]|[a-z]+-\d\d)"
_KEEPS_HOURS = rf"{_CLAUDE}((opus|sonnet|haiku)-4\.[5-9]|[a-z]+-[5-9]|[a-z]+-\d\d)"
_SAMPLES_ITSELF = rf"{_CLAUDE}(opus-4\.[7-9]|[a-z]+-[5-9]|[a-z]+-\d\d)"
_ONE_OF_BOTH = rf"{_CLAUDE}(opus-4\.[1-9]|(sonnet|haiku)-4\.[5-9]|[a-z]+-[5-9]|[a-z]+-\d\d)"
_THREE = ("low", "medium", "high")
_GEMINI_3 = r"google/gemini-(\d\d|[3-9])|google/gemini-(flash|pro|flash-lite)-latest"


class Rule(Struct, frozen=True, kw_only=True):
    """Quirks for the models whose slug begins with `model`, narrowed to providers and dialects where these are named.

    `can` must agree with what the lists say of the model.
    """

    source: str = ""
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


def _from(source: str, *rules: Rule) -> tuple[Rule, ...]:
    return tuple(replace(rule, source=source) for rule in rules)


def _grok(name: str, *efforts: str) -> Rule:
    model = rf"x-ai/grok-{name}"
    return _rule(model, "chat", "responses", at=("xai",), reasoning_request="effort", reasoning_efforts=efforts)


RULES: Final = (
    *_from(
        # Claude, wherever it is served in its own words or in Amazon's.
        "https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking, 2026-11-22",
        _rule(_CLAUDE, "messages", "converse", thinking_style="none"),
        _rule(_THINKS, "messages", "converse", thinking_style="budget"),
        _rule(_ADAPTS, "messages", "converse", thinking_style="adaptive"),
    ),
    *_from(
        # Older ones answer a mark with a 400, 3.5 Sonnet to most.
        "https://github.com/pensarai/apex/pull/943 and "
        "https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html, seen 2026-11-27",
        _rule(rf"{_CLAUDE}(?!v\d|instant|2|3(-|\.5-sonnet))", "converse", has_cache_points=True),
    ),
    *_from(
        "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolResultBlock.html, 2026-11-28",
        _rule(r"(?!anthropic/|amazon/nova)", "converse", has_result_status=False),
    ),
    *_from(
        "https://github.com/earendil-works/pi/pull/1570, seen 2026-11-28",
        _rule(_KEEPS_HOURS, "converse", has_cache_hours=True),
    ),
    *_from(
        "https://github.com/danny-avila/LibreChat/issues/13838 and "
        "https://github.com/aws-samples/bedrock-engineer/pull/71, seen 2026-11-27",
        _rule(r"amazon/nova", "converse", has_cache_points=True, has_tool_cache_points=False),
    ),
    *_from(
        "litellm's flags, 2026-11-22",
        _rule(_CLAUDE, "messages", "converse", can={"adaptive_thinking": True}, thinking_style="adaptive"),
        _rule(_CLAUDE, "messages", "converse", can={"unstoppable_thinking": True}, can_stop_thinking=False),
        _rule(_CLAUDE, "messages", "converse", can={"forced_tools": False}, tool_choices=("auto", "none")),
    ),
    *_from(
        "unverified",
        _rule(_ONE_OF_BOTH, "messages", "converse", temperature_excludes_top_p=True),
        _rule(_SAMPLES_ITSELF, "messages", "converse", drops=("temperature", "top_p", "top_k")),
        # The other models on Bedrock.
        _rule(r"(?!anthropic/)", "converse", thinking_style="none", reasoning_format="", has_top_k=False),
        _rule(r"openai/gpt-oss", "converse", thinking_style="effort", reasoning_efforts=("low", "medium", "high")),
        _rule(r"amazon/nova", "converse", has_top_k=True),
        _rule(r"amazon/nova-2", "converse", thinking_style="nova", reasoning_efforts=("low", "medium", "high")),
        _rule(r"google/", "gemini", thinking_style="none"),
    ),
    *_from(
        "https://ai.google.dev/gemini-api/docs/thinking, 2026-11-22",
        _rule(r"google/gemini-2\.5(?!.*image)", "gemini", thinking_style="budget"),
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
    ),
    *_from(
        # `minimal` is a 400 at Flash 3.6 and later, not at Flash-Lite.
        "Google's table of levels, as told in https://github.com/maximhq/bifrost/pull/6280, and "
        "https://github.com/fishjar/kiss-translator/pull/1051, seen 2026-11-27",
        _rule(_GEMINI_3, "gemini", reasoning_efforts=_THREE),
        _rule(
            r"google/gemini-3-pro", "gemini", reasoning_efforts=("low", "high"), reasoning_effort_map={"medium": "high"}
        ),
        _rule(
            r"google/gemini-(3(\.5)?-flash|[3-9](\.\d)?-flash-lite)", "gemini", reasoning_efforts=("minimal", *_THREE)
        ),
        _rule(r"google/gemini-3\.1-flash(-lite)?-image", "gemini", reasoning_efforts=("minimal", "high")),
    ),
    *_from(
        # Levels, of which LOW and MEDIUM are a 400.
        "https://github.com/earendil-works/pi/issues/2812, seen 2026-11-27",
        _rule(
            r"google/gemma-4",
            "gemini",
            at=("google-ai-studio",),
            thinking_style="level",
            reasoning_efforts=("minimal", "high"),
            reasoning_effort_map={"medium": "high"},
        ),
    ),
    *_from(
        # OpenAI and the hosts of its models, and some models at their makers.
        "unverified",
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
        _rule(r"x-ai/grok-(4|code)", "chat", "responses", at=("xai",), drops=("frequency_penalty", "presence_penalty")),
    ),
    *_from(
        # They think always, which cannot be refused and takes no JSON form.
        "https://www.alibabacloud.com/help/model-studio/error-code and "
        "https://github.com/presenton/presenton/issues/184, seen 2026-11-27",
        _rule(
            r"qwen/(qwq|qvq|.*-thinking)", "chat", at=("alibaba",), can_stop_thinking=False, structured_output="none"
        ),
    ),
    *_from(
        # Most Grok models answer an effort with a 400, also those that think; a new one gets none until it is known.
        "https://github.com/NousResearch/hermes-agent/pull/23435 (asked live), "
        "https://github.com/theopenco/llmgateway/pull/3046 and https://github.com/mnfst/modelparams.dev/pull/330 "
        "(xAI's documents), seen 2026-11-27",
        _rule(r"x-ai/", "chat", "responses", at=("xai",), reasoning_request="none"),
        _grok(r"3-mini", "low", "high"),
        _grok(r"4\.20-multi-agent", *_THREE, "xhigh"),
        _grok(r"4\.3", "none", *_THREE),
        _grok(r"4\.5", *_THREE),
        _grok(r"4\.6", *_THREE, "xhigh"),
    ),
    *_from(
        # What Z.AI means by the efforts in between. GLM-5.3 cannot be kept from thinking.
        "https://github.com/can1357/oh-my-pi/issues/2833, https://github.com/adolfousier/opencrabs/issues/1349 "
        "(https://docs.z.ai/guides/capabilities/thinking) and https://github.com/charmbracelet/catwalk/pull/603, seen "
        "2026-11-27",
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
    ),
    *_from(
        # Its map says `high` of `xhigh` too, which is the nearest lower one; an older one said `max`.
        "https://api-docs.deepseek.com/guides/thinking_mode, seen 2026-11-27",
        _rule(r"deepseek/", "chat", at=("deepseek",), reasoning_effort_map={"medium": "high"}),
    ),
    *_from(
        "https://console.groq.com/docs/structured-outputs, seen 2026-11-27",
        _rule(
            r"(?!openai/gpt-oss|moonshotai/kimi-k2|meta-llama/llama-4)",
            "chat",
            at=("groq",),
            structured_output="json_object",
        ),
    ),
    *_from(
        "https://docs.rs/synaps-engine/0.11.0/src/agent_engine/runtime/openai/catalog/kimi.rs.html, seen 2026-11-27, "
        "which names Moonshot's documents and asked live",
        _rule(r"moonshotai/kimi-k[3-9]", "chat", at=("moonshotai",), reasoning_efforts=("low", "high", "max")),
    ),
    *_from(
        "https://java.agentscope.io/v2/en/integration/model/kimi, seen 2026-11-27",
        _rule(r"moonshotai/kimi-k(2\.[5-9]|[3-9])", "chat", at=("moonshotai",), drops=("temperature", "top_p")),
    ),
    *_from(
        # What it thinks while it searches is told, and priced, beside the answer.
        "https://docs.perplexity.ai/getting-started/pricing, https://openrouter.ai/perplexity/sonar-deep-research, "
        "seen 2026-11-27",
        _rule(r"perplexity/sonar-deep-research", "chat", at=("perplexity",), adds_reasoning_tokens=True),
    ),
    *_from(
        "unverified",
        _rule(r"qwen/qwen3", "chat", at=("groq",), reasoning_efforts=("none", "default")),
        _rule(r"perplexity/sonar", "chat", at=("perplexity",), drops=("tools",)),
        _rule(r"mistralai/magistral", "chat", "mistral", reasoning_request="prompt_mode"),
    ),
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
