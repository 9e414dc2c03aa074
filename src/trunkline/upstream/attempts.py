"""Carries out a plan: encode, sign, send, frame, decode, and fall back until one endpoint has begun to answer.

It decides nothing about order (the plan's) and little about faults (`routing/fallback.py`'s): it is the loop between
them. Nothing is retried once a delta that the client can see has been given on. To a client that wants no stream
nothing is given on before an answer has ended well, so there what was said before an answer broke off is only kept,
and told if nobody else answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from trunkline.adapters.contract import Adapter, Exchange
from trunkline.adapters.encoding.links import links_to_inline
from trunkline.adapters.encoding.offers import offered, restoring
from trunkline.adapters.encoding.results import readable, reading_text
from trunkline.adapters.table import ADAPTERS
from trunkline.adapters.thinking import effort
from trunkline.catalog.entries import Endpoint
from trunkline.credentials.schemes import sign
from trunkline.errors import ClientError, EdgeTimeout, Unprocessable
from trunkline.protocol.request import Request
from trunkline.routing import limits
from trunkline.routing.affinity import Affinity
from trunkline.routing.fallback import Attempted, Outrun, last_word, next_attempt, next_hedge
from trunkline.routing.health import Health, Outcome
from trunkline.routing.plan import Plan
from trunkline.stream.deltas import Delta, Usage
from trunkline.upstream.aside import Aside
from trunkline.upstream.hearing import Hearing
from trunkline.upstream.http import UpstreamFailure
from trunkline.upstream.links.fetch import Fetcher
from trunkline.upstream.links.inline import Links, LinkTransport
from trunkline.upstream.race import Batches, race
from trunkline.upstream.tokens import Tokens
from trunkline.upstream.transport import Reply, Transport
from trunkline.wire import NONCE, Fault, UpstreamRequest

_MAX_ERROR_BYTES = 64 * 1024
_AFTERMATH_S = 0.5
_MAX_EXCHANGES = 2_000
"""So many times may one attempt ask on; the deadline nearly always comes first."""


@dataclass(frozen=True)
class Upstream:
    """Everything that is needed to ask providers; shared by all requests.

    Transports are by URL scheme. `clock` is the loop's, `wall_clock` Unix time. `is_hedging`: a stream whose endpoint
    stays silent may be asked for at a second one.
    """

    transports: Mapping[str, Transport]
    tokens: Tokens
    fetcher: Fetcher
    health: Health
    affinity: Affinity
    aside: Aside
    end_user_secret: bytes
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    is_hedging: bool = False

    def run(self, plan: Plan, request: Request, deadline: float, *, account: str = "", is_dear: bool = False) -> Run:
        """Prepare to carry out a plan for an account; nothing is sent before the first delta is asked for.

        `is_dear`: the request is so large that it is encoded beside the loop.
        """
        return Run(self, plan, request, deadline, account, is_dear)

    async def send(self, request: UpstreamRequest, provider: str, deadline: float, *, thinks: bool = False) -> Reply:
        """Send to a provider, by its slug, with its credential. Raises UpstreamFailure."""
        credential = await self.tokens.credential(provider, deadline)
        if credential is not None:
            request = sign(request, credential, self.wall_clock())
        return await self.transports[request.url.partition(":")[0]].send(request, deadline, thinks=thinks)

    async def raise_for_status(self, reply: Reply, adapter: Adapter, endpoint: Endpoint) -> None:
        """Read what an answer that is no success says. Raises UpstreamFailure for such a one."""
        if _is_success(reply):
            return
        if 300 <= reply.status < 400:
            raise UpstreamFailure(Fault("nonsense", "the provider redirects, which is not followed", reply.status))
        try:
            body = await reply.body(_MAX_ERROR_BYTES)
        except UpstreamFailure:
            body = b""
        fault = adapter.fault(reply.status, reply.headers, body, endpoint)
        if fault.kind == "limited" and fault.retry_after is None and reply.tells_limits:
            # Groq and others tell the time only in the headers of the limit itself.
            fault = fault.hinted(limits.rest_s(reply.headers, self.wall_clock()))
        raise UpstreamFailure(fault)


@dataclass(slots=True)
class _Attempt:
    """What is noted of one attempt.

    `spoke` is when the first delta came that a client sees, `held` what was heard and not given on yet.
    """

    place: int
    endpoint: Endpoint
    is_byok: bool
    started: float
    spoke: float | None = None
    hearing: Hearing | None = None
    exchanges: int = 1
    dropped: tuple[str, ...] = ()
    held: list[Delta] = field(default_factory=list)

    @property
    def usage(self) -> Usage | None:
        """What the provider says was spent so far."""
        return None if self.hearing is None else self.hearing.usage

    @property
    def is_tellable(self) -> bool:
        """Whether there is something to see for a client, and no reason known yet to ask elsewhere instead."""
        return self.spoke is not None and not (self.hearing is not None and self.hearing.has_failed_whole)

    def release(self) -> list[Delta]:
        """Give what was held, once."""
        held, self.held = self.held, []
        return held


class Run:
    """One plan being carried out.

    `attempted` is what failed before somebody answered (or instead), `outrun` what was asked beside and was slower.
    """

    def __init__(
        self, upstream: Upstream, plan: Plan, request: Request, deadline: float, account: str, is_dear: bool
    ) -> None:
        self._upstream = upstream
        self._is_dear = is_dear
        self._plan = plan
        self._request = request
        self._deadline = deadline
        self._account = account
        self._links = Links(upstream.fetcher, account)
        self._asking: _Attempt | None = None
        self._answering: _Attempt | None = None
        self.attempted: list[Attempted] = []
        self.outrun: list[Outrun] = []

    @property
    def has_spoken(self) -> bool:
        """Whether somebody answers: the first list was given on, or is held back until the answer is whole."""
        return self._answering is not None

    @property
    def held(self) -> Sequence[Delta]:
        """What who answers has said and nobody was told."""
        return () if self._answering is None else self._answering.held

    @property
    def endpoint(self) -> Endpoint | None:
        """Who answers; until somebody does, who was asked last."""
        attempt = self._answering or self._asking
        return None if attempt is None else attempt.endpoint

    @property
    def answering(self) -> Endpoint:
        """Who answers; only asked once the first list has come."""
        assert self._answering is not None
        return self._answering.endpoint

    @property
    def dropped(self) -> tuple[str, ...]:
        """The client's parameters that who answers was not told."""
        return () if self._answering is None else self._answering.dropped

    async def deltas(self) -> AsyncGenerator[list[Delta], None]:
        """Ask one endpoint after the other; the first list holds something that a client can see.

        Raises the GatewayError that sums up all attempts when none answers, also after what the last of them said that
        said anything; and that of the fault when the one that answered breaks off.
        """
        unspeakable: Unprocessable | None = None
        broken: _Attempt | None = None
        passed: set[int] = set()
        while (place := self._next_place(passed)) is not None:
            attempt = self._begin(place, is_first=not self.attempted)
            heard = self._hear(attempt)
            if self._upstream.is_hedging and self._request.stream:
                attempt, heard = await self._hedged(attempt, heard, passed)
            is_told = False
            try:
                async with aclosing(heard) as batches:
                    async for batch in batches:
                        if is_told:
                            yield batch
                            continue
                        attempt.held += batch
                        if attempt.is_tellable:
                            # The commit point, stated here alone: of two that are raced both may have spoken.
                            self._answering = attempt
                            if is_told := bool(self._request.stream):
                                yield attempt.release()
                self._succeed(attempt)
                if not is_told:
                    yield attempt.release()
                return
            except Unprocessable as error:
                unspeakable = error
                passed.add(attempt.place)
            except UpstreamFailure as failure:
                attempted = self._fail(attempt, failure.fault, output_began=is_told)
                if is_told:
                    raise last_word([attempted]) from None
                self._answering = None
                broken = attempt if attempt.spoke is not None else broken
            except ClientError:
                if broken is None:
                    raise
                break
        if broken is not None:
            self._answering = broken
            yield broken.release()
        if self.attempted:
            raise last_word(self.attempted) from None
        raise unspeakable or EdgeTimeout("The deadline passed before a provider could be asked.")

    def _next_place(self, passed: Collection[int]) -> int | None:
        now = self._upstream.clock()
        return next_attempt(
            self._plan,
            self.attempted,
            self._upstream.health,
            now=now,
            remaining_s=self._deadline - now,
            passed=passed,
        )

    def _begin(self, place: int, *, is_first: bool) -> _Attempt:
        now = self._upstream.clock()
        endpoint = self._plan.attempts[place]
        self._upstream.health.started(endpoint.id, now, is_first=is_first)
        self._asking = _Attempt(place, endpoint, bool(self._plan.is_byok) and self._plan.is_byok[place], now)
        return self._asking

    async def _hedged(self, first: _Attempt, heard: Batches, passed: set[int]) -> tuple[_Attempt, Batches]:
        """Wait until an attempt speaks or fails, and ask elsewhere too when that takes unusually long."""
        health, clock = self._upstream.health, self._upstream.clock
        wait_s = health.hedge_after(first.endpoint.id, clock())
        if wait_s is None:
            return first, heard

        def join() -> tuple[_Attempt, Batches] | None:
            now = clock()
            place = next_hedge(
                self._plan,
                self.attempted,
                health,
                first=first.place,
                now=now,
                remaining_s=self._deadline - now,
                passed=passed,
            )
            if place is None:
                return None
            health.hedged(now)
            second = self._begin(place, is_first=False)
            return second, self._hear(second)

        def drop(attempt: _Attempt, error: BaseException) -> None:
            if isinstance(error, UpstreamFailure):
                self._fail(attempt, error.fault)
            elif isinstance(error, Unprocessable):
                passed.add(attempt.place)
            else:
                raise error

        attempt, heard, loser = await race(first, heard, wait_s, join, drop)
        if loser is not None:
            self._outrun(loser, is_first=loser is first)
        return attempt, heard

    def _outrun(self, attempt: _Attempt, *, is_first: bool) -> None:
        now, endpoint = self._upstream.clock(), attempt.endpoint
        if is_first:
            self._upstream.health.outrun(endpoint.id, now - attempt.started, now)
        self.outrun.append(
            Outrun(endpoint=endpoint, started=attempt.started, ended=now, is_byok=attempt.is_byok, usage=attempt.usage)
        )

    def _speak(self, attempt: _Attempt) -> None:
        """Note the first output: whoever is asked first now or goes on with the conversation shall know of it."""
        endpoint, now = attempt.endpoint, self._upstream.clock()
        attempt.spoke = now
        self._upstream.health.answered(endpoint.id, now)
        conversation = self._plan.conversations.get(endpoint.model.slug)
        if conversation is not None:
            self._upstream.affinity.keep(conversation, endpoint.id, now)

    def _succeed(self, attempt: _Attempt) -> None:
        now, spoke, usage = self._upstream.clock(), attempt.spoke, attempt.usage or Usage()
        # A whole answer arrives at once and tells neither when its first token came nor how fast the others were.
        is_timed = self._request.stream and spoke is not None
        outcome = Outcome(
            first_token_s=spoke - attempt.started if is_timed and spoke is not None else None,
            generation_s=now - spoke if is_timed and spoke is not None else None,
            input_tokens=usage.input_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            output_tokens=usage.output_tokens,
        )
        self._upstream.health.record(attempt.endpoint.id, outcome, now, is_byok=attempt.is_byok)

    def _fail(self, attempt: _Attempt, fault: Fault, *, output_began: bool = False) -> Attempted:
        """Note how an attempt ended; further than this no fault carries a secret of the provider's."""
        fault = self._upstream.tokens.mask(attempt.endpoint.provider.slug).fault(fault)
        now = self._upstream.clock()
        outcome = Outcome(fault=fault.kind, retry_after_s=fault.retry_after)
        self._upstream.health.record(attempt.endpoint.id, outcome, now, is_byok=attempt.is_byok)
        attempted = Attempted(
            endpoint=attempt.endpoint,
            fault=fault,
            started=attempt.started,
            ended=now,
            is_byok=attempt.is_byok,
            output_began=output_began,
        )
        self.attempted.append(attempted)
        return attempted

    async def _hear(self, attempt: _Attempt) -> AsyncGenerator[list[Delta], None]:
        """Ask one endpoint: one list for each network read that says something.

        Raises UpstreamFailure however it fails, also when the answer is cut off.
        """
        adapter = ADAPTERS[attempt.endpoint.dialect]
        offer = offered(self._request, attempt.endpoint)
        request = offer.request
        sent, reply = await self._ask(adapter, attempt, request)
        attempt.dropped = tuple(dict.fromkeys((*offer.lost, *sent.dropped)))
        try:
            decoder = restoring(adapter.decoder(request, attempt.endpoint), offer)
            cap, stop = self._request.max_output_tokens, self._request.stop
            hearing = attempt.hearing = Hearing(decoder, attempt.endpoint, sent, reply.content_type, cap, stop)
            while not hearing.is_over:
                try:
                    piece = await reply.read()
                except UpstreamFailure as failure:
                    batch = hearing.ended(failure.fault)
                else:
                    batch = hearing.feed(piece) if piece else hearing.ended()
                if hearing.has_progressed:
                    reply.note_output()
                if attempt.spoke is None and hearing.has_spoken:
                    self._speak(attempt)
                if batch:
                    yield batch
                if hearing.exchange is not None:
                    reply.close()
                    reply = await self._ask_on(hearing, adapter, attempt)
            if hearing.fault is not None:
                raise UpstreamFailure(hearing.fault)
            if hearing.has_end_mark:
                await reply.finish(_AFTERMATH_S)
        finally:
            reply.close()

    async def _ask(self, adapter: Adapter, attempt: _Attempt, request: Request) -> tuple[UpstreamRequest, Reply]:
        """Ask an endpoint; once more, where it refuses what the client did not ask for and tells what it would take."""
        sent = await self._encode(adapter, attempt.endpoint, request)
        try:
            return sent, await self._send(sent, adapter, attempt.endpoint)
        except UpstreamFailure as failure:
            narrowed = adapter.narrowed(request, attempt.endpoint, failure.fault)
            narrowed = narrowed or reading_text(request, attempt.endpoint, failure.fault)
            if narrowed is None:
                raise
            again = await self._encode(adapter, narrowed, request)
            if again.body == sent.body:
                raise
        attempt.exchanges += 1
        return again, await self._send(again, adapter, attempt.endpoint)

    async def _encode(self, adapter: Adapter, endpoint: Endpoint, request: Request) -> UpstreamRequest:
        """Say the request as this endpoint can take it. Raises a ClientError for a link that leads nowhere."""
        request, unread = readable(request, endpoint)
        if wanted := links_to_inline(request, endpoint, adapter.needs_file):
            request = await self._links.inlined(request, wanted, self._deadline)
        end_user = self._end_user(endpoint)
        if self._is_dear:
            encoded = await self._upstream.aside.run(adapter.encode, request, endpoint, end_user)
        else:
            encoded = adapter.encode(request, endpoint, end_user)
        body = encoded.body
        if encoded.has_nonce:
            body = body.replace(NONCE.encode(), secrets.token_hex(16).encode())
        return UpstreamRequest(encoded.method, encoded.url, encoded.headers, body, (*unread, *encoded.dropped))

    async def _send(self, request: UpstreamRequest, adapter: Adapter, endpoint: Endpoint) -> Reply:
        """Send to the provider, signed. Raises UpstreamFailure for an answer that is no success."""
        upstream = self._upstream
        thinks = _thinks(self._request, endpoint)
        reply = await upstream.send(request, endpoint.provider.slug, self._deadline, thinks=thinks)
        if reply.tells_limits:
            rest_s = limits.rest_s(reply.headers, upstream.wall_clock())
            if rest_s is not None:
                upstream.health.cool_down(endpoint.id, rest_s, upstream.clock())
        return reply if _is_success(reply) else await self._checked(reply, adapter, endpoint)

    async def _ask_on(self, hearing: Hearing, adapter: Adapter, attempt: _Attempt) -> Reply:
        """Go on with an answer that takes several exchanges; what fails is asked again as often as the decoder says."""
        while (exchange := hearing.exchange) is not None:
            attempt.exchanges += 1
            if attempt.exchanges > _MAX_EXCHANGES:
                raise UpstreamFailure(Fault("nonsense", "the answer takes exchanges without end"))
            await self._wait(exchange.wait_s)
            try:
                reply = await self._exchanged(exchange, adapter, attempt.endpoint)
            except UpstreamFailure as failure:
                if not hearing.refused(failure.fault):
                    raise
            else:
                hearing.resume(reply.content_type)
                return reply
        raise AssertionError("nothing more is to be asked")

    async def _exchanged(self, exchange: Exchange, adapter: Adapter, endpoint: Endpoint) -> Reply:
        request = exchange.request
        match exchange.reach:
            case "provider":
                return await self._send(request, adapter, endpoint)
            case "own_host":
                transport = self._upstream.transports[request.url.partition(":")[0]]
                reply = await transport.send(request, self._deadline)
            case "anywhere":
                links = LinkTransport(self._upstream.fetcher, self._account)
                reply = await links.send(request, self._deadline)
        return await self._checked(reply, adapter, endpoint)

    async def _checked(self, reply: Reply, adapter: Adapter, endpoint: Endpoint) -> Reply:
        """Give an answer on that is a success, and close every other. Raises UpstreamFailure for that."""
        try:
            await self._upstream.raise_for_status(reply, adapter, endpoint)
        except BaseException:
            reply.close()
            raise
        return reply

    async def _wait(self, seconds: float) -> None:
        if self._upstream.clock() + seconds >= self._deadline:
            raise UpstreamFailure(Fault("silent", "the deadline passed before the answer was ready"))
        await self._upstream.sleep(seconds)

    def _end_user(self, endpoint: Endpoint) -> str | None:
        """The client's user as this provider may know it: stable there, and no name. Its adapter tells it, or not."""
        user = self._request.safety_identifier or self._request.user
        if not user:
            return None
        text = f"{endpoint.provider.slug}\0{user}".encode()
        return hmac.new(self._upstream.end_user_secret, text, hashlib.sha256).hexdigest()


def _is_success(reply: Reply) -> bool:
    return 200 <= reply.status < 300


def _thinks(request: Request, endpoint: Endpoint) -> bool:
    """Whether thought was asked for, or the model is known to think always."""
    asked = effort(request.reasoning)
    if asked is not None:
        return asked != "none"
    return bool(endpoint.reasoning_efforts) and "none" not in endpoint.reasoning_efforts
