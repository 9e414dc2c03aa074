"""An error on its way out: status, header lines and the envelope of the contract."""

from __future__ import annotations

import math

from starlette.types import Send

from trunkline.errors import GatewayError, RateLimited, Unauthorized
from trunkline.protocol.render import render_error
from trunkline.server.cycle import Cycle, Field, Lines

JSON: Lines = b"content-type: application/json\r\n"
"""What every answer says that is neither a stream nor a page."""


def tell_error(cycle: Cycle, error: GatewayError, *, closes: bool = False) -> None:
    """Tell an error as a whole answer, to the owner of the key where it is known who calls, with its record's id.

    `closes` says that no other answer follows on the connection. The listener ends the connection by itself when the
    request's body was not read.
    """
    lines = _lines_of(error, cycle.request_id)
    if cycle.generation_id is not None:
        lines += line(b"x-generation-id", cycle.generation_id)
    cycle.whole(error.status, lines, render_error(error, cycle.owner), closes=closes)


async def send_error(
    send: Send,
    error: GatewayError,
    request_id: str,
    *,
    user_id: str | None = None,
    closes: bool = False,
    more_lines: Lines = b"",
) -> None:
    """Tell an error, as `tell_error` does, where ASGI messages are sent."""
    body = render_error(error, user_id)
    lines = _lines_of(error, request_id) + more_lines + (b"connection: close\r\n" if closes else b"")
    headers = [*fields_of(lines), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def line(name: bytes, value: str) -> Lines:
    """Write a field whose value is text from elsewhere; of its characters only those stay that may stand in one."""
    printable = value if value.isprintable() else "".join(filter(str.isprintable, value))
    return b"%b: %b\r\n" % (name, printable.encode())


def fields_of(lines: Lines) -> list[Field]:
    """Take header lines apart."""
    fields = (each.partition(b": ") for each in lines.split(b"\r\n")[:-1])
    return [(name, value) for name, _, value in fields]


def _lines_of(error: GatewayError, request_id: str) -> Lines:
    lines = JSON + b"x-request-id: %b\r\n" % request_id.encode()
    if isinstance(error, Unauthorized):
        lines += b'www-authenticate: Bearer realm="trunkline"\r\n'
    if error.retry_after is not None:
        lines += b"retry-after: %d\r\n" % max(1, math.ceil(error.retry_after))
    if isinstance(error, RateLimited):
        for name, figure in error.figures.items():
            lines += line(name.lower().encode(), figure)
    return lines
