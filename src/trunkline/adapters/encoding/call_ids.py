"""Ids of calls that a dialect takes, in place of those that it would refuse; nobody restores ids of a history."""

from __future__ import annotations

import hashlib
import re

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def fitted_call_id(call_id: str, pattern: re.Pattern[str], length: int) -> str:
    """Give back `call_id`, or a stable hash of it with `length` letters and digits when the dialect would refuse it.

    `pattern` must match the whole of an acceptable id. Call and result get the same answer.
    """
    return call_id if pattern.fullmatch(call_id) else hashed_id(call_id, length)


def hashed_id(text: str, length: int) -> str:
    """A stable id of `length` letters and digits for a text."""
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), "big")
    letters = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        letters.append(_BASE62[rest])
    return "".join(letters)
