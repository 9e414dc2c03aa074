"""Who is asked for a request, and what runs around them: the plan and the steps, each made with an eye on the other.

A search is the provider's where the first endpoint of the plan makes it as it is asked for, and then none is asked that
does not. Else the gateway makes it, for all of them: a function is planned with in the place of the search, so that
nobody is refused for want of one.
"""

from __future__ import annotations

from trunkline.call import Admitted, Call, Services
from trunkline.catalog.abilities import search_shortfall
from trunkline.errors import BadRequest, ClientError
from trunkline.plugins.order import Steps, order
from trunkline.protocol.request import Request, Search, search_of
from trunkline.routing.plan import Plan, Planner, kept_to
from trunkline.routing.policy import Policy


def planned(call: Call, request: Request, services: Services, *, is_dear: bool) -> Admitted:
    """Plan a request, and what runs around the model for it.

    Raises a GatewayError: 400, 404.
    """
    planner, policy = services.planner, call.key.policy
    if not request.plugins and not services.has_steps:
        return Admitted(call, request, planner.plan(request, policy), is_dear)
    asked, steps = order(request, services.settings)
    if steps.search is None:
        return Admitted(call, request, planner.plan(asked, policy), is_dear, steps)
    native = steps.search.native
    if native is not None and (search := search_of(native)) is not None:
        plan = _native_plan(planner, native, search, policy, is_needed=steps.search.is_native_only)
        if plan is not None:
            return Admitted(call, request, plan, is_dear, Steps(None, steps.healing, native))
    asked = steps.search.asked
    return Admitted(call, request, planner.plan(asked, policy), is_dear, steps._replace(asked=asked))


def _native_plan(planner: Planner, request: Request, search: Search, policy: Policy, *, is_needed: bool) -> Plan | None:
    """The plan of a search that providers make; None where the first of it would not.

    Raises a ClientError where that is all that may be.
    """
    try:
        plan = planner.plan(request, policy)
    except ClientError:
        if is_needed:
            raise
        return None  # it may be the search alone that nobody makes: what else is wrong is said without it

    shortfall = search_shortfall(plan.attempts[0], search)
    if shortfall is None:
        return kept_to(plan, lambda endpoint: search_shortfall(endpoint, search) is None)
    if is_needed:
        first = plan.attempts[0]
        message = f'plugins: {first.model.slug} {shortfall} at {first.provider.name}; leave engine "native" out.'
        raise BadRequest(message, param="plugins")
    return None
