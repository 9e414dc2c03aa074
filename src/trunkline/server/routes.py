"""Every path the gateway answers, on one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from itertools import product

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trunkline.call import Services
from trunkline.catalog.lookup import LetterPairs, nearest
from trunkline.errors import MethodNotAllowed, NotFound
from trunkline.faces.contract import Face
from trunkline.faces.messages.face import COUNTED, MESSAGES
from trunkline.server.answers import AnswerRoute
from trunkline.server.body import Bounds
from trunkline.server.contract import show_contract, show_reference
from trunkline.server.counting import CountRoute
from trunkline.server.cycle import Route as CycleRoute
from trunkline.server.direct import HotPaths
from trunkline.server.edge import REQUEST_ID, Edge, name_requests
from trunkline.server.envelope import send_error
from trunkline.server.explain import ExplainRoute, explain_past
from trunkline.server.foreign import Mounted
from trunkline.server.health import live, ready, stand
from trunkline.server.intake import BodyMemory, Intake
from trunkline.server.listings import Listings
from trunkline.server.origins import AllowingOrigins, Origins
from trunkline.server.paths import BASE, FACES, face_of, path_meant
from trunkline.server.records import RecordRoutes
from trunkline.stopping import Stopping

Lifespan = Callable[[], AbstractAsyncContextManager[None]]
"""Runs what the process needs around its requests."""

_LIVE = ("/health/live", "/health", "/healthz")
_READY = "/health/ready"
"""The first is the path's own name; the others are what probes ask for unless they are told."""

_NOT_SERVED = {
    "/completions": "Completions are not served; use POST /api/v1/responses, with prompt as input.",
}
"""Paths that clients of other APIs ask for, and what to do instead."""


class Application:
    """The gateway as an ASGI application; `hot` is what our own listener serves of it below ASGI."""

    def __init__(self, asgi: ASGIApp, hot: HotPaths) -> None:
        self._asgi = asgi
        self.hot = hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._asgi(scope, receive, send)


def application(
    services: Services,
    bounds: Bounds,
    lifespan: Lifespan,
    tokens: Iterator[str],
    memory: BodyMemory,
    *,
    has_open_listings: bool = True,
    origins: Sequence[str] = (),
) -> Application:
    """Put the routes together.

    Clients that are told the address without /api find everything all the same. `has_open_listings`: what models and
    providers there are is told without a key. `tokens` are random. `origins` are those whose pages may read answers.
    """
    intake, stopping = Intake(services, bounds, memory), services.stopping
    request_ids = name_requests(tokens)
    answers = {face: AnswerRoute(face, services, bounds, intake) for face in FACES}
    allowed = Origins(frozenset(origins)) if origins else None
    hot = HotPaths(
        {path: answers[face] for face in FACES for path in _paths_of(face)}, request_ids, stopping, allowed, face_of
    )
    routes = [
        *(_posted(face, "", answers[face], stopping) for face in FACES),
        *(_posted(face, "/explain", ExplainRoute(face, services, intake), stopping) for face in FACES),
        _posted(MESSAGES, "/count_tokens", CountRoute(MESSAGES, COUNTED, services, intake), stopping),
        *_routes(services, has_open_listings),
    ]
    # The bare router: around it the framework would put an answer of its own to an error, before the edge sees it.
    router = Router(
        routes,
        redirect_slashes=False,
        default=_NotFound([route.path for route in routes]),
        lifespan=lambda _: lifespan(),
    )

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if stopping.has_begun and scope["type"] == "http" and _is_refused(scope["path"], stopping):
            raise stopping.error()
        if scope["type"] == "http":
            scope["path"] = path_meant(scope["path"])
        is_http = scope["type"] == "http"
        await router(scope, receive, _named(send, scope[REQUEST_ID]) if is_http else send)

    edge = Edge(dispatch, request_ids, stopping, face_of)
    return Application(edge if allowed is None else AllowingOrigins(edge, allowed), hot)


