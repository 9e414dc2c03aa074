"""What serves requests for an answer, whichever API they come by: the body in, JSON or server-sent events out.

One task serves a request; when the client leaves, it is cancelled at whatever phase it is. A stream begins with what
the first deltas say and is pushed from then on: each piece is written in the callback that received it, and this task
sleeps until there is something to decide, or until the client is too slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import lru_cache, partial

from trunkline import failpoints
from trunkline.call import NOTHING_RESERVED, Admitted, Course, Reservation, Services, new_telling
from trunkline.errors import GatewayError
from trunkline.faces.contract import Face, Lines, Telling
from trunkline.faces.lines import JSON, line
from trunkline.generation import Noted
from trunkline.pipeline import admit, is_bound, reserve, respond, respond_whole, told
from trunkline.server.body import Bounds
from trunkline.server.cycle import Cycle
from trunkline.server.intake import Intake
from trunkline.server.replays import begin_once
from trunkline.server.streams import EventStream


class AnswerRoute:
    """What serves one face."""

    def __init__(self, face: Face, services: Services, bounds: Bounds, intake: Intake) -> None:
        self.face = face
        self._services = services
        self._bounds = bounds
        self._intake = intake

    async def __call__(self, cycle: Cycle) -> None:
        """Serve one request."""
        body = self._intake.body()
        try:
            call = await self._intake.read(cycle, body)
            if call.claim is None:
                admitted = await admit(call, self._services)
                cycle.generation_id = call.id
                reservation = NOTHING_RESERVED
                if is_bound(call):
                    reservation = await reserve(admitted, self._services)
            elif (begun := await begin_once(call, call.claim, cycle, self._services)) is not None:
                admitted, reservation = begun
            else:
                return
            if admitted.request.stream:
                serving = self._serve_stream(admitted, reservation, cycle)
                del admitted  # what was asked is not kept while the answer lasts
                await serving
            else:
                course, answer = await respond_whole(admitted, reservation, self._services)
                lines = _lines(cycle, admitted, reservation) + _answer_lines(course, cycle)
                if noted := course.noted:
                    lines += _healed_line(noted)
                cycle.whole(200, JSON + lines, answer)
            if failpoints.armed:
                failpoints.reach("end.told")
        finally:
            body.close()

    async def _serve_stream(self, admitted: Admitted, reservation: Reservation, cycle: Cycle) -> None:
        lines = _lines(cycle, admitted, reservation)
        stream = EventStream(cycle, lines, self._bounds.grace_s, self._bounds.keep_alive_s)
        cycle.fields = ()  # a stream may last
        cycle.break_off = partial(_end_unheard, stream, admitted, self._services)
        try:
            answer = await respond(admitted, reservation, self._services)
            cycle.break_off = partial(_end, stream, answer.telling)
            del admitted
            pieces = told(answer, self._services, stream.push)
            try:
                async for told_piece in pieces:
                    piece, is_last = told_piece, answer.telling.is_over
                    if cycle.is_full:
                        piece, is_last = await self._when_drained(piece, is_last, pieces, cycle)
                    if not cycle.has_started:
                        stream.begin(_answer_lines(answer.course, cycle))
                    if is_last:
                        stream.end(piece)
                    elif piece:  # none is there where only room was to be waited for
                        stream.write(piece)
                    del told_piece, piece  # an answer may be silent for long
            finally:
                await pieces.aclose()
        finally:
            stream.close()

    async def _when_drained(
        self, piece: bytes, is_last: bool, pieces: AsyncGenerator[bytes, None], cycle: Cycle
    ) -> tuple[bytes, bool]:
        """Wait for a client that reads slowly; at the end of the process what waits for it goes out with the end."""
        try:
            await cycle.drained()
        except asyncio.CancelledError as cancelled:
            error = self._services.stopping.translate(cancelled)
            if not isinstance(error, GatewayError):
                del error  # it keeps this frame, which would keep it in turn, and all that was heard
                raise
            return (piece if is_last else await pieces.athrow(error)), True
        return piece, is_last


def _end_unheard(stream: EventStream, admitted: Admitted, services: Services, error: GatewayError) -> None:
    """End a stream that began with a comment, before anybody had answered."""
    unheard = admitted.plan.attempts[0].model.slug
    stream.end(new_telling(admitted, services, unheard).fail(error))


def _end(stream: EventStream, telling: Telling, error: GatewayError) -> None:
    stream.end(telling.fail(error))


def _lines(cycle: Cycle, admitted: Admitted, reservation: Reservation) -> Lines:
    lines = f"x-request-id: {cycle.request_id}\r\nx-generation-id: {admitted.call.id}\r\n".encode()
    lines += cycle.face.answer_lines(cycle.request_id)
    if reservation.max_output_tokens is not None:
        lines += b"x-trunkline-clamped: max_output_tokens=%d\r\n" % reservation.max_output_tokens
    return lines


def _answer_lines(course: Course, cycle: Cycle) -> Lines:
    answering = course.answering
    lines = _endpoint_lines(cycle.face.model_lines, answering.provider.slug, answering.model.slug)
    if dropped := course.dropped:
        lines += line(b"x-trunkline-dropped", ", ".join(dropped))
    return lines


def _healed_line(noted: Noted) -> Lines:
    """What was healed in a whole answer; the head of a stream has left before that is known."""
    changed = noted["healing"]["changed"] if "healing" in noted else []
    return line(b"x-trunkline-healed", ",".join(changed)) if changed else b""


@lru_cache(maxsize=512)
def _endpoint_lines(model_lines: Callable[[str], Lines], provider: str, model: str) -> Lines:
    return line(b"x-trunkline-provider", provider) + model_lines(model)
