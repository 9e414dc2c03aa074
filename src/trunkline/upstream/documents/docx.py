"""The text of a Word document: its paragraphs, headings, lists, tables and notes.

Read straight from the archive's few members that have them, each as it is unpacked. Nothing is written out, no name in
the archive is used as a path, and what is packed within it is left as it is.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Final
from xml.etree.ElementTree import XMLParser
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from trunkline.upstream.documents.docx_parts import Numbering, Part, Styles, named, value
from trunkline.upstream.documents.frames import Bounds, Refused, Said
from trunkline.upstream.documents.prose import Prose, clean

MAX_MEMBER_BYTES: Final = 64 * 10**6
"""Of one member, unpacked: a text of a thousand pages has a tenth of it."""

MAX_MEMBERS: Final = 10_000
_PIECE_BYTES: Final = 65_536


def read(document: bytes, bounds: Bounds) -> Said:
    """Read a document. Raises Refused; and whatever the archive or its XML is broken by."""
    if document.startswith(_COMPOUND):
        raise Refused("encrypted" if "EncryptedPackage".encode("utf-16-le") in document else "damaged")
    if not document.startswith(b"PK\x03\x04"):
        raise Refused("damaged")
    try:
        archive = ZipFile(BytesIO(document))
    except BadZipFile:
        raise Refused("damaged") from None
    names = set(archive.namelist())
    if len(names) > MAX_MEMBERS:
        raise Refused("damaged")
    main = next((name for name in sorted(names) if _MAIN.fullmatch(name)), None)
    if main is None:
        raise Refused("damaged")
    styles, numbering, prose = Styles(), Numbering(), Prose(bounds.max_text_bytes)
    if "word/styles.xml" in names:
        _read_part(archive, "word/styles.xml", styles)
    if "word/numbering.xml" in names:
        _read_part(archive, "word/numbering.xml", numbering)
    _read_part(archive, main, _Body(prose, styles, numbering))
    for name in ("word/footnotes.xml", "word/endnotes.xml"):
        if name in names:
            _read_part(archive, name, _Body(prose, styles, numbering))
    if not prose.text:
        raise Refused("empty")
    return Said(prose.text, 1, 0)


def _read_part(archive: ZipFile, name: str, target: Part) -> None:
    info = archive.getinfo(name)
    if info.flag_bits & 1:
        raise Refused("encrypted")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise Refused("damaged")
    parser, room = XMLParser(target=target), MAX_MEMBER_BYTES
    with archive.open(info) as member:
        while piece := member.read(_PIECE_BYTES):
            room -= len(piece)
            if room < 0:
                raise Refused("too_much_text")
            parser.feed(piece)
    parser.close()


class _Paragraph:
    """A paragraph that is open. One can stand in another, in a text box."""

    __slots__ = ("depth", "heading", "list_id", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.heading = 0
        self.list_id = ""
        self.depth = 0


class _Body(Part):
    """What a document or its notes say."""

    def __init__(self, prose: Prose, styles: Styles, numbering: Numbering) -> None:
        self._prose = prose
        self._styles = styles
        self._numbering = numbering
        self._counts: dict[tuple[str, int], int] = {}
        self._open: list[_Paragraph] = []
        self._is_text = False
        self._skipped = 0
        self._tables = 0
        self._rows: list[list[str]] = []
        self._note = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = named(tag)
        if self._skipped or name in _SKIPPED:
            self._skipped += 1
        elif name == "t":
            self._is_text = True
        elif name == "p":
            self._open.append(_Paragraph())
        elif name in _LAYOUT:
            self._begin(name)
        elif name in ("footnote", "endnote"):
            # Those of another type are the lines that part notes from the text.
            self._note = f"[^{value(attributes, 'id')}]: " if not value(attributes, "type") else ""
        elif self._open:
            self._qualify(self._open[-1], name, attributes)

    def end(self, tag: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        name = named(tag)
        if name == "t":
            self._is_text = False
        elif name == "p" and self._open:
            self._add(self._open.pop())
        elif name == "tbl" and self._tables:
            self._tables -= 1
            if not self._tables:
                self._prose.add_table(self._rows)
                self._rows = []

    def data(self, text: str) -> None:
        if self._is_text and not self._skipped and self._open:
            self._open[-1].pieces.append(text)

    def _begin(self, name: str) -> None:
        """Note that a part of a table begins; one within another is text of the cell that it stands in."""
        if name == "tbl":
            self._tables += 1
        elif self._tables == 1 and name == "tr":
            self._rows.append([])
        elif self._tables == 1 and self._rows:
            self._rows[-1].append("")

    def _qualify(self, paragraph: _Paragraph, name: str, attributes: dict[str, str]) -> None:
        told = value(attributes, "val")
        match name:
            case "tab":
                paragraph.pieces.append("\t")
            case "br" | "cr":
                paragraph.pieces.append("\n")
            case "noBreakHyphen":
                paragraph.pieces.append("-")
            case "footnoteReference" | "endnoteReference":
                paragraph.pieces.append(f"[^{value(attributes, 'id')}]")
            case "pStyle":
                paragraph.heading = self._styles.headings.get(told, 0)
                paragraph.list_id = paragraph.list_id or self._styles.lists.get(told, "")
            case "outlineLvl":
                paragraph.heading = int(told) + 1 if told in _OUTLINED else 0
            case "numId":
                paragraph.list_id = "" if told == "0" else told
            case "ilvl":
                paragraph.depth = int(told) if told in _OUTLINED else 0

    def _add(self, paragraph: _Paragraph) -> None:
        text = clean("".join(paragraph.pieces)).strip()
        if not text:
            return
        if self._note:
            text, self._note = self._note + text, ""
        if self._tables and self._rows and self._rows[-1]:
            row = self._rows[-1]
            row[-1] = f"{row[-1]} {text}" if row[-1] else text
        elif paragraph.heading:
            self._prose.add_heading(paragraph.heading, text)
        elif paragraph.list_id:
            self._prose.add_item(paragraph.depth, self._number(paragraph), text)
        else:
            self._prose.add(text)

    def _number(self, paragraph: _Paragraph) -> int | None:
        """The number of an item; None where its list has none."""
        at, depth = paragraph.list_id, paragraph.depth
        for deeper in range(depth + 1, 9):
            self._counts.pop((at, deeper), None)
        if not self._numbering.is_numbered(at, depth):
            return None
        self._counts[at, depth] = self._counts.get((at, depth), 0) + 1
        return self._counts[at, depth]


_COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How files of Word before 2007 begin, and all that are encrypted."""

_MAIN: Final = re.compile(r"word/document\d{0,3}\.xml")
_SKIPPED: Final = frozenset({"tabs", "Fallback", "del", "moveFrom"})
"""Where tabs stop, what is told twice for old programs, and what was taken away."""

_LAYOUT: Final = frozenset({"tbl", "tr", "tc"})
_OUTLINED: Final = frozenset("012345678")
