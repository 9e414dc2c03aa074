"""An error on its way out, in the words of the face that was asked."""

from __future__ import annotations

from starlette.types import Send

from trunkline.errors import GatewayError
from trunkline.faces.contract import Face, Lines
from trunkline.faces.lines import line
from trunkline.server.cycle import Cycle, Field


def tell_error(cycle: Cycle, error: GatewayError, *, closes: bool = False) -> None:
    """Tell an error as a whole answer, to the owner of the key where it is known who calls, with its record's id.

    `closes` says that no other answer follows on the connection. The listener ends the connection by itself when the
    request's body was not read.
    """
    refusal = cycle.face.refuse(error, cycle.request_id, cycle.owner)
    lines = refusal.lines + _request_line(cycle.request_id)
    if cycle.generation_id is not None:
        lines += line(b"x-generation-id", cycle.generation_id)
    cycle.whole(refusal.status, lines, refusal.body, closes=closes)


async def send_error(
    send: Send,
    error: GatewayError,
    request_id: str,
    *,
    face: Face,
    user_id: str | None = None,
    closes: bool = False,
    more_lines: Lines = b"",
) -> None:
    """Tell an error, as `tell_error` does, where ASGI messages are sent."""
    status, lines, body = face.refuse(error, request_id, user_id)
    lines += _request_line(request_id) + more_lines + (b"connection: close\r\n" if closes else b"")
    headers = [*fields_of(lines), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def fields_of(lines: Lines) -> list[Field]:
    """Take header lines apart."""
    fields = (each.partition(b": ") for each in lines.split(b"\r\n")[:-1])
    return [(name, value) for name, _, value in fields]


def _request_line(request_id: str) -> Lines:
    return b"x-request-id: %b\r\n" % request_id.encode()
