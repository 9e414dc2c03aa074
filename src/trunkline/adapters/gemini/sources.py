"""Reads Gemini's grounding: what was searched for, and which passages of the text rest on which pages.

It does not follow links: the address of a page is a redirect of the provider's, and stays one. Source:
https://ai.google.dev/gemini-api/docs/google-search (2026-11-22).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

import msgspec
from msgspec import Raw, Struct

from trunkline.adapters.decoding.searches import each_once, once
from trunkline.protocol.items import Found, UrlCitation
from trunkline.wire import UNREADABLE

MAX_SUPPORTS = 1_000
"""More passages than any answer has; bounds the work a broken server can cause."""


class WirePage(Struct, frozen=True):
    uri: str | None = None
    title: str | None = None


class WireChunk(Struct, frozen=True, rename="camel"):
    """A source: a page, a passage of a store, or a place."""

    web: WirePage | None = None
    retrieved_context: WirePage | None = None
    maps: WirePage | None = None


class WireSegment(Struct, frozen=True, rename="camel"):
    """A passage, by offsets in bytes; 0 is left out."""

    start_index: int = 0
    end_index: int = 0
    text: str | None = None


class WireSupport(Struct, frozen=True, rename="camel"):
    segment: WireSegment = WireSegment()
    grounding_chunk_indices: tuple[int, ...] = ()


class Grounding(Struct, frozen=True, rename="camel"):
    """What is known of the sources so far."""

    queries: tuple[str, ...] = msgspec.field(default=(), name="webSearchQueries")
    chunks: tuple[WireChunk, ...] = msgspec.field(default=(), name="groundingChunks")
    supports: tuple[WireSupport, ...] = msgspec.field(default=(), name="groundingSupports")

    @property
    def searches(self) -> int:
        """How many searches are paid: empty queries are none, and the same one is none again.

        https://discuss.ai.google.dev/t/168136, which quotes the documentation (2026-11-27).
        """
        return len({query for query in self.queries if query.strip()}) if self.queries else 0

    @property
    def sources(self) -> tuple[str, ...]:
        """The addresses of the pages that were found."""
        return once(page.uri for chunk in self.chunks if (page := _page(chunk)) is not None)

    @property
    def results(self) -> tuple[Found, ...]:
        """The pages themselves."""
        pages = (page for chunk in self.chunks if (page := _page(chunk)) is not None)
        return each_once(Found(page.uri or "", page.title or "") for page in pages)

    def updated(self, later: Grounding) -> Grounding:
        """Lay what a later message tells over what an earlier one told; each tells all it knows of a kind."""
        return Grounding(later.queries or self.queries, later.chunks or self.chunks, later.supports or self.supports)


_read = msgspec.json.Decoder(Grounding).decode


def read_grounding(told: Raw) -> Grounding:
    """Read `groundingMetadata`; what is unreadable is no grounding."""
    try:
        return _read(told)
    except UNREADABLE:
        return Grounding()


def cited(text: str, grounding: Grounding) -> Iterator[UrlCitation]:
    """The citations of a text, in the order told; offsets become code points."""
    if not text or not grounding.supports:
        return
    offsets = [] if text.isascii() else list(accumulate((len(letter.encode()) for letter in text), initial=0))
    for support in grounding.supports[:MAX_SUPPORTS]:
        start, end = _place(text, support.segment, offsets)
        for index in support.grounding_chunk_indices:
            page = _page(grounding.chunks[index]) if 0 <= index < len(grounding.chunks) else None
            if page is not None and page.uri and end > start:
                yield UrlCitation(page.uri, page.title or "", start, end)


def _page(chunk: WireChunk) -> WirePage | None:
    return chunk.web or chunk.retrieved_context or chunk.maps


def _place(text: str, segment: WireSegment, offsets: list[int]) -> tuple[int, int]:
    """Where a passage is, in code points.

    The offsets count from the beginning of a part, and which part is often left out or wrong; so the words of the
    passage, where they are told, have the last say.
    """
    start, end = _point(segment.start_index, text, offsets), _point(segment.end_index, text, offsets)
    told = segment.text
    if told and text[start:end] != told:
        found = text.find(told)
        if found >= 0:
            return found, found + len(told)
    return start, end


def _point(byte: int, text: str, offsets: list[int]) -> int:
    """The code point that a byte belongs to; a byte in the middle of one counts as its beginning."""
    if not offsets:
        return min(max(byte, 0), len(text))
    return max(bisect_right(offsets, byte) - 1, 0)
