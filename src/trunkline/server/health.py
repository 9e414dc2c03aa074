"""Whether the process runs, whether it can serve, and what it is."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from trunkline.call import Services


async def stand(_: Request) -> Response:
    """Answer GET and HEAD of the bare address, by which Claude Code looks whether anybody is there."""
    return JSONResponse({"name": "trunkline", "documentation": "/docs", "contract": "/openapi.json"})


async def live(_: Request) -> Response:
    """Answer GET /health/live."""
    return JSONResponse({"status": "live"})


async def ready(services: Services, _: Request) -> Response:
    """Answer GET /health/ready. Raises ServiceUnavailable when the store does not answer."""
    await services.keys.check()
    return JSONResponse({"status": "ready"})
