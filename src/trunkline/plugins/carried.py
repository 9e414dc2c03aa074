"""Carries what searches found to the next request, in the way that every client already keeps: as a sealed thought.

A client that has to run a function of its own replays what it was told, and of a search that is no more than its item.
So the calls and what came of them stand in the `encrypted_content` of a reasoning item, which clients replay byte for
byte; when it comes back they are calls and results again, before anybody is planned or asked:

    tlsearch.v1. base64url(zlib(JSON: [[call_id, name, arguments, output], …])) [the tag of `stream/seals.py`]

Nothing proves that it was written here. A client can write any results into its input as it is, so it gains nothing by
forging one. It is read as a stranger's: bounded while it is unpacked, and passed over where anything is wrong with it.
It goes to no provider as a thought: to all of them it is somebody else's.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple
from zlib import compress, decompressobj
from zlib import error as ZlibError

import msgspec
from msgspec.structs import replace

from trunkline.protocol.items import FunctionCallItem, FunctionCallOutput, InputItem, ReasoningItem
from trunkline.protocol.paths import moved
from trunkline.protocol.request import Request
from trunkline.stream.seals import unseal
from trunkline.wire import UNREADABLE

MARK: Final = "tlsearch.v1."
MAX_PACKED: Final = 48 * 1024
"""Characters, the mark included: clients keep it in every request from then on."""
MAX_UNPACKED: Final = 1024 * 1024
"""Bytes of one item, and together with those before it of all items of a request four times as many."""
_MAX_ALL: Final = 4 * MAX_UNPACKED
_MAX_PAIRS: Final = 128
_URL_SAFE: Final = str.maketrans("+/", "-_")
_PLAIN: Final = str.maketrans("-_", "+/")


class Pair(NamedTuple):
    """A call of the search and what the model was told."""

    call_id: str
    name: str
    arguments: str
    output: str


_read = msgspec.json.Decoder(tuple[Pair, ...]).decode


def pack(pairs: Sequence[Pair]) -> str:
    """Write the pairs, without the oldest where all are too long; empty where there is none to write."""
    first, size = len(pairs), 0
    while first and len(pairs) - first < _MAX_PAIRS and size + _bytes_of(pairs[first - 1]) <= MAX_UNPACKED // 2:
        first -= 1
        size += _bytes_of(pairs[first])
    kept = pairs[first:]
    whole = _packed(kept)
    if len(whole) <= MAX_PACKED:
        return whole if kept else ""
    left_out = bisect_left(range(len(kept)), True, key=lambda n: len(_packed(kept[n:])) <= MAX_PACKED)
    return _packed(kept[left_out:]) if left_out < len(kept) else ""


def unpack(text: str, most: int = MAX_UNPACKED) -> tuple[Pair, ...] | None:
    """Read what `pack` wrote, with the tag of a seal or without; None for anything else, or for more than `most` bytes.

    It costs at most what that many bytes cost, whatever it is.
    """
    if not text.startswith(MARK):
        return None
    tagged = unseal(text)
    packed = (text if tagged is None else tagged.blob)[len(MARK) :]
    if len(packed) > MAX_PACKED:
        return None
    unpacking = decompressobj()
    try:
        said = unpacking.decompress(a2b_base64(packed.translate(_PLAIN), strict_mode=True), most)
        if not unpacking.eof or unpacking.unused_data:
            return None
        pairs = _read(said)
    except (*UNREADABLE, ZlibError):
        return None
    return pairs if 0 < len(pairs) <= _MAX_PAIRS else None


def restored(request: Request) -> Request:
    """The request with each thought that carries results as the calls and results again, without one that cannot be
    read; the same object where there is none."""
    if request.is_text_alone or not any(map(_carries, request.input)):
        return request
    items: list[InputItem] = []
    places: list[int] = []
    left = _MAX_ALL
    for place, item in enumerate(request.input):
        if not _carries(item):
            items.append(item)
            places.append(place)
            continue
        assert isinstance(item, ReasoningItem)
        assert item.encrypted_content
        for pair in unpack(item.encrypted_content, min(left, MAX_UNPACKED)) or ():
            left = max(left - _bytes_of(pair), 1)
            items.append(FunctionCallItem(call_id=pair.call_id, name=pair.name, arguments=pair.arguments))
            items.append(FunctionCallOutput(call_id=pair.call_id, output=pair.output))
            places += (place, place)
    return replace(request, input=tuple(items), measured=None, paths=moved(request.paths, tuple(places)))


def _carries(item: InputItem) -> bool:
    return type(item) is ReasoningItem and bool(item.encrypted_content) and str(item.encrypted_content).startswith(MARK)


def _bytes_of(pair: Pair) -> int:
    return sum(len(text.encode(errors="replace")) for text in pair)


def _packed(pairs: Sequence[Pair]) -> str:
    said = b2a_base64(compress(msgspec.json.encode(pairs)), newline=False).decode()
    return MARK + said.translate(_URL_SAFE)
