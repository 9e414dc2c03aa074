"""Who is served next where an upstream takes no more at once: fair turns among accounts, as a machine without a clock.

It asks nobody and waits for nothing (`upstream/lines.py` does), and knows no request, only whose it is.

Theory of operation. A *line* is of one endpoint, or of a provider whose limit all of its endpoints share. A request
asks for a *turn*, and has it at once while the limits let it and nobody waits; else it waits, or is told how long that
would be. A limit is a *gate* that a turn goes through, and a turn at an endpoint of a limited provider may go through
two. A gate knows up to four things: how many turns it lets be *held* at once, how many it lets begin in a minute, until
when the upstream wants to be left alone, and how many at once have worked lately.

    asks ──▶ held ──▶ over           a gate is open, nobody waits
      │        ▲
      ├──▶ waiting ──▶ over          its client left, or its time was up
      └──▶ refused                   it would be too long, or the line is full

*Fairness.* When a gate opens, the turn goes to the account that holds the fewest for its weight. Where several hold
alike, or nothing is counted but beginnings, the earliest of their tags decides: each turn moves an account's tag on by
1/weight, and one that has waited for nothing starts from where the line is, so nobody saves up turns (start-time fair
queueing, Goyal and others 1996). Within an account the first come is the first served. No turn is kept from somebody
who may have it for the sake of another who may not (a line is work-conserving), and none that is held is taken away: so
an account may be ahead of its share by what it held when another came, and by one turn at most of what is given since.

*Room.* So many may wait in a line, and no account may have more waiting than there is room left for all others: whoever
is alone gets half of it, a second half of the rest.

*The estimate* of a wait supposes that a turn lasts as long as turns did lately, and one that already lasts longer for
as long again; ahead of a newcomer are the turns of its account, and of every other as many as its weight gives it
meanwhile. Others will come that have a better claim: so it is at least what the account waits for its turns at the pace
at which they came lately. It errs when that changes, so a tenth of what somebody has time for is left over.

*What the upstream says.* A 429 that tells a time, and a header that says that nothing is left, close the gate of the
endpoint for that time. Then it opens slowly: one turn, the probe; with its first output half as many at once as were
held when it closed; from then on one more for each round of answers, until it closes again. Where it is not known how
many ever worked, one more for each answer. While it is closed for longer than anybody may wait, a turn every five
seconds is let through all the same: a wrong word of a provider's must not shut its endpoint for an hour.

*Several processes* each have lines of their own, and of what is counted their share, one at least.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from math import ceil, inf
from typing import Final, NamedTuple

from trunkline.routing.health import COOL_DOWN_S

ROOM_S: Final = 10.0
"""As much as comes back in this time may begin at once, of what is counted by the minute."""

PROBE_EVERY_S: Final = 5.0
REMEMBERED_S: Final = 60.0
"""So long after a gate has opened again it is remembered that the upstream closed it."""

_LOOKED_AT: Final = 256
"""Of more turns than this it is not looked at how long each is held already."""

_SURE: Final = 0.9
_STALE_CLAIMS: Final = 64
_LEARNING: Final = 1 / 8
_PACING: Final = 1 / 32


class Limit(NamedTuple):
    """What an upstream takes, as its operator says: requests at once, and by the minute; None where it is unbounded."""

    concurrency: int | None = None
    per_minute: int | None = None


UNLIMITED: Final = Limit()


class Refused(NamedTuple):
    """Nobody may wait: it would be `wait_s`, as estimated; or, `is_full`, too many wait already."""

    wait_s: float
    is_full: bool = False


Claim = tuple[float, float, int]
"""What an account holds for its weight, its tag, and the number of its first turn; the least goes first."""


class Turn:
    """One request's turn at an endpoint: waiting while `began` is None, then held, until it `is_over`."""

    __slots__ = ("account", "began", "endpoint_id", "gates", "has_answered", "is_over", "number")

    def __init__(self, number: int, account: str, endpoint_id: str) -> None:
        self.number = number
        self.account = account
        self.endpoint_id = endpoint_id
        self.began: float | None = None
        self.gates: Sequence[_Gate] = ()
        self.has_answered = False
        self.is_over = False

    def has_begun(self) -> bool:
        """Whether it is, or was, held."""
        return self.began is not None


