"""Records that are kept and not posted yet: noted in the journal, and here until a transaction takes them along.

Theory of operation. A transaction for one record costs ten times what the record does: two threads wake each other, and
SQLite writes five pages. So one that comes alone and charges nobody is noted, by one short write to the journal, and is
kept from then on: a process that is killed leaves the note to whoever adopts its journal. It is posted with those that
are noted in the quarter of a second after it, or with whatever else is posted before.

    noted       in the file, and in a list here
    under way   in a transaction, and still in the file
    posted      the file begins with nothing, as soon as nothing is noted or under way

A busy gateway notes nothing, since there a transaction is shared anyway and the note would be the dearer part. Who asks
for records waits until they are posted: in this process they are then posted at once, of others it looks at the files.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from trunkline.store.journal import Journal, notes_in
from trunkline.store.rows import GenerationRow
from trunkline.store.waiting import take

_LOOK_S = 0.025
NOTED_S = 0.25
"""How long a note may wait for a transaction."""
ALONE_S = 0.01
"""So long after the one before a record comes alone: with two at once a transaction is shared."""


class Notes:
    """The notes of one writer, which `wake` wakes when they are due; without a journal nothing is noted."""

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
        self._rows: deque[GenerationRow] = deque()
        self._under_way: list[GenerationRow] = []
        self._readers: list[asyncio.Future[None]] = []
        self._is_due = False
        self._alone_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop
        self._kept: asyncio.Future[None]
        self._wake: Callable[[], None]

    def open(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        """Begin to take records."""
        self._loop, self._wake = loop, wake
        self._kept = loop.create_future()
        self._kept.set_result(None)

    def close(self) -> None:
        """End; what the store did not take stays in the journal."""
        self.leave_to_journal()
        self._stop_timer()

    def __bool__(self) -> bool:
        """Whether a record waits for its transaction."""
        return bool(self._rows)

    @property
    def is_due(self) -> bool:
        """Whether records have waited for long enough."""
        return self._is_due and bool(self._rows)

    def keep(self, row: GenerationRow) -> asyncio.Future[None] | None:
        """Note a record that comes alone, and give what is done already; None where it must be posted at once."""
        now = self._loop.time()
        is_alone, self._alone_at = now >= self._alone_at, now + ALONE_S
        if not is_alone or self._journal is None or not self._journal.note(row):
            return None
        if not self._rows:
            self._stop_timer()  # that of notes which were posted earlier
            self._timer = self._loop.call_later(NOTED_S, self._fall_due)
        self._rows.append(row)
        return self._kept

    def take(self, count: int) -> list[GenerationRow]:
        """Take so many for a transaction, first come first."""
        self._under_way = take(self._rows, count)
        self._is_due = bool(self._rows)
        return self._under_way

    def forget_taken(self) -> None:
        """The transaction is committed."""
        self._under_way = []
        if self._rows:  # what was noted meanwhile
            if self._readers:
                self._fall_due()
        elif self._journal is not None:
            self._journal.forget_notes()
            self._release_readers()

    def give_back_taken(self) -> None:
        """The transaction failed, or takes too long: what was taken is still to be posted."""
        self._rows.extendleft(reversed(self._under_way))
        self._under_way = []
        self._is_due = bool(self._rows)
        self._release_readers()

    def leave_to_journal(self) -> None:
        """Have what is noted read from the journal, when that is posted."""
        if self._journal is not None:
            self._journal.keep_notes()
        self._rows.clear()

    async def posted(self) -> None:
        """Wait until what is noted is in the store; while that is down there is nothing to wait for."""
        if self._rows or self._under_way:
            reader = self._loop.create_future()
            self._readers.append(reader)
            self._fall_due()
            await reader

    async def wait_for_others(self) -> bool:
        """Wait until what other processes have noted is in the store; whether there was anything."""
        return self._journal is not None and await posted_in(self._journal.path.parent, own=self._journal.path)

    def _fall_due(self) -> None:
        if self._rows:
            self._is_due = True
            self._wake()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _release_readers(self) -> None:
        for reader in self._readers:
            if not reader.done():
                reader.set_result(None)
        self._readers.clear()


async def posted_in(folder: Path, own: Path | None = None) -> bool:
    """Wait until what is noted in a folder's journals now is posted, but in the `own` one; whether there was anything.

    It is given twice the time that it takes, since a gateway that cannot reach its store posts nothing.
    """
    noted = {path: begin for path, begin in notes_in(folder).items() if path != own}
    ends_at = time.monotonic() + 2 * NOTED_S
    # Nobody wakes us: it is another process that posts.
    while noted.items() & notes_in(folder).items() and time.monotonic() < ends_at:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_S)
    return bool(noted)
