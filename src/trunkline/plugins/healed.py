"""An answer with its JSON healed: a course around another one, which it drives and of which all else is told.

What the model wrote is charged, whatever became of it: what was left out is counted by `count`. It takes no sink, for
what it holds back has to be told between two reads.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final

from trunkline.catalog.entries import Endpoint
from trunkline.errors import GatewayError
from trunkline.generation import Fee, Noted
from trunkline.plugins.healed_deltas import HealedDeltas
from trunkline.plugins.healing_step import HealingStep
from trunkline.plugins.schema_check import Verdict, check, is_loaded
from trunkline.protocol.content import bytes_of
from trunkline.protocol.opaque import Json
from trunkline.routing.fallback import Attempted, Outrun
from trunkline.stream.deltas import Arguments, Delta, Text
from trunkline.upstream.aside import Aside
from trunkline.upstream.courses import Course
from trunkline.upstream.drivers import Sink

_LARGE: Final = 64 * 1024
"""From so many characters on a text is worked on beside the loop."""


class HealedCourse:
    """Heals what the course in it says; `count` is told of texts that the model wrote and nobody is told."""

    def __init__(self, course: Course, step: HealingStep, aside: Aside) -> None:
        self._course = course
        self._step = step
        self._aside = aside
        self._healing: HealedDeltas | None = None
        self._verdict: Verdict | None = None
        self._counted_bytes = 0
        self.count: Callable[[list[str]], None] | None = None
        self.sink: Sink | None = None

    @property
    def endpoint(self) -> Endpoint | None:
        return self._course.endpoint

    @property
    def answering(self) -> Endpoint:
        return self._course.answering

    @property
    def dropped(self) -> Sequence[str]:
        return self._course.dropped

    @property
    def attempted(self) -> Sequence[Attempted]:
        return self._course.attempted

    @property
    def outrun(self) -> Sequence[Outrun]:
        return self._course.outrun

    @property
    def has_spoken(self) -> bool:
        return self._course.has_spoken

    @property
    def is_byok(self) -> bool:
        return self._course.is_byok

    @property
    def spoke(self) -> float | None:
        return self._course.spoke

    @property
    def upstream_id(self) -> str | None:
        return self._course.upstream_id

    @property
    def waited_s(self) -> float:
        return self._course.waited_s

    @property
    def fees(self) -> Sequence[Fee]:
        return self._course.fees

    @property
    def held(self) -> Sequence[Delta]:
        held = self._course.held
        return held if self._healing is None else [*held, *self._healing.held]

    @property
    def noted(self) -> Noted:
        """What steps within did, and what was healed."""
        return {**self._course.noted, "healing": self._note()}

    async def deltas(self) -> AsyncGenerator[list[Delta], None]:
        """What the course says, healed as it comes."""
        self._healing = healing = HealedDeltas(self._step, is_whole=False)
        try:
            async with aclosing(self._course.deltas()) as heard:
                async for batch in heard:
                    if told := self._counted(healing.feed(batch)):
                        yield told
        except GatewayError:
            if told := self._counted(healing.end()):
                yield told
            raise
        if told := self._counted(healing.end()):
            yield told
        if healing.texts:
            is_long = len(healing.texts[-1]) > _LARGE or not is_loaded()
            self._verdict = await self._aside.run(self._check) if is_long else self._check()

    async def whole(self) -> tuple[list[Delta], GatewayError | None]:
        """All that the course says, healed where it ended well."""
        heard, error = await self._course.whole()
        if error is not None:
            return heard, error
        size = sum(len(delta.text) for delta in heard if isinstance(delta, Text | Arguments))
        if size > _LARGE or (self._step.schema is not None and not is_loaded()):
            return await self._aside.run(self._heal, heard), None
        return self._heal(heard), None

    def _heal(self, heard: list[Delta]) -> list[Delta]:
        self._healing = healing = HealedDeltas(self._step, is_whole=True)
        told = self._counted([*healing.feed(heard), *healing.end()])
        if healing.texts:
            self._verdict = self._check()
        return told

    def _check(self) -> Verdict:
        """Whether the last text fits the schema that was asked for."""
        assert self._healing is not None
        assert self._step.schema is not None
        return check(self._step.schema, self._healing.texts[-1])

    def _counted(self, told: list[Delta]) -> list[Delta]:
        """Count what was left out until now: an estimate of what was written goes by its bytes."""
        assert self._healing is not None
        if self.count is None or not (told and self._healing.lost_bytes > self._counted_bytes):
            return told
        held = sum(bytes_of(delta.text) for delta in self._healing.held)
        if (lost := self._healing.lost_bytes - held - self._counted_bytes) > 0:
            self.count([" " * lost])
            self._counted_bytes += lost
        return told

    def _note(self) -> dict[str, Json]:
        healing = self._healing
        if healing is None:
            return {"changed": []}
        note: dict[str, Json] = {"changed": sorted(healing.changed)}
        if self._verdict is not None:
            note["schema"] = self._verdict
        if healing.is_unrepairable:
            note["is_unrepairable"] = True
        if healing.citations_left_out:
            note["citations_left_out"] = healing.citations_left_out
        return note
