"""The life of one request, top to bottom, on one screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from trunkline.call import Admitted, Call, Course, Services, new_telling
from trunkline.errors import GatewayError
from trunkline.generation import Ending
from trunkline.protocol.parse import parse
from trunkline.pushing import Push, Pushing
from trunkline.settlement import Settlement
from trunkline.stream.deltas import Delta
from trunkline.stream.telling import Telling
from trunkline.upstream.aside import is_dear
from trunkline.upstream.attempts import Run


@dataclass(slots=True)
class Answer:
    """What a call became once a provider has begun to answer."""

    course: Course
    settlement: Settlement
    telling: Telling
    first: list[Delta]
    heard: AsyncGenerator[list[Delta], None]


async def admit(call: Call, services: Services) -> Admitted:
    """Decide whether and how to serve a call, without asking a provider.

    Raises a GatewayError: 400, 404.
    """
    body, session_id = call.take_body(), call.session_id
    dear = is_dear(body)
    request = await services.aside.run(parse, body, session_id) if dear else parse(body, session_id)
    return Admitted(call, request, services.planner.plan(request, call.key.policy), dear)


async def respond(admitted: Admitted, services: Services) -> Answer:
    """Ask the providers, up to the first delta.

    Raises a GatewayError until then; afterwards every fault of a stream is told in it.
    """
    course, settlement = _begin(admitted, services)
    heard = course.deltas()
    try:
        first = settlement.price(await anext(heard))
    except BaseException as raised:
        raise settlement.fail(services.stopping.translate(raised)) from None
    return Answer(course, settlement, new_telling(admitted, services, course.answering.model.slug), first, heard)


async def respond_whole(admitted: Admitted, services: Services) -> tuple[Course, bytes]:
    """Answer a client that wants no stream: how the answer came about, and the body that tells it.

    Raises a GatewayError where there is nothing to tell.
    """
    course, settlement = _begin(admitted, services)
    try:
        heard, error = await course.whole()
        telling = new_telling(admitted, services, course.answering.model.slug)
        telling.feed(settlement.price(heard))
        rest = settlement.rest()
        body = telling.end(rest) if error is None else telling.fail(error, rest)
    except BaseException as raised:
        raise settlement.fail(services.stopping.translate(raised)) from None
    settlement.end("ended" if error is None else "failed")
    return course, body


async def told(answer: Answer, services: Services, push: Push | None = None) -> AsyncGenerator[bytes, None]:
    """Tell a stream to its end, whatever happens upstream, and settle.

    With `push`, what goes on without waiting is sent by it, while the next piece is waited for; an empty piece says
    that there is no room for more, to be waited for. An error that is thrown in is told after what was on its way out.
    """
    settlement, telling, course = answer.settlement, answer.telling, answer.course
    ending: Ending = "left"
    piece = b""
    try:
        async with aclosing(answer.heard) as heard:
            if piece := telling.feed(answer.first):
                yield piece
                piece = b""
            course.sink = None if push is None else Pushing(settlement, telling, push)
            async for batch in heard:
                if not batch:
                    yield b""
                elif piece := telling.feed(settlement.price(batch)):
                    yield piece
                    piece = b""
        ending = "ended"
        piece = telling.end(settlement.rest())
        while not telling.is_over:
            yield piece
            piece = telling.more()
        yield piece
    except (GatewayError, asyncio.CancelledError) as raised:
        # No other name: an error that a frame keeps keeps the frame, and all that was heard, until garbage is searched.
        raised = services.stopping.translate(raised)
        if not isinstance(raised, GatewayError):
            ending = "left"
            raise
        if not telling.is_ending:
            ending = "failed"
        yield piece + telling.fail(raised, settlement.rest())
    finally:
        course.sink = None  # it holds what holds the course
        settlement.end(ending)


def _begin(admitted: Admitted, services: Services) -> tuple[Course, Settlement]:
    call, request, plan, dear = admitted
    course = Run(services.upstream, plan, request, call.deadline, account=call.key.account_id, is_dear=dear)
    return course, Settlement(course, call, plan, services.note, services.wall_clock, request)
