"""The text of an HTML page as a reader sees it: headings, lists and tables legible, links by their text.

Scripts, styles, comments and what the page itself hides are left out. Encodings are told by the page or guessed: UTF-8,
else that of Windows.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

from trunkline.upstream.documents.frames import Bounds, Refused, Said
from trunkline.upstream.documents.prose import Prose, clean

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

ENCODINGS: Final = tuple(
    """utf-8 utf-16 cp1252 latin-1 iso8859-2 iso8859-5 iso8859-7 iso8859-9 iso8859-15 cp1250 cp1251 cp1253 cp1254 cp1255
    cp1256 cp1257 koi8-r shift_jis euc_jp iso2022_jp gb18030 gb2312 gbk big5 euc_kr""".split()  # noqa: SIM905
)
"""What pages say they are written in. A codec is loaded at its first use, and then it is too late for others."""


def read(document: bytes, bounds: Bounds) -> Said:
    """Read a page. Raises Refused."""
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError:
        raise Refused("missing") from None
    if document.startswith((b"%PDF-", b"PK\x03\x04")):
        raise Refused("damaged")
    page = _Page(bounds)
    root = LexborHTMLParser(clean(decoded(document))).root
    if root is not None:
        page.walk(root)
    if not page.prose.text:
        raise Refused("empty")
    return Said(page.prose.text, 1, 0)


def decoded(document: bytes) -> str:
    """The characters of a page."""
    for mark, name in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if document.startswith(mark):
            return document.decode(name, "replace")
    if found := _CHARSET.search(document, 0, 2_048):
        told = codec_of(found[1].decode("ascii"))
        # A page that says so in ASCII is not written in UTF-16, whatever it says.
        if told is not None and not told.startswith("utf-16"):
            return document.decode("cp1252" if told == "iso8859-1" else told, "replace")
    try:
        return document.decode("utf-8")
    except UnicodeDecodeError:
        return document.decode("cp1252", "replace")


def codec_of(label: str) -> str | None:
    """The codec of a label; None where it is none of those that are there."""
    try:
        name = codecs.lookup(label).name
    except (LookupError, OSError, ValueError):
        return None
    return name if name in _NAMES else None


class _Page:
    """One page on its way to text. What stands open is in lists, as deep as the page is nested."""

    def __init__(self, bounds: Bounds) -> None:
        self.prose = Prose(bounds.max_text_bytes)
        self._line: list[str] = []
        self._heading = 0
        self._numbers: list[int | None] = []  # of the lists that are open: the last item's; None where they have none
        self._is_item = False
        self._literal = 0
        self._tables = 0
        self._rows: list[list[str]] = []
        self._cell: list[str] | None = None

    def walk(self, root: LexborNode) -> None:
        """Read what stands below a node, in the order of the page; without recursion, for it may be nested deeply."""
        node, above = root, list[tuple["LexborNode", str]]()
        while True:
            inner = None
            if node.is_text_node:
                self._text(node.text_content or "")
            elif node.is_element_node or node is root:
                tag = node.tag or ""
                if self._enter(tag, node):
                    inner = node.first_child
                    if inner is None:
                        self._leave(tag)
                    else:
                        above.append((node, tag))
            following = inner
            while following is None:
                if node is root:
                    self._flush()
                    return
                following = node.next
                if following is None:
                    node, tag = above.pop()
                    self._leave(tag)
            node = following

    def _text(self, text: str) -> None:
        self._line.append(text if self._literal else _SPACE.sub(" ", text))

    def _enter(self, tag: str, node: LexborNode) -> bool:
        """Note that an element begins; says whether what is in it is read."""
        if tag in _UNSEEN or (_HIDES.search(node.attributes.get("style") or "") or "hidden" in node.attributes):
            return False
        if tag == "br":
            self._line.append("\n")
        elif tag == "img":
            self._text(f" [{alt}] " if (alt := (node.attributes.get("alt") or "").strip()) else "")
        elif tag in _BLOCKS:
            self._flush()
            self._begin(tag)
        return True

    def _begin(self, tag: str) -> None:
        match tag:
            case "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
                self._heading = int(tag[1])
            case "pre":
                self._literal += 1
            case "ul" | "ol":
                self._numbers.append(0 if tag == "ol" else None)
            case "li":
                self._is_item = True
                if self._numbers and (number := self._numbers[-1]) is not None:
                    self._numbers[-1] = number + 1
            case "table":
                self._tables += 1
            case "tr" if self._tables == 1:
                self._rows.append([])
            case "td" | "th" if self._tables == 1:
                self._cell = []

    def _leave(self, tag: str) -> None:
        if tag not in _BLOCKS:
            return
        self._flush()
        match tag:
            case "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
                self._heading = 0
            case "pre":
                self._literal -= 1
            case "ul" | "ol":
                self._numbers.pop()
            case "li":
                self._is_item = False
            case "td" | "th" if self._tables == 1 and self._cell is not None:
                if not self._rows:
                    self._rows.append([])
                self._rows[-1].append(" ".join(self._cell))
                self._cell = None
            case "table":
                self._tables -= 1
                if not self._tables:
                    self.prose.add_table(self._rows)
                    self._rows = []

    def _flush(self) -> None:
        """End the block that is open."""
        text = "".join(self._line)
        self._line.clear()
        if not text or text.isspace():
            return
        text = text.strip("\n") if self._literal else _AROUND_BREAK.sub("\n", _SPACES.sub(" ", text)).strip()
        if self._cell is not None:
            self._cell.append(text)
        elif self._heading:
            self.prose.add_heading(self._heading, text)
        elif self._literal:
            self.prose.add(f"```\n{text}\n```")
        elif self._is_item:
            self._is_item = False
            self.prose.add_item(len(self._numbers) - 1, self._numbers[-1] if self._numbers else None, text)
        else:
            self.prose.add(text)


_NAMES: Final = frozenset(codecs.lookup(name).name for name in ENCODINGS)
_CHARSET: Final = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_SPACE: Final = re.compile(r"[ \t\n\r\f\xa0]+")
_SPACES: Final = re.compile(r" {2,}")
_AROUND_BREAK: Final = re.compile(r" *\n *")
_HIDES: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)

_UNSEEN: Final = frozenset(
    "script style template noscript svg math iframe object embed canvas audio video map link meta base".split()  # noqa: SIM905
)
_BLOCKS: Final = frozenset(
    """html head title body p div section article main header footer nav aside address blockquote figure figcaption form
    fieldset legend dl dt dd details summary ul ol li table caption tr td th hr pre h1 h2 h3 h4 h5 h6 option""".split()  # noqa: SIM905
)