def _paths_of(face: Face) -> Iterator[bytes]:
    """The ways in which the path of a face is written."""
    for base, end in product((BASE, "/v1"), ("", "/")):
        yield f"{base}/{face.name}{end}".encode()


def _posted(face: Face, end: str, route: CycleRoute, stopping: Stopping) -> _Route:
    return _Route(f"{BASE}/{face.name}{end}", Mounted(route, stopping), methods=["POST"])


def _is_refused(path: str, stopping: Stopping) -> bool:
    """Whether a path is not answered any more by a gateway that is about to end."""
    return path == _READY or (stopping.is_draining and path not in _LIVE)


def _routes(services: Services, has_open_listings: bool) -> list[Route]:
    listings = Listings(services, is_open=has_open_listings)
    records = RecordRoutes(services)
    return [
        *(_Route(path, live) for path in _LIVE),
        _Route(_READY, partial(ready, services)),
        _Route("/", stand),
        _Route("/api/v1/models", listings.models),
        _Route("/api/v1/models/count", listings.count),
        _Route("/api/v1/models/{author}/{slug:path}/endpoints", listings.endpoints),
        _Route("/api/v1/models/{model:path}", listings.model),
        _Route("/api/v1/providers", listings.providers),
        _Route("/api/v1/capabilities", listings.capabilities),
        _Route("/api/v1/responses/{id}/explanation", partial(explain_past, services)),
        _Route("/api/v1/generation", records.generation),
        _Route("/api/v1/activity", records.activity),
        _Route("/api/v1/key", records.key),
        _Route("/api/v1/credits", records.credits),
        _Route("/openapi.json", partial(show_contract, services)),
        _Route("/docs", partial(show_reference, services)),
    ]


class _Route(Route):
    """A route that refuses every method but its own in our words, or in those of its face."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        methods = sorted(self.methods or ())
        if scope["method"] in methods:
            await self.app(scope, receive, send)
        else:
            allow = ", ".join(methods)
            error = MethodNotAllowed(f"{_path_sent(scope)} takes {allow}, not {scope['method']}.")
            line = b"allow: %b\r\n" % allow.encode()
            await send_error(send, error, scope[REQUEST_ID], face=face_of(scope["path"]), more_lines=line)


class _NotFound:
    """Answers every other path, and says which one was meant."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = [path for path in paths if "{" not in path]
        # Compared without what all begin with: by that alone every path would be like every other.
        self._by_end = {path.removeprefix(BASE): path for path in self._paths}
        self._pairs = LetterPairs(self._by_end)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _refuse(scope, send, self._hint(scope["path"].rstrip("/")))

    def _hint(self, path: str) -> str:
        if (hint := _NOT_SERVED.get(path.removeprefix("/api").removeprefix("/v1"))) is not None:
            return hint
        last = path.rpartition("/")[2]
        # The commonest mistakes are about what stands before the last part: /responses, /api/responses.
        meant = next((known for known in self._paths if last and known.endswith(f"/{last}")), None)
        near = [meant] if meant else nearest(self._pairs, path.removeprefix(BASE), limit=1)
        return f"Did you mean {self._by_end.get(near[0], near[0])}?" if near else "The paths are listed at /docs."


async def _refuse(scope: Scope, send: Send, hint: str) -> None:
    error = NotFound(f"There is no {scope['method']} {_path_sent(scope)}. {hint}")
    await send_error(send, error, scope[REQUEST_ID], face=face_of(scope["path"]))


def _path_sent(scope: Scope) -> str:
    """The path as it was sent: /v1 is served as /api/v1."""
    path: str = scope["path"].removeprefix("/api") if scope["raw_path"].startswith(b"/v1/") else scope["path"]
    return path[:200]


def _named(send: Send, request_id: str) -> Send:
    """Send, with the id of the request on an answer that does not tell it yet."""

    async def send_named(message: Message) -> None:
        if message["type"] == "http.response.start" and all(name != b"x-request-id" for name, _ in message["headers"]):
            message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
        await send(message)

    return send_named
