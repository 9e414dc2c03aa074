"""How much to think, what of an earlier thought goes back, and whose thought it is.

Does not know how a dialect spells any of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import UNSET, Struct

from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import ReasoningFormat, ReasoningItem
from trunkline.protocol.request import Effort, ReasoningConfig, Request
from trunkline.stream.seals import Seal, is_from, seal, unseal

SHARES: dict[Effort, float] = {"none": 0.0, "minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95}
"""The share of the output that may be thought, by effort."""

MOST_SHARE = 0.95
"""Of what an answer may have in all, the most that may be thought: with more no room is left to answer in."""

_RANKS = {"none": 0, "minimal": 1, "instant": 1, "low": 2, "medium": 3, "default": 3, "high": 4, "xhigh": 5, "max": 6}


# How much


def effort(reasoning: ReasoningConfig | None, output_tokens: int | None = None) -> Effort | None:
    """The effort asked for, or None when the client left it to the provider.

    A budget becomes the effort of the nearest share of `output_tokens` (32,000 when unknown), and never `none` unless
    it is 0.
    """
    if reasoning is None or reasoning == ReasoningConfig():
        return None
    if reasoning.enabled is False:
        return "none"
    if reasoning.max_tokens is not None:
        if reasoning.max_tokens <= 0:
            return "none"
        share = reasoning.max_tokens / (output_tokens or 32_000)
        thinking = [level for level in SHARES if level != "none"]
        return min(thinking, key=lambda level: abs(SHARES[level] - share))
    if reasoning.effort is None:
        return "medium" if reasoning.enabled else None
    return reasoning.effort


def leaves_effort(reasoning: ReasoningConfig | None) -> bool:
    """Whether thinking is asked for without a word of how much: the provider's own default is then meant."""
    return reasoning is not None and reasoning.effort is None and reasoning.max_tokens is None


def budget(
    reasoning: ReasoningConfig | None, output_tokens: int | None, *, least: int = 0, most: int | None = None
) -> int | None:
    """The thinking tokens asked for: 0 is off, None leaves it to the provider.

    `output_tokens` is what the answer may have in all, 32,000 when unknown, and at most `MOST_SHARE` of it is thought;
    any other amount than 0 is clamped to `least` and `most`, of which `least` wins.
    """
    level = effort(reasoning, output_tokens)
    if level is None or reasoning is None:
        return None
    if level == "none":
        return 0
    wanted = reasoning.max_tokens or int(SHARES[level] * (output_tokens or 32_000))
    if output_tokens is not None:
        wanted = min(wanted, int(MOST_SHARE * output_tokens))
    return max(wanted if most is None else min(wanted, most), least, 1)


def lost_budget(reasoning: ReasoningConfig | None, sent: int | None = None) -> tuple[str, ...]:
    """What to name as lost where the client asked for so many tokens of thought, and `sent`, or no number, goes out."""
    wanted = reasoning.max_tokens if reasoning is not None else None
    return ("reasoning.max_tokens",) if wanted and wanted != sent else ()


def fitted_effort(wanted: Effort, endpoint: Endpoint, otherwise: Sequence[str] = ()) -> str | None:
    """The effort to send; None: thinking should be off and no effort turns it off.

    `otherwise` are the efforts of an endpoint of which none are told.
    """
    quirks = endpoint.quirks
    return nearest_effort(wanted, efforts_of(endpoint) or otherwise, quirks.reasoning_effort_map)


def efforts_of(endpoint: Endpoint) -> tuple[str, ...]:
    """The efforts that are told of an endpoint; empty: none are, and all are tried."""
    return endpoint.reasoning_efforts or endpoint.quirks.reasoning_efforts


def nearest_effort(
    wanted: Effort, allowed: Sequence[str], meant: Mapping[str, str] = MappingProxyType({})
) -> str | None:
    """What the vendor means by `wanted`, else the strongest of `allowed` that is no stronger, else the weakest.

    `allowed` empty means that all are taken. None: `wanted` is `none` and thinking cannot be turned off by an effort.
    """
    if not allowed or wanted in allowed:
        return wanted
    if wanted in meant:
        return meant[wanted]
    if wanted == "none":
        return None
    thinking = sorted((name for name in allowed if name != "none"), key=lambda name: _RANKS.get(name, 3))
    fitting = [name for name in thinking if _RANKS.get(name, 3) <= _RANKS[wanted]]
    return fitting[-1] if fitting else thinking[0] if thinking else None


