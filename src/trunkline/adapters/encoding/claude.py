"""How Claude is asked to think, wherever it is served.

It does not write the request: Messages has the `thinking` object at its top, Converse among the additional fields.

Sources: https://platform.claude.com/docs/en/build-with-claude/extended-thinking and …/adaptive-thinking, seen
2026-11-22.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from trunkline.adapters.encoding.narrowing import room_beside
from trunkline.adapters.encoding.rounds import Round, UserRound
from trunkline.adapters.encoding.turns import AssistantTurn
from trunkline.adapters.thinking import (
    MOST_SHARE,
    budget,
    effort,
    fitted_effort,
    leaves_effort,
    lost_budget,
    replayable,
)
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import Json, ReasoningItem
from trunkline.protocol.request import Effort, Request

DEFAULT_MAX_TOKENS = 4096
"""Asked for where neither the client nor the catalog names a limit and one must be sent."""

MIN_BUDGET = 1024
MAX_BUDGET = 128_000

_DEFAULT_EFFORTS = ("low", "medium", "high", "max")


class Thinking(Struct, frozen=True):
    """What is said of thinking.

    `config` is the `thinking` object, `effort` goes beside it. `max_tokens` is the limit of the whole answer, raised
    where the client set none and the budget needs room.
    """

    max_tokens: int
    config: dict[str, Json] | None = None
    effort: str | None = None
    is_on: bool = False
    dropped: tuple[str, ...] = ()


class Thought(Struct, frozen=True):
    """An earlier thought in the form it may go back in: text and signature, or what the provider hid of it."""

    text: str = ""
    signature: str = ""
    redacted: str = ""


def plan_thinking(request: Request, endpoint: Endpoint, spoken: Sequence[Round]) -> Thinking:
    """Plan the thinking; `spoken` are the rounds that will be sent."""
    limit = request.max_output_tokens or _fitting_limit(request, endpoint)
    max_tokens = limit or DEFAULT_MAX_TOKENS
    if request.reasoning is None:
        return Thinking(max_tokens)
    level = wanted_effort(request, endpoint)
    if level is None:
        return Thinking(max_tokens, dropped=_lost(request, endpoint))
    if level == "none" and endpoint.quirks.can_stop_thinking:
        return Thinking(max_tokens, {"type": "disabled"})
    if endpoint.quirks.thinking_style == "adaptive":
        is_left = level != "none" and leaves_effort(request.reasoning)
        sent = None if is_left else least_effort(level, endpoint, _DEFAULT_EFFORTS)
        lost = () if is_left or sent == level else ("reasoning.effort",)
        dropped = (*lost, *lost_budget(request.reasoning))
        config: dict[str, Json] = {"type": "adaptive", "display": "summarized"}
        return Thinking(max_tokens, config, sent, is_on=True, dropped=dropped)
    most = min(int(MOST_SHARE * limit), MAX_BUDGET) if limit else MAX_BUDGET
    if most < MIN_BUDGET or not _may_go_on(spoken, endpoint):
        off: dict[str, Json] | None = {"type": "disabled"} if endpoint.quirks.can_stop_thinking else None
        return Thinking(max_tokens, off, dropped=("reasoning",))
    tokens = budget(request.reasoning, limit, least=MIN_BUDGET, most=most) or MIN_BUDGET
    return Thinking(
        max_tokens if limit else tokens + DEFAULT_MAX_TOKENS,
        {"type": "enabled", "budget_tokens": tokens},
        is_on=True,
        dropped=_changed(request, level, tokens),
    )


def _changed(request: Request, level: Effort, tokens: int) -> tuple[str, ...]:
    """Name what became another thing: thinking that cannot be off, and a budget that had to be clamped."""
    return ("reasoning.effort",) if level == "none" else lost_budget(request.reasoning, tokens)


def _fitting_limit(request: Request, endpoint: Endpoint) -> int | None:
    """The limit to send where the client names none: the endpoint's, as far as the input leaves room for it."""
    most, context = endpoint.max_output_tokens, endpoint.context_tokens
    return most if most is None or context is None else min(most, room_beside(request, context, most))


def wanted_effort(request: Request, endpoint: Endpoint) -> Effort | None:
    """The effort asked for, or None when none is or the endpoint cannot think."""
    if request.reasoning is None:
        return None
    supports = endpoint.supports
    if endpoint.quirks.thinking_style == "none" or (supports is not None and "reasoning" not in supports):
        return None
    return effort(request.reasoning, request.max_output_tokens or endpoint.max_output_tokens)


def least_effort(level: Effort, endpoint: Endpoint, otherwise: Sequence[str]) -> str | None:
    """The nearest effort the endpoint takes; the weakest one where thinking cannot be turned off."""
    return fitted_effort(level, endpoint, otherwise) or fitted_effort("minimal", endpoint, otherwise)


def replayed(item: ReasoningItem, endpoint: Endpoint) -> Thought | None:
    """An earlier thought, byte for byte as it came; None for one that is not this issuer's."""
    proof, quirks = replayable(item, endpoint), endpoint.quirks
    if proof is None:
        return None
    if proof.signature:
        return Thought(proof.text, proof.signature)
    if proof.blob:
        return Thought(redacted=proof.blob)
    if not quirks.reasoning_format and quirks.reasoning_replay != "never":
        return Thought(proof.text)
    return None


def _lost(request: Request, endpoint: Endpoint) -> tuple[str, ...]:
    level = effort(request.reasoning, endpoint.max_output_tokens)
    return () if level in (None, "none") else ("reasoning",)


def _may_go_on(spoken: Sequence[Round], endpoint: Endpoint) -> bool:
    """Whether the turn that goes on begins with a thought; thinking is a 400 where it does not.

    That is one that waits for its tool results, or that the client began. It has none when another model began the
    turn, whose thought could not be brought along.
    """
    last = spoken[-1] if spoken else None
    if last is None or (isinstance(last, UserRound) and not last.results):
        return True
    callers = [turn for turn in spoken if isinstance(turn, AssistantTurn)]
    first = callers[-1].pieces[0] if callers else None
    return isinstance(first, ReasoningItem) and replayed(first, endpoint) is not None
