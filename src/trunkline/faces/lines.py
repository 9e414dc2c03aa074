"""Header lines that the answers of several faces have."""

from __future__ import annotations

import math

from trunkline.errors import GatewayError, RateLimited, Unauthorized
from trunkline.faces.contract import Lines

JSON: Lines = b"content-type: application/json\r\n"
"""What every answer says that is neither a stream nor a page."""


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
    return lines
