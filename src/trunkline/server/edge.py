"""The outermost layer: an id for every request, and an error that says nothing but that id for every defect.

What a request is told that failed is decided here, for those that are served in cycles and for all others. It is a
whole answer, or the end of a stream that has begun. It wraps no piece of an answer, so it costs a stream nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from starlette.types import ASGIApp, Receive, Scope, Send

from trunkline.errors import GatewayError, InternalError
from trunkline.server.cycle import Cycle, FaceOf, Route, any_path
from trunkline.server.envelope import send_error, tell_error
from trunkline.stopping import Stopping
from trunkline.telemetry import logs

HAS_STARTED = "trunkline.has_started"
"""Scope key that is set once the head of an answer was given."""

OWNER = "trunkline.owner"
"""Scope key of the account whose key came with the request, set once that is known; errors tell it as `user_id`."""

REQUEST_ID = "trunkline.request_id"


async def serve(route: Route, cycle: Cycle, stopping: Stopping) -> None:
    """Serve a request to its end, whatever happens; only what nobody can be told of is raised."""
    try:
        if stopping.is_draining:
            raise stopping.error()
        await route(cycle)
    except (Exception, asyncio.CancelledError) as raised:
        if not _is_told(cycle, raised, stopping):
            raise
    finally:
        # What ends a stream holds the cycle; unless the ring is cut here, both wait for the garbage search.
        cycle.break_off = None


class Edge:
    """ASGI middleware around all routes."""

    def __init__(
        self, app: ASGIApp, request_ids: Iterator[str], stopping: Stopping, face_of: FaceOf = any_path
    ) -> None:
        self._app = app
        self._request_ids = request_ids
        self._stopping = stopping
        self._face_of = face_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID] = request_id = next(self._request_ids)
        try:
            await self._app(scope, receive, send)
        except (Exception, asyncio.CancelledError) as raised:
            told = _error_of(raised, request_id, self._stopping)
            if told is None or scope.get(HAS_STARTED):
                raise
            face, closes = self._face_of(scope["path"]), self._stopping.has_begun
            await send_error(send, told, request_id, face=face, user_id=scope.get(OWNER), closes=closes)
        finally:
            told = None  # it holds this frame


def name_requests(tokens: Iterator[str]) -> Iterator[str]:
    """Make an id of each token."""
    return map("req_".__add__, tokens)


def _is_told(cycle: Cycle, raised: BaseException, stopping: Stopping) -> bool:
    """Tell a client how its request ended, if there is a way left to."""
    error = _error_of(raised, cycle.request_id, stopping)
    if error is None:
        return False
    if not cycle.has_started:
        tell_error(cycle, error, closes=stopping.has_begun)
    elif cycle.break_off is not None:
        cycle.break_off(error)
    else:
        return False
    return True


def _error_of(raised: BaseException, request_id: str, stopping: Stopping) -> GatewayError | None:
    """What a request is told that ended so; nothing when somebody else than the end of the process cancelled it."""
    if isinstance(raised, asyncio.CancelledError):
        ended = stopping.translate(raised)
        return ended if isinstance(ended, GatewayError) else None
    if isinstance(raised, GatewayError):
        return raised
    assert isinstance(raised, Exception)
    logs.defect(request_id, raised)
    return InternalError(f"The gateway made an error. Its log says more under {request_id}.")
