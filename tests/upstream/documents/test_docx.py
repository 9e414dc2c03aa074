"""Word documents as text, one case each, and those that are made to do harm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile

import pytest

from tests.upstream.documents.making import WORD, docx_of, paragraph, part, table
from trunkline.upstream.documents import docx
from trunkline.upstream.documents.child import answered
from trunkline.upstream.documents.frames import Bounds, Said, Told

BOUNDS = Bounds(1, 100_000)

STYLES = part(
    "styles",
    '<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>'
    '<w:style w:styleId="Titel"><w:name w:val="Title"/></w:style>'
    '<w:style w:styleId="Punkte"><w:name w:val="List Bullet"/><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr>'
    "</w:style>",
)
NUMBERING = part(
    "numbering",
    '<w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>'
    '<w:abstractNum w:abstractNumId="8"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl>'
    '<w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="8"/></w:num>',
)


def item(text: str, list_id: int, level: int = 0) -> str:
    return paragraph(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{list_id}"/></w:numPr>')


def run(content: str) -> str:
    return f"<w:p><w:r>{content}</w:r></w:p>"


@dataclass(frozen=True)
class Case:
    id: str
    body: str
    text: str
    members: Mapping[str, str] = field(default_factory=dict)


STYLED = {"word/styles.xml": STYLES, "word/numbering.xml": NUMBERING}

CASES = (
    Case("paragraphs", paragraph("one") + paragraph("") + paragraph("two"), "one\n\ntwo"),
    Case("runs", "<w:p><w:r><w:t>a </w:t></w:r><w:r><w:t>b</w:t></w:r></w:p>", "a b"),
    Case("breaks, tabs, hyphens", run("<w:t>a</w:t><w:br/><w:t>b</w:t><w:tab/><w:noBreakHyphen/>"), "a\nb\t-"),
    Case(
        "where tabs stop",
        paragraph("x", '<w:tabs><w:tab w:val="left"/></w:tabs>'),
        "x",
    ),
    Case("headings", paragraph("T", '<w:pStyle w:val="Titel"/>') + paragraph("x"), "# T\n\nx", STYLED),
    Case("headings of another language", paragraph("H", '<w:pStyle w:val="berschrift2"/>'), "## H", STYLED),
    Case("headings by their rank", paragraph("H", '<w:outlineLvl w:val="2"/>'), "### H"),
    Case("lists", item("a", 1) + item("b", 1) + paragraph("c"), "- a\n- b\n\nc", STYLED),
    Case("lists by their style", paragraph("a", '<w:pStyle w:val="Punkte"/>'), "- a", STYLED),
    Case(
        "lists with numbers",
        item("a", 2) + item("b", 2, 1) + item("c", 2, 1) + item("d", 2) + item("e", 2, 1),
        "1. a\n  1. b\n  2. c\n2. d\n  1. e",
        STYLED,
    ),
    Case("lists of which nothing is known", item("a", 99) + item("b", 99, 77), "- a\n- b"),
    Case("no list", paragraph("a", '<w:numPr><w:numId w:val="0"/></w:numPr>'), "a"),
    Case("tables", table([["a", "b|c"], ["1", "2"]]), "| a | b\\|c |\n| --- | --- |\n| 1 | 2 |"),
    Case("tables of one column", table([["a"], ["b"]]), "a\n\nb"),
    Case(
        "tables within tables",
        f"<w:tbl><w:tr><w:tc>{paragraph('a')}</w:tc><w:tc>{table([['b', 'c']])}</w:tc></w:tr></w:tbl>",
        "| a | b c |\n| --- | --- |",
    ),
    Case("what was taken away", f"<w:del>{run('<w:t>gone</w:t>')}</w:del>" + paragraph("here"), "here"),
    Case("what was put in", f"<w:ins>{run('<w:t>new</w:t>')}</w:ins>", "new"),
    Case("codes of fields", run("<w:instrText>HYPERLINK evil</w:instrText><w:t>link</w:t>"), "link"),
    Case(
        "text boxes, once",
        '<w:p><w:r><mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        f"<mc:Choice>{paragraph('box')}</mc:Choice><mc:Fallback>{paragraph('box')}</mc:Fallback></mc:AlternateContent>"
        "<w:t>around</w:t></w:r></w:p>",
        "box\n\naround",
    ),
    Case(
        "notes",
        run('<w:t>said</w:t><w:footnoteReference w:id="2"/>'),
        "said[^2]\n\n[^2]: a note",
        {
            "word/footnotes.xml": part(
                "footnotes",
                f'<w:footnote w:type="separator" w:id="0">{paragraph("")}</w:footnote>'
                f'<w:footnote w:id="2">{paragraph("a note")}</w:footnote>',
            )
        },
    ),
    Case("letters and entities", paragraph("a &amp; b &#228; \u202f😀"), "a & b ä \u202f😀"),
    Case("words of another vocabulary", '<x:p xmlns:x="urn:x"><x:t>no</x:t></x:p>' + paragraph("yes"), "yes"),
    Case("names that lead elsewhere", paragraph("x"), "x", {"../../etc/passwd": "no", "/abs": "no", "a\\b": "no"}),
    Case("archives within", paragraph("x"), "x", {"word/embeddings/x.zip": "PK\x03\x04"}),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_says(case: Case) -> None:
    assert docx.read(docx_of(case.body, case.members), BOUNDS) == Said(case.text, 1, 0)


def test_is_found_where_other_programs_put_it() -> None:
    assert docx.read(docx_of(paragraph("x"), main="word/document2.xml"), BOUNDS).text == "x"


def test_of_the_newer_vocabulary_is_the_same() -> None:
    newer = part("document", paragraph("x")).replace(WORD, "http://purl.oclc.org/ooxml/wordprocessingml/main")
    assert docx.read(archive_of({"word/document.xml": newer}), BOUNDS).text == "x"


def archive_of(members: Mapping[str, str | bytes], method: int = ZIP_DEFLATED) -> bytes:
    packed = BytesIO()
    with ZipFile(packed, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def flagged(document: bytes) -> bytes:
    """An archive whose members say that they are encrypted."""
    told = bytearray(document)
    told[6] |= 1
    told[told.index(b"PK\x01\x02") + 8] |= 1
    return bytes(told)


ENTITIES = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 9))
    + "]>"
)
FILE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
BODY = f'<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>%s</w:t></w:r></w:p></w:body></w:document>'
SPACES = b"<x>" + b" " * (docx.MAX_MEMBER_BYTES + 1)
WHOLE = docx_of(paragraph("x"))

REFUSED: tuple[tuple[str, bytes, Told], ...] = (
    ("no archive", b"%PDF-1.7", "damaged"),
    ("a mark and nothing", b"PK\x03\x04", "damaged"),
    ("cut", WHOLE[:-30], "damaged"),
    ("another archive", archive_of({"xl/workbook.xml": "<x/>"}), "damaged"),
    ("nothing said", docx_of(paragraph(" ")), "empty"),
    ("no XML", archive_of({"word/document.xml": "text"}), "damaged"),
    ("an unpacked text that is another", WHOLE.replace(WHOLE[60:70], bytes(10), 1), "damaged"),
    ("entities of entities", archive_of({"word/document.xml": ENTITIES + BODY % "&a8;"}), "damaged"),
    ("a file by its name", archive_of({"word/document.xml": FILE + BODY % "&f;"}), "damaged"),
    ("an entity of nowhere", archive_of({"word/document.xml": BODY % "&nbsp;"}), "damaged"),
    ("a bomb", archive_of({"word/document.xml": SPACES}), "too_much_text"),
    ("a bomb beside the text", docx_of(paragraph("x"), {"word/styles.xml": SPACES}), "too_much_text"),
    ("too much said", docx_of(paragraph("x" * 99_999) + paragraph("y")), "too_much_text"),
    ("another way of packing", archive_of({"word/document.xml": BODY % "x"}, ZIP_BZIP2), "damaged"),
    ("members that are encrypted", flagged(WHOLE), "encrypted"),
    ("encrypted as Word does", docx._COMPOUND + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
    ("of Word before 2007", docx._COMPOUND + bytes(999), "damaged"),
    ("nested a hundred thousand times", archive_of({"word/document.xml": "<a>" * 100_000}), "damaged"),
    ("more members than one has", archive_of({f"{n}": "" for n in range(docx.MAX_MEMBERS + 1)}), "damaged"),
)


@pytest.mark.parametrize(("document", "cause"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_is_refused(document: bytes, cause: Told) -> None:
    assert answered("docx", "parse", document, BOUNDS) == cause
