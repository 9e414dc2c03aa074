"""POST /messages/count_tokens: how many tokens an input has, before anybody is asked for an answer to it.

The serving code reads and plans as for an answer, and the endpoint that would be asked first counts, where it can;
elsewhere it is estimated, and said to be, and so is what is to be moderated. Nothing is held, charged, taken of a
limit, or remembered.
"""

from __future__ import annotations

import json
from typing import Final

from trunkline.call import Admitted, Call, Services
from trunkline.errors import BadRequest
from trunkline.faces.contract import Face, Lines
from trunkline.faces.lines import JSON, line
from trunkline.pipeline import admit
from trunkline.protocol.content import content_tokens
from trunkline.server.cycle import Cycle
from trunkline.server.intake import Intake
from trunkline.upstream.counting import count_at

_PATIENCE_S: Final = 10.0
"""So long a provider may take to count; its client waits before each turn."""

_ESTIMATED: Final = b"x-trunkline-estimated: true\r\n"


class CountRoute:
    """What serves it: errors are told by `face`, bodies are read by `counted`, which demands no limit of an answer."""

    def __init__(self, face: Face, counted: Face, services: Services, intake: Intake) -> None:
        self.face = face
        self._counted = counted
        self._services = services
        self._intake = intake

    async def __call__(self, cycle: Cycle) -> None:
        """Serve one request."""
        body = self._intake.body()
        try:
            call = await self._intake.read(cycle, body)
            tokens, lines = await self._count(call._replace(face=self._counted))
        finally:
            body.close()
        lines += line(b"x-request-id", cycle.request_id) + self.face.answer_lines(cycle.request_id)
        cycle.whole(200, JSON + lines, json.dumps({"input_tokens": tokens}).encode())

    async def _count(self, call: Call) -> tuple[int, Lines]:
        """Count, and say in the head by which model, or that it is an estimate."""
        try:
            admitted = await admit(call, self._services, is_dry=True)
        except BadRequest as error:
            estimate = error.metadata.get("estimated_input_tokens")
            if error.kind != "context_length_exceeded" or not isinstance(estimate, int):
                raise
            return estimate, _ESTIMATED  # an input that is too long for all is what clients count for
        # What is to be judged leaves the house only then, and for a count nobody judges it.
        is_kept = "moderation" in admitted.steps.noted
        counted = None if is_kept else await _counted(admitted, self._services)
        lines = self.face.model_lines(admitted.plan.attempts[0].model.slug)
        return (content_tokens(admitted.request), lines + _ESTIMATED) if counted is None else (counted, lines)


async def _counted(admitted: Admitted, services: Services) -> int | None:
    """The tokens as the endpoint counts them that would be asked first; None where it does not."""
    plan, call = admitted.plan, admitted.call
    owner = call.key.owner if plan.is_byok and plan.is_byok[0] else None
    return await count_at(
        services.upstream,
        admitted.steps.asked or admitted.request,
        plan.attempts[0],
        min(call.deadline, services.loop_clock() + _PATIENCE_S),
        owner=owner,
        is_dear=admitted.is_dear,
    )
