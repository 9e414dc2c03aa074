"""A request's head and body, read within bounds before anything is made of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Receive, Scope

from trunkline.errors import BadRequest, PayloadTooLarge, RequestTimeout, Unauthorized

_MEGABYTE = 1_000_000


class ClientLeft(Exception):
    """The client closed the connection before its request was whole."""


@dataclass(slots=True)
class Head:
    """The header fields that the gateway reads."""

    authorization: str | None = None
    session_id: str | None = None
    content_type: str = ""
    content_encoding: str = ""
    content_length: int = 0


def head_of(scope: Scope) -> Head:
    """Pick the fields out of an ASGI scope.

    Raises Unauthorized for two `authorization` fields: which of them counts must not depend on who reads them.
    """
    head = Head()
    for name, value in scope["headers"]:
        match name:
            case b"authorization":
                if head.authorization is not None:
                    raise Unauthorized("More than one Authorization header. Send one.")
                head.authorization = value.decode("latin-1")
            case b"content-type":
                head.content_type = value.decode("latin-1").partition(";")[0].strip().lower()
            case b"content-length":
                head.content_length = int(value) if value.isdigit() and len(value) < 20 else 0
            case b"content-encoding":
                head.content_encoding = value.decode("latin-1").strip().lower()
            case b"x-session-id":
                head.session_id = value.decode("latin-1")
            case _:
                pass
    return head


async def read_body(head: Head, receive: Receive, max_bytes: int, limit_s: float) -> bytes:
    """Read a JSON body.

    Raises BadRequest for another media type or a packed body, PayloadTooLarge as soon as the bound is known to be
    passed, RequestTimeout when a megabyte, or what is left of the body, takes longer than `limit_s`, ClientLeft when
    the client is gone.
    """
    if not _is_json(head.content_type):
        raise BadRequest(
            f"Content-Type is {head.content_type[:80]!r}. Send the body as JSON, with Content-Type: application/json."
        )
    if head.content_encoding not in ("", "identity"):
        raise BadRequest("Packed request bodies are not taken. Send the body without Content-Encoding.")
    if head.content_length > max_bytes:
        raise _too_large(max_bytes)
    try:
        async with asyncio.timeout(limit_s) as patience:
            return await _gather(receive, max_bytes, lambda: patience.reschedule(_now() + limit_s))
    except TimeoutError:
        raise RequestTimeout(f"The request body came too slowly: a megabyte of it may take {limit_s:g} s.") from None


def _is_json(content_type: str) -> bool:
    return content_type in ("", "application/json") or content_type.endswith("+json")


async def _gather(receive: Receive, max_bytes: int, renew: Callable[[], None]) -> bytes:
    """Read to the end; `renew` is called for each megabyte that has come."""
    chunks: list[bytes] = []
    size = 0
    goal = _MEGABYTE
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if size >= goal:
            goal = size + _MEGABYTE
            renew()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body is larger than the {max_bytes} bytes that this gateway takes.")
