"""Addresses that a client writes: a link taken apart, and which Internet addresses belong to the public.

Nothing is resolved or fetched: `upstream/links/fetch.py` asks the same questions again of every address it connects to.
The standard library's `is_global` is not enough: it takes multicast, and addresses that carry another address inside,
for global.

Source: https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry (2026-11-22).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import quote

from msgspec import Struct

_MAX_LINK: Final = 8_192
_UNSPEAKABLE: Final = re.compile(r"[\x00-\x20\x7f\\]")
_LINK: Final = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE)
_PLACE: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]@%]+))(?::([0-9]{1,5})?)?", re.IGNORECASE)
_NAME: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)*[a-z0-9_][a-z0-9_-]{0,62}")
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_URL_SAFE: Final = "/?:@!$&'()*+,;=-._~%[]"
_STORED: Final = re.compile(r"gs://[a-z0-9._-]{3,222}/[^\x00-\x1f\x7f]{1,1024}")
_PORTS: Final = {"http": 80, "https": 443}
_HOME_NAMES: Final = frozenset({"localhost", "local", "internal"})
"""Last labels that no public name has: RFC 6761, RFC 6762, and what ICANN reserved in 2024."""

_PRIVATE_V4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # behind a carrier's NAT
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local; clouds answer for metadata here
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation, as the next two marked so
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)

_GLOBAL_V6: Final = IPv6Network("2000::/3")
_SPECIAL_V6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo and ORCHID among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4 carries an IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")


class Link(Struct, frozen=True):
    """A link taken apart; `host` is a name in lower-case ASCII or a numeric address, `target` path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def is_numeric(self) -> bool:
        return ":" in self.host or bool(_NUMERIC.fullmatch(self.host.rpartition(".")[2]))

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.target}"


def read_link(text: str) -> Link:
    """Take a link apart. Raises ValueError with what is wrong with it, in words for the client."""
    if len(text) > _MAX_LINK:
        raise ValueError("is longer than a link may be")
    found = _LINK.fullmatch(text) if not _UNSPEAKABLE.search(text) else None
    if found is None:
        raise ValueError("is not an http or https URL")
    scheme, rest = found[1].lower(), found[3] or "/"
    place = _PLACE.fullmatch(found[2])
    if place is None:
        raise ValueError("has credentials or another oddity where its host should be")
    host = _address(place[1], IPv6Address) if place[1] else _host(place[2])
    port = int(place[3]) if place[3] else _PORTS[scheme]
    if port not in _PORTS.values() and not 1024 <= port <= 65535:
        # What listens below 1024 speaks other protocols, and can be made to hear commands in an HTTP request.
        raise ValueError("names a port that is not for the web")
    return Link(scheme, host, port, quote(rest if rest.startswith("/") else f"/{rest}", safe=_URL_SAFE))


def is_stored_link(url: str) -> bool:
    """Whether a link leads into Google's storage, `gs://bucket/object`; only Google's own servers can follow it."""
    return url.startswith("gs://")


def check_stored_link(url: str) -> None:
    """Check that a `gs://` link names a bucket and an object. Raises ValueError, in words for the client.

    https://cloud.google.com/storage/docs/naming-objects (2026-11-27).
    """
    if not _STORED.fullmatch(url):
        raise ValueError("is not of the form gs://bucket/object")


def is_public(address: str) -> bool:
    """Whether anybody may be at this address; what is no address, or has a zone, is not public."""
    try:
        found = ip_address(address) if "%" not in address else None
    except ValueError:
        return False
    match found:
        case IPv4Address():
            return not any(found in network for network in _PRIVATE_V4)
        case IPv6Address() if found in _MAPPED or found in _NAT64:
            return is_public(str(IPv4Address(int(found) & 0xFFFF_FFFF)))
        case IPv6Address():
            return found in _GLOBAL_V6 and not any(found in network for network in _SPECIAL_V6)
        case None:
            return False


def is_public_host(host: str) -> bool:
    """Whether a host may be anybody's by what is written alone; names are not resolved, so some of these are not."""
    name = host.strip("[]").lower().removesuffix(".")
    labels = name.split(".")
    if ":" in name or _NUMERIC.fullmatch(labels[-1]):
        return is_public(name)
    return len(labels) > 1 and labels[-1] not in _HOME_NAMES


def _host(text: str) -> str:
    """A host name as it is resolved; what ends in a number is an address and must be a plain one."""
    try:
        name = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise ValueError("has a host that is no name") from None
    if not _NAME.fullmatch(name) or len(name) > 253:
        raise ValueError("has a host that is no name")
    # The C library takes 127.1, 0x7f.1 and 2130706433 for addresses too; no honest link is written so.
    return _address(name, IPv4Address) if _NUMERIC.fullmatch(name.rpartition(".")[2]) else name


def _address(text: str, kind: type[IPv4Address | IPv6Address]) -> str:
    try:
        return str(kind(text))
    except ValueError:
        raise ValueError("has a host that is neither a name nor a plain address") from None
