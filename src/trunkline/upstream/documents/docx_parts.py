"""What stands beside the text of a Word document: which styles are headings or lists, which lists have numbers."""

from __future__ import annotations

import re
from typing import Final

from trunkline.upstream.documents.frames import Refused


class Part:
    """What an XML parser tells of one member of the archive. No member has a document type, which is how XML names
    files and grows to gigabytes."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Note that an element begins."""

    def end(self, tag: str) -> None:
        """Note that an element ends."""

    def data(self, text: str) -> None:
        """Take a piece of text."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse a document type."""
        raise Refused("damaged")

    def close(self) -> None:
        """Note the end."""


class Styles(Part):
    """The styles of a document: of which level the headings are, of which list the items."""

    def __init__(self) -> None:
        self.headings: dict[str, int] = {}
        self.lists: dict[str, str] = {}
        self._id = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        told = value(attributes, "val")
        match named(tag):
            case "style":
                self._id = value(attributes, "styleId")
            case "name" if found := _HEADING.fullmatch(told):
                self.headings[self._id] = int(found[1] or 1)
            case "numId" if self._id:
                self.lists[self._id] = told


class Numbering(Part):
    """The lists of a document."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}  # list → the kind of list that it is one of
        self._formats: dict[tuple[str, str], str] = {}  # kind, level → how its items are marked
        self._id = ""
        self._kind = ""
        self._level = ""

    def is_numbered(self, list_id: str, depth: int) -> bool:
        """Whether the items of a list at a depth have numbers."""
        told = self._formats.get((self._kinds.get(list_id, ""), str(depth)), "bullet")
        return told not in ("bullet", "none")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        match named(tag):
            case "abstractNum":
                self._kind = value(attributes, "abstractNumId")
            case "lvl":
                self._level = value(attributes, "ilvl")
            case "numFmt":
                self._formats[self._kind, self._level] = value(attributes, "val")
            case "num":
                self._id = value(attributes, "numId")
            case "abstractNumId":
                self._kinds[self._id] = value(attributes, "val")


def named(tag: str) -> str:
    """The name of an element of Word's own or of how it says things twice; empty for all others."""
    space, _, name = tag.rpartition("}")
    return name if space in _SPACES else ""


def value(attributes: dict[str, str], name: str) -> str:
    """An attribute of Word's own, by its bare name; empty where there is none."""
    return next((told for key, told in attributes.items() if key.endswith("}" + name)), "")


_HEADING: Final = re.compile(r"(?:heading ([1-9])|title)", re.IGNORECASE)
_SPACES: Final = frozenset(
    {
        "{http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "{http://purl.oclc.org/ooxml/wordprocessingml/main",
        "{http://schemas.openxmlformats.org/markup-compatibility/2006",
    }
)
