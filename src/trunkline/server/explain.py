"""Why a request goes where it goes: asked beforehand with the same body, or afterwards by the id of its response.

Beforehand the serving code plans, and then nothing is sent, charged or remembered. Afterwards only the account that
asked is answered, and only about the last requests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from math import isfinite
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from trunkline.call import Call, Services
from trunkline.errors import BadRequest, NotFound
from trunkline.faces.contract import Face
from trunkline.faces.lines import JSON
from trunkline.generation import generation_id, past_as_json
from trunkline.pipeline import admit
from trunkline.plugins.order import NO_STEPS, steps_as_json
from trunkline.protocol.render import render_error
from trunkline.routing.estimate import estimate, estimate_as_json
from trunkline.routing.explanation import Explanation, as_json, why
from trunkline.routing.refusal import Refused
from trunkline.server.cycle import Cycle, Field
from trunkline.server.intake import Intake, caller
from trunkline.settlement import make_fitting
from trunkline.telemetry.recent import Recent

DICE_HEADER = b"x-trunkline-dice"
_MAX_DICE = 1000


class ExplainRoute:
    """What serves POST …/explain, for a body of one face."""

    def __init__(self, face: Face, services: Services, intake: Intake) -> None:
        self.face = face
        self._services = services
        self._intake = intake

    async def __call__(self, cycle: Cycle) -> None:
        """Serve one request."""
        services = self._services
        body = self._intake.body()
        try:
            call = await self._intake.read(cycle, body)
            if (thrown := _thrown(cycle.fields)) is not None:
                planner = services.planner
                dice = chain(thrown, _endless(planner.dice)).__next__
                services = replace(services, planner=replace(planner, dice=dice))
            found = await _explained(call, services)
        finally:
            body.close()
        cycle.whole(200, JSON + self.face.answer_lines(cycle.request_id), json.dumps(found).encode())


async def explain_past(services: Services, request: Request) -> Response:
    """Answer GET /responses/{id}/explanation; the id may be that of the answer in any API, or of the request.

    One that this node did not serve is asked for at the others, if there are any. Raises NotFound for one that is too
    long ago or another account's: nobody can tell which.
    """
    key = await caller(request.scope, services)
    response_id = generation_id(request.path_params["id"])
    found = past_explanation(services.recent, response_id, key.account_id)
    if found is None and services.find_explanation is not None:
        found = await services.find_explanation(response_id, key.account_id)
    if found is None:
        raise NotFound("No such request is remembered. Only the last ones are (routing.explanations).")
    return Response(found, media_type="application/json")


def past_explanation(recent: Recent, response_id: str, account_id: str) -> bytes | None:
    """The explanation of an account's request, where this node remembers it."""
    past = recent.find(response_id, account_id)
    return None if past is None else json.dumps(past_as_json(past)).encode()


async def _explained(call: Call, services: Services) -> dict[str, Any]:
    """The plan; or, when nobody may serve, what stood in the way and the error that a request would have got."""
    try:
        admitted = await admit(call, services, is_dry=True)
    except (Refused, NotFound) as error:
        explanation = error.explanation if isinstance(error, Refused) else Explanation()
        return {"why": [error.message], **as_json(explanation), "error": json.loads(render_error(error))["error"]}
    plan, explanation = admitted.plan, admitted.plan.explanation
    found = {"why": why(explanation), **as_json(explanation)}
    counts_own, body_bytes = call.key.counts_own, admitted.call.body_bytes
    told = estimate_as_json(estimate(plan, admitted.request, body_bytes, services.bounds, counts_own=counts_own))
    lines = services.upstream.lines
    turns = [] if lines is None else lines.lines_as_json(plan.attempts, call.key.owner)
    found |= {"max_attempts": plan.max_attempts, "estimate": told, "turns": turns, "error": None}
    steps = {} if admitted.steps is NO_STEPS else steps_as_json(admitted.steps)
    if admitted.request.truncation == "auto":
        asked, told_of = admitted.steps.asked or admitted.request, make_fitting(is_clamped=False).told
        if admitted.is_dear:
            steps["truncation"] = await services.aside.run(told_of, asked, plan.attempts)
        else:
            steps["truncation"] = told_of(asked, plan.attempts)
    return found if admitted.steps is NO_STEPS and not steps else {**found, "plugins": steps}


def _thrown(fields: Iterable[Field]) -> Sequence[float] | None:
    """The dice that the client wants to fall, as an explanation tells them: to see the same plan again."""
    given = next((value for name, value in fields if name == DICE_HEADER), None)
    if given is None:
        return None
    try:
        thrown = [float(value) for value in given.decode("latin-1").split(",") if value.strip()]
    except ValueError:
        thrown = [1.0]
    if len(thrown) > _MAX_DICE or not all(isfinite(value) and 0 <= value < 1 for value in thrown):
        raise BadRequest("X-Trunkline-Dice holds numbers from 0 to below 1, with commas between.")
    return thrown


def _endless(dice: Callable[[], float]) -> Iterator[float]:
    while True:
        yield dice()
