"""What limits are counted in: buckets that fill up with time, and places that requests hold while they are under way.

Theory of operation. A bucket is one whole number: the moment, in microseconds, at which all that was taken of it is
there again (the theoretical arrival time of GCRA, the generic cell rate algorithm). What is taken moves it on, time
alone brings it back, and a moment that has passed is a full bucket, which need not be kept. So nothing runs by the
clock, and the bucket of an hour ago costs no memory.

    take     moment = max(moment, now) + cost      refused where that is further than `room_us` ahead of now
    return   moment = moment − what of the cost has not come back by itself

What of a cost came back by itself is what lies before now: whoever returns a cost late returns less, so no bucket ever
holds more than it would, had less been taken at first. A cost that is more than was thought moves the moment on, past
the room if need be: a debt, which later requests wait for.

All that one request asks is granted or none of it, and what is asked and answered are plain numbers and names, so that
counters outside the process can do the same in one step of theirs. What the numbers mean is `accounts/rates.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple, Protocol

FEWEST_SWEPT: Final = 4_096
"""So many buckets are kept without looking for full ones among them."""

SWEPT_AT_ONCE: Final = 256
"""So many are looked at with one request, for a million at once would hold the loop."""


class Demand(NamedTuple):
    """What is asked of one bucket: `cost_us`, as long as at most `room_us` are taken of it then."""

    bucket: str
    cost_us: int
    room_us: int


class Place(NamedTuple):
    """One of `most` places, which the request holds until it gives it back."""

    name: str
    most: int


class Granted(NamedTuple):
    """All was taken. `full_at_us` says of each bucket when it is full again, on the clock of the counters."""

    full_at_us: Sequence[int]


class Denied(NamedTuple):
    """Nothing was taken. `taken_us` says what others have of each bucket; `full_place` which place is not free."""

    taken_us: Sequence[int]
    full_place: str | None = None


class Return(NamedTuple):
    """A change of what was taken of a bucket: `cost_us` is negative where it is given back.

    `full_at_us` is what the taking was told.
    """

    bucket: str
    cost_us: int
    full_at_us: int


class Buckets(Protocol):
    """The counters that limits are kept in."""

    def take(self, demands: Sequence[Demand], places: Sequence[Place], holder: str) -> Granted | Denied:
        """Take all that is asked or nothing; `holder` is who holds the places."""
        ...

    def give_back(self, returns: Sequence[Return], places: Sequence[Place], holder: str) -> None:
        """Correct what was taken, and free the places."""
        ...


class LocalBuckets:
    """The counters of one process. `clock_us` never goes back, whatever happens to the time of day."""

    def __init__(self, clock_us: Callable[[], int]) -> None:
        self._clock_us = clock_us
        self._moments: dict[str, int] = {}
        self._holders: dict[str, set[str]] = {}
        self._unswept: Iterator[str] | None = None
        self._most_kept = FEWEST_SWEPT

    def __len__(self) -> int:
        """How much is kept."""
        return len(self._moments) + len(self._holders)

    def take(self, demands: Sequence[Demand], places: Sequence[Place], holder: str) -> Granted | Denied:
        """Take all that is asked or nothing."""
        for name, most in places:
            if len(self._holders.get(name, ())) >= most:
                return Denied((), name)
        now = self._clock_us()
        moments = self._moments
        is_granted = True
        found = []
        for bucket, cost_us, room_us in demands:
            moment = moments.get(bucket, now)
            moment = (moment if moment > now else now) + cost_us
            found.append(moment)
            if moment - now > room_us:
                is_granted = False
        if not is_granted:
            return Denied([moment - demand.cost_us - now for moment, demand in zip(found, demands, strict=True)])
        for moment, demand in zip(found, demands, strict=True):
            moments[demand.bucket] = moment
        for name, _ in places:
            holders = self._holders.get(name)
            if holders is None:
                self._holders[name] = {holder}
            else:
                holders.add(holder)
        if self._unswept is not None or len(moments) > self._most_kept:
            self._sweep(now)
        return Granted(found)

    def note(self, demands: Sequence[Demand], places: Sequence[Place], holder: str) -> list[int]:
        """Count what was taken elsewhere, as far as there is room for it; when each bucket is full again."""
        now = self._clock_us()
        moments = self._moments
        found = []
        for bucket, cost_us, room_us in demands:
            before = moments.get(bucket, now)
            moment = (before if before > now else now) + cost_us
            if moment - now > room_us:
                moment = max(before, now + room_us)
            moments[bucket] = moment
            found.append(moment)
        for name, _ in places:
            self._holders.setdefault(name, set()).add(holder)
        if self._unswept is not None or len(moments) > self._most_kept:
            self._sweep(now)
        return found

    @property
    def holders(self) -> Mapping[str, Collection[str]]:
        """Who holds each place."""
        return self._holders

    def empty(self) -> list[tuple[str, int]]:
        """Forget the buckets, and give what is taken of each."""
        now = self._clock_us()
        found = [(bucket, moment - now) for bucket, moment in self._moments.items() if moment > now]
        self._moments.clear()
        self._unswept = None
        return found

    def give_back(self, returns: Sequence[Return], places: Sequence[Place], holder: str) -> None:
        """Correct what was taken, and free the places; those that the holder has not are left alone."""
        now = self._clock_us() if returns else 0
        for bucket, cost_us, full_at_us in returns:
            if cost_us < 0:
                cost_us = max(cost_us, min(now - full_at_us, 0))
            moment = max(self._moments.get(bucket, now), now) + cost_us
            if moment > now:
                self._moments[bucket] = moment
            else:
                self._moments.pop(bucket, None)
        for name, _ in places:
            holders = self._holders.get(name)
            if holders is not None:
                holders.discard(holder)
                if not holders:
                    del self._holders[name]

    def _sweep(self, now: int) -> None:
        """Forget some of the full buckets; once all were looked at, not before there are twice as many."""
        if self._unswept is None:
            self._unswept = iter(list(self._moments))
        moments = self._moments
        is_over = True
        for bucket in islice(self._unswept, SWEPT_AT_ONCE):
            is_over = False
            if moments.get(bucket, now) <= now:
                moments.pop(bucket, None)
        if is_over:
            self._unswept = None
            self._most_kept = max(FEWEST_SWEPT, 2 * len(moments))
