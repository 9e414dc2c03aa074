"""An endpoint as its refusal tells it to be, for a request whose client left open what was refused.

It reads no refusal: the numbers come from `decoding/room.py`. Decision 0046.
"""

from __future__ import annotations

from msgspec.structs import replace

from trunkline.catalog.entries import Endpoint
from trunkline.protocol.request import Request

LEAST_ANSWER = 1024
"""With less room than this an answer is of no use; the client is better told that its input is too long."""


def limited(request: Request, endpoint: Endpoint) -> Request:
    """The request with no longer an answer than the endpoint can write.

    A client's own limit is never longer; one that was set by what its credit pays for may be, and would be a 400.
    """
    asked, most = request.max_output_tokens, endpoint.max_output_tokens
    return request if asked is None or most is None or asked <= most else replace(request, max_output_tokens=most)


def unlimited(request: Request) -> Request:
    """The request as a client would have sent it that named no limit of the answer."""
    return replace(request, max_output_tokens=None)


def with_room(request: Request, endpoint: Endpoint, room: int | None) -> Endpoint | None:
    """The endpoint with the limit of output that it told; None: the refusal stands, as of a limit of the client's."""
    if request.max_output_tokens is not None or room is None or room < LEAST_ANSWER:
        return None
    return replace(endpoint, max_output_tokens=room)


def with_budget(request: Request, endpoint: Endpoint, most: int | None) -> Endpoint | None:
    """The endpoint with the most tokens of thought that it told; None: the refusal stands, as of a client's budget."""
    if most is None or (request.reasoning is not None and request.reasoning.max_tokens is not None):
        return None
    least, _ = endpoint.quirks.thinking_budgets or (0, most)
    return replace(endpoint, quirks=replace(endpoint.quirks, thinking_budgets=(least, most)))
