"""Typed → client bytes: the response, an event, an error. Cutting events into SSE frames is `stream/sse.py`'s."""

from __future__ import annotations

import msgspec

from trunkline.errors import GatewayError
from trunkline.protocol.events import Event
from trunkline.protocol.response import Response

_encoder = msgspec.json.Encoder(decimal_format="number")


def render_response(response: Response) -> bytes:
    """Render the body of a JSON answer."""
    return _encoder.encode(response)


def render_event(event: Event) -> bytes:
    """Render the JSON of one stream event on its own, as tests and recordings want it."""
    return _encoder.encode(event)


def render_event_into(event: Event, buffer: bytearray) -> None:
    """Render the JSON of one stream event at the end of `buffer`; spares the hot path an object for each event."""
    _encoder.encode_into(event, buffer, -1)


def render_error(error: GatewayError, user_id: str | None = None) -> bytes:
    """Render the envelope of an error that is told by its HTTP status."""
    return _encoder.encode(
        {
            "error": {
                "code": error.status,
                "message": error.message,
                "metadata": {"error_type": error.kind, **error.metadata},
            },
            "user_id": user_id,
        }
    )
