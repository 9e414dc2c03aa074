"""How many tokens an answer, its thought or all of a context may have, read off a provider's refusal of too many.

It does not ask again; whether a limit may be lowered, or an input made shorter, is not known here.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

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


_CONTEXTS: Final = tuple(
    re.compile(words, re.IGNORECASE | re.DOTALL)
    for words in (
        # OpenAI, DeepSeek, OpenRouter: as above, with `about` or in other words.
        r"maximum context length is (?P<all>\d+) tokens.{0,40}? requested (?:about )?(?P<asked>\d+) tokens",
        # OpenAI, earlier: https://github.com/run-llama/llama_index/issues/948, with `resulted in`.
        r"maximum context length is (?P<all>\d+) tokens.{0,60}? resulted in (?P<read>\d+) tokens",
        r"maximum context length is\s+(?P<all>\d+) tokens(?:.{0,60}? has (?P<read>\d+) input tokens)?",
        # Claude: https://github.com/stackblitz/bolt.new/issues/1748, and as above.
        r"prompt is too long: (?P<read>\d+) tokens > (?P<all>\d+)",
        r"exceed context limit: (?P<read>\d+) \+ \d+ > (?P<all>\d+)",
        # Gemini: https://github.com/google-gemini/gemini-cli/issues/11507.
        r"input token count(?: \((?P<read>\d+)\))? exceeds the maximum number of tokens allowed \((?P<all>\d+)\)",
        # llama.cpp, in its error's own members: https://github.com/ggml-org/llama.cpp/pull/15780.
        r'"n_prompt_tokens": ?(?P<read>\d+), ?"n_ctx": ?(?P<all>\d+)',
        # Moonshot: https://github.com/MoonshotAI/kimi-cli/issues/2011.
        r"exceeded model token limit: (?P<all>\d+)(?: \(requested: (?P<asked>\d+)\))?",
        # TGI: https://github.com/huggingface/llm-vscode/issues/94.
        r"max_new_tokens`? must be <= (?P<all>\d+)(?:.{0,20}given: (?P<read>\d+) `?inputs)?",
        # SiliconFlow: https://github.com/langgenius/dify/issues/19394.
        r"prompt_tokens \((?P<read>\d+)\) must be less than max_seq_len \((?P<all>\d+)\)",
        # vLLM: https://github.com/thu-coai/Glyph/issues/9.
        r"\(length (?P<read>\d+)\) is longer than the maximum model length of (?P<all>\d+)",
        # Alibaba: https://github.com/QwenLM/qwen-code/issues/98.
        r"range of input length should be \[\d+, ?(?P<all>\d+)\]",
    )
)
"""What providers say of an input that is too long; all seen 2026-11-28. `all` is the context, `read` what they counted
of the input, `asked` of input and answer."""


class ToldContext(NamedTuple):
    """The tokens that a context has, and how many were counted: of the input, or with the answer. None where untold."""

    context: int | None = None
    read: int | None = None
    asked: int | None = None


def told_context(message: str, raw: str = "") -> ToldContext:
    """Read off a refusal of an input that is too long what it tells of the context, in its words or else its body."""
    for text in (message, raw):
        for said in _CONTEXTS:
            if found := said.search(text):
                told = {name: int(number) for name, number in found.groupdict().items() if number}
                return ToldContext(told["all"] or None, told.get("read"), told.get("asked"))
    return ToldContext()


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
