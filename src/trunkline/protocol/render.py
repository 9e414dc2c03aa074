"""Typed → client bytes: the response, an event, an error. Cutting events into SSE frames is `stream/sse.py`'s."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from trunkline.errors import GatewayError
from trunkline.money import NanoUsd, dollars_of
from trunkline.protocol.events import Event
from trunkline.protocol.response import Response

_encoder = msgspec.json.Encoder(decimal_format="number")

render_text: Callable[[str], bytes] = _encoder.encode
"""Renders a string as it stands in an event."""


render_response: Callable[[Response], bytes] = _encoder.encode
"""Renders the body of a JSON answer."""

render_event: Callable[[Event], bytes] = _encoder.encode
"""Renders the JSON of one stream event."""


def render_events(events: Iterable[Event]) -> bytes:
    """Render the JSON of several stream events, with a line end after each; spares the hot path a call for each."""
    return _encoder.encode_lines(events)


render_texts: Callable[[Iterable[str]], bytes] = _encoder.encode_lines
"""Renders strings as they stand in events, with a line end after each."""


render_document: Callable[[object], bytes] = _encoder.encode
"""Renders plain values, and amounts of `render_usd` among them."""


def render_usd(amount: NanoUsd) -> object:
    """Render an amount in a document: a number of USD, exact, without an exponent, of nine decimals at most."""
    return msgspec.Raw(f"{dollars_of(amount):f}".encode())


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
