"""The items of tools that the provider runs, while they are open: searches, pictures, and what is not ours to know.

When they open and close is `assemble.py`'s.
"""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from trunkline.faces.responses.numbering import Tell
from trunkline.faces.responses.pieces import Place
from trunkline.protocol.events import ImageCompleted, ImageGenerating, ImagePartial
from trunkline.protocol.items import (
    FileSearchCall,
    ImageGenerationCall,
    ItemStatus,
    OutputItem,
    SearchAction,
    SearchStatus,
    WebSearchCall,
    WebSource,
)
from trunkline.protocol.opaque import ServerItem
from trunkline.stream.deltas import Image, Search, Slot


class SearchItem:
    """`said` is the search with all that was heard of it; its sources are told to those who asked for them."""

    __slots__ = ("place", "said", "slot", "tells_sources")

    def __init__(self, place: Place, said: Search, *, tells_sources: bool) -> None:
        self.place = place
        self.slot = said.slot
        self.said = said
        self.tells_sources = tells_sources

    def hear(self, said: Search) -> None:
        """Go on; what is not said again still holds."""
        before = self.said
        self.said = replace(
            said,
            queries=said.queries or before.queries,
            query=said.query or before.query,
            sources=said.sources or before.sources,
            visit=said.visit or before.visit,
        )

    def begun(self) -> OutputItem:
        return self._told("in_progress")

    def finished(self, is_cut: bool) -> OutputItem:
        if self.said.status == "failed" or (is_cut and self.said.status != "completed"):
            return self._told("failed")
        return self._told("completed")

    def _told(self, status: SearchStatus) -> OutputItem:
        if self.said.kind == "web":
            return WebSearchCall(id=self.place.id, status=status, action=self.said.visit or self._action())
        return FileSearchCall(id=self.place.id, queries=self.said.queries, status=status)

    def _action(self) -> SearchAction:
        said = self.said
        queries = said.queries or ((said.query,) if said.query else ())
        sources = tuple(map(WebSource, said.sources)) if self.tells_sources and said.sources else UNSET
        return SearchAction(said.query or (queries[0] if queries else ""), queries, sources)


class ImageItem:
    """`result` is the final picture as a data URL; without one the item failed."""

    __slots__ = ("is_drawing", "place", "result", "sketches", "slot")

    def __init__(self, place: Place, slot: Slot) -> None:
        self.place = place
        self.slot = slot
        self.is_drawing = False
        self.sketches = 0
        self.result: str | None = None

    def hear(self, image: Image, tell: Tell) -> None:
        """Take the picture or a sketch of it; one that is empty says nothing."""
        if not image.base64:
            return
        id, index = self.place.id, self.place.output_index
        if not self.is_drawing:
            self.is_drawing = True
            tell(ImageGenerating, id, index)
        if image.final:
            self.result = f"data:{image.media_type};base64,{image.base64}"
            tell(ImageCompleted, id, index)
        else:
            self.sketches += 1
            tell(ImagePartial, id, index, self.sketches - 1, image.base64)

    def begun(self) -> ImageGenerationCall:
        return ImageGenerationCall(id=self.place.id, status="in_progress")

    def finished(self, is_cut: bool) -> ImageGenerationCall:
        return ImageGenerationCall(
            id=self.place.id, result=self.result, status="failed" if self.result is None else "completed"
        )


class OpaqueItem:
    """An item of a kind that is not ours; `said` is it as heard last. Clients answer by its id, so it keeps that.

    `is_done` says that it was heard to the end; one of which nobody knows the end is incomplete.
    """

    __slots__ = ("is_done", "place", "said", "slot")

    def __init__(self, output_index: int, slot: Slot, said: ServerItem) -> None:
        self.place = Place(str(said.get("id", "")), output_index)
        self.slot = slot
        self.said = said
        self.is_done = False

    def begun(self) -> OutputItem:
        return self._told("in_progress")

    def finished(self, is_cut: bool) -> OutputItem:
        return self.said if self.is_done else self._told("incomplete")

    def _told(self, status: ItemStatus) -> OutputItem:
        return ServerItem({**self.said, "status": status}) if "status" in self.said else self.said
