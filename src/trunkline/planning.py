"""Who is asked for a request, and what runs around them: the plan and the steps, each made with an eye on the other.

A search is the provider's where the first endpoint of the plan makes it as it is asked for, and then none is asked that
does not; unless that passes over a model or provider that the client names before it. Else the gateway makes it, for
all of them: a function is planned with in the place of the search, so that nobody is refused for want of one.

Before that the auto-router puts models in the place of its own name, where a request has it.
"""

from __future__ import annotations

from trunkline.adapters.encoding.documents import for_all, has_files
from trunkline.call import Admitted, Call, Services
from trunkline.catalog.abilities import search_shortfall
from trunkline.catalog.entries import Catalog
from trunkline.errors import BadRequest, ClientError
from trunkline.plugins.files import file_step
from trunkline.plugins.order import Steps, order
from trunkline.plugins.searching import SearchStep
from trunkline.protocol.request import Request, Search, search_of
from trunkline.routing.plan import Plan, Planner, kept_to
from trunkline.routing.policy import Policy
from trunkline.routing.unconfigured import leaves_choice


def planned(call: Call, request: Request, services: Services, *, is_dear: bool, is_dry: bool = False) -> Admitted:
    """Plan a request, and what runs around the model for it; `is_dry`: nothing of it is remembered.

    Raises a GatewayError: 400, 404.
    """
    policy, planner = call.key.policy, services.planner
    if services.router is None or not leaves_choice(request, policy, planner.catalog):
        return _planned(call, request, services, is_dear=is_dear)
    # Who takes no files may be chosen, too, where they are read for it.
    seen = request if file_step(request, services.ocr) is None else for_all(request)
    asked, noted = services.router().route(seen, policy, planner, remembers=not is_dry)
    admitted = _planned(call, asked, services, is_dear=is_dear)
    steps = admitted.steps
    steps = steps._replace(asked=steps.asked or asked, noted={**steps.noted, **noted})
    return admitted._replace(request=request, steps=steps)


def _planned(call: Call, request: Request, services: Services, *, is_dear: bool) -> Admitted:
    """Do the same for a request whose models are all named."""
    planner, policy = services.planner, call.key.policy
    if not request.plugins and not services.has_steps and (request.is_text_alone or not has_files(request)):
        return Admitted(call, request, planner.plan(request, policy), is_dear)
    engines = () if services.engines is None else services.engines.names
    asked, steps = order(request, services.settings, engines, services.ocr)
    return planned_with(call, request, asked, steps, services, is_dear=is_dear)


def planned_with(
    call: Call, request: Request, asked: Request, steps: Steps, services: Services, *, is_dear: bool
) -> Admitted:
    """Plan what is asked in the place of a request, where it is known what runs around the model.

    Raises a GatewayError: 400, 404.
    """
    planner, policy = services.planner, call.key.policy
    if steps.search is None:
        return Admitted(call, request, planner.plan(asked, policy), is_dear, steps)
    found = _native_plan(planner, steps.search, policy)
    if found is not None:
        return Admitted(call, request, found, is_dear, given_away(steps))
    asked = steps.search.asked
    plan = planner.plan(asked, policy)
    return Admitted(call, request, plan, is_dear, steps._replace(asked=asked), planner.catalog)


def given_away(steps: Steps) -> Steps:
    """The steps where providers make the search."""
    assert steps.search is not None
    files = None if steps.files is None else steps.files._replace(search=steps.search)
    return steps._replace(search=None, asked=steps.search.native, files=files)


def _native_plan(planner: Planner[Catalog], step: SearchStep, policy: Policy) -> Plan | None:
    """The plan of a search that providers make; None where it is the gateway's.

    Raises a ClientError where that is all that may be.
    """
    request = step.native
    search = None if request is None else search_of(request)
    if request is None or search is None:
        return None
    try:
        plan = planner.plan(request, policy, is_native=True)
    except ClientError:
        if step.is_native_only:
            raise
        return None  # it may be the search alone that nobody makes: what else is wrong is said without it
    first = plan.attempts[0]
    shortfall = search_shortfall(first, search)
    if shortfall is not None and step.is_native_only:
        message = f'plugins: {first.model.slug} {shortfall} at {first.provider.name}; leave engine "native" out.'
        raise BadRequest(message, param="plugins")
    if shortfall is not None or (not step.is_native_only and _is_passed_over(planner, step, policy, plan, search)):
        return None
    return kept_to(plan, lambda endpoint: search_shortfall(endpoint, search) is None)


def _is_passed_over(planner: Planner[Catalog], step: SearchStep, policy: Policy, native: Plan, search: Search) -> bool:
    """Whether a plan of those alone that search passes over somebody whom the client wants to be asked before them."""
    if not step.asked.models and not step.asked.provider.order:
        return False
    try:
        plan = planner.plan(step.asked, policy)
    except ClientError:
        return False
    is_first_able = search_shortfall(plan.attempts[0], search) is None
    return not is_first_able and (bool(step.asked.provider.order) or _place(plan) < _place(native))


def _place(plan: Plan) -> int:
    """Where the model that is asked first stands among those that the client names."""
    assert plan.reasons is not None
    first = plan.attempts[0].id
    return next((place for place, kept in enumerate(plan.reasons.sifted.kept) if first in kept.ids), 0)
