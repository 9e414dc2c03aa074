"""What a provider calls its answer, in every dialect: what its invoices and its support know the request by."""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from trunkline.wire import UNREADABLE

_MAX_LENGTH = 256


class _Named(Struct):
    id: str | None = None


class _Message(Struct):
    """The members that hold it: `id` in most; the object that a first event tells of; Gemini's and Cohere's own."""

    id: str | int | None = None
    message: _Named | str | None = None
    response: _Named | str | None = None
    response_id: str | None = msgspec.field(name="responseId", default=None)
    generation_id: str | None = None


_FIRST = re.compile(rb'\s*\{\s*"id"\s*:\s*"([!#-\[\]-~]{1,%d})"\s*[,}]' % _MAX_LENGTH)
"""An `id` that stands before all else, in letters that JSON writes as they are."""

_decode = msgspec.json.Decoder(_Message).decode


def read_answer_id(data: bytes) -> str | None:
    """Read it from a whole answer, or from a message of a stream before the first output; None where it is not told."""
    # Most name it first, and the rest of an answer may be long.
    if (first := _FIRST.match(data)) is not None:
        return first[1].decode()
    try:
        told = _decode(data)
    except UNREADABLE:
        return None
    for about in (told.message, told.response, told):
        if isinstance(about, Struct) and isinstance(about.id, str) and about.id:
            return about.id[:_MAX_LENGTH]
    return (told.response_id or told.generation_id or "")[:_MAX_LENGTH] or None
