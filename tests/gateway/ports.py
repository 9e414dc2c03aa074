"""Ports of this machine that a process of tests has for itself.

The kernel gives ports from 32768 up to whoever connects or listens on none in particular. One that is asked for there
and given back for a gateway to listen on may be another's before it does, or while it is restarted.
"""

from __future__ import annotations

import functools
import itertools
import socket
from collections.abc import Iterator

_RANGES = range(10_000, 32_000, 500)


def free_port() -> int:
    """A port that nobody listens on, and that no other process of tests takes."""
    _, ports = _own_range()
    for port in itertools.islice(ports, _RANGES.step):
        if (bound := _bound(port)) is not None:
            bound.close()
            return port
    raise AssertionError("all ports of the range are taken")


@functools.cache
def _own_range() -> tuple[socket.socket, Iterator[int]]:
    """A socket that keeps others from a range for as long as this process lives, and what is in the range, in turns."""
    for first in _RANGES:
        if (guard := _bound(first)) is not None:
            return guard, itertools.cycle(range(first + 1, first + _RANGES.step))
    raise AssertionError("all ranges of ports are taken")


def _bound(port: int) -> socket.socket | None:
    """A socket that is bound to a port; None where another is."""
    bound = socket.socket()
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        return None
    return bound
