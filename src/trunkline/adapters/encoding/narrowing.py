"""How long an answer may be at an endpoint, and the endpoint as its refusal of a limit tells it to be.

It reads no refusal: the numbers come from `decoding/room.py`. Decisions 0046 and 0098.
"""

from __future__ import annotations

from msgspec.structs import replace

from trunkline.catalog.entries import Endpoint
from trunkline.protocol.extent import extent_of
from trunkline.protocol.request import Request
from trunkline.protocol.weighing import tools_weight

LEAST_ANSWER = 1024
"""With less room than this an answer is of no use; the client is better told that its input is too long."""


LEAST_ROOM = 4096
"""Asked for at the least, however long the input seems to be."""

_CHARACTERS_PER_TOKEN = 3
"""Of Claude's tokenizer, rather too few than too many; others put more into one."""

_PART_OF_TOOLS = 4
"""Of a context, the part that tools may take without being weighed."""


def limited(request: Request, endpoint: Endpoint) -> Request:
    """The request with no longer an answer than the endpoint can write, and has room for where the limit is a wish.

    A client's own limit is never longer; one that was set by what its credit pays for may be, and would be a 400.
    """
    asked, most = request.max_output_tokens, endpoint.max_output_tokens
    if asked is None:
        return request
    fitting = asked if most is None else min(asked, most)
    if request.limit_is_wish and endpoint.context_tokens is not None:
        fitting = min(fitting, room_beside(request, endpoint.context_tokens, fitting))
    return request if fitting == asked else replace(request, max_output_tokens=fitting)


def room_beside(request: Request, context_tokens: int, wanted: int) -> int:
    """How long an answer has room beside the input, rather too short than too long.

    Claude before Sonnet 4.5 refuses an input and a limit that together pass the context (docker/docker-agent#569, seen
    2026-11-27), and so does vLLM. Tools are weighed only where less than `wanted` might be left.
    """
    room = context_tokens - extent_of(request).characters // _CHARACTERS_PER_TOKEN
    if request.tools and room - wanted < context_tokens // _PART_OF_TOOLS:
        room -= tools_weight(request)
    return max(room, LEAST_ROOM)


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
