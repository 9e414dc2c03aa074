"""Texts that are grown are the texts that one call makes."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from trunkline.protocol import growing
from trunkline.protocol.growing import joined, text_from


@given(st.text(max_size=20), st.integers(0, 25), st.sampled_from([1, 10]))
def test_the_rest_of_a_text(text: str, start: int, long: int) -> None:
    with patch.object(growing, "_LONG", long), patch.object(growing, "_PIECE", 3):
        assert text_from(text, start) == text[start:]


@given(st.sampled_from(["", "\n\n"]), st.lists(st.text(max_size=8), max_size=4), st.sampled_from([1, 10]))
def test_texts_joined(between: str, texts: list[str], long: int) -> None:
    with patch.object(growing, "_LONG", long), patch.object(growing, "_PIECE", 3):
        assert joined(between, iter(texts)) == between.join(texts)
