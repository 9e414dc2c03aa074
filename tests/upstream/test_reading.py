"""Files read for one request: what is fetched, by whom each is read, once, and what stands in its place."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

import pytest

from tests.routing.catalogs import endpoint
from trunkline.adapters.encoding.documents import Rule, placed_documents
from trunkline.adapters.encoding.links import Wanted
from trunkline.catalog.ocr_engines import OcrEngine
from trunkline.errors import BadGateway, BadRequest, GatewayError, PayloadTooLarge, ServiceUnavailable
from trunkline.generation import Fee
from trunkline.protocol.items import FunctionCallOutput, InputFile, InputImage, InputText, Message
from trunkline.protocol.request import Request
from trunkline.upstream.aside import Aside
from trunkline.upstream.engines.ocr import Ocr, Scanned
from trunkline.upstream.engines.ocr_table import Page
from trunkline.upstream.links.fetch import Fetched, Fetcher
from trunkline.upstream.parsing import Cause, Parsed, Parser, Unparsed
from trunkline.upstream.reading import Documents, Reading


class Reader:
    """A parser that notes what it is given, and may refuse it."""

    def __init__(self, refuses: Cause | None = None) -> None:
        self.given: list[tuple[str, bytes, str]] = []
        self._refuses: Cause | None = refuses

    def missing(self, kind: str) -> str | None:
        return "pypdfium2" if self._refuses == "missing" else None

    async def count_pages(self, document: bytes, account: str, deadline: float) -> int:
        return 4

    async def parse(self, kind: str, document: bytes, account: str, deadline: float) -> Parsed:
        self.given.append((kind, document, account))
        if self._refuses:
            raise Unparsed(self._refuses, "no; send another", 7.0)
        return Parsed("Kites.", 1, 0)


class Web:
    """Files by link; all others fail."""

    def __init__(self, **files: tuple[str, bytes]) -> None:
        self._files = files
        self.asked: list[str] = []

    async def fetch(self, wanted: Sequence[Wanted], deadline: float, *, account: str = "") -> list[Fetched]:
        found = []
        for each in wanted:
            self.asked.append(each.url)
            name = each.url.rpartition("/")[2].partition(".")[0]
            if name not in self._files:
                raise BadRequest("the file could not be downloaded", param=each.param)
            found.append(Fetched(*self._files[name]))
        return found


class Scanner:
    """An engine for scanned files."""

    version = "mistral 1"
    engine = OcrEngine(
        name="ours", kind="mistral", base_url=None, model="m", price=Decimal("0.002"), timeout_s=1.0, secret=None,
        is_on=True, reason="",
    )  # fmt: skip

    def __init__(self, scanned: Scanned) -> None:
        self.asked: list[int] = []
        self._scanned = scanned

    async def read(self, document: bytes, pages: int, deadline: float) -> Scanned:
        self.asked.append(pages)
        await asyncio.sleep(0)
        return self._scanned


def documents(reader: Reader, web: Web | None = None, scanner: Scanner | None = None) -> Documents:
    return Documents(
        cast(Parser, reader),
        cast(Ocr | None, scanner),
        cast(Fetcher, web or Web()),
        Aside(),
        max_bytes=1_000,
        max_text_bytes=100,
        cache_bytes=10**6,
        clock=lambda: 0.0,
    )


def read(by: Documents, request: Request, account: str = "one") -> Reading:
    return asyncio.run(by.read(Rule(), placed_documents(request), account, 60.0))


def asks(*parts: Any) -> Request:
    return Request(input=(Message(role="user", content=parts),))


def linked(name: str) -> InputFile:
    return InputFile(file_url=f"https://files.example/{name}")


def pdf(text: str = "") -> InputFile:
    return InputFile("a.pdf", f"data:application/pdf;base64,{base64.b64encode(b'%PDF-' + text.encode()).decode()}")


LINKS = {
    "a.pdf": (("application/pdf", b"%PDF-1.7"), InputText("[File: a.pdf]\nKites.")),
    "b": (("application/octet-stream", b"%PDF-1.7"), InputText("[File: unnamed]\nKites.")),
    "c.html": (("text/html", b"<p>x"), InputText("[File: c.html]\nKites.")),
    "d": (("text/plain", b"<!DOCTYPE html><p>x"), InputText("[File: unnamed]\nKites.")),
    "e.csv": (("text/csv", b"a,b"), InputText("[File: e.csv]\na,b")),
    "f": (("image/png", b"\x89PNG\r\n\x1a\n"), InputImage("data:image/png;base64,iVBORw0KGgo=")),
    "g.xlsx": (
        ("application/vnd.ms-excel", b"PK\x03\x04"),
        InputFile("g.xlsx", "data:application/vnd.ms-excel;base64,UEsDBA=="),
    ),
}


@pytest.mark.parametrize("name", LINKS)
def test_a_file_behind_a_link_is_what_its_content_is(name: str) -> None:
    found, told = LINKS[name]
    web = Web(**{name.partition(".")[0]: found})
    reading = read(documents(Reader(), web), asks(linked(name)))
    (parts,) = reading.texts().values()
    assert list(parts) == [told]
    assert web.asked == [f"https://files.example/{name}"]


def test_one_file_is_read_once_for_a_request_and_for_its_account() -> None:
    reader, request = Reader(), asks(pdf(), InputText("and again"), pdf())
    by = documents(reader)
    asyncio.run(_twice(by, request))
    assert [account for _, _, account in reader.given] == ["one", "other"]


async def _twice(by: Documents, request: Request) -> None:
    for account in ("one", "one", "other"):
        await by.read(Rule(), placed_documents(request), account, 60.0)


REFUSALS: dict[Cause, type[GatewayError]] = {
    "encrypted": BadRequest,
    "damaged": BadRequest,
    "empty": BadRequest,
    "died": BadRequest,
    "late": BadRequest,
    "missing": BadRequest,
    "too_many_pages": PayloadTooLarge,
    "too_much_text": PayloadTooLarge,
    "busy": ServiceUnavailable,
}


@pytest.mark.parametrize("cause", REFUSALS)
def test_DO_06_what_cannot_be_read_is_refused_by_its_path(cause: Cause) -> None:
    with pytest.raises(REFUSALS[cause]) as refused:
        read(documents(Reader(cause)), asks(InputText("Read this."), pdf()))
    assert refused.value.message == "input[0].content[1]: no; send another"
    assert refused.value.metadata["param"] == "input[0].content[1]"
    assert refused.value.retry_after == (7.0 if cause == "busy" else None)


def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(PayloadTooLarge) as refused:
        read(documents(Reader()), asks(pdf("x" * 1_000)))
    assert refused.value.metadata["param"] == "input[0].content[0].file_data"


def test_a_page_that_cannot_be_read_is_told_as_text() -> None:
    page = InputFile("a.html", f"data:text/html;base64,{base64.b64encode(b'<p>Kites').decode()}")
    reading = read(documents(Reader("missing")), asks(page))
    assert list(reading.texts()[page]) == [InputText("[File: a.html]\n<p>Kites")]


def test_what_a_tool_gave_back_stays_where_it_cannot_be_had() -> None:
    request = Request(input=(FunctionCallOutput(call_id="c", output=(linked("gone.pdf"), pdf())),))
    reading = read(documents(Reader("damaged")), request)
    assert not reading.texts()
    assert all("problem" in cast(dict[str, Any], each) for each in reading.noted)


PLACE = endpoint("a", "m", reads=["text"])


def scan(scanner: Scanner, reader: Reader, times: int = 1) -> tuple[Reading, list[Request]]:
    """Have an engine read a file for so many endpoints at once."""
    by, request = documents(reader, scanner=scanner), asks(pdf("/Type /Page /Type/Pages /Type/Page"))

    async def play() -> tuple[Reading, list[Request]]:
        reading = await by.read(Rule(None, True), placed_documents(request), "one", 60.0)
        assert not scanner.asked
        return reading, [
            told for told, _ in await asyncio.gather(*[reading.told(request, PLACE) for _ in range(times)])
        ]

    return asyncio.run(play())


@pytest.mark.parametrize(("reader", "pages"), [(Reader(), 4), (Reader("missing"), 2)])
def test_an_engine_is_asked_once_when_somebody_needs_what_it_reads(reader: Reader, pages: int) -> None:
    scanner = Scanner(Scanned((Page("Kites"),), 3))
    reading, told = scan(scanner, reader, 3)
    assert scanner.asked == [pages]
    assert reading.fees == [Fee("ocr", "ours", 3, 6_000_000)]
    assert told[0] == told[1] == told[2]
    (message,) = told[0].input
    assert isinstance(message, Message)
    assert message.content == (InputText('[File: a.pdf]\n<page n="1">\nKites\n</page>'),)


def test_an_engine_that_says_too_much_is_stood_in_for_and_paid() -> None:
    scanner, reader = Scanner(Scanned((Page("x" * 200),), 4)), Reader()
    reading, (told,) = scan(scanner, reader)
    assert reading.fees == [Fee("ocr", "ours", 4, 8_000_000)]
    (message,) = told.input
    assert isinstance(message, Message)
    assert message.content == (InputText("[File: a.pdf]\nKites."),)
    (noted,) = reading.noted
    assert "more text" in cast(dict[str, Any], noted)["problem"]


def test_DO_09_an_engine_that_fails_is_a_bad_gateway_where_there_is_no_text() -> None:
    with pytest.raises(BadGateway) as failed:
        scan(Scanner(Scanned((), 4, "it failed (500)")), Reader("damaged"))
    assert failed.value.metadata == {"param": "input[0].content[0]", "cost_usd": "0.008"}
