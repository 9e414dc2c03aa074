"""What runs around the model, put around the course that asks it; and what an answer of several turns may spend.

Theory of operation. A hold covers one turn and `SEARCHES_HELD` searches. Before more are made it is raised, once, by
what all that may follow cost. Each turn after the first has to go with what the turns before it left: it is clamped to
what that pays for, and where it would not pay for a search and a short answer, the turn is the last. What a turn costs
beyond that is the house's, as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from trunkline.billing import NO_FEE
from trunkline.call import Admitted, Course, Reservation, Services
from trunkline.catalog.entries import Endpoint
from trunkline.money import NanoUsd
from trunkline.plugins.course import SearchCourse
from trunkline.plugins.rounds import Rounds
from trunkline.plugins.searching import SearchStep
from trunkline.plugins.totals import Totals
from trunkline.protocol.request import Request
from trunkline.reserving import SEARCHES_HELD, raise_hold
from trunkline.routing.estimate import estimate
from trunkline.routing.plan import Plan, led_by
from trunkline.upstream.attempts import Run

LEAST_TOKENS: Final = 16
"""The shortest answer that every provider takes as a limit."""


class Purse:
    """What an answer may still spend. `on_raised` is told by how much its hold was raised."""

    def __init__(self, admitted: Admitted, reservation: Reservation, services: Services, totals: Totals) -> None:
        self._admitted, self._reservation, self._services, self._totals = admitted, reservation, services, totals
        self._covered = SEARCHES_HELD
        self.on_raised: Callable[[NanoUsd], None] = totals.raise_most

    def turn_bounds(self, request: Request, added_bytes: int) -> tuple[bool, int | None]:
        """Whether the next turn may search, and how long it may be; its request has so many bytes more."""
        totals, step = self._totals, self._admitted.steps.search
        most, first = None, self._reservation.max_output_tokens or self._admitted.request.max_output_tokens
        if first is not None:
            most = max(first - totals.output_tokens, LEAST_TOKENS)
        left = totals.left_nano
        if left is None or step is None:
            return True, most
        call, bounds = self._admitted.call, self._services.bounds
        body_bytes = call.body_bytes + added_bytes + int(totals.output_tokens * bounds.text_bytes_per_token)
        found = estimate(self._admitted.plan, request, body_bytes, bounds, counts_own=call.key.counts_own)
        affordable = found.tokens_for(left)
        if affordable is not None:
            most = max(affordable if most is None else min(most, affordable), LEAST_TOKENS)
        return found.least_nano + step.price_nano <= left, most

    async def grant_searches(self, made: int, more: int) -> bool:
        """Let so many more searches be made, `made` in all; False where they cannot be paid for."""
        step, held = self._admitted.steps.search, self._reservation.held_nano
        if step is None or not step.price_nano:
            return True
        if held is not None and made > self._covered:
            wanted, floor = ((count - self._covered) * step.price_nano for count in (step.most, made))
            raised = await raise_hold(self._admitted.call, wanted, floor, self._services)
            if not raised:
                return False
            self._covered += raised // step.price_nano
            self.on_raised(raised)
        left = self._totals.left_nano
        return left is None or more * step.price_nano <= left


def searching(
    step: SearchStep, admitted: Admitted, reservation: Reservation, services: Services, run: Run
) -> tuple[SearchCourse, Totals, Purse]:
    """The course of a request with a search, and its account; `run` is its first turn."""
    call = admitted.call
    fee = services.bounds.byok_fee
    totals = Totals(reservation.most_nano, Decimal(str(fee)) if fee else NO_FEE)
    purse = Purse(admitted, reservation, services, totals)
    rounds = Rounds(step, services.ids)

    def ask(request: Request, before: Endpoint | None) -> Run:
        if before is None and request is step.asked:
            return run
        plan: Plan = services.planner.plan(request, call.key.policy)
        return Run(
            services.upstream,
            plan if before is None else led_by(plan, before),
            request,
            call.deadline,
            call.key.owner,
            is_dear=admitted.is_dear,
            is_clamped=admitted.request.max_output_tokens is None,
        )

    assert services.engines is not None, "there is a search step without an engine"
    return SearchCourse(step, rounds, totals, purse, services.engines.search, ask, call.deadline), totals, purse


def stepped(course: Course, admitted: Admitted) -> Course:
    """Put the healing around a course, where there is to be one."""
    return course
