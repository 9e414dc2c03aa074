"""The text of a key: how one of ours is made, what it is known to be without a look-up, and what is said of one.

Ours is `tl-`, 43 characters that stand for 32 random bytes, and 6 that are the CRC-32 of the 46 before them, in base
62. So a slip of a hand is seen without the store, and scanners for leaked secrets know a key of ours for sure. What is
shorter or longer is an operator's own, or was made before there was a checksum.
"""

from __future__ import annotations

import secrets
from typing import Final
from zlib import crc32

MAX_KEY_LENGTH: Final = 256
MIN_KEY_LENGTH: Final = 20
"""Shortest key an operator may bring; with fewer characters a keyed hash is not enough protection."""

BEGINNING: Final = "tl-"
LENGTH: Final = 52

NO_KEY: Final = "No API key was sent. Send one as 'Authorization: Bearer tl-…'."
NO_BEARER: Final = "'Bearer ' is missing. Send the key as 'Authorization: Bearer tl-…'."

SHOWN_LETTERS: Final = 6
"""How much of a key that is refused is told: enough to see which one a program took, too little to be one."""

_CHECKED: Final = 46
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_key_text() -> str:
    """Make the text of a new key."""
    begun = f"{BEGINNING}{secrets.token_urlsafe(32)}"
    return begun + checksum(begun)


def checksum(begun: str) -> str:
    """The last six characters of a key: CRC-32, the most significant digit first."""
    left, digits = crc32(begun.encode()), ""
    for _ in range(LENGTH - _CHECKED):
        left, digit = divmod(left, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


def is_mistyped(text: str) -> bool:
    """Whether a text has the form of a key of ours and is none, as its checksum tells."""
    if len(text) != LENGTH or not text.startswith(BEGINNING) or not text.isascii():
        return False
    return checksum(text[:_CHECKED]) != text[_CHECKED:]


def check_given(text: str) -> None:
    """Raise ValueError for a key of the operator's own that is too short, cannot be sent, or looks like one of ours."""
    if not MIN_KEY_LENGTH <= len(text) <= MAX_KEY_LENGTH - 7 or not text.isascii() or not text.isprintable():
        raise ValueError(f"a key has at least {MIN_KEY_LENGTH} letters, digits or signs, and no line break")
    if is_mistyped(text):
        raise ValueError(
            f"a key that begins with {BEGINNING} and has {LENGTH} characters ends in a checksum, which this one does "
            "not; take another length"
        )


def unreadable(authorization: str | None) -> str:
    """Say what is wrong with an `Authorization` header that holds no key."""
    if authorization is None or not authorization.strip():
        return NO_KEY
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() != "bearer":
        return NO_BEARER
    return unknown(rest)


def unknown(text: str) -> str:
    """Say that a key is not known, with its first letters: of a short one, or of one that is not plain text, none."""
    if not text.strip():
        return NO_KEY
    begun = text.strip()[:SHOWN_LETTERS]
    is_tellable = len(text.strip()) >= MIN_KEY_LENGTH and begun.isascii() and begun.isprintable()
    hint = f" (it begins with {begun}…)" if is_tellable else ""
    return f"A key was sent that this gateway does not know{hint}. Send one that `trunkline keys list` shows as good."
