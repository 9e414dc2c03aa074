"""The limit of an answer's length falls on the same delta however its texts come, and whenever runs are looked for."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.stream.deltas import Delta, Text
from trunkline.upstream.hearing import Cap

TEXTS = st.one_of(
    st.text(st.sampled_from("ab "), max_size=30),
    st.builds(str.__mul__, st.sampled_from("a =\n"), st.integers(1, 600)),
)


def least_characters(text: str) -> int:
    """How many characters count of a text: of eight alike and more one."""
    return len(re.sub(r"(.)\1{7,}", "x", text, flags=re.DOTALL))


def passing(batches: Sequence[Sequence[str]], max_tokens: int) -> tuple[int, int] | None:
    """In which batch, and behind how many of its texts, the limit is passed."""
    told = 0
    for number, batch in enumerate(batches):
        for place, text in enumerate(batch, 1):
            told += least_characters(text)
            if told >= (max_tokens + 1) * 8:
                return number, place
    return None


@given(st.lists(st.lists(TEXTS, max_size=12), max_size=30), st.integers(0, 600), st.booleans())
@pytest.mark.law
def test_the_limit_is_passed_where_the_texts_alone_say(
    batches: list[list[str]], max_tokens: int, goes_on: bool
) -> None:
    cap = Cap(max_tokens)
    found = None
    for number, batch in enumerate(batches):
        if goes_on and sum(map(len, batch)) <= cap.room:
            cap.count(batch)  # as of texts that only go on, of which there is room for all
            continue
        deltas: list[Delta] = [Text(0, text) for text in batch]
        place = cap.place_of_end(deltas, None)
        if place is not None:
            found = number, place
            break
    assert found == passing(batches, max_tokens)
