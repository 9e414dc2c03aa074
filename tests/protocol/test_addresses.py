"""Which addresses anybody may be at."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.protocol.addresses import is_public, is_public_host

PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]

PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.9.8.7",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "::ffff:0:8.8.8.8",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
    "2606:4700::1%eth0",
    "127.1",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_is_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_is_public_that_the_standard_library_calls_private(address: IPv4Address | IPv6Address) -> None:
    told = ip_address(str(address))
    is_nat64 = isinstance(told, IPv6Address) and str(told).startswith("64:ff9b::")
    if told.is_private and not is_nat64 and getattr(told, "ipv4_mapped", None) is None:
        assert not is_public(str(address))


@pytest.mark.parametrize(
    ("host", "is_anybodys"),
    [
        ("a.example", True),
        ("A.Example.", True),
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("localhost", False),
        ("x.localhost", False),
        ("vllm", False),
        ("gpu.internal", False),
        ("printer.local.", False),
        ("10.0.0.5", False),
        ("[::1]", False),
        ("0x7f.1", False),
        ("", False),
    ],
)
def test_hosts_as_they_are_written(host: str, is_anybodys: bool) -> None:
    assert is_public_host(host) == is_anybodys
