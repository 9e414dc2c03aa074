"""The end of the process: what becomes of each request when the gateway is told to stop.

Theory of operation. *Serving*: nothing is decided here. *Leaving*, from the first signal on and for a moment: the
gateway is not ready, takes no connection, and serves what comes on those that are open, for it was sent by who could
not know. *Draining*: requests under way go on; one that comes on an open connection gets the error below, 503, and its
connection is closed. *Ending*, shortly
before the drain is over: who runs the requests cancels all that are left. Each such cancellation is turned into the
same error at the place where it arrives, by `translate`; from there the error takes the way of every other one, and
becomes the 503 of a request whose answer has not begun, or the last event of a stream. A cancellation of another
origin – the client left – stays what it is.

Nothing is counted or registered here, so a request that ends in time costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from trunkline.errors import GatewayError, ServiceUnavailable

Raised = TypeVar("Raised", bound=BaseException)

_MAX_LEAD_S = 1.0
_LEAD = 0.25
"""The part of the drain that is left to tell the last requests of the end."""


class Stopping:
    """Whether the process is about to end, and the error that requests get then."""

    def __init__(self, drain_s: float, clock: Callable[[], float]) -> None:
        self._drain_s = drain_s
        self._clock = clock
        self._over_at = 0.0
        self.has_begun = False
        self.is_draining = False
        self.is_ending = False

    @property
    def lead_s(self) -> float:
        """How long before the end of the drain the requests that are left are ended."""
        return min(_MAX_LEAD_S, self._drain_s * _LEAD)

    def begin(self) -> None:
        """Leave: tell nobody any more that the gateway is ready. May be called in a signal handler."""
        self._over_at = self._clock() + self._drain_s
        self.has_begun = True

    def refuse(self) -> None:
        """Take no new request from now on."""
        self.is_draining = True

    def end(self) -> None:
        """Whatever is cancelled from now on is cancelled because of the end."""
        self.is_ending = True

    def error(self) -> GatewayError:
        """What a request is told that is not served, or not to its end."""
        rest_s = max(0.0, self._over_at - self._clock())
        return ServiceUnavailable(
            "The gateway is stopping. Try again when it is back.", kind="server", retry_after=rest_s + 1
        )

    def translate(self, raised: Raised) -> Raised | GatewayError:
        """Turn the cancellation of the current task by the end into the error; all else comes back as it is."""
        task = asyncio.current_task()
        if not self.is_ending or not isinstance(raised, asyncio.CancelledError) or task is None:
            return raised
        task.uncancel()
        return self.error()
