"""Bytes → one JSON object that is safe to read: no duplicate keys, no NUL, bounded in depth and number of values.

What the members mean is for `parse.py`. The size of the body in bytes is bounded at the edge, before it is read.

msgspec refuses broken UTF-8, lone surrogates, `NaN`, numbers out of range and huge integers by itself. It keeps the
last of duplicate keys without a word. What was decoded is therefore encoded again: where that gives the same text, but
for white space between the values, nothing was lost. Numbers and characters can be spelled in several ways, so another
text proves nothing; then the keys are counted twice, in the decoded object and in the text. Outside of strings a colon
stands behind every key and nowhere else, so the second count takes the strings out and counts colons (`scanning.py`).
Both counts are exact; they differ if and only if a key was lost.

Decoding takes seconds for millions of small values. So the text of a large body is looked at first, in pieces, and
refused if there can be too many; then it is decoded piece by piece (`piecemeal.py`), since one call is over before any
other thread gets a word in. For the same reason the text of a very large one is only counted, never made again.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from trunkline.errors import BadRequest
from trunkline.protocol.items import Json
from trunkline.protocol.piecemeal import decode_piecemeal, is_encoded_as
from trunkline.protocol.reading import Step, shown, spelled_path
from trunkline.protocol.scanning import Written, count_colons, may_hold_nul, scan

MAX_DEPTH = 128
MAX_VALUES = 250_000
MAX_INPUT_ITEMS = 10_000

_CONTAINERS = frozenset((dict, list))
_MAX_BYTES_TO_NAME_A_KEY = 1_000_000
_LARGE_BYTES = MAX_VALUES  # in fewer there are not too many
_PIECE_BYTES = 64 * 1024
_FEW_BYTES = 2 * 1024
_MAX_BYTES_TO_REPEAT = 2_000_000
_LONG_TEXT_BYTES = 256
_TOO_DEEP = f"The body is nested too deeply; at most {MAX_DEPTH} levels are taken."


class _Provider(msgspec.Struct):
    max_price: msgspec.Raw


class _Outer(msgspec.Struct):
    provider: _Provider


_outer_decoder = msgspec.json.Decoder(_Outer)
_exact_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder()


class _Duplicate(Exception):
    """Carries the key that occurs twice."""


def decode_object(body: bytes | bytearray) -> tuple[dict[str, Json], bool]:
    """Decode a request body, and say whether long strings are in it (see `piecemeal.py`).

    Raises BadRequest.
    """
    written = _scan_if_large(body) if len(body) > _LARGE_BYTES else None
    may_have_nul = (b"\\" in body and b"\\u0000" in body) if written is None else may_hold_nul(body)
    long_texts = [] if written is None else written.long_texts
    value = decode_piecemeal(body, [] if may_have_nul else long_texts) if len(body) > _LARGE_BYTES else None
    if value is None:
        try:
            value = msgspec.json.decode(body)
        except (RecursionError, UnicodeDecodeError, msgspec.MsgspecError) as error:
            raise _undecodable(body, error) from None
    if not isinstance(value, dict):
        raise BadRequest(f"The body must be a JSON object, not {shown(value)}.")
    items = value.get("input")
    if isinstance(items, list) and len(items) > MAX_INPUT_ITEMS:
        raise too_many_items(len(items))
    # What has few brackets is not nested deeply; but in a small body alone they are sooner counted than levels.
    if len(body) > _FEW_BYTES or body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        _check_depth(value)
    if (len(body) > _LARGE_BYTES or _encoder.encode(value) != body) and _is_key_lost(value, body, written):
        raise BadRequest(_name_duplicate(body))
    if may_have_nul:
        _refuse_nul(value)
    return value, bool(long_texts)


def too_many_items(count: int) -> BadRequest:
    """What is told of an input with more items than any may have."""
    return BadRequest(f"input has {count} items; at most {MAX_INPUT_ITEMS} are taken.", param="input")


def decode_prices(body: bytes | bytearray) -> Json:
    """Decode `provider.max_price`, which must be there, with fractions as Decimal straight from the text."""
    return _exact_decoder.decode(_outer_decoder.decode(body).provider.max_price)


def _undecodable(body: bytes | bytearray, error: Exception) -> BadRequest:
    if isinstance(error, RecursionError):
        return BadRequest(_TOO_DEEP)
    if isinstance(error, UnicodeDecodeError):
        return BadRequest("The body is not UTF-8.")
    if not body.strip():
        return BadRequest("The body is empty; send a JSON object.")
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return BadRequest("The body starts with a byte order mark; send plain UTF-8.")
    reason = str(error)
    return BadRequest(f"The body is not valid JSON: {reason[:1].lower()}{reason[1:]}.")


def _scan_if_large(body: bytes | bytearray) -> Written | None:
    """Count what is written where there may be too many values, and where it is quicker than writing it again."""
    # A member stands behind every comma, and a first one may stand behind every opening bracket.
    if _is_made_of_values(body) and _count_separators(body) <= MAX_VALUES:
        return None
    written = scan(body)
    if written.commas + written.openings > MAX_VALUES:
        raise _too_many()
    return written


def _is_made_of_values(body: bytes | bytearray) -> bool:
    """Whether a large body looks like many values rather than like a few long texts, which are quickly counted."""
    return len(body) <= _MAX_BYTES_TO_REPEAT and body.count(b'"', 0, _PIECE_BYTES) > _PIECE_BYTES // _LONG_TEXT_BYTES


def _count_separators(body: bytes | bytearray) -> int:
    """Count commas and opening brackets, those in strings as well."""
    pieces = (body[at : at + _PIECE_BYTES] for at in range(0, len(body), _PIECE_BYTES))
    return len(body) - sum(len(piece.translate(None, b",[{")) for piece in pieces)


def _check_depth(value: Json) -> None:
    """Refuse what is nested too deeply; it is gone through level by level."""
    level = [value]
    for _ in range(MAX_DEPTH):
        # All members of all containers at once: a turn for each of them takes twice as long.
        level = [member for member in gc.get_referents(*level) if type(member) in _CONTAINERS]
        if not level:
            return
    raise BadRequest(_TOO_DEEP)


def _is_key_lost(value: dict[str, Json], body: bytes | bytearray, written: Written | None) -> bool:
    if written is not None:
        return _count_decoded_keys(value) != written.colons
    is_told = is_encoded_as(value, body, _encoder.encode) if len(body) > _LARGE_BYTES else _is_spaced(value, body)
    return not is_told and _count_decoded_keys(value) != count_colons(body)


def _is_spaced(value: Json, body: bytes | bytearray) -> bool:
    """Whether a body is a value as it is encoded here, but for white space."""
    try:
        return _encoder.encode(value) == msgspec.json.format(body, indent=-1)
    except RecursionError:
        return False  # what was lost was nested more deeply than what is left


def _count_decoded_keys(value: Json) -> int:
    """Count the members of all objects, level by level."""
    keys = 0
    level = [value]
    while level:
        keys += sum(len(container) for container in level if type(container) is dict)
        level = [member for member in gc.get_referents(*level) if type(member) in _CONTAINERS]
    return keys


def _too_many() -> BadRequest:
    return BadRequest(f"The body has too many values; at most {MAX_VALUES} are taken.")


def _name_duplicate(body: bytes | bytearray) -> str:
    """Say which key occurs twice; of a very large body only that there is one, as finding it is slow."""
    if len(body) <= _MAX_BYTES_TO_NAME_A_KEY:
        try:
            json.loads(body, object_pairs_hook=_unique, parse_int=str, parse_float=str)
        except _Duplicate as duplicate:
            return f"The key {shown(duplicate.args[0])} occurs twice in one object of the body."
        except RecursionError:
            return _TOO_DEEP
    return "A key occurs twice in one object of the body."


def _unique(pairs: list[tuple[str, Json]]) -> None:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise _Duplicate(key)
        seen.add(key)


def _refuse_nul(value: Json) -> None:
    for path in _find_nul(value, ()):
        spelled = spelled_path(path)
        raise BadRequest(f"{spelled} must not contain the character U+0000.", param=spelled)


def _find_nul(value: Json, path: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    match value:
        case str():
            if "\0" in value:
                yield path
        case list():
            for index, member in enumerate(value):
                yield from _find_nul(member, (*path, index))
        case dict():
            for key, member in value.items():
                if "\0" in key:
                    yield (*path, key)
                yield from _find_nul(member, (*path, key))
