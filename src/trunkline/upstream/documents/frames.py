"""A document and what it says, as they go between the gateway and a child that reads one.

Both sides use it. The gateway believes nothing of an answer but what `read_answer` lets through.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, Literal, NamedTuple, get_args

Kind = Literal["pdf", "docx", "html"]
Job = Literal["parse", "count"]

Told = Literal["encrypted", "damaged", "empty", "too_many_pages", "too_much_text", "missing"]
"""Why a child did not read a document, as far as it can tell itself."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
JOBS: Final[tuple[Job, ...]] = get_args(Job)
TOLD: Final[tuple[Told, ...]] = get_args(Told)

_ORDER: Final = Struct(">BBI")
_HEAD: Final = Struct(">4sBIII")
_MAGIC: Final = b"DOC1"


class Bounds(NamedTuple):
    """How much a document may have, and say."""

    max_pages: int
    max_text_bytes: int


class Said(NamedTuple):
    """What a document says; nothing where only its pages were counted."""

    text: str
    pages: int
    silent_pages: int


class Refused(Exception):
    """A document is not read."""

    def __init__(self, cause: Told) -> None:
        super().__init__(cause)
        self.cause: Told = cause


class Malformed(Exception):
    """An answer is none."""


def order_of(kind: Kind, job: Job, size: int) -> bytes:
    """What goes before a document."""
    return _ORDER.pack(KINDS.index(kind), JOBS.index(job), size)


ORDER_BYTES: Final = _ORDER.size


def read_order(order: bytes) -> tuple[Kind, Job, int]:
    """The kind of a document, what is to be done with it, and its size."""
    kind, job, size = _ORDER.unpack(order)
    return KINDS[kind], JOBS[job], size


def answer_of(said: Said | Told) -> bytes:
    """What a child answers."""
    if isinstance(said, str):
        return _HEAD.pack(_MAGIC, 1 + TOLD.index(said), 0, 0, 0)
    text = said.text.encode("utf-8", "replace")
    return _HEAD.pack(_MAGIC, 0, said.pages, said.silent_pages, len(text)) + text


def read_answer(heard: bytes | bytearray, bounds: Bounds) -> Said | Told | None:
    """What a child answered; None while the answer is not whole. Raises Malformed, as soon as that is seen."""
    if not _MAGIC.startswith(heard[: len(_MAGIC)]):
        raise Malformed
    if len(heard) < _HEAD.size:
        return None
    code: int
    pages: int
    silent: int
    size: int
    _, code, pages, silent, size = _HEAD.unpack_from(heard)
    if code > len(TOLD) or silent > pages or pages > bounds.max_pages or size > bounds.max_text_bytes:
        raise Malformed
    if code:
        return TOLD[code - 1]
    if len(heard) < _HEAD.size + size:
        return None
    try:
        return Said(str(memoryview(heard)[_HEAD.size : _HEAD.size + size], "utf-8"), pages, silent)
    except UnicodeDecodeError:
        raise Malformed from None
