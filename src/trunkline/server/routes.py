"""Every path the gateway answers, on one page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp as ASGIApp
from starlette.types import Receive, Scope, Send

from trunkline.errors import NotFound
from trunkline.pipeline import Services
from trunkline.server.contract import contract_bytes
from trunkline.server.edge import REQUEST_ID, Edge
from trunkline.server.envelope import send_error
from trunkline.server.models import list_models
from trunkline.server.reference import reference_page
from trunkline.server.responses import Bounds, ResponsesRoute

Lifespan = Callable[[], AbstractAsyncContextManager[None]]
"""Runs what the process needs around its requests."""


def application(services: Services, bounds: Bounds, lifespan: Lifespan, request_ids: Iterator[str]) -> ASGIApp:
    """Put the routes together.

    POST /api/v1/responses stands before the router: it is the one path that is counted in microseconds.
    """
    responses = ResponsesRoute(services, bounds)
    app = Starlette(routes=_routes(services), lifespan=lambda _: lifespan())
    app.router.default = _not_found

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/api/v1/responses" and scope["method"] == "POST":
            await responses(scope, receive, send)
        else:
            await app(scope, receive, send)

    return Edge(dispatch, request_ids)


def _routes(services: Services) -> list[BaseRoute]:
    async def live(_: Request) -> Response:
        return _json({"status": "live"})

    async def ready(_: Request) -> Response:
        await services.keys.check()
        return _json({"status": "ready"})

    async def models(_: Request) -> Response:
        return _json(list_models(services.catalog))

    async def contract(_: Request) -> Response:
        return Response(contract_bytes(), media_type="application/json")

    async def docs(_: Request) -> Response:
        return HTMLResponse(reference_page())

    return [
        Route("/health/live", live),
        Route("/health/ready", ready),
        Route("/api/v1/models", models),
        Route("/openapi.json", contract),
        Route("/docs", docs),
    ]


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        error = NotFound(f"There is no {scope['method']} {scope['path'][:200]}. The paths are listed at /docs.")
        await send_error(send, error, scope[REQUEST_ID])


def _json(value: Any) -> Response:
    return Response(json.dumps(value, default=str), media_type="application/json")
