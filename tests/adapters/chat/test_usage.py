"""The usual shape of a usage, which is read apart, says what it says among all others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.adapters.chat.wire import any_usage, decode_usage
from trunkline.adapters.decoding.usage import MAX_COUNT
from trunkline.protocol.items import Json

COUNTS: st.SearchStrategy[Json] = st.sampled_from(
    (0, 1, 7, 96, MAX_COUNT, MAX_COUNT + 1, -1, 1.5, "12", True, None, {})
)
READ = ("cached_tokens", "audio_tokens", "cache_write_tokens", "cache_creation", "cached_tokens_details")
WRITTEN = ("reasoning_tokens", "audio_tokens", "image_tokens", "rejected_prediction_tokens")
RARE = ("citation_tokens", "reasoning_tokens", "cached_tokens", "num_search_queries", "cost", "input_tokens")


def details(names: tuple[str, ...]) -> st.SearchStrategy[Json]:
    return st.none() | st.just([]) | st.dictionaries(st.sampled_from(names), COUNTS, max_size=3)


USAGES = st.fixed_dictionaries(
    {"prompt_tokens": COUNTS, "completion_tokens": COUNTS},
    optional={
        "total_tokens": COUNTS,
        "prompt_tokens_details": details(READ),
        "completion_tokens_details": details(WRITTEN),
        **dict.fromkeys(RARE, COUNTS),
    },
)


@given(USAGES, st.booleans(), st.booleans())
def test_a_usage_of_the_usual_shape_is_read_as_any_other_is(
    usage: dict[str, Json], adds_reasoning: bool, has_searched: bool
) -> None:
    assert decode_usage(usage, adds_reasoning, has_searched) == any_usage(usage, adds_reasoning, has_searched)


@given(st.integers(1, 999), st.integers(0, 1200), st.integers(1, 999), st.integers(0, 1200), st.booleans())
def test_a_usage_that_names_nothing_else(read: int, cached: int, written: int, thought: int, adds: bool) -> None:
    usage: dict[str, Json] = {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thought, "rejected_prediction_tokens": 0},
    }
    assert decode_usage(usage, adds) == any_usage(usage, adds, False)
