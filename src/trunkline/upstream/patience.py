"""How long an exchange may keep us waiting, and what is said when it does so for too long. Values in, values out.

Whoever owns the clock and the socket tells it what happens and breaks the exchange when the time is due.

Theory of operation. Only time that somebody spends waiting counts: while a client does not read, nobody waits for its
provider. Two silences are measured. The silence of bytes is bounded by `first_byte` up to the head of the answer and by
`idle` between two reads. The silence of the model ends with output alone; comments, pings, a role and empty pieces are
none. It is bounded by `first_byte` from the sending on until there is output, then by `idle` – or, of a model that
thinks, by `thinking` where that is longer, for it may think for minutes while its provider only says that it is there.
"""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.upstream.causes import NO_BYTE, PINGS_ALONE
from trunkline.wire import Fault


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to a connection (look-up, connect and TLS), to the first byte of the head, between two reads.

    `thinking` is for pings in place of output, from a model that thinks.
    """

    connect: float = 10.0
    first_byte: float = 120.0
    idle: float = 120.0
    thinking: float = 360.0


class Patience:
    """The limits of one exchange; times are on the caller's clock, and it is waited from the beginning."""

    __slots__ = ("_byte_s", "_has_pinged", "_idle_s", "_output_s", "_quiet_s", "_spoken_s", "_waits_since")

    def __init__(self, timeouts: Timeouts, now: float, *, thinks: bool = False) -> None:
        self._idle_s = self._spoken_s = timeouts.idle
        self._byte_s = self._output_s = timeouts.first_byte
        if thinks:
            self._spoken_s = max(timeouts.idle, timeouts.thinking)
            self._output_s = max(timeouts.first_byte, timeouts.thinking)
        self._quiet_s = 0.0
        self._has_pinged = False
        self._waits_since: float | None = now

    def note_head(self) -> bool:
        """The head of the answer is here. Say whether bytes must come faster from now on."""
        before_s, self._byte_s = self._byte_s, self._idle_s
        return self._idle_s < before_s

    def wait(self, now: float) -> None:
        """Somebody begins to wait for the next bytes."""
        self._waits_since = now

    def rest(self, now: float) -> None:
        """Nobody waits until `wait`."""
        if self._waits_since is not None:
            self._quiet_s += now - self._waits_since
            self._waits_since = None

    def note_bytes(self) -> None:
        """Bytes of the body came."""
        self._has_pinged = True

    def renew(self, now: float) -> None:
        """Bytes of the body came, and whoever waits for them goes on waiting."""
        if self._waits_since is not None:
            self._quiet_s += now - self._waits_since
        self._waits_since = now
        self._has_pinged = True

    def renew_output(self, now: float) -> None:
        """Until now more came of the output that was noted last, and whoever waits goes on waiting."""
        self._waits_since = now
        self._quiet_s = 0.0

    def note_output(self) -> None:
        """What came last said something."""
        self._quiet_s = 0.0
        self._has_pinged = False
        self._output_s = self._spoken_s

    def due(self, now: float) -> float:
        """When it will have been waited for too long, if nothing comes until then."""
        since = now if self._waits_since is None else self._waits_since
        byte_s, output_s = self._byte_s, self._output_s - self._quiet_s
        if byte_s <= output_s:
            return since + byte_s
        return since + output_s if output_s > 0.0 else since

    @property
    def fault(self) -> Fault:
        """What is said when the time is due."""
        if self._has_pinged and self._output_s - self._quiet_s <= self._byte_s:
            return PINGS_ALONE
        return NO_BYTE
