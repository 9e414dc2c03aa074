"""Carries out a plan: encode, sign, send, frame, decode, and fall back until one endpoint has begun to answer.

It decides nothing about order (the plan's) and little about faults (`routing/fallback.py`'s): it is the loop between
them. Nothing is retried once a delta that the client can see has been given on.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Protocol

from trunkline.adapters.contract import Adapter, Decoder
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Endpoint
from trunkline.credentials.schemes import Credential, sign
from trunkline.errors import Unprocessable
from trunkline.protocol.request import Request
from trunkline.routing.fallback import Attempted, after, last_word
from trunkline.routing.health import Health
from trunkline.routing.plan import Plan
from trunkline.stream.deltas import Began, Delta, Failed, Spent, Stopped
from trunkline.stream.framing import Framing
from trunkline.upstream.http import UpstreamFailure
from trunkline.wire import Fault, Headers, Malformed, UpstreamRequest

_MAX_ERROR_BYTES = 64 * 1024
_AFTERMATH_S = 0.5
_SILENT_KINDS = frozenset({Began, Spent})
"""Deltas that a client does not see: until another comes, the next endpoint may still be asked."""

_LAST_KINDS = frozenset({Stopped, Failed})
"""Deltas that end an answer."""


class Reply(Protocol):
    """An upstream answer whose head has arrived."""

    status: int
    content_type: str

    @property
    def headers(self) -> Headers: ...

    async def read(self) -> bytes: ...

    async def body(self, max_bytes: int) -> bytes: ...

    async def finish(self, wait_s: float) -> None: ...

    def close(self) -> None: ...


class Transport(Protocol):
    """Whatever carries a request to a provider: the HTTP client, or the stage FakeProvider plays on."""

    async def send(self, request: UpstreamRequest, deadline: float) -> Reply: ...


class Upstream:
    """Everything that is needed to ask providers; shared by all requests."""

    def __init__(
        self,
        transports: Mapping[str, Transport],
        credentials: Mapping[str, Credential],
        health: Health,
        *,
        end_user_secret: bytes,
        clock: Callable[[], float],
    ) -> None:
        """Take transports by URL scheme, credentials by provider slug, and the loop's clock."""
        self._transports = transports
        self._credentials = credentials
        self._health = health
        self._end_user_secret = end_user_secret
        self._clock = clock

    def run(self, plan: Plan, request: Request, deadline: float) -> Run:
        """Prepare to carry out a plan; nothing is sent before the first delta is asked for."""
        return Run(self, plan, request, deadline)


