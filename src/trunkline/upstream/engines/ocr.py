"""The engine that reads scanned files: asked within its time, whatever comes of it told as a value.

What is sent and how an answer is read is `ocr_table.py`'s. Its connections are apart from those to providers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Self

from trunkline.catalog.ocr_engines import OcrEngine
from trunkline.upstream.aside import Aside
from trunkline.upstream.engines.ocr_table import Answer, Page, decode_answer, decode_refusal, encode_document
from trunkline.upstream.engines.troubles import Alarm, Report, Troubles
from trunkline.upstream.http import HttpClient
from trunkline.upstream.names import Names
from trunkline.upstream.patience import Timeouts
from trunkline.upstream.reply import Reply
from trunkline.upstream.transport import UpstreamFailure

MAX_ANSWER_BYTES: Final = 48 * 2**20
"""A thousand pages with pictures; what is more is no answer, and is not read on."""

MAX_CONNECTIONS: Final = 64


class Scanned(NamedTuple):
    """What came of a file, and how many of its pages are paid for.

    `problem` says why it was not read; then it may have to be paid for all the same.
    """

    pages: tuple[Page, ...]
    paid_pages: int
    problem: str = ""


class Ocr:
    """The engine that is in use. Entered on the loop that it is asked from."""

    def __init__(
        self,
        engine: OcrEngine,
        *,
        connect_s: float,
        aside: Aside,
        names: Names,
        clock: Callable[[], float],
        report: Report,
        alarm: Alarm,
    ) -> None:
        """Take an engine that is on; the clock is the loop's."""
        self.engine = engine
        limits = Timeouts(connect_s, engine.timeout_s, engine.timeout_s, engine.timeout_s)
        self._http = HttpClient(limits, names, max_connections=MAX_CONNECTIONS, max_targets=1)
        self._aside, self._clock = aside, clock
        self._troubles = Troubles(clock, report, alarm)

    @property
    def version(self) -> str:
        """What reads a file in the same way as before."""
        return f"{self.engine.kind} {self.engine.base_url} {self.engine.model}"

    async def __aenter__(self) -> Self:
        self._http.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def read(self, document: bytes, pages: int, deadline: float) -> Scanned:
        """Have a PDF file of so many pages read, until `deadline` on the loop's clock or the end of the engine's time.

        Whatever goes wrong is told in it; a cancellation is passed on, and ends the call. What the engine says that it
        bills is believed up to `pages`.
        """
        began = self._clock()
        answer, has_answered, detail = await self._answer(document, min(deadline, began + self.engine.timeout_s))
        told = answer.told_pages
        paid = 0 if not has_answered else pages if told is None else min(told, pages)
        if answer.problem:
            self._troubles.tell(self.engine.name, answer.problem, answer.to_do, detail, self._clock() - began)
        return Scanned(answer.pages, paid, answer.problem)

    async def _answer(self, document: bytes, until: float) -> tuple[Answer, bool, str]:
        """What it answers; whether it did, so that it is to be paid; and details for the operator alone."""
        has_answered = False
        try:
            request = await self._aside.run(encode_document, self.engine, document)
            reply = await self._http.send(request, until)
            try:
                has_answered = reply.status == 200
                return await self._read(reply), has_answered, ""
            finally:
                reply.close()
        except UpstreamFailure as failure:
            return Answer(problem=failure.fault.message), has_answered, failure.fault.detail or ""

    async def _read(self, reply: Reply) -> Answer:
        if reply.status != 200:
            return decode_refusal(self.engine, reply.status)
        body = await reply.body(MAX_ANSWER_BYTES + 1)
        if len(body) > MAX_ANSWER_BYTES:
            return Answer(problem="its answer is too large")
        return await self._aside.run(decode_answer, body)
