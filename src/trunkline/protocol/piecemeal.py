"""Large JSON, decoded and encoded piece by piece: the same as in one call, which would take too long.

One call of the decoder or encoder is over before any other thread gets a word in, and most of what it takes for a long
string is the system's work for memory that is new. Here containers are gone into until what is left of each is small,
and a long string grows in place, by a piece at a time.

Theory of operation. To decode, each long string is exchanged for a short one that the client cannot have sent, since
it begins with U+0000, which is looked for before. The rest is decoded by the decoder that decodes all bodies, and so is
each piece of a long string, between quotes of its own; then the strings are put where their stand-ins are. So nothing
hangs on where strings were thought to be: a document is what it was taken for if the rest is JSON, each stand-in is a
value in it, and all pieces are strings. If any of that fails nothing is said of why: the one call that is made then
says it as it always does. To encode, strings are exchanged for a byte that JSON text does not hold, and written in its
place.

A text grows in place while one local variable alone has it, and bytes do in a `BytesIO`, which gives them away as they
are. Where an interpreter knows neither, or is being traced, the same comes of it, slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from trunkline.protocol.items import Json
from trunkline.protocol.scanning import LONG_BYTES, is_escaped

Encode = Callable[[Any], bytes]

SMALL_BYTES: Final = 400_000
"""So many are decoded or encoded in one call."""

_LEVELS: Final = 4
"""How deep containers are gone into, each level of which is read once more: to the parts of an item of the input."""

_ENTRIES: Final = 32
"""So many entries of a list are encoded in one call."""

_PIECE: Final = 32 * 1024
"""So much of a string is worked on at once. Pieces that are larger are new memory each, which takes twice the time."""

_ROOM_BYTES: Final = 1024 * 1024
_LETTERS_OF_ESCAPE: Final = 6
_MARK: Final = b"\0"
_PLACE: Final = msgspec.Raw(b'"' + _MARK + b'"')
_PLAIN: Final = frozenset((bool, int, float, type(None)))
_UNREADABLE: Final = (RecursionError, UnicodeDecodeError, msgspec.MsgspecError)
_decode = msgspec.json.Decoder().decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_entries = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode_text = msgspec.json.Encoder().encode


def decode_piecemeal(body: bytes | bytearray, spans: Sequence[tuple[int, int]]) -> Json | None:
    """Decode a document whose long strings stand at `spans`, without their quotes; None where that does not work out.

    Where there are any the document must be without U+0000 in any spelling.
    """
    try:
        value = _decoded(_with_stand_ins(body, spans) if spans else body, _LEVELS)
        texts = [_text(body, start, end) for start, end in spans]
    except _UNREADABLE:
        return None
    left = dict(enumerate(texts))
    if type(value) is dict or type(value) is list:
        _put_back(value, left)
    return None if left else value


def encode_piecemeal(body: dict[str, Json], encode: Encode, *, has_long_texts: bool) -> bytes:
    """Encode what is large; `encode` does all that is short. Long strings are looked for where there may be any."""
    texts: list[str] = []
    short = _without_texts(body, texts) if has_long_texts else body
    left = iter(texts)
    out = BytesIO()
    # Room that the system gives grows where it is; what begins smaller is moved once, when it is megabytes.
    out.seek(_ROOM_BYTES)
    out.write(_MARK)
    out.seek(0)
    for part in _parts(short, encode):
        before, *others = part.split(_MARK)
        out.write(before)
        for behind in others:
            text = next(left)
            for at in range(0, len(text), _PIECE):
                out.write(_encode_text(text[at : at + _PIECE])[1:-1])
            out.write(behind)
    out.truncate()
    return out.getvalue()


def is_encoded_as(value: dict[str, Json], body: bytes | bytearray, encode: Encode) -> bool:
    """Whether these are the bytes that a large value is encoded to."""
    at = 0
    for part in _parts(value, encode):
        if body[at : at + len(part)] != part:
            return False
        at += len(part)
    return at == len(body)


# Decoding


def _with_stand_ins(body: bytes | bytearray, spans: Sequence[tuple[int, int]]) -> bytes:
    short: list[bytes | bytearray] = []
    done = 0
    for number, (start, end) in enumerate(spans):
        short += (body[done:start], b"\\u0000%d" % number)
        done = end
    return b"".join((*short, body[done:]))


def _decoded(text: bytes | bytearray | msgspec.Raw, levels: int) -> Json:
    """Decode a value, going so many levels into it. Raises what the decoder does."""
    with memoryview(text) as view:
        size, first = len(view), bytes(view[:1])
    if size > SMALL_BYTES and levels:
        if first == b"{":
            return {key: _decoded(member, levels - 1) for key, member in _decode_members(text).items()}
        if first == b"[":
            return [_decoded(entry, levels - 1) for entry in _decode_entries(text)]
    return _decode(text)


def _text(body: bytes | bytearray, start: int, end: int) -> str:
    """Decode what stands between two quotes. Raises what the decoder does."""
    text = ""
    # With `for`: from the jumps of a `while` CPython does not learn that a text can grow in place.
    for piece in _pieces(body, start, end):
        text += _decode_text(piece)
    return text


def _pieces(body: bytes | bytearray, start: int, end: int) -> Iterator[bytes]:
    with memoryview(body) as view:
        while start < end:
            cut = _end_of_piece(body, start, end)
            yield b"".join((b'"', view[start:cut], b'"'))
            start = cut


def _end_of_piece(body: bytes | bytearray, start: int, end: int) -> int:
    """Cut off a piece that ends with a whole character, the second half of a pair of surrogates with the first."""
    cut = start + _PIECE
    if cut >= end:
        return end
    while cut > start and body[cut] & 0xC0 == 0x80:
        cut -= 1
    last = body.rfind(b"\\", cut - _LETTERS_OF_ESCAPE + 1, cut)
    if last >= 0:
        size = _LETTERS_OF_ESCAPE if body[last + 1 : last + 2] == b"u" else 2
        if last + size > cut and not is_escaped(body, last, start):
            cut = last
    if body[cut : cut + 3].lower() == b"\\ud" and body[cut + 3 : cut + 4] in b"cCdDeEfF":
        cut -= _LETTERS_OF_ESCAPE
    # What is no text may have no such place.
    return cut if cut > start else end


def _put_back(value: Json, texts: dict[int, str]) -> None:
    """Put texts where their stand-ins are, and take them out of `texts`."""
    open_: list[Json] = [value]
    while open_ and texts:
        container = open_.pop()
        for key, member in container.items() if type(container) is dict else enumerate(container):
            kind = type(member)
            if kind is str:
                if member.startswith("\0"):
                    container[key] = texts.pop(int(member[1:]))
            elif kind is dict or kind is list:
                open_.append(member)


# Encoding


def _parts(body: dict[str, Json], encode: Encode) -> Iterator[bytes]:
    """Encode an object in parts, which follow one another."""
    before = b"{"
    for key, member in body.items():
        yield before + encode(key) + b":"
        before = b","
        if type(member) not in (list, tuple) or len(member) <= _ENTRIES:
            yield encode(member)
            continue
        for at in range(0, len(member), _ENTRIES):
            yield (b"," if at else b"[") + encode(member[at : at + _ENTRIES])[1:-1]
        yield b"]"
    yield b"}" if body else b"{}"


def _without_texts(value: Any, texts: list[str]) -> Any:
    """A value with a mark for each long string, which are added to `texts` in the order they are written in.

    What holds none stays as it is: a struct would say what it leaves out by default.
    """
    kind = type(value)
    before = len(texts)
    short: Any = value
    if kind is str:
        if len(value) >= LONG_BYTES:
            texts.append(value)
            return _PLACE
    elif kind is dict:
        short = {
            name: member if type(member) in _PLAIN else _without_texts(member, texts) for name, member in value.items()
        }
    elif kind is list or kind is tuple:
        short = [_without_texts(member, texts) for member in value]
    elif isinstance(value, msgspec.Struct):
        members = {name: _without_texts(getattr(value, name), texts) for name in value.__struct_fields__}
        short = replace(value, **members) if len(texts) > before else value
    return short if len(texts) > before else value
