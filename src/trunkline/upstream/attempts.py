"""Carries out a plan: asks one endpoint after the other until one has begun to answer, and hears it out.

It decides nothing about order (the plan's) and little about faults (`routing/fallback.py`'s): it is the loop between
them. Nothing is retried once a delta that the client can see has been given on. To a client that wants no stream
nothing is given on before an answer has ended well, so there what was said before an answer broke off is only kept,
and told if nobody else answers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from trunkline.adapters.encoding.offers import offered, restoring
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Endpoint
from trunkline.errors import ClientError, EdgeTimeout, Unprocessable
from trunkline.protocol.request import Request
from trunkline.routing.fallback import Attempted, Outrun, last_word, next_attempt, next_hedge
from trunkline.routing.health import Outcome
from trunkline.routing.plan import Plan
from trunkline.stream.deltas import Delta, Usage
from trunkline.upstream.asking import Asking, Question, Upstream
from trunkline.upstream.hearing import Hearing
from trunkline.upstream.http import UpstreamFailure
from trunkline.upstream.links.inline import Links
from trunkline.upstream.race import Batches, race
from trunkline.wire import Fault

_AFTERMATH_S = 0.5


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
        self,
        upstream: Upstream,
        plan: Plan,
        request: Request,
        deadline: float,
        *,
        account: str = "",
        is_dear: bool = False,
    ) -> None:
        """Prepare to carry out a plan for an account; nothing is sent before the first delta is asked for.

        `is_dear`: the request is so large that it is encoded beside the loop.
        """
        self._upstream = upstream
        self._plan = plan
        self._request = request
        self._deadline = deadline
        self._question = Question(request, deadline, account, Links(upstream.fetcher, account), is_dear)
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
        asking = Asking(self._upstream, self._question, attempt.endpoint)
        sent, reply = await asking.ask(request)
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
                    reply = await asking.ask_on(hearing)
            if hearing.fault is not None:
                raise UpstreamFailure(hearing.fault)
            if hearing.has_end_mark:
                await reply.finish(_AFTERMATH_S)
        finally:
            reply.close()
