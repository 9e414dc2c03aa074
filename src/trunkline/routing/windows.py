"""Counters and percentiles over the last while, in bounded memory; what they count is `health.py`'s business.

Theory of operation. Time is cut into slices of equal length, numbered from the epoch. A window keeps the counts of its
last slices in a ring, and beside it the totals of those that are over: counting touches the present slice alone, which
joins the totals when the next one begins, and one that grows too old is subtracted from them once. Every request
counts and few read, so that reading adds the two. Memory depends on the length of the window alone. A window covers
between `slices - 1` and `slices` slices.

A percentile comes from a histogram whose buckets grow by a constant factor, so its error is a share of the value:
at most 6 %, whatever the distribution.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import log2
from operator import add, sub
from typing import Final, Literal

_STEPS: Final = 6  # buckets to a doubling: neighbours differ by 12 %
_LOWEST: Final = -10  # 2^-10: a millisecond, or one token in 17 minutes
_OCTAVES: Final = 24  # up to 2^14: four and a half hours, or 16,384 tokens per second
BUCKETS: Final = _STEPS * _OCTAVES


class Window:
    """Counts in `width` columns over the last `slices` slices of `slice_s` seconds."""

    __slots__ = ("_over", "_per_s", "_present", "_slices", "_turn", "_typecode", "_width")

    def __init__(self, width: int, slices: int, slice_s: float, typecode: Literal["I", "q"] = "I") -> None:
        self._width = width
        self._per_s = 1 / slice_s
        self._typecode = typecode
        self._slices: list[array[int] | None] = [None] * slices
        self._turn = 0
        self._present: array[int] | None = None
        self._over = [0] * width

    def counts(self, now: float) -> array[int]:
        """The columns of the present slice, to count in; a clock that goes back changes nothing."""
        turn = int(now * self._per_s)
        if turn > self._turn:
            self._turn_to(turn)
        present = self._present
        return self._begin() if present is None else present

    def totals(self, now: float) -> Sequence[int]:
        """What each column counted in the whole window."""
        self.roll(now)
        return self._over if self._present is None else list(map(add, self._over, self._present))

    def roll(self, now: float) -> int:
        """Forget what is too old. The number of the present slice."""
        turn = int(now * self._per_s)
        if turn > self._turn:
            self._turn_to(turn)
        return self._turn

    def _begin(self) -> array[int]:
        present = self._present = array(self._typecode, [0]) * self._width
        return present

    def _turn_to(self, turn: int) -> None:
        ring, over, present = self._slices, self._over, self._present
        if present is not None:
            ring[self._turn % len(ring)] = present
            over = list(map(add, over, present))
        for passed in range(self._turn + 1, min(turn, self._turn + len(ring)) + 1):
            place = passed % len(ring)
            counts = ring[place]
            if counts is not None:
                over = list(map(sub, over, counts))
                ring[place] = None
        self._over = over
        self._turn = turn
        self._present = None


class Distribution:
    """A histogram of positive numbers over a window: five minutes unless told."""

    __slots__ = ("_summed", "_sums", "_window")

    def __init__(self, slices: int = 10, slice_s: float = 30.0, window: type[Window] = Window) -> None:
        self._window = window(BUCKETS, slices, slice_s)
        self._summed = -1
        self._sums: list[int] = []

    @classmethod
    def merged(cls, parts: Iterable[Distribution], now: float) -> Distribution:
        """All samples of several windows in one, as of now."""
        whole = cls()
        counts = whole._window.counts(now)
        for part in parts:
            for bucket, count in enumerate(part._window.totals(now)):
                counts[bucket] += count
        return whole

    def add(self, value: float, now: float) -> None:
        """Count a value; what is out of range goes to the nearest bucket."""
        bucket = int((log2(value) - _LOWEST) * _STEPS) if value > 0 else 0
        self._window.counts(now)[min(max(bucket, 0), BUCKETS - 1)] += 1
        self._summed = -1

    def percentile(self, share: float, now: float) -> float | None:
        """The value that `share` of the samples (0 to 1) do not exceed; None without samples."""
        samples = self.samples(now)
        return _middle(bisect_left(self._sums, share * samples)) if samples else None

    def samples(self, now: float) -> int:
        """How many values the window holds."""
        # Running sums hold until a slice is forgotten or a value is added.
        turn = self._window.roll(now)
        if self._summed != turn:
            self._summed = turn
            self._sums = list(accumulate(self._window.totals(now)))
        return self._sums[-1]


class JointWindow(Window):
    """A window whose totals are its own counts and those that others told; what is told of it are its own alone."""

    __slots__ = ("_heard",)

    def __init__(self, width: int, slices: int, slice_s: float, typecode: Literal["I", "q"] = "I") -> None:
        super().__init__(width, slices, slice_s, typecode)
        self._heard: list[int] | None = None

    def totals(self, now: float) -> Sequence[int]:
        """What each column counted in the whole window, here and elsewhere."""
        own = super().totals(now)
        return own if self._heard is None else list(map(add, own, self._heard))

    def own_totals(self, now: float) -> Sequence[int]:
        """What each column counted here in the whole window."""
        return super().totals(now)

    def hear(self, heard: list[int] | None) -> None:
        """Take what others counted in the place of what they had told; None where they told nothing."""
        self._heard = heard


class JointDistribution(Distribution):
    """A histogram of its own values and of those that others told."""

    __slots__ = ()

    _window: JointWindow

    def __init__(self) -> None:
        super().__init__(window=JointWindow)

    def own_counts(self, now: float) -> tuple[int, ...]:
        """Its own values: each bucket that holds some, followed by how many."""
        counts = self._window.own_totals(now)
        return tuple([number for pair in enumerate(counts) if pair[1] for number in pair])

    def hear(self, heard: list[int] | None) -> None:
        """Take the buckets of others in the place of those they had told; None where they told nothing."""
        self._window.hear(heard)
        self._summed = -1


def _middle(bucket: int) -> float:
    return float(2.0 ** ((bucket + 0.5) / _STEPS + _LOWEST))
