"""The text of a PDF, page by page, by pdfium.

Nothing in it is run, followed or unpacked for its own sake: no forms, no scripts, no links, no files within.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, Protocol

from trunkline.upstream.documents.frames import Bounds, Refused, Said
from trunkline.upstream.documents.prose import clean, paged

MAX_PICTURES: Final = 99
"""So many pictures of a page without text are counted; a page can have a million."""


class PageText(Protocol):
    """The characters of a page, as the library tells them."""

    def count_chars(self) -> int: ...

    def get_text_range(self) -> str: ...

    def close(self) -> None: ...


class Page(Protocol):
    """A page, as the library tells it."""

    def get_textpage(self) -> PageText: ...

    def get_objects(self, filter: Sequence[int], max_depth: int) -> Iterator[object]: ...

    def close(self) -> None: ...


class Pdf(Protocol):
    """An open document, as the library tells it."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Page: ...


def read(document: bytes, bounds: Bounds) -> Said:
    """Read a PDF. Raises Refused."""
    pdf = _opened(document, bounds)
    lines: list[str] = []
    room, silent, damaged = bounds.max_text_bytes, 0, 0
    for number in range(1, len(pdf) + 1):
        text = _page_text(pdf, number, room)
        if text is None:
            silent += 1
            pictures = _pictures(pdf, number)
            damaged += pictures is None
            text = _silence(number, pictures)
        else:
            text = paged(number, text)
        room -= len(text.encode("utf-8", "replace")) + 1
        if room < 0:
            raise Refused("too_much_text")
        lines.append(text)
    if damaged == len(pdf):
        raise Refused("damaged")
    return Said("\n".join(lines), len(pdf), silent)


def count(document: bytes, bounds: Bounds) -> int:
    """Count the pages of a PDF. Raises Refused."""
    return len(_opened(document, bounds))


def _opened(document: bytes, bounds: Bounds) -> Pdf:
    try:
        from pypdfium2 import PdfDocument, PdfiumError
        from pypdfium2.raw import FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY
    except ImportError:
        raise Refused("missing") from None
    # pdfium looks for the mark in the first kilobyte; what begins as something else may be that for others.
    if not document[:64].lstrip(b"\xef\xbb\xbf\0\t\n\f\r ").startswith(b"%PDF-"):
        raise Refused("damaged")
    try:
        pdf: Pdf = PdfDocument(document)
        pages = len(pdf)
    except PdfiumError as error:
        is_locked = error.err_code in (FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY)
        raise Refused("encrypted" if is_locked else "damaged") from None
    if not pages:
        raise Refused("empty")
    if pages > bounds.max_pages:
        raise Refused("too_many_pages")
    return pdf


def _page_text(pdf: Pdf, number: int, room: int) -> str | None:
    """The text of a page; None where it has none, or cannot be read."""
    from pypdfium2 import PdfiumError

    try:
        page = pdf[number - 1]
        try:
            told = page.get_textpage()
            try:
                if told.count_chars() > room:
                    raise Refused("too_much_text")
                text = told.get_text_range()
            finally:
                told.close()
        finally:
            page.close()
    except PdfiumError:
        return None
    return _TRAILING.sub("\n", clean(_HYPHEN.sub("", text))).strip() or None


def _pictures(pdf: Pdf, number: int) -> int | None:
    """How many pictures a page has; None where it cannot be read."""
    from pypdfium2 import PdfiumError
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    try:
        page = pdf[number - 1]
        try:
            found = page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE], max_depth=3)
            return sum(1 for _ in islice(found, MAX_PICTURES))
        finally:
            page.close()
    except PdfiumError:
        return None


def _silence(number: int, pictures: int | None) -> str:
    """What is said in the place of a page without text."""
    if pictures is None:
        return f"[page {number}: damaged, not read]"
    if not pictures:
        return f"[page {number}: no text, no pictures]"
    many = "1 picture" if pictures == 1 else f"{pictures} pictures"
    return f"[page {number}: no text, {many}; probably scanned]"


_HYPHEN: Final = re.compile("[\x02\ufffe](?:\r?\n)?")
"""What pdfium writes for a hyphen that only parts a word at the end of a line."""

_TRAILING: Final = re.compile(r"[ \t]+\n")
