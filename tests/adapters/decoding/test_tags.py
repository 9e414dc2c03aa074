"""Thought in tags inside the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.adapters.decoding.tags import TagSplitter


def split(pieces: list[str], *, is_opened: bool = False) -> tuple[str, str]:
    splitter = TagSplitter(is_opened=is_opened)
    found = [side for piece in pieces for side in splitter.feed(piece)] + splitter.end()
    assert all(text for _, text in found)
    sides = [side for side, _ in found]
    assert sides == sorted(sides, key=("thought", "text").index), "thought comes before text"
    return (
        "".join(text for side, text in found if side == "thought"),
        "".join(text for side, text in found if side == "text"),
    )


TAGGED = [
    ("plain text", False, "Just text.", ("", "Just text.")),
    ("thought and text", False, "<think>\nHm.\n</think>\n\nSo.", ("Hm.", "So.")),
    ("white space before the tag", False, "\n <think>Hm.</think>So.", ("Hm.", "So.")),
    ("an empty thought", False, "<think>\n\n</think>\n\nSo.", ("", "So.")),
    ("a later tag is text", False, "Write <think> first.", ("", "Write <think> first.")),
    ("what only looks like a tag", False, "<thing>", ("", "<thing>")),
    ("a thought cut off", False, "<think>Hm. </thi", ("Hm. </thi", "")),
    ("the template opened the tag", True, "Hm.</think>So.", ("Hm.", "So.")),
    ("the template opened and the model repeats", True, "<think>Hm.</think>So.", ("Hm.", "So.")),
    ("white space inside is kept", False, "<think>a\n\n b</think> c  d ", ("a\n\n b", "c  d ")),
]


@pytest.mark.parametrize(
    ("is_opened", "text", "sides"), [case[1:] for case in TAGGED], ids=[case[0] for case in TAGGED]
)
def test_tags_are_split_at_once_and_by_single_characters(is_opened: bool, text: str, sides: tuple[str, str]) -> None:
    assert split([text], is_opened=is_opened) == sides
    assert split(list(text), is_opened=is_opened) == sides


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "/", "think", ">", " ", "\n", "a", "æ"]), max_size=12),
    st.booleans(),
    st.data(),
)
def test_any_cut_of_the_text_splits_alike(words: list[str], is_opened: bool, data: st.DataObject) -> None:
    text = "".join(words)
    places = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    pieces = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    assert split(pieces, is_opened=is_opened) == split([text], is_opened=is_opened)
