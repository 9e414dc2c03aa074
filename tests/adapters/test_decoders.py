"""No answer whatever breaks a decoder: it becomes deltas or a fault. Over every dialect, as the table has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.record import MEDIA_TYPES, Cassette, cassettes
from trunkline.adapters.contract import Decoder, begin
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect, Endpoint, Model, Provider
from trunkline.stream.deltas import Began, Delta, Failed, Spent, Text, Usage
from trunkline.stream.framing import framing_for
from trunkline.wire import Fault, UpstreamRequest, WireMessage

pytestmark = pytest.mark.law

DEEP = 100_000
SAMPLES = 2
"""So many recordings of a dialect are changed at every place."""

MAX_BYTES = 2_500
"""Longer answers have too many places."""

ALL = cassettes()

DIALECTS = sorted(ADAPTERS)

BODIES = {
    "nothing": b"",
    "blanks": b" \n",
    "a word": b"hello",
    "null": b"null",
    "true": b"true",
    "a number": b"7",
    "a huge number": b"9" * 400,
    "a number with a huge exponent": b"1e999999",
    "NaN": b"NaN",
    "Infinity": b'{"usage":Infinity}',
    "a string": b'"hello"',
    "half a character": b'"\\ud83d"',
    "the other half": b'{"type":"\\ude00"}',
    "no UTF-8": b'{"type":"\xff\xfe"}',
    "no UTF-8 in a name": b'{"\xc3\x28":1}',
    "a zero byte": b'{"type":"\x00"}',
    "an empty list": b"[]",
    "an empty object": b"{}",
    "a list of nulls": b"[null,null]",
    "cut off": b'{"type":"message_start","choices":[{"delta":{"content":"he',
    "an end mark": b"[DONE]",
    "a page": b"<html><title>Bad gateway</title></html>",
    "deep lists": b"[" * DEEP,
    "deep lists, closed": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP,
    "deep objects, closed": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a deep unknown field": b'{"zzz":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "a deep error": b'{"error":' + b'{"error":' * 900 + b"1" + b"}" * 901,
    "a deep known field": b'{"type":"error","message":' + b"[" * 900 + b"]" * 900 + b"}",
}

STRANGE: dict[str, Any] = {
    "null": None,
    "true": True,
    "a number": -1,
    "a fraction": 0.5,
    "a huge number": 10**400,
    "a word": "x",
    "nothing": "",
    "a list": [None, 1, "x", {}, []],
    "an empty list": [],
    "an object": {"type": 1, "text": [], "id": None},
    "an empty object": {},
    "left out": ...,
}
"""What stands where something else was promised; `...`: nothing does."""

DEEP_VALUES = {
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "lists nearly too deep to be read": b"[" * 700 + b'"x"' + b"]" * 700,
    "objects nearly too deep to be read": b'{"text":' * 700 + b'"x"' + b"}" * 700,
    "half a character": b'"\\ud83d"',
    "no UTF-8": b'"\xff"',
    "NaN": b"NaN",
}


SPENT = Spent(Usage(input_tokens=1))
FAILED = Failed(Fault("unavailable", "no"))
QUILL = Endpoint(
    model=Model(slug="quill"),
    provider=Provider(slug="acme", name="Acme"),
    upstream_model="quill",
    dialect="chat",
    base_url="https://api.acme.example",
)


def of_dialect(dialect: Dialect) -> list[Cassette]:
    return [each for each in ALL if each.endpoint.dialect == dialect and each.status < 300]


def decoders(cassette: Cassette) -> Iterator[Decoder]:
    """A decoder at its beginning, and one whose answer goes on in a further exchange, where there is such a thing."""
    adapter = ADAPTERS[cassette.endpoint.dialect]
    yield adapter.decoder(cassette.request, cassette.endpoint)
    further = adapter.decoder(cassette.request, cassette.endpoint)
    for body in cassette.answers.values():
        list(further.whole(body))
        if next_exchange(further) is not None:
            yield further
        break


def next_exchange(decoder: Decoder, fault: Fault | None = None) -> object:
    sent = UpstreamRequest("POST", "https://api.acme.example/v1", {}, b'{"messages":[]}')
    return decoder.next_exchange(sent, fault)


def hear_all(decoder: Decoder, data: bytes, *, is_whole: bool) -> list[Delta]:
    """Tell a decoder one message, and the end, as an attempt does."""
    deltas = list(decoder.whole(data) if is_whole else decoder.message(WireMessage(None, data)))
    next_exchange(decoder)
    return [*deltas, *decoder.end()]


class TestBodies:
    @pytest.mark.parametrize("is_whole", [True, False], ids=["whole", "message"])
    @pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_D1_no_body_breaks_a_decoder(self, dialect: Dialect, body: bytes, is_whole: bool) -> None:
        for cassette in of_dialect(dialect)[:SAMPLES]:
            for decoder in decoders(cassette):
                deltas = hear_all(decoder, body, is_whole=is_whole)
                faults = [delta.fault for delta in deltas if isinstance(delta, Failed)]
                assert all(msgspec.json.encode(fault) for fault in faults)

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_D1_a_deep_whole_body_is_a_fault(self, dialect: Dialect) -> None:
        for decoder in decoders(of_dialect(dialect)[0]):
            deltas = list(decoder.whole(BODIES["a deep unknown field"]))
            assert [delta.fault.kind for delta in deltas if isinstance(delta, Failed)] == ["nonsense"]

    @pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_D1_no_body_of_an_error_breaks_an_adapter(self, dialect: Dialect, body: bytes) -> None:
        cassette = of_dialect(dialect)[0]
        fault = ADAPTERS[dialect].fault(500, {}, body, cassette.endpoint)
        assert msgspec.json.encode(fault)


@pytest.mark.parametrize("dialect", DIALECTS)
class TestPlaces:
    """Recorded answers with something strange in each place in turn."""

    def test_D1_nothing_strange_anywhere_breaks_a_decoder(self, dialect: Dialect) -> None:
        for cassette in _varied(dialect):
            for suffix in cassette.answers:
                for changed in _changed_answers(cassette, suffix, list(STRANGE.values())):
                    _play(cassette, suffix, changed)

    @pytest.mark.parametrize("value", DEEP_VALUES.values(), ids=DEEP_VALUES)
    def test_D1_nothing_unreadable_anywhere_breaks_a_decoder(self, dialect: Dialect, value: bytes) -> None:
        mark = "stands for what cannot be written"
        for cassette in _varied(dialect)[:1]:
            for suffix in cassette.answers:
                for changed in _changed_answers(cassette, suffix, [mark]):
                    written = [data.replace(json.dumps(mark).encode(), value) for data in changed]
                    _play(cassette, suffix, written)


def _varied(dialect: Dialect) -> list[Cassette]:
    """Some of the recordings that say most, each of another make."""
    sizes = {each.name: max(map(len, each.answers.values()), default=0) for each in of_dialect(dialect)}
    fitting = [each for each in of_dialect(dialect) if 0 < sizes[each.name] < MAX_BYTES]
    return sorted(fitting, key=lambda each: (-len(each.answers), -sizes[each.name]))[:SAMPLES]


def _messages(cassette: Cassette, suffix: str) -> list[WireMessage]:
    framing = framing_for(MEDIA_TYPES[suffix], cassette.answers[suffix])
    return [*framing.feed(cassette.answers[suffix]), *framing.flush()]


def _changed_answers(cassette: Cassette, suffix: str, values: list[Any]) -> Iterator[list[bytes]]:
    """The data of all messages, again and again, with one place of one of them changed."""
    datas = [message.data for message in _messages(cassette, suffix)]
    for number, data in enumerate(datas):
        try:
            told = json.loads(data)
        except ValueError:
            continue
        for path in list(_paths(told)):
            for value in values:
                changed = json.dumps(_with(told, path, value)).encode()
                yield [*datas[:number], changed, *datas[number + 1 :]]


def _paths(told: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(told, dict):
        for name, value in told.items():
            yield from _paths(value, (*path, name))
    elif isinstance(told, list):
        for index, value in enumerate(told):
            yield from _paths(value, (*path, index))


def _with(told: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return {} if value is ... else value
    step, *rest = path
    copy: Any = dict(told) if isinstance(told, dict) else list(told)
    if value is ... and not rest:
        del copy[step]
    else:
        copy[step] = _with(told[step], tuple(rest), value)
    return copy


def _play(cassette: Cassette, suffix: str, datas: list[bytes]) -> None:
    adapter = ADAPTERS[cassette.endpoint.dialect]
    is_whole = framing_for(MEDIA_TYPES[suffix], cassette.answers[suffix]).is_whole
    decoder = adapter.decoder(cassette.request, cassette.endpoint)
    for message, data in zip(_messages(cassette, suffix), datas, strict=True):
        list(decoder.whole(data) if is_whole else decoder.message(WireMessage(message.name, data)))
    next_exchange(decoder)
    list(decoder.end())


class TestBegin:
    """What a caller puts before the first deltas that a decoder tells."""

    @pytest.mark.parametrize(
        ("told", "begun"),
        [
            ([Text(0, "a")], [Began("quill"), Text(0, "a")]),
            ([SPENT, Text(0, "a")], [Began("quill"), SPENT, Text(0, "a")]),
            ([SPENT], [Began("quill"), SPENT]),
            ([Text(0, "a"), SPENT, FAILED], [Began("quill"), Text(0, "a"), SPENT, FAILED]),
            ([FAILED], [FAILED]),
            ([SPENT, FAILED], [FAILED]),
        ],
    )
    def test_a_failure_before_anything_else_stands_alone(self, told: list[Delta], begun: list[Delta]) -> None:
        assert begin(told, QUILL) == begun

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_no_decoder_tells_the_beginning_itself(self, dialect: Dialect) -> None:
        for cassette in _varied(dialect):
            decoder = ADAPTERS[dialect].decoder(cassette.request, cassette.endpoint)
            for body in cassette.answers.values():
                assert not [delta for delta in decoder.whole(body) if isinstance(delta, Began)]
