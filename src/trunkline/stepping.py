"""What runs around the model, put around the course that asks it; and what an answer of several turns may spend.

Theory of operation. A hold covers one turn and `SEARCHES_HELD` searches. Where what is left of it does not pay for the
next turn and a search, or for the searches that a turn asks for, it is raised by what they and as many again cost, as
far as credit and cap allow. Where they do not, the next turn is the last: it may not search, is held for alone where
that is to be had, and is clamped to what is left. What it costs beyond that is the house's, as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from trunkline.billing import NO_FEE, Told
from trunkline.call import Admitted, Course, Reservation, Services
from trunkline.catalog.entries import Endpoint
from trunkline.money import NanoUsd
from trunkline.plugins.course import SearchCourse
from trunkline.plugins.healed import HealedCourse
from trunkline.plugins.moderated import ModeratedCourse
from trunkline.plugins.rounds import Rounds
from trunkline.plugins.searching import SearchStep
from trunkline.plugins.totals import Beside, Totals
from trunkline.plugins.truncating import Truncating
from trunkline.protocol.request import Request
from trunkline.reserving import SEARCHES_HELD, raise_hold
from trunkline.routing.estimate import estimate
from trunkline.routing.plan import led_by
from trunkline.upstream.attempts import Run

LEAST_TOKENS: Final = 16
"""The shortest answer that every provider takes as a limit."""


class Purse:
    """What an answer may still spend. `on_raised` is told by how much its hold was raised."""

    def __init__(
        self, step: SearchStep, admitted: Admitted, reservation: Reservation, services: Services, totals: Totals
    ) -> None:
        self._admitted, self._reservation, self._services, self._totals = admitted, reservation, services, totals
        self._price_nano = step.price_nano
        self._most_tokens = reservation.max_output_tokens or step.asked.max_output_tokens
        self.on_raised: Callable[[NanoUsd], None] = totals.raise_most

    async def turn_bounds(self, request: Request, added_bytes: int) -> tuple[bool, int | None]:
        """Whether the next turn may search, and how long it may be; its request has so many bytes more."""
        totals, most = self._totals, None
        if self._most_tokens is not None:
            most = max(self._most_tokens - totals.output_tokens, LEAST_TOKENS)
        if totals.left_nano is None:
            return True, most
        call, bounds = self._admitted.call, self._services.bounds
        body_bytes = call.body_bytes + added_bytes + int(totals.output_tokens * bounds.text_bytes_per_token)
        found = estimate(self._admitted.plan, request, body_bytes, bounds, counts_own=call.key.counts_own)
        ahead_nano = SEARCHES_HELD * self._price_nano
        may_search = await self._cover(found.least_nano + self._price_nano, found.floor_nano + ahead_nano)
        if not may_search and not await self._cover(found.floor_nano, found.floor_nano):
            await self._cover(found.least_nano, found.floor_nano)
        affordable = found.tokens_for(totals.left_nano)
        if affordable is not None:
            most = max(affordable if most is None else min(most, affordable), LEAST_TOKENS)
        return may_search, most

    async def grant_searches(self, count: int) -> bool:
        """Let so many more searches be made; False where they cannot be paid for."""
        needed_nano = count * self._price_nano
        return await self._cover(needed_nano, needed_nano + SEARCHES_HELD * self._price_nano)

    async def _cover(self, needed_nano: NanoUsd, wanted_nano: NanoUsd) -> bool:
        """See that so much may be spent, and where that is not so, hold what is wanted beside what was held."""
        left = self._totals.left_nano
        if left is None or needed_nano <= left:
            return True
        if self._reservation.held_nano is None:
            return False
        raised = await raise_hold(
            self._admitted.call, wanted_nano - left, needed_nano - left, self._totals.most_nano, self._services
        )
        if raised:
            self.on_raised(raised)
        return bool(raised)


def searching(
    step: SearchStep, admitted: Admitted, reservation: Reservation, services: Services
) -> tuple[SearchCourse, Totals, Purse]:
    """The course of a request with a search, and its account."""
    call = admitted.call
    fee = services.bounds.byok_fee
    totals = Totals(reservation.most_nano, Decimal(str(fee)) if fee else NO_FEE)
    if (files := admitted.steps.files) is not None:
        totals.beside = files.fees
    purse = Purse(step, admitted, reservation, services, totals)
    rounds = Rounds(step, services.ids)

    def ask(request: Request, before: Endpoint | None) -> Run:
        plan, planner = admitted.plan, services.planner
        if before is not None:
            # Where there is a newer list of models the answer keeps the endpoints and prices that it began with.
            if planner.catalog is admitted.catalog:
                plan = planner.plan(request, call.key.policy)
            plan = led_by(plan, before)
        is_clamped = admitted.request.max_output_tokens is None or admitted.request.limit_is_wish
        return Run(
            services.upstream,
            plan,
            request,
            call.deadline,
            call.key.owner,
            is_dear=admitted.is_dear,
            is_clamped=is_clamped,
            fitting=None if request.truncation != "auto" else Truncating(is_clamped=is_clamped),
            documents=None if files is None else files.documents,
        )

    assert services.engines is not None, "there is a search step without an engine"
    return SearchCourse(step, rounds, totals, purse, services.engines.search, ask, call.deadline), totals, purse


def beside(admitted: Admitted, reservation: Reservation, services: Services, told: Told | None) -> Beside | None:
    """The account of an answer for whose files an engine is paid; None where none is."""
    files = admitted.steps.files
    if files is None or files.documents is None:
        return None
    fee = services.bounds.byok_fee
    return Beside(admitted.request, files.fees, reservation.most_nano, Decimal(str(fee)) if fee else NO_FEE, told)


def stepped(course: Course, admitted: Admitted, services: Services) -> Course:
    """Put the healing around a course, and the check of what is told around that, where there is to be one."""
    healing, output = admitted.steps.healing, admitted.steps.output
    if healing is not None:
        course = HealedCourse(course, healing, services.aside)
    return course if output is None else ModeratedCourse(course, output)


def count_with(course: Course, count: Callable[[list[str]], None]) -> None:
    """Have the text that is left out of an answer counted, which the model wrote all the same."""
    if isinstance(course, ModeratedCourse):
        course.count = count
        course = course.course
    if isinstance(course, HealedCourse):
        course.count = count
