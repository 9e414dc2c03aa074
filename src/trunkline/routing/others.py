"""What other nodes told of endpoints, joined. It judges nothing; `joint.py` does, with what is known here beside it.

Theory of operation. A node tells of an endpoint what its own windows hold: figures of its own attempts alone, never
what it heard itself, so that nothing is counted twice. All that a node tells is numbered, and of each endpoint its
newest word is kept:

    a word of this node of this endpoint ──its number is higher than the one kept──▶ takes its place
                                         ──it is not──────────────────────────────▶ changes nothing

What is kept is thereby the same in whatever order words come, however they are put together and however often: the
join of two words is the newer one. A word that was lost is made good by the next.

There is no clock that nodes share. What is told are spans of time, and the age of a word is counted here from when it
came. One that is not told again is forgotten after `FORGET_S`, and with it all up to its number, so that an old message
that is sent anew stays old: the words of a node that is gone fade by themselves. The sums over all nodes are kept
beside and changed by the difference, so that whoever asks need not add.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from operator import add, sub
from typing import Annotated, Final, NamedTuple

from msgspec import Meta, Struct

from trunkline.routing.health import LONG_WIDTH, SHORT_WIDTH
from trunkline.routing.windows import BUCKETS

FORGET_S: Final = 60.0
MAX_NODES: Final = 256
MAX_GONE: Final = 1_000
"""So many nodes that are gone are remembered, to know their old messages by."""

_Operator = Callable[[int, int], int]
_Count = Annotated[int, Meta(ge=0, le=2**31)]
_Tokens = Annotated[int, Meta(ge=0, le=2**53)]
_Seconds = Annotated[float, Meta(ge=0, le=3600)]
_Buckets = Annotated[tuple[_Count, ...], Meta(max_length=2 * BUCKETS)]


class Told(Struct, frozen=True, gc=False, array_like=True, kw_only=True):
    """What one node knows of one endpoint by its own attempts.

    `short` and `long` are the columns of its windows; `latency` and `throughput` hold the number of each bucket that is
    not empty, followed by its count. `open_s` is how long its breaker stays open, `row_s` how long ago the faults
    that opened it began, `closed_s` how long ago a probe closed it, where that was lately. For `cooled_s` it is set
    aside, and for `own_cooled_s` to those who bring a key too.
    """

    endpoint_id: str
    short: tuple[_Count, _Count, _Count] = (0, 0, 0)
    long: tuple[_Count, _Count, _Tokens, _Tokens, _Count] = (0, 0, 0, 0, 0)
    latency: _Buckets = ()
    throughput: _Buckets = ()
    open_s: _Seconds = 0.0
    row_s: _Seconds = 0.0
    closed_s: _Seconds | None = None
    cooled_s: _Seconds = 0.0
    own_cooled_s: _Seconds = 0.0


class Sums(Struct, gc=False):
    """What all other nodes counted of one endpoint, in the columns of its windows and the buckets of its histograms."""

    short: list[int]
    long: list[int]
    latency: list[int]
    throughput: list[int]
    nodes: int = 0


class _Word(NamedTuple):
    number: int
    told: Told
    heard_at: float


class Others:
    """The newest word of each node of each endpoint; of endpoints that are not `known` here nothing is kept."""

    def __init__(self, known: Container[str]) -> None:
        self._known = known
        # Of each node oldest first by when it came, so that what is to be forgotten is in front.
        self._words: dict[str, dict[str, _Word]] = {}
        self._floors: dict[str, int] = {}
        self._sums: dict[str, Sums] = {}

    def know(self, known: Container[str]) -> None:
        """Keep words of these endpoints from now on; what is kept of others fades as if nobody told it any more."""
        self._known = known

    def hear(self, node: str, number: int, told: Told, now: float) -> bool:
        """Take a word of a node; whether it is new."""
        id = told.endpoint_id
        words = self._words.get(node)
        if words is None:
            if len(self._words) >= MAX_NODES:
                return False
            words = self._words[node] = {}
        kept = words.get(id)
        if number <= (self._floors.get(node, 0) if kept is None else kept.number):
            return False
        if id not in self._known or not _is_sound(told):
            return False
        # Most of what is told is told again, for it must not be forgotten.
        if kept is None or kept.told != told:
            self._count(told, add)
            if kept is not None:
                self._count(kept.told, sub)
        words.pop(id, None)
        words[id] = _Word(number, told, now)
        return True

    def forget(self, now: float) -> Iterator[str]:
        """Forget what was not told again for too long; the ids of the endpoints that this was about."""
        for node in [*self._words]:
            words = self._words[node]
            while words and (oldest := next(iter(words.values()))).heard_at <= now - FORGET_S:
                id = oldest.told.endpoint_id
                del words[id]
                self._count(oldest.told, sub)
                self._raise_floor(node, oldest.number)
                yield id
            if not words:
                del self._words[node]

    def sums(self, endpoint_id: str) -> Sums | None:
        """What others counted of an endpoint. The lists stay the same, with what changes in them, until it is None."""
        return self._sums.get(endpoint_id)

    @property
    def words(self) -> dict[tuple[str, str], tuple[int, Told]]:
        """All that is kept, by node and endpoint, with the number of the message that it came in."""
        return {
            (node, id): (word.number, word.told) for node, words in self._words.items() for id, word in words.items()
        }

    def _raise_floor(self, node: str, number: int) -> None:
        number = max(number, self._floors.pop(node, 0))
        if len(self._floors) >= MAX_GONE:
            del self._floors[next(iter(self._floors))]
        self._floors[node] = number

    def _count(self, told: Told, by: _Operator) -> None:
        sums = self._sums.get(told.endpoint_id)
        if sums is None:
            sums = Sums([0] * SHORT_WIDTH, [0] * LONG_WIDTH, [0] * BUCKETS, [0] * BUCKETS)
            self._sums[told.endpoint_id] = sums
        sums.short[:] = map(by, sums.short, told.short)
        sums.long[:] = map(by, sums.long, told.long)
        _count_buckets(sums.latency, told.latency, by)
        _count_buckets(sums.throughput, told.throughput, by)
        sums.nodes = by(sums.nodes, 1)
        if not sums.nodes:
            del self._sums[told.endpoint_id]


def _count_buckets(counts: list[int], told: Sequence[int], by: _Operator) -> None:
    for bucket, count in zip(told[::2], told[1::2], strict=True):
        counts[bucket] = by(counts[bucket], count)


def _is_sound(told: Told) -> bool:
    """Whether the numbers of histograms are buckets, each with its count."""
    return _are_buckets(told.latency) and _are_buckets(told.throughput)


def _are_buckets(told: Sequence[int]) -> bool:
    return not len(told) % 2 and max(told[::2], default=0) < BUCKETS