# What goes back

GEMINI_FORMAT: ReasoningFormat = "google-gemini-v1"

UNSIGNED = "skip_thought_signature_validator"
"""Stands for the signature of a call that Gemini did not make itself; documented for histories of other models."""


_PORTABLE = frozenset({"anthropic-claude-v1", GEMINI_FORMAT})
"""Formats whose proofs hold wherever the maker's models are served; others only at the provider that gave them."""


class Proof(Struct, frozen=True):
    """What belongs to an earlier thought beside its text, as its issuer gave it; all empty where it had none."""

    signature: str = ""
    blob: str = ""
    item_id: str = ""


def issuer_of(endpoint: Endpoint) -> str:
    """The format that an endpoint's own reasoning items have; empty where nobody knows."""
    quirks = endpoint.quirks
    match endpoint.dialect:
        case "gemini":
            return GEMINI_FORMAT
        case "chat" if quirks.reasoning_replay == "thought_signature":
            return GEMINI_FORMAT
        case "responses" if not quirks.reasoning_format.endswith("-responses-v1"):
            # A provider may speak several dialects, and its row names the issuer for another one.
            return ""
        case _:
            return "" if quirks.reasoning_format == "unknown" else quirks.reasoning_format


def told_signature(signature: str, endpoint: Endpoint, form: str) -> str:
    """A signature as a client gets it: as it came where the format says whose it is, else with our tag."""
    return signature if form in _PORTABLE or not signature else seal(signature, endpoint.id, "", form)


def replayable(item: ReasoningItem, endpoint: Endpoint) -> Proof | None:
    """What goes back to an endpoint with an earlier thought; None where the thought may not go there at all.

    What one issuer proved is never shown to another, not even as text.
    """
    named = "" if item.format in (UNSET, "unknown") else str(item.format)
    blob, signature = item.encrypted_content or "", item.signature or ""
    if not (blob or signature):
        return Proof() if named == issuer_of(endpoint) else None
    hidden = _own(blob, named, endpoint) if blob else _NOTHING
    if blob and hidden is not None and unseal(signature) is None:
        # Both proofs of an item are of one issuer, and the tag of the first names it.
        return Proof(signature, hidden.blob, hidden.item_id)
    signed = _own(signature, named, endpoint) if signature else _NOTHING
    return None if hidden is None or signed is None else Proof(signed.blob, hidden.blob, hidden.item_id)


def lost_proofs(request: Request, endpoint: Endpoint) -> tuple[str, ...]:
    """Name the proofs of earlier thoughts that stay behind at this endpoint, since somebody else gave them."""
    thoughts = [item for item in request.input if isinstance(item, ReasoningItem)]
    if not thoughts:
        return ()
    lost = any((item.encrypted_content or item.signature) and replayable(item, endpoint) is None for item in thoughts)
    return ("input.reasoning",) if lost else ()


_NOTHING = Seal("", "", "")


def _own(proof: str, named: str, endpoint: Endpoint) -> Seal | None:
    """A proof that an endpoint can use, without our tag.

    The tag names the issuer. Without one only a format does; with neither it is a stranger's, for clients leave the
    format out.
    """
    issuer, origin = issuer_of(endpoint), unseal(proof)
    if origin is None:
        return Seal(proof, "", "") if named == issuer and issuer in _PORTABLE else None
    form = origin.form or (named if issuer else "")
    is_known = form in _PORTABLE or is_from(origin, endpoint.id)
    return origin if is_known and form in ("", issuer) else None


def thought_text(items: Sequence[ReasoningItem]) -> str:
    """The raw thought of the items, else their summaries; pieces apart by a blank line."""
    texts: list[str] = []
    for item in items:
        raw = "".join(part.text for part in item.content) if item.content else ""
        texts.append(raw or "\n\n".join(part.text for part in item.summary))
    return "\n\n".join(text for text in texts if text)


def format_named(name: object) -> ReasoningFormat:
    """The reasoning format an upstream or a quirk names; `unknown` for any other name."""
    match name:
        case (
            "openai-responses-v1"
            | "azure-openai-responses-v1"
            | "xai-responses-v1"
            | "anthropic-claude-v1"
            | "google-gemini-v1"
        ):
            return name
        case _:
            return "unknown"
