"""Who may have how many of a scarce number of places, so that nobody's slow work holds up everybody else's.

What the places are for, and what is done in one, is the caller's.

Theory of operation. Nobody may hold more places than are left free for all the others. So whoever is alone gets half
of them, a second half of the rest, and there is nearly always one for somebody who has none yet. The rule holds
twice: between accounts, and between the requests of an account over what the account may still take. Apart from that
each server is bounded by a number, whatever its names are. Who has to wait stands in no line: a place that comes free
goes to the one among those who may have it whose account, then whose request, holds the fewest.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Claim:
    """For whom a place is wanted: an account, one request of it, and the servers and networks that it keeps busy."""

    account: Hashable
    request: Hashable
    servers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()


class Shares:
    """Counts who holds places, and says who may have another. No clock, no waiting."""

    def __init__(self, total: int, per_server: int | None = None) -> None:
        self._total = total
        self._per_server = per_server
        self._taken = 0
        self._accounts: Counter[Hashable] = Counter()
        self._requests: Counter[Hashable] = Counter()
        self._servers: Counter[str] = Counter()
        self._networks: Counter[str] = Counter()

    def may_take(self, claim: Claim) -> bool:
        """Whether there is a place for this claim now."""
        free = self._total - self._taken
        spare = free - self._accounts[claim.account]
        # With each place it takes, an account holds one more and leaves one less: half of what it could spare is its.
        if self._requests[claim.request] >= (spare + 1) // 2:
            return False
        if any(self._networks[network] >= free for network in claim.networks):
            return False
        return self._per_server is None or all(self._servers[server] < self._per_server for server in claim.servers)

    def take(self, claim: Claim) -> None:
        """Note that the claim has a place."""
        self._taken += 1
        self._accounts[claim.account] += 1
        self._requests[claim.request] += 1
        self._servers.update(claim.servers)
        self._networks.update(claim.networks)

    def give_back(self, claim: Claim) -> None:
        """Note that the claim's place is free again."""
        self._taken -= 1
        _uncount(self._accounts, claim.account)
        _uncount(self._requests, claim.request)
        for server in claim.servers:
            _uncount(self._servers, server)
        for network in claim.networks:
            _uncount(self._networks, network)

    def weight(self, claim: Claim) -> tuple[int, int]:
        """How much the claim's account and request hold already; who holds less goes first."""
        return self._accounts[claim.account], self._requests[claim.request]


def _uncount(counts: Counter[T], key: T) -> None:
    """Count one down; who holds nothing is forgotten."""
    counts[key] -= 1
    if not counts[key]:
        del counts[key]


@dataclass(frozen=True, eq=False, slots=True)
class _Waiting:
    """Somebody who waits for a place."""

    claim: Claim
    is_served: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Places:
    """Places to wait for."""

    def __init__(self, total: int, per_server: int | None = None) -> None:
        self._shares = Shares(total, per_server)
        self._waiting: list[_Waiting] = []

    @asynccontextmanager
    async def taken(self, claim: Claim) -> AsyncIterator[None]:
        """Wait for a place and hold it."""
        await self.take(claim)
        try:
            yield
        finally:
            self.give_back(claim)

    async def take(self, claim: Claim) -> None:
        """Wait for a place; whoever gets it must give it back."""
        if self._shares.may_take(claim):
            self._shares.take(claim)
            return
        waiting = _Waiting(claim)
        self._waiting.append(waiting)
        try:
            await waiting.is_served
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:
                # It was served and cancelled in the same turn of the loop.
                self.give_back(claim)
            raise

    def give_back(self, claim: Claim) -> None:
        """Free a place, and serve those who may have one now."""
        self._shares.give_back(claim)
        while able := [each for each in self._waiting if self._shares.may_take(each.claim)]:
            served = min(able, key=lambda each: self._shares.weight(each.claim))
            self._waiting.remove(served)
            self._shares.take(served.claim)
            served.is_served.set_result(None)