class Run:
    """One plan being carried out.

    `endpoint` is the one that answers, `dropped` what it was not told, `attempted` what failed before (or instead).
    """

    def __init__(self, upstream: Upstream, plan: Plan, request: Request, deadline: float) -> None:
        self._upstream = upstream
        self._plan = plan
        self._request = request
        self._deadline = deadline
        self.endpoint: Endpoint | None = None
        self.dropped: tuple[str, ...] = ()
        self.attempted: list[Attempted] = []

    @property
    def answering(self) -> Endpoint:
        """The endpoint whose deltas are given on; there is one once the first list has come."""
        if self.endpoint is None:
            raise AssertionError("no endpoint answers yet")
        return self.endpoint

    async def deltas(self) -> AsyncGenerator[list[Delta], None]:
        """Ask one endpoint after the other; the first list holds something that a client can see.

        Raises the GatewayError that sums up all attempts when none answers, and that of the fault when the one that
        answered breaks off.
        """
        unspeakable: Unprocessable | None = None
        closed_models: set[str] = set()
        for endpoint in self._plan.attempts:
            if endpoint.model.slug in closed_models:
                continue
            if len(self.attempted) >= self._plan.max_attempts:
                break
            held: list[Delta] | None = []
            self.endpoint = endpoint
            started = self._upstream._clock()
            try:
                async with aclosing(self._attempt(endpoint)) as batches:
                    async for batch in batches:
                        if held is not None:
                            held += batch
                            if _SILENT_KINDS.issuperset(map(type, batch)):
                                continue
                            batch, held = held, None
                        yield batch
                return
            except Unprocessable as error:
                unspeakable = error
            except UpstreamFailure as failure:
                attempted = self._note(endpoint, failure.fault, started)
                if held is None:
                    raise last_word([attempted]) from None
                match after(failure.fault, output_began=False):
                    case "next_endpoint":
                        pass
                    case "next_model":
                        closed_models.add(endpoint.model.slug)
                    case "stop":
                        break
        if unspeakable is not None and not self.attempted:
            raise unspeakable
        raise last_word(self.attempted) from None

    async def _attempt(self, endpoint: Endpoint) -> AsyncGenerator[list[Delta], None]:
        """Ask one endpoint: one list for each network read that says something.

        Raises UpstreamFailure however it fails, also when the answer is cut off.
        """
        adapter = ADAPTERS[endpoint.dialect]
        reply = await self._send(adapter, endpoint)
        try:
            await _raise_for_status(reply, adapter, endpoint)
            decoder = adapter.decoder(self._request, endpoint)
            framing = adapter.framing(reply.content_type)
            has_stopped = False
            while piece := await reply.read():
                batch: list[Delta] = []
                for message in framing.feed(piece):
                    batch += decoder.message(message)
                if not batch:
                    continue
                kinds = set(map(type, batch))
                if kinds & _LAST_KINDS:
                    has_stopped = has_stopped or Stopped in kinds
                    batch, fault = _cut_at_fault(batch)
                    if fault is not None:
                        yield batch
                        raise UpstreamFailure(fault)
                yield batch
                if decoder.is_done:
                    await reply.finish(_AFTERMATH_S)
                    break
            batch, fault = _cut_at_fault(_rest(framing, decoder))
            yield batch
            if fault is not None:
                raise UpstreamFailure(fault)
            if not has_stopped and Stopped not in map(type, batch):
                raise UpstreamFailure(Fault("nonsense", "the answer was cut off"))
        except Malformed as error:
            raise UpstreamFailure(Fault("nonsense", str(error))) from None
        finally:
            reply.close()

    async def _send(self, adapter: Adapter, endpoint: Endpoint) -> Reply:
        request = adapter.encode(self._request, endpoint, self._end_user(endpoint))
        self.dropped = request.dropped
        credential = self._upstream._credentials.get(endpoint.provider.slug)
        if credential is not None:
            request = sign(request, credential, datetime.now(UTC))
        transport = self._upstream._transports[request.url.partition(":")[0]]
        return await transport.send(request, self._deadline)

    def _note(self, endpoint: Endpoint, fault: Fault, started: float) -> Attempted:
        attempted = Attempted(endpoint=endpoint, fault=fault, started=started, ended=self._upstream._clock())
        self.attempted.append(attempted)
        return attempted

    def _end_user(self, endpoint: Endpoint) -> str | None:
        """The client's user as a provider may know it: stable there, and no name."""
        user = self._request.safety_identifier or self._request.user
        if user is None or not endpoint.quirks.has_safety_identifier:
            return None
        text = f"{endpoint.provider.slug}\0{user}".encode()
        return hmac.new(self._upstream._end_user_secret, text, hashlib.sha256).hexdigest()


async def _raise_for_status(reply: Reply, adapter: Adapter, endpoint: Endpoint) -> None:
    if 200 <= reply.status < 300:
        return
    if 300 <= reply.status < 400:
        raise UpstreamFailure(Fault("nonsense", "the provider redirects, which is not followed", reply.status))
    try:
        body = await reply.body(_MAX_ERROR_BYTES)
    except UpstreamFailure:
        body = b""
    raise UpstreamFailure(adapter.fault(reply.status, reply.headers, body, endpoint))


def _rest(framing: Framing, decoder: Decoder) -> list[Delta]:
    """What is left to decode when the body has ended; all of it, where the body is no stream."""
    batch: list[Delta] = []
    for message in framing.flush():
        batch += decoder.whole(message.data) if framing.is_whole else decoder.message(message)
    batch += decoder.end()
    return batch


def _cut_at_fault(batch: list[Delta]) -> tuple[list[Delta], Fault | None]:
    """What was said before the provider broke off, and how it did."""
    for index, delta in enumerate(batch):
        if isinstance(delta, Failed):
            return batch[:index], delta.fault
    return batch, None
