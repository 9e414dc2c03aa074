"""An answer that is kept is what its client was told, to the byte, however it was told and however it ended."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

import pytest

from tests.stream.deltas_strategy import ENDED, assembler
from trunkline.errors import BadGateway
from trunkline.faces.contract import Telling
from trunkline.faces.kept_telling import MAX_PACKED_BYTES, KeptTelling
from trunkline.faces.responses.telling import ResponsesTelling
from trunkline.stream.deltas import Began, Delta, Spent, Stopped, Text, Usage

Ending = Callable[[Telling], bytes]

ENDINGS: dict[str, Ending] = {
    "ended": lambda machine: machine.end([Spent(Usage(output_tokens=2))]),
    "failed": lambda machine: machine.fail(BadGateway("gone")),
}
SAID: dict[str, list[list[Delta]]] = {
    "short": [[Began("m"), Text(0, "Hel")], [Text(0, "lo")], [Stopped("stop")]],
    "long": [[Began("m"), Text(0, "word " * 60_000)], [Stopped("stop")]],
    "too long a piece": [[Began("m"), Text(0, "word " * 400_000)], [Stopped("stop")]],
    "too long, packed": [
        [Began("m"), Text(0, random.Random(1).randbytes(800_000).hex())],
        [Text(0, random.Random(2).randbytes(800_000).hex())],
        [Stopped("stop")],
    ],
}


def kept_of(said: list[list[Delta]], end: Ending, *, is_stream: bool) -> tuple[bytes, bytes | None]:
    """All that is told, and what is kept of it at the moment at which it is to be committed."""
    machine = KeptTelling(ResponsesTelling(assembler(is_stream=is_stream), lambda: ENDED))
    told = b"".join([*(machine.feed(batch) for batch in said), end(machine)])
    kept = machine.kept()
    while not machine.is_over:
        told += machine.more()
    return told, kept


def told_of(said: list[list[Delta]], end: Ending, *, is_stream: bool) -> bytes:
    machine = ResponsesTelling(assembler(is_stream=is_stream), lambda: ENDED)
    told = b"".join([*(machine.feed(batch) for batch in said), end(machine)])
    while not machine.is_over:
        told += machine.more()
    return told


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("length", SAID)
def test_what_is_kept_is_what_is_told(length: str, ending: str, is_stream: bool) -> None:
    told, kept = kept_of(SAID[length], ENDINGS[ending], is_stream=is_stream)
    assert told == told_of(SAID[length], ENDINGS[ending], is_stream=is_stream)
    if length.startswith("too long"):
        assert kept is None
    else:
        assert kept is not None
        assert len(kept) < MAX_PACKED_BYTES
        assert zlib.decompress(kept) == told


def test_texts_that_go_on_are_kept_in_both_ways() -> None:
    sent: list[bytes] = []
    machine = KeptTelling(ResponsesTelling(assembler(is_stream=True), lambda: ENDED))

    def send(frame: bytes) -> bool:
        sent.append(frame)
        return True

    sent.append(machine.feed([Began("m"), Text(0, "a")]))
    sent.append(machine.go_on(["b", "c"]))
    run = machine.run(send)
    assert all(run.send(text, text.encode()) for text in "def")
    sent.append(machine.feed([Stopped("stop")]))
    sent.append(machine.end())
    kept = machine.kept()
    assert kept is not None
    assert zlib.decompress(kept) == b"".join(sent)
    assert machine.is_over
