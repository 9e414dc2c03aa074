"""Bytes that travel inside a request: data URLs and base64, taken apart and checked.

It does not say what the bytes are; `adapters/media.py` does. Looking at every letter of a large file costs as much as
parsing the whole body, so at parsing only windows of one are looked at (docs/decisions/0028); whoever needs the strict
form has every letter looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_LENIENT: Final = _LETTERS + b"-_ \t\r\n"
_CHUNK: Final = 32_768
"""So many letters at once stay in the processor's cache, and other threads get their turn in between."""

_LARGE: Final = 1_000_000
_WINDOWS: Final = 16
_MAX_HEAD: Final = 256
_EMPTY: Final = "holds no data"
_NOT_BASE64: Final = "holds data that is not base64"
_HEAD: Final = re.compile(r"(?:[\w.+-]+/[\w.+*-]+)?(?: *; *[\w.+-]+(?:=(?:\"[^\"]*\"|[^;\",\x00-\x1f]*))?)*", re.ASCII)


class DataUrl(Struct, frozen=True):
    """A data URL taken apart: the media type in lower case, empty where none is told; the body begins at `start`."""

    media_type: str
    is_base64: bool
    start: int


def is_data_url(url: str) -> bool:
    """Whether the bytes are in the address itself."""
    return url[:5].lower() == "data:"


def split_data_url(url: str) -> DataUrl:
    """Take a data URL apart, the body unread. Raises ValueError in words for the client."""
    comma = url.find(",", 5, _MAX_HEAD)
    if comma < 0:
        raise ValueError("is a data URL without a comma between its media type and its data")
    head = url[5:comma]
    if not _HEAD.fullmatch(head):
        raise ValueError("is a data URL with an odd media type")
    media_type, *parameters = [field.strip().lower() for field in head.split(";")]
    return DataUrl(media_type, "base64" in parameters, comma + 1)


def check_data_url(url: str, *, may_be_text: bool) -> None:
    """Check that a data URL holds something, in base64 or, where it may, as text. Raises ValueError."""
    found = split_data_url(url)
    if found.is_base64:
        check_base64(url, found.start)
    elif not may_be_text:
        raise ValueError("is a data URL without ;base64 before its data")
    elif found.start == len(url):
        raise ValueError(_EMPTY)


def check_base64(text: str, start: int = 0) -> None:
    """Check that a text is base64 from `start` on, in any spelling that `strict_base64` takes.

    Raises ValueError in words for the client.
    """
    if len(text) - start < _LARGE or "%" in text[start : start + _CHUNK]:
        strict_base64(text[start:])
        return
    # Several files in one data URL are joined with commas, which all windows may miss.
    is_one_file = text.isascii() and text.find(",", start) < 0
    if not is_one_file or not all(map(_is_lenient, _windows(text, start))):
        raise ValueError(_NOT_BASE64)


def _windows(text: str, start: int) -> Iterator[str]:
    """Pieces of a large text at even distances, the first and the last among them, without the padding."""
    tail = text[-_CHUNK:].rstrip("= \t\r\n")
    yield tail
    stride = (len(text) - start) // _WINDOWS
    for window in range(_WINDOWS):
        at = start + window * stride
        yield text[at : at + _CHUNK]


def _is_lenient(text: str) -> bool:
    return not text.encode("ascii").translate(None, _LENIENT)


def strict_base64(text: str) -> str:
    """Give back base64 in its strict form: no white space, the plain alphabet, padded.

    Raises ValueError, in words for the client, when it is not base64 or holds nothing.
    """
    if not text:
        raise ValueError(_EMPTY)
    if not text.isascii():
        raise ValueError(_NOT_BASE64)
    if _is_strict(text):
        return text
    tidy = "".join(text.split())
    if "%" in tidy:
        tidy = unquote_to_bytes(tidy).decode("latin-1")
    tidy = tidy.replace("-", "+").replace("_", "/")
    if len(tidy) % 4:
        bare = tidy.rstrip("=")
        tidy = bare + "=" * (-len(bare) % 4)
    if not tidy:
        raise ValueError(_EMPTY)
    if not tidy.isascii() or not _is_strict(tidy):
        raise ValueError(_NOT_BASE64)
    return tidy


def _is_strict(text: str) -> bool:
    """Looks at every letter; five times as fast as decoding."""
    end = len(text) - (2 if text.endswith("==") else text.endswith("="))
    if len(text) % 4 or not end:
        return False
    for start in range(0, end, _CHUNK):
        if text[start : min(start + _CHUNK, end)].encode("ascii").translate(None, _LETTERS):
            return False
    return True
