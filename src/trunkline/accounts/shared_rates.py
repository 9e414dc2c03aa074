"""Limits that all nodes count together on the board, and a node's own share of them for as long as it is away.

Theory of operation. What the board grants is counted here too, as of this node's share: the amount divided by the
number of nodes. So when the board is away a bucket begins with what this node took of it lately, and not full, and what
is under way here has its places. What is granted then is noted in the measure of the whole limit, and added to the
board when it is back: what each node let through meanwhile counts for all.

    board here     granted by the board       counted as of the share, as far as there is room
    board away     granted of the share       noted for the board

Either change lets through at most the amount once more: each node may have its whole share left though one of them took
all that the board gave; and the board may come back without anything that it knew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from trunkline.accounts.rates import Rate, Refused, Taken, asked_of, refused_by, returns_of
from trunkline.store.board import Board, BoardAway
from trunkline.store.board_buckets import NEVER_US, BoardBuckets
from trunkline.store.counters import Demand, Denied, Granted, LocalBuckets, Place, Return

MAX_IN_ONE_CALL: Final = 500


class SharedBuckets(Protocol):
    """Counters that all nodes count in; `store/board_buckets.py` has them."""

    @property
    def is_here(self) -> bool: ...

    async def take(self, demands: Sequence[Demand], places: Sequence[Place], holder: str) -> Granted | Denied:
        """Take all that is asked or nothing. Raises BoardAway."""
        ...

    def give_back(self, returns: Sequence[Return], places: Sequence[Place], holder: str) -> None: ...


def count_on(
    board: Board, clock_us: Callable[[], int], wall_clock: Callable[[], float], sharers: Callable[[], int]
) -> BoardCounters:
    """Count limits on a board, for as long as it is open."""
    share = LocalBuckets(clock_us)
    buckets = BoardBuckets(board, lambda: share.holders)
    counters = BoardCounters(buckets, share, clock_us, wall_clock, sharers)
    board.when_here(counters.carry)
    board.beside(buckets.keep)
    return counters


class BoardCounters:
    """Takes of the limits of requests on a board that all nodes share, else of this node's `share` of them.

    `clock_us` never goes back, `wall_clock` is Unix time, `sharers` tells how many nodes there are.
    """

    def __init__(
        self,
        board: SharedBuckets,
        share: LocalBuckets,
        clock_us: Callable[[], int],
        wall_clock: Callable[[], float],
        sharers: Callable[[], int],
    ) -> None:
        self._board = board
        self._share = share
        self._meanwhile = LocalBuckets(clock_us)
        self._clock_us = clock_us
        self._wall_clock = wall_clock
        self._sharers = sharers

    async def take(self, rates: tuple[Rate, ...], model: str, tokens: int, id: str) -> Taken | Refused:
        """Take of all limits that hold for a request, or of none; `tokens` is how many it may use at most."""
        asked = asked_of(rates, model, tokens, id, 1)
        try:
            answer = await self._board.take(asked.demands, asked.limits.places, id)
        except BoardAway:
            return self._take_share(asked, rates, model)
        if isinstance(answer, Denied):
            return refused_by(answer, asked, rates, self._wall_clock())
        asked.is_on_board = True
        asked.full_at_us = answer.full_at_us
        asked.share = share = asked_of(rates, model, tokens, id, self._sharers())
        share.full_at_us = self._share.note(share.demands, share.limits.places, id)
        return asked

    def give_back(self, taken: Taken, tokens_used: int | None) -> None:
        """Give back what was not used and take what was used beyond; None is for a request that was not made at all."""
        share = taken.share
        if taken.is_given_back or share is None:
            return
        taken.is_given_back = True
        self._share.give_back(returns_of(share, tokens_used), share.limits.places, taken.holder)
        returns, places = returns_of(taken, tokens_used), taken.limits.places
        if taken.is_on_board:
            self._board.give_back(returns, places, taken.holder)
        elif self._board.is_here:  # where it was added when the board came back
            self._board.give_back(self._clipped(returns), places, taken.holder)
        else:
            self._meanwhile.give_back(returns, (), taken.holder)

    def _take_share(self, asked: Taken, rates: tuple[Rate, ...], model: str) -> Taken | Refused:
        share = asked_of(rates, model, asked.tokens, asked.holder, self._sharers())
        answer = self._share.take(share.demands, share.limits.places, asked.holder)
        if isinstance(answer, Denied):
            return refused_by(answer, share, rates, self._wall_clock())
        share.full_at_us = answer.full_at_us
        asked.full_at_us = self._meanwhile.note(asked.demands, (), asked.holder)
        asked.share = share
        return asked

    def _clipped(self, returns: list[Return]) -> list[Return]:
        """What has not come back by itself yet, by the clock that it was taken on."""
        now = self._clock_us()
        return [
            Return(bucket, max(cost_us, min(now - full_at_us, 0)) if cost_us < 0 else cost_us, NEVER_US)
            for bucket, cost_us, full_at_us in returns
        ]

    def carry(self) -> None:
        """Add to the board what was granted without it."""
        granted = [Return(bucket, taken_us, NEVER_US) for bucket, taken_us in self._meanwhile.empty()]
        for start in range(0, len(granted), MAX_IN_ONE_CALL):
            self._board.give_back(granted[start : start + MAX_IN_ONE_CALL], (), "")
