"""How a Messages answer ends: why it stopped, and what it used.

What is said before that is `telling.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.protocol.items import Json
from trunkline.protocol.render import render_usd
from trunkline.stream.deltas import Spent, Stopped, StopReason, Usage

CUT_SHORT: Final[frozenset[StopReason]] = frozenset({"length", "content_filter"})
"""What ends an answer before its model does."""

_STOPS: Final[Mapping[StopReason, str]] = {
    "stop": "end_turn",
    "calls": "end_turn",
    "length": "max_tokens",
    "content_filter": "refusal",
}
"""Where nothing was called: clients go on by `tool_use` alone, and wait for a call where it is said without one."""


def told_stop(stopped: Stopped, *, has_calls: bool, refusal: str | None) -> dict[str, Json]:
    """Tell why an answer stopped. `refusal` is what its model said instead of one."""
    reason = _STOPS[stopped.reason]
    if reason == "end_turn" and has_calls:
        reason = "tool_use"
    elif reason == "end_turn" and refusal is not None:
        reason = "refusal"
    elif reason == "end_turn" and stopped.sequence is not None:
        reason = "stop_sequence"
    is_refused = reason == "refusal"
    return {
        "stop_reason": reason,
        "stop_sequence": stopped.sequence if reason == "stop_sequence" else None,
        "stop_details": {"type": "refusal", "category": None, "explanation": refusal} if is_refused else None,
    }


def first_usage(estimated_input_tokens: int) -> dict[str, Json]:
    """Tell what was used when nobody has counted yet: zeros alone break Claude Code.

    https://github.com/BerriAI/litellm/issues/24176, seen 2026-11-28.
    """
    return {
        "input_tokens": estimated_input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }


def told_usage(spent: Spent | None, estimated_input_tokens: int) -> dict[str, Json]:
    """Tell what was used; `input_tokens` are those that were neither found in a cache nor put there.

    There is no input without tokens: where none are counted, the estimate holds.
    """
    usage = Usage() if spent is None else spent.usage
    cached, thought = usage.cache_read_tokens, usage.reasoning_tokens
    if cached > usage.input_tokens:
        cached = usage.input_tokens
    written = kept_long = 0
    if usage.cache_write_tokens:
        written = min(usage.cache_write_tokens, usage.input_tokens - cached)
        kept_long = min(usage.cache_write_1h_tokens, written)
    told: dict[str, Json] = {
        "input_tokens": usage.input_tokens - cached - written if usage.input_tokens else estimated_input_tokens,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": written - kept_long,
            "ephemeral_1h_input_tokens": kept_long,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": thought if thought < usage.output_tokens else usage.output_tokens},
    }
    if usage.searches:
        told["server_tool_use"] = {"web_search_requests": usage.searches, "web_fetch_requests": 0}
    if spent is None:
        return told
    if spent.service_tier is not None:
        is_paid_for = spent.service_tier in ("priority", "ultrafast")
        told["service_tier"] = "priority" if is_paid_for else "standard"
    total = None if spent.cost is None else spent.cost.total
    told["cost"] = None if total is None else render_usd(total)
    return told
