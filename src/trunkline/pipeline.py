"""The life of one request, top to bottom, on one screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from trunkline.call import Admitted, Call, Course, Reservation, Services, new_telling
from trunkline.errors import GatewayError
from trunkline.faces.contract import Telling, tell_whole
from trunkline.generation import Ending
from trunkline.preparing import prepared
from trunkline.pushing import Push, Pushing
from trunkline.reserving import is_bound as is_bound
from trunkline.reserving import reserve as reserve
from trunkline.settlement import Settlement, begin
from trunkline.stream.deltas import Delta
from trunkline.upstream.aside import is_dear


@dataclass(slots=True)
class Answer:
    """What a call became once a provider has begun to answer."""

    course: Course
    settlement: Settlement
    telling: Telling
    first: list[Delta]
    heard: AsyncGenerator[list[Delta], None]


async def admit(call: Call, services: Services, *, is_dry: bool = False) -> Admitted:
    """Decide whether and how to serve a call, without asking a provider; `is_dry`: without asking anybody.

    Raises a GatewayError: 400, 404.
    """
    parse, told = call.face.parse, (call.take_body(), call.session_id, call.said)
    asked = await services.aside.run(parse, *told) if (dear := is_dear(told[0])) else parse(*told)
    admitted = await prepared(call, call.key.complete(asked.request), services, is_dear=dear, is_dry=is_dry)
    return admitted if asked.form is None else Admitted(*admitted[:-1], asked.form)


async def respond(admitted: Admitted, reservation: Reservation, services: Services) -> Answer:
    """Ask the providers, up to the first delta.

    Raises a GatewayError until then; afterwards every fault of a stream is told in it.
    """
    course, settlement = begin(admitted, reservation, services)
    heard = course.deltas()
    try:
        first = settlement.price(await anext(heard))
    except BaseException as raised:
        raise settlement.fail(services.stopping.translate(raised)) from None
    return Answer(course, settlement, new_telling(admitted, services, course.answering.model.slug), first, heard)


async def respond_whole(admitted: Admitted, reservation: Reservation, services: Services) -> tuple[Course, bytes]:
    """Answer a client that wants no stream: how the answer came about, and the body that tells it.

    Raises a GatewayError where there is nothing to tell.
    """
    course, settlement = begin(admitted, reservation, services)
    try:
        heard, error = await course.whole()
        telling = new_telling(admitted, services, course.answering.model.slug)
        telling.feed(settlement.price(heard))
        body = tell_whole(telling, error, settlement.rest())
        await _settle(settlement, "ended" if error is None else "failed", telling, services)
    except BaseException as raised:
        raise settlement.fail(services.stopping.translate(raised)) from None
    return course, body


async def told(answer: Answer, services: Services, push: Push | None = None) -> AsyncGenerator[bytes, None]:
    """Tell a stream to its end, whatever happens upstream, and settle.

    With `push`, what goes on without waiting is sent by it, while the next piece is waited for; an empty piece says
    that there is no room for more, to be waited for. An error that is thrown in is told after what was on its way out.
    """
    settlement, telling, course = answer.settlement, answer.telling, answer.course
    piece = b""
    try:
        try:
            if piece := telling.feed(answer.first):
                yield piece
                piece = b""
            course.sink = None if push is None else Pushing(settlement, telling, push)
            async for batch in answer.heard:
                if not batch:
                    yield b""
                elif piece := telling.feed(settlement.price(batch)):
                    yield piece
                    piece = b""
        finally:
            await answer.heard.aclose()
        piece = telling.end(settlement.rest())
        await _settle(settlement, "ended", telling, services)
        while not telling.is_over:
            yield piece
            piece = telling.more()
        yield piece
    except (GatewayError, asyncio.CancelledError) as raised:
        # No other name: an error that a frame keeps keeps the frame, and all that was heard, until garbage is searched.
        raised = services.stopping.translate(raised)
        if not isinstance(raised, GatewayError):
            raise
        piece += telling.fail(raised, settlement.rest())
        await _settle(settlement, "failed", telling, services)
        yield piece
    finally:
        course.sink = None  # it holds what holds the course
        settlement.end("left")


async def _settle(settlement: Settlement, ending: Ending, telling: Telling, services: Services) -> None:
    """Have an answer on record, and kept where it was claimed, before its end is told."""
    if (generation := settlement.close(ending)) is not None:
        outcome = None if settlement.claim is None else settlement.outcome(settlement.claim, telling)
        await services.ledger.settle(generation, outcome)
