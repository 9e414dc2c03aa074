"""The two drivers of `hearing.py`: what waits for an answer's bytes.

Pulled, a task waits for each read, and hears it. Pushed, each read is heard in the very callback that received it, and
what it says goes to a sink at once: no task wakes for an answer that only goes on. A sink that has no room, the end,
and a fault end the pushing, and whoever pushed pulls: what is to be waited for then is told by a read.
"""

from __future__ import annotations

from typing import Protocol

from trunkline.stream.deltas import Delta
from trunkline.upstream.hearing import Hearing
from trunkline.upstream.transport import Reply, UpstreamFailure


class Sink(Protocol):
    """Where deltas go on without waiting; each method says whether there is room for more.

    `go_on` is given texts that only go on with the text heard last.
    """

    def hear(self, batch: list[Delta]) -> bool: ...

    def go_on(self, texts: list[str]) -> bool: ...


async def pull(reply: Reply, hearing: Hearing) -> list[Delta]:
    """Hear the next read of an answer, its end, or how it broke off."""
    try:
        piece = await reply.read()
    except UpstreamFailure as failure:
        return hearing.ended(failure.fault)
    if not piece:
        return hearing.ended()
    batch = hearing.feed(piece)
    if hearing.has_progressed:
        reply.note_output()
    return batch


async def push(reply: Reply, hearing: Hearing, sink: Sink) -> list[Delta] | None:
    """Hear an answer straight into a sink until something is to be waited for.

    That is room in the sink, then None is given; else the end or a fault, before which these deltas are left to tell.
    """
    if reply.pump is None:
        return []
    pumping = _Pumping(reply, hearing, sink)
    await reply.pump(pumping.take)
    return pumping.left if pumping.has_room else None


class _Pumping:
    __slots__ = ("_hearing", "_reply", "_sink", "has_room", "left")

    def __init__(self, reply: Reply, hearing: Hearing, sink: Sink) -> None:
        self._reply = reply
        self._hearing = hearing
        self._sink = sink
        self.left: list[Delta] = []
        self.has_room = True

    def take(self, piece: bytes) -> bool:
        """Hear one read; False when no more shall come this way."""
        hearing = self._hearing
        texts = hearing.continued(piece)
        if texts is not None:
            self._reply.note_output()
            self.has_room = self._sink.go_on(texts)
            return self.has_room
        batch = hearing.feed(piece)
        if hearing.has_progressed:
            self._reply.note_output()
        if hearing.is_over:
            self.left = batch
            return False
        if batch:
            self.has_room = self._sink.hear(batch)
        return self.has_room
