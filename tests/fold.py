"""Events → the response that they come to, which is that of a client who did not ask for a stream (law 2).

It makes no second account of the answer: the terminal event holds the whole response, and that is taken.
"""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.protocol.events import Event, ResponseCompleted, ResponseFailed, ResponseIncomplete
from trunkline.protocol.response import Response


def fold(events: Iterable[Event]) -> Response:
    """Fold the events of one answer; the response may have failed."""
    for event in events:
        if isinstance(event, ResponseCompleted | ResponseIncomplete | ResponseFailed):
            return event.response
    raise AssertionError("the events of the answer ended without a response")
