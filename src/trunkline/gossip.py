"""What nodes tell each other, as bytes: one MessagePack array for a message, the kind of it first.

A message that cannot be read – of another version, garbled, too large – is none. A kind that comes to mean something
else gets another name; members that are added stand last and have a default, for old and new nodes run side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from trunkline.routing.others import Told

CHANNEL: Final = "trunkline:nodes"
"""What all nodes hear."""

MAX_BYTES: Final = 64 * 1024
"""The largest message; what is more is told in several."""

CONVERSATIONS: Final = 500
"""So many are told in one message."""

MAX_PARTS: Final = 32

_PART_BYTES = 48 * 1024
_ROOM = MAX_BYTES - 1024

_Name = Annotated[str, Meta(max_length=200)]
_Number = Annotated[int, Meta(ge=0, le=2**53)]
_Raw = tuple[msgspec.Raw, ...]


class HealthTold(Struct, frozen=True, gc=False, array_like=True, tag="health"):
    """What a node knows of endpoints. `number` grows with every message of this node."""

    node: _Name
    number: _Number
    told: tuple[Told, ...]


class _HealthPacked(Struct, frozen=True, gc=False, array_like=True, tag="health"):
    node: str
    number: int
    told: _Raw


class Served(Struct, frozen=True, gc=False, array_like=True, tag="served"):
    """Which endpoint served a conversation last: its name, and the place of the endpoint in `endpoint_ids`."""

    node: _Name
    number: _Number
    endpoint_ids: tuple[_Name, ...]
    conversations: tuple[tuple[bytes, _Number], ...]


class Came(Struct, frozen=True, gc=False, array_like=True, tag="came"):
    """A node came, or came back, and knows nothing of others."""

    node: _Name


class Asked(Struct, frozen=True, gc=False, array_like=True, tag="asked"):
    """A node was asked for the explanation of a request that it did not serve; `name` is that of the question."""

    node: _Name
    name: _Name
    response_id: _Name
    account_id: _Name


class Explained(Struct, frozen=True, gc=False, array_like=True, tag="explained"):
    """One of the parts of the answer to a question, counted from 0."""

    name: _Name
    part: _Number
    parts: Annotated[int, Meta(ge=1, le=MAX_PARTS)]
    text: bytes


class Changed(Struct, frozen=True, gc=False, array_like=True, tag="changed"):
    """Keys and accounts that were changed in the store, by their ids."""

    owner_ids: tuple[_Name, ...]


class Relisted(Struct, frozen=True, gc=False, array_like=True, tag="relisted"):
    """The store keeps another list of models than before."""


Message = HealthTold | Served | Came | Asked | Explained | Changed | Relisted

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """Write a message, of which whoever makes it knows that it is small."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message | None:
    """Read a message; None for what is none."""
    if len(data) > MAX_BYTES:
        return None
    try:
        message: Message = _decoder.decode(data)
        return message
    except msgspec.MsgspecError:
        return None


def encode_health(node: str, numbers: Iterator[int], told: Iterable[Told]) -> Iterator[bytes]:
    """Write what is known of endpoints, in as many messages as it takes; each takes a number."""
    packed: list[msgspec.Raw] = []
    size = 0
    for each in told:
        word = _encoder.encode(each)
        if size + len(word) > _ROOM:
            yield _encoder.encode(_HealthPacked(node, next(numbers), tuple(packed)))
            packed, size = [], 0
        packed.append(msgspec.Raw(word))
        size += len(word)
    if packed:
        yield _encoder.encode(_HealthPacked(node, next(numbers), tuple(packed)))


def encode_served(node: str, numbers: Iterator[int], served: Mapping[bytes, str]) -> Iterator[bytes]:
    """Write which endpoint served which conversation, in as many messages as it takes."""
    left = iter(served.items())
    while some := tuple(islice(left, CONVERSATIONS)):
        places = {id: place for place, id in enumerate(dict.fromkeys(id for _, id in some))}
        conversations = tuple([(name, places[id]) for name, id in some])
        yield _encoder.encode(Served(node, next(numbers), tuple(places), conversations))


def decode_served(message: Served) -> Iterator[tuple[bytes, str]]:
    """Each conversation of a message with the endpoint that served it."""
    for name, place in message.conversations:
        if place < len(message.endpoint_ids):
            yield name, message.endpoint_ids[place]


def encode_explained(name: str, text: bytes) -> Sequence[bytes]:
    """Write the answer to a question, in as many messages as it takes; none where that were too many."""
    parts = [text[start : start + _PART_BYTES] for start in range(0, len(text), _PART_BYTES)]
    if len(parts) > MAX_PARTS:
        return ()
    return [_encoder.encode(Explained(name, part, len(parts), each)) for part, each in enumerate(parts)]
