"""Windows forget in time, percentiles are near the truth, and memory does not grow."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.routing.windows import Distribution, Window

TIMES = st.floats(0, 60)
VALUES = st.lists(st.floats(0.001, 10_000), min_size=1, max_size=300)


@given(st.lists(st.tuples(TIMES, st.integers(0, 2), st.integers(0, 9))))
def test_a_window_holds_what_its_slices_hold(told: list[tuple[float, int, int]]) -> None:
    """Of a clock that goes back the latest slice counts. A count of 0 only reads."""
    window = Window(3, slices=5, slice_s=2.0)
    counted: list[tuple[int, int, int]] = []
    turn = 0
    for now, column, count in told:
        turn = max(turn, int(now / 2))
        if count:
            window.counts(now)[column] += count
            counted.append((turn, column, count))
        assert list(window.totals(now)) == [
            sum(each for then, where, each in counted if where == place and then > turn - 5) for place in range(3)
        ]


@given(st.lists(st.tuples(TIMES, st.none() | st.sampled_from([0.1, 1.0, 7.0, 50.0]))))
def test_percentiles_are_those_of_what_is_not_forgotten(told: list[tuple[float, float | None]]) -> None:
    distribution, added = Distribution(slices=4, slice_s=10.0), list[tuple[int, float]]()
    turn = 0
    for now, value in told:
        turn = max(turn, int(now * (1 / 10)))
        if value is not None:
            distribution.add(value, now)
            added.append((turn, value))
        held = sorted(each for then, each in added if then > turn - 4)
        assert distribution.samples(now) == len(held)
        for share in (0.25, 0.5, 0.99) if held else ():
            exact = held[math.ceil(share * len(held)) - 1]
            assert distribution.percentile(share, now) == pytest.approx(exact, rel=0.065)


def test_a_clock_that_goes_back_changes_nothing() -> None:
    window = Window(1, slices=5, slice_s=2.0)
    window.counts(100)[0] += 1
    assert list(window.totals(10)) == [1]


def test_a_long_silence_forgets_everything() -> None:
    window = Window(2, slices=5, slice_s=2.0)
    window.counts(1)[1] += 7
    assert list(window.totals(1e12)) == [0, 0]


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
