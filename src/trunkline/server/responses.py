"""POST /responses: the body in, JSON or server-sent events out.

A raw ASGI application, because it stands on the path of every token. One task serves a request; when the client leaves,
it is cancelled at whatever phase it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

from starlette.types import Receive, Scope, Send

from trunkline.call import Admitted, Call, Course, Services, new_telling
from trunkline.errors import GatewayError
from trunkline.pipeline import Answer, admit, respond, respond_whole, told
from trunkline.server.body import Bounds, ClientLeft
from trunkline.server.edge import BREAK_OFF, HAS_STARTED, LEAVING, OWNER, REQUEST_ID, Leaving
from trunkline.server.envelope import send_error
from trunkline.server.intake import Intake
from trunkline.server.streams import EventStream, Header


class ResponsesRoute:
    """The ASGI application behind POST /responses."""

    def __init__(self, services: Services, bounds: Bounds, intake: Intake) -> None:
        self._services = services
        self._bounds = bounds
        self._intake = intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._intake.body() as body:
            try:
                call = await self._intake.read(scope, receive, body)
            except ClientLeft:
                return
            await _while_heard(self._serve(call, scope, send), scope, receive)

    async def _serve(self, call: Call, scope: Scope, send: Send) -> None:
        try:
            admitted = await admit(call, self._services)
            if admitted.request.stream:
                await self._serve_stream(admitted, scope, send)
            else:
                await self._serve_whole(admitted, scope, send)
        except GatewayError as error:
            await send_error(send, error, scope[REQUEST_ID], user_id=scope[OWNER])

    async def _serve_stream(self, admitted: Admitted, scope: Scope, send: Send) -> None:
        stream = EventStream(
            send,
            scope,
            _headers(scope, admitted),
            grace_s=self._bounds.grace_s,
            keep_alive_s=self._bounds.keep_alive_s,
        )
        unheard = admitted.plan.attempts[0].model.slug
        scope[BREAK_OFF] = lambda error: stream.end(new_telling(admitted, self._services, unheard).fail(error))
        try:
            try:
                answer = await respond(admitted, self._services)
            except GatewayError as error:
                if not stream.has_begun:
                    raise
                await scope[BREAK_OFF](error)
            else:
                scope[BREAK_OFF] = lambda error: stream.end(answer.telling.fail(error))
                await self._send_pieces(answer, stream)
            # Scope, ending and stream hold one another; unless the ring is cut here, each waits for the garbage search.
            del scope[BREAK_OFF]
        finally:
            stream.close()

    async def _send_pieces(self, answer: Answer, stream: EventStream) -> None:
        async with aclosing(told(answer, self._services)) as pieces:
            async for piece in pieces:
                is_last = answer.telling.is_over
                try:
                    if not stream.has_begun:
                        await stream.begin(_answer_headers(answer.course))
                    await (stream.end(piece) if is_last else stream.write(piece))
                except asyncio.CancelledError as cancelled:
                    error = self._services.stopping.translate(cancelled)
                    if not isinstance(error, GatewayError):
                        raise
                    # The client reads slowly, and this piece waits for it still: it goes out with the end.
                    await stream.end(piece if is_last else await pieces.athrow(error))

    async def _serve_whole(self, admitted: Admitted, scope: Scope, send: Send) -> None:
        course, body = await respond_whole(admitted, self._services)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *_headers(scope, admitted),
            *_answer_headers(course),
        ]
        scope[HAS_STARTED] = True
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _while_heard(serving: Coroutine[Any, Any, None], scope: Scope, receive: Receive) -> None:
    """Serve until the client leaves; whoever else cancels is obeyed."""
    task = asyncio.current_task()
    assert task is not None
    leaving: Leaving = scope.get(LEAVING) or Leaving()
    # Only our own listener calls; at another server a task has to ask, which costs a short answer a twentieth.
    watcher = None if LEAVING in scope else asyncio.create_task(_watch(receive, leaving))
    has_left = False

    def leave() -> None:
        nonlocal has_left
        has_left = task.cancel()

    leaving.then = leave
    try:
        await serving
    except asyncio.CancelledError:
        if not has_left or task.uncancel() > 0:
            raise
    finally:
        if leaving.then is leave:
            leaving.then = None
        if watcher is not None:
            watcher.cancel()


async def _watch(receive: Receive, leaving: Leaving) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    if leaving.then is not None:
        leaving.then()


def _headers(scope: Scope, admitted: Admitted) -> list[Header]:
    return [(b"x-request-id", scope[REQUEST_ID].encode()), (b"x-generation-id", admitted.call.id.encode())]


def _answer_headers(course: Course) -> list[Header]:
    headers = [(b"x-trunkline-provider", course.answering.provider.slug.encode())]
    if course.dropped:
        headers.append((b"x-trunkline-dropped", ", ".join(course.dropped).encode()))
    return headers
