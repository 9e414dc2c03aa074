"""What it takes to read a document in a child: by the clock, in its memory, and until one that does harm has ended.

Each figure is of the gateway's own pool, as configured by default, on uvloop. It does not measure a gateway around it.
"""

import asyncio
import contextlib
import re
import resource
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import uvloop

from tests.upstream.documents.making import (
    bomb,
    docx_of,
    many_pages,
    pages,
    paragraph,
    pdf_of,
    simple_pdf,
    stream,
    written,
)
from trunkline.upstream.parsing import Kind, Parser, ParserLimits, Unparsed

_ROUNDS = 5
_LINE = "The quick brown fox jumps over the lazy dog, and then once more over it, at {} "


class Case(NamedTuple):
    """One document; `times` it is read, of which the median is told."""

    name: str
    kind: Kind
    make: Callable[[], bytes]
    times: int = _ROUNDS


def _book(count: int) -> bytes:
    return pages([written(*[_LINE.format(f"{page}:{line}") for line in range(64)]) for page in range(count)])


def _objects(count: int) -> bytes:
    head = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1/Kids[3 0 R]>>", b"<</Type/Page/Parent 2 0 R>>"]
    return pdf_of([*head, *[b"<<>>"] * count])


def _web_page(rows: int) -> bytes:
    return b"<table>" + b"<tr><td>a cell<td><a href=x>a link</a><td>1" * rows


CASES = (
    Case("PDF, a page", "pdf", lambda: simple_pdf("x")),
    Case("PDF, 200 pages", "pdf", lambda: _book(200)),
    Case("PDF, 1,000 pages", "pdf", lambda: _book(1_000), 1),
    Case("PDF, 100,000 pages", "pdf", lambda: many_pages(100_000)),
    Case("PDF, 500,000 objects", "pdf", lambda: _objects(500_000), 1),
    Case(
        "PDF, a path of 2,000,000 pieces", "pdf", lambda: pages([stream(b"0 0 m 9 9 l S " * 2_000_000, filters=1)]), 1
    ),
    Case("PDF, KB that are 2 GB", "pdf", lambda: bomb(2 * 10**9, 2)),
    Case("PDF, MB that are 2 GB", "pdf", lambda: bomb(2 * 10**9, 1)),
    Case("PDF, 400 MB of text operators", "pdf", lambda: bomb(4 * 10**8, 1, unit=b"BT /F 9 Tf 9 9 Td (text) Tj ET ")),
    Case("DOCX, 2,000 paragraphs", "docx", lambda: docx_of(paragraph(_LINE) * 2_000)),
    Case("DOCX, a part of 70 MB", "docx", lambda: docx_of(paragraph("x" * 70_000_000)), 1),
    Case("HTML, 10,000 rows", "html", lambda: _web_page(10_000)),
    Case("HTML, 10,000 nested divs", "html", lambda: b"<div>" * 10_000 + b"x"),
    Case("HTML, 50,000 nested divs", "html", lambda: b"<div>" * 50_000 + b"x", 1),
    Case("HTML, 200,000 nested divs", "html", lambda: b"<div>" * 200_000 + b"x", 1),
)


async def _measure(case: Case) -> str:
    loop, document, took = asyncio.get_running_loop(), case.make(), list[float]()
    told, peak = "", _Peak()
    async with Parser(ParserLimits(), loop.time, on_child=peak.follow) as parser:
        await parser.parse("html", b"<p>x", "bench", loop.time() + 30)
        for _ in range(case.times):
            await asyncio.sleep(0.3)  # until the spare is warm
            watching = asyncio.create_task(peak.watch())
            began = time.perf_counter()
            try:
                parsed = await parser.parse(case.kind, document, "bench", loop.time() + 30)
                told = f"{len(parsed.text):,} characters"
            except Unparsed as refused:
                told = refused.cause
            took.append(time.perf_counter() - began)
            watching.cancel()
    size = f"{len(document) / 1_000:,.0f} KB"
    median_ms = statistics.median(took) * 1_000
    return f"{case.name:<34}{size:>12}{median_ms:>10,.0f} ms{peak.kb / 1_000:>8,.0f} MB  {told}"


class _Peak:
    """The most that children had in memory, looked at every millisecond."""

    def __init__(self) -> None:
        self.kb = 0
        self._pid = 0

    def follow(self, account: str, pid: int) -> None:
        """Take note of the child that reads now."""
        self._pid = pid

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            with contextlib.suppress(OSError), open(f"/proc/{self._pid}/status") as told:  # noqa: ASYNC230
                if found := re.search(r"VmHWM:\s+(\d+)", told.read()):
                    self.kb = max(self.kb, int(found[1]))
            await asyncio.sleep(0.001)


async def _main() -> None:
    print(f"{'document':<34}{'size':>12}{'took':>13}{'child':>11}")
    for case in CASES:
        print(await _measure(case), flush=True)
    print(f"{'this process at most':<46}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000:>32,.0f} MB")


if __name__ == "__main__":
    uvloop.run(_main())
