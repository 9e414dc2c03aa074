"""What the mock answers: one script for all wires, which it writes in each wire's own form.

A question holds the name of its script; the first entry that fits answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CLAUDE = "claude-sonnet-4-5"
CLAUDE_ON_BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
_BEDROCK = {"model": CLAUDE_ON_BEDROCK.replace(":", "%3A")}
"""The mock takes the model's name from the path as it stands there."""

INPUT_TOKENS, OUTPUT_TOKENS = 1_234, 567
USAGE = {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS}

TEXT = "Three herons – «Graureiher» – stand in the fjord. 🐟"
"""The mock cuts texts every five UTF-16 units, a fish in two halves as well: no character here lies across a cut."""
THOUGHT = "The client asks about herons; they stand in shallow water."
SIGNATURE = "c2lnbmF0dXJlIG9mIGFuIGluZGVwZW5kZW50IG1vY2s="
REDACTED = "b3BhcXVlIHRob3VnaHQ="
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
KITE = '{"colour":"red","height_m":40}'
RESULT = "4 C, rain"
CALLS = (("call-oslo", '{"city":"Oslo"}'), ("call-bodo", '{"city":"Bodø","units":["C","K"]}'))
CUT_AFTER, CHUNK_MS = 12, 5
"""After how many messages a stream is cut, and how long each takes to come, lest the cut overtake them."""

Entry = dict[str, Any]


def _entry(name: str, response: Mapping[str, Any], match: Mapping[str, Any] | None = None, **rest: Any) -> Entry:
    return {"match": {"userMessage": name, **(match or {})}, "response": {**response}, **rest}


def _calls(count: int, *, with_ids: bool = True) -> list[dict[str, str]]:
    """Calls with the ids of `CALLS`, else with ids that the mock makes up in each wire's manner."""
    calls = [{"id": call_id, "name": "weather", "arguments": arguments} for call_id, arguments in CALLS[:count]]
    return calls if with_ids else [{name: call[name] for name in ("name", "arguments")} for call in calls]


def _error(status: int, kind: str, **rest: Any) -> Entry:
    error = {"message": f"scripted fault {status}", "type": kind}
    return _entry(f"fault-{status}", {"error": error, "status": status, **rest})


def _chaos(kind: str) -> Entry:
    return _entry(f"fault-{kind}", {"content": TEXT}, chaos={f"{kind}Rate": 1})


_CALL = {"type": "toolCall", **_calls(1)[0]}
_THOUGHT = {"reasoning": THOUGHT, "reasoningSignature": SIGNATURE, "redactedThinking": [REDACTED]}

FIXTURES: Sequence[Entry] = (
    _entry("paint", {"image": {"b64Json": PIXEL}}, {"endpoint": "image"}),
    _entry("herons", {"content": TEXT, "usage": USAGE}),
    _entry("one-call", {"content": f"Rain. {RESULT}", "usage": USAGE}, {"toolResultContains": RESULT}),
    _entry("one-call", {"toolCalls": _calls(1), "usage": USAGE}),
    _entry("two-calls", {"content": f"Rain. {RESULT}", "usage": USAGE}, {"hasToolResult": True}),
    _entry("two-calls", {"content": "Let me look.", "toolCalls": _calls(2), "usage": USAGE}),
    *(
        _entry("kite", {"toolCalls": [{"name": name, "arguments": KITE}], "usage": USAGE}, {"toolName": name})
        for name in ("Kite", "A_red_kite")
    ),
    _entry("kite", {"content": KITE, "usage": USAGE}),
    _entry("think-and-call", {"content": f"Rain. {RESULT}", "usage": USAGE}, {"toolResultContains": RESULT}),
    _entry("think-and-call", {**_THOUGHT, "toolCalls": _calls(1), "usage": USAGE}),
    _entry("think", {**_THOUGHT, "content": TEXT, "usage": USAGE}),
    _entry("too-long", {"content": TEXT, "finishReason": "length", "usage": USAGE}),
    _entry("filter", {"content": TEXT, "finishReason": "refusal"}, {"model": CLAUDE}),
    _entry("filter", {"content": TEXT, "finishReason": "guardrail_intervened"}, _BEDROCK),
    _entry("filter", {"content": TEXT, "finishReason": "content_filter"}),
    _entry("journey", {"content": f"Rain. {RESULT}", "usage": USAGE}, {"toolResultContains": RESULT}),
    _entry("journey", {**_THOUGHT, "content": "Let me look.", "toolCalls": _calls(2, with_ids=False)}),
    _entry("search", {"content": TEXT, "webSearches": ["herons of the fjord"], "usage": USAGE}),
    _entry("mixed", {"blocks": [_CALL, {"type": "text", "text": TEXT}]}),
    _entry("relay", {"error": {"message": "Overloaded", "type": "overloaded_error"}, "status": 529}, {"model": CLAUDE}),
    _entry("relay", {"content": TEXT}, _BEDROCK, chaos={"disconnectRate": 1}),
    _entry("relay", {"content": TEXT, "usage": USAGE}),
    _error(400, "invalid_request_error"),
    _error(401, "authentication_error"),
    _error(429, "rate_limit_error", retryAfter=7),
    _error(500, "api_error"),
    _error(503, "api_error"),
    _error(529, "overloaded_error"),
    _chaos("drop"),
    _chaos("malformed"),
    _chaos("disconnect"),
    _entry("cut", {"content": "Herons stand. " * 50}, truncateAfterChunks=CUT_AFTER, latency=CHUNK_MS),
)
