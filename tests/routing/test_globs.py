"""Patterns of models match as they always did, however many stars they have."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.routing.filters import glob


@given(st.lists(st.text("ab/*", max_size=7), min_size=1, max_size=3), st.text("ab/", max_size=9))
def test_a_star_is_any_run_of_characters_but_a_slash(patterns: list[str], slug: str) -> None:
    plainly = "|".join(".*" if each == "*" else re.escape(each).replace(r"\*", "[^/]*") for each in patterns)
    assert glob(patterns)(slug) == (re.fullmatch(plainly, slug) is not None)


@pytest.mark.parametrize("pattern", ["*/" + "*" * 200 + "x", "*/" + "*-" * 60 + "x", "*a" * 100 + "/x"])
def test_stars_take_no_time(pattern: str) -> None:
    begun = time.monotonic()
    assert not glob([pattern])("a/" + "-a" * 100)
    assert time.monotonic() - begun < 0.1
