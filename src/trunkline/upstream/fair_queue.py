"""Who may have one of a few places now, and who waits for one: account by account, in the order in which they came.

Nobody is waited for here, and there is no clock: a place that comes free is handed on by the call that gives it back.
"""

from __future__ import annotations

from collections import deque


class Ticket:
    """One that asks for a place; it has one once `is_served`."""

    __slots__ = ("account", "is_served")

    def __init__(self, account: str, *, is_served: bool) -> None:
        self.account = account
        self.is_served = is_served


class FairQueue:
    """Places, and a bounded number of those who wait for them. An account has at most half of what may wait.

    Whose turn it is goes round among the accounts; within one, who came first goes first.
    """

    def __init__(self, places: int, room: int) -> None:
        self._free = places
        self._room = room
        self._share = max(1, room // 2)
        self._waiting: dict[str, deque[Ticket]] = {}  # the account whose turn is next comes first
        self.waiting = 0

    def ask(self, account: str) -> Ticket | None:
        """Ask for a place; None where too many wait already, or too many of this account."""
        if self._free:
            self._free -= 1
            return Ticket(account, is_served=True)
        line = self._waiting.get(account, ())
        if self.waiting >= self._room or len(line) >= self._share:
            return None
        ticket = Ticket(account, is_served=False)
        self._waiting.setdefault(account, deque()).append(ticket)
        self.waiting += 1
        return ticket

    def leave(self, ticket: Ticket) -> Ticket | None:
        """Give a place back, or wait no longer; says who has the place now."""
        if ticket.is_served:
            following = self._next()
            self._free += following is None
            return following
        self._take_out(ticket)
        return None

    def _next(self) -> Ticket | None:
        if not self._waiting:
            return None
        account = next(iter(self._waiting))
        line = self._waiting.pop(account)
        ticket = line.popleft()
        if line:
            self._waiting[account] = line
        ticket.is_served = True
        self.waiting -= 1
        return ticket

    def _take_out(self, ticket: Ticket) -> None:
        line = self._waiting[ticket.account]
        line.remove(ticket)
        self.waiting -= 1
        if not line:
            del self._waiting[ticket.account]
