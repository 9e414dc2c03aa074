"""Whether the process runs, and whether it can serve."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from trunkline.call import Services


async def live(_: Request) -> Response:
    """Answer GET /health/live."""
    return JSONResponse({"status": "live"})


async def ready(services: Services, _: Request) -> Response:
    """Answer GET /health/ready. Raises ServiceUnavailable when the store does not answer."""
    await services.keys.check()
    return JSONResponse({"status": "ready"})
