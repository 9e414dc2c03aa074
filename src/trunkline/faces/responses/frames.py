"""Events as they are written into a stream: each a frame of server-sent events with its name.

When to send a keep-alive is the server's business, what is told the assembler's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import get_args

from trunkline.protocol.events import Event, OutputTextDelta, ResponseCreated, ResponseInProgress
from trunkline.protocol.render import render_event, render_events, render_text, render_texts


def write_events(events: Sequence[Event]) -> bytes:
    """Write events as one piece of a stream."""
    if len(events) == 1:
        event = events[0]
        return b"".join((_PREFIXES[type(event)], render_event(event), _END))
    match events:
        case [ResponseCreated() as created, ResponseInProgress() as begun, *rest] if begun.response is created.response:
            return _opening(created, begun) + write_events(rest)
    if len(events) > _MANY:
        return b"".join([_written(kind, run) for kind, run in groupby(events, type)])
    lines = render_events(events).split(b"\n")
    return b"".join([b"%b%b\n\n" % (_PREFIXES[type(event)], line) for event, line in zip(events, lines, strict=False)])


def write_pieces(events: Sequence[Event], enough_bytes: int, begun: bytes = b"") -> Iterator[bytes]:
    """Write events as pieces of a stream, each a little longer than `enough_bytes` but for the last.

    The first begins with what was `begun` before them.
    """
    piece = bytearray(begun)
    for event in events:
        piece += b"%b%b\n\n" % (_PREFIXES[type(event)], render_event(event))
        if len(piece) > enough_bytes:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


class TextFrames:
    """The frames of the deltas of one text, which differ in their number and their text alone.

    The number stands between `head` and `middle`, the text as JSON between `middle` and `tail`.
    """

    __slots__ = ("head", "middle", "tail")

    def __init__(self, item_id: str, output_index: int, content_index: int) -> None:
        self.head, place, self.tail = _DELTA
        self.middle = place % (render_text(item_id), output_index, content_index)

    def write(self, number: Callable[[], int], texts: Sequence[str]) -> bytes:
        """Write what `write_events` writes of a delta for each text, with the next numbers."""
        head, middle, tail = self.head, self.middle, self.tail
        if len(texts) == 1:
            return b"%b%d%b%b%b" % (head, number(), middle, render_text(texts[0]), tail)
        lines, numbers = render_texts(texts)[:-1].split(b"\n"), iter(number, None)
        return b"".join(
            [b"%b%d%b%b%b" % (head, n, middle, line, tail) for line, n in zip(lines, numbers, strict=False)]
        )


def _opening(created: ResponseCreated, begun: ResponseInProgress) -> bytes:
    """Write the two events that begin an answer: the response in them, which may hold many tools, is rendered once."""
    told = render_event(created)
    response = told[told.index(_RESPONSE) :]
    return b'%b%b\n\n%b{"type":"response.in_progress","sequence_number":%d,%b\n\n' % (
        _PREFIXES[ResponseCreated],
        told,
        _PREFIXES[ResponseInProgress],
        begun.sequence_number,
        response,
    )


def _written(kind: type[Event], run: Iterable[Event]) -> bytes:
    """Write events of one type, many at once.

    No text can break out of its line: JSON escapes every line end, and the event name comes from a table. So what
    stands between two events can be put in the place of the line ends between their lines.
    """
    prefix = _PREFIXES[kind]
    return prefix + render_events(list(run))[:-1].replace(b"\n", _END + prefix) + _END


_END = b"\n\n"
_RESPONSE = b'"response":'

_MANY = 16
"""From so many events on it is less work to look for those of one type."""


def _prefix(event_type: type[Event]) -> bytes:
    return f"event: {event_type.__struct_config__.tag}\ndata: ".encode()


def _cut_delta(frame: bytes) -> tuple[bytes, bytes, bytes]:
    """Cut the frame of an empty text: up to its number, from there to its text with its place left out, behind it."""
    before, number, rest = frame.partition(b'"sequence_number":')
    place, _, after = rest.removeprefix(b"0").rpartition(b'""')
    return before + number, place.replace(b'""', b"%b").replace(b":0", b":%d"), after


_PREFIXES = {event_type: _prefix(event_type) for event_type in get_args(Event)}
_DELTA = _cut_delta(write_events([OutputTextDelta(0, "", 0, 0, "", ())]))
