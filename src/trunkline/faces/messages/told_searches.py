"""The searches of an answer, for a client that offered one: which are told when, with which pages.

Claude Code's own search is a request of which it reads these blocks alone (2.1.197, seen 2026-11-28). What only opens a
page, or looks through files, has no words here. When a block may begin is `telling.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from trunkline.faces.messages.told_blocks import INPUT, Blocks, new_search, search_failure, search_results
from trunkline.protocol.items import Annotation, UrlCitation
from trunkline.protocol.request import Request
from trunkline.protocol.tools import SearchTool
from trunkline.stream.deltas import Found, Search, Slot


class ToldSearches:
    """The searches heard, by slot, until they are over, and the pages cited meanwhile, each once."""

    __slots__ = ("_cited", "_has_found", "_open", "_over", "_pageless")

    def __init__(self) -> None:
        self._open: dict[Slot, Search] = {}
        self._over: set[Slot] = set()
        self._pageless: list[Search] = []
        self._cited: dict[str, Found] = {}
        self._has_found = False

    def is_told(self, said: Search) -> bool:
        """Whether a search is one of the web, and not over yet."""
        return said.kind == "web" and said.slot not in self._over

    def hear(self, said: Search) -> Search | None:
        """Take what is said of a search; give all that is known of one that is to be told now."""
        before = self._open.pop(said.slot, said)
        known = replace(
            said,
            queries=said.queries or before.queries,
            query=said.query or before.query,
            sources=said.sources or before.sources,
            results=said.results or before.results,
            visit=said.visit or before.visit,
        )
        if known.status not in ("completed", "failed"):
            self._open[said.slot] = known
            return None
        self._over.add(said.slot)
        if known.visit is not None:
            return None
        if known.status == "failed" or known.results or known.sources:
            return known
        self._pageless.append(known)
        return None

    def note(self, annotation: Annotation) -> None:
        """Note a page that was cited."""
        if isinstance(annotation, UrlCitation):
            self._cited.setdefault(annotation.url, Found(annotation.url, annotation.title))

    def tell(self, said: Search, blocks: Blocks, new_id: str) -> None:
        """Tell a search that is over."""
        self._has_found = self._has_found or said.status != "failed"
        pages = said.results or tuple(map(Found, said.sources))
        _tell(said, pages, blocks, new_id)

    def end(self, blocks: Blocks, new_id: Callable[[], str], *, is_cut: bool) -> None:
        """Tell the searches that waited for the end, and those of which it was never said, where it is one."""
        left = [*self._pageless, *(() if is_cut else (said for said in self._open.values() if said.visit is None))]
        pages = () if self._has_found else tuple(self._cited.values())
        if pages and not left:
            left = [Search(None, "web", "completed")]
        for said in left[:-1]:
            _tell(said, (), blocks, new_id())
        if left:
            _tell(left[-1], left[-1].results or pages, blocks, new_id())


def searches_of(request: Request) -> ToldSearches | None:
    """What tells the searches of an answer to a request; None where none was offered."""
    return ToldSearches() if any(isinstance(tool, SearchTool) for tool in request.tools) else None


def _tell(said: Search, pages: Sequence[Found], blocks: Blocks, new_id: str) -> None:
    """Tell a search as a call and its result. One of Anthropic's has its id for a slot, by which it takes it back."""
    search_id = said.slot if isinstance(said.slot, str) and said.slot.startswith("srvtoolu_") else new_id
    query = said.query or ", ".join(said.queries)
    blocks.begin(new_search(search_id), INPUT)
    blocks.add(msgspec.json.encode({"query": query}).decode())
    blocks.finish()
    blocks.begin(search_failure(search_id) if said.status == "failed" else search_results(search_id, pages))
    blocks.finish()
