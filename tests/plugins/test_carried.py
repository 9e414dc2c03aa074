"""What searches found, carried through the client: the same comes back, and nothing else that comes does harm."""

from __future__ import annotations

from binascii import b2a_base64
from random import Random
from typing import Any
from zlib import compress

import msgspec
import pytest

from tests.routing.catalogs import endpoint
from trunkline.adapters.thinking import replayable
from trunkline.catalog.entries import Dialect
from trunkline.faces.responses.parse import parse
from trunkline.plugins.carried import MARK, MAX_PACKED, MAX_UNPACKED, Pair, pack, restored, unpack
from trunkline.protocol.items import FunctionCallItem, FunctionCallOutput, ReasoningItem
from trunkline.stream.seals import Seal, seal

PAIRS = (
    Pair("call_0", "web_search", '{"query":"Drachen 🪁"}', "1. Kites\nhttps://a.example/å\nText."),
    Pair("call_1", "web_search", '{"query":"b"}', "No results."),
)


def noise(size: int, dice: Random) -> str:
    return "".join(dice.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=size))


def packed(data: bytes) -> str:
    return MARK + b2a_base64(data, newline=False).decode().replace("+", "-").replace("/", "_")


def asked(*items: Any) -> Any:
    return parse(msgspec.json.encode({"model": "a/b", "input": items}))


def test_the_same_comes_back_with_the_tag_of_a_seal_and_without() -> None:
    text = pack(PAIRS)
    assert text.startswith("tlsearch.v1.")
    assert text.isascii()
    assert not set(text) & set("+/ \n")
    assert unpack(text) == PAIRS
    assert unpack(seal(Seal(endpoint_id="", blob=text))) == PAIRS


def test_of_more_than_there_is_room_for_the_newest_are_kept() -> None:
    dice = Random(13)
    pairs = [Pair(f"call_{n}", "web_search", "{}", noise(9_000, dice)) for n in range(12)]
    text = pack(pairs)
    found = unpack(text)
    assert len(text) <= MAX_PACKED
    assert found
    assert list(found) == pairs[-len(found) :]
    assert len(pack(pairs[-len(found) - 1 :])) == len(text), "one more would have had room"
    assert pack([Pair("c", "f", "{}", noise(100_000, dice))]) == pack([]) == ""
    assert len(unpack(pack([Pair("c", "f", "{}", "a" * 1_000)] * 3_000)) or ()) == 128


HOSTILE = {
    "another seal": "gAAAAABo",
    "another version": "tlsearch.v2." + pack(PAIRS)[len(MARK) :],
    "nothing": MARK,
    "no base64": MARK + "é*",
    "no zlib": packed(b"[]"),
    "no JSON": packed(compress(b"[")),
    "no pairs": packed(compress(b"[]")),
    "another shape": packed(compress(b'[["a","b","c"]]')),
    "other types": packed(compress(b'[["a","b","c",{}]]')),
    "cut": pack(PAIRS)[:-8],
    "something behind it": packed(compress(b'[["a","b","c","d"]]') + b"x"),
    "a bomb": packed(compress(b'[["a","b","c","' + b"d" * 20 * MAX_UNPACKED + b'"]]')),
    "deep": packed(compress(b"[" * 500_000)),
    "too many": packed(compress(msgspec.json.encode([["a", "b", "c", "d"]] * 129))),
    "too long": MARK + "A" * (MAX_PACKED + 4),
    "no UTF-8": packed(compress(b'[["a","b","c","\xff"]]')),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_was_not_written_here_is_nothing(text: str) -> None:
    assert unpack(text) is None


def test_any_change_of_a_sign_is_nothing_or_pairs() -> None:
    text, dice = pack(PAIRS), Random(13)
    for _ in range(300):
        place = dice.randrange(len(MARK), len(text))
        found = unpack(text[:place] + dice.choice("AZaz09-_=. é") + text[place + dice.randint(0, 2) :])
        assert found is None or all(isinstance(pair, Pair) for pair in found)


def test_a_replayed_thought_is_calls_and_results_again() -> None:
    user = {"type": "message", "role": "user", "content": "Hi"}
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    carried = {**thought, "encrypted_content": seal(Seal(endpoint_id="", blob=pack(PAIRS)))}
    broken = {**thought, "encrypted_content": MARK + "AAAA"}
    request = asked(user, thought, carried, broken, user)
    first, kept, *calls, last = restored(request).input
    assert (first, kept, last) == (request.input[0], request.input[1], request.input[-1])
    assert calls == [
        item
        for pair in PAIRS
        for item in (
            FunctionCallItem(call_id=pair.call_id, name=pair.name, arguments=pair.arguments),
            FunctionCallOutput(call_id=pair.call_id, output=pair.output),
        )
    ]
    last_place = len(restored(request).input) - 1
    assert restored(request).paths.spelled("input", last_place, "content", 0) == "input[4].content[0]"


def test_a_request_that_carries_nothing_is_the_same_object() -> None:
    thought = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    for request in (
        parse(b'{"input": "Hi", "model": "a/b"}'),
        asked(thought),
        asked({**thought, "encrypted_content": None}),
    ):
        assert restored(request) is request


def test_many_that_are_small_on_the_wire_stay_within_what_one_request_may_hold() -> None:
    text = pack([Pair("c", "f", "{}", "a" * 500_000)])
    request = asked(*[{"type": "reasoning", "summary": [], "encrypted_content": text}] * 100)
    outputs = [item for item in restored(request).input if isinstance(item, FunctionCallOutput)]
    assert 0 < sum(len(item.output) for item in outputs) <= 4 * MAX_UNPACKED


@pytest.mark.parametrize("dialect", ["responses", "chat", "messages", "gemini", "converse"])
def test_it_goes_to_no_provider_as_a_thought(dialect: Dialect) -> None:
    for text in (pack(PAIRS), seal(Seal(endpoint_id="", blob=pack(PAIRS)))):
        item = ReasoningItem(id="rs_1", encrypted_content=text)
        assert replayable(item, msgspec.structs.replace(endpoint("alpha"), dialect=dialect)) is None
