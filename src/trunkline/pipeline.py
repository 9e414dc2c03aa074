"""The life of one request, top to bottom, on one screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from trunkline.accounts.keys import Key, Keys
from trunkline.billing import Meter, lost
from trunkline.catalog.entries import Catalog
from trunkline.errors import GatewayError
from trunkline.protocol.events import Event
from trunkline.protocol.parse import parse
from trunkline.protocol.request import Request
from trunkline.routing.health import Health
from trunkline.routing.plan import Plan, Planner
from trunkline.routing.recent import Recent, Record
from trunkline.stopping import Stopping
from trunkline.stream.assemble import Assembler
from trunkline.stream.deltas import Delta, Stopped
from trunkline.telemetry import logs
from trunkline.upstream.aside import Aside
from trunkline.upstream.attempts import Run, Upstream

_DEAR_BYTES = 256_000
_DEAR_QUOTES = 4_000
"""From here on a request is parsed and encoded beside the loop, which serves others meanwhile. What costs is bytes and,
a thousand times more, values; nearly every value has a quote near it, and quotes are counted at no cost."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, as received, from a key that may be used.

    `take_body` gives the bytes away, once; `received_at` is Unix time, `deadline` on the loop's clock.
    """

    id: str
    key: Key
    session_id: str | None
    take_body: Callable[[], bytes | bytearray]
    body_bytes: int
    received_at: float
    deadline: float


@dataclass(frozen=True)
class Services:
    """What a request needs of the process; built once in `app.py`."""

    keys: Keys
    catalog: Catalog
    health: Health
    planner: Planner
    recent: Recent
    upstream: Upstream
    aside: Aside
    ids: Iterator[str]
    wall_clock: Callable[[], float]
    loop_clock: Callable[[], float]
    stopping: Stopping


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may be served: who asks, what for, and who will be asked; `is_dear`: saying it takes long."""

    call: Call
    request: Request
    plan: Plan
    is_dear: bool


@dataclass(slots=True)
class Answer:
    """What a call became once a provider has begun to answer.

    `failure` is set when the events end in a failure that came after that.
    """

    run: Run
    settlement: Settlement
    first: list[Delta]
    heard: AsyncGenerator[list[Delta], None]
    assembler: Assembler
    failure: GatewayError | None = None


async def admit(call: Call, services: Services) -> Admitted:
    """Decide whether and how to serve a call, without asking a provider.

    Raises a GatewayError: 400, 404.
    """
    body, session_id = call.take_body(), call.session_id
    is_dear = len(body) > _DEAR_BYTES or body.count(b'"') > _DEAR_QUOTES
    request = await services.aside.run(parse, body, session_id) if is_dear else parse(body, session_id)
    return Admitted(call, request, services.planner.plan(request, call.key.policy), is_dear)


async def respond(admitted: Admitted, services: Services) -> Answer:
    """Ask the providers, up to the first delta.

    Raises a GatewayError until then; afterwards nothing is raised and every fault is an event.
    """
    call = admitted.call
    run = services.upstream.run(
        admitted.plan, admitted.request, call.deadline, account=call.key.account_id, is_dear=admitted.is_dear
    )
    settlement = Settlement(run, admitted, services.recent)
    heard = run.deltas()
    try:
        first = settlement.price(await anext(heard))
    except BaseException as raised:
        error = services.stopping.translate(raised)
        settlement.end("failed" if isinstance(error, GatewayError) else "left")
        if error is raised:
            raise
        raise error from None
    return Answer(run, settlement, first, heard, new_assembler(admitted, services, run.answering.model.slug))


async def assembled(answer: Answer, admitted: Admitted, services: Services) -> AsyncGenerator[list[Event], None]:
    """Turn deltas into events, to the terminal one, whatever happens upstream, and settle.

    An error that is thrown in is told after the events that were on their way out.
    """
    settlement, assembler = answer.settlement, answer.assembler
    ending: logs.Ending = "left"
    events: list[Event] = []
    try:
        async with aclosing(answer.heard) as heard:
            events = assembler.feed(answer.first)
            if events and not _ends(answer.first):
                yield events
                events = []
            async for batch in heard:
                events += assembler.feed(settlement.price(batch))
                if events and not _ends(batch):
                    yield events
                    events = []
        ending = "ended"
        events += assembler.feed(settlement.rest())
        yield events + assembler.end(services.wall_clock())
    except (GatewayError, asyncio.CancelledError) as raised:
        error = services.stopping.translate(raised)
        if not isinstance(error, GatewayError):
            raise
        ending = "failed"
        answer.failure = error
        # What was heard until then the provider bills all the same.
        events += assembler.feed(settlement.rest())
        yield events + assembler.fail(error, services.wall_clock())
    finally:
        settlement.end(ending)


def _ends(batch: list[Delta]) -> bool:
    """Whether the terminal event follows at once: what comes with the end waits for it and leaves in one piece."""
    return type(batch[-1]) is Stopped


class Settlement:
    """Prices what one answer spends, estimates it where the provider did not say, and notes the end."""

    def __init__(self, run: Run, admitted: Admitted, recent: Recent) -> None:
        self._run = run
        self._admitted = admitted
        self._recent = recent
        self._meter = Meter(admitted.call.body_bytes)

    def price(self, batch: list[Delta]) -> list[Delta]:
        return self._meter.price(batch, self._run.answering)

    def rest(self) -> list[Delta]:
        return self._meter.close(self._run.answering)

    def end(self, ending: logs.Ending) -> None:
        """Note the end, however it came."""
        run, call = self._run, self._admitted.call
        if run.has_spoken:
            self.rest()
        outrun = [(each, lost(each.usage, call.body_bytes, each.endpoint)) for each in run.outrun] if run.outrun else ()
        logs.request_ended(call.id, ending, run.endpoint, run.attempted, outrun, self._meter.spent)
        record = Record(
            call.key.account_id,
            self._admitted.plan.explanation,
            run.endpoint if run.has_spoken else None,
            run.attempted,
            outrun,
        )
        self._recent.keep(call.id, record)


def failed(error: GatewayError, admitted: Admitted, services: Services) -> list[Event]:
    """The events of a stream that had to begin before a provider answered, when none did."""
    assembler = new_assembler(admitted, services, admitted.plan.attempts[0].model.slug)
    return assembler.fail(error, services.wall_clock())


def broken_off(error: GatewayError, answer: Answer, services: Services) -> list[Event]:
    """The last events of a stream that a defect of ours broke off; what the defect swallowed is not among them."""
    return answer.assembler.fail(error, services.wall_clock())


def new_assembler(admitted: Admitted, services: Services, model: str) -> Assembler:
    return Assembler(admitted.request, admitted.call.id, services.ids, admitted.call.received_at, model)
