"""Where requests wait for their turn at an endpoint: the lines of a process, driven by a clock.

Whose turn it is, is decided elsewhere (`routing/turns.py`), and at which endpoint a request waits (`taking.py`). Where
no limit binds there is no line, and nothing here is called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from trunkline.accounts.provider_keys import Owner
from trunkline.catalog.entries import Catalog, Endpoint
from trunkline.routing.plan import Plan
from trunkline.routing.turns import REMEMBERED_S, UNLIMITED, Limit, Line, Refused, Turn

_LEAST_ALARM_S: Final = 0.001


class Lines:
    """The lines of a process, by the slug of a provider that has a limit or else by the id of an endpoint.

    A request waits for `wait_s` at most, and `room` of them in a line; with a `wait_s` of 0 nobody waits, and what an
    upstream says of its limits makes no line. `clock` is the loop's. `sharers` tells how many processes share a limit.
    A line that an upstream's words made is gone when they are of no matter any more, within `looks_every_s`.
    """

    def __init__(
        self,
        wait_s: float,
        room: int,
        clock: Callable[[], float],
        sharers: Callable[[], int] = lambda: 1,
        *,
        looks_every_s: float = REMEMBERED_S,
    ) -> None:
        self.wait_s = wait_s
        self._looks_every_s = looks_every_s
        self._room = room
        self.clock = clock
        self._sharers = sharers
        self.lines: dict[str, Line] = {}
        self._waiters: dict[Turn, asyncio.Future[None]] = {}
        self._alarms: dict[str, asyncio.TimerHandle] = {}

    def add_limits(self, catalog: Catalog) -> None:
        """Make the lines of the endpoints whose limit the operator tells; those that are there stay as they are.

        A provider with a limit has its line from the beginning, whether it serves a model yet or not: the turns of an
        endpoint are all in one line, whichever models come and go.
        """
        limits: dict[str, dict[str, Limit]] = {}
        served = (*catalog.endpoints.values(), *catalog.by_name.values())
        endpoints = [each for found in served for each in found]
        of_all = (standing.provider for standing in catalog.standings.values())
        providers = {each.slug: each for each in (*of_all, *(each.provider for each in endpoints))}
        wholes = {slug: Limit(each.concurrency, each.requests_per_minute) for slug, each in providers.items()}
        wholes = {slug: whole for slug, whole in wholes.items() if whole != UNLIMITED}
        for endpoint in endpoints:
            own = Limit(endpoint.concurrency, endpoint.requests_per_minute)
            if own != UNLIMITED:
                slug = endpoint.provider.slug
                limits.setdefault(slug if slug in wholes else endpoint.id, {})[endpoint.id] = own
        for name in (*wholes, *limits):
            if name not in self.lines:
                self.lines[name] = self._new_line(wholes.get(name, UNLIMITED), limits.get(name, {}))

    def concern(self, plan: Plan, place: int | None) -> bool:
        """Whether a turn may be needed at a place of a plan, or be waited for after its last."""
        return place is None or self.find(plan.attempts[place]) is not None

    def find(self, endpoint: Endpoint) -> Line | None:
        """The line of an endpoint; None where nothing binds."""
        return self.lines.get(self._name_of(endpoint))

    def lines_as_json(self, attempts: Iterable[Endpoint], owner: Owner) -> list[dict[str, object]]:
        """Tell of each endpoint that has a line how many wait in it, and how long an account's next would, in ms."""
        now = self.clock()
        found = {each.id: line for each in attempts if (line := self.find(each)) is not None}
        return [
            {
                "endpoint": id,
                "waiting": line.waiting,
                "expected_wait_ms": round(line.expected_s(owner.account_id, owner.weight, id, now) * 1000),
            }
            for id, line in found.items()
        ]

    def limited(self, endpoint: Endpoint, rest_s: float) -> None:
        """Note that an upstream wants to be left alone for so long."""
        if not self.wait_s:
            return
        name = self._name_of(endpoint)
        line = self.lines.get(name)
        is_new, now = line is None, self.clock()
        if line is None:
            line = self.lines[name] = self._new_line(UNLIMITED, {})
        line.limited(endpoint.id, rest_s, now)
        self._wake(name, line, (), now)
        if is_new:
            self._remember(name)

    async def wait(
        self, endpoint: Endpoint, line: Line, owner: Owner, patience_s: float, *, is_again: bool = False
    ) -> Turn | Refused:
        """Wait for a turn, which whoever gets it must leave; Refused where there is none in time, mostly at once."""
        name, now = self._name_of(endpoint), self.clock()
        self._wake(name, line, line.serve(now), now)
        turn = line.ask(owner.account_id, owner.weight, endpoint.id, now, patience_s, is_again=is_again)
        if isinstance(turn, Refused) or turn.has_begun():
            return turn
        loop = asyncio.get_running_loop()
        self._waiters[turn] = is_over = loop.create_future()
        self._wake(name, line, (), now)
        end = loop.call_later(patience_s, _finish, is_over)
        try:
            await is_over
        except BaseException:
            self.leave(endpoint, turn)
            raise
        finally:
            end.cancel()
            del self._waiters[turn]
        if not turn.has_begun():
            self.leave(endpoint, turn)
            return Refused(line.expected_s(owner.account_id, owner.weight, endpoint.id, self.clock()))
        return turn

    def answered(self, endpoint: Endpoint, turn: Turn) -> None:
        """Note the first output of a turn."""
        name, now = self._name_of(endpoint), self.clock()
        line = self.lines[name]
        self._wake(name, line, line.answered(turn, now), now)

    def leave(self, endpoint: Endpoint, turn: Turn) -> None:
        """End a turn, waited for or held; ending it twice is ending it once."""
        if turn.is_over:
            return
        name, now = self._name_of(endpoint), self.clock()
        line = self.lines[name]
        self._wake(name, line, line.leave(turn, now), now)

    def _remember(self, name: str) -> None:
        """Keep a line for as long as what the upstream said is of any matter: where none binds, nothing is asked."""
        if self.lines[name].is_forgettable(self.clock()):
            del self.lines[name]
        else:
            asyncio.get_running_loop().call_later(self._looks_every_s, self._remember, name)

    def _new_line(self, whole: Limit, limits: dict[str, Limit]) -> Line:
        return Line(whole, limits, self._room, self._sharers)

    def _name_of(self, endpoint: Endpoint) -> str:
        slug = endpoint.provider.slug
        return slug if slug in self.lines else endpoint.id

    def _wake(self, name: str, line: Line, served: Iterable[Turn], now: float) -> None:
        """Tell those whose turn it is, and look again when time will have opened the line."""
        for turn in served:
            _finish(self._waiters[turn])
        if (alarm := self._alarms.pop(name, None)) is not None:
            alarm.cancel()
        if line.waiting and (at := line.opens_at(now)) is not None:
            loop = asyncio.get_running_loop()
            self._alarms[name] = loop.call_later(max(at - now, _LEAST_ALARM_S), self._look, name)

    def _look(self, name: str) -> None:
        now, line = self.clock(), self.lines[name]
        self._wake(name, line, line.serve(now), now)


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
