"""The time of day by which nodes see each other: the store's own, for theirs may be minutes apart.

What a request is told and recorded with is the time of its node.
"""

from __future__ import annotations

from collections.abc import Callable

from trunkline.store.connection import Connection


class StoreClock:
    """A clock of this machine, corrected to what the store said last; both in Unix seconds."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._ahead_s = 0.0

    def __call__(self) -> float:
        return self._wall_clock() + self._ahead_s

    def correct(self, store_ms: int) -> None:
        """Go by what the store's clock shows now."""
        self._ahead_s = store_ms / 1000 - self._wall_clock()


def read_clock(connection: Connection) -> int:
    """Read PostgreSQL's clock, in milliseconds."""
    (now_ms,) = connection.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint").fetchone()
    return int(now_ms)
