"""The text and the thought of a Chat Completions answer, and what hangs on them: citations, searches, pictures.

Does not read chunks, and knows of calls only that text and thought end them. Pieces are numbered by the counter that
the whole answer shares. Thought ends text and text ends thought; either beginning again is a new piece.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from trunkline.adapters.chat.calls import Calls
from trunkline.adapters.chat.wire import decode_citation, decode_logprobs, decode_source, image_address, text_of
from trunkline.adapters.decoding.repeats import Cumulative
from trunkline.adapters.decoding.searches import once, results
from trunkline.adapters.decoding.tags import TagSplitter
from trunkline.adapters.media import inline
from trunkline.adapters.thinking import effort, is_relay
from trunkline.catalog.entries import Endpoint
from trunkline.errors import BadRequest
from trunkline.protocol.data_urls import is_data_url
from trunkline.protocol.items import Json, ReasoningFormat, UrlCitation
from trunkline.protocol.request import Request
from trunkline.stream.deltas import (
    Citation,
    Closed,
    Delta,
    Image,
    Reasoning,
    ReasoningSeal,
    ReasoningSummary,
    Refusal,
    Search,
    Text,
)
from trunkline.stream.seals import format_named

_MARK = re.compile(r"\[(\d{1,3})\]")


class Texts:
    """What one answer says beside its calls, which are set once there are some.

    `slot` is that of the open text; every method tells into `out`.
    """

    calls: Calls | None = None
    slot: int | None = None
    has_said = False
    has_thought = False
    has_drawn = False
    has_citations = False
    has_searched = False
    _thought: int | None = None
    _told_text: Cumulative | None = None
    _told_thought: Cumulative | None = None
    _splitter: TagSplitter | None = None

    def __init__(self, request: Request, endpoint: Endpoint, slots: Iterator[int], *, answers_in_tool: bool) -> None:
        quirks = endpoint.quirks
        self._endpoint = endpoint
        self._slots = slots
        self._answers_in_tool = answers_in_tool
        self._wants_logprobs = bool(request.top_logprobs or request.logprobs)
        self._keeps_text = quirks.web_search != "none"
        is_cumulative = quirks.deltas == "cumulative"
        if is_cumulative:
            self._told_text, self._told_thought = Cumulative(), Cumulative()
        has_tags = quirks.think_tags != "never"
        self.is_plain = not (answers_in_tool or self._keeps_text or has_tags or is_cumulative)
        if has_tags:
            is_opened = quirks.think_tags == "opened" and effort(request.reasoning) != "none"
            self._splitter = TagSplitter(quirks.think_tag, is_opened=is_opened)
        self._said: list[str] = []
        self._aside: list[str] = []
        self._uncited: list[UrlCitation] = []
        self._sources: list[Json] = []

    @property
    def held_back(self) -> int:
        """How many pieces of text stand beside the call we forced."""
        return len(self._aside)

    # Text and thought

    def hear(self, content: Json, logprobs: Json, out: list[Delta]) -> None:
        """Hear the content of a piece: text, or a list of parts."""
        if self._told_text is not None and content:
            content = self._told_text.news(text_of(content))
        if not content:
            return
        if type(content) is not str:
            self._hear_parts(content, out)
        elif self._splitter is None and not self._answers_in_tool:
            self.say(content, out, logprobs)
        else:
            self._hear_text(content, out)

    def say(self, text: str, out: list[Delta], logprobs: Json = None) -> None:
        if self.slot is None:
            self.slot = self._open(out)
        if self._keeps_text:
            self._said.append(text)
        if logprobs is not None and self._wants_logprobs:
            out.append(Text(self.slot, text, decode_logprobs(logprobs)))
        else:
            out.append(Text(self.slot, text))

    def _open(self, out: list[Delta]) -> int:
        self.has_said = True
        self._thought = None
        if self.calls is not None:
            self.calls.close_latest(out)
        slot = next(self._slots)
        if self._uncited:
            out.extend(Citation(slot, citation) for citation in self._uncited)
            self._uncited.clear()
        return slot

    def refuse(self, text: str, out: list[Delta]) -> None:
        if self.slot is None:
            self.slot = self._open(out)
        out.append(Refusal(self.slot, text))

    def _hear_text(self, text: str, out: list[Delta]) -> None:
        """Text that may hold thought in tags, or may be beside the call we forced."""
        for side, piece in self._splitter.feed(text) if self._splitter is not None else [("text", text)]:
            self._hear_side(side, piece, out)

    def _hear_side(self, side: str, piece: str, out: list[Delta]) -> None:
        if side == "thought":
            self._think(piece, out)
        elif self._answers_in_tool:
            self._aside.append(piece)
        else:
            self.say(piece, out)

    def think_anew(self, text: str, out: list[Delta]) -> None:
        """Hear thought outside the text, which may repeat all that came before."""
        self._think(text if self._told_thought is None else self._told_thought.news(text), out)

    def _think(self, text: str, out: list[Delta]) -> None:
        if text:
            out.append(Reasoning(self.open_thought(out), text))

    def open_thought(self, out: list[Delta]) -> int:
        """The slot of the open thought, which begins now if there is none."""
        if self._thought is None:
            self.has_thought = True
            self._end_text(out)
            if self.calls is not None:
                self.calls.close_latest(out)
            self._thought = next(self._slots)
        return self._thought

    def _end_text(self, out: list[Delta]) -> None:
        if self.slot is not None:
            if self._sources:
                self._cite_marks(out)
            self.slot = None
            self._said.clear()

    def end_open(self, out: list[Delta]) -> None:
        """End text or thought, whichever is open, for something else that begins."""
        self._thought = None
        self._end_text(out)

    def hear_details(self, details: list[Json], out: list[Delta]) -> None:
        """Hear `reasoning_details`: thought, summaries and seals (OpenRouter and who follows it)."""
        for entry in details:
            if not isinstance(entry, dict):
                continue
            if text := entry.get("text"):
                self._think(text_of(text), out)
            if summary := entry.get("summary"):
                index = entry.get("index")
                part = index if isinstance(index, int) and not isinstance(index, bool) else 0
                out.append(ReasoningSummary(self.open_thought(out), text_of(summary), part))
            self._hear_seal(entry, out)

    def _hear_seal(self, entry: dict[str, Json], out: list[Delta]) -> None:
        form = format_named(entry.get("format"))
        blob, signature = entry.get("data"), entry.get("signature")
        if isinstance(blob, str) and blob:
            origin = entry.get("id")
            self.prove(out, encrypted=blob, form=form, item_id=origin if isinstance(origin, str) else "")
        if isinstance(signature, str) and signature:
            self.prove(out, signature=signature, form=form)

    def prove(
        self,
        out: list[Delta],
        *,
        form: ReasoningFormat,
        encrypted: str | None = None,
        signature: str | None = None,
        item_id: str = "",
    ) -> None:
        """End the open thought with its proof, or tell one that has nothing but a proof.

        What follows is another thought: Claude thinks again between calls, and has a proof for each time.
        """
        slot = self.open_thought(out)
        home, is_bound = self._endpoint.id, is_relay(self._endpoint)
        out.append(
            ReasoningSeal(slot, encrypted, signature, form, endpoint_id=home, item_id=item_id, is_bound=is_bound)
        )
        self._thought = None

    def _hear_parts(self, content: Json, out: list[Delta]) -> None:
        """Content as a list of parts, as some servers send it."""
        for part in content if isinstance(content, list) else [content]:
            if not isinstance(part, dict):
                self._hear_text(text_of(part), out)
            elif "thinking" in part:
                self._think(text_of(part["thinking"]), out)
                self._hear_seal({"signature": part.get("signature")}, out)
            elif part.get("type") in ("image_url", "image"):
                self.hear_images([part], out)
            elif part.get("refusal"):
                self.refuse(text_of(part["refusal"]), out)
            else:
                self._hear_text(text_of(part), out)

    # Citations, searches and pictures

    def hear_annotations(self, annotations: list[Json], out: list[Delta]) -> None:
        for annotation in annotations:
            citation = decode_citation(annotation)
            if citation is None:
                continue
            self.has_citations = True
            if self.slot is None:
                self._uncited.append(citation)
            else:
                out.append(Citation(self.slot, citation))

    def hear_sources(self, sources: list[Json]) -> None:
        """Hear the sources of the answer, which nobody has without a search."""
        self._sources = sources or self._sources
        self.has_searched = bool(self._sources)

    def _cite_marks(self, out: list[Delta]) -> None:
        """Join the `[n]` marks of the text with the provider's numbered list of sources."""
        if self.has_citations or self.slot is None:
            return
        for mark in _MARK.finditer("".join(self._said)):
            number = int(mark[1])
            if 1 <= number <= len(self._sources):
                url, title = decode_source(self._sources[number - 1])
                if url:
                    out.append(Citation(self.slot, UrlCitation(url, title, mark.start(), mark.end())))

    def hear_images(self, images: list[Json], out: list[Delta]) -> None:
        self.has_drawn = True
        for image in images:
            url = image_address(image)
            if url and is_data_url(url):
                try:
                    found = inline(url)
                except BadRequest:
                    continue
                if found is not None:
                    self.end_open(out)
                    slot = next(self._slots)
                    out += [Image(slot, found.data, True, found.media_type), Closed(slot)]
            elif url:
                # A link cannot be an image item, whose result is data; as text it is at least not lost.
                self.say(f"![image]({url})", out)

    # The end

    def release(self, out: list[Delta], *, is_whole: bool) -> None:
        """Tell what was held back: the rest of what may have been a tag, and text beside a call that never came.

        Not the latter of an answer that is not whole: as long as nothing was told, the next endpoint may be asked.
        """
        if self._splitter is not None:
            for side, piece in self._splitter.end():
                self._hear_side(side, piece, out)
        if self._aside and self.slot is None and is_whole:
            self.say("".join(self._aside), out)

    def end(self, out: list[Delta]) -> None:
        """End the text with its citations; a search comes after it, since many servers name sources at the end only."""
        self._end_text(out)
        if self._sources:
            sources = once(decode_source(source)[0] for source in self._sources)
            found = results(self._sources)
            out.append(Search(next(self._slots), "web", "completed", sources=sources, results=found))
