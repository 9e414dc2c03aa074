"""Whether a provider that caches prompts only on request is asked to.

It writes no marks: each dialect has its own, and knows where none may stand. A dialect sets three at most (behind the
tools, the system text and the last words of the user); Claude takes four.

Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html; what marks cost where nobody comes
back: https://github.com/kagent-dev/kagent/issues/2787. Seen 2026-11-27.
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.adapters.encoding.draft import Draft
from trunkline.adapters.encoding.rounds import Round, UserRound
from trunkline.protocol.items import Json


def marks_cache(draft: Draft, spoken: Sequence[Round], *, is_able: bool = True) -> bool:
    """Whether the request is marked for the cache; a `prompt_cache_key` that marks nothing is noted as lost.

    `spoken` are the rounds that will be sent. `is_able`: the model takes marks.
    """
    has_key = draft.request.prompt_cache_key is not None
    may_mark = is_able and "prompt_cache_key" not in draft.quirks.drops
    match draft.endpoint.prompt_caching:
        case "auto":
            # A write costs more than plain input, and a single question has nobody to read it.
            is_marked = may_mark and (has_key or _goes_on(spoken))
        case "on_key":
            is_marked = may_mark and has_key
        case "off":
            is_marked = False
    if has_key and not is_marked:
        draft.dropped.append("prompt_cache_key")
    return is_marked


def last_user_content(messages: Sequence[Json]) -> list[Json]:
    """The blocks of the last message of the user, for a mark to be set among; empty where there is none."""
    return next((message["content"] for message in reversed(messages) if message["role"] == "user"), [])


def _goes_on(spoken: Sequence[Round]) -> bool:
    # Rounds take turns, so that of two one is the model's.
    return len(spoken) > 1 or (len(spoken) == 1 and (not isinstance(spoken[0], UserRound) or bool(spoken[0].results)))
