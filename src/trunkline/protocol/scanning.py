"""A JSON text looked at without being decoded: the signs outside of its strings, and where its long strings stand.

It is gone through in short pieces, between which other threads get their turn. Of what is no JSON anything may be said:
nothing here is believed before the text was decoded.
"""

from __future__ import annotations

from typing import Final, NamedTuple

LONG_BYTES: Final = 32 * 1024
"""From here on a string is sure to be found long; some are from half of it on."""

_PIECE_BYTES: Final = LONG_BYTES // 2
_WINDOW_BYTES: Final = 256 * 1024
_FEW_BYTES: Final = 32
_NUL: Final = b"\\u0000"
_MAX_NULS: Final = 1_000


class Written(NamedTuple):
    """How many signs stand outside of strings, and each long string between its quotes, from where to where."""

    colons: int
    commas: int
    openings: int
    long_texts: list[tuple[int, int]]


def count_colons(body: bytes | bytearray) -> int:
    """Count the colons of a document that stand outside of strings."""
    if len(body) > _PIECE_BYTES:
        return scan(body).colons
    return b"".join(_between_quotes(body)[::2]).count(b":")


def scan(body: bytes | bytearray) -> Written:
    """Go through a document; of what is not one, at least the signs before it breaks are counted.

    Backslashes occur in strings only. With escaped backslashes, then escaped quotes removed, every quote left opens
    or closes a string, so every other piece between quotes lies outside of strings.
    """
    colons = commas = openings = at = is_inside = 0
    long_texts: list[tuple[int, int]] = []
    begun = 0, 0  # the piece in which the string that is open begins
    while at < len(body):
        end = at + _PIECE_BYTES
        end += is_escaped(body, end, at)
        if is_inside and body.find(b'"', at, end) < 0:
            at = end
            continue
        pieces = _between_quotes(body[at:end])
        outside = b"".join(pieces[is_inside::2])
        colons += outside.count(b":")
        commas += outside.count(b",")
        openings += outside.count(b"[") + outside.count(b"{")
        if len(pieces) > 1:
            if is_inside and begun[1] < at:
                long_texts.append((_last_quote(body, *begun) + 1, _first_quote(body, at)))
            begun = at, end
        is_inside ^= (len(pieces) - 1) & 1
        at = end
    return Written(colons, commas, openings, long_texts)


def may_hold_nul(body: bytes | bytearray) -> bool:
    """Whether the character U+0000 may be spelled in a text, and not only its spelling behind a backslash."""
    if b"\\" not in body:
        return False
    found = 0
    for at in range(0, len(body), _WINDOW_BYTES):
        end = at + _WINDOW_BYTES + len(_NUL) - 1
        while (at := body.find(_NUL, at, end)) >= 0:
            found += 1
            if not is_escaped(body, at, 0) or found > _MAX_NULS:
                return True
            at += 1
    return False


def is_escaped(body: bytes | bytearray, at: int, since: int) -> bool:
    """Whether an odd number of backslashes stands before a place; `since` is one that no escape reaches over."""
    start, size = at, _FEW_BYTES
    while start > since and body[start - 1 : start] == b"\\":
        before = body[max(since, start - size) : start]
        start -= len(before) - len(before.rstrip(b"\\"))
        size = min(2 * size, _PIECE_BYTES)
    return bool((at - start) & 1)


def _between_quotes(text: bytes | bytearray) -> list[bytes] | list[bytearray]:
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return text.split(b'"')


def _first_quote(body: bytes | bytearray, at: int) -> int:
    """Find the first quote from `at` on that no backslash makes a letter of a string."""
    since = at
    at = body.find(b'"', at)
    while at >= 0 and is_escaped(body, at, since):
        at = body.find(b'"', at + 1)
    return at


def _last_quote(body: bytes | bytearray, start: int, end: int) -> int:
    """Find the last such quote of a piece."""
    at = body.rfind(b'"', start, end)
    while at >= 0 and is_escaped(body, at, start):
        at = body.rfind(b'"', start, at)
    return at
