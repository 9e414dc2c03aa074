"""The life of one request, top to bottom, on one screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from trunkline.call import Admitted, Call, Course, Services
from trunkline.errors import GatewayError
from trunkline.generation import Ending
from trunkline.protocol.parse import parse
from trunkline.settlement import Settlement
from trunkline.stream.assemble import Assembler
from trunkline.stream.deltas import Delta
from trunkline.stream.telling import Telling
from trunkline.upstream.attempts import Run

_DEAR_BYTES = 256_000
_DEAR_QUOTES = 4_000
"""From here on a request is parsed and encoded beside the loop, which serves others meanwhile. What costs is bytes and,
a thousand times more, values; nearly every value has a quote near it, and quotes are counted at no cost."""


@dataclass(slots=True)
class Answer:
    """What a call became once a provider has begun to answer."""

    course: Course
    settlement: Settlement
    telling: Telling
    first: list[Delta]
    heard: AsyncGenerator[list[Delta], None]

    @property
    def provider(self) -> str:
        """The slug of the provider that answers."""
        return self.course.answering.provider.slug


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

    Raises a GatewayError until then; afterwards every fault of a stream is told in it.
    """
    key, deadline = admitted.call.key, admitted.call.deadline
    course = Run(
        services.upstream, admitted.plan, admitted.request, deadline, account=key.account_id, is_dear=admitted.is_dear
    )
    settlement = Settlement(course, admitted, services.note, services.wall_clock)
    heard = course.deltas()
    try:
        first = settlement.price(await anext(heard))
    except BaseException as raised:
        error = services.stopping.translate(raised)
        settlement.end("failed" if isinstance(error, GatewayError) else "left")
        try:
            raise error from None
        finally:
            del error  # it holds this frame; held by it in turn, all that was heard would wait for the garbage search
    return Answer(course, settlement, new_telling(admitted, services, course.answering.model.slug), first, heard)


async def told(answer: Answer, services: Services) -> AsyncGenerator[bytes, None]:
    """Tell an answer to its end, whatever happens upstream, and settle.

    An error that is thrown in is told after what was on its way out. A whole answer that the end of the process cuts
    short is told nothing of; the error is raised.
    """
    settlement, telling = answer.settlement, answer.telling
    ending: Ending = "left"
    piece = b""
    try:
        async with aclosing(answer.heard) as heard:
            if piece := telling.feed(answer.first):
                yield piece
                piece = b""
            async for batch in heard:
                if piece := telling.feed(settlement.price(batch)):
                    yield piece
                    piece = b""
        ending = "ended"
        piece = telling.end(settlement.rest())
        while not telling.is_over:
            yield piece
            piece = telling.more()
        yield piece
    except (GatewayError, asyncio.CancelledError) as raised:
        error = services.stopping.translate(raised)
        try:
            if not isinstance(error, GatewayError):
                ending = "left"
                raise error from None
            if not telling.is_ending:
                ending = "failed"
            if not telling.is_stream and error is not raised:
                raise error from None
            yield piece + telling.fail(error, settlement.rest())
        finally:
            del error
    finally:
        settlement.end(ending)


def new_telling(admitted: Admitted, services: Services, model: str) -> Telling:
    """Begin to tell an answer; nobody needs to have answered yet."""
    call, request = admitted.call, admitted.request
    assembler = Assembler(request, call.id, services.ids, call.received_at, model)
    return Telling(assembler, services.wall_clock, is_stream=bool(request.stream))
