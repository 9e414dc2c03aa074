"""Whether a quote within JSON text ends the text or belongs to it, told by what follows.

Theory of operation. A model that forgets to escape a quote leaves nothing to tell it by but the signs after it: a text
ends before a delimiter of JSON, and only if what follows the delimiter could follow there. In legal JSON each of these
tests says that the quote ends the text, so nothing that is legal is ever changed by them. Where the signs to tell it by
have not come yet there is no verdict (None), unless none will come.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from trunkline.plugins.json_words import GAP

QUOTES: Final = "\"'“‘`"
_OPENERS: Final = {"}": "{", "]": "["}
_KEY_AHEAD: Final = re.compile(r"[A-Za-z0-9_$][\w$-]*+[ \t]*+(?=([:=])|(\Z))")
_WORD_AHEAD: Final = re.compile(r"[-+.]{0,2}+[\w.+-]*+[ \t\r\n]*+(?:(?=[,\]}/#\\])|(\Z))")
_LITERALS: Final = re.compile(r"[-+.]?[0-9]|(?:true|false|null|none|nan|undefined|infinity|inf)\b", re.IGNORECASE)
_SIGNS: Final = re.compile(r'[{}\[\]]|"(?:[^"\\]++|\\.|(?!))*+"?', re.DOTALL)
_KEY_TEXT: Final = re.compile(r'"([^"\\\n{}\[\]]{0,128}+)(?:(")[ \t\r\n]*+(?:(:)|(\Z))?|(\Z))')


class Place(NamedTuple):
    """Where a quote stands: what is open, whether it may end a key, and how much of the text is there."""

    stack: list[str]
    is_key: bool
    is_all: bool
    """Nothing comes after the text at hand."""

    sees_all: bool
    """All of the answer is at hand, so it is looked at further ahead."""


def ends_text(text: str, quote: int, place: Place) -> bool | None:
    """Whether the quote at this index ends the text that is open; None where more has to be heard first."""
    gap = GAP.match(text, quote + 1)
    assert gap is not None
    at = gap.end()
    if at == len(text):
        return True if place.is_all else None
    sign = text[at]
    if place.is_key:
        return sign in ":=,}" or (at > quote + 1 and sign in "\"{['-0123456789")
    if sign == ",":
        return _goes_on(text, at + 1, place)
    if sign in _OPENERS:
        return _closes(text, at, place)
    if sign == '"':
        return at > quote + 1 and _is_missing_comma(text, at, place)
    if place.stack[-1] == "[" and "\n" in gap[0] and (sign in "{[" or _LITERALS.match(text, at)):
        return True  # a comma is missing at the end of a line
    return _is_aside(text, at, place)


def is_key_ahead(text: str, quote: int) -> bool:
    """Whether a short text that a quote begins here is followed by a colon."""
    key = _KEY_TEXT.match(text, quote)
    return key is not None and key[3] is not None


def _closes(text: str, at: int, place: Place) -> bool:
    """Whether a closer is one: it has something to close, and what follows could follow."""
    if _OPENERS[text[at]] not in place.stack:
        return False
    if not place.sees_all or len(place.stack) < 2:
        return True
    gap = GAP.match(text, at + 1)
    assert gap is not None
    return gap.end() == len(text) or text[gap.end()] in ',}]"{[`/#;'


def _goes_on(text: str, at: int, place: Place) -> bool | None:
    """Whether what stands after a comma can be the next key, or the next value."""
    gap = GAP.match(text, at)
    assert gap is not None
    at = gap.end()
    if at == len(text):
        return True if place.is_all else None
    sign, is_object = text[at], place.stack[-1] == "{"
    if sign == '"':
        return not (place.sees_all and is_object) or is_key_ahead(text, at) or not _KEY_TEXT.match(text, at)
    if sign in QUOTES or sign == ",":
        return True
    if sign in _OPENERS:
        return _OPENERS[sign] in place.stack
    if sign in "{[":
        return not is_object or place.stack[-2:-1] == ["["]
    if (aside := _is_aside(text, at, place)) is not False:
        return aside
    return _is_bare_key(text, at, place) if is_object else _is_bare_value(text, at, place)


def _is_bare_key(text: str, at: int, place: Place) -> bool | None:
    key = _KEY_AHEAD.match(text, at)
    if key is None:
        return False
    return True if key[1] else False if place.is_all else None


def _is_bare_value(text: str, at: int, place: Place) -> bool | None:
    word = _WORD_AHEAD.match(text, at)
    if word is None:
        return False
    if word[1] is not None and not place.is_all:
        return None
    return _LITERALS.match(text, at) is not None


def _is_missing_comma(text: str, at: int, place: Place) -> bool | None:
    """Whether another text begins here, though no comma stands before it."""
    if place.stack[-1] == "[":
        return True
    key = _KEY_TEXT.match(text, at)
    if key is None:
        return False
    if key[3]:
        return True
    is_cut = key[4] is not None or key[5] is not None
    return None if is_cut and not place.is_all else False


def _is_aside(text: str, at: int, place: Place) -> bool | None:
    """Whether a comment, an ellipsis or the end of a fence stands here."""
    sign = text[at]
    if sign in "/.\\" and at + 1 == len(text):
        return False if place.is_all else None
    if sign == "#":
        return text[at - 1] in " \t\n"
    return text.startswith(("//", "/*", "..", "```"), at) or sign == "…"


def closers_over(text: str, at: int) -> int:
    """How many more closers than openers stand in the rest of a text, but for those in texts."""
    over = 0
    for found in _SIGNS.finditer(text, at):
        if (sign := found[0]) in _OPENERS:
            over += 1
        elif sign in "{[":
            over -= 1
    return over
