"""The account of one answer: prices what it spends, and gives its end to the ledger once, however it comes.

Theory of operation. The account of an answer that comes to its end is *closed* first, and who tells the answer waits
until its record is kept and its hold resolved: whoever has seen an end can read what it cost. Where nobody waits any
more – the client left, or is told an error instead of an answer – its *end* is only handed over, which runs under
cancellation. Whatever comes second finds the account closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING

from trunkline import failpoints
from trunkline.accounts.idempotency import Claim, free
from trunkline.billing import NO_FEE, Meter, Told, lost
from trunkline.call import Admitted, Course, Reservation, Services
from trunkline.faces.contract import Telling
from trunkline.faces.kept_telling import KeptTelling
from trunkline.generation import Ending, Fee, Generation
from trunkline.money import NanoUsd
from trunkline.plugins.order import NO_STEPS
from trunkline.protocol.request import Request, request_within
from trunkline.routing.fallback import Outrun
from trunkline.store.batch import Outcome
from trunkline.stream.deltas import Delta, Spent
from trunkline.upstream.attempts import Run

if TYPE_CHECKING:
    from trunkline.plugins.searching import SearchStep
    from trunkline.plugins.totals import Beside, Totals
    from trunkline.upstream.asking import Fitting


class Settlement:
    """Prices what one answer spends and estimates it where nobody counted."""

    __slots__ = (
        "_call", "_course", "_has_rested", "_is_closed", "_meter", "_most_nano", "_noted", "_paid", "_plan",
        "_queued_s", "_request", "_reservation", "_services", "_totals", "claim", "count",
    )  # fmt: skip

    def __init__(
        self,
        course: Course,
        admitted: Admitted,
        reservation: Reservation,
        services: Services,
        totals: Totals | Beside | None = None,
        told: Told | None = None,
    ) -> None:
        """Open the account of a course; the `totals` are of one for which more is paid than one turn.

        `told` gives the request as an endpoint was told it, where that may be less than all of it.
        """
        call, request, self._plan, _, steps, *_ = admitted
        self._noted = steps.noted
        self._paid: Sequence[Fee] = () if steps.files is None else steps.files.fees
        self._course = course
        self._call = call
        self._reservation = reservation
        self._most_nano = reservation.most_nano
        self._services = services
        self._request = request
        self._queued_s = services.wall_clock() - call.received_at
        self._has_rested = self._is_closed = False
        self.claim = call.claim
        fee = services.bounds.byok_fee
        self._totals = totals
        self._meter: Meter | Totals | Beside
        if totals is None:
            # What nobody counts is estimated by what was asked: a file that was read is its text.
            asked = steps.asked or request
            self._meter = Meter(asked, reservation.most_nano, Decimal(str(fee)) if fee else NO_FEE, told)
        else:
            self._meter = totals
        self.count: Callable[[list[str]], None] = self._meter.count
        """Takes into account what went on with the text heard last."""

    def raise_hold(self, nano: NanoUsd) -> None:
        """Note that so much more is held, and may be charged."""
        held, most = self._reservation.held_nano, self._most_nano
        self._reservation = self._reservation._replace(held_nano=None if held is None else held + nano)
        self._most_nano = None if most is None else most + nano
        if self._totals is not None:
            self._totals.raise_most(nano)

    def price(self, batch: list[Delta]) -> list[Delta]:
        """Give the same deltas on, with what they cost."""
        course = self._course
        return self._meter.price(batch, course.answering, is_byok=course.is_byok)

    def rest(self) -> list[Delta]:
        """What nobody counted, once nothing more is heard."""
        self._has_rested = True
        return self._meter.close(self._course.answering, is_byok=self._course.is_byok)

    def fail(self, error: BaseException) -> BaseException:
        """Note that nothing is told but this error, which is charged for nothing, and give it back.

        What had come of an answer is charged to a client that left all the same, and what was paid before a model
        began.
        """
        if isinstance(error, Exception):
            paid_nano = sum(fee.nano for fee in self._paid) if self._paid else 0
            self._most_nano = paid_nano if self._most_nano is None else min(paid_nano, self._most_nano)
        self.end("failed" if isinstance(error, Exception) else "left")
        return error

    def end(self, ending: Ending) -> None:
        """Close the account, unless that was done, and let nobody wait for its record."""
        if not self._is_closed and (generation := self.close(ending)) is not None:
            self._services.ledger.settle_later(generation, None if self.claim is None else self.outcome(self.claim))

    def outcome(self, claim: Claim, telling: Telling | None = None) -> Outcome:
        """What becomes of the claim of the call: what is told to its end is kept, else it is free again."""
        claims, id = self._services.claims, self._call.id
        claims.leave(claim)
        if telling is None:
            return free(claim, id)
        assert isinstance(telling, KeptTelling)
        return claims.keep(claim, id, telling.kept(), is_stream=telling.is_stream)

    def close(self, ending: Ending) -> Generation | None:
        """Close the account, and give what is to be kept; None where that was done.

        What was heard until then the provider bills, however it ended.
        """
        if self._is_closed:
            return None
        self._is_closed = True
        if failpoints.armed and ending == "ended":
            failpoints.reach("answer.over")
        course = self._course
        if course.has_spoken:
            if course.held:
                self.price([*course.held])
            if not self._has_rested:
                self.rest()
        if (taken := self._reservation.taken) is not None:
            self._services.rates.give_back(taken, _tokens(self._meter.spent))
        generation = self._generation(ending)
        self._services.note(generation)
        return generation

    def _generation(self, ending: Ending) -> Generation:
        course, call, request, services = self._course, self._call, self._request, self._services
        reservation, meter = self._reservation, self._meter
        took_s = services.wall_clock() - call.received_at
        spoke = course.spoke if course.has_spoken and request.stream else None
        is_byok = course.is_byok
        counts = not is_byok or call.key.counts_own
        return Generation(  # by place: by name it costs six times as much
            call.id,
            call.key.account_id,
            call.key.id,
            ending,
            self._plan,
            course.endpoint,
            course.has_spoken,  # has_answered
            course.attempted,
            _with_losses(course.outrun, request) if course.outrun else (),
            course.dropped,
            meter.spent,
            call.received_at,
            took_s,
            request.model or (request.models[0] if request.models else ""),  # asked_model
            request.stream,  # is_stream
            is_byok,
            meter.stop,
            reservation.held_nano,
            self._most_nano,
            reservation.key_budget if counts else None,
            self._queued_s + course.waited_s,
            None if spoke is None else max(0.0, took_s - (services.loop_clock() - spoke)),  # first_token_s
            course.upstream_id,
            request.session_id,
            request.user,
            {**self._noted, **course.noted} if self._noted else course.noted,  # plugins
            (*self._paid, *course.fees) if self._paid else course.fees,
        )


def begin(admitted: Admitted, reservation: Reservation, services: Services) -> tuple[Course, Settlement]:
    """Get ready to ask for an answer, and open its account; nobody is asked before the first delta is."""
    call, request, plan, dear, steps, *_ = admitted
    is_open = request.max_output_tokens is None or request.limit_is_wish
    is_clamped = reservation.max_output_tokens is not None and is_open
    asked = request if steps is NO_STEPS else steps.asked or request
    if reservation.max_output_tokens is not None:
        asked = request_within(asked, reservation.max_output_tokens)
    if steps.search is not None:
        return _begin_searching(steps.search._replace(asked=asked), admitted, reservation, services)
    documents = None if steps.files is None else steps.files.documents
    fitting = None if request.truncation != "auto" else make_fitting(is_clamped=is_clamped)
    run = Run(
        services.upstream,
        plan,
        asked,
        call.deadline,
        call.key.owner,
        is_dear=dear,
        is_clamped=is_clamped,
        fitting=fitting,
        documents=documents,
    )
    told = None if fitting is None else run.told
    if steps is NO_STEPS or not steps.run_around:
        return run, Settlement(run, admitted, reservation, services, None, told)
    # Loaded with the first request that has steps: that takes a tenth of a start, and most gateways never have any.
    stepping = import_module("trunkline.stepping")
    course: Course = stepping.stepped(run, admitted, services)
    beside = stepping.beside(admitted, reservation, services, told)
    settlement = Settlement(course, admitted, reservation, services, beside, told)
    stepping.count_with(course, settlement.count)
    return course, settlement


def make_fitting(*, is_clamped: bool) -> Fitting:
    """Make what fits a request into the context of each endpoint; loaded with the first that may be made shorter."""
    made: Fitting = import_module("trunkline.plugins.truncating").Truncating(is_clamped=is_clamped)
    return made


def _begin_searching(
    step: SearchStep, admitted: Admitted, reservation: Reservation, services: Services
) -> tuple[Course, Settlement]:
    """Do the same for an answer with searches, which is priced turn by turn: those inside, all else around them."""
    stepping = import_module("trunkline.stepping")
    inner, totals, purse = stepping.searching(step, admitted, reservation, services)
    course: Course = stepping.stepped(inner, admitted, services)
    settlement = Settlement(course, admitted, reservation, services, totals)
    purse.on_raised = settlement.raise_hold
    return course, settlement


def _tokens(spent: Spent | None) -> int:
    """How many tokens were used, read and written."""
    return 0 if spent is None else spent.usage.input_tokens + spent.usage.output_tokens


def _with_losses(outrun: Sequence[Outrun], request: Request) -> list[tuple[Outrun, Spent]]:
    return [(each, lost(each.usage, request, each.endpoint, is_byok=each.is_byok)) for each in outrun]
