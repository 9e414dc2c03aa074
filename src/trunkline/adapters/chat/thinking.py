"""How much to think, in Chat Completions: each provider's own field for it is a quirk."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trunkline.adapters.encoding.draft import Draft
from trunkline.adapters.thinking import budget, effort, efforts_of, fitted_effort, leaves_effort, lost_budget
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import Json
from trunkline.protocol.request import Effort, Request


def effort_of(request: Request, endpoint: Endpoint) -> Effort | None:
    """The effort asked for, as `thinking.effort` has it."""
    return effort(request.reasoning, request.max_output_tokens or endpoint.max_output_tokens)


def encode_reasoning(draft: Draft) -> None:
    """Write what is asked of thought."""
    reasoning = draft.request.reasoning
    if reasoning is None:
        return
    level = effort_of(draft.request, draft.endpoint)
    supports = draft.endpoint.supports
    if level is None or (level == "none" and supports is not None and "reasoning" not in supports):
        return
    if draft.takes("reasoning", "reasoning"):
        _REASONING[draft.quirks.reasoning_request](draft, level)


def _ask_by_effort(draft: Draft, level: Effort) -> None:
    allowed = efforts_of(draft.endpoint)
    if level != "none" and leaves_effort(draft.request.reasoning) and allowed and "none" not in allowed:
        # It thinks of itself, as much as its maker thinks best.
        return
    sent = fitted_effort(level, draft.endpoint)
    if sent is None:
        draft.dropped.append("reasoning.effort")
        return
    draft.body["reasoning_effort"] = sent
    if sent != level:
        draft.dropped.append("reasoning.effort")
    _note_budget(draft)


def _ask_by_switch(draft: Draft, level: Effort) -> None:
    draft.body["thinking"] = {"type": "disabled" if level == "none" else "enabled"}
    _note_effort(draft)
    _note_budget(draft)


def _ask_by_switch_and_effort(draft: Draft, level: Effort) -> None:
    sent = fitted_effort(level, draft.endpoint)
    if level == "none" and not draft.quirks.can_stop_thinking:
        sent = sent or fitted_effort("minimal", draft.endpoint)
    elif level == "none" or sent == "none":
        draft.body["thinking"] = {"type": "disabled"}
        if level != "none":
            draft.dropped.append("reasoning.effort")
        return
    draft.body["thinking"] = {"type": "enabled"}
    if level != "none" and leaves_effort(draft.request.reasoning):
        return
    draft.body["reasoning_effort"] = sent
    if sent != level:
        draft.dropped.append("reasoning.effort")
    _note_budget(draft)


def _ask_by_budget(draft: Draft, level: Effort) -> None:
    if level == "none" and not draft.quirks.can_stop_thinking:
        draft.dropped.append("reasoning.effort")
        return
    draft.body["enable_thinking"] = level != "none"
    if level == "none" or (leaves_effort(draft.request.reasoning) and not draft.quirks.thinking_needs_budget):
        return
    draft.body["thinking_budget"] = _fit_budget(draft)


def _ask_by_template(draft: Draft, level: Effort) -> None:
    # Templates spell the switch in two ways and ignore a name they do not know.
    draft.body["chat_template_kwargs"] = {"enable_thinking": level != "none", "thinking": level != "none"}
    _note_effort(draft)
    _note_budget(draft)


def _ask_by_object(draft: Draft, level: Effort) -> None:
    reasoning = draft.request.reasoning
    asked: dict[str, Json] = {"enabled": level != "none"}
    if level != "none" and reasoning is not None:
        if reasoning.max_tokens is not None:
            asked["max_tokens"] = _fit_budget(draft)
        elif reasoning.effort is not None:
            asked["effort"] = sent = fitted_effort(level, draft.endpoint)
            draft.dropped += [] if sent == level else ["reasoning.effort"]
    draft.body["reasoning"] = asked


def _ask_by_prompt_mode(draft: Draft, level: Effort) -> None:
    if level != "none":
        draft.body["prompt_mode"] = "reasoning"
    _note_effort(draft)
    _note_budget(draft)


def _ask_not(draft: Draft, level: Effort) -> None:
    draft.dropped.append("reasoning")


def _note_effort(draft: Draft) -> None:
    reasoning = draft.request.reasoning
    if reasoning is not None and reasoning.effort not in (None, "none"):
        draft.dropped.append("reasoning.effort")


def _note_budget(draft: Draft) -> None:
    draft.dropped += lost_budget(draft.request.reasoning)


def _fit_budget(draft: Draft) -> int | None:
    """The tokens that may be thought, so that room is left for the answer; noted where they had to be less."""
    reasoning = draft.request.reasoning
    limit = draft.request.max_output_tokens or draft.endpoint.max_output_tokens
    least, most = draft.quirks.thinking_budgets or (0, None)
    tokens = budget(reasoning, limit, least=least, most=most)
    draft.dropped += lost_budget(reasoning, tokens)
    return tokens


_REASONING: Mapping[str, Callable[[Draft, Effort], None]] = {
    "effort": _ask_by_effort,
    "none": _ask_not,
    "thinking": _ask_by_switch,
    "enable_thinking": _ask_by_budget,
    "template_kwargs": _ask_by_template,
    "reasoning_object": _ask_by_object,
    "thinking_and_effort": _ask_by_switch_and_effort,
    "prompt_mode": _ask_by_prompt_mode,
}
