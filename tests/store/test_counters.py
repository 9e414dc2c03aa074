"""The buckets of one process: how many are kept."""

from __future__ import annotations

from trunkline.store.counters import FEWEST_SWEPT, Demand, Granted, LocalBuckets, Place


class Clock:
    now_us = 1_000_000

    def __call__(self) -> int:
        return self.now_us


def test_RL_08_a_million_keys_leave_no_more_than_are_in_use() -> None:
    clock = Clock()
    buckets = LocalBuckets(clock)
    most = 0
    for number in range(0, 1_000_000, 50):
        clock.now_us += 50_000
        # Full again after ten seconds, in which ten thousand others come.
        buckets.take([Demand(f"key_{each}", 10_000_000, 60_000_000) for each in range(number, number + 50)], (), "")
        most = max(most, len(buckets))
    assert 10_000 <= most <= 2 * 10_000 + FEWEST_SWEPT


def test_RL_08_what_is_in_use_is_never_forgotten() -> None:
    clock = Clock()
    buckets = LocalBuckets(clock)
    day_us = 86_400_000_000
    for number in range(4 * FEWEST_SWEPT):
        clock.now_us += 1
        assert isinstance(buckets.take((Demand(f"key_{number}", day_us, day_us),), (), ""), Granted)
    assert len(buckets) == 4 * FEWEST_SWEPT
    for number in range(4 * FEWEST_SWEPT):
        assert not isinstance(buckets.take((Demand(f"key_{number}", day_us, day_us),), (), ""), Granted)


def test_RL_08_places_that_nobody_holds_are_not_kept() -> None:
    buckets = LocalBuckets(Clock())
    for number in range(10_000):
        place = (Place(f"key_{number}", 1),)
        buckets.take((), place, "gen")
        buckets.give_back((), place, "gen")
    assert not len(buckets)
