"""Records that the store did not take when they came, until it takes them.

Theory of operation. They go to the journal, on the disk before anybody is told that they are kept. When that takes
nothing either, as on a disk that is full, they wait in a ring in memory, and nothing that is limited may be spent until
it is empty; from a ring that is full the oldest are dropped. Once the store is back they are read, posted and dropped
again, some at a time: the ring first, then the journal. A journal that cannot be read or cut is tried again later.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Sequence

from trunkline import failpoints
from trunkline.store.alarms import Alarm
from trunkline.store.journal import Journal
from trunkline.store.notes import Notes
from trunkline.store.rows import GenerationRow

MAX_RING = 50_000
MENDING_S = 5.0


class Backlog:
    """The backlog of one writer; one in memory has no journal. `notes` are kept in the same journal."""

    def __init__(self, journal: Journal | None, notes: Notes, alarm: Alarm) -> None:
        self._journal = journal
        self._notes = notes
        self._alarm = alarm
        self._ring: deque[GenerationRow] = deque()
        self._read_of_ring: Sequence[GenerationRow] = ()
        self._due_at = 0.0
        self._now: Callable[[], float]

    def open(self, now: Callable[[], float]) -> None:
        """Begin; `now` is a clock that no step of the time of day moves."""
        self._now = now

    async def close(self) -> None:
        """End; what is in the journal stays there."""
        if self._journal is not None:
            await self._journal.close()

    @property
    def is_in_memory(self) -> bool:
        """Whether some of it would be lost with the process."""
        return bool(self._ring)

    @property
    def is_in_journal(self) -> bool:
        """Whether some of it waits for whoever adopts the journal, if this process ends."""
        return self._journal is not None and not self._journal.is_empty

    @property
    def is_due(self) -> bool:
        """Whether there is something to read."""
        return (self.is_in_memory or self.is_in_journal) and self._now() >= self._due_at

    async def keep(self, rows: Sequence[GenerationRow]) -> None:
        """Keep records."""
        try:
            if self._journal is None:
                raise OSError(errno.ENOENT, "a database in memory has no journal")
            self._notes.leave_to_journal()
            await self._journal.append(rows)
        except OSError as error:
            if not self._ring:
                self._alarm("journal.unwritable", str(error.strerror))
            self._ring.extend(rows)
            self._cut_ring()

    async def read(self, count: int) -> list[GenerationRow]:
        """Read the next records; what is not dropped is read again."""
        self._read_of_ring = [self._ring[place] for place in range(min(len(self._ring), count))]
        if self._read_of_ring:
            return list(self._read_of_ring)
        assert self._journal is not None
        try:
            rows = await self._journal.read(count)
            failpoints.reach("replay.read")
            return rows
        except OSError as error:
            self._alarm("journal.unreadable", str(error.strerror))
            self._due_at = self._now() + MENDING_S
            return []

    async def drop(self) -> None:
        """Forget what was read last: it is posted."""
        if self._read_of_ring:
            self._drop_from_ring()
            return
        assert self._journal is not None
        failpoints.reach("replay.posted")
        try:
            await self._journal.drop()
            failpoints.reach("replay.dropped")
        except OSError as error:
            self._alarm("journal.unwritable", str(error.strerror))
            self._due_at = self._now() + MENDING_S

    def _drop_from_ring(self) -> None:
        for row in self._read_of_ring:
            if self._ring and self._ring[0] is row:  # else it had to make room meanwhile
                self._ring.popleft()
        self._read_of_ring = ()
        if not self._ring:
            self._alarm("journal.taken", "the records that were only in memory are in the store")

    def _cut_ring(self) -> None:
        if len(self._ring) > MAX_RING:
            self._alarm("record.dropped", f"{len(self._ring) - MAX_RING} of the oldest")
        while len(self._ring) > MAX_RING:
            self._ring.popleft()
