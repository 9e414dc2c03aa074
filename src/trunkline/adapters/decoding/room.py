"""How many tokens an answer or its thought may have, read off a provider's refusal of a limit that is too high.

It does not ask again; whether a limit may be lowered is not known here.
"""

from __future__ import annotations

import re
from typing import Final

_SAID: Final = tuple(
    re.compile(words, re.IGNORECASE)
    for words in (
        # Claude before Sonnet 4.5: https://github.com/continuedev/continue/issues/6080.
        r"max_tokens`? exceed context limit: (?P<input>\d+) \+ \d+ > (?P<all>\d+)",
        # Claude: https://github.com/BerriAI/litellm/pull/15715.
        r"max_tokens: \d+ > (?P<room>\d+), which is the maximum",
        # Bedrock: https://github.com/sigoden/aichat/pull/813, where the number itself is taken.
        r"maximum tokens you requested exceeds? the model limit of (?P<room>\d+)",
        # vLLM: https://github.com/claude-code-best/claude-code/issues/272.
        r"maximum context length is\s+(?P<all>\d+) tokens and your request has (?P<input>\d+) input tokens",
        # OpenAI and DeepSeek: https://github.com/ChatGPTNextWeb/NextChat/issues/3195.
        r"maximum context length is (?P<all>\d+) tokens\. However, you requested \d+ tokens \((?P<input>\d+) in the ",
        r"supports at most (?P<room>\d+) completion tokens",
        # DeepSeek: https://github.com/mnfst/llm-gateway/issues/1177.
        r"valid range of max_tokens is \[\d+, ?(?P<room>\d+)\]",
    )
)
"""What providers say; all seen 2026-11-27. `room` is what an answer may have, or what `all` leaves beside `input`."""

_BUDGET: Final = re.compile(
    # Alibaba: https://github.com/CherryHQ/cherry-studio/issues/7263. SiliconFlow: …/8927.
    r"thinking_budget(?: parameter must be a positive integer and not greater than|: must be less than or equal to) "
    r"(\d+)",
    re.IGNORECASE,
)


def told_room(message: str) -> int | None:
    """The tokens that an answer may have, from 1 on; None where the message tells none."""
    for said in _SAID:
        if found := said.search(message):
            told = found.groupdict()
            room = int(told["room"]) if "room" in told else int(told["all"]) - int(told["input"])
            return room if room > 0 else None
    return None


def told_budget(message: str) -> int | None:
    """The tokens that may be thought at the most, from 1 on; None where the message tells none."""
    found = _BUDGET.search(message)
    return int(found[1]) or None if found else None
