"""Who is asked for a request, and what runs around them: the plan and the steps, each made with an eye on the other."""

from __future__ import annotations

from trunkline.call import Admitted, Call, Services
from trunkline.plugins.order import order
from trunkline.protocol.request import Request


def planned(call: Call, request: Request, services: Services, *, is_dear: bool) -> Admitted:
    """Plan a request, and what runs around the model for it.

    Raises a GatewayError: 400, 404.
    """
    plan, policy = services.planner.plan, call.key.policy
    if not request.plugins and not services.has_steps:
        return Admitted(call, request, plan(request, policy), is_dear)
    asked, steps = order(request, services.settings)
    return Admitted(call, request, plan(asked, policy), is_dear, steps)