class Line:
    """Those who wait for one endpoint or provider, and those whose turn it is.

    `whole` is the limit of all its endpoints together, `limits` are those of single ones by their ids; `room` is how
    many may wait. `sharers` tells how many processes have a line like this one. Times are seconds on the caller's
    clock. What a call gives back are the turns that begin by it.
    """

    def __init__(
        self, whole: Limit, limits: Mapping[str, Limit], room: int, sharers: Callable[[], int] = lambda: 1
    ) -> None:
        self._whole = _Gate(whole) if whole != UNLIMITED else None
        self._gates = {id: _Gate(limit) for id, limit in limits.items()}
        self._room = room
        self._sharers = sharers
        self._accounts: dict[str, _Account] = {}
        self._waiting: dict[str, _Account] = {}
        self._standing: dict[int, Turn] = {}
        self._claims: dict[str, list[Claim]] = {}
        self._numbers = 0
        self._tag = 0.0
        self.waiting = 0

    def may_begin(self, endpoint_id: str, now: float) -> bool:
        """Whether a turn asked for now would be held at once."""
        return self._is_open(endpoint_id, now) and endpoint_id not in self._claims

    def ask(
        self, account_id: str, weight: float, endpoint_id: str, now: float, patience_s: float, *, is_again: bool = False
    ) -> Turn | Refused:
        """Ask for a turn, to wait for it for `patience_s` at most; with `is_again` before all others of the account."""
        account = self._accounts.get(account_id) or _Account(weight)
        if account.weight != weight:
            account.weight = weight
            self._claim(account)
        if not self._waiting:
            self._forget(now)
        begins = self.may_begin(endpoint_id, now)
        if not begins:
            wait_s = self._expected_s(account, endpoint_id, now)
            is_too_long = wait_s > patience_s * _SURE
            begins = is_too_long and self._may_probe(endpoint_id, now, patience_s)
            if not begins and (is_too_long or account.waiting >= self._room - self.waiting):
                return Refused(wait_s, is_full=not is_too_long)
        self._accounts[account_id] = account
        self._numbers += 1
        turn = Turn(self._numbers, account_id, endpoint_id)
        if not account.waiting:
            account.tag = max(self._tag, account.finish)
        if begins:
            self._begin(turn, account, now)
        else:
            self._stand(turn, account, now, is_first=is_again)
        return turn

    def leave(self, turn: Turn, now: float) -> list[Turn]:
        """End a turn, whether it was waited for or held; ending it twice is ending it once."""
        if turn.is_over:
            return []
        turn.is_over = True
        account = self._accounts[turn.account]
        if turn.began is None:
            self._unstand(turn, account)
        else:
            account.held -= 1
            self._claim(account)
            for gate in turn.gates:
                gate.give_back(turn, now)
        if not account.held and not account.waiting:
            del self._accounts[turn.account]
        return self.serve(now)

    def answered(self, turn: Turn, now: float) -> list[Turn]:
        """Note the first output of a turn that is held."""
        if turn.has_answered or turn.began is None:
            return []
        turn.has_answered = True
        for gate in turn.gates:
            gate.answered(turn.began, now)
        return self.serve(now)

    def limited(self, endpoint_id: str, rest_s: float, now: float) -> None:
        """Note that the upstream wants no request for this endpoint for so long."""
        if endpoint_id not in self._gates:
            self._gates[endpoint_id] = _Gate(UNLIMITED)
        self._gates[endpoint_id].limited(rest_s, now)

    def serve(self, now: float) -> list[Turn]:
        """Begin all turns that may begin now."""
        served: list[Turn] = []
        while self._waiting and (turn := self._next(now)) is not None:
            account = self._accounts[turn.account]
            account.pace(now)
            self._unstand(turn, account)
            self._begin(turn, account, now)
            served.append(turn)
        return served

    def opens_at(self, now: float) -> float | None:
        """When to serve next, where time alone lets a turn begin; None where something has to end first."""
        times = []
        for endpoint_id in self._claims:
            gates = self._gates_of(endpoint_id)
            if not any(gate.is_full(self._sharers()) for gate in gates):
                times.append(max((gate.opens_at(now, self._sharers()) for gate in gates), default=now))
        return min(times, default=None)

    def expected_s(self, account_id: str, weight: float, endpoint_id: str, now: float) -> float:
        """How long a turn asked for now would be waited for."""
        if self.may_begin(endpoint_id, now):
            return 0.0
        return self._expected_s(self._accounts.get(account_id) or _Account(weight), endpoint_id, now)

    def is_forgettable(self, now: float) -> bool:
        """Whether nothing is limited here any more, and nobody is here."""
        gates = self._gates.values()
        return self._whole is None and not self._accounts and all(gate.is_forgettable(now) for gate in gates)

    def _forget(self, now: float) -> None:
        for gate in self._gates.values():
            gate.forget(now)

    def _gates_of(self, endpoint_id: str) -> Sequence[_Gate]:
        own = self._gates.get(endpoint_id)
        return [gate for gate in (self._whole, own) if gate is not None]

    def _is_open(self, endpoint_id: str, now: float) -> bool:
        sharers = self._sharers()
        return all(
            not gate.is_full(sharers) and gate.opens_at(now, sharers) <= now for gate in self._gates_of(endpoint_id)
        )

    def _may_probe(self, endpoint_id: str, now: float, patience_s: float) -> bool:
        """Whether a turn is let through a gate that the upstream closed for longer than anybody waits."""
        own = self._gates.get(endpoint_id)
        if own is None or not own.is_due_for_probe(now, patience_s):
            return False
        return self._whole is None or not self._whole.is_full(self._sharers())

    def _next(self, now: float) -> Turn | None:
        """Who among all that may begin has the best claim."""
        best = min((self._best_claim(each) for each in self._claims if self._is_open(each, now)), default=None)
        return None if best is None else self._standing[best[2]]

    def _best_claim(self, endpoint_id: str) -> Claim:
        """The best claim at an endpoint that is waited for, of those that still stand as they were made."""
        claims = self._claims[endpoint_id]
        while True:
            turn = self._standing.get(claims[0][2])
            if turn is not None:
                account = self._waiting[turn.account]
                if claims[0] == self._claim_of(account, endpoint_id):
                    return claims[0]
            heappop(claims)

    def _claim(self, account: _Account) -> None:
        """Note the claims of an account anew, after one of them, or what they are made of, changed."""
        for endpoint_id in account.turns:
            claims = self._claims.setdefault(endpoint_id, [])
            if len(claims) > 2 * len(self._waiting) + _STALE_CLAIMS:
                standing = (each for each in self._waiting.values() if endpoint_id in each.turns)
                claims[:] = [self._claim_of(each, endpoint_id) for each in standing]
                heapify(claims)
            else:
                heappush(claims, self._claim_of(account, endpoint_id))

    def _claim_of(self, account: _Account, endpoint_id: str) -> Claim:
        held = account.held / account.weight if self._counts_held(endpoint_id) else 0.0
        return held, account.tag, next(iter(account.turns[endpoint_id])).number

    def _counts_held(self, endpoint_id: str) -> bool:
        return any(gate.concurrency is not None for gate in self._gates_of(endpoint_id))

    def _begin(self, turn: Turn, account: _Account, now: float) -> None:
        turn.began = now
        turn.gates = self._gates_of(turn.endpoint_id)
        account.held += 1
        self._tag = max(self._tag, account.tag)
        account.finish = account.tag = account.tag + 1 / account.weight
        self._claim(account)
        for gate in turn.gates:
            gate.take(turn, now, self._sharers())

    def _stand(self, turn: Turn, account: _Account, now: float, *, is_first: bool) -> None:
        if not account.waiting:
            account.paced_at = now
        turns = account.turns.setdefault(turn.endpoint_id, OrderedDict())
        turns[turn] = None
        if is_first:
            turns.move_to_end(turn, last=False)
        account.waiting += 1
        self.waiting += 1
        self._waiting[turn.account] = account
        self._standing[turn.number] = turn
        if is_first or len(turns) == 1:
            self._claim(account)

    def _unstand(self, turn: Turn, account: _Account) -> None:
        turns = account.turns[turn.endpoint_id]
        del turns[turn]
        account.waiting -= 1
        self.waiting -= 1
        if not account.waiting:
            del self._waiting[turn.account]
        del self._standing[turn.number]
        if turns:
            self._claim(account)
            return
        del account.turns[turn.endpoint_id]
        if not any(turn.endpoint_id in each.turns for each in self._waiting.values()):
            del self._claims[turn.endpoint_id]

    def _expected_s(self, account: _Account, endpoint_id: str, now: float) -> float:
        sharers = self._sharers()
        longest = account.pace_s * (account.waiting + 1) if account.waiting else 0.0
        for gate in self._gates_of(endpoint_id):
            place = self._place(account, None if gate is self._whole else endpoint_id, gate.concurrency is not None)
            longest = max(longest, gate.expected_s(place, now, sharers))
        return longest

    def _place(self, account: _Account, endpoint_id: str | None, counts_held: bool) -> int:
        """The place, from 1, that a newcomer of an account has among those who wait for an endpoint, or for any."""
        own = account.waits_for(endpoint_id) + 1
        place, meanwhile = own, ((account.held if counts_held else 0) + own) / account.weight
        for other in self._waiting.values():
            if other is not account:
                claims = meanwhile * other.weight - (other.held if counts_held else 0)
                if claims > 0:
                    place += min(other.waits_for(endpoint_id), ceil(claims))
        return place


