"""Carries out a plan: asks one endpoint after the other until one has begun to answer, and hears it out.

It decides nothing about order (the plan's) and little about faults (`routing/fallback.py`'s): it is the loop between
them. Nothing is retried once a delta that the client can see has been given on. To a client that wants no stream
nothing is given on before an answer has ended well, so there what was said before an answer broke off is only kept,
and told if nobody else answers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import partial

from trunkline import failpoints
from trunkline.accounts.provider_keys import NOBODY, Owner
from trunkline.adapters.encoding.offers import restoring
from trunkline.billing import Told, used
from trunkline.catalog.entries import Endpoint
from trunkline.errors import ClientError, EdgeTimeout, GatewayError, TooLong, Unprocessable
from trunkline.generation import NOTHING_NOTED, Fee, Noted
from trunkline.protocol.request import Request
from trunkline.routing.fallback import Attempted, Outrun, as_told, last_word, next_attempt, next_hedge
from trunkline.routing.health import Outcome
from trunkline.routing.plan import Plan
from trunkline.stream.deltas import Delta, Usage
from trunkline.upstream.asking import Asking, Documents, Fitting, Question, Upstream, apart
from trunkline.upstream.attempt import Attempt
from trunkline.upstream.drivers import Sink, pull, push
from trunkline.upstream.hearing import Hearing
from trunkline.upstream.lengths import measured
from trunkline.upstream.lines import Lines
from trunkline.upstream.links.inline import Links
from trunkline.upstream.race import Batches, race
from trunkline.upstream.taking import Taking
from trunkline.upstream.transport import Reply, UpstreamFailure
from trunkline.wire import Fault, UpstreamRequest

_AFTERMATH_S = 0.5
_NOTHING_USED = Usage()


class Run:
    """One plan being carried out.

    `has_spoken`: somebody answers, `answering`, and the first list was given on, or is held back until the answer is
    whole. `endpoint` is the same, or until then who was asked last. `held` is what was said and nobody was told,
    `dropped` the client's parameters that who answers was not told. `attempted` is what failed before somebody answered
    (or instead), `outrun` what was asked beside and was slower. `sink`, once set, takes what goes on without waiting.
    `waited_s` is how long it waited for turns.

    Of who answers, or is the last that did: `is_byok`, whether with the client's own key; `spoke`, when on the loop's
    clock; `upstream_id`, what it calls the answer.
    """

    answering: Endpoint
    endpoint: Endpoint | None = None
    fees: Sequence[Fee] = ()
    has_spoken = False
    held: Sequence[Delta] = ()
    dropped: tuple[str, ...] = ()
    is_byok = False
    spoke: float | None = None
    sink: Sink | None = None
    waited_s = 0.0
    _heard_last: Hearing | None = None
    _taking: Taking | None = None
    _unspeakable: Unprocessable | TooLong | None = None
    _broken: Attempt | None = None
    _broken_place = 0

    def __init__(
        self,
        upstream: Upstream,
        plan: Plan,
        request: Request,
        deadline: float,
        owner: Owner = NOBODY,
        *,
        is_dear: bool = False,
        is_clamped: bool = False,
        fitting: Fitting | None = None,
        documents: Documents | None = None,
    ) -> None:
        """Prepare to carry out a plan for whoever asks; nothing is sent before the first delta is asked for.

        Attempts that are planned with an own key are made with the `owner`'s. `is_dear`: the request is so large that
        it is encoded beside the loop. `is_clamped`: its limit of the answer is what a credit pays for, and no word of
        the client's. `fitting` makes its input shorter where an endpoint needs that, `documents` are told in words to
        who takes no files.
        """
        self._upstream = upstream
        self._plan = plan
        account = owner.account_id
        if request.prompt_cache_key is not None:
            request = apart(request, account, upstream.end_user_secret)
        links = None
        if documents is not None or not request.is_text_alone:
            links = Links(upstream.fetcher, account, None if documents is None else documents.fetched)
        self._request = request
        self._deadline = deadline
        self._owner = owner
        self._question = Question(request, deadline, account, links, is_dear, is_clamped, fitting, documents)
        # Not a method of its own: it would be a ring that waits for the search for garbage.
        self.told: Told | None = None if fitting is None else partial(_request_at, fitting, request)
        self._passed: set[int] = set()
        self.attempted: list[Attempted] = []
        self.outrun: list[Outrun] = []

    @property
    def upstream_id(self) -> str | None:
        return None if self._heard_last is None else self._heard_last.answer_id

    @property
    def noted(self) -> Noted:
        """What who answers, or was asked last, was not told of the input."""
        fitting = self._question.fitting
        return NOTHING_NOTED if fitting is None or self.endpoint is None else fitting.noted(self.endpoint)

    async def deltas(self) -> AsyncGenerator[list[Delta], None]:
        """Ask one endpoint after the other; the first list holds something that a client can see.

        Once there is a `sink`, what it takes is not given here. Raises the GatewayError that sums up all attempts when
        none answers, also after what the last of them said that said anything; and that of the fault when the one that
        answered breaks off.
        """
        if not self._request.stream:
            heard, error = await self.whole()
            yield heard
            if error is not None:
                raise error
            return
        lines = self._upstream.lines
        try:
            while True:
                place = self._next_place()
                if lines is not None and lines.lines and lines.concern(self._plan, place):
                    place = await self._in_turn(lines, place)
                if place is None:
                    break
                attempt = self._begin(place, is_first=not self.attempted)
                batches = self._hear(attempt)
                if self._upstream.is_hedging:
                    attempt, batches = await self._hedged(attempt, batches)
                try:
                    try:
                        async for batch in batches:
                            if attempt.is_told:
                                yield batch
                                continue
                            attempt.held += batch
                            if attempt.is_tellable:
                                # The commit point, stated here alone: of two that are raced both may have spoken.
                                self._commit(attempt)
                                attempt.is_told = True
                                yield self._release(attempt)
                    finally:
                        await batches.aclose()
                    self._succeed(attempt)
                    return
                except (UpstreamFailure, ClientError) as error:
                    if not self._may_go_on(attempt, error):
                        if self._broken is None:
                            raise
                        break
        finally:
            if self._taking is not None:
                self._taking.end()
        if self._broken is not None:
            yield self._tell_broken(self._broken)
        raise self._last_word()

    async def whole(self) -> tuple[list[Delta], GatewayError | None]:
        """Ask one endpoint after the other; all that was said, once it has ended well.

        When nobody's answer does, what the last of them said that said anything, and what went wrong. Raises the
        GatewayError that sums up all attempts when nobody said anything.
        """
        lines = self._upstream.lines
        try:
            while True:
                place = self._next_place()
                if lines is not None and lines.lines and lines.concern(self._plan, place):
                    place = await self._in_turn(lines, place)
                if place is None:
                    break
                attempt = self._begin(place, is_first=not self.attempted)
                try:
                    await self._gather(attempt)
                    self._succeed(attempt)
                    return self._release(attempt), None
                except (UpstreamFailure, ClientError) as error:
                    if not self._may_go_on(attempt, error):
                        if self._broken is None:
                            raise
                        break
        finally:
            if self._taking is not None:
                self._taking.end()
        if self._broken is None:
            raise self._last_word()
        return self._tell_broken(self._broken), self._last_word()

    def _may_go_on(self, attempt: Attempt, error: UpstreamFailure | ClientError) -> bool:
        """Note how an attempt failed; False when nobody else is to be asked. Raises what ends a stream.

        No error is kept under a name: it would keep its frames, and with them all that was heard.
        """
        match error:
            case Unprocessable() | TooLong():
                self._unspeakable = error.with_traceback(None)
                self._pass_over(attempt)
            case UpstreamFailure():
                attempted = self._fail(attempt, error.fault)
                if attempt.is_told:
                    raise last_word([attempted]) from None
                self.has_spoken, self.held, self.dropped = False, (), ()
                if attempt.spoke is not None:
                    self._broken, self._broken_place = attempt, len(self.attempted) - 1
            case ClientError():
                return False
        return True

    def _last_word(self) -> GatewayError:
        if self.attempted:
            return measured(last_word(self.attempted), self.attempted, self._request)
        if self._taking is not None and self._taking.refusal is not None:
            return self._taking.refusal
        return self._unspeakable or EdgeTimeout("The deadline passed before a provider could be asked.")

    def _next_place(self) -> int | None:
        now = self._upstream.clock()
        return next_attempt(
            self._plan,
            self.attempted,
            self._upstream.health,
            now=now,
            remaining_s=self._deadline - now,
            passed=self._passed,
            own_keys=self._owner.ids,
        )

    async def _in_turn(self, lines: Lines, place: int | None) -> int | None:
        """Take a turn if one is needed, at this place or another, or wait for it; None where nobody is to be asked."""
        if self._taking is None:
            health, owner = self._upstream.health, self._owner
            self._taking = Taking(lines, self._plan, health, owner, self._deadline, self.attempted)
        try:
            return await self._taking.choose(place, self._passed, self._upstream.clock())
        finally:
            self.waited_s = self._taking.waited_s

    def _pass_over(self, attempt: Attempt) -> None:
        self._passed.add(attempt.place)
        if attempt.turn is not None:
            attempt.turn.end()

    def _begin(self, place: int, *, is_first: bool) -> Attempt:
        now = self._upstream.clock()
        endpoint = self._plan.attempts[place]
        self._upstream.health.started(endpoint.id, now, is_first=is_first)
        self.endpoint = endpoint
        # With nobody's key an attempt fails that is planned with an own one: the house's is none of its.
        owner = self._owner if self._plan.is_byok and self._plan.is_byok[place] else None
        turn = None if self._taking is None else self._taking.hand_over()
        return Attempt(place, endpoint, owner, now, turn)

    def _commit(self, attempt: Attempt) -> None:
        """Let an attempt be the one that answers."""
        if failpoints.armed:
            failpoints.reach("answer.begun")
        self.has_spoken = True
        self.answering = self.endpoint = attempt.endpoint
        self.held, self.dropped = attempt.held, attempt.dropped
        self.is_byok, self.spoke, self._heard_last = attempt.owner is not None, attempt.spoke, attempt.hearing

    def _release(self, attempt: Attempt) -> list[Delta]:
        """Give what an attempt held, once."""
        held, attempt.held, self.held = attempt.held, [], ()
        return held

    def _tell_broken(self, broken: Attempt) -> list[Delta]:
        """Give what was said before an answer broke off, since nobody's is whole."""
        self._commit(broken)
        self.attempted[self._broken_place] = as_told(self.attempted[self._broken_place])
        return self._release(broken)

    async def _hedged(self, first: Attempt, heard: Batches) -> tuple[Attempt, Batches]:
        """Wait until an attempt speaks or fails, and ask elsewhere too when that takes unusually long."""
        health, clock = self._upstream.health, self._upstream.clock
        wait_s = health.hedge_after(first.endpoint.id, clock())
        if wait_s is None:
            return first, heard

        def join() -> tuple[Attempt, Batches] | None:
            now = clock()
            place = next_hedge(
                self._plan,
                self.attempted,
                health,
                first=first.place,
                now=now,
                remaining_s=self._deadline - now,
                passed=self._passed,
                own_keys=self._owner.ids,
            )
            if place is None or (self._taking is not None and not self._taking.take(place, now)):
                return None
            health.hedged(now)
            second = self._begin(place, is_first=False)
            return second, self._hear(second)

        def drop(attempt: Attempt, error: BaseException) -> None:
            if isinstance(error, UpstreamFailure):
                self._fail(attempt, error.fault)
            elif isinstance(error, Unprocessable | TooLong):
                self._pass_over(attempt)
            else:
                raise error

        attempt, heard, loser = await race(first, heard, wait_s, join, drop)
        if loser is not None:
            self._outrun(loser, is_first=loser is first)
        return attempt, heard

    def _outrun(self, attempt: Attempt, *, is_first: bool) -> None:
        now, endpoint = self._upstream.clock(), attempt.endpoint
        if attempt.turn is not None:
            attempt.turn.end()
        if is_first:
            self._upstream.health.outrun(endpoint.id, now - attempt.started, now)
        self.outrun.append(
            Outrun(
                endpoint=endpoint,
                started=attempt.started,
                ended=now,
                is_byok=attempt.is_byok,
                usage=self._used(attempt),
            )
        )

    def _speak(self, attempt: Attempt) -> None:
        """Note the first output: whoever is asked first now or goes on with the conversation shall know of it."""
        endpoint, now = attempt.endpoint, self._upstream.clock()
        attempt.spoke = now
        if attempt.turn is not None:
            attempt.turn.answered()
        self._upstream.health.answered(endpoint.id, now)
        conversation = self._plan.conversations.get(endpoint.model.slug)
        if conversation is not None:
            self._upstream.affinity.keep(conversation, endpoint.id, now)

    def _succeed(self, attempt: Attempt) -> None:
        now, spoke, hearing = self._upstream.clock(), attempt.spoke, attempt.hearing
        usage = _NOTHING_USED if hearing is None or hearing.usage is None else hearing.usage
        # A whole answer arrives at once and tells neither when its first token came nor how fast the others were.
        is_timed = self._request.stream and spoke is not None
        outcome = Outcome(
            first_token_s=spoke - attempt.started if is_timed and spoke is not None else None,
            generation_s=now - spoke if is_timed and spoke is not None else None,
            input_tokens=usage.input_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            output_tokens=usage.output_tokens,
        )
        own_key = None if attempt.owner is None else attempt.own_key
        self._upstream.health.record(attempt.endpoint.id, outcome, now, own_key=own_key)

    def _fail(self, attempt: Attempt, fault: Fault) -> Attempted:
        """Note how an attempt ended; further than this no fault carries a secret of the provider's."""
        fault = self._upstream.tokens.mask(attempt.endpoint.provider.slug, attempt.owner).fault(fault)
        now = self._upstream.clock()
        outcome = Outcome(fault=fault.kind, retry_after_s=fault.retry_after)
        self._upstream.health.record(attempt.endpoint.id, outcome, now, own_key=attempt.own_key)
        lines = self._upstream.lines
        if lines is not None and fault.kind == "limited" and fault.retry_after is not None and attempt.owner is None:
            lines.limited(attempt.endpoint, fault.retry_after)
        if attempt.turn is not None:
            attempt.turn.end()
        attempted = Attempted(
            endpoint=attempt.endpoint,
            fault=fault,
            started=attempt.started,
            ended=now,
            is_byok=attempt.is_byok,
            output_began=attempt.is_told,
            has_spoken=attempt.spoke is not None,
            usage=self._used(attempt),
        )
        self.attempted.append(attempted)
        return attempted

    def _used(self, attempt: Attempt) -> Usage | None:
        """What an attempt used that nobody is told of. What it said its provider bills, counted or not."""
        if attempt.spoke is None or not attempt.held:
            return attempt.usage
        request = self._request if self.told is None else self.told(attempt.endpoint)
        return used(attempt.held, request, attempt.endpoint)

    async def _hear(self, attempt: Attempt) -> AsyncGenerator[list[Delta], None]:
        """Ask one endpoint: one list for each network read that says something, but for what goes to the sink.

        An empty list says that the sink has no room, which is to be waited for before the next is asked for.
        Raises UpstreamFailure however it fails, also when the answer is cut off.
        """
        asking = Asking(self._upstream, self._question, attempt.endpoint, attempt.owner)
        sent, reply = await asking.ask()
        attempt.started += asking.waited_s
        hearing = self._listen(attempt, asking, sent, reply)
        may_push = True
        try:
            while not hearing.is_over:
                if may_push and self.sink is not None:
                    if (left := await push(reply, hearing, self.sink)) is None:
                        yield []
                        continue
                    # What is to be waited for now, the end or a fault, is told by a read.
                    batch, may_push = left, False
                else:
                    batch = await pull(reply, hearing)
                if attempt.spoke is None and hearing.has_spoken:
                    self._speak(attempt)
                if batch:
                    yield batch
                    may_push = True
                if hearing.exchange is not None:
                    reply.close()
                    reply = await asking.ask_on(hearing)
                elif hearing.refusal is not None and (less := await self._asked_less(attempt, asking, hearing)):
                    reply.close()
                    reply, hearing = less
            if (fault := hearing.fault) is not None:
                raise UpstreamFailure(fault)
            if hearing.has_end_mark:
                await reply.finish(_AFTERMATH_S)
        finally:
            reply.close()

    async def _gather(self, attempt: Attempt) -> None:
        """Ask one endpoint, and hold all that it says.

        Raises UpstreamFailure however it fails, also when the answer is cut off.
        """
        asking = Asking(self._upstream, self._question, attempt.endpoint, attempt.owner)
        sent, reply = await asking.ask()
        attempt.started += asking.waited_s
        hearing = self._listen(attempt, asking, sent, reply)
        fault: Fault | None = None
        try:
            while not hearing.is_over:
                body = reply.rest()
                attempt.held += await pull(reply, hearing) if body is None else hearing.whole(body)
                if attempt.spoke is None and hearing.has_spoken:
                    self._speak(attempt)
                fault = hearing.fault
                if attempt.spoke is not None and (fault is None or not hearing.has_failed_whole):
                    self._commit(attempt)
                if hearing.exchange is not None:
                    reply.close()
                    reply = await asking.ask_on(hearing)
                elif hearing.refusal is not None and (less := await self._asked_less(attempt, asking, hearing)):
                    reply.close()
                    reply, hearing = less
            if fault is not None:
                raise UpstreamFailure(fault)
            if hearing.has_end_mark:
                await reply.finish(_AFTERMATH_S)
        finally:
            reply.close()

    async def _asked_less(self, attempt: Attempt, asking: Asking, refused: Hearing) -> tuple[Reply, Hearing] | None:
        """Ask once more for what is heard to be refused, before anything was told; None where the refusal stands."""
        assert refused.refusal is not None
        less = await asking.ask_less(refused.sent, refused.refusal)
        return None if less is None else (less[1], self._listen(attempt, asking, *less))

    def _listen(self, attempt: Attempt, asking: Asking, sent: UpstreamRequest, reply: Reply) -> Hearing:
        """Get ready to hear an answer whose head has come."""
        endpoint, request, offer, adapter = attempt.endpoint, self._request, asking.offer, asking.adapter
        if offer.lost or sent.dropped:
            dropped = dict.fromkeys((*offer.lost, *sent.dropped))
            if self._question.is_clamped:
                dropped.pop("max_output_tokens", None)
            attempt.dropped = tuple(dropped)
        try:
            decoder = adapter.decoder(offer.request, endpoint)
            if offer.names:
                decoder = restoring(decoder, offer)
            cap, stop = request.max_output_tokens, request.stop
            attempt.hearing = hearing = Hearing(decoder, endpoint, sent, reply.content_type, cap, stop)
            if adapter.id_header:
                hearing.answer_id = reply.headers.get(adapter.id_header)
        except BaseException:
            reply.close()
            raise
        return hearing


def _request_at(fitting: Fitting, request: Request, endpoint: Endpoint) -> Request:
    return fitting.request_at(endpoint) or request
