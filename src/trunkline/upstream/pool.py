"""The connections there are: made within a limit of time, bounded in number, kept for the next request.

How one is made is in `dialing.py`, what goes over it in `connection.py`.

Theory of operation. A connection has a place from before it is dialled until it is lost; when all places are taken, an
idle connection makes room, the one that was idle longest first, and where none is, whoever wants one waits in line. The
first in line is woken when a connection is lost or becomes idle, looks again, and passes the turn on if he is gone.
Idle connections are used last in, first out, and one timer for all drops those that nobody wanted for long.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Final

from trunkline.upstream import causes
from trunkline.upstream.connection import Connection
from trunkline.upstream.dialing import Dialer, Origin
from trunkline.upstream.transport import UpstreamFailure

KEPT_S: Final = 55.0
"""Many servers and load balancers close a connection that was idle for a minute."""

MAX_CONNECTIONS: Final = 10_000
_SWEEPS = 50
"""How often, at most, the timer rings while a connection is kept."""


class Pool:
    """Connections to all servers. Must be made on the loop that they are used from."""

    def __init__(
        self, dialer: Dialer, connect_s: float, *, max_connections: int = MAX_CONNECTIONS, kept_s: float = KEPT_S
    ) -> None:
        self._dialer = dialer
        self._connect_s = connect_s
        self._kept_s = kept_s
        self._loop = asyncio.get_running_loop()
        self._idle: dict[Origin, list[Connection]] = {}
        self._connections: set[Connection] = set()
        self._places = max_connections
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._sweep: asyncio.TimerHandle | None = None

    def used(self, origin: Origin) -> Connection | None:
        """A connection to a server that was used before and is open still, as far as is known."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if not connection.is_closing:
                return connection
        return None

    async def connect(self, origin: Origin, deadline: float) -> Connection:
        """Make a connection, or take one that becomes idle while there is no place. Raises UpstreamFailure."""
        limit_s = max(min(self._connect_s, deadline - self._loop.time()), 0.0)
        try:
            async with asyncio.timeout(limit_s):
                return await self._place(origin) or await self._dial(origin)
        except TimeoutError:
            raise UpstreamFailure(causes.late(str(origin), limit_s)) from None

    async def close(self) -> None:
        """Drop all connections, also those in use."""
        if self._sweep is not None:
            self._sweep.cancel()
        self._idle.clear()
        for connection in self._connections:
            connection.drop()
        await asyncio.sleep(0)  # the loop tells them

    # What connections tell

    def keep(self, connection: Connection) -> None:
        """A connection is idle."""
        connection.idle_since = self._loop.time()
        idle = self._idle.get(connection.origin)
        if idle is None:
            idle = self._idle[connection.origin] = []
        idle.append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(self._kept_s, self._drop_old)
        if self._waiting:
            self._wake_next()

    def lose(self, connection: Connection) -> None:
        """A connection is no more."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._leave()

    async def _dial(self, origin: Origin) -> Connection:
        """Make a connection for which there is a place."""
        try:
            connection = await self._dialer.dial(origin, partial(Connection, self._loop, origin, self))
        except BaseException:
            self._leave()
            raise
        self._connections.add(connection)
        if connection.is_lost:
            self.lose(connection)
        return connection

    async def _place(self, origin: Origin) -> Connection | None:
        """Wait for a place for a connection, or for one to the same server that nobody uses any more."""
        while not self._places and not self._make_room():
            turn = self._loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except BaseException:
                if turn.done() and not turn.cancelled():
                    self._wake_next()
                raise
            if (connection := self.used(origin)) is not None:
                return connection
        self._places -= 1
        return None

    def _leave(self) -> None:
        self._places += 1
        self._wake_next()

    def _wake_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _make_room(self) -> bool:
        """Drop the connection that was idle longest, if any is."""
        longest_idle = [idle[0] for idle in self._idle.values() if idle]
        oldest = min(longest_idle, key=lambda connection: connection.idle_since, default=None)
        if oldest is not None:
            self._idle[oldest.origin].remove(oldest)
            self._connections.discard(oldest)
            self._places += 1
            oldest.drop()
        return oldest is not None

    def _drop_old(self) -> None:
        now = self._loop.time()
        since = now - self._kept_s
        for origin, idle in list(self._idle.items()):
            for connection in idle:
                if connection.idle_since <= since:
                    connection.drop()
            self._idle[origin] = [each for each in idle if each.idle_since > since and not each.is_closing]
            if not self._idle[origin]:
                del self._idle[origin]
        self._sweep = None
        if self._idle:
            oldest = min(idle[0].idle_since for idle in self._idle.values())
            due = max(oldest + self._kept_s, now + self._kept_s / _SWEEPS)
            self._sweep = self._loop.call_at(due, self._drop_old)
