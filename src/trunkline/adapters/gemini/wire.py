"""What a Gemini server answers, as types, and the small readings of it that need no state.

It lists only what is used; what is not listed is passed over.

Source: https://ai.google.dev/api/generate-content (2026-11-22), the types of the google-genai Python package 3.4.0.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from trunkline.adapters.decoding.strange import as_object, read_loosely
from trunkline.adapters.decoding.usage import clean_usage, count, counts_in, rest
from trunkline.protocol.items import Json, Logprob, TopLogprob
from trunkline.stream.deltas import ServedTier, StopReason, Usage
from trunkline.stream.seals import GEMINI_FORMAT
from trunkline.wire import UNREADABLE

FORMAT = GEMINI_FORMAT


class WireCall(Struct, gc=False):
    name: str | None = None
    id: str | None = None
    args: Raw = Raw(b"{}")


class WireBlob(Struct, gc=False, rename="camel"):
    data: str = ""
    mime_type: str = ""


class WirePart(Struct, gc=False, rename="camel"):
    """A part of any kind; kinds that are not listed have none of these fields."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: WireCall | None = None
    inline_data: WireBlob | None = None


class WireContent(Struct, gc=False):
    parts: list[WirePart] | None = None


class WireCandidate(Struct, gc=False, rename="camel"):
    content: WireContent | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    grounding_metadata: Raw = Raw()
    logprobs_result: Raw = Raw()


class WireResponse(Struct, gc=False, rename="camel"):
    """A whole answer or a message of a stream. Usage comes with every message and is read once, at the end."""

    candidates: list[WireCandidate] | None = None
    usage_metadata: Raw = Raw()
    prompt_feedback: Json = None
    response_id: str | None = None
    error: Json = None


def only_text(response: WireResponse) -> str | None:
    """The text of a message that has nothing else but usage; None or empty for any other."""
    candidates = response.candidates
    if not candidates or len(candidates) != 1 or response.error is not None:
        return None
    candidate = candidates[0]
    content = candidate.content
    if content is None or not content.parts or len(content.parts) != 1 or candidate.finish_reason is not None:
        return None
    part = content.parts[0]
    if candidate.grounding_metadata or candidate.logprobs_result or part.thought or part.thought_signature is not None:
        return None
    return part.text


read_response = msgspec.json.Decoder(WireResponse).decode
read_body = msgspec.json.Decoder(WireResponse | list[WireResponse]).decode

FINISHES: dict[str, StopReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "LANGUAGE": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    # The model drew nothing, which is no fault of the provider's.
    "NO_IMAGE": "content_filter",
    "IMAGE_OTHER": "content_filter",
}
BROKEN_FINISHES = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "OTHER",
    }
)


def decode_usage(told: Raw, *, images: int = 0, searches: int = 0) -> Usage | None:
    """Read `usageMetadata`; thoughts come beside the candidates' tokens, and what tools read beside the prompt's."""
    usage = as_object(read_loosely(told))
    counts = counts_in(usage)
    read = counts.get("promptTokenCount", 0) + counts.get("toolUsePromptTokenCount", 0)
    reasoning = counts.get("thoughtsTokenCount", 0)
    # The count of the answer's tokens is optional.
    answered = counts.get("candidatesTokenCount", 0)
    parts = usage.get("candidatesTokensDetails")
    # Where the parts of an answer are not told, one with a picture is little else.
    drawn = _tokens_of("IMAGE", parts) if parts or not images else answered
    written = answered + reasoning if answered else max(rest(usage.get("totalTokenCount"), read), reasoning)
    if not read and not written:
        return None
    return clean_usage(
        read=read,
        cache_read=counts.get("cachedContentTokenCount", 0),
        written=written,
        reasoning=reasoning,
        drawn=drawn,
        audio_read=_tokens_of("AUDIO", usage.get("promptTokensDetails")),
        audio_cached=_tokens_of("AUDIO", usage.get("cacheTokensDetails")),
        images=images,
        searches=searches,
    )


_TIERS: dict[str, ServedTier] = {
    "standard": "default",
    "flex": "flex",
    "priority": "priority",
    "ON_DEMAND": "default",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
    "PROVISIONED_THROUGHPUT": "scale",
}


def decode_tier(told: Raw) -> ServedTier | None:
    """Read which tier served: `serviceTier` of Google's own API, `trafficType` of Vertex.

    https://ai.google.dev/gemini-api/docs/priority-inference, the enum TrafficType of google-genai (2026-11-27).
    """
    usage = as_object(read_loosely(told))
    name = usage.get("serviceTier") or usage.get("trafficType")
    return _TIERS.get(name) if isinstance(name, str) else None


class WireToken(Struct, gc=False, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class WireTops(Struct, gc=False):
    candidates: list[WireToken] = []


class WireLogprobs(Struct, gc=False, rename="camel"):
    chosen_candidates: list[WireToken] = []
    top_candidates: list[WireTops] = []


_read_logprobs = msgspec.json.Decoder(WireLogprobs).decode


def decode_logprobs(told: Raw) -> tuple[Logprob, ...]:
    """Read `logprobsResult`; what is unreadable is no logprobs."""
    if not told:
        return ()
    try:
        found = _read_logprobs(told)
    except UNREADABLE:
        return ()
    tops = [
        tuple(TopLogprob(t.token, _bytes(t), t.log_probability) for t in top.candidates) for top in found.top_candidates
    ]
    tops += [()] * (len(found.chosen_candidates) - len(tops))
    return tuple(
        Logprob(chosen.token, _bytes(chosen), chosen.log_probability, top)
        for chosen, top in zip(found.chosen_candidates, tops, strict=False)
    )


def _bytes(token: WireToken) -> tuple[int, ...]:
    return tuple(token.token.encode("utf-8", "replace"))


def _tokens_of(modality: str, details: Json) -> int:
    if not details or not isinstance(details, list):
        return 0
    return sum(
        count(entry.get("tokenCount"))
        for entry in details
        if isinstance(entry, dict) and entry.get("modality") == modality
    )


def compact(arguments: Raw) -> str:
    """Arguments as they came, without white space between their parts; empty where there are none."""
    text = msgspec.json.format(bytes(arguments), indent=-1).decode()
    return "" if text in ("{}", "null") else text
