"""Single signs and words of JSON as models write it: what is legal, and what a word that is not stands for.

All patterns are linear: none has a choice between two ways to read the same characters.

What `*+` and `?+` repeat ends in `|(?!)`, which never fits. Before 3.11.5, and so in the Python of Debian 12, a
repetition that failed half-way kept what it had read (python/cpython#106052, seen 2026-11-28); before another choice is
tried, it is given back.
"""

from __future__ import annotations

import json
import re
from typing import Final

_NO_SIGNS: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u2060\u3000\ufeff"
NO_SIGN: Final = re.compile(f"[{_NO_SIGNS}]++")
"""What is neither white space of JSON nor anything to see."""

GAP: Final = re.compile(rf"(?:[ \t\r\n{_NO_SIGNS}]++|\\[nrt]|(?!))*+")
"""What stands between two tokens: white space, also where it is written as an escape, and nothing to see."""

_SPACE: Final = r"[ \t\r\n]*+"
_ATOM: Final = r"(?:-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++|(?!))?+(?:[eE][+-]?[0-9]++|(?!))?+|true|false|null)"
SPACE: Final = re.compile(_SPACE)
BRACKET: Final = re.compile(rf"[{{\[]{_SPACE}")
COMMA: Final = re.compile(f',{_SPACE}(")?')
"""A comma with the white space after it, and with a quote that follows: as good as a key or a text of a list."""
DELIMITER: Final = re.compile(f'"{_SPACE}(?:(:{_SPACE})|(}})|(\\])|((?:,{_SPACE}|(?!))?+\\Z))')
"""A quote and the delimiter that shows without more that the text has ended: after a key, in an object, in a list.
Or the end of what has come, which leaves that open."""

_PLAIN: Final = {
    quote: rf'(?:[^"\\\x00-\x1f{also}]++|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{{4}}|(?!))*+'
    for quote, also in (('"', ""), ("'", "'"), ("`", "`"), ("“", "“”"), ("‘", "’"))
}
PLAIN: Final = {quote: re.compile(pattern) for quote, pattern in _PLAIN.items()}
"""By the quote that opened a text, a run of what stands in it as JSON has it."""

_TEXT: Final = _PLAIN['"']
_NEXT_KEY: Final = f'"{_SPACE},{_SPACE}"{_TEXT}'
_ENDED: Final = rf"(?={_SPACE}[,\]}}])"
_COLON: Final = f'"{_SPACE}:{_SPACE}'
_MEMBERS: Final = (
    f'(?:{_COLON}(?:"{_TEXT}"|{_ATOM}){_SPACE},{_SPACE}"{_TEXT}|(?!))*+'
    f'(?:{_COLON}()(?:("{_TEXT})|({_ATOM}{_ENDED})|(?!))?+|(?!))?+'
)
KEY_RUN: Final = re.compile(f"{_TEXT}(){_MEMBERS}")
VALUE_RUN: Final = re.compile(f"{_TEXT}(?:({_NEXT_KEY}){_MEMBERS}|(?!))?+")
LIST_RUN: Final = re.compile(f"{_TEXT}(?:{_NEXT_KEY}|(?!))*+")
"""From within a key, a member's text or a list's, a run of whole legal members. It ends in the same text, or, by the
last group: 1 in a key, 2 behind the colon of one, 3 in a member's text, 4 behind its number or literal."""

CLOSERS: Final = {'"': '"', "'": "'", "`": "`", "“": "”“", "‘": "’"}
"""By the quote that opened a text, those that may end it; a plain quote ends one that smart quotes began, too."""

ATOM: Final = re.compile(f"{_ATOM}{_ENDED}")
ATOM_RUN: Final = re.compile(f'{_ATOM}{_ENDED}(?:{_SPACE},{_SPACE}"{_TEXT}(){_MEMBERS}|(?!))?+')
ATOM_LIST_RUN: Final = re.compile(f"{_ATOM}{_ENDED}(?:{_SPACE},{_SPACE}{_ATOM}{_ENDED}|(?!))*+")
"""In an object or a list, a number or literal that is legal and the legal members after it; it ends behind the first,
or as said above."""

BARE: Final = re.compile(r'[^,\[\]{}"\\\n\r]*+')
BARE_KEY: Final = re.compile(r'[^:=,{}\[\]"\\\n\r]*+')
ASIDE: Final = re.compile(r"//|/\*|(?<=[ \t])#")
ELLIPSIS: Final = re.compile(r"\.++(?![0-9])|…++")
ESCAPE_BEGUN: Final = re.compile(r"\\(?:u[0-9A-Fa-f]{0,3})?\Z")

_NUMBER: Final = re.compile(rf"(?!true|false|null){_ATOM}\Z")
_HEX: Final = re.compile(r"([+-]?)0[xX]([0-9A-Fa-f]{1,256})\Z")
_ODD_NUMBER: Final = re.compile(r"([+-]?)0*+([0-9][0-9_]*+|(?=\.[0-9])|(?<=0))(?:\.([0-9]*+))?([eE][+-]?[0-9]++)?\Z")
_WORDS: Final = {"true": "true", "false": "false", "null": "null"} | dict.fromkeys(
    ("none", "nan", "undefined", "infinity", "inf", "+infinity", "-infinity", "+inf", "-inf", "-nan", "nil"), "null"
)


def atom_of(word: str) -> str | None:
    """A word as the number or literal that it stands for; None where it is a text."""
    if _NUMBER.match(word):
        return word
    if (literal := _WORDS.get(word.lower())) is not None:
        return literal
    if (hexadecimal := _HEX.match(word)) is not None:
        return str(int(hexadecimal[1] + hexadecimal[2], 16))
    if (odd := _ODD_NUMBER.match(word)) is None:
        return None
    sign, whole, part, power = odd.groups()
    fraction = f".{part}" if part else ""
    return f"{'-' if sign == '-' else ''}{whole.replace('_', '') or '0'}{fraction}{power or ''}"


def quoted(text: str) -> str:
    """A text as JSON writes it."""
    return json.dumps(text, ensure_ascii=False)


def escaped(sign: str) -> str:
    """One sign as it may stand in a text."""
    return json.dumps(sign, ensure_ascii=False)[1:-1]


def is_json(text: str) -> bool:
    """Whether a text is legal JSON; what is nested too deep to be read counts as none."""
    try:
        json.loads(text, parse_int=len, parse_float=len, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(word: str) -> object:
    raise ValueError(word)
