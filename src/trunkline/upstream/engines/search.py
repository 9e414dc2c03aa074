"""The search engines that are on: asked, each within its time, whatever comes of it told as a value.

What is sent and how an answer is read is `table.py`'s. The connections are apart from those to providers: an engine
that hangs takes up none of theirs, and no search is kept in their table of addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Self

from trunkline.billing import nearest_nano
from trunkline.catalog.engines import Engine
from trunkline.money import NanoUsd
from trunkline.upstream.aside import Aside, is_dear
from trunkline.upstream.engines.domains import read_domains
from trunkline.upstream.engines.found import Found, Query
from trunkline.upstream.engines.table import Answer, decode_answer, decode_refusal, encode_greeting, encode_query
from trunkline.upstream.engines.troubles import Alarm, Report, Troubles
from trunkline.upstream.http import HttpClient
from trunkline.upstream.names import Names
from trunkline.upstream.patience import Timeouts
from trunkline.upstream.reply import Reply
from trunkline.upstream.transport import UpstreamFailure
from trunkline.wire import Fault

MAX_ANSWER_BYTES: Final = 4 * 2**20
"""Twenty pages of 30,000 characters, each written as six; what is more is no answer, and is not read on."""

MAX_CONNECTIONS: Final = 256
MAX_TARGETS: Final = 16
"""Of how many addresses the form is kept; those of searches are never asked again."""


class SearchEngines:
    """The engines that are on, in the order of the settings. Entered on the loop that they are asked from."""

    def __init__(
        self,
        engines: Iterable[Engine],
        *,
        connect_s: float,
        aside: Aside,
        names: Names,
        clock: Callable[[], float],
        report: Report,
        alarm: Alarm,
    ) -> None:
        """Take the engines, on or off; the clock is the loop's."""
        self._engines = {engine.name: engine for engine in engines if engine.is_on}
        self._prices = {name: nearest_nano(engine.price) for name, engine in self._engines.items()}
        longest_s = max((engine.timeout_s for engine in self._engines.values()), default=connect_s)
        limits = Timeouts(connect_s, longest_s, longest_s, longest_s)
        self._http = HttpClient(limits, names, max_connections=MAX_CONNECTIONS, max_targets=MAX_TARGETS)
        self._aside = aside
        self._clock = clock
        self._troubles = Troubles(clock, report, alarm)
        self.names: tuple[str, ...] = tuple(self._engines)

    async def __aenter__(self) -> Self:
        self._http.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    def price_nano(self, name: str) -> NanoUsd:
        """What a search costs by the settings."""
        return self._prices[name]

    async def search(self, name: str, query: Query, deadline: float) -> Found:
        """Ask an engine, until `deadline` on the loop's clock or the end of its own time.

        Whatever goes wrong is a Found with a problem; a cancellation is passed on, and ends the call.
        """
        engine, began = self._engines[name], self._clock()
        answer, detail = await self._answer(engine, query, min(deadline, began + engine.timeout_s))
        took_s = self._clock() - began
        if answer.problem:
            self._troubles.tell(name, answer.problem, answer.to_do, detail, took_s)
            return Found(name, (), 0, took_s, answer.problem)
        told = answer.told_usd
        return Found(name, answer.results, self._prices[name] if told is None else nearest_nano(told), took_s)

    async def reach(self, name: str, deadline: float) -> Fault | None:
        """See whether anybody is at an engine's address, without its key and without a search; None if so."""
        try:
            reply = await self._http.send(encode_greeting(self._engines[name]), deadline)
        except UpstreamFailure as failure:
            return failure.fault
        reply.close()
        return None

    async def _answer(self, engine: Engine, query: Query, deadline: float) -> tuple[Answer, str]:
        """What an engine answers; and, where it does not, details for the operator alone."""
        if not query.text.strip():
            return Answer(problem="the query is empty"), ""
        if query.domains and not read_domains(query.domains):
            return Answer(problem="none of the allowed domains is one"), ""
        try:
            reply = await self._http.send(encode_query(engine, query), deadline)
            try:
                return await self._read(engine, query, reply), ""
            finally:
                reply.close()
        except UpstreamFailure as failure:
            return Answer(problem=failure.fault.message), failure.fault.detail or ""

    async def _read(self, engine: Engine, query: Query, reply: Reply) -> Answer:
        if reply.status != 200:
            return decode_refusal(engine, reply.status)
        body = await reply.body(MAX_ANSWER_BYTES + 1)
        if len(body) > MAX_ANSWER_BYTES:
            return Answer(problem="its answer is too large")
        if is_dear(body):
            return await self._aside.run(decode_answer, engine.kind, body, query)
        return decode_answer(engine.kind, body, query)
