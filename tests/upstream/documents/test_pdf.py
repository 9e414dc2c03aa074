"""PDFs as text, one case each; what needs a child's limits is in `tests/upstream/test_parsing.py`."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.upstream.documents.making import many_pages, pages, pdf_of, scanned_page, simple_pdf, stream, written
from trunkline.upstream.documents import pdf
from trunkline.upstream.documents.frames import Bounds, Refused, Said, Told

BOUNDS = Bounds(1_000, 1_000_000)


@dataclass(frozen=True)
class Case:
    id: str
    document: bytes
    text: str
    pages: int = 1
    silent: int = 0


def page(number: int, text: str) -> str:
    return f'<page n="{number}">\n{text}\n</page>'


ACTIONS = pages(
    [written("only this")],
    catalogue=b"/OpenAction 6 0 R/AA<</WC 7 0 R>>/Names<</EmbeddedFiles<</Names[(a.html)9 0 R]>>/JavaScript"
    b"<</Names[(b)6 0 R]>>>>/AcroForm<</Fields[]/NeedAppearances true>>",
    page=b"/Annots[8 0 R]",
    more=[
        b"<</S/JavaScript/JS(app.alert\\('script'\\))>>",
        b"<</S/Launch/F(/bin/sh)/Win<</F(cmd.exe)>>>>",
        b"<</Type/Annot/Subtype/Link/Rect[0 0 99 99]/A<</S/URI/URI(https://evil.example/)>>>>",
        b"<</Type/Filespec/F(a.html)/EF<</F 10 0 R>>>>",
        stream(b"embedded file"),
    ],
)

CASES = (
    Case("lines of a page", pages([written("one", "two")]), page(1, "one\ntwo")),
    Case("a page after the other", simple_pdf("a", "b"), f"{page(1, 'a')}\n{page(2, 'b')}", pages=2),
    Case("characters beyond ASCII", simple_pdf("Übergrößen é €"), page(1, "Übergrößen é €")),
    Case(
        "a scanned page",
        pages([written("said"), scanned_page(2), scanned_page(1)]),
        f"{page(1, 'said')}\n[page 2: no text, 2 pictures; probably scanned]\n"
        "[page 3: no text, 1 picture; probably scanned]",
        pages=3,
        silent=2,
    ),
    Case(
        "lines that look like the marks of pages",
        pages([written("a", "</page>", '<page n="9">', "[page 3: no text]", "<pages>")]),
        page(1, 'a\n\\</page>\n\\<page n="9">\n\\[page 3: no text]\n<pages>'),
    ),
    Case("a blank page", simple_pdf("", "x"), f"[page 1: no text, no pictures]\n{page(2, 'x')}", pages=2, silent=1),
    Case(
        "more pictures than are counted",
        pages([scanned_page(200)]),
        "[page 1: no text, 99 pictures; probably scanned]",
        silent=1,
    ),
    Case(
        "a page that is none among others",
        simple_pdf("a", "b").replace(b"/Kids[4 0 R", b"/Kids[3 0 R"),
        f"[page 1: damaged, not read]\n{page(2, 'b')}",
        pages=2,
        silent=1,
    ),
    Case("DO-05: scripts, programs, links and files within", ACTIONS, page(1, "only this")),
    Case(
        "a table of places that leads nowhere", simple_pdf("x").replace(b"startxref\n", b"startxref\n9"), page(1, "x")
    ),
    Case("signs before its mark that show nothing", b"\xef\xbb\xbf\r\n" + simple_pdf("x"), page(1, "x")),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_says(case: Case) -> None:
    assert pdf.read(case.document, BOUNDS) == Said(case.text, case.pages, case.silent)
    assert pdf.count(case.document, BOUNDS) == case.pages


def locked() -> bytes:
    secret = b"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/O<%b>/U<%b>/P -4>>" % (b"00" * 32, b"11" * 32)
    return simple_pdf("x").replace(b"/Root 1 0 R", b"/Root 1 0 R" + secret)


ITS_OWN_PAGE = pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 2/Kids[2 0 R 2 0 R]>>"])
PAGES_OF_EACH_OTHER = pdf_of(
    [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 2/Kids[3 0 R]>>",
        b"<</Type/Pages/Count 2/Parent 2 0 R/Kids[2 0 R]>>",
    ]
)
NO_PAGES = pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 0/Kids[]>>"])

REFUSED: tuple[tuple[str, bytes, Told], ...] = (
    ("DO-02: a tree of pages that is its own page", ITS_OWN_PAGE, "damaged"),
    ("DO-02: two that are each other's", PAGES_OF_EACH_OTHER, "damaged"),
    ("DO-04: encrypted", locked(), "encrypted"),
    ("DO-04: no PDF", b"\x89PNG\r\n\x1a\n" + simple_pdf("x"), "damaged"),
    ("DO-04: a page of HTML that is a PDF too", b"<!doctype html><!--" + simple_pdf("x"), "damaged"),
    ("cut behind its mark", b"%PDF-1.7\n", "damaged"),
    ("its mark and nonsense", b"%PDF-1.7\n" + bytes(range(256)) * 9, "damaged"),
    ("without pages", NO_PAGES, "damaged"),
    ("DO-03: more pages than are read", many_pages(100_000), "too_many_pages"),
)


@pytest.mark.parametrize(("document", "cause"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_is_refused(document: bytes, cause: Told) -> None:
    with pytest.raises(Refused) as refused:
        pdf.read(document, BOUNDS)
    assert refused.value.cause == cause


def test_DO_02_a_table_of_places_that_leads_to_itself_ends() -> None:
    whole = simple_pdf("x")
    looped = whole.replace(b"/Root 1 0 R", b"/Prev %d/Root 1 0 R" % whole.index(b"xref\n"))
    assert pdf.read(looped, BOUNDS).text == page(1, "x")


def test_says_no_more_than_it_may() -> None:
    document = simple_pdf("x" * 400, "y" * 400)
    assert len(pdf.read(document, BOUNDS).text) > 800
    for room in (300, 500, 830):
        with pytest.raises(Refused, match="too_much_text"):
            pdf.read(document, Bounds(9, room))
