"""A request's head and body, read within bounds before anything is made of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from trunkline.accounts.idempotency import HEADER
from trunkline.errors import BadRequest, ClientError, PayloadTooLarge, RequestTimeout, Unauthorized
from trunkline.money import NanoUsd, nano_of
from trunkline.server.cycle import Cycle, Field
from trunkline.stream.unpacking import PIECE_BYTES, NotUnpacked, Unpacker
from trunkline.upstream.aside import Aside

_SMALL_BYTES = 256_000
_MEGABYTE = 1_000_000
MAX_KEY_LENGTH = 255
MAX_COST = "x-trunkline-max-cost"
_READ = frozenset(
    (
        b"authorization",
        b"x-api-key",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"x-session-id",
        b"idempotency-key",
        MAX_COST.encode(),
    )
)
_GZIP = ("gzip", "x-gzip")
_PACKINGS = ("", "identity", *_GZIP)
_PLAIN_JSON = (b"application/json", b"")
"""How nearly everybody says it, where nothing is to be taken apart."""


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
    """Where the bytes go; it refuses those that are too many."""

    @property
    def size(self) -> int: ...

    def expect(self, told_bytes: int) -> None: ...

    def add(self, chunk: bytes | bytearray) -> None: ...


class Head:
    """The header fields that the gateway reads. `is_packed`: the body comes in gzip; `max_cost` is in USD, as sent."""

    # What a request does not send is the class's: nothing is set for it.
    authorization: str | None = None
    session_id: str | None = None
    max_cost: str | None = None
    idempotency_key: str | None = None
    content_type: bytes = b""
    content_encoding: str = ""
    content_length: int = 0
    is_packed: bool = False


def head_of(fields: Iterable[Field]) -> Head:
    """Pick the fields out; a key in `x-api-key` is read like a Bearer key.

    Raises Unauthorized for two credentials that differ, and for two `authorization` fields: which of them counts must
    not depend on who reads them.
    """
    head = Head()
    api_key: str | None = None
    for name, value in fields:
        if name not in _READ:
            continue
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
                head.content_type = value
            case b"content-length":
                head.content_length = int(value) if value.isdigit() and len(value) < 20 else 0
            case b"content-encoding":
                head.content_encoding = value.decode("latin-1").strip().lower()
                head.is_packed = head.content_encoding in _GZIP
            case b"x-session-id":
                head.session_id = value.decode("latin-1")
            case b"idempotency-key":
                told = value.decode("latin-1").strip()
                head.idempotency_key = told if head.idempotency_key is None else ""  # of two none is taken
            case _:
                # Of two nobody knows which is meant; together they are no amount.
                told = value.decode("latin-1")
                head.max_cost = told if head.max_cost is None else f"{head.max_cost}, {told}"
    if api_key is not None:
        _merge(head, f"Bearer {api_key}")
    return head


def _merge(head: Head, authorization: str) -> None:
    """Take a second credential in, if it is the same or the only one."""
    if head.authorization is None:
        head.authorization = authorization
    elif head.authorization[:7].lower() != "bearer " or head.authorization[7:] != authorization[7:]:
        raise Unauthorized("Authorization and x-api-key name different keys. Send one.")


def check_head(head: Head, bounds: Bounds) -> None:
    """Refuse a body from its head, before it is read.

    Raises BadRequest for another media type or packing, PayloadTooLarge.
    """
    if head.content_type not in _PLAIN_JSON:
        _check_media_type(head.content_type)
    if head.content_encoding not in _PACKINGS:
        raise BadRequest(
            f"Content-Encoding is {head.content_encoding[:80]!r}. Send the body in gzip, or without Content-Encoding."
        )
    if head.content_length > bounds.max_body_bytes:
        raise too_large(bounds.max_body_bytes)


def max_cost_of(told: str) -> NanoUsd:
    """The most that the client wants to pay, from what it sent. Raises BadRequest for what is no amount."""
    try:
        return nano_of(told.strip())
    except ValueError as error:
        raise BadRequest(f"{MAX_COST} is {told[:80]!r}: {error}.", metadata={"header": MAX_COST}) from None


def idempotency_key_of(told: str) -> str:
    """What the client names its request by. Raises BadRequest for what is no such name."""
    if not (0 < len(told) <= MAX_KEY_LENGTH and told.isascii() and told.isprintable()):
        raise BadRequest(
            f"{HEADER} has to be 1 to {MAX_KEY_LENGTH} printable ASCII characters, sent once.",
            metadata={"header": HEADER},
        )
    return told


async def read_body(cycle: Cycle, body: Body, bounds: Bounds, aside: Aside, *, is_packed: bool) -> None:
    """Read a JSON body; what is left of a large one waits while work is done beside the loop.

    A body in gzip is unpacked as it comes; the bounds hold for what it unpacks to as well. Raises BadRequest for one
    that cannot be unpacked, PayloadTooLarge as soon as the bound is known to be passed, ServiceUnavailable when there
    is no room, RequestTimeout when it comes too slowly.
    """
    try:
        await _gather(cycle, body, bounds, aside, Unpacker(bounds.max_body_bytes) if is_packed else None)
    except NotUnpacked as error:
        raise _not_unpacked(error, bounds.max_body_bytes) from None
    except TimeoutError:
        raise RequestTimeout(
            f"The request body came too slowly: a megabyte of it may take {bounds.body_s:g} s, all of it"
            f" {bounds.whole_body_s:g} s."
        ) from None


def _check_media_type(content_type: bytes) -> None:
    kind = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if kind not in ("", "application/json") and not kind.endswith("+json"):
        raise BadRequest(f"Content-Type is {kind[:80]!r}. Send the body as JSON, with Content-Type: application/json.")


async def _gather(cycle: Cycle, body: Body, bounds: Bounds, aside: Aside, unpacker: Unpacker | None) -> None:
    """Read to the end. A megabyte has its time anew when the one before has come, and when the work aside is over."""
    goal = _MEGABYTE
    packed_bytes = 0
    last = _now() + bounds.whole_body_s
    patience = min(_now() + bounds.body_s, last)
    while True:
        chunk = cycle.take()
        if unpacker is None:
            body.add(chunk)
        else:
            packed_bytes += len(chunk)
            if packed_bytes > bounds.max_body_bytes:
                raise too_large(bounds.max_body_bytes)
            await _unpack(bytes(chunk), unpacker, body)
        if not cycle.more_body:
            break
        if body.size >= goal:
            goal = body.size + _MEGABYTE
            patience = min(_now() + bounds.body_s, last)
        if body.size > _SMALL_BYTES and aside.is_busy:
            await aside.rest()
            patience = min(_now() + bounds.body_s, last)
        await cycle.wait(patience)
    if unpacker is not None:
        unpacker.end()


async def _unpack(chunk: bytes, unpacker: Unpacker, body: Body) -> None:
    unpacker.feed(chunk)
    while piece := unpacker.take():
        body.add(piece)
        if len(piece) == PIECE_BYTES:
            await asyncio.sleep(0)


def _not_unpacked(error: NotUnpacked, max_bytes: int) -> ClientError:
    match error.reason:
        case "corrupt":
            return BadRequest("The body is not gzip, as Content-Encoding says it is.")
        case "cut_off":
            return BadRequest("The gzip body is cut off. Send all of it.")
        case "too_large":
            return too_large(max_bytes)


def _now() -> float:
    return asyncio.get_running_loop().time()


def too_large(max_bytes: int) -> PayloadTooLarge:
    """What is told of a body that is larger than any may be."""
    return PayloadTooLarge(f"The request body is larger than the {max_bytes} bytes that this gateway takes.")
