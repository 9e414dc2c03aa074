"""Cites what was found: each link in the text of an answer that leads to a page of the searches gets its annotation.

Text goes through unchanged and at once. A citation follows the text that its link ends in, or where it is the last of
a part, comes before that part closes. It covers the whole link, in code points of its part, and no mark such as `[1]`
is one: links that the model invents stay text.

Theory of operation
-------------------

Places count from the beginning of a part, so it must be known here as in `faces/responses/assemble.py` when one ends:
with text of another slot, with whatever is of another part or item, and with its `Closed`. What belongs to no item, as
`Spent`, ends none; no more does the proof of a thought that was awaited beside the text. What was said before a turn
ends is told before its `Stopped`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

from trunkline.plugins.links import MAX_URL, Link, Links
from trunkline.protocol.items import UrlCitation
from trunkline.stream.deltas import (
    Arguments,
    Began,
    Citation,
    Closed,
    Delta,
    Failed,
    Opaque,
    Phase,
    Reasoning,
    ReasoningSeal,
    ReasoningSummary,
    Refusal,
    Search,
    Slot,
    Spent,
    Stopped,
    Text,
)
from trunkline.upstream.engines.found import Result

_OF_NO_PART: Final = (Arguments, Began, Failed, Phase, Spent)
_SCHEME: Final = re.compile(r"https?://", re.IGNORECASE)
_TRACKED: Final = re.compile(r"utm_\w*=", re.IGNORECASE)


class Citing:
    """Cites, in the deltas of one answer, what was learnt so far."""

    def __init__(self) -> None:
        self._found: dict[str, Result] = {}
        self._links: Links | None = None
        self._slot: Slot = None
        self._awaited: Slot = None
        self._begun: set[tuple[str, Slot]] = set()

    def learn(self, results: Iterable[Result]) -> None:
        """Take what a search found as something that may be cited from here on; of the same page the first counts."""
        for result in results:
            name = normalised(result.url)
            if name:
                self._found.setdefault(name, result)

    def feed(self, batch: list[Delta]) -> list[Delta]:
        """The same deltas with the citations between them."""
        if not self._found:
            return batch
        out: list[Delta] = []
        for delta in batch:
            if type(delta) is Text:
                if delta.text:
                    self._hear(delta, out)
                else:
                    out.append(delta)
            else:
                out += self._ended(delta)
                out.append(delta)
        return out

    def _hear(self, delta: Text, out: list[Delta]) -> None:
        if self._links is None or delta.slot != self._slot:
            out += self._end()
            self._links, self._slot = Links(self._is_found), delta.slot
        out.append(delta)
        out += self._cited(self._links.feed(delta.text))

    def _ended(self, delta: Delta) -> list[Delta]:
        """What is to be told before a delta that is no text."""
        match delta:
            case Stopped():
                return [] if self._links is None else list(self._cited(self._links.end()))
            case Closed(slot=slot):
                return self._end() if slot == self._slot else []
            case Citation(slot=slot):
                return [] if slot == self._slot else self._end()
            case ReasoningSeal(slot=slot, is_awaited=is_awaited):
                is_beside, self._awaited = slot == self._awaited, slot if is_awaited else None
                return [] if is_beside and not is_awaited else self._end()
            case Refusal(text="") | Reasoning(text="") | ReasoningSummary(text=""):
                return []
            case Search(slot=slot, kind=kind):
                return self._end_for(kind, slot)
            case Opaque(slot=slot):
                return self._end_for("opaque", slot)
            case _ if isinstance(delta, _OF_NO_PART):
                return []
            case _:
                self._awaited = None
                return self._end()

    def _end_for(self, kind: str, slot: Slot) -> list[Delta]:
        """End the part for an item of this name; one that was there before the text is over, and ends nothing."""
        is_over = self._links is not None and (kind, slot) in self._begun
        self._begun.add((kind, slot))
        return [] if is_over else self._end()

    def _end(self) -> list[Delta]:
        links, self._links = self._links, None
        return [] if links is None else list(self._cited(links.end()))

    def _is_found(self, url: str) -> bool:
        return normalised(url) in self._found

    def _cited(self, links: Iterable[Link]) -> Iterator[Citation]:
        for link in links:
            result = self._found[normalised(link.url)]
            url = link.url if _SCHEME.match(link.url) else result.url
            title = result.title or urlsplit(result.url).hostname or result.url
            yield Citation(self._slot, UrlCitation(url, title, link.start, link.end))


def normalised(url: str) -> str:
    """An address without what may differ between two that lead to the same page; empty where there is none."""
    scheme = _SCHEME.match(url)
    rest = url[scheme.end() if scheme else 0 :][:MAX_URL].partition("#")[0]
    path, _, query = rest.partition("?")
    host, slash, path = path.partition("/")
    said = "&".join(each for each in query.split("&") if each and not _TRACKED.match(each))
    page = f"{host.lower().removeprefix('www.')}{slash}{unquote(path)}".rstrip("/")
    return f"{page}?{said}" if said and page else page
