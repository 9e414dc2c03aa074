"""POST /responses: the body in, JSON or server-sent events out.

A raw ASGI application, because it stands on the path of every token. One task serves a request; beside it a watcher
waits for the client to leave, and cancels that task at whatever phase it is.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from starlette.types import Receive, Scope, Send

from trunkline.errors import GatewayError
from trunkline.pipeline import Admitted, Answer, Call, Services, admit, assembled, broken_off, failed, respond
from trunkline.protocol.events import Terminal
from trunkline.protocol.render import render_response
from trunkline.server.body import Bounds, ClientLeft
from trunkline.server.edge import BREAK_OFF, HAS_STARTED, REQUEST_ID
from trunkline.server.envelope import send_error
from trunkline.server.intake import Intake
from trunkline.server.streams import EventStream, Header
from trunkline.stream.fold import fold


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
            task = asyncio.current_task()
            assert task is not None
            watcher = asyncio.create_task(_cancel_when_left(receive, task))
            try:
                await self._serve(call, scope, send)
            except asyncio.CancelledError:
                # The watcher's own cancellation ends here; anybody else's goes on.
                if not watcher.done() or task.uncancel() > 0:
                    raise
            finally:
                watcher.cancel()

    async def _serve(self, call: Call, scope: Scope, send: Send) -> None:
        try:
            admitted = await admit(call, self._services)
            if admitted.request.stream:
                await self._serve_stream(admitted, scope, send)
            else:
                await self._serve_whole(admitted, scope, send)
        except GatewayError as error:
            await send_error(send, error, scope[REQUEST_ID])

    async def _serve_stream(self, admitted: Admitted, scope: Scope, send: Send) -> None:
        stream = EventStream(
            send,
            scope,
            _headers(scope, admitted),
            grace_s=self._bounds.grace_s,
            keep_alive_s=self._bounds.keep_alive_s,
        )
        scope[BREAK_OFF] = lambda error: stream.end(failed(error, admitted, self._services))
        try:
            try:
                answer = await respond(admitted, self._services)
            except GatewayError as error:
                if not stream.has_begun:
                    raise
                await stream.end(failed(error, admitted, self._services))
            else:
                scope[BREAK_OFF] = lambda error: stream.end(broken_off(error, answer, self._services))
                await self._send_events(answer, admitted, stream)
        finally:
            stream.close()

    async def _send_events(self, answer: Answer, admitted: Admitted, stream: EventStream) -> None:
        async with aclosing(assembled(answer, admitted, self._services)) as batches:
            async for events in batches:
                is_last = isinstance(events[-1], Terminal)
                try:
                    if not stream.has_begun:
                        await stream.begin(_answer_headers(answer))
                    await (stream.end(events) if is_last else stream.write(events))
                except asyncio.CancelledError as cancelled:
                    error = self._services.stopping.translate(cancelled)
                    if not isinstance(error, GatewayError):
                        raise
                    # The client reads slowly, and these events wait for it still: they go out with the end.
                    await stream.end(events if is_last else await batches.athrow(error))

    async def _serve_whole(self, admitted: Admitted, scope: Scope, send: Send) -> None:
        answer = await respond(admitted, self._services)
        batches = assembled(answer, admitted, self._services)
        response = fold([event async for events in batches for event in events])
        if answer.failure is not None:
            raise answer.failure
        body = render_response(response)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *_headers(scope, admitted),
            *_answer_headers(answer),
        ]
        scope[HAS_STARTED] = True
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _cancel_when_left(receive: Receive, task: asyncio.Task[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    task.cancel()


def _headers(scope: Scope, admitted: Admitted) -> list[Header]:
    return [(b"x-request-id", scope[REQUEST_ID].encode()), (b"x-generation-id", admitted.call.id.encode())]


def _answer_headers(answer: Answer) -> list[Header]:
    headers = [(b"x-trunkline-provider", answer.run.answering.provider.slug.encode())]
    if answer.run.dropped:
        headers.append((b"x-trunkline-dropped", ", ".join(answer.run.dropped).encode()))
    return headers
