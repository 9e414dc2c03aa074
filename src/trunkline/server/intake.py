"""How a call comes in, for every route that reads a body: who sends it, then room for it, then the body itself.

Theory of operation. The key is looked up from the head alone, so that nothing is read for somebody unknown; what came
along with the head is no more than one read from the socket (`server/listener.py`). Of a known sender bytes are counted
as they come, against one bound for all requests of the process together. A body that does not fit is refused, at once
if its length was told; what it held until then is free for the others. Its room is given back when the request is
over, not when the body is read: the parsed request, and what is sent upstream, are made of the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from starlette.types import Scope

from trunkline.accounts.idempotency import Claim
from trunkline.accounts.keys import Key
from trunkline.call import NOTHING_SAID, Call, Services
from trunkline.errors import ServiceUnavailable
from trunkline.server.allocator import LARGE_BYTES
from trunkline.server.body import (
    Bounds,
    Head,
    check_head,
    head_of,
    idempotency_key_of,
    max_cost_of,
    read_body,
    too_large,
)
from trunkline.server.cycle import Cycle, Field
from trunkline.server.edge import OWNER
from trunkline.settings.secret import Secret

_RETRY_AFTER_S = 1.0


class BodyMemory:
    """How many bytes of request bodies are held by all requests together."""

    def __init__(self, max_bytes: int) -> None:
        self.free_bytes = max_bytes

    def check(self, wanted_bytes: int) -> None:
        """Raise ServiceUnavailable when so many bytes would not fit."""
        if wanted_bytes > self.free_bytes:
            message = "The gateway holds as many request bodies as it has memory for."
            raise ServiceUnavailable(message, kind="server", retry_after=_RETRY_AFTER_S)


class Body:
    """One body as it comes in: its bytes are kept until they are taken, its room until it is closed."""

    __slots__ = ("_bytes", "_max_bytes", "_memory", "size")

    def __init__(self, memory: BodyMemory, max_bytes: int) -> None:
        self._memory = memory
        self._max_bytes = max_bytes
        self._bytes: bytes | bytearray = b""
        self.size = 0

    def close(self) -> None:
        """Give back the room: the request is over."""
        self._bytes = b""
        self._memory.free_bytes += self.size
        self.size = 0

    def expect(self, told_bytes: int) -> None:
        """Refuse a body that would not fit now. Raises ServiceUnavailable."""
        self._memory.check(told_bytes)

    def add(self, chunk: bytes | bytearray) -> None:
        """Keep what has come. Raises PayloadTooLarge, ServiceUnavailable."""
        memory, added_bytes = self._memory, len(chunk)
        if self.size + added_bytes > self._max_bytes:
            raise too_large(self._max_bytes)
        if added_bytes > memory.free_bytes:
            memory.check(added_bytes)
        memory.free_bytes -= added_bytes
        self.size += added_bytes
        if not self._bytes:
            self._bytes = chunk
            return
        # It grows in place: joining pieces of twenty megabytes in the end would hold the loop. So that it does, it is
        # moved once more when it becomes large; what began small is moved by the allocator when it is larger still.
        if isinstance(self._bytes, bytes) or self.size - added_bytes < LARGE_BYTES <= self.size:
            self._bytes = bytearray().join((self._bytes, chunk))
        else:
            self._bytes += chunk

    def peek(self) -> bytes | bytearray:
        """Show the bytes to whoever lets them go."""
        return self._bytes

    def take(self) -> bytes | bytearray:
        """Give the bytes away: they are not kept beside what is made of them."""
        taken, self._bytes = self._bytes, b""
        return taken


class Intake:
    """The one door for requests with a body."""

    def __init__(self, services: Services, bounds: Bounds, memory: BodyMemory) -> None:
        self._services = services
        self._bounds = bounds
        self.body: Callable[[], Body] = partial(Body, memory, bounds.max_body_bytes)
        """Makes room for the body of one request, to be given to `read`."""

    async def read(self, cycle: Cycle, body: Body) -> Call:
        """Find out who calls, and read the body.

        Raises a GatewayError (401, 503, 400, 413, 408). Of the first two nothing was read.
        """
        services, bounds, face = self._services, self._bounds, cycle.face
        received_at, started = services.wall_clock(), services.loop_clock()
        head = head_of(cycle.fields)
        key = await services.keys.authenticate(head.authorization)
        cycle.owner = key.account_id
        check_head(head, bounds)
        max_cost_nano = None if head.max_cost is None else max_cost_of(head.max_cost)
        idempotency_key = None if head.idempotency_key is None else idempotency_key_of(head.idempotency_key)
        if cycle.more_body or head.is_packed:
            body.expect(head.content_length)
            await read_body(cycle, body, bounds, services.aside, is_packed=head.is_packed)
        else:
            body.add(cycle.take())
        said = _said(cycle.fields, face.heeds) if face.heeds else NOTHING_SAID
        claim = None
        if idempotency_key is not None:
            claim = await self._claim(idempotency_key, key, head, body, face.name + _as_text(said))
        return Call(  # by place: by name it costs several times as much
            "resp_" + cycle.request_id.removeprefix("req_"),
            key,
            head.session_id,
            body.take,
            body.size,
            received_at,
            started + bounds.deadline_s,
            max_cost_nano,
            claim,
            face,
            said,
        )

    async def _claim(self, text: str, key: Key, head: Head, body: Body, spoken: str) -> Claim:
        """Claim what a request is named by, in the API that is `spoken`, with what its client says there in the head.

        A large body is hashed beside the loop, and so is the first of all.
        """
        services = self._services
        assert head.authorization is not None
        more = f"{spoken}|{head.max_cost}|{head.session_id}"
        api_key = Secret(head.authorization[len("bearer ") :])
        make = partial(services.claims.make, key.account_id, text, api_key, body.peek(), more)
        if services.claims.is_loaded and body.size < LARGE_BYTES:
            return make()
        return await services.aside.run(make)


def _said(fields: Iterable[Field], heeds: frozenset[bytes]) -> dict[bytes, bytes]:
    """The fields that a face heeds; several lines of one are one list, as if commas stood between (RFC 9110)."""
    said: dict[bytes, bytes] = {}
    for name, value in fields:
        if name in heeds:
            said[name] = said[name] + b"," + value if name in said else value
    return said


def _as_text(said: Mapping[bytes, bytes]) -> str:
    return "".join(f"|{name!r}: {said[name]!r}" for name in sorted(said))


async def caller(scope: Scope, services: Services) -> Key:
    """Find out who sends a request without a body. Raises Unauthorized, ServiceUnavailable."""
    key = await services.keys.authenticate(head_of(scope["headers"]).authorization)
    scope[OWNER] = key.account_id
    return key
