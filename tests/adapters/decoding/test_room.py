"""What a refusal tells of a context, in each provider's words; the sources are in `adapters/decoding/room.py`."""

from __future__ import annotations

import pytest

from trunkline.adapters.decoding.room import ToldContext, told_context

TOLD = {
    "This model's maximum context length is 131072 tokens. However, you requested 131329 tokens (123137 in the "
    "messages, 8192 in the completion). Please reduce the length.": ToldContext(131_072, None, 131_329),
    "This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens (39000 of text "
    "input, 1000 in the output).": ToldContext(32_768, None, 40_000),
    "This model's maximum context length is 4097 tokens, however you requested 4116 tokens": ToldContext(
        4_097, None, 4_116
    ),
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.": ToldContext(
        8_192, 9_001
    ),
    "This model's maximum context length is 32768 tokens and your request has 33000 input tokens": ToldContext(
        32_768, 33_000
    ),
    "This model's maximum context length is 8 tokens.": ToldContext(8),
    "prompt is too long: 202128 tokens > 200000 maximum": ToldContext(200_000, 202_128),
    "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease it": ToldContext(
        200_000, 190_000
    ),
    "The input token count (461428) exceeds the maximum number of tokens allowed (131072).": ToldContext(
        131_072, 461_428
    ),
    "Invalid request: Your request exceeded model token limit: 131072": ToldContext(131_072),
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens": (
        ToldContext(4_096, 5_000)
    ),
    "length of prompt_tokens (57535) must be less than max_seq_len (32768)": ToldContext(32_768, 57_535),
    "The decoder prompt (length 9) is longer than the maximum model length of 8.": ToldContext(8, 9),
    "Range of input length should be [1, 129024]": ToldContext(129_024),
    "Your input exceeds the context window of this model.": ToldContext(),
    "This model's maximum context length is 0 tokens.": ToldContext(),
    "": ToldContext(),
}


@pytest.mark.parametrize("message", TOLD)
def test_what_is_told_of_a_context(message: str) -> None:
    assert told_context(message) == TOLD[message]


def test_what_the_words_do_not_tell_the_body_may() -> None:
    body = '{"error":{"code":400,"type":"exceed_context_size_error","n_prompt_tokens":14429,"n_ctx":8192}}'
    assert told_context("the request exceeds the available context size", body) == ToldContext(8_192, 14_429)
    assert told_context("prompt is too long: 9 tokens > 8 maximum", body) == ToldContext(8, 9)
