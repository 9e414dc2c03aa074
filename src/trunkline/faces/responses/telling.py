"""One answer on its way to its client: deltas in, bytes out. A machine; who waits for whom is its driver's business.

Theory of operation. One assembler decides for both what an answer is. A stream gets the events as they come, all but
those of a list that holds the end: they wait for the terminal event, and leave with it and the end mark in one
piece. Each of them repeats all that was said, so an end that is large leaves in several, between which others are
served; nobody can fail an answer whose end has begun to leave. A whole answer gets nothing before its end, and then
the response that the terminal event would tell: no event is made for it (`whole.py` has those that need no assembler).
After the end nothing is told any more.

A text that goes on is told from its pieces (`go_on`), without events: frames that differ in number and text alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from trunkline.errors import GatewayError
from trunkline.faces.responses.assemble import Assembler
from trunkline.faces.responses.frames import TextFrames, write_events, write_pieces
from trunkline.faces.responses.pieces import TextPart
from trunkline.faces.responses.text_run import TextRun
from trunkline.protocol.events import Event
from trunkline.protocol.render import render_response
from trunkline.stream.deltas import Delta, Stopped
from trunkline.stream.sse import DONE

_LARGE_BYTES = 256 * 1024


class ResponsesTelling:
    """Tells one answer, as its assembler makes it: a stream, or whole; `now` is Unix time."""

    __slots__ = (
        "_assembler", "_end", "_frames", "_held", "_now", "_number", "_part", "failure", "is_over", "is_stream",
    )  # fmt: skip

    def __init__(self, assembler: Assembler, now: Callable[[], float]) -> None:
        self._assembler = assembler
        self._now = now
        self._held = b""
        self._end: Iterator[bytes] | None = None
        self._part: TextPart | None = None
        self._frames: TextFrames
        self._number: Callable[[], int]
        self.is_stream = assembler.is_stream
        self.is_over = False
        self.failure: GatewayError | None = None  # a response tells by itself that it failed

    @property
    def is_ending(self) -> bool:
        """Whether it is settled how the answer ends, though not all of that may have left."""
        return self._end is not None

    def feed(self, batch: Sequence[Delta]) -> bytes:
        """Tell what was heard; nothing where it waits for more."""
        events = self._assembler.feed(batch)
        if not self.is_stream:
            return b""
        piece = write_events(events) if events else b""
        if self._held or type(batch[-1]) is Stopped:
            self._held += piece
            return b""
        return piece

    def go_on(self, texts: Sequence[str]) -> bytes:
        """Tell more of the text that was heard last, none of it empty: what `feed` tells of it, without its events."""
        part = self._assembler.go_on(texts)
        if not self.is_stream:
            return b""
        if part is not self._part:
            self._part, self._frames = part, TextFrames(part.item_id, part.output_index, part.index)
            self._number = self._assembler.number
        return self._frames.write(self._number, texts)

    def run(self, send: Callable[[bytes], bool]) -> TextRun:
        """The same for one text at a time, sent at once, until anything else is told; `go_on` has told one before."""
        assert self._part is not None
        return TextRun(self._part.pieces, self._frames, self._number, send)

    def end(self, rest: Sequence[Delta] = ()) -> bytes:
        """Tell the last that was heard, and the end: what is left of a stream, or the whole body.

        Of a large end only the beginning: the rest is asked for with `more`, until the answer is over.
        """
        if self._end is None:
            last = self._assembler.feed(rest) if rest else []
            self._conclude(last + self._assembler.end(self._now()))
        return self.more()

    def fail(self, error: GatewayError, rest: Sequence[Delta] = ()) -> bytes:
        """Tell the last that was heard, and that the answer failed; if its end is on its way out, the rest of that."""
        if self._end is None:
            self._conclude([*self._assembler.feed(rest), *self._assembler.fail(error)])
        pieces = []
        while not self.is_over:
            pieces.append(self.more())
        return b"".join(pieces)

    def more(self) -> bytes:
        """Give the next piece of the end."""
        if self.is_over or self._end is None:
            return b""
        piece = next(self._end)
        if not self.is_stream:
            self.is_over = True
            return piece
        if len(piece) > _LARGE_BYTES:
            return piece
        self.is_over = True
        return piece + DONE

    def _conclude(self, events: list[Event]) -> None:
        held, self._held = self._held, b""
        if self.is_stream:
            self._end = write_pieces(events, _LARGE_BYTES, held)
        else:
            self._end = iter((render_response(self._assembler.response),))
