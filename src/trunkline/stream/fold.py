"""Events → the response a client gets who did not ask for a stream.

It makes no second account of the answer: the terminal event holds the whole response, and that is taken.
"""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.errors import InternalError
from trunkline.protocol.events import ErrorEvent, Event, ResponseCompleted, ResponseFailed, ResponseIncomplete
from trunkline.protocol.response import Response


def fold(events: Iterable[Event]) -> Response:
    """Fold the events of one answer; the response may have failed.

    Raises InternalError when the events end without a response.
    """
    for event in events:
        if isinstance(event, (ResponseCompleted, ResponseIncomplete, ResponseFailed)):
            return event.response
        if isinstance(event, ErrorEvent):
            raise InternalError(event.message)
    raise InternalError("the events of the answer ended without a response")
