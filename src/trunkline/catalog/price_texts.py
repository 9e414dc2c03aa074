"""A price as a text that is kept beside what was charged by it, and back: the same text for the same price, always."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from msgspec import Struct

from trunkline.catalog.prices import Price

_MAX_ID: Final = 2**63 - 1
_decode = msgspec.json.Decoder(Price).decode


def write_price(price: Price) -> str:
    """Write a price; what it does not say is left out."""
    told = _said(price)
    if price.tiers:
        told["tiers"] = [_said(tier) for tier in price.tiers]
    return msgspec.json.encode(told, order="sorted").decode()


def read_price(text: str) -> Price:
    """Read what `write_price` wrote, in this version or an earlier one."""
    return _decode(text)


def fingerprint_of(endpoint_id: str, text: str) -> bytes:
    """What a price of an endpoint is known by: 32 bytes."""
    return hashlib.sha256(b"%b\0%b" % (endpoint_id.encode(), text.encode())).digest()


def id_of(fingerprint: bytes) -> int:
    """The number of a price: made of what it says, so that every node numbers it alike without asking."""
    return int.from_bytes(fingerprint[:8]) & _MAX_ID


def _said(part: Struct) -> dict[str, object]:
    return {name: value for name, value in msgspec.structs.asdict(part).items() if value is not None and value != ()}
