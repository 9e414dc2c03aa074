"""The turns of one request: at which endpoint it takes one or waits, where limits bind.

Theory of operation. The plan's order holds: the first endpoint that has a turn free, or no line, is asked. Where all of
them have lines and none a turn free, the request waits in the one in which that is shortest, as estimated. An endpoint
that is ejected is no way around a line, and is asked only by who would be refused otherwise. Where everybody was asked,
one that refused with a 429 and told how long to wait is waited for, and asked again while attempts are left. All waits
of a request together take no longer than one may, and end while there is time left for an attempt. An account's own key
stands in no line.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil

from trunkline.accounts.provider_keys import Owner
from trunkline.catalog.entries import Endpoint
from trunkline.errors import GatewayError, ServiceUnavailable, TooManyRequests
from trunkline.routing.fallback import MIN_ATTEMPT_S, RETRY_AFTER_S, Attempted, next_attempt
from trunkline.routing.health import Health
from trunkline.routing.meanings import MEANINGS
from trunkline.routing.plan import Plan
from trunkline.routing.turns import Line, Refused, Turn
from trunkline.upstream.lines import Lines


class Held:
    """A turn that a request has."""

    __slots__ = ("_endpoint", "_lines", "_turn")

    def __init__(self, lines: Lines, endpoint: Endpoint, turn: Turn) -> None:
        self._lines = lines
        self._endpoint = endpoint
        self._turn = turn

    def answered(self) -> None:
        """Note the first output."""
        if not self._turn.is_over:
            self._lines.answered(self._endpoint, self._turn)

    def end(self) -> None:
        """Give the turn back, once."""
        self._lines.leave(self._endpoint, self._turn)


class Taking:
    """Takes turns for one request; `refusal` is what it is told where there is none for it."""

    def __init__(
        self, lines: Lines, plan: Plan, health: Health, owner: Owner, deadline: float, attempted: Sequence[Attempted]
    ) -> None:
        """Prepare for a request; `attempted` is the list of attempts that failed, as it grows."""
        self._lines = lines
        self._plan = plan
        self._health = health
        self._owner = owner
        self._deadline = deadline
        self._attempted = attempted
        self._taken: Held | None = None
        self._held: list[Held] = []
        self.waited_s = 0.0
        self.refusal: GatewayError | None = None

    def take(self, place: int, now: float) -> bool:
        """Take the turn at a place of the plan if nobody has to be waited for; also true where none is needed."""
        endpoint = self._plan.attempts[place]
        line = self._line_at(place)
        if line is None:
            return True
        if not line.may_begin(endpoint.id, now):
            return False
        turn = line.ask(self._owner.account_id, self._owner.weight, endpoint.id, now, 0.0)
        assert isinstance(turn, Turn)
        self._keep(endpoint, turn)
        return True

    def hand_over(self) -> Held | None:
        """Give the turn that was taken last to the attempt it was taken for; None where none is needed there."""
        taken, self._taken = self._taken, None
        return taken

    def end(self) -> None:
        """Give all turns back that are still held."""
        for held in self._held:
            held.end()
        self._held.clear()

    async def choose(self, place: int | None, passed: Collection[int], now: float) -> int | None:
        """Choose whom to ask and take a turn there: at the place that the plan names next, if it can be, or at another.

        None where nobody is to be asked; then `refusal` says why, if it is for want of a turn.
        """
        bound: list[int] = []
        ejected: int | None = None
        skipped = {*passed}
        while place is not None:
            if bound and self._is_ejected(place, now) and self._is_free(place, now):
                ejected = place if ejected is None else ejected
            elif self.take(place, now):
                return place
            else:
                bound.append(place)
            skipped.add(place)
            place = self._next_place(skipped, now)
        is_again = not bound
        if is_again and (bound := self._refused_places(passed, now)):
            for each in bound:
                if self.take(each, now):
                    return each
        return await self._wait(bound, now, is_again=is_again, otherwise=ejected)

    async def _wait(self, bound: Sequence[int], now: float, *, is_again: bool, otherwise: int | None) -> int | None:
        if not bound:
            return None
        place = min(bound, key=lambda each: self._expected_s(each, now))
        endpoint, line = self._plan.attempts[place], self._line_at(place)
        assert line is not None
        patience_s = max(0.0, min(self._lines.wait_s - self.waited_s, self._deadline - now - MIN_ATTEMPT_S))
        try:
            turn = await self._lines.wait(endpoint, line, self._owner, patience_s, is_again=is_again)
        finally:
            self.waited_s += self._lines.clock() - now
        if isinstance(turn, Turn):
            self._keep(endpoint, turn)
            return place
        if otherwise is not None and self.take(otherwise, self._lines.clock()):
            return otherwise
        self.refusal = _refusal(endpoint, turn, line.waiting)
        return None

    def _keep(self, endpoint: Endpoint, turn: Turn) -> None:
        self._taken = Held(self._lines, endpoint, turn)
        self._held.append(self._taken)

    def _is_free(self, place: int, now: float) -> bool:
        line = self._line_at(place)
        return line is None or line.may_begin(self._plan.attempts[place].id, now)

    def _line_at(self, place: int) -> Line | None:
        if self._plan.is_byok and self._plan.is_byok[place]:
            return None
        return self._lines.find(self._plan.attempts[place])

    def _expected_s(self, place: int, now: float) -> float:
        line, endpoint = self._line_at(place), self._plan.attempts[place]
        return 0.0 if line is None else line.expected_s(self._owner.account_id, self._owner.weight, endpoint.id, now)

    def _is_ejected(self, place: int, now: float) -> bool:
        endpoint = self._plan.attempts[place]
        is_own = bool(self._plan.is_byok) and self._plan.is_byok[place]
        return self._health.is_ejected(
            endpoint.id, now, self._owner.ids.get(endpoint.provider.slug, "") if is_own else None
        )

    def _next_place(self, passed: Collection[int], now: float) -> int | None:
        return next_attempt(
            self._plan,
            self._attempted,
            self._health,
            now=now,
            remaining_s=self._deadline - now,
            passed=passed,
            own_keys=self._owner.ids,
        )

    def _refused_places(self, passed: Collection[int], now: float) -> list[int]:
        """Who refused for want of room alone, told for how long, and may be asked again."""
        attempted = self._attempted
        if not attempted or len(attempted) >= self._plan.max_attempts or self._deadline - now < MIN_ATTEMPT_S:
            return []
        closed = {each.endpoint.model.slug for each in attempted if MEANINGS[each.fault.kind].then == "next_model"}
        found: list[int] = []
        for place, endpoint in enumerate(self._plan.attempts):
            told = [each.fault for each in attempted if each.endpoint.id == endpoint.id and not each.is_byok]
            is_timed = bool(told) and all(each.kind == "limited" and each.retry_after is not None for each in told)
            if is_timed and endpoint.model.slug not in closed and place not in passed and self._line_at(place):
                found.append(place)
        return found


def _refusal(endpoint: Endpoint, refused: Refused, waiting: int) -> GatewayError:
    low, high = RETRY_AFTER_S
    wait_s = min(max(refused.wait_s, low), high)
    name, advice = endpoint.provider.name, f"Try again in {ceil(wait_s)} s, or name other models or providers as well."
    metadata = {"provider_name": name, "waiting": waiting}
    if refused.is_full:
        message = f"So many requests wait for {name} that no more may. {advice}"
        return ServiceUnavailable(message, metadata=metadata, retry_after=wait_s)
    message = f"{name} takes no more requests now, and this one's turn would come too late. {advice}"
    return TooManyRequests(message, metadata=metadata, retry_after=wait_s)
