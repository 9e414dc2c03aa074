"""The two drivers of `hearing.py`: what waits for an answer's bytes.

Pulled, a task waits for each read, and hears it; what has all arrived is heard without waiting. Pushed, each read is
heard in the very callback that received it, and what it says goes to a sink at once: no task wakes for an answer that
only goes on. A sink that has no room, the end, and a fault end the pushing, and whoever pushed pulls: what is to be
waited for then is told by a read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from trunkline.stream.deltas import Delta
from trunkline.upstream.hearing import Hearing
from trunkline.upstream.lane import Lane
from trunkline.upstream.transport import Reply, UpstreamFailure


class Sink(Protocol):
    """Where deltas go on without waiting; each method says whether there is room for more.

    `go_on` is given texts that only go on with the text heard last. `run` gives the shortest way for single such texts,
    until anything else is heard; they are counted by `count` before that.
    """

    def hear(self, batch: list[Delta]) -> bool: ...

    def go_on(self, texts: list[str]) -> bool: ...

    def run(self) -> Callable[[str, bytes], bool]: ...

    def count(self, texts: list[str]) -> None: ...


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
    try:
        await reply.pump(pumping.take, pumping.lane)
    finally:
        has_room = pumping.count()
        # It holds the lane, whose methods hold it: a ring that would wait for the search for garbage.
        del pumping.lane
    return pumping.left if has_room else None


class _Pumping:
    __slots__ = ("_has_room", "_hearing", "_reply", "_sink", "lane", "left")

    def __init__(self, reply: Reply, hearing: Hearing, sink: Sink) -> None:
        self._reply = reply
        self._hearing = hearing
        self._sink = sink
        self._has_room = True
        self.left: list[Delta] = []
        self.lane = Lane(self._begin, *hearing.loose_members)

    def take(self, piece: bytes) -> bool:
        """Hear one read; False when no more shall come this way."""
        hearing, lane = self._hearing, self.lane
        if lane.texts:
            self.count()
        texts = hearing.continued(piece)
        if texts is not None:
            lane.last = texts[0] if len(texts) == 1 else None
            self._reply.note_output()
            self._has_room = self._sink.go_on(texts)
            return self._has_room
        lane.last = None
        batch = hearing.feed(piece)
        if hearing.has_progressed:
            self._reply.note_output()
        if hearing.is_over:
            self.left = batch
            return False
        if batch:
            self._has_room = self._sink.hear(batch)
        return self._has_room

    def count(self) -> bool:
        """Account for what went by the lane; say whether there is room for more."""
        texts, self.lane.texts = self.lane.texts, []
        if texts:
            self._hearing.went_on(texts, self.lane.latest)
            self._sink.count(texts)
        return self._has_room and not self.lane.is_full

    def _begin(self) -> tuple[Callable[[str, bytes], bool], int]:
        return self._sink.run(), self._hearing.room
