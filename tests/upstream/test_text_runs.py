"""A text that goes on: heard and told without deltas and events, it must come to the same to the byte.

Two drivers hear the same reads. One asks first whether a read only goes on with the text; the other never does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.record import MEDIA_TYPES, Cassette, cassettes, encode
from tests.routing.catalogs import endpoint
from tests.stream.deltas_strategy import ENDED, assembler
from trunkline.adapters.contract import Decoder
from trunkline.adapters.decoding.answers import AnswerDecoder, FenceDecoder
from trunkline.adapters.decoding.restoring import RestoringDecoder
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect
from trunkline.errors import BadGateway
from trunkline.faces.responses.telling import ResponsesTelling
from trunkline.protocol.items import Json
from trunkline.protocol.request import Request
from trunkline.upstream.hearing import Hearing
from trunkline.wire import UpstreamRequest

pytestmark = pytest.mark.law

SENT = UpstreamRequest("POST", "https://api.acme.example/v1/x", {}, b"{}")
ANSWERS = [
    (cassette, suffix)
    for cassette in cassettes()
    if cassette.status < 300
    for suffix in cassette.answers
    if suffix == ".sse"
]
every_answer = pytest.mark.parametrize(
    ("cassette", "suffix"), ANSWERS, ids=[cassette.name + suffix for cassette, suffix in ANSWERS]
)


@dataclass
class Told:
    """What a client got, read by read, with the marks that the attempt looks at, and how many reads went on."""

    pieces: list[bytes] = field(default_factory=list)
    marks: list[object] = field(default_factory=list)
    runs: int = 0


def drive(
    hearing: Hearing, reads: Iterable[bytes], *, asks: bool, is_stream: bool = True, broken: bool = False
) -> Told:
    telling, told = ResponsesTelling(assembler(is_stream=is_stream), lambda: ENDED), Told()

    def note(piece: bytes) -> None:
        told.pieces.append(piece)
        told.marks.append((hearing.usage, hearing.has_progressed, hearing.has_spoken, hearing.is_over, hearing.fault))

    for read in filter(None, reads):
        if hearing.is_over:
            break
        texts = hearing.continued(read) if asks else None
        if texts is not None:
            assert all(texts)
            told.runs += 1
            note(telling.go_on(texts))
            continue
        batch = hearing.feed(read)
        note(telling.feed(batch) if batch else b"")
    if not broken:
        batch = [] if hearing.is_over else hearing.ended()
        end = telling.fail(BadGateway("gone"), batch) if hearing.fault else telling.end(batch)
        note(end)
    return told


def check(new: Callable[[], Hearing], reads: Sequence[bytes]) -> int:
    """Both drivers tell the same, as a stream and whole; gives how many reads went on."""
    asked = drive(new(), reads, asks=True)
    fed = drive(new(), reads, asks=False)
    assert (asked.pieces, asked.marks) == (fed.pieces, fed.marks)
    whole = drive(new(), reads, asks=True, is_stream=False)
    assert whole.pieces == drive(new(), reads, asks=False, is_stream=False).pieces
    return asked.runs


def check_at_once(new: Callable[[], Hearing], reads: Sequence[bytes]) -> None:
    """All in one read is told as read by read."""
    at_once, one_by_one = drive(new(), [b"".join(reads)], asks=True), drive(new(), reads, asks=False)
    assert b"".join(at_once.pieces) == b"".join(one_by_one.pieces)


def cut(answer: bytes, places: Iterable[int]) -> list[bytes]:
    at = sorted(places)
    return [answer[start:end] for start, end in zip([0, *at], [*at, len(answer)], strict=True)]


def by_message(answer: bytes) -> list[bytes]:
    """One read for each message, as the servers of models mostly write."""
    answer = answer.replace(b"\r\n", b"\n")
    return [message + b"\n\n" for message in answer.split(b"\n\n") if message]


def recorded(cassette: Cassette) -> Callable[[], Hearing]:
    sent, adapter = encode(cassette), ADAPTERS[cassette.endpoint.dialect]

    def new() -> Hearing:
        request, where = cassette.request, cassette.endpoint
        cap, stop = request.max_output_tokens, request.stop
        return Hearing(adapter.decoder(request, where), where, sent, MEDIA_TYPES[".sse"], cap, stop)

    return new


@every_answer
@settings(max_examples=2)
@given(data=st.data())
def test_every_recorded_answer_is_told_alike_however_it_is_cut(
    cassette: Cassette, suffix: str, data: st.DataObject
) -> None:
    answer, new = cassette.answers[suffix], recorded(cassette)
    check(new, by_message(answer))
    check(new, cut(answer, data.draw(st.sets(st.integers(0, len(answer)), max_size=12))))
    ends = [end + 2 for end in range(len(answer)) if answer.startswith(b"\n\n", end)]
    check(new, cut(answer, data.draw(st.sets(st.sampled_from(ends)))) if ends else [answer])


@dataclass(frozen=True)
class Wire:
    """One upstream language: what stands before and after a text, and a message that adds to it."""

    dialect: Dialect
    before: Sequence[Json]
    token: Callable[[str, int], dict[str, Json]]
    after: Sequence[Json]
    is_named: bool = False
    other: Sequence[Callable[[dict[str, Json]], Json]] = ()

    def frame(self, message: Json, separators: tuple[str, str] = (",", ":")) -> bytes:
        if isinstance(message, bytes):
            return message
        name = f"event: {message['type']}\n" if self.is_named else ""
        text = json.dumps(message, ensure_ascii=False, separators=separators)
        return f"{name}data: {text}\n\n".encode()

    def new(self, request: Request, around: Callable[[Decoder], Decoder] = lambda decoder: decoder) -> Hearing:
        where = replace(endpoint(), dialect=self.dialect)
        decoder = around(ADAPTERS[self.dialect].decoder(request, where))
        return Hearing(decoder, where, SENT, "text/event-stream", request.max_output_tokens, request.stop)


def put(at: Sequence[str | int], name: str, value: Json) -> Callable[[dict[str, Json]], Json]:
    """A message with one more member, or another value of it, at a place."""

    def changed(message: dict[str, Json]) -> Json:
        copy = json.loads(json.dumps(message))
        spot = copy
        for step in at:
            spot = spot[step]
        spot[name] = value
        return copy

    return changed


def _chat(delta: Json, finish: str | None = None) -> dict[str, Json]:
    return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _said(text: str, count: int = 0, **more: Json) -> dict[str, Json]:
    usage = {"promptTokenCount": 3, "candidatesTokenCount": count}
    return {"candidates": [{"content": {"parts": [{"text": text}]}, **more}], "usageMetadata": usage}


_CHOICE: Sequence[str | int] = ("choices", 0)
_PIECE: Sequence[str | int] = ("choices", 0, "delta")
_PART: Sequence[str | int] = ("candidates", 0, "content", "parts", 0)
_TEXT = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
_USAGE = {"input_tokens": 3, "output_tokens": 2}

WIRES = [
    Wire(
        "chat",
        [_chat({"role": "assistant", "content": "One"})],
        lambda text, number: _chat({"content": text}),
        [
            _chat({}, "stop"),
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
            b"data: [DONE]\n\n",
        ],
        other=[
            put((), "usage", {"prompt_tokens": 3, "completion_tokens": 1}),
            put((), "error", {"message": "busy", "code": 503}),
            put((), "service_tier", "flex"),
            put((), "obfuscation", "a"),
            put((), "choices", []),
            put(_CHOICE, "finish_reason", "stop"),
            put(_CHOICE, "logprobs", {"content": [{"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}]}),
            put(_CHOICE, "index", 1),
            put(_PIECE, "tool_calls", [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]),
            put(_PIECE, "reasoning_content", "hm"),
            put(_PIECE, "refusal", "no"),
            put(_PIECE, "content", ["a"]),
            put(_PIECE, "content", None),
            put(_PIECE, "annotations", [{"type": "url_citation", "url_citation": {"url": "https://a.example"}}]),
        ],
    ),
    Wire(
        "responses",
        [
            {"type": "response.created", "response": {"status": "in_progress"}},
            {"type": "response.output_item.added", "output_index": 0, "item": {"id": "msg_1", "type": "message"}},
            {"type": "response.output_text.delta", **_TEXT, "delta": "One"},
        ],
        lambda text, number: {
            "type": "response.output_text.delta",
            "sequence_number": number,
            **_TEXT,
            "delta": text,
            "logprobs": [],
            "obfuscation": "abc"[: number % 4],
        },
        [{"type": "response.completed", "response": {"status": "completed", "usage": _USAGE}}],
        is_named=True,
        other=[
            put((), "content_index", 1),
            put((), "output_index", 1),
            put((), "type", "response.reasoning_text.delta"),
            put((), "type", "response.output_text.done"),
            put((), "type", "error"),
            put((), "delta", 7),
            put((), "logprobs", [{"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}]),
        ],
    ),
    Wire(
        "messages",
        [
            {"type": "message_start", "message": {"usage": {"input_tokens": 3}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "One"}},
        ],
        lambda text, number: {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": text},
        },
        [
            {"type": "content_block_stop", "index": 0},
            {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Two"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Late"}},
            {
                "type": "content_block_delta",
                "index": 1,
                "delta": {
                    "type": "citations_delta",
                    "citation": {"type": "web_search_result_location", "url": "https://a.example", "title": "A"},
                },
            },
            {"type": "content_block_stop", "index": 1},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
            {"type": "message_stop"},
        ],
        is_named=True,
        other=[
            put((), "index", 1),
            put(("delta",), "type", "thinking_delta"),
            put(("delta",), "text", None),
            put((), "type", "ping"),
            put((), "type", "content_block_stop"),
            put((), "type", "message_stop"),
        ],
    ),
    Wire(
        "gemini",
        [_said("One", 1)],
        _said,
        [_said("", 9, finishReason="STOP")],
        other=[
            put((), "error", {"code": 503, "message": "busy", "status": "UNAVAILABLE"}),
            put((), "candidates", []),
            put((), "candidates", _said("a")["candidates"] * 2),
            put(("candidates", 0), "finishReason", "STOP"),
            put(("candidates", 0), "groundingMetadata", {"webSearchQueries": ["a"]}),
            put(("candidates", 0), "content", {"parts": [{"text": "a"}, {"text": "b"}]}),
            put(_PART, "thought", True),
            put(_PART, "thoughtSignature", "c2ln"),
            put(_PART, "functionCall", {"name": "f", "args": {}}),
        ],
    ),
]
every_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.dialect)

TEXTS = st.one_of(
    st.sampled_from(
        ["", " many", '"', "\\", "\\u0041", "\u2028", "\n\n", "\x7f", "\xa0", "\U0001f600", "é", "\x00", "x" * 40]
    ),
    st.text(max_size=12),
)
REQUESTS = [
    Request(input=()),
    Request(input=(), max_output_tokens=4),
    Request(input=(), max_output_tokens=400),
    Request(input=(), stop=("any", "zz")),
]


@every_wire
@settings(max_examples=40)
@given(
    texts=st.lists(TEXTS, max_size=30),
    spaces=st.sampled_from([(",", ":"), (", ", ": ")]),
    request=st.sampled_from(REQUESTS),
    data=st.data(),
)
def test_any_texts_are_told_alike(
    wire: Wire, texts: list[str], spaces: tuple[str, str], request: Request, data: st.DataObject
) -> None:
    said = [*wire.before, *(wire.token(text, number) for number, text in enumerate(texts)), *wire.after]
    reads = [wire.frame(message, spaces) for message in said]
    check(lambda: wire.new(request), reads)
    if not request.stop and request.max_output_tokens is None:
        check_at_once(lambda: wire.new(request), reads)
    check(lambda: wire.new(request), cut(b"".join(reads), _ends(reads, data.draw(st.sets(st.integers(0, len(reads)))))))


@every_wire
@settings(max_examples=40)
@given(data=st.data())
def test_a_message_that_says_anything_else_is_heard_in_full(wire: Wire, data: st.DataObject) -> None:
    tokens = [wire.token(text, number) for number, text in enumerate("abcdefghijklmnopqrstuvwxyz")]
    for place in data.draw(st.sets(st.integers(1, 25), min_size=1, max_size=2)):
        tokens[place] = data.draw(st.sampled_from(wire.other))(tokens[place])
    reads = [wire.frame(message) for message in [*wire.before, *tokens, *wire.after]]
    check(lambda: wire.new(REQUESTS[0]), reads)
    check_at_once(lambda: wire.new(REQUESTS[0]), reads)
    check(lambda: wire.new(REQUESTS[0]), [b"".join(reads[start : start + 2]) for start in range(0, len(reads), 2)])


@every_wire
@settings(max_examples=40)
@given(data=st.data())
def test_bytes_that_are_wrong_are_wrong_by_both_ways(wire: Wire, data: st.DataObject) -> None:
    tokens = [wire.frame(wire.token(text, number)) for number, text in enumerate(["abc", "def", "ghi", "jkl"])]
    broken = bytearray(tokens[2])
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(broken) - 1))
        broken[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    reads = [*map(wire.frame, wire.before), *tokens[:2], bytes(broken), tokens[3], *map(wire.frame, wire.after)]
    check(lambda: wire.new(REQUESTS[0]), reads)


AROUND: Mapping[str, Callable[[Any], Any]] = {
    "restoring": lambda decoder: RestoringDecoder(decoder, {}),
    "a fence": FenceDecoder,
    "an answer as a call": lambda decoder: AnswerDecoder(decoder, "answer"),
}


@every_wire
@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
@settings(max_examples=15)
@given(texts=st.lists(st.sampled_from(["```", "json\n", "a", "`", "``", "\n", " b"]), max_size=8))
def test_what_stands_around_a_decoder_hears_all_it_has_to(
    wire: Wire, around: Callable[[Decoder], Decoder], texts: list[str]
) -> None:
    said = [*wire.before, *(wire.token(text, number) for number, text in enumerate(texts)), *wire.after]
    check(lambda: wire.new(REQUESTS[0], around), [*map(wire.frame, said)])


@every_wire
def test_a_text_that_goes_on_is_a_run(wire: Wire) -> None:
    tokens = [wire.frame(wire.token(text, number)) for number, text in enumerate(["a", "b", '"', "é", "c", "d", "\n"])]
    before, after = b"".join(map(wire.frame, wire.before)), b"".join(map(wire.frame, wire.after))
    assert check(lambda: wire.new(REQUESTS[2]), [before, *tokens, after]) == len(tokens)
    assert check(lambda: wire.new(REQUESTS[2]), [before, b"".join(tokens), after]) == 1
    assert check(lambda: wire.new(REQUESTS[3]), [before, *tokens, after]) == 0


def _ends(reads: Sequence[bytes], places: Iterable[int]) -> list[int]:
    """Where so many of the reads have ended."""
    return [sum(map(len, reads[:place])) for place in places]
