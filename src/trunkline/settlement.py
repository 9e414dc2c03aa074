"""The account of one answer: prices what it spends, and notes its end once, however it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trunkline.billing import Meter, lost
from trunkline.call import Call, Course
from trunkline.errors import GatewayError
from trunkline.generation import Ending, Generation
from trunkline.protocol.request import Request
from trunkline.routing.fallback import Outrun
from trunkline.routing.plan import Plan
from trunkline.stream.deltas import Delta, Spent


class Settlement:
    """Prices what one answer spends and estimates it where nobody counted. `end` runs under cancellation: no await."""

    def __init__(
        self,
        course: Course,
        call: Call,
        plan: Plan,
        note: Callable[[Generation], None],
        wall_clock: Callable[[], float],
        request: Request,
    ) -> None:
        self._course = course
        self._call = call
        self._plan = plan
        self._note = note
        self._wall_clock = wall_clock
        self._request = request
        self._meter = meter = Meter(request)
        self.count: Callable[[list[str]], None] = meter.count
        """Takes into account what went on with the text heard last."""

    def price(self, batch: list[Delta]) -> list[Delta]:
        """Give the same deltas on, with what they cost."""
        return self._meter.price(batch, self._course.answering)

    def rest(self) -> list[Delta]:
        """What nobody counted, once nothing more is heard."""
        return self._meter.close(self._course.answering)

    def fail(self, error: BaseException) -> BaseException:
        """Note that nothing is told but this error, and give it back."""
        self.end("failed" if isinstance(error, GatewayError) else "left")
        return error

    def end(self, ending: Ending) -> None:
        """Note the end. What was heard until then the provider bills, however it ended."""
        course, call = self._course, self._call
        if course.has_spoken:
            if course.held:
                self._meter.price([*course.held], course.answering)
            self._meter.close(course.answering)
        self._note(
            Generation(
                id=call.id,
                account_id=call.key.account_id,
                key_id=call.key.id,
                ending=ending,
                plan=self._plan,
                endpoint=course.endpoint,
                has_answered=course.has_spoken,
                attempted=course.attempted,
                outrun=_with_losses(course.outrun, self._request) if course.outrun else (),
                dropped=course.dropped,
                spent=self._meter.spent,
                received_at=call.received_at,
                took_s=self._wall_clock() - call.received_at,
            )
        )


def _with_losses(outrun: Sequence[Outrun], request: Request) -> list[tuple[Outrun, Spent]]:
    return [(each, lost(each.usage, request, each.endpoint, is_byok=each.is_byok)) for each in outrun]
