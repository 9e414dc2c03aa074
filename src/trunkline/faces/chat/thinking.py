"""How much to think, which clients of Chat Completions say in as many ways as there are hosts.

These are `reasoning` of OpenRouter, `reasoning_effort` of OpenAI, `thinking` of Anthropic, DeepSeek and Z.ai,
`enable_thinking` and `thinking_budget` of Qwen, and the same switch in `chat_template_kwargs` of vLLM and SGLang. The
first of them that says how much holds, but for thinking that one of the others turns off, which goes before an effort:
clients that always send one turn it off so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from msgspec.structs import replace

from trunkline.protocol.items import Json
from trunkline.protocol.members import MAX_COUNT, read_reasoning
from trunkline.protocol.reading import Reader, flag, one_of, record, tagged, whole
from trunkline.protocol.request import Effort, ReasoningConfig

TEMPLATE: Final = "chat_template_kwargs"

_OFF = ReasoningConfig(effort="none")
_ON = ReasoningConfig(enabled=True)


def _budgeted(*, budget_tokens: int = 0) -> ReasoningConfig:
    return ReasoningConfig(max_tokens=budget_tokens) if budget_tokens else _ON


def _on() -> ReasoningConfig:
    return _ON


def _by_itself() -> None:
    return None


def _off() -> ReasoningConfig:
    return _OFF


def _switched(value: Json) -> ReasoningConfig:
    return _ON if flag(value) else _OFF


def _effort(value: Json) -> ReasoningConfig | None:
    # Groq's word for what a model does by itself.
    effort = _effort_name(value)
    return None if effort == "default" else ReasoningConfig(effort=effort)  # type: ignore[arg-type]  # one of Effort


def _limited(value: Json) -> ReasoningConfig | None:
    tokens = _budget(value)
    if tokens < 0:
        return None  # as much as the model likes, in the words of Gemini
    return ReasoningConfig(max_tokens=tokens) if tokens else _OFF


def _template(value: Json) -> ReasoningConfig | None:
    """Read what is set in the template of a prompt, where models have two names for the switch; the rest is unread."""
    said = [value.get(name) for name in _TEMPLATE_SWITCHES] if isinstance(value, dict) else []
    wanted = next((each for each in said if isinstance(each, bool)), None)
    return None if wanted is None else _switched(wanted)


def is_switch_alone(template: Json) -> bool:
    """Whether the settings of a template are all read."""
    if not isinstance(template, dict):
        return False
    return all(name in _TEMPLATE_SWITCHES and isinstance(value, bool) for name, value in template.items())


_TEMPLATE_SWITCHES = ("enable_thinking", "thinking")
_budget = whole(-1, MAX_COUNT)
_effort_name = one_of((*get_args(Effort), "default"))
_thinking: Reader[ReasoningConfig | None] = tagged(
    {
        "enabled": record(_budgeted, {"budget_tokens": whole(0, MAX_COUNT)}),
        "adaptive": record(_on, {}),
        "disabled": record(_off, {}),
        # Some of Doubao's models see for themselves (https://github.com/anomalyco/models.dev/pull/5518, 2026-11-28).
        "auto": record(_by_itself, {}),
    }
)

READERS: Mapping[str, Reader[ReasoningConfig | None]] = {
    "reasoning": read_reasoning,
    "reasoning_effort": _effort,
    "thinking": _thinking,
    "enable_thinking": _switched,
    "thinking_budget": _limited,
    TEMPLATE: _template,
}
"""The readers of these members, by name."""


def thinking_of(members: dict[str, Json]) -> ReasoningConfig | None:
    """Take these members away, as they are read, and say what they come to; None where they say nothing."""
    said: ReasoningConfig | None = members.pop("reasoning", None)
    effort, *others = (members.pop(name, None) for name in READERS if name != "reasoning")
    if said is not None and (said.effort, said.max_tokens, said.enabled) != (None, None, None):
        return said
    amount = next((each for each in others if each not in (None, _ON)), None)
    off, on = (each if each in others else None for each in (_OFF, _ON))
    wanted = off or effort or amount or on
    if wanted is None or said is None:
        return wanted or said
    return replace(said, effort=wanted.effort, max_tokens=wanted.max_tokens, enabled=wanted.enabled)
