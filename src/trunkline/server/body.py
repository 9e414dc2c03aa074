"""A request's head and body, read within bounds before anything is made of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.types import Message, Receive, Scope

from trunkline.errors import BadRequest, ClientError, PayloadTooLarge, RequestTimeout, Unauthorized
from trunkline.server.edge import IS_WHOLE
from trunkline.stream.unpacking import PIECE_BYTES, NotUnpacked, Unpacker
from trunkline.upstream.aside import Aside

_SMALL_BYTES = 256_000
_MEGABYTE = 1_000_000


class ClientLeft(Exception):
    """The client closed the connection before its request was whole."""


@dataclass(frozen=True)
class Bounds:
    """What a request may take: bytes, and seconds. `body_s` is for a megabyte of the body, `whole_body_s` for all."""

    max_body_bytes: int
    body_s: float
    whole_body_s: float
    deadline_s: float
    grace_s: float
    keep_alive_s: float


class Body(Protocol):
    """Where the bytes go; it may refuse them."""

    @property
    def size(self) -> int: ...

    def expect(self, told_bytes: int) -> None: ...

    def add(self, chunk: bytes) -> None: ...


@dataclass(slots=True)
class Head:
    """The header fields that the gateway reads. `is_whole`: the body came along, nothing of it is waited for."""

    authorization: str | None = None
    session_id: str | None = None
    content_type: str = ""
    content_encoding: str = ""
    content_length: int = 0
    is_whole: bool = False


def head_of(scope: Scope) -> Head:
    """Pick the fields out of an ASGI scope; a key in `x-api-key` is read like a Bearer key.

    Raises Unauthorized for two credentials that differ, and for two `authorization` fields: which of them counts must
    not depend on who reads them.
    """
    head = Head(is_whole=IS_WHOLE in scope)
    api_key: str | None = None
    for name, value in scope["headers"]:
        match name:
            case b"authorization":
                if head.authorization is not None:
                    raise Unauthorized("More than one Authorization header. Send one.")
                head.authorization = value.decode("latin-1")
            case b"x-api-key":
                if api_key is not None:
                    raise Unauthorized("More than one x-api-key header. Send one.")
                api_key = value.decode("latin-1").strip()
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
    if api_key is not None:
        _merge(head, f"Bearer {api_key}")
    return head


def _merge(head: Head, authorization: str) -> None:
    """Take a second credential in, if it is the same or the only one."""
    if head.authorization is None:
        head.authorization = authorization
    elif head.authorization[:7].lower() != "bearer " or head.authorization[7:] != authorization[7:]:
        raise Unauthorized("Authorization and x-api-key name different keys. Send one.")


async def read_body(head: Head, receive: Receive, body: Body, bounds: Bounds, aside: Aside) -> None:
    """Read a JSON body; what is left of a large one waits while work is done beside the loop.

    A body in gzip is unpacked as it comes; the bounds hold for what it unpacks to as well. Raises BadRequest for
    another media type or packing and for one that cannot be unpacked, PayloadTooLarge as soon as the bound is known to
    be passed, ServiceUnavailable when there is no room, RequestTimeout when it comes too slowly, ClientLeft when the
    client is gone.
    """
    if not _is_json(head.content_type):
        raise BadRequest(
            f"Content-Type is {head.content_type[:80]!r}. Send the body as JSON, with Content-Type: application/json."
        )
    if head.content_encoding not in ("", "identity", "gzip", "x-gzip"):
        raise BadRequest(
            f"Content-Encoding is {head.content_encoding[:80]!r}. Send the body in gzip, or without Content-Encoding."
        )
    if head.content_length > bounds.max_body_bytes:
        raise _too_large(bounds.max_body_bytes)
    body.expect(head.content_length)
    is_packed = head.content_encoding in ("gzip", "x-gzip")
    if head.is_whole and not is_packed:
        # A limit of time for what is here already would cost more than reading it.
        _add(body, _chunk_of(await receive()), bounds.max_body_bytes)
        return
    last = _now() + bounds.whole_body_s
    try:
        async with asyncio.timeout(min(bounds.body_s, bounds.whole_body_s)) as patience:
            await _gather(
                receive,
                body,
                bounds.max_body_bytes,
                lambda: patience.reschedule(min(_now() + bounds.body_s, last)),
                lambda: patience.reschedule(None),
                aside,
                Unpacker(bounds.max_body_bytes) if is_packed else None,
            )
    except NotUnpacked as error:
        raise _not_unpacked(error, bounds.max_body_bytes) from None
    except TimeoutError:
        raise RequestTimeout(
            f"The request body came too slowly: a megabyte of it may take {bounds.body_s:g} s, all of it"
            f" {bounds.whole_body_s:g} s."
        ) from None


def _is_json(content_type: str) -> bool:
    return content_type in ("", "application/json") or content_type.endswith("+json")


async def _gather(
    receive: Receive,
    body: Body,
    max_bytes: int,
    renew: Callable[[], None],
    suspend: Callable[[], None],
    aside: Aside,
    unpacker: Unpacker | None,
) -> None:
    """Read to the end; `renew` is called for each megabyte that has come, `suspend` while time is not the client's."""
    goal = _MEGABYTE
    packed_bytes = 0
    while True:
        if body.size > _SMALL_BYTES and aside.is_busy:
            suspend()
            await aside.rest()
            renew()
        message = await receive()
        chunk = _chunk_of(message)
        if unpacker is None:
            _add(body, chunk, max_bytes)
        else:
            packed_bytes += len(chunk)
            if packed_bytes > max_bytes:
                raise _too_large(max_bytes)
            unpacker.feed(chunk)
            while piece := unpacker.take():
                _add(body, piece, max_bytes)
                if len(piece) == PIECE_BYTES:
                    await asyncio.sleep(0)
        if not message.get("more_body", False):
            if unpacker is not None:
                unpacker.end()
            return
        if body.size >= goal:
            goal = body.size + _MEGABYTE
            renew()


def _chunk_of(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientLeft
    chunk: bytes = message.get("body", b"")
    return chunk


def _add(body: Body, chunk: bytes, max_bytes: int) -> None:
    if body.size + len(chunk) > max_bytes:
        raise _too_large(max_bytes)
    body.add(chunk)


def _not_unpacked(error: NotUnpacked, max_bytes: int) -> ClientError:
    match error.reason:
        case "corrupt":
            return BadRequest("The body is not gzip, as Content-Encoding says it is.")
        case "cut_off":
            return BadRequest("The gzip body is cut off. Send all of it.")
        case "too_large":
            return _too_large(max_bytes)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body is larger than the {max_bytes} bytes that this gateway takes.")
