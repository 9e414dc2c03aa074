"""Every path the gateway answers, on one page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp as ASGIApp
from starlette.types import Receive, Scope, Send

from trunkline.call import Services
from trunkline.catalog.entries import Endpoint
from trunkline.errors import BadRequest, NotFound
from trunkline.routing.health import Figures
from trunkline.server.body import Bounds
from trunkline.server.contract import contract_bytes
from trunkline.server.edge import REQUEST_ID, Edge
from trunkline.server.envelope import send_error
from trunkline.server.explain import ExplainRoute, explain_past
from trunkline.server.intake import BodyMemory, Intake, caller
from trunkline.server.models import Listing
from trunkline.server.reference import REFERENCE_HEADERS, reference_page
from trunkline.server.responses import ResponsesRoute

Lifespan = Callable[[], AbstractAsyncContextManager[None]]
"""Runs what the process needs around its requests."""

_LIVE = "/health/live"


def application(
    services: Services,
    bounds: Bounds,
    lifespan: Lifespan,
    request_ids: Iterator[str],
    memory: BodyMemory,
    *,
    has_open_listings: bool = True,
) -> ASGIApp:
    """Put the routes together.

    POST /api/v1/responses stands before the router: it is the one path that is counted in microseconds. Clients that
    are told the address without /api find everything all the same. `has_open_listings`: what models and providers
    there are is told without a key.
    """
    intake = Intake(services, bounds, memory)
    responses, stopping = ResponsesRoute(services, bounds, intake), services.stopping
    # The bare router: around it the framework would put an answer of its own to an error, before the edge sees it.
    router = Router(
        [_Route("/api/v1/responses", responses, methods=["POST"]), *_routes(services, intake, has_open_listings)],
        redirect_slashes=False,
        default=_not_found,
        lifespan=lambda _: lifespan(),
    )

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if stopping.has_begun and scope["type"] == "http" and scope["path"] != _LIVE:
            raise stopping.error()
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            scope["path"] = "/api" + scope["path"]
        if scope["type"] == "http" and scope["path"] == "/api/v1/responses" and scope["method"] == "POST":
            await responses(scope, receive, send)
        else:
            await router(scope, receive, send)

    return Edge(dispatch, request_ids, stopping)


def _routes(services: Services, intake: Intake, has_open_listings: bool) -> list[BaseRoute]:
    listings = [Listing(services.catalog)]

    def listing() -> Listing:
        if listings[0].catalog is not services.catalog:
            listings[0] = Listing(services.catalog)
        return listings[0]

    def look(endpoints: Sequence[Endpoint]) -> Figures:
        return services.health.joint_figures([endpoint.id for endpoint in endpoints], services.loop_clock())

    async def may_list(request: Request) -> None:
        if not has_open_listings:
            await caller(request.scope, services)

    async def live(_: Request) -> Response:
        return _json({"status": "live"})

    async def ready(_: Request) -> Response:
        await services.keys.check()
        return _json({"status": "ready"})

    async def models(request: Request) -> Response:
        await may_list(request)
        return _rendered(listing().models())

    async def model_count(request: Request) -> Response:
        await may_list(request)
        return _rendered(listing().count())

    async def endpoints(request: Request) -> Response:
        await may_list(request)
        return _rendered(listing().endpoints("{author}/{slug}".format(**request.path_params), look))

    async def providers(request: Request) -> Response:
        await may_list(request)
        return _rendered(listing().providers(look))

    async def capabilities(request: Request) -> Response:
        await may_list(request)
        model = request.query_params.get("model")
        if not model:
            raise BadRequest("Say which model: /api/v1/capabilities?model=author/name")
        return _rendered(listing().capabilities(model))

    async def contract(_: Request) -> Response:
        return Response(contract_bytes(), media_type="application/json")

    async def docs(_: Request) -> Response:
        return HTMLResponse(reference_page(), headers=REFERENCE_HEADERS)

    return [
        _Route(_LIVE, live),
        _Route("/health/ready", ready),
        _Route("/api/v1/models", models),
        _Route("/api/v1/models/count", model_count),
        _Route("/api/v1/models/{author}/{slug:path}/endpoints", endpoints),
        _Route("/api/v1/providers", providers),
        _Route("/api/v1/capabilities", capabilities),
        _Route("/api/v1/responses/explain", ExplainRoute(services, intake), methods=["POST"]),
        _Route("/api/v1/responses/{id}/explanation", partial(explain_past, services)),
        _Route("/openapi.json", contract),
        _Route("/docs", docs),
    ]


class _Route(Route):
    """A route that knows no method but its own: the contract has no 405."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        methods = self.methods or ()
        if scope["method"] in methods:
            await self.app(scope, receive, send)
        else:
            await _not_found(scope, receive, send, sorted(methods))


async def _not_found(scope: Scope, receive: Receive, send: Send, allowed: Sequence[str] = ()) -> None:
    if scope["type"] == "http":
        error = NotFound(f"There is no {scope['method']} {scope['path'][:200]}. The paths are listed at /docs.")
        allow = [(b"allow", ", ".join(allowed).encode())] if allowed else []
        await send_error(send, error, scope[REQUEST_ID], more_headers=allow)


def _rendered(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _json(value: Any) -> Response:
    return Response(json.dumps(value, default=str), media_type="application/json")
