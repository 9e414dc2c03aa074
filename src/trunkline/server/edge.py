"""The outermost layer: an id for every request, and a 500 that says nothing but that id for every defect.

It wraps no message of an answer, so it costs a stream nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from starlette.types import ASGIApp, Receive, Scope, Send

from trunkline.errors import GatewayError, InternalError
from trunkline.server.envelope import send_error
from trunkline.telemetry import logs

HAS_STARTED = "trunkline.has_started"
"""Scope key that a route sets once it has sent the head of its answer."""

REQUEST_ID = "trunkline.request_id"


class Edge:
    """ASGI middleware around all routes."""

    def __init__(self, app: ASGIApp, tokens: Iterator[str]) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID] = request_id = "req_" + next(self._tokens)
        try:
            await self._app(scope, receive, send)
        except GatewayError as error:
            await send_error(send, error, request_id)
        except Exception as error:
            logs.defect(request_id, error)
            if scope.get(HAS_STARTED):
                raise
            await send_error(
                send, InternalError(f"The gateway made an error. Its log says more under {request_id}."), request_id
            )
