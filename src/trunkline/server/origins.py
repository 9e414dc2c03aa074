"""Which web pages may read answers: what browsers are told where an operator names origins."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trunkline.faces.contract import Lines
from trunkline.server.cycle import Field
from trunkline.server.envelope import fields_of

_EXPOSED = (
    b"x-request-id, request-id, x-generation-id, x-trunkline-provider, x-trunkline-model, x-trunkline-dropped, "
    b"x-trunkline-clamped, x-trunkline-estimated, x-trunkline-healed, x-trunkline-replayed, "
    b"retry-after, x-should-retry, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset"
)
_PREFLIGHT = b"access-control-allow-methods: GET, POST\r\naccess-control-max-age: 600\r\n"


class Origins:
    """The origins whose pages may read answers; it is there only if an operator names one.

    The key is what a call needs; an origin is no credential, and cookies are not allowed. `*` stands for every origin.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = origins

    def allow(self, fields: Iterable[Field]) -> Lines:
        """What an answer says to the page that asks; nothing to a page that may not read it, and to no page."""
        origin = next((value for name, value in fields if name == b"origin"), b"")
        if not origin or not ("*" in self._origins or origin.decode("latin-1").lower() in self._origins):
            return b""
        return b"access-control-allow-origin: %b\r\nvary: origin\r\naccess-control-expose-headers: %b\r\n" % (
            origin,
            _EXPOSED,
        )


class AllowingOrigins:
    """ASGI middleware that lets the pages of some origins ask, and read the answers."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lines = self._origins.allow(scope["headers"]) if scope["type"] == "http" else b""
        if not lines:
            await self._app(scope, receive, send)
            return
        asked = dict(scope["headers"])
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in asked:
            wanted = asked.get(b"access-control-request-headers", b"")
            headers = [*fields_of(lines + _PREFLIGHT), (b"access-control-allow-headers", wanted)]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *fields_of(lines)]}
            await send(message)

        await self._app(scope, receive, send_allowed)
