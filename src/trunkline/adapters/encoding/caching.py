"""Whether a provider that caches prompts only on request is asked to.

Each dialect has marks of its own, and knows where none may stand. Unasked it sets three at most (behind the tools, the
system text and the last words of the user); Claude takes four. Those that a client sets stay where they are.

Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html; what marks cost where nobody comes
back: https://github.com/kagent-dev/kagent/issues/2787. Seen 2026-11-27.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, UnsetType

from trunkline.adapters.encoding.draft import Draft
from trunkline.adapters.encoding.rounds import Round, UserRound
from trunkline.catalog.abilities import takes_marks
from trunkline.protocol.items import FunctionCallOutput, Json
from trunkline.protocol.marking import mark_of
from trunkline.protocol.marks import CacheMark

LOST_MARK: Final = "cache_control"
"""What a mark of the client's that goes nowhere is called in `x-trunkline-dropped`."""


def marks_cache(draft: Draft, spoken: Sequence[Round]) -> bool:
    """Whether the request is marked for the cache; a `prompt_cache_key` that marks nothing is noted as lost.

    `spoken` are the rounds that will be sent. Where the client marks anything itself, nothing else is.
    """
    if draft.request.has_marks:
        return False
    has_key = draft.request.prompt_cache_key is not None
    match draft.endpoint.prompt_caching:
        case "auto":
            # A write costs more than plain input, and a single question has nobody to read it.
            is_marked = (has_key or _goes_on(spoken)) and takes_marks(draft.endpoint)
        case "on_key":
            is_marked = has_key and takes_marks(draft.endpoint)
        case "off":
            is_marked = False
    if has_key and not is_marked:
        draft.dropped.append("prompt_cache_key")
    return is_marked


def marked(block: dict[str, Json], mark: CacheMark | UnsetType) -> dict[str, Json]:
    """A block with the mark that it carries, as Anthropic writes it, and who follows."""
    return block if mark is UNSET else {**block, "cache_control": mark}


def end_mark(result: FunctionCallOutput) -> CacheMark | UnsetType:
    """The mark behind all that a tool gave back, where no mark stands within it: its own, or that of its last part."""
    if result.cache_control is not UNSET or isinstance(result.output, str) or not result.output:
        return result.cache_control
    return mark_of(result.output[-1])


def last_user_content(messages: Sequence[Json]) -> list[Json]:
    """The blocks of the last message of the user, for a mark to be set among; empty where there is none."""
    return next((message["content"] for message in reversed(messages) if message["role"] == "user"), [])


def _goes_on(spoken: Sequence[Round]) -> bool:
    # Rounds take turns, so that of two one is the model's.
    return len(spoken) > 1 or (len(spoken) == 1 and (not isinstance(spoken[0], UserRound) or bool(spoken[0].results)))
