"""The files of requests read for who takes none: fetched where they are links, kept for a while, by child or engine.

Theory of operation. What can be read here is read before anybody is asked, so that plan, price and hold see its true
size. What an engine is paid for is only counted then, and read when the first endpoint is asked that needs it: once for
a request, however many are. Who takes a document as it is never sees its text. What a tool gave back and cannot be read
stays as it is: a note stands for it where nobody takes it (`adapters/encoding/results.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Self, TypeVar

from trunkline.adapters.encoding.documents import (
    KINDS,
    Kind,
    Placed,
    Rule,
    document_parts,
    file_name,
    read_type,
    undocumented_parts,
    with_texts,
)
from trunkline.adapters.encoding.links import Noun, Wanted
from trunkline.adapters.media import inline_file
from trunkline.billing import nearest_nano
from trunkline.catalog.entries import Endpoint
from trunkline.catalog.ocr_engines import OcrEngine
from trunkline.errors import BadGateway, BadRequest, ClientError, GatewayError, PayloadTooLarge, ServiceUnavailable
from trunkline.generation import Fee
from trunkline.money import NanoUsd, usd_text
from trunkline.protocol.content import bytes_of
from trunkline.protocol.items import InputFile, InputPart, InputText, Json
from trunkline.protocol.request import Request
from trunkline.settings.files_sections import FileParserSettings
from trunkline.upstream.aside import DEAR_BYTES, Aside
from trunkline.upstream.asking import Upstream
from trunkline.upstream.documents.prose import paged
from trunkline.upstream.engines.ocr import Ocr
from trunkline.upstream.engines.troubles import Alarm, Report
from trunkline.upstream.links.fetch import Fetched, Fetcher
from trunkline.upstream.names import Names
from trunkline.upstream.parsing import Parsed, Parser, ParserLimits, Unparsed
from trunkline.upstream.texts import Known, Text, Texts

Result = TypeVar("Result")

DROPPED_PICTURES: Final = "input.input_file.images"
"""What is named as dropped where a model does not see the pictures of a document."""

AT_ONCE: Final = 2
"""Of one request; one with many documents leaves places to others."""

PAGE_BYTES: Final = 4_000
"""Of a page that an engine will read, what is held for: 2,000 tokens."""

_HERE: Final = "pdf-text 1"
"""What our own reading is kept under; another number when it says something else of the same file."""

_TOO_LARGE: Final = frozenset({"too_many_pages", "too_much_text"})


@dataclass(slots=True)
class _Document:
    """One file of a request, and what came of it.

    `text` is what it says, once that is known; `parts` are what stands for a file that is no document. `pages` are
    those that an engine is to read. `is_left`: it stays as it is.
    """

    placed: Placed
    name: str
    body: bytes = b""
    media_type: str = ""
    kind: Kind | None = None
    digest: bytes = b""
    pages: int = 0
    text: Text | None = None
    parts: tuple[InputPart, ...] = ()
    is_left: bool = False
    engine: str = "pdf-text"
    took_s: float = 0.0
    is_cached: bool = False
    problem: str = ""

    @property
    def waits(self) -> bool:
        """Whether an engine is to read it yet."""
        return bool(self.pages) and self.text is None

    def told(self, *, with_pictures: bool) -> tuple[InputPart, ...]:
        """What stands in its place."""
        if self.text is None:
            return self.parts or document_parts(self.name, "")
        pictures = self.text.pictures if with_pictures else ()
        return document_parts(self.name, self.text.text, pictures)

    def noted(self) -> dict[str, Json]:
        """What is kept on record of it."""
        told: dict[str, Json] = {"path": self.placed.path, "kind": self.kind or self.media_type, "engine": self.engine}
        if self.text is not None:
            told |= {"pages": self.text.pages, "ms": round(self.took_s * 1000), "cached": self.is_cached}
        elif self.pages:
            told["pages"] = self.pages
        return {**told, "problem": self.problem} if self.problem else told


class Documents:
    """Reads documents for all requests of the process. Entered on the loop that it is asked from."""

    def __init__(
        self,
        parser: Parser,
        ocr: Ocr | None,
        fetcher: Fetcher,
        aside: Aside,
        *,
        max_bytes: int,
        max_text_bytes: int,
        cache_bytes: int,
        clock: Callable[[], float],
    ) -> None:
        """Take who reads and who fetches; the clock is the loop's. `max_bytes` bound one file, `max_text_bytes` what an
        engine says of it.
        """
        self.parser, self.ocr, self.fetcher, self.aside = parser, ocr, fetcher, aside
        self.clock = clock
        self.kept = Texts(cache_bytes)
        self.max_text_bytes = max_text_bytes
        self._max_bytes = max_bytes

    async def __aenter__(self) -> Self:
        await self.parser.__aenter__()
        if self.ocr is not None:
            await self.ocr.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.ocr is not None:
            await self.ocr.__aexit__()
        await self.parser.__aexit__(None, None, None)

    async def read(self, rule: Rule, placed: Sequence[Placed], account: str, deadline: float) -> Reading:
        """Read what can be read here of the files of a request, and count the pages of what an engine is to read.

        Raises BadRequest, PayloadTooLarge, and ServiceUnavailable where too many wait already.
        """
        reading = Reading(self, rule, account, deadline)
        for each in placed:
            same = reading.files.get(each.part)
            # Of one that a tool gave back and the user sent as well, it is the user's that must be read.
            if same is None or (same.placed.is_of_tool and not each.is_of_tool):
                reading.files[each.part] = _Document(each, file_name(each.part))
        documents = list(reading.files.values())
        await self._fetch(reading, [each for each in documents if each.placed.link])
        gate = asyncio.Semaphore(AT_ONCE)
        tasks = [asyncio.create_task(self._read(reading, each, gate)) for each in documents if not each.is_left]
        try:
            await asyncio.gather(*tasks)
        finally:
            await _leave(tasks)
        for document in documents:
            if not document.waits:
                document.body = b""  # a request may take long, and many of them have files
        reading.note()
        return reading

    async def _fetch(self, reading: Reading, documents: Sequence[_Document]) -> None:
        """Fetch files behind links: the user's all together, what tools gave back as far as it can be had."""
        users = [each for each in documents if not each.placed.is_of_tool]
        for together in ([users] if users else []) + [[each] for each in documents if each.placed.is_of_tool]:
            wanted = [Wanted(each.placed.link or "", "file", each.placed.param) for each in together]
            try:
                found = await self.fetcher.fetch(wanted, reading.deadline, account=reading.account)
            except ClientError as error:
                if not together[0].placed.is_of_tool:
                    raise
                together[0].is_left, together[0].problem = True, error.message
                continue
            for each, fetched in zip(together, found, strict=True):
                each.body, each.media_type = fetched.body, fetched.media_type
                reading.fetched[each.placed.link or "", "file"] = await self._data_url(fetched)

    async def _data_url(self, fetched: Fetched) -> str:
        return await self.aside.run(lambda: fetched.data_url)

    async def _read(self, reading: Reading, document: _Document, gate: asyncio.Semaphore) -> None:
        try:
            await self._take_in(document)
            if document.kind is not None:
                async with gate:
                    await self._read_document(reading, document, document.kind)
        except GatewayError as error:
            if isinstance(error, ServiceUnavailable):
                raise
            if document.kind == "html" and reading.rule.engine is None:
                # It is text all the same, as it was before anybody read it.
                work = partial(undocumented_parts, document.name, "text/html", document.body)
                document.parts = await self._beside(len(document.body), work)
            elif document.placed.is_of_tool:
                document.is_left = True
            else:
                raise
            document.problem, document.engine = error.message, "none"

    async def _take_in(self, document: _Document) -> None:
        """Find out what a file is. Raises BadRequest and PayloadTooLarge."""
        placed, part = document.placed, document.placed.part
        if not placed.link:
            size = len(part.file_data or part.file_url or "") * 3 // 4
            if size > self._max_bytes + 64:
                raise self._too_large(placed)
            try:
                document.body = await self._beside(size, partial(_body, part))
            except BadRequest as error:
                raise BadRequest(f"{placed.param}: {error.message}.", param=placed.param, kind=error.kind) from None
            document.kind = placed.kind
        else:
            document.media_type = read_type(part, document.media_type, document.body)
            document.kind = KINDS.get(document.media_type)
            if document.kind is None:
                work = partial(undocumented_parts, document.name, document.media_type, document.body)
                document.parts = await self._beside(len(document.body), work)
                document.engine = "none"
        if document.kind is not None and len(document.body) > self._max_bytes:
            raise self._too_large(placed)

    async def _read_document(self, reading: Reading, document: _Document, kind: Kind) -> None:
        """Find the text of a document, or count its pages where an engine is to read it."""
        began = self.clock()
        document.digest = await self._beside(len(document.body), partial(_digest, document.body))
        is_for_ocr = self.ocr is not None and reading.rule.wants_ocr(kind)
        if is_for_ocr:
            assert self.ocr is not None
            document.engine = self.ocr.engine.name
        found = self.kept.find(self.known(reading, document, is_for_ocr=is_for_ocr), began)
        if found is not None:
            document.text, document.pages, document.is_cached = found, found.pages, True
        elif is_for_ocr:
            document.pages = await self._count(reading, document)
        else:
            document.text = await self.parse(reading, document, kind)
        document.took_s = self.clock() - began

    async def _count(self, reading: Reading, document: _Document) -> int:
        if self.parser.missing("pdf") is not None:
            return await self._beside(len(document.body), partial(_guessed_pages, document.body))
        try:
            return max(1, await self.parser.count_pages(document.body, reading.account, reading.deadline))
        except Unparsed as unparsed:
            raise _unreadable(document.placed, unparsed) from None

    async def parse(self, reading: Reading, document: _Document, kind: Kind) -> Text:
        """Read a document here, and keep what it says. Raises a GatewayError."""
        try:
            parsed: Parsed = await self.parser.parse(kind, document.body, reading.account, reading.deadline)
        except Unparsed as unparsed:
            raise _unreadable(document.placed, unparsed) from None
        text = Text(parsed.text, parsed.pages, parsed.silent_pages)
        self.kept.keep(self.known(reading, document, is_for_ocr=False), text, self.clock())
        return text

    def known(self, reading: Reading, document: _Document, *, is_for_ocr: bool) -> Known:
        """By what the text of a document is kept."""
        read_with = f"{_HERE} {document.kind}"
        if is_for_ocr:
            assert self.ocr is not None
            read_with = self.ocr.version
        return Known(reading.account, document.digest, read_with)

    async def _beside(self, size: int, work: Callable[[], Result]) -> Result:
        """Do a piece of work, beside the loop where it is large."""
        return await self.aside.run(work) if size > DEAR_BYTES else work()

    def _too_large(self, placed: Placed) -> PayloadTooLarge:
        message = (
            f"{placed.path}: the file is larger than the gateway reads ({self._max_bytes} bytes); send a part of it."
        )
        return PayloadTooLarge(message, kind="file_file_too_large", metadata={"param": placed.param})


