"""The outermost layer: an id for every request, and an error that says nothing but that id for every defect.

It is a 500, or the end of a stream that has begun. It wraps no message of an answer, so it costs a stream nothing.
Around it stands, where an operator names origins, what tells browsers that their pages may read answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trunkline.errors import GatewayError, InternalError
from trunkline.server.envelope import send_error
from trunkline.stopping import Stopping
from trunkline.telemetry import logs

HAS_STARTED = "trunkline.has_started"
"""Scope key that a route sets once it has sent the head of its answer."""

BREAK_OFF = "trunkline.break_off"
"""Scope key of what ends a begun stream with an error: a function of the error, to be awaited."""

OWNER = "trunkline.owner"
"""Scope key of the account whose key came with the request, set once that is known; errors tell it as `user_id`."""

REQUEST_ID = "trunkline.request_id"

IS_WHOLE = "trunkline.is_whole"
"""Scope key that our listener sets once it holds all that is left of the body: nothing of it is waited for."""

LEAVING = "trunkline.leaving"
"""Scope key of the connection's `Leaving`; only our listener sets it."""


class Leaving:
    """What happens when the client of a connection leaves: `then` is called. One request at a time is answered."""

    __slots__ = ("then",)

    def __init__(self) -> None:
        self.then: Callable[[], object] | None = None


_EXPOSED = b"x-request-id, x-generation-id, x-trunkline-provider, x-trunkline-dropped, retry-after"
_PREFLIGHT_S = b"600"


class Origins:
    """ASGI middleware that lets the pages of some origins read answers; it is there only if an operator names one.

    The key is what a call needs; an origin is no credential, and cookies are not allowed. `*` stands for every origin.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = dict(scope["headers"]) if scope["type"] == "http" else {}
        origin = asked.get(b"origin", b"")
        if not origin or not ("*" in self._origins or origin.decode("latin-1").lower() in self._origins):
            await self._app(scope, receive, send)
            return
        allowed = [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in asked:
            wanted = asked.get(b"access-control-request-headers", b"")
            headers = [
                *allowed,
                (b"access-control-allow-methods", b"GET, POST"),
                (b"access-control-allow-headers", wanted),
                (b"access-control-max-age", _PREFLIGHT_S),
            ]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                exposed = (b"access-control-expose-headers", _EXPOSED)
                message = {**message, "headers": [*message["headers"], *allowed, exposed]}
            await send(message)

        await self._app(scope, receive, send_allowed)


class Edge:
    """ASGI middleware around all routes."""

    def __init__(self, app: ASGIApp, tokens: Iterator[str], stopping: Stopping) -> None:
        self._app = app
        self._tokens = tokens
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID] = request_id = "req_" + next(self._tokens)
        try:
            await self._app(scope, receive, send)
        except GatewayError as error:
            await send_error(send, error, request_id, user_id=scope.get(OWNER), closes=self._stopping.has_begun)
        except asyncio.CancelledError as cancelled:
            ended = self._stopping.translate(cancelled)
            if scope.get(HAS_STARTED) or not isinstance(ended, GatewayError):
                raise
            await send_error(send, ended, request_id, user_id=scope.get(OWNER), closes=True)
        except Exception as error:
            logs.defect(request_id, error)
            told = InternalError(f"The gateway made an error. Its log says more under {request_id}.")
            if not scope.get(HAS_STARTED):
                await send_error(send, told, request_id, user_id=scope.get(OWNER))
            elif BREAK_OFF in scope:
                await scope.pop(BREAK_OFF)(told)
            else:
                raise
