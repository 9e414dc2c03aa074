"""How much to think, what of an earlier thought goes back, and whose thought it is.

Does not know how a dialect spells any of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import UNSET, Struct

from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import ReasoningItem, SummaryText
from trunkline.protocol.request import Effort, ReasoningConfig, Request
from trunkline.stream.seals import GEMINI_FORMAT, PORTABLE, Seal, format_of_mark, has_mark, is_from, is_unsigned, unseal

MOST_SHARE = 0.95
"""Of what an answer may have in all, the most that may be thought: with more no room is left to answer in."""

SHARES: dict[Effort, float] = {
    "none": 0.0,
    "minimal": 0.1,
    "low": 0.2,
    "medium": 0.5,
    "high": 0.8,
    "xhigh": MOST_SHARE,
    "max": MOST_SHARE,
    "ultra": MOST_SHARE,
}
"""The share of the output that may be thought, by effort."""

_RANKS = {
    "none": 0,
    "minimal": 1,
    "instant": 1,
    "low": 2,
    "medium": 3,
    "default": 3,
    "high": 4,
    "xhigh": 5,
    "max": 6,
    "ultra": 7,
}

_BEYOND: frozenset[Effort] = frozenset({"max", "ultra"})
"""Efforts that few endpoints know, so that they are sent only where they are told of."""


_UNSAID = ReasoningConfig()


# How much


def effort(reasoning: ReasoningConfig | None, output_tokens: int | None = None) -> Effort | None:
    """The effort asked for, or None when the client left it to the provider.

    A budget becomes the effort of the nearest share of `output_tokens` (32,000 when unknown), and never `none` unless
    it is 0.
    """
    if reasoning is None or reasoning == _UNSAID:
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

    `allowed` empty means that all of the contract are taken. None: `wanted` is `none` and thinking cannot be turned off
    by an effort.
    """
    if not allowed:
        return "xhigh" if wanted in _BEYOND else wanted
    if wanted in allowed:
        return wanted
    if wanted in meant:
        return meant[wanted]
    if wanted == "none":
        return None
    thinking = sorted((name for name in allowed if name != "none"), key=lambda name: _RANKS.get(name, 3))
    fitting = [name for name in thinking if _RANKS.get(name, 3) <= _RANKS[wanted]]
    return fitting[-1] if fitting else thinking[0] if thinking else None


# What goes back

UNSIGNED = "skip_thought_signature_validator"
"""Stands for the signature of a call that Gemini did not make itself; documented for histories of other models."""


class Proof(Struct, frozen=True):
    """An earlier thought as its issuer wants it back, byte for byte; all but `text` empty where it gave no proof.

    `form` is the format by name, empty where nobody knows.
    """

    text: str = ""
    signature: str = ""
    blob: str = ""
    item_id: str = ""
    form: str = ""


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


def replayable(item: ReasoningItem, endpoint: Endpoint) -> Proof | None:
    """What goes back to an endpoint of an earlier thought; None where the thought may not go there at all.

    What one issuer proved is never shown to another, not even as text. The mark of a thought without a proof is that
    wherever a client put it: clients of several APIs take it from one to the next.
    """
    proof = item.encrypted_content or item.signature
    if not proof or is_unsigned(proof):
        named = format_of_mark(proof) if proof else _named(item)
        return Proof(thought_text([item]), form=named) if named == issuer_of(endpoint) else None
    origin = _origin(item, endpoint)
    if origin is None:
        return None
    # A client may have joined, moved or lost the text, which then stands in the tag.
    text = origin.text
    return Proof(
        thought_text([item]) if text is None else text, origin.signature, origin.blob, origin.item_id, origin.form
    )


def lost_proofs(request: Request, endpoint: Endpoint) -> tuple[str, ...]:
    """Name the proofs of earlier thoughts that stay behind at this endpoint, since somebody else gave them."""
    if ReasoningItem not in map(type, request.input):
        return ()
    thoughts = (item for item in request.input if isinstance(item, ReasoningItem))
    return ("input.reasoning",) if any(_is_lost(item, endpoint) for item in thoughts) else ()


def _is_lost(item: ReasoningItem, endpoint: Endpoint) -> bool:
    proof = item.encrypted_content or item.signature or ""
    return proof != "" and not is_unsigned(proof) and _origin(item, endpoint) is None


def _named(item: ReasoningItem) -> str:
    return "" if item.format in (UNSET, "unknown") else str(item.format)


def _origin(item: ReasoningItem, endpoint: Endpoint) -> Seal | None:
    """The proofs of a thought, and who gave them; None where an endpoint cannot use them.

    Our tag says who the issuer is; only where a proof has none does the item's format.
    """
    blob, signature = item.encrypted_content or "", item.signature or ""
    if has_mark(blob or signature):
        origin = unseal(blob or signature)
    elif has_mark(signature) or _named(item) not in PORTABLE:
        return None
    else:
        origin = Seal(endpoint_id="", blob=blob, signature=signature, form=_named(item))
    return origin if origin is not None and _is_own(origin, issuer_of(endpoint), endpoint) else None


def _is_own(origin: Seal, issuer: str, endpoint: Endpoint) -> bool:
    """Whether an endpoint can use a proof: one that it gave itself, or one that any server of its models can read."""
    if is_relay(endpoint):
        return is_from(origin, endpoint.id)
    if origin.form in PORTABLE:
        # Gemini has signatures alone; a relay that tells one as a blob may mean another thing.
        return origin.form == issuer and (origin.signature != "" or issuer != GEMINI_FORMAT)
    return is_from(origin, endpoint.id) and origin.form in ("", issuer)


def told_summary(item: ReasoningItem, proof: Proof) -> tuple[SummaryText, ...]:
    """The summary of a thought; of one whose maker tells nothing else, the text wherever a client put it.

    Messages has one place for all that was thought, so that it comes from there as the thought itself.
    """
    if item.summary or not item.content or not proof.form.endswith("-responses-v1"):
        return item.summary
    return (SummaryText("".join(part.text for part in item.content)),)


def is_relay(endpoint: Endpoint) -> bool:
    """Whether an endpoint is of many makers, names the format of each thought itself, and takes back only its own."""
    return endpoint.dialect == "chat" and endpoint.quirks.reasoning_replay == "reasoning_details"


def thought_text(items: Sequence[ReasoningItem]) -> str:
    """The raw thought of the items, else their summaries; pieces apart by a blank line."""
    texts: list[str] = []
    for item in items:
        raw = "".join(part.text for part in item.content) if item.content else ""
        texts.append(raw or "\n\n".join(part.text for part in item.summary))
    return "\n\n".join(text for text in texts if text)
