"""What the auto-router makes of the prompts in `bench/`, of which half were there to fit its weights to."""

from __future__ import annotations

import hashlib

import pytest

from bench.auto import PAGE, prompts, score, sets, with_page

FOUND = prompts()
SETS = dict(sets(FOUND))


@pytest.mark.parametrize("name", ["held_out", "shared", "strangers"])
def test_most_tiers_are_exact_and_few_too_weak_where_nothing_was_fitted(name: str) -> None:
    made = score(SETS[name])
    assert made.exact >= 0.7
    assert made.weak <= 0.1
    assert made.cost < 0.6


def test_there_are_enough_prompts_and_their_halves_are_by_a_hash() -> None:
    assert len(SETS["fit"]) + len(SETS["held_out"]) >= 100
    for half, is_odd in (("fit", 0), ("held_out", 1)):
        assert all(hashlib.sha256(each.text.encode()).digest()[0] % 2 == is_odd for each in SETS[half])


def test_the_page_tells_what_is_chosen_now() -> None:
    text = PAGE.read_text("utf-8")
    assert text == with_page(text), "run: python -m bench.auto --page"
