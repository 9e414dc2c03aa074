"""The lists of models, endpoints and providers behind their paths; what is in them is for `models.py` to say."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from trunkline.call import Services
from trunkline.catalog.entries import Endpoint
from trunkline.errors import BadRequest
from trunkline.routing.health import Figures
from trunkline.server.intake import caller
from trunkline.server.models import Listing


class Listings:
    """Answers the paths of the lists; without `is_open` callers need a key."""

    def __init__(self, services: Services, *, is_open: bool) -> None:
        self._services = services
        self._is_open = is_open
        self._made = Listing(services.catalog, self._candidates)

    async def models(self, request: Request) -> Response:
        """Answer GET /models."""
        await self._admit(request)
        # Some 50 ms for all models, once: beside the loop, one after the other, and the second finds it done.
        return _rendered(await self._services.aside.run(self._listing().models))

    async def count(self, request: Request) -> Response:
        """Answer GET /models/count."""
        await self._admit(request)
        return _rendered(self._listing().count())

    async def model(self, request: Request) -> Response:
        """Answer GET /models/{model}. Raises NotFound."""
        await self._admit(request)
        return _rendered(self._listing().model(request.path_params["model"]))

    async def endpoints(self, request: Request) -> Response:
        """Answer GET /models/{author}/{slug}/endpoints. Raises NotFound."""
        await self._admit(request)
        return _rendered(self._listing().endpoints("{author}/{slug}".format(**request.path_params), self._look))

    async def providers(self, request: Request) -> Response:
        """Answer GET /providers."""
        await self._admit(request)
        return _rendered(self._listing().providers(self._look))

    async def capabilities(self, request: Request) -> Response:
        """Answer GET /capabilities?model=…. Raises BadRequest, NotFound."""
        await self._admit(request)
        model = request.query_params.get("model")
        if not model:
            raise BadRequest("Say which model: /api/v1/capabilities?model=author/name")
        return _rendered(self._listing().capabilities(model))

    def _listing(self) -> Listing:
        """The lists of the catalog in use; those of one before it are forgotten."""
        catalog = self._services.catalog
        if self._made.catalog is not catalog:
            self._made = Listing(catalog, self._candidates)
        return self._made

    def _candidates(self) -> Sequence[str]:
        """The models among which the auto-router chooses."""
        services = self._services
        return () if services.router is None else services.router().candidates(services.catalog)

    async def _admit(self, request: Request) -> None:
        if not self._is_open:
            await caller(request.scope, self._services)

    def _look(self, endpoints: Sequence[Endpoint]) -> Figures:
        services = self._services
        return services.health.joint_figures([endpoint.id for endpoint in endpoints], services.loop_clock())


def _rendered(body: bytes) -> Response:
    return Response(body, media_type="application/json")
