"""Every path the gateway answers, on one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp as ASGIApp
from starlette.types import Receive, Scope, Send

from trunkline.call import Services
from trunkline.errors import NotFound
from trunkline.server.body import Bounds
from trunkline.server.contract import show_contract
from trunkline.server.edge import REQUEST_ID, Edge
from trunkline.server.envelope import send_error
from trunkline.server.explain import ExplainRoute, explain_past
from trunkline.server.health import live, ready
from trunkline.server.intake import BodyMemory, Intake
from trunkline.server.listings import Listings
from trunkline.server.reference import show_reference
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
    listings = Listings(services, is_open=has_open_listings)
    return [
        _Route(_LIVE, live),
        _Route("/health/ready", partial(ready, services)),
        _Route("/api/v1/models", listings.models),
        _Route("/api/v1/models/count", listings.count),
        _Route("/api/v1/models/{author}/{slug:path}/endpoints", listings.endpoints),
        _Route("/api/v1/providers", listings.providers),
        _Route("/api/v1/capabilities", listings.capabilities),
        _Route("/api/v1/responses/explain", ExplainRoute(services, intake), methods=["POST"]),
        _Route("/api/v1/responses/{id}/explanation", partial(explain_past, services)),
        _Route("/openapi.json", show_contract),
        _Route("/docs", show_reference),
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
