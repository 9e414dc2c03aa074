"""Waiting for a claim to come true, in place of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(claim: Callable[[], bool], complaint: str, within_s: float = 5.0) -> None:
    """Wait for a claim to come true."""
    end = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < end, complaint
        time.sleep(0.005)
