"""Documents for tests, made on the spot: PDFs object by object, Word documents member by member, and their bombs."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def pdf_of(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """A PDF with these objects, numbered from 1, the first of them its catalogue."""
    told, places = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(told))
        told += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(told)
    told += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    told += b"".join(b"%010d 00000 n \n" % place for place in places)
    told += b"trailer <</Size %d/Root 1 0 R%b>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(told)


def stream(content: bytes, *, filters: int = 0, more: bytes = b"") -> bytes:
    """A stream, packed so many times."""
    names = b"".join([b"/FlateDecode"] * filters)
    for _ in range(filters):
        content = zlib.compress(content, 9)
    said = b"/Filter[%b]" % names if filters else b""
    return b"<</Length %d%b%b>>stream\n%b\nendstream" % (len(content), said, more, content)


def pages(contents: Sequence[bytes], *, catalogue: bytes = b"", page: bytes = b"", more: Sequence[bytes] = ()) -> bytes:
    """A PDF of pages, each an object of its content; `more` objects come last, the first of them is number 4 + 2n."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * at) for at in range(len(contents)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R%b>>" % catalogue,
        b"<</Type/Pages/Count %d/Kids[%b]>>" % (len(contents), kids),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for at, content in enumerate(contents):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 3 0 R>>>>/Contents %d 0 R%b>>"
            % (5 + 2 * at, page)
        )
        objects.append(content)
    return pdf_of([*objects, *more])


def written(*lines: str) -> bytes:
    """A page's content with lines of text."""
    said = b" ".join(
        b"1 0 0 1 40 %d Tm (%b) Tj" % (800 - 12 * at, line.encode("cp1252")) for at, line in enumerate(lines)
    )
    return stream(b"BT /F 9 Tf %b ET" % said)


def simple_pdf(*texts: str) -> bytes:
    """A PDF with a page for each text; one without a text is blank."""
    return pages([written(text) if text else stream(b"") for text in texts])


def scanned_page(pictures: int) -> bytes:
    """The content of a page that has nothing but pictures."""
    return stream(b"q 9 0 0 9 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \xff EI Q " * pictures)


def many_pages(count: int) -> bytes:
    """A PDF whose tree says that it has so many pages, all of them the same."""
    kids = b"3 0 R " * min(count, 1_000)
    inner = b"4 0 R " * (count // 1_000)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%b]>>" % (count, inner),
        b"<</Type/Page/Parent 4 0 R/MediaBox[0 0 9 9]>>",
        b"<</Type/Pages/Parent 2 0 R/Count 1000/Kids[%b]>>" % kids,
    ]
    return pdf_of(objects)


def bomb(size: int, filters: int, *, unit: bytes = b" ") -> bytes:
    """A page whose content is so large once it is unpacked, from so many layers; made of one piece, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    piece = packer.compress(unit * (1_000_000 // len(unit))) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = b"\x78\xda" + piece * (size // 1_000_000) + b"\x03\0" + bytes(4)
    for _ in range(filters - 1):
        packed = zlib.compress(packed, 9)
    names = b"/FlateDecode" * filters
    return pages([b"<</Length %d/Filter[%b]>>stream\n%b\nendstream" % (len(packed), names, packed)])


def docx_of(body: str, members: Mapping[str, bytes | str] | None = None, *, main: str = "word/document.xml") -> bytes:
    """A Word document with a body, and further members of the archive."""
    told = BytesIO()
    with ZipFile(told, "w", ZIP_DEFLATED) as archive:
        archive.writestr(main, part("document", f"<w:body>{body}</w:body>"))
        for name, content in (members or {}).items():
            archive.writestr(name, content)
    return told.getvalue()


def part(name: str, content: str) -> str:
    return f'<?xml version="1.0"?><w:{name} xmlns:w="{WORD}">{content}</w:{name}>'


def paragraph(text: str, properties: str = "") -> str:
    said = f"<w:pPr>{properties}</w:pPr>" if properties else ""
    return f"<w:p>{said}<w:r><w:t>{text}</w:t></w:r></w:p>"


def table(rows: Iterable[Iterable[str]]) -> str:
    cells = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in cells) + "</w:tbl>"
