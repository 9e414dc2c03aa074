"""The engines that judge texts and are on: asked, each within its time, whatever comes of it told as a verdict.

How one is asked is `moderation_table.py`'s. Lists of words are looked for here, beside the loop where the texts are
long; a model is asked by whoever knows for whom. A question that was not answered in full is a problem: what follows
from one is for others to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Self, TypeAlias, assert_never

from trunkline.catalog.moderators import Moderator
from trunkline.upstream.aside import DEAR_BYTES, Aside, is_dear
from trunkline.upstream.engines.judged import Answer, Passage, Pictures, Verdict
from trunkline.upstream.engines.moderation_table import (
    decode_answer,
    decode_refusal,
    encode_question,
    pictures_of,
    questions,
)
from trunkline.upstream.engines.troubles import Alarm, Report, Troubles
from trunkline.upstream.http import HttpClient
from trunkline.upstream.names import Names
from trunkline.upstream.patience import Timeouts
from trunkline.upstream.transport import UpstreamFailure

MAX_ANSWER_BYTES: Final = 2**20
MAX_CONNECTIONS: Final = 256
MAX_TARGETS: Final = 16
_LARGE_WORK: Final = 1_000_000
"""From so many characters on, once for each word of the list, texts are looked through beside the loop."""

Matcher: TypeAlias = Callable[[Sequence[str]], tuple[tuple[str, ...] | None, ...]]
"""Texts → for each the kinds of what was found in it, None where nothing was."""

Ask: TypeAlias = Callable[[Moderator, str, float], Awaitable[Answer]]
"""Asks a model for its judgment on a text, until a deadline on the loop's clock."""


class Moderators:
    """The engines that are on, in the order of the settings. Entered on the loop that they are asked from.

    `matchers` are those of engines with lists of words.
    """

    def __init__(
        self,
        moderators: Iterable[Moderator],
        matchers: Mapping[str, Matcher],
        *,
        connect_s: float,
        aside: Aside,
        names: Names,
        clock: Callable[[], float],
        report: Report,
        alarm: Alarm,
    ) -> None:
        """Take the engines, on or off; the clock is the loop's."""
        self._moderators = {each.name: each for each in moderators if each.is_on}
        self._matchers = matchers
        longest_s = max((each.timeout_s for each in self._moderators.values()), default=connect_s)
        limits = Timeouts(connect_s, longest_s, longest_s, longest_s)
        self._http = HttpClient(limits, names, max_connections=MAX_CONNECTIONS, max_targets=MAX_TARGETS)
        self._aside = aside
        self._clock = clock
        self._troubles = Troubles(clock, report, alarm)
        self.names: tuple[str, ...] = tuple(self._moderators)

    async def __aenter__(self) -> Self:
        self._http.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    def pictures(self, name: str) -> Pictures:
        """Which pictures an engine judges, too."""
        return pictures_of(self._moderators[name])

    async def judge(self, name: str, passages: Sequence[Passage], deadline: float, ask: Ask) -> Verdict:
        """Have an engine judge passages, until `deadline` on the loop's clock or the end of its own time.

        Whatever goes wrong is a verdict with a problem; a cancellation is passed on, and ends the question.
        """
        moderator, began = self._moderators[name], self._clock()
        if not passages:
            return Verdict(name)
        answer, detail = await self._answer(moderator, passages, min(deadline, began + moderator.timeout_s), ask)
        took_s = self._clock() - began
        if answer.problem:
            self._troubles.tell(name, answer.problem, answer.to_do, detail, took_s)
            return Verdict(name, took_s, problem=answer.problem, record=answer.record)
        reasons = sorted({reason for flags in answer.flags if flags is not None for reason in flags})
        place = next((place for place, flags in enumerate(answer.flags) if flags is not None), 0)
        is_flagged = any(flags is not None for flags in answer.flags)
        return Verdict(name, took_s, is_flagged, tuple(reasons), place, record=answer.record)

    async def _answer(
        self, moderator: Moderator, passages: Sequence[Passage], deadline: float, ask: Ask
    ) -> tuple[Answer, str]:
        """What an engine answers; and, where it does not, details for the operator alone."""
        texts = [passage.text for passage in passages]
        match moderator.kind:
            case "openai":
                return await self._answer_by_http(moderator, passages, deadline)
            case "judge":
                # In the order in which they were said.
                return await ask(moderator, "\n\n".join(reversed(texts)), deadline), ""
            case "words":
                find = self._matchers[moderator.name]
                entries = (
                    64 + len(moderator.words) + len(moderator.patterns)
                )  # folding a text costs as much as some words
                if sum(map(len, texts)) * entries < _LARGE_WORK:
                    return Answer(find(texts)), ""
                return Answer(await self._aside.run(find, texts)), ""
        assert_never(moderator.kind)

    async def _answer_by_http(
        self, moderator: Moderator, passages: Sequence[Passage], deadline: float
    ) -> tuple[Answer, str]:
        """Ask all questions at once; one that is not answered leaves no verdict on anything."""
        asked = questions(passages)
        tasks = [
            asyncio.ensure_future(self._asked(moderator, [passages[place] for place in places], deadline))
            for places in asked
        ]
        try:
            answers = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            tasks.clear()  # an error of one would keep this frame, and all that was asked
        flags: list[tuple[str, ...] | None] = [None] * len(passages)
        for places, (answer, detail) in zip(asked, answers, strict=True):
            if answer.problem:
                return answer, detail
            for place, flagged in zip(places, answer.flags, strict=True):
                flags[place] = flagged
        return Answer(tuple(flags)), ""

    async def _asked(self, moderator: Moderator, passages: Sequence[Passage], deadline: float) -> tuple[Answer, str]:
        if len(passages[0].picture) > DEAR_BYTES:
            question = await self._aside.run(encode_question, moderator, passages)
        else:
            question = encode_question(moderator, passages)
        try:
            reply = await self._http.send(question, deadline)
            try:
                if reply.status != 200:
                    return decode_refusal(moderator, reply.status), ""
                body = await reply.body(MAX_ANSWER_BYTES + 1)
            finally:
                reply.close()
        except UpstreamFailure as failure:
            return Answer(problem=failure.fault.message), failure.fault.detail or ""
        if len(body) > MAX_ANSWER_BYTES:
            return Answer(problem="its answer is too large"), ""
        count = 1 if passages[0].picture else len(passages)
        if is_dear(body):
            return await self._aside.run(decode_answer, body, count), ""
        return decode_answer(body, count), ""
