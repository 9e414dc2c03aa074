"""Windows forget in time, percentiles are near the truth, and memory does not grow."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.routing.windows import Distribution, Window

TIMES = st.lists(st.floats(0, 200, allow_nan=False), max_size=60).map(sorted)
VALUES = st.lists(st.floats(0.001, 10_000), min_size=1, max_size=300)


@given(TIMES)
def test_a_window_holds_what_its_slices_hold(times: list[float]) -> None:
    window = Window(1, slices=5, slice_s=2.0)
    for now in times:
        window.roll(now)
        window.add(0)
        oldest = int(now / 2) - 4
        assert (
            window.totals == [sum(1 for then in times if then <= now and int(then / 2) >= oldest)]
            or now in times[times.index(now) + 1 :]
        )


def test_a_clock_that_goes_back_changes_nothing() -> None:
    window = Window(1, slices=5, slice_s=2.0)
    window.roll(100)
    window.add(0)
    window.roll(10)
    assert window.totals == [1]


def test_a_long_silence_forgets_everything() -> None:
    window = Window(2, slices=5, slice_s=2.0)
    window.roll(1)
    window.add(1, 7)
    window.roll(1e12)
    assert window.totals == [0, 0]


@given(VALUES, st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]))
def test_a_percentile_is_within_six_percent(values: list[float], share: float) -> None:
    distribution = Distribution()
    for value in values:
        distribution.add(value, 10.0)
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    assert distribution.percentile(share, 10.0) == pytest.approx(exact, rel=0.065)


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-9, 1e9])
def test_what_is_out_of_range_goes_to_the_nearest_bucket(value: float) -> None:
    distribution = Distribution()
    distribution.add(value, 1.0)
    found = distribution.percentile(0.5, 1.0)
    assert found is not None
    assert 0.0009 < found < 17_000


def test_samples_are_forgotten_after_five_minutes() -> None:
    distribution = Distribution()
    distribution.add(1.0, 100.0)
    assert distribution.samples(389.0) == 1
    assert distribution.percentile(0.5, 400.0) is None


@given(VALUES, VALUES)
def test_merged_windows_hold_what_one_would(ours: list[float], theirs: list[float]) -> None:
    parts, whole = (Distribution(), Distribution()), Distribution()
    for part, values in zip(parts, (ours, theirs), strict=True):
        for value in values:
            part.add(value, 10.0)
            whole.add(value, 10.0)
    merged = Distribution.merged(parts, 12.0)
    assert merged.samples(12.0) == len(ours) + len(theirs)
    assert [merged.percentile(share, 12.0) for share in (0.01, 0.5, 0.99)] == [
        whole.percentile(share, 12.0) for share in (0.01, 0.5, 0.99)
    ]
