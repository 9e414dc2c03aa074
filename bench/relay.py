"""The floor: the least a gateway in this language and on these libraries can cost, a relay that reads nothing.

Does not parse, authenticate, account or translate; it copies bytes from client to upstream and back.
"""

import contextlib
import sys
from collections.abc import AsyncIterator

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route


def build(upstream: str) -> Starlette:
    """The relay in front of `upstream`, an address without a trailing slash."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            app.state.session = session
            yield

    async def relay(request: Request) -> Response:
        session: aiohttp.ClientSession = request.app.state.session
        answer = await session.post(
            upstream + request.url.path,
            data=await request.body(),
            headers={"content-type": "application/json", "authorization": "Bearer bench"},
            timeout=aiohttp.ClientTimeout(total=None),
        )
        kind = answer.content_type
        if kind == "text/event-stream":
            return StreamingResponse(_copy(answer), answer.status, media_type=kind)
        async with answer:
            return Response(await answer.read(), answer.status, media_type=kind)

    return Starlette(routes=[Route("/{path:path}", relay, methods=["POST"])], lifespan=lifespan)


async def _copy(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async with answer:
        async for data in answer.content.iter_any():
            yield data


if __name__ == "__main__":
    port, upstream_port = sys.argv[1:]
    uvicorn.run(
        build(f"http://127.0.0.1:{upstream_port}"),
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=60,
    )
