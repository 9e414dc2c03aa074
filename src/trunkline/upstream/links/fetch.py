"""Files that clients link to: fetched from public addresses only, within bounds of size, time and number.

The one way to a link that somebody else wrote, for all parts of the gateway. It does not decide which links are
fetched (`adapters/encoding/links.py`), nor does it turn them into anything.

What is guarded. A link is read once, strictly, and taken apart; the request is made from those parts, so that checker
and client cannot read it differently. Its host is resolved once, every address found must be public, and only those
addresses are connected to. Redirects are followed here, each checked as if the client had written it. Nothing of ours
goes along: no key, no cookie, no proxy. What is fetched counts as unpacked, and its type is what its bytes say.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from typing import Final, TypeAlias
from urllib.parse import urljoin

from trunkline.adapters.encoding.links import Wanted
from trunkline.adapters.media import media_type_of, sniffed
from trunkline.errors import BadRequest, ClientError, PayloadTooLarge
from trunkline.protocol.addresses import Link, is_public, read_link
from trunkline.stream.unpacking import PIECE_BYTES, NotUnpacked, Unpacker
from trunkline.upstream.links.late import LinkClient, LinkReply
from trunkline.upstream.links.pictures import examined, is_examinable
from trunkline.upstream.shares import Claim, Places
from trunkline.upstream.transport import UpstreamFailure

Resolve: TypeAlias = Callable[[str, Claim], Awaitable[Sequence[str]]]
"""Host name, and for whom → numeric addresses; raises OSError."""

_HEADERS: Final = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "trunkline"}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True)
class Limits:
    """Bytes of one file and of all files of a request, unpacked; seconds for all files of a request; fetches at once.

    `per_server` and `total` count over all requests; a server is an address and a port, whatever names lead to it.
    """

    max_bytes: int = 20 * 10**6
    max_total_bytes: int = 60 * 10**6
    deadline_s: float = 30.0
    max_redirects: int = 5
    per_request: int = 8
    per_server: int = 8
    total: int = 64


@dataclass(frozen=True)
class Fetched:
    """A file; `media_type` is what its bytes say, else what the server said."""

    media_type: str
    body: bytes

    @property
    def data_url(self) -> str:
        return f"data:{self.media_type};base64,{b64encode(self.body).decode('ascii')}"


class Fetcher:
    """Fetches links for all requests of the process."""

    def __init__(
        self,
        client: LinkClient,
        limits: Limits,
        resolve: Resolve,
        *,
        is_allowed: Callable[[str], bool] = is_public,
    ) -> None:
        """Take the client that connects, what finds the addresses of names, and the rule for addresses."""
        self._client = client
        self._limits = limits
        self._resolve = resolve
        self._is_allowed = is_allowed
        self._places = Places(limits.total, limits.per_server)

    async def fetch(self, wanted: Sequence[Wanted], deadline: float, *, account: str = "") -> list[Fetched]:
        """Fetch all files of a request of `account`, in their order; the first failure ends them all.

        Raises BadRequest and PayloadTooLarge.
        """
        until = min(deadline, asyncio.get_running_loop().time() + self._limits.deadline_s)
        gate = asyncio.Semaphore(self._limits.per_request)
        room = _Room(self._limits.max_total_bytes, Claim(account, gate))
        tasks = [asyncio.create_task(self._fetch_one(each, gate, room, until)) for each in wanted]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            tasks.clear()  # an error of one would keep this frame, and all that was fetched

    async def _fetch_one(self, wanted: Wanted, gate: asyncio.Semaphore, room: _Room, until: float) -> Fetched:
        try:
            async with asyncio.timeout_at(until), gate:
                return _checked(wanted, *await self._followed(wanted, room))
        except TimeoutError:
            raise _undelivered(wanted, "it did not come in time") from None
        except UpstreamFailure as failure:
            raise _undelivered(wanted, failure.fault.message) from None

    async def _followed(self, wanted: Wanted, room: _Room) -> tuple[str, bytes]:
        """Follow a link to its end: the type that the server names, and the body."""
        url = wanted.url
        for _ in range(self._limits.max_redirects + 1):
            try:
                link = read_link(url)
            except ValueError as error:
                raise _invalid(wanted, f"{error}" if url == wanted.url else "redirects to what is no link") from None
            addresses = await self._addresses(wanted, link, room.claim)
            async with self._places.taken(_claim_on(room.claim, addresses, link.port)):
                reply = await self._client.get(link.url, _HEADERS, addresses)
                try:
                    if reply.status not in _REDIRECTS:
                        body = await self._read(wanted, reply, room)
                        return reply.headers.get("content-type", "") or media_type_of(link.target) or "", body
                    url = urljoin(link.url, reply.headers.get("location", ""))
                finally:
                    reply.close()
        raise _undelivered(wanted, "it redirects too often")

    async def _addresses(self, wanted: Wanted, link: Link, claim: Claim) -> Sequence[str]:
        """The addresses of a link's host; that a private name exists is not told."""
        try:
            found = [link.host] if link.is_numeric else await self._resolve(link.host, claim)
        except OSError:
            found = []
        if not found or not all(map(self._is_allowed, found)):
            raise _invalid(wanted, "leads to no public address")
        return found

    async def _read(self, wanted: Wanted, reply: LinkReply, room: _Room) -> bytes:
        if reply.status != 200:
            raise _undelivered(wanted, f"its server answered with status {reply.status}")
        limit = self._limits.max_bytes
        declared = reply.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise self._too_large(wanted)
        unpack = _unpacker(wanted, reply.headers.get("content-encoding", ""), limit)
        body = bytearray()
        try:
            while piece := await _next_piece(reply, unpack):
                body += piece
                room.left -= len(piece)
                if len(body) > limit or room.left < 0:
                    raise self._too_large(wanted)
        except NotUnpacked as error:
            if error.reason == "too_large":
                raise self._too_large(wanted) from None
            why = "it is cut off" if error.reason == "cut_off" else "it cannot be unpacked"
            raise _undelivered(wanted, why) from None
        return bytes(body)

    def _too_large(self, wanted: Wanted) -> ClientError:
        bounds = f"{self._limits.max_bytes} bytes each, {self._limits.max_total_bytes} together"
        metadata = {"param": wanted.param} if wanted.param else None
        message = f"what the links lead to is larger than the gateway takes ({bounds})"
        return PayloadTooLarge(message, kind=f"{wanted.noun}_file_too_large", metadata=metadata)


