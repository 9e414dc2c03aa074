"""Which Internet addresses belong to the public: a pure question, asked before every connection to a client's link.

It resolves nothing. The standard library's `is_global` is not enough: it takes multicast, and addresses that carry
another address inside, for global.

Source: https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry (2026-11-22).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

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
