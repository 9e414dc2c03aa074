"""Engines that judge, asked over real sockets: whatever they do is told as a verdict or a problem, in time."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.gateway.conftest import closed_port
from tests.upstream.engines.test_search import KEY, Operator, run, soon
from tests.upstream.loopback import Asked, Say, answer, saying, serving
from trunkline.catalog.moderators import Moderator
from trunkline.plugins.words import lists_of
from trunkline.settings.secret import Secret
from trunkline.upstream.aside import Aside
from trunkline.upstream.engines.judged import Answer, Passage, Verdict
from trunkline.upstream.engines.moderation import MAX_ANSWER_BYTES, Moderators
from trunkline.upstream.engines.troubles import ALARM_AGAIN_S
from trunkline.upstream.names import Names

CLEAN, BAD = {"flagged": False, "categories": {"hate": False}}, {"flagged": True, "categories": {"hate": True}}
TEXT, PICTURE = Passage("herons"), Passage("herons", "data:image/png;base64,iVBORw0KGgo=")


def told(*results: Any) -> bytes:
    return json.dumps({"results": results}).encode()


def moderator(url: str, timeout_s: float = 10.0) -> Moderator:
    return Moderator(name="mine", kind="openai", base_url=url, secret=Secret(KEY), timeout_s=timeout_s)


@asynccontextmanager
async def entered(*moderators: Moderator, operator: Operator | None = None) -> AsyncIterator[Moderators]:
    heard = operator or Operator()
    asked = Moderators(
        moderators,
        lists_of(moderators),
        connect_s=5.0,
        aside=Aside(),
        names=Names(),
        clock=heard.clock,
        report=heard.report,
        alarm=heard.alarm,
    )
    async with asked:
        yield asked


async def nobody(moderator: Moderator, text: str, deadline: float) -> Answer:
    raise AssertionError("no model judges here")


async def judged(
    say: Say, *passages: Passage, operator: Operator | None = None, timeout_s: float = 10.0
) -> tuple[Verdict, list[Asked]]:
    async with (
        serving(say) as server,
        entered(moderator(server.url("/v1"), timeout_s), operator=operator) as moderators,
    ):
        return await moderators.judge("mine", passages or (TEXT,), soon(), nobody), server.asked


def test_texts_and_pictures_are_one_verdict() -> None:
    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        is_picture = b"image_url" in asked.body
        writer.write(answer(told(BAD) if is_picture else told(CLEAN, CLEAN)))
        writer.close()

    verdict, asked = run(judged(say, TEXT, PICTURE, TEXT))
    assert verdict._replace(took_s=0) == Verdict("mine", 0, True, ("hate",), 1)
    assert verdict.took_s > 0
    assert {each.target for each in asked} == {"/v1/moderations"}
    assert len(asked) == 2


def test_a_large_picture_is_sent_whole() -> None:
    picture = "data:image/png;base64," + "A" * 400_000
    verdict, (asked,) = run(judged(saying(answer(told(CLEAN))), Passage("", picture)))
    assert not verdict.is_flagged
    assert json.loads(asked.body)["input"] == [{"type": "image_url", "image_url": {"url": picture}}]


def test_nothing_to_judge_is_asked_of_nobody() -> None:
    async def ask() -> Verdict:
        async with entered(moderator("http://127.0.0.1:9")) as moderators:
            return await moderators.judge("mine", (), soon(), nobody)

    assert run(ask()) == Verdict("mine")


FAULTS: list[tuple[str, bytes, str]] = [
    ("a refused key", answer(b'{"error": "%s is wrong"}' % KEY.encode(), status=401), "it refuses the key (401)"),
    ("a failure", answer(b"oops", status=502), "it failed (502)"),
    ("no JSON", answer(b"<html>", "text/html"), "its answer is no JSON"),
    ("no HTTP", b"SSH-2.0-OpenSSH_9.6\r\n", "the answer is not HTTP"),
    ("half an answer", answer(told(CLEAN))[:-5], "the answer was cut off"),
    ("no answer", b"", "the connection was closed before an answer came"),
    ("too much", answer(b" " * (MAX_ANSWER_BYTES + 1)), "its answer is too large"),
    ("a bomb", answer(gzip.compress(b" " * 2**24, 1), content_encoding="gzip"), "its answer is too large"),
]


@pytest.mark.parametrize(("said", "problem"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_fault_is_no_verdict_and_repeats_nothing_of_the_answer(said: bytes, problem: str) -> None:
    operator = Operator()
    verdict, _ = run(judged(saying(said), operator=operator))
    assert verdict._replace(took_s=0) == Verdict("mine", problem=problem)
    assert [heard[:2] for heard in operator.failed] == [("mine", problem)]
    assert KEY not in repr((verdict, operator))


def test_one_question_without_an_answer_leaves_no_verdict() -> None:
    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"", status=500) if b"image_url" in asked.body else answer(told(BAD)))
        writer.close()

    verdict, _ = run(judged(say, TEXT, PICTURE))
    assert (verdict.is_flagged, verdict.problem) == (False, "it failed (500)")


def test_FE_13_an_engine_that_drips_is_given_up_when_its_time_is_over() -> None:
    async def drip(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    verdict, _ = run(judged(drip, timeout_s=0.2))
    assert verdict.problem == "the deadline passed before the answer ended"


def test_an_engine_that_is_not_there_is_named_to_the_operator_alone() -> None:
    operator = Operator()

    async def ask(port: int) -> Verdict:
        async with entered(moderator(f"http://127.0.0.1:{port}"), operator=operator) as moderators:
            return await moderators.judge("mine", (TEXT,), soon(), nobody)

    with closed_port() as port:
        assert run(ask(port)).problem == "no connection"
    assert str(port) in operator.failed[0][2]


def test_whoever_leaves_ends_the_questions() -> None:
    async def ask() -> None:
        is_asked, is_gone = asyncio.Event(), asyncio.Event()

        async def hang(asked: Asked, writer: asyncio.StreamWriter) -> None:
            is_asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                is_gone.set()

        async with serving(hang) as server, entered(moderator(server.url(""))) as moderators:
            question = asyncio.create_task(moderators.judge("mine", (TEXT, PICTURE), soon(), nobody))
            await is_asked.wait()
            question.cancel()
            with pytest.raises(asyncio.CancelledError):
                await question
        await is_gone.wait()

    run(ask())


def test_what_somebody_must_mend_is_told_once_in_a_while() -> None:
    async def ask() -> Operator:
        operator = Operator()
        async with (
            serving(saying(answer(b"", status=401))) as server,
            entered(moderator(server.url("")), operator=operator) as moderators,
        ):
            for ahead_s in (0, 1, ALARM_AGAIN_S + 2, ALARM_AGAIN_S + 3):
                operator.ahead_s = ahead_s
                await moderators.judge("mine", (TEXT,), soon() + ahead_s, nobody)
        return operator

    operator = run(ask())
    assert len(operator.failed) == 4
    assert operator.alarms == [("mine", "it refuses the key (401)", "see whether moderation.mine.api_key is good")] * 2


@pytest.mark.parametrize("times", [1, 5_000])
def test_a_list_is_looked_for_here(times: int) -> None:
    words = Moderator(name="mine", kind="words", words=("gelignite",), patterns=(r"n\d+",))

    async def ask(passages: Sequence[Passage]) -> Verdict:
        async with entered(words) as moderators:
            return await moderators.judge("mine", passages, soon(), nobody)

    verdict = run(ask([TEXT, Passage("herons " * times + "and Gelignite n1")]))
    assert verdict._replace(took_s=0) == Verdict("mine", 0, True, ("patterns", "words"), 1)
    assert not run(ask([Passage("herons " * times)])).is_flagged


def test_a_model_is_asked_for_all_texts_in_the_order_in_which_they_were_said() -> None:
    judge, heard = Moderator(name="mine", kind="judge", model="a/b", timeout_s=3.0), []

    def saying_of(said: Answer) -> Callable[[Moderator, str, float], Any]:
        async def ask(moderator: Moderator, text: str, deadline: float) -> Answer:
            heard.append((moderator.model, text, deadline <= soon(3.0)))
            return said

        return ask

    async def ask(said: Answer) -> Verdict:
        async with entered(judge) as moderators:
            return await moderators.judge("mine", [Passage("newer"), Passage("older")], soon(), saying_of(said))

    assert run(ask(Answer((("S1",),), record="resp_1")))._replace(took_s=0) == Verdict(
        "mine", 0, True, ("S1",), record="resp_1"
    )
    assert run(ask(Answer(problem="no model judges (503)", record="resp_2"))).record == "resp_2"
    assert heard[0] == ("a/b", "older\n\nnewer", True)


def test_engines_that_are_off_are_not_among_those_that_can_be_asked() -> None:
    async def names() -> tuple[str, ...]:
        off = Moderator(name="off", kind="openai", is_on=False, reason="–")
        async with entered(off, moderator("http://127.0.0.1:9")) as moderators:
            return moderators.names

    assert run(names()) == ("mine",)
