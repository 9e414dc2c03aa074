"""Counters and percentiles over the last while, in bounded memory; what they count is `health.py`'s business.

Theory of operation. Time is cut into slices of equal length, numbered from the epoch. A window keeps the counts of its
last slices in a ring, and their running totals beside it: adding touches one slice and the totals, and a slice that
grows too old is subtracted from the totals once. Reading is therefore as cheap as reading a list, and memory depends
on the length of the window alone. A window covers between `slices - 1` and `slices` slices.

A percentile comes from a histogram whose buckets grow by a constant factor, so its error is a share of the value:
at most 6 %, whatever the distribution.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from math import log2
from typing import Final, Literal

_STEPS: Final = 6  # buckets to a doubling: neighbours differ by 12 %
_LOWEST: Final = -10  # 2^-10: a millisecond, or one token in 17 minutes
_OCTAVES: Final = 24  # up to 2^14: four and a half hours, or 16,384 tokens per second
BUCKETS: Final = _STEPS * _OCTAVES


class Window:
    """Counts in `width` columns over the last `slices` slices of `slice_s` seconds."""

    __slots__ = ("_current", "_per_s", "_slices", "_turn", "_typecode", "_width", "totals")

    def __init__(self, width: int, slices: int, slice_s: float, typecode: Literal["I", "q"] = "I") -> None:
        self._width = width
        self._per_s = 1 / slice_s
        self._typecode = typecode
        self._slices: list[array[int] | None] = [None] * slices
        self._turn = 0
        self._current: array[int] | None = None
        self.totals = [0] * width

    def roll(self, now: float) -> None:
        """Forget what is too old; a clock that goes back changes nothing."""
        turn = int(now * self._per_s)
        if turn > self._turn:
            self._forget(turn)

    def add(self, column: int, count: int = 1) -> None:
        """Count in the slice of the last `roll`."""
        counts = self._current
        if counts is None:
            counts = self._current = array(self._typecode, [0]) * self._width
            self._slices[self._turn % len(self._slices)] = counts
        counts[column] += count
        self.totals[column] += count

    def _forget(self, turn: int) -> None:
        ring = self._slices
        for passed in range(self._turn + 1, min(turn, self._turn + len(ring)) + 1):
            place = passed % len(ring)
            counts = ring[place]
            if counts is not None:
                self.totals = [total - count for total, count in zip(self.totals, counts, strict=True)]
                ring[place] = None
        self._turn = turn
        self._current = None


class Distribution:
    """A histogram of positive numbers over a window: five minutes unless told."""

    __slots__ = ("_summed", "_sums", "_window")

    def __init__(self, slices: int = 10, slice_s: float = 30.0) -> None:
        self._window = Window(BUCKETS, slices, slice_s)
        self._summed: list[int] | None = None
        self._sums: list[int] = []

    @classmethod
    def merged(cls, parts: Iterable[Distribution], now: float) -> Distribution:
        """All samples of several windows in one, as of now."""
        whole = cls()
        whole._window.roll(now)
        for part in parts:
            part._window.roll(now)
            for bucket, count in enumerate(part._window.totals):
                if count:
                    whole._window.add(bucket, count)
        return whole

    def add(self, value: float, now: float) -> None:
        """Count a value; what is out of range goes to the nearest bucket."""
        self._window.roll(now)
        self._window.add(_bucket(value))
        self._summed = None

    def percentile(self, share: float, now: float) -> float | None:
        """The value that `share` of the samples (0 to 1) do not exceed; None without samples."""
        samples = self.samples(now)
        return _middle(bisect_left(self._sums, share * samples)) if samples else None

    def samples(self, now: float) -> int:
        """How many values the window holds."""
        self._window.roll(now)
        # The window makes new totals when it forgets, and `add` says so itself: running sums are rarely made.
        if self._summed is not self._window.totals:
            self._summed = self._window.totals
            self._sums = list(accumulate(self._summed))
        return self._sums[-1]


def _bucket(value: float) -> int:
    if value <= 0:
        return 0
    return min(max(int((log2(value) - _LOWEST) * _STEPS), 0), BUCKETS - 1)


def _middle(bucket: int) -> float:
    return float(2.0 ** ((bucket + 0.5) / _STEPS + _LOWEST))
