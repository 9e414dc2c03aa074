"""An answer that is judged while it is told: a course around another one, which it drives and of which all else is.

A stream holds nothing back for it. What it had told when a verdict comes has left; then it ends as `incomplete`, and
its provider is left. A whole answer is judged before it is told. Where nobody judges, it goes on or fails, as is
configured. It takes no sink, for between two reads there may be a verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from trunkline.catalog.entries import Endpoint
from trunkline.errors import GatewayError
from trunkline.generation import Fee, Noted
from trunkline.plugins.moderating import OutputCheck, note_of, unjudged
from trunkline.plugins.output_watch import OutputWatch, withheld
from trunkline.routing.fallback import Attempted, Outrun
from trunkline.stream.deltas import Arguments, Delta, Refusal, Text
from trunkline.upstream.courses import Course
from trunkline.upstream.drivers import Sink
from trunkline.upstream.engines.judged import Verdict

_Batches = AsyncGenerator[list[Delta], None]


class ModeratedCourse:
    """Has what the course in it says judged; `count` is told of texts that the model wrote and nobody is told."""

    def __init__(self, course: Course, check: OutputCheck) -> None:
        self.course = course
        self._check = check
        self._watch = OutputWatch()
        self._verdict: Verdict | None = None
        self._checks = 0
        self.count: Callable[[list[str]], None] | None = None
        self.sink: Sink | None = None

    @property
    def endpoint(self) -> Endpoint | None:
        return self.course.endpoint

    @property
    def answering(self) -> Endpoint:
        return self.course.answering

    @property
    def dropped(self) -> Sequence[str]:
        return self.course.dropped

    @property
    def attempted(self) -> Sequence[Attempted]:
        return self.course.attempted

    @property
    def outrun(self) -> Sequence[Outrun]:
        return self.course.outrun

    @property
    def has_spoken(self) -> bool:
        return self.course.has_spoken

    @property
    def is_byok(self) -> bool:
        return self.course.is_byok

    @property
    def spoke(self) -> float | None:
        return self.course.spoke

    @property
    def upstream_id(self) -> str | None:
        return self.course.upstream_id

    @property
    def waited_s(self) -> float:
        return self.course.waited_s

    @property
    def fees(self) -> Sequence[Fee]:
        return self.course.fees

    @property
    def held(self) -> Sequence[Delta]:
        return [*self.course.held, *self._watch.held]

    @property
    def noted(self) -> Noted:
        """What steps within did, and what was said of the request and of the answer."""
        noted = dict(self._check.noted)
        if self._verdict is not None:
            noted["output"] = {**note_of(self._verdict), "checks": self._checks}
        return {**self.course.noted, "moderation": noted}

    async def deltas(self) -> _Batches:
        """What the course says, until something of it is flagged."""
        watch, heard = self._watch, self.course.deltas()
        coming: asyncio.Task[list[Delta] | None] = asyncio.ensure_future(_next(heard))
        verdict: asyncio.Task[Verdict] | None = None
        try:
            while True:
                waited = (coming,) if verdict is None else (coming, verdict)
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if verdict is not None and verdict.done():
                    if self._is_flagged(verdict.result()):
                        break
                    verdict = None
                if coming.done():
                    batch = coming.result()
                    if batch is None:
                        break
                    coming = asyncio.ensure_future(_next(heard))
                    if told := watch.feed(batch):
                        yield told
                if verdict is None and watch.is_due:
                    verdict = asyncio.ensure_future(self._judge())
            if verdict is not None and not verdict.done():
                self._is_flagged(await verdict)
            await self._judge_rest()
        finally:
            await _leave(heard, coming, verdict)
        if told := watch.end(is_flagged=self._has_flagged):
            yield told

    async def whole(self) -> tuple[list[Delta], GatewayError | None]:
        """All that the course says, once it was judged; of what is flagged what it cost alone."""
        heard, error = await self.course.whole()
        watch = self._watch
        watch.feed(heard)
        watch.held = heard
        await self._judge_rest()
        watch.held = []
        if self._has_flagged:
            if self.count is not None:
                self.count([each.text for each in heard if isinstance(each, Text | Refusal | Arguments)])
            return withheld(heard), None
        return heard, error

    @property
    def _has_flagged(self) -> bool:
        return self._verdict is not None and self._verdict.is_flagged

    async def _judge_rest(self) -> None:
        """Have judged what was not yet, until something is flagged or nobody judges."""
        while self._watch.is_unjudged and not self._has_flagged:
            verdict = await self._judge()
            self._is_flagged(verdict)
            if verdict.problem:
                break

    async def _judge(self) -> Verdict:
        self._checks += 1
        return await self._check.judge(self._watch.take())

    def _is_flagged(self, verdict: Verdict) -> bool:
        """Note a verdict. Raises ServiceUnavailable where there is none, and none is as good as a bad one."""
        self._verdict = verdict
        if verdict.problem and self._check.is_blocking:
            raise unjudged()
        return verdict.is_flagged


async def _next(heard: _Batches) -> list[Delta] | None:
    return await anext(heard, None)


async def _leave(heard: _Batches, *tasks: asyncio.Task[list[Delta] | None] | asyncio.Task[Verdict] | None) -> None:
    """Leave an answer, whatever is still being waited for."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await heard.aclose()