class _Account:
    """What a line knows of one account: the turns it holds, and those that it waits for, by endpoint."""

    __slots__ = ("finish", "held", "pace_s", "paced_at", "tag", "turns", "waiting", "weight")

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.held = 0
        self.waiting = 0
        self.tag = 0.0
        self.finish = 0.0
        self.pace_s = 0.0
        self.paced_at = 0.0
        self.turns: dict[str, OrderedDict[Turn, None]] = {}

    def pace(self, now: float) -> None:
        """Note that one of those that wait begins."""
        gap_s, self.paced_at = now - self.paced_at, now
        self.pace_s += (gap_s - self.pace_s) * (_PACING if self.pace_s else 1.0)

    def waits_for(self, endpoint_id: str | None) -> int:
        """How many of its turns at an endpoint, or at any, are waited for."""
        return self.waiting if endpoint_id is None else len(self.turns.get(endpoint_id, ()))


class _Gate:
    """One limit; what the upstream said of it is `window` and what belongs to that, None where it said nothing."""

    __slots__ = (
        "burst", "closed_at", "closed_until", "concurrency", "due", "holding", "interval_s", "mean_s", "probed_at",
        "window", "worked",
    )  # fmt: skip

    def __init__(self, limit: Limit) -> None:
        self.concurrency = limit.concurrency
        self.interval_s = 60.0 / limit.per_minute if limit.per_minute is not None else 0.0
        self.burst = max(1.0, ROOM_S / self.interval_s) if self.interval_s else inf
        self.holding: dict[Turn, None] = {}
        self.mean_s = 0.0
        self.due = -inf
        self.closed_at = self.closed_until = self.probed_at = -inf
        self.window: float | None = None
        self.worked = 1.0

    def is_full(self, sharers: int) -> bool:
        return len(self.holding) >= self._places(sharers)

    def opens_at(self, now: float, sharers: int) -> float:
        """When a turn may begin, apart from how many are held."""
        return max(self.closed_until, self._next_beginning(1, now, sharers) if self.interval_s else now)

    def take(self, turn: Turn, now: float, sharers: int) -> None:
        self.holding[turn] = None
        if self.interval_s:
            self.due = max(self.due, now) + self.interval_s * sharers
        if now < self.closed_until:
            self.probed_at = now

    def give_back(self, turn: Turn, now: float) -> None:
        del self.holding[turn]
        assert turn.began is not None
        lasted_s = now - turn.began
        self.mean_s += (lasted_s - self.mean_s) * (_LEARNING if self.mean_s else 1.0)

    def limited(self, rest_s: float, now: float) -> None:
        low, high = COOL_DOWN_S
        if now >= self.closed_until:
            # Of a burst that is refused each refusal says the same: the first of them closes.
            held = len(self.holding) if self.window is None else min(self.window, len(self.holding))
            self.worked = max(1.0, held / 2)
            self.window = 1.0
            self.closed_at = self.probed_at = now
        self.closed_until = max(self.closed_until, now + min(max(rest_s, low), high))

    def answered(self, began: float, now: float) -> None:
        if self.window is None or began < self.closed_at:
            return  # what began before the gate was closed says nothing of how it is now
        self.closed_until = min(self.closed_until, now)
        if self.window < self.worked:
            self.window = self.worked
        else:
            self.window += 1 / self.window if self.worked > 1 else 1.0

    def is_due_for_probe(self, now: float, patience_s: float) -> bool:
        is_shut = self.closed_until - now > patience_s
        return is_shut and not self.holding and now >= self.probed_at + PROBE_EVERY_S

    def forget(self, now: float) -> None:
        """Forget what the upstream said, once that is long ago."""
        if now >= self.closed_until + REMEMBERED_S:
            self.window, self.worked = None, 1.0

    def is_forgettable(self, now: float) -> bool:
        return self.concurrency is None and not self.interval_s and now >= self.closed_until + REMEMBERED_S

    def expected_s(self, place: int, now: float, sharers: int) -> float:
        """How long the one at this place among those who wait, from 1, waits here."""
        closed_s = max(0.0, self.closed_until - now)
        paced_s = self._next_beginning(place, now, sharers) - now if self.interval_s else 0.0
        held_s = self._until_free_s(place, now, sharers)
        return max(paced_s, closed_s + held_s if self.window is not None else max(closed_s, held_s))

    def _places(self, sharers: int) -> float:
        given = inf if self.concurrency is None else max(1, self.concurrency // sharers)
        return given if self.window is None else min(given, int(self.window))

    def _next_beginning(self, place: int, now: float, sharers: int) -> float:
        interval_s = self.interval_s * sharers
        burst = max(1.0, self.burst / sharers)
        return max(self.due, now) + (place - burst) * interval_s if self.due > -inf else now

    def _until_free_s(self, place: int, now: float, sharers: int) -> float:
        """How long until as many have ended as must before the one at this place begins."""
        places = self._places(sharers)
        if self.window is not None and now < self.closed_until:
            places = max(places, int(self.worked))
        ends = place - (places - len(self.holding))
        if ends <= 0:
            return 0.0
        rounds, nth = divmod(int(ends) - 1, max(1, len(self.holding)))
        if len(self.holding) > _LOOKED_AT:
            return self.mean_s * ends / len(self.holding)
        return self.mean_s * rounds + (sorted(self._lefts_s(now))[nth] if self.holding else self.mean_s)

    def _lefts_s(self, now: float) -> Iterator[float]:
        """How long each turn that is held is expected to last yet."""
        for turn in self.holding:
            assert turn.began is not None
            yield abs(self.mean_s - (now - turn.began))
