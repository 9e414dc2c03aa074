"""Header lines that the answers of several faces have."""

from __future__ import annotations

import math
from typing import Final

from trunkline.errors import ClientError, Conflict, GatewayError, RateLimited, Unauthorized
from trunkline.faces.contract import Lines

JSON: Lines = b"content-type: application/json\r\n"
"""What every answer says that is neither a stream nor a page."""

_PASSING: Final = frozenset({408, 409, 429})
"""Of what is the client's fault, that which may be over when it asks again."""


def line(name: bytes, value: str) -> Lines:
    """Write a field whose value is text from elsewhere; of its characters only those stay that may stand in one."""
    printable = value if value.isprintable() else "".join(filter(str.isprintable, value))
    return b"%b: %b\r\n" % (name, printable.encode())


def refusal_lines(error: GatewayError) -> Lines:
    """What the head of an error says, whichever face tells it."""
    lines = JSON
    if isinstance(error, Unauthorized):
        lines += b'www-authenticate: Bearer realm="trunkline"\r\n'
    if error.retry_after is not None:
        lines += b"retry-after: %d\r\n" % max(1, math.ceil(error.retry_after))
    if isinstance(error, RateLimited):
        for name, figure in error.figures.items():
            lines += line(name.lower().encode(), figure)
    return lines + _retry_lines(error)


def _retry_lines(error: GatewayError) -> Lines:
    """Tell the vendors' own clients, which ask again by the status alone, where they had better not.

    A limit that names no time to wait for is smaller than the request; a conflict that names none is for good.
    """
    if error.status in _PASSING:
        is_lasting = isinstance(error, RateLimited | Conflict) and error.retry_after is None
    else:
        is_lasting = isinstance(error, ClientError)
    return b"x-should-retry: false\r\n" if is_lasting else b""
