"""When a server that fails is left alone, and when it is tried again: a machine without a clock.

Theory of operation. *Closed*: the server is asked, and tried again at once after a failure, or a moment later where
that fails too. The third failure within `WINDOW_S` makes it *open*: for `OPEN_S` nobody asks. Then comes one trial,
which either closes it, with all failures forgotten, or keeps it open for as long again.
"""

from __future__ import annotations

from collections import deque
from typing import Final

MOST_FAILURES: Final = 3
WINDOW_S: Final = 10.0
OPEN_S: Final = 2.0
"""So short because no request tries it: with two trials that go wrong after a server's return, and all that was kept to
be told to it, nodes are with it again within ten seconds."""
PAUSE_S: Final = 0.1
"""Between two failures of a server that is not left alone yet."""


class Breaker:
    """The state of one server; `now` is in seconds on a clock that never goes back."""

    __slots__ = ("_failed", "_has_succeeded", "_next_at", "is_open")

    def __init__(self) -> None:
        self.is_open = False
        self._failed: deque[float] = deque(maxlen=MOST_FAILURES)
        self._has_succeeded = True
        self._next_at = 0.0

    def fail(self, now: float) -> bool:
        """Note a failure; True where the server is left alone from now on, and was not before."""
        self._failed.append(now)
        was_open = self.is_open
        if len(self._failed) == MOST_FAILURES and now - self._failed[0] <= WINDOW_S:
            self.is_open = True
        if self.is_open:
            self._next_at = now + OPEN_S
        else:
            self._next_at = now if self._has_succeeded else now + PAUSE_S
        self._has_succeeded = False
        return self.is_open and not was_open

    def succeed(self) -> bool:
        """Note that the server answers; True where it was left alone before."""
        was_open, self.is_open = self.is_open, False
        if was_open:
            self._failed.clear()
        self._has_succeeded = True
        return was_open

    def wait_s(self, now: float) -> float:
        """How long to wait before the next trial."""
        return max(0.0, self._next_at - now)
