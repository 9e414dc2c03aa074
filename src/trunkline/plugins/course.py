"""One answer of several turns, driven: a run for each turn of the model, the searches between them.

What a turn leads to is decided in `rounds.py`, what it costs in `totals.py`; here is only who waits for whom.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from trunkline.catalog.entries import Endpoint
from trunkline.errors import GatewayError
from trunkline.generation import Fee, Noted
from trunkline.plugins.rounds import Asked, End, Rounds, error_of
from trunkline.plugins.searching import SearchStep
from trunkline.plugins.totals import Totals
from trunkline.protocol.request import Request
from trunkline.routing.fallback import Attempted, Outrun
from trunkline.stream.deltas import Delta
from trunkline.upstream.attempts import Run
from trunkline.upstream.drivers import Sink
from trunkline.upstream.engines.found import Found, Query


class Purse(Protocol):
    """What the answer may spend."""

    async def turn_bounds(self, request: Request, added_bytes: int) -> tuple[bool, int | None]:
        """Whether the next turn may search, and how long it may be; its request has so many bytes more."""
        ...

    async def grant_searches(self, count: int) -> bool:
        """Let so many more searches be made; False where they cannot be paid for."""
        ...


class SearchCourse:
    """The turns of one answer, and the searches between them.

    `search` asks an engine, and tells what is wrong with its answer in it. `ask` begins a run; who answered before is
    asked first again. It pushes nothing: `sink` is unused.
    """

    def __init__(
        self,
        step: SearchStep,
        rounds: Rounds,
        totals: Totals,
        purse: Purse,
        search: Callable[[str, Query, float], Awaitable[Found]],
        ask: Callable[[Request, Endpoint | None], Run],
        deadline: float,
    ) -> None:
        self.sink: Sink | None = None
        self.held: Sequence[Delta] = ()
        self._step, self._rounds, self._totals, self._purse = step, rounds, totals, purse
        self._search_at, self._ask, self._deadline = search, ask, deadline
        self._runs: list[Run] = []

    async def deltas(self) -> AsyncGenerator[list[Delta], None]:
        """Lists of deltas, of which the first holds something that a client can see. Raises a GatewayError."""
        rounds = self._rounds
        if self._step.query_text:
            await self._search_first()
        while True:
            async with aclosing(self._turn()) as turn:
                async for told in turn:
                    yield told
            over = rounds.turn_over()
            if isinstance(over, End):
                if over.deltas:
                    yield over.deltas
                return
            if over.asked and not await self._purse.grant_searches(len(over.asked)):
                rounds.refuse(over.asked)
            else:
                async with aclosing(self._search(over.asked)) as searches:
                    async for told in searches:
                        yield told
            added_bytes = rounds.next_turn()
            rounds.bound(*await self._purse.turn_bounds(rounds.request, added_bytes))

    async def whole(self) -> tuple[list[Delta], GatewayError | None]:
        """All deltas at once; with an error those of an answer that failed.

        Raises a GatewayError where there is nothing to tell.
        """
        heard: list[Delta] = []
        try:
            async with aclosing(self.deltas()) as told:
                async for batch in told:
                    heard += batch
        except GatewayError as error:
            if not heard:
                raise
            return heard, error.with_traceback(None)
        return heard, None

    async def _turn(self) -> AsyncGenerator[list[Delta], None]:
        rounds, totals = self._rounds, self._totals
        run = self._ask(rounds.request, self.answering if self.has_spoken else None)
        self._runs.append(run)
        totals.begin_turn(rounds.request, run.told)
        try:
            async with aclosing(run.deltas()) as heard:
                async for batch in heard:
                    if told := rounds.feed(totals.hear(batch, run.answering, is_byok=run.is_byok)):
                        yield told
        finally:
            if run.has_spoken and run.held:
                totals.hear([*run.held], run.answering, is_byok=run.is_byok)
            totals.end_turn(run.answering if run.has_spoken else None, is_byok=run.is_byok)

    async def _search_first(self) -> None:
        """Make the plugin's own search; it is told when the model begins to answer."""
        rounds = self._rounds
        asked = rounds.first_search()
        found = await self._asked(asked)
        rounds.hold([*rounds.begun(asked), *rounds.ended(asked, found)])
        rounds.prompt(rounds.found(asked))
        if found.problem and self._step.fails_with_search:
            raise error_of(found)

    async def _search(self, asked: Sequence[Asked]) -> AsyncGenerator[list[Delta], None]:
        """Make all searches of a turn at once; they are told one after the other."""
        rounds = self._rounds
        made = [asyncio.ensure_future(self._asked(each)) for each in asked]
        try:
            for each, search in zip(asked, made, strict=True):
                yield rounds.begun(each)
                found = await search
                yield rounds.ended(each, found)
                if found.problem and self._step.fails_with_search:
                    raise error_of(found)
        finally:
            for search in made:
                search.cancel()
            await asyncio.gather(*made, return_exceptions=True)

    async def _asked(self, asked: Asked) -> Found:
        found = await self._search_at(self._step.engine, asked.query, self._deadline)
        self._rounds.paid(found)
        self._totals.fees = self._rounds.fees
        return found

    # What is known of the answer, whoever of its turns it is of

    @property
    def _spoken(self) -> list[Run]:
        return [run for run in self._runs if run.has_spoken]

    @property
    def has_spoken(self) -> bool:
        return any(run.has_spoken for run in self._runs)

    @property
    def answering(self) -> Endpoint:
        return self._spoken[-1].answering

    @property
    def endpoint(self) -> Endpoint | None:
        if self.has_spoken:
            return self.answering
        return self._runs[-1].endpoint if self._runs else None

    @property
    def dropped(self) -> Sequence[str]:
        # How many turns of the input were left out is known of the last turn of the model.
        told = {name.partition("=")[0]: name for run in self._spoken for name in run.dropped}
        return tuple(told.values())

    @property
    def attempted(self) -> Sequence[Attempted]:
        return [each for run in self._runs for each in run.attempted]

    @property
    def outrun(self) -> Sequence[Outrun]:
        return [each for run in self._runs for each in run.outrun]

    @property
    def is_byok(self) -> bool:
        return self.has_spoken and all(run.is_byok for run in self._spoken)

    @property
    def spoke(self) -> float | None:
        return self._spoken[0].spoke if self.has_spoken else None

    @property
    def upstream_id(self) -> str | None:
        return self._spoken[-1].upstream_id if self.has_spoken else None

    @property
    def waited_s(self) -> float:
        return sum(run.waited_s for run in self._runs)

    @property
    def fees(self) -> Sequence[Fee]:
        return self._rounds.fees

    @property
    def noted(self) -> Noted:
        of_turns = {plugin: note for run in self._spoken for plugin, note in run.noted.items()}
        return {**of_turns, "web": {**self._rounds.noted, "turns": self._totals.noted}}
