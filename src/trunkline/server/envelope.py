"""An error on its way out: status, headers and the envelope of the contract."""

from __future__ import annotations

import math
from collections.abc import Iterable

from starlette.types import Send

from trunkline.errors import GatewayError, Unauthorized
from trunkline.protocol.render import render_error


async def send_error(
    send: Send,
    error: GatewayError,
    request_id: str,
    *,
    user_id: str | None = None,
    closes: bool = False,
    more_headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Send an error as a whole answer, to the owner of the key, `user_id`, where it is known who calls.

    `closes` says that no other answer follows on the connection.

    The listener ends the connection by itself when the request's body was not read.
    """
    body = render_error(error, user_id)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        *more_headers,
    ]
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b'Bearer realm="trunkline"'))
    if error.retry_after is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after))).encode()))
    if closes:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
