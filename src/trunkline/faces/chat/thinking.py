"""How much to think, which clients of Chat Completions say in as many ways as there are hosts.

These are `reasoning` of OpenRouter, `reasoning_effort` of OpenAI, `thinking` of Anthropic, DeepSeek and Z.ai, and
`enable_thinking` of Qwen. The first of them that says something holds, but for thinking that one of the last two turns
off, which goes before an effort: clients that always send one turn it off so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from msgspec.structs import replace

from trunkline.protocol.items import Json
from trunkline.protocol.members import MAX_COUNT, read_reasoning
from trunkline.protocol.reading import Reader, flag, one_of, record, tagged, whole
from trunkline.protocol.request import Effort, ReasoningConfig

_OFF = ReasoningConfig(effort="none")
_ON = ReasoningConfig(enabled=True)


def _budgeted(*, budget_tokens: int = 0) -> ReasoningConfig:
    return ReasoningConfig(max_tokens=budget_tokens) if budget_tokens else _ON


def _on() -> ReasoningConfig:
    return _ON


def _off() -> ReasoningConfig:
    return _OFF


def _switched(value: Json) -> ReasoningConfig:
    return _ON if flag(value) else _OFF


def _effort(value: Json) -> ReasoningConfig | None:
    # Groq's word for what a model does by itself.
    effort = _effort_name(value)
    return None if effort == "default" else ReasoningConfig(effort=effort)  # type: ignore[arg-type]  # one of Effort


_effort_name = one_of((*get_args(Effort), "default"))
_thinking: Reader[ReasoningConfig] = tagged(
    {
        "enabled": record(_budgeted, {"budget_tokens": whole(0, MAX_COUNT)}),
        "adaptive": record(_on, {}),
        "disabled": record(_off, {}),
    }
)

READERS: Mapping[str, Reader[ReasoningConfig | None]] = {
    "reasoning": read_reasoning,
    "reasoning_effort": _effort,
    "thinking": _thinking,
    "enable_thinking": _switched,
}
"""The readers of these members, by name."""


def thinking_of(members: dict[str, Json]) -> ReasoningConfig | None:
    """Take these members away, as they are read, and say what they come to; None where they say nothing."""
    said: ReasoningConfig | None = members.pop("reasoning", None)
    effort, *switches = (members.pop(name, None) for name in ("reasoning_effort", "thinking", "enable_thinking"))
    if said is not None and (said.effort, said.max_tokens, said.enabled) != (None, None, None):
        return said
    off = next((each for each in switches if each == _OFF), None)
    wanted = off or effort or next((each for each in switches if each is not None), None)
    if wanted is None or said is None:
        return wanted or said
    return replace(said, effort=wanted.effort, max_tokens=wanted.max_tokens, enabled=wanted.enabled)
