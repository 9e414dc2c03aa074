"""Documents read by children: what they say, what becomes of those that do harm, who waits and who leaves.

Children are limited as in production, but that they have less memory and time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
import uvloop

from tests.upstream.documents.making import bomb, docx_of, many_pages, paragraph, pdf_of, simple_pdf
from tests.upstream.reading import (
    ANSWERS,
    LIMITS,
    SAYS_X,
    children,
    is_running,
    is_there,
    let_go,
    reading,
    resident_bytes,
    stand_in,
    until,
)
from trunkline.upstream.parsing import Parsed, Unparsed, find_missing

T = TypeVar("T")


class Run(Protocol):
    def __call__(self, play: Coroutine[Any, Any, T], /) -> T: ...


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    runner: Run = request.param
    return runner


# What is read


def test_each_kind_is_read_in_a_child_of_its_own(run: Run) -> None:
    async def play() -> None:
        async with reading() as told:
            assert await told.read(simple_pdf("x")) == SAYS_X
            assert await told.read(docx_of(paragraph("x")), "docx", "b") == Parsed("x", 1, 0)
            assert await told.read(b"<p>x", "html") == Parsed("x", 1, 0)
            deadline = asyncio.get_running_loop().time() + 30
            assert await told.parser.count_pages(simple_pdf("a", "b"), "c", deadline) == 2
            assert [account for account, _ in told.children] == ["a", "b", "a", "c"]
            assert len({pid for _, pid in told.children}) == 4

    run(play())


def test_an_idle_gateway_has_no_child_and_one_that_reads_has_a_spare() -> None:
    async def play() -> None:
        async with reading(program=stand_in(ANSWERS), spare_s=0.05) as told:
            there = set(children())
            await told.read(b"x")
            (_, pid) = told.children[0]
            await until(lambda: not is_there(pid))
            await until(lambda: not set(children()) - there)

    asyncio.run(play())


def test_a_spare_is_taken_by_the_next() -> None:
    async def play() -> None:
        async with reading(program=stand_in(ANSWERS)) as told:
            there = set(children())
            await told.read(b"x")
            (spare,) = set(children()) - there - {told.children[0][1]}
            await told.read(b"x", account="b")
            assert told.children[1] == ("b", spare)

    asyncio.run(play())


def test_a_spare_that_died_is_not_taken() -> None:
    async def play() -> None:
        async with reading(program=stand_in(ANSWERS)) as told:
            there = set(children())
            await told.read(b"x")
            (spare,) = set(children()) - there - {told.children[0][1]}
            os.kill(spare, signal.SIGKILL)
            await until(lambda: not is_there(spare))
            assert await told.read(b"x") == SAYS_X

    asyncio.run(play())


def test_nothing_and_what_no_library_reads_is_refused_without_a_child() -> None:
    async def play() -> None:
        async with reading(missing={**find_missing(), "pdf": "pypdfium2"}) as told:
            assert told.parser.missing("pdf") == "pypdfium2"
            assert told.parser.missing("html") is told.parser.missing("docx") is None
            assert await told.cause(b"%PDF", "pdf") == "missing"
            assert await told.cause(b"", "html") == "empty"
            assert not told.children

    asyncio.run(play())


# What does harm

BOMBS = (
    ("kilobytes that unpack to 2 GB, in layers", bomb(2 * 10**9, 2)),
    ("a page of text operators that are 400 MB", bomb(4 * 10**8, 1, unit=b"BT /F 9 Tf 9 9 Td (text text) Tj ET ")),
)
FEW_OF_MANY = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1/Kids[3 0 R]>>", b"<</Type/Page/Parent 2 0 R>>"]
DEEP = b"<div>" * 50_000 + b"x"


def test_DO_01_bombs_end_their_child_and_nobody_else(run: Run) -> None:
    async def play() -> None:
        async with reading() as told:
            before = resident_bytes()
            for _, document in BOMBS:
                assert await told.cause(document) == "died"
                assert await told.read(simple_pdf("x")) == SAYS_X
            assert resident_bytes() < before + 20 * 10**6

    run(play())


def test_DO_02_half_a_million_objects_end_within_the_limits() -> None:
    async def play() -> None:
        async with reading() as told:
            assert (await told.read(pdf_of([*FEW_OF_MANY, *[b"<<>>"] * 500_000]))).silent_pages == 1
            assert await told.cause(bomb(50 * 10**6, 1, unit=b"0 0 m 9 9 l S ")) == "died"
            assert await told.cause(DEEP, "html") == "late"

    asyncio.run(play())


def test_DO_03_a_hundred_thousand_pages_are_too_many() -> None:
    async def play() -> None:
        async with reading(LIMITS._replace(max_pages=99_999)) as told:
            assert await told.cause(many_pages(100_000)) == "too_many_pages"
            deadline = asyncio.get_running_loop().time() + 30
            with pytest.raises(Unparsed, match="more than 99,999 pages"):
                await told.parser.count_pages(many_pages(100_000), "a", deadline)

    asyncio.run(play())


def test_DO_04_what_a_child_refuses_is_told_with_its_cause() -> None:
    async def play() -> None:
        async with reading(LIMITS._replace(max_text_bytes=50)) as told:
            assert await told.cause(b"<html>" + simple_pdf("x")) == "damaged"
            assert await told.cause(simple_pdf("x" * 90)) == "too_much_text"
            assert await told.cause(b"\xd0\xcf\x11\xe0", "docx") == "damaged"

    asyncio.run(play())


# Who waits, and who leaves

WAITS = (
    "document = read(int.from_bytes(head[2:], 'big'))\nwhile not os.path.exists(document): time.sleep(0.01)\n" + ANSWERS
)


def test_DO_08_many_documents_are_read_few_at_once_in_turns_and_the_rest_is_told_to_come_again(tmp_path: Path) -> None:
    gate = str(tmp_path / "open").encode()

    async def play() -> None:
        limits = LIMITS._replace(children=2, queue=20)
        async with reading(limits, stand_in(WAITS)) as told:
            tasks = [asyncio.create_task(told.read(gate, account=f"{at % 10}")) for at in range(50)]
            await until(lambda: sum(task.done() for task in tasks) == 28)
            assert len(told.children) == 2
            for task in tasks[22:]:
                error = task.exception()
                assert isinstance(error, Unparsed)
                assert error.cause == "busy"
                assert error.retry_after_s is not None
                assert 1 <= error.retry_after_s <= 60
            let_go(gate)
            assert await asyncio.gather(*tasks[:22]) == [SAYS_X] * 22
            assert len({pid for _, pid in told.children}) == 22
            turns = Counter(account for account, _ in told.children[2:12])
            assert set(turns.values()) == {1}

    asyncio.run(play())


def test_whoever_is_cancelled_leaves_at_once_and_the_child_with_them(run: Run, tmp_path: Path) -> None:
    gate = str(tmp_path / "open").encode()

    async def play() -> None:
        async with reading(LIMITS._replace(children=1), stand_in(WAITS)) as told:
            first = asyncio.create_task(told.read(gate))
            second = asyncio.create_task(told.read(gate))
            third = asyncio.create_task(told.read(gate, account="c"))
            await told.begun.wait()
            second.cancel()
            first.cancel()
            ended = await asyncio.gather(first, second, return_exceptions=True)
            assert [type(each) for each in ended] == [asyncio.CancelledError] * 2
            await until(lambda: not is_there(told.children[0][1]))
            await until(lambda: len(told.children) == 2)
            assert told.children[1][0] == "c"
            let_go(gate)
            assert await third == SAYS_X

    run(play())


def test_a_deadline_ends_the_reading_and_the_waiting(tmp_path: Path) -> None:
    gate = str(tmp_path / "open").encode()

    async def play() -> None:
        async with reading(LIMITS._replace(children=1), stand_in(WAITS)) as told:
            first = asyncio.create_task(told.cause(gate, within_s=0.3))
            second = asyncio.create_task(told.cause(gate, within_s=0.1))
            assert [*await asyncio.gather(first, second)] == ["busy", "busy"]
            assert await told.cause(gate, within_s=-1) == "busy"

    asyncio.run(play())


def test_the_end_of_the_gateway_is_the_end_of_its_children(tmp_path: Path) -> None:
    gate, before = str(tmp_path / "open").encode(), children()  # the servers of other tests are among them

    async def play() -> None:
        async with reading(program=stand_in(WAITS)) as told:
            under_way = asyncio.create_task(told.cause(gate))
            await told.begun.wait()
            there = [pid for pid in children() if pid not in before]
        assert await under_way == "died"
        assert len(there) >= 2
        assert not [pid for pid in there if is_there(pid)]
        assert await told.cause(gate) == "busy"

    asyncio.run(play())


def test_a_gateway_that_is_killed_leaves_no_child(tmp_path: Path) -> None:
    words = """
import asyncio, os, sys, signal
from trunkline.upstream.parsing import Parser, ParserLimits

async def play():
    clock = asyncio.get_running_loop().time
    async with Parser(ParserLimits(), clock, on_child=lambda account, pid: print(pid, flush=True)) as parser:
        await parser.parse("html", b"<p>x", "a", clock() + 30)
        print(*(child.pid for child in parser._children), flush=True)
        await parser.parse("html", b"<div>" * 40_000, "a", clock() + 30)

asyncio.run(play())
"""

    async def play() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            words,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        told: list[int] = []
        for _ in range(3):
            told += map(int, (await process.stdout.readline()).split())
        process.kill()
        await process.wait()
        await until(lambda: not any(is_running(pid) for pid in told))

    asyncio.run(play())