@dataclass(slots=True)
class Reading:
    """The documents of one request.

    `fees` and `noted` grow while it is answered. `fetched` are data URLs by link, for who takes files.
    """

    _by: Documents
    rule: Rule
    account: str
    deadline: float
    files: dict[InputFile, _Document] = field(default_factory=dict)
    fetched: dict[tuple[str, Noun], str] = field(default_factory=dict)
    fees: list[Fee] = field(default_factory=list)
    noted: list[Json] = field(default_factory=list)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_done(self) -> bool:
        """Whether what stands for the files is the same for all who take none, and known."""
        return not any(each.waits or (each.text and each.text.pictures) for each in self.files.values())

    def has_taker_in(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint takes any of the files as it is."""
        return any(self.rule.is_native(endpoint, each.kind) for each in self.files.values() if not each.is_left)

    @property
    def fee_nano(self) -> NanoUsd:
        """What an engine will ask for what it is to read."""
        return self._fee_nano(sum(each.pages for each in self.files.values() if each.waits))

    def _fee_nano(self, pages: int) -> NanoUsd:
        ocr = self._by.ocr
        return 0 if ocr is None else nearest_nano(ocr.engine.price * pages)

    @property
    def grown_bytes(self) -> int:
        """By how much a body is longer that holds what the files say in place of the files."""
        grown = 0
        for part, each in self.files.items():
            if each.is_left:
                continue
            if not each.placed.link:
                grown -= len(part.file_data or part.file_url or "")
            grown += each.pages * PAGE_BYTES if each.waits else 0
            grown += sum(bytes_of(told.text) for told in each.told(with_pictures=False) if type(told) is InputText)
        return grown

    def texts(self) -> Mapping[InputFile, Sequence[InputPart]]:
        """What stands for the files of which it is known, and for the others their names alone."""
        return {part: each.told(with_pictures=False) for part, each in self.files.items() if not each.is_left}

    async def told(self, request: Request, endpoint: Endpoint) -> tuple[Request, tuple[str, ...]]:
        """The request as an endpoint can read it, and what was left out of it; what it takes stays as it is.

        Raises BadGateway where an engine does not read what it has to.
        """
        needed = {
            part: each
            for part, each in self.files.items()
            if not each.is_left and not self.rule.is_native(endpoint, each.kind)
        }
        for each in needed.values():
            if each.waits:
                async with self._lock:
                    if each.waits:
                        await self._scan(each)
        sees = "image" in (endpoint.input_modalities or ())
        texts = {part: each.told(with_pictures=sees) for part, each in needed.items()}
        is_lost = not sees and any(each.text is not None and each.text.pictures for each in needed.values())
        return with_texts(request, texts), (DROPPED_PICTURES,) if is_lost else ()

    async def _scan(self, document: _Document) -> None:
        """Have an engine read a document; here, where it fails and there is a text to be found."""
        by, ocr, began = self._by, self._by.ocr, self._by.clock()
        assert ocr is not None
        scanned = await ocr.read(document.body, document.pages, self.deadline)
        if scanned.paid_pages:
            self.fees.append(Fee("ocr", ocr.engine.name, scanned.paid_pages, self._fee_nano(scanned.paid_pages)))
        pages, problem = scanned.pages, scanned.problem
        said = "\n".join(paged(n, page.text) for n, page in enumerate(pages, 1))
        if bytes_of(said) > by.max_text_bytes:
            problem = f"it found more text than is read here ({by.max_text_bytes} bytes)"
        if not problem:
            pictures = tuple(url for page in pages for url in page.pictures)
            document.text = Text(said, len(pages), sum(not page.text for page in pages), pictures)
            by.kept.keep(by.known(self, document, is_for_ocr=True), document.text, by.clock())
        else:
            document.problem = f"{ocr.engine.name}: {problem}"
            document.text = await self._read_here(document)
            document.engine = "pdf-text"
        document.took_s, document.body = by.clock() - began, b""
        self.note()

    def note(self) -> None:
        """Bring what is kept on record of the files up to date."""
        self.noted[:] = [each.noted() for each in self.files.values()]

    async def _read_here(self, document: _Document) -> Text:
        """Read a document that its engine did not. Raises BadGateway."""
        if self.rule.engine is not None:
            raise self._failure(document)
        try:
            text = await self._by.parse(self, document, "pdf")
        except GatewayError:
            raise self._failure(document) from None
        if text.is_silent:
            raise self._failure(document)
        return text

    def _failure(self, document: _Document) -> BadGateway:
        """What is told where nobody can read a document; made where it is raised, since a frame that keeps an error is
        kept by it.
        """
        path = document.placed.path
        return BadGateway(
            f"{path}: the engine that reads scanned files failed ({document.problem}).",
            metadata={"param": path, "cost_usd": usd_text(sum(fee.nano for fee in self.fees))},
        )


def make_documents(
    about: FileParserSettings,
    engine: OcrEngine | None,
    upstream: Upstream,
    connect_s: float,
    report: Report,
    alarm: Alarm,
) -> Documents:
    """Make what reads files by the settings, with the engine for scanned ones that is on."""
    limits = ParserLimits(about.max_pages, about.max_text, about.memory, about.cpu, about.children, about.queue)
    ocr = None
    if engine is not None:
        ocr = Ocr(
            engine,
            connect_s=connect_s,
            aside=upstream.aside,
            names=Names(),
            clock=upstream.clock,
            report=report,
            alarm=alarm,
        )
    return Documents(
        Parser(limits, upstream.clock),
        ocr,
        upstream.fetcher,
        upstream.aside,
        max_bytes=about.max_file,
        max_text_bytes=about.max_text,
        cache_bytes=about.cache,
        clock=upstream.clock,
    )


async def _leave(tasks: list[asyncio.Task[None]]) -> None:
    """End tasks, and forget them: an error of theirs would keep who waits for them, with all files of the request."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tasks.clear()


def _unreadable(placed: Placed, unparsed: Unparsed) -> GatewayError:
    """Why a document is not read, as its client is told."""
    message = f"{placed.path}: {unparsed.message}"
    match unparsed.cause:
        case "busy":
            return ServiceUnavailable(
                message, metadata={"param": placed.path}, retry_after=unparsed.retry_after_s or 1.0
            )
        case cause if cause in _TOO_LARGE:
            return PayloadTooLarge(message, kind=f"file_{cause}", metadata={"param": placed.path})
        case cause:
            return BadRequest(message, param=placed.path, kind=f"file_{cause}")


def _body(part: InputFile) -> bytes:
    found = inline_file(part)
    assert found is not None, "a link has no data"
    return found.decode()


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def _guessed_pages(body: bytes) -> int:
    """How many pages a PDF may have, by a look at its bytes."""
    return max(len(re.findall(rb"/Type\s*/Page\b(?!s)", body)), len(body) // 100_000, 1)
