"""The life of a child: warmed up and confined, then one document is read, one answer written, and it ends.

It is started as `python -I -c START ROOT …`, in an empty environment, with nothing open but a document's way in and an
answer's way out. Its files know nothing of the gateway but each other: what is loaded here is time and memory of each
document, and lies before whatever one can do.

It is warmed up on documents of its own, since neither a library nor a codec can be loaded once no file can be opened.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from io import BytesIO
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile

from trunkline.upstream.documents import docx, html, pdf
from trunkline.upstream.documents.confining import confine
from trunkline.upstream.documents.frames import (
    ORDER_BYTES,
    Bounds,
    Job,
    Kind,
    Refused,
    Said,
    Told,
    answer_of,
    read_order,
)


def main() -> None:
    """Read the one document that comes in. Arguments: ROOT, bytes of memory, seconds of CPU, most pages, most text."""
    memory_bytes, cpu_s, max_pages, max_text_bytes = map(int, sys.argv[2:6])
    os.nice(_NICE)
    if not warm_up():
        os._exit(1)
    confine(memory_bytes, cpu_s)
    order = sys.stdin.buffer.read(ORDER_BYTES)
    if len(order) < ORDER_BYTES:
        os._exit(0)  # the gateway is gone, or has no use for it
    kind, job, size = read_order(order)
    document = sys.stdin.buffer.read(size)
    if len(document) == size:
        told = answer_of(answered(kind, job, document, Bounds(max_pages, max_text_bytes)))
        while told:
            told = told[os.write(1, told) :]
    os._exit(0)


def answered(kind: Kind, job: Job, document: bytes, bounds: Bounds) -> Said | Told:
    """What a document says, or why it is not read."""
    try:
        if job == "count":
            return Said("", pdf.count(document, bounds), 0)
        return _READERS[kind](document, bounds)
    except Refused as refused:
        return refused.cause
    except MemoryError:
        os._exit(1)
    except Exception:
        # Libraries that are given nonsense raise whatever comes to hand.
        return "damaged"


def warm_up() -> bool:
    """Read a page of each kind, whose library is there; says whether that worked."""
    bounds = Bounds(1, 10_000)
    documents: tuple[tuple[Kind, bytes], ...] = (("pdf", _PDF), ("html", _HTML), ("docx", _docx()))
    told = [answered(kind, "parse", document, bounds) for kind, document in documents]
    return all(isinstance(each, Said) or each == "missing" for each in told)


def _docx() -> bytes:
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", _DOCUMENT)
    return packed.getvalue()


_NICE: Final = 5
"""The gateway serves others meanwhile: where both want to run, it goes first."""

_READERS: Final[dict[Kind, Callable[[bytes, Bounds], Said]]] = {"pdf": pdf.read, "docx": docx.read, "html": html.read}

_DOCUMENT: Final = (
    '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    "<w:body><w:p><w:r><w:t>warm</w:t></w:r></w:p></w:body></w:document>"
)
_HTML: Final = b"<!doctype html><meta charset=koi8-r><title>warm</title><table><tr><td>1<td>2</table><ul><li>warm</ul>"
_PDF: Final = b"""%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Resources<</Font<</F 5 0 R>>>>/Contents 4 0 R>> endobj
4 0 obj <</Length 34>> stream
BT /F 9 Tf 9 9 Td (warm \\344) Tj ET
endstream endobj
5 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>> endobj
trailer <</Root 1 0 R>>
%%EOF
"""
