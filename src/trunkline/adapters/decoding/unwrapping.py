"""What a function was called with → what the tool it stands for is called with.

A model that is offered a custom tool as a function says `{"input": "…"}` for a raw text, in pieces that are cut
anywhere, also inside an escape. These machines take the pieces; a tool that wants an object waits for all of them.

Theory of operation of `RawText`. *Head*: as long as what came may still become `{"input": "`, it is kept. If it does,
the *text* begins: every piece is told as far as its escapes are whole, a high surrogate waits for its partner. The
first quote may end the text; from there on all is kept (*rest*), until the end shows whether it did. A head that
becomes something else decides what follows: anything but `{` and `"` is *raw* text already, and told as it is; of an
object or a string the end decides (*kept*).

At the end: the rest is a proper end of the object, and the text is whole. Else its quotes were not escaped and belong
to the text, which ends before the last `"}`. What was kept is a JSON
string, or an object, whose `input` counts, else its only member that is text, else (`{}`) nothing; any other JSON, and
what is none, is raw text after all. `null` is nothing.

JSON that ends too early is not mended: half a script is a script. Then `end` is None.

Where a member is said twice the first counts, for it has been told. An escape that JSON does not have stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import Enum
from typing import Protocol

import msgspec

from trunkline.adapters.naming import INPUT
from trunkline.protocol.items import Json
from trunkline.wire import UNREADABLE

_HEAD = re.compile(rf'\s*\{{\s*"{INPUT}"\s*:\s*"')
_BARE_HEAD = f'{{"{INPUT}":"'
_LONGEST_HEAD = 64
"""Characters in which a head must have ended, blanks included."""

_HEX = "[0-9a-fA-F]"
_HALF = rf"(?:\\(?:u{_HEX}{{0,3}})?)"
_HIGH = rf"\\u[dD][89abAB]{_HEX}{{2}}"
_LOW = rf"\\u[dD][c-fC-F]{_HEX}{{2}}"
_WHOLE = re.compile(
    rf'(?:[^"\\]+|\\[^u]|\\u(?![dD][89abAB]){_HEX}{{4}}|{_HIGH}(?!{_HALF}?\Z))*',
    re.DOTALL,
)
"""Text whose escapes are whole, without a high surrogate that nothing follows yet."""

_BEGINNING = re.compile(rf"(?:{_HIGH})?{_HALF}?")
_ESCAPE = re.compile(rf"{_HIGH}{_LOW}|\\u{_HEX}{{4}}|\\.", re.DOTALL)
_LAST_QUOTE = re.compile(r'"\s*\}\s*\Z')
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/"}
_REPLACEMENT = "\ufffd"


class Unwrapping(Protocol):
    """Takes the arguments of one call."""

    def feed(self, text: str) -> str:
        """Take a piece; give what can be told."""
        ...

    def end(self) -> str | None:
        """Give what is left once the call is said to be whole; None where it plainly is not."""
        ...


class _At(Enum):
    HEAD = 1
    TEXT = 2
    REST = 3
    RAW = 4
    KEPT = 5


class RawText:
    """The arguments of a function that stands for a tool that takes raw text."""

    __slots__ = ("_at", "_kept", "_pieces")

    def __init__(self) -> None:
        self._at = _At.HEAD
        self._kept = ""
        self._pieces: list[str] = []

    def feed(self, text: str) -> str:
        match self._at:
            case _At.RAW:
                return text
            case _At.HEAD:
                return self._begun(self._kept + text)
            case _At.TEXT:
                return self._said(self._kept + text)
            case _At.REST | _At.KEPT:
                self._pieces.append(text)
                return ""

    def end(self) -> str | None:
        match self._at:
            case _At.RAW:
                return ""
            case _At.TEXT:
                return None
            case _At.REST:
                return _ended("".join(self._pieces))
            case _At.HEAD:
                return _raw_text_of(self._kept)
            case _At.KEPT:
                return _raw_text_of("".join(self._pieces))

    def _begun(self, kept: str) -> str:
        head = _HEAD.match(kept)
        if head is not None:
            self._at = _At.TEXT
            return self._said(kept[head.end() :])
        self._kept = kept
        bare = "".join(kept.split())
        if (_BARE_HEAD.startswith(bare) or "null".startswith(bare)) and len(kept) <= _LONGEST_HEAD:
            return ""
        if bare.startswith(("{", '"')):
            self._at, self._pieces = _At.KEPT, [kept]
            return ""
        self._at = _At.RAW
        return kept

    def _said(self, kept: str) -> str:
        """Decode the text as far as its escapes are whole."""
        told = ""
        while True:
            place = _WHOLE.match(kept).end()  # type: ignore[union-attr]  # it matches nothing too
            left = kept[place:]
            told += _unescaped(kept[:place])
            if left.startswith('"'):
                self._at, self._pieces = _At.REST, [left[1:]]
                return told
            if _BEGINNING.fullmatch(left):
                self._kept = left
                return told
            # An escape that JSON does not have, as of a `\u` in a path.
            told, kept = told + left[:2], left[2:]


class Object:
    """The arguments of a function that stands for a tool that is called with an object; `shape` makes it."""

    __slots__ = ("_kept", "_shape")

    def __init__(self, shape: Callable[[Json], Json]) -> None:
        self._kept: list[str] = []
        self._shape = shape

    def feed(self, text: str) -> str:
        self._kept.append(text)
        return ""

    def end(self) -> str | None:
        text, self._kept = "".join(self._kept), []
        try:
            said = _read(text) if text.strip() else {}
        except UNREADABLE:
            if _is_cut(text):
                return None
            said = text
        return msgspec.json.encode(self._shape({} if said is None else said)).decode()


def as_query(said: Json) -> Json:
    """What a search for tools is called with; anything but an object is what it looks for."""
    return said if isinstance(said, dict) else {"query": said if isinstance(said, str) else _write(said)}


def as_action(said: Json) -> Json:
    """What a shell is told to do; a command in one piece is a line for a shell."""
    told = said if isinstance(said, dict) else {"command": said}
    told = {name: value for name, value in told.items() if value is not None}
    command = told.get("command", [])
    if not isinstance(command, list):
        command = ["bash", "-lc", command if isinstance(command, str) else _write(command)]
    return {"type": "exec", "env": {}, **told, "command": command} | {"type": "exec"}


def _ended(rest: str) -> str | None:
    """What a text has to say after its first quote, which ended it or did not."""
    whole = f'{{"{INPUT}":""{rest}'
    try:
        _, end = _DECODER.raw_decode(whole)
    except UNREADABLE:
        end = 0
    # A second object is another call, in the place of its own; a brace too many is nothing.
    if end and whole[end:].strip()[:1] in ("", "{", "}"):
        return ""
    last = None if _is_cut(whole) else _LAST_QUOTE.search(rest)
    return None if last is None else '"' + _unescaped(rest[: last.start()])


def _raw_text_of(kept: str) -> str | None:
    try:
        said = _read(kept)
    except UNREADABLE:
        return None if _is_cut(kept) else kept
    match said:
        case None:
            return ""
        case str():
            return said
        case dict() if INPUT in said:
            text = said[INPUT]
            return "" if text is None else text if isinstance(text, str) else _write(text)
        case dict() if len(said) <= 1:
            (text,) = said.values() or ("",)
            return text if isinstance(text, str) else kept
        case _:
            return kept


_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
"""Reads JSON as models write it: with control characters, and the first of two members counts."""


def _read(text: str) -> Json:
    return _mended(_DECODER.decode(text))


def _mended(said: Json) -> Json:
    """Put the members in their order again, and half characters out of the texts."""
    match said:
        case str():
            return said if said.isascii() else said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_mended(each) for each in said]
        case dict():
            return {_mended(name): _mended(each) for name, each in reversed(said.items())}
        case _:
            return said


def _is_cut(text: str) -> bool:
    """Whether this is JSON that ends too early."""
    if not text.lstrip().startswith(("{", "[", '"')):
        return False
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    except UNREADABLE:
        return False
    return False


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: _character(found.group()), text) if "\\" in text else text


def _character(escape: str) -> str:
    if len(escape) == 12:
        high, low = int(escape[2:6], 16), int(escape[8:], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
    if len(escape) == 6:
        code = int(escape[2:], 16)
        return _REPLACEMENT if 0xD800 <= code <= 0xDFFF else chr(code)
    return _ESCAPED.get(escape[1], escape)


def _write(said: Json) -> str:
    return msgspec.json.encode(said).decode()