def _claim_on(claim: Claim, addresses: Sequence[str], port: int) -> Claim:
    """The claim on a place at a server, at whichever of its addresses it will answer."""
    servers = tuple(f"{address} {port}" for address in addresses)
    return replace(claim, servers=servers, networks=tuple({_network(address) for address in addresses}))


def _network(address: str) -> str:
    """Whoever has one address of an IPv6 network of 64 bits has them all."""
    return address if "." in address else str(IPv6Address(int(IPv6Address(address)) >> 64 << 64))


@dataclass
class _Room:
    """How many bytes the files of one request may still have, and in whose name they are fetched."""

    left: int
    claim: Claim


async def _next_piece(reply: LinkReply, unpack: Unpacker | None) -> bytes:
    """What comes next, unpacked; empty at the end. Raises NotUnpacked."""
    if unpack is None:
        return await reply.read()
    while not (piece := unpack.take()):
        chunk = await reply.read()
        if not chunk:
            unpack.end()
            break
        unpack.feed(chunk)
    if len(piece) == PIECE_BYTES:
        await asyncio.sleep(0)
    return piece


def _unpacker(wanted: Wanted, encoding: str, max_bytes: int) -> Unpacker | None:
    """Some servers pack what was asked for unpacked; one layer that can be unpacked piece by piece is borne."""
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return Unpacker(max_bytes)
        case _:
            raise _undelivered(wanted, "it is packed in a way that nobody asked for")


def _checked(wanted: Wanted, declared: str, body: bytes) -> Fetched:
    """Say what the bytes are, or refuse them."""
    if not body:
        raise _refused(wanted, f"empty_{wanted.noun}_file", "is empty")
    told = declared.partition(";")[0].strip().lower()
    is_believed = wanted.noun != "image" and _MEDIA_TYPE.fullmatch(told)
    media_type = sniffed(b64encode(body[:48]).decode("ascii")) or (told if is_believed else "")
    if wanted.noun != "file" and not media_type.startswith(f"{wanted.noun}/"):
        raise _refused(wanted, f"unsupported_{wanted.noun}_media_type", f"is not a known kind of {wanted.noun}")
    if is_examinable(media_type):
        picture = examined(body, media_type)
        if picture is None or (not picture.is_too_large and not picture.is_whole):
            raise _refused(wanted, "image_parse_error", "is a picture that is damaged or cut off")
        if picture.is_too_large:
            raise _refused(wanted, "image_too_large", "has too many pixels or frames")
    return Fetched(media_type or "application/octet-stream", body)


def _refused(wanted: Wanted, kind: str, complaint: str) -> BadRequest:
    return BadRequest(f"the {wanted.noun} {complaint}", param=wanted.param, kind=kind)


def _invalid(wanted: Wanted, complaint: str) -> BadRequest:
    return BadRequest(f"the link {complaint}", param=wanted.param, kind=f"invalid_{wanted.noun}_url")


def _undelivered(wanted: Wanted, reason: str) -> BadRequest:
    message = f"the {wanted.noun} could not be downloaded: {reason}"
    return BadRequest(message, param=wanted.param, kind=f"failed_to_download_{wanted.noun}")
