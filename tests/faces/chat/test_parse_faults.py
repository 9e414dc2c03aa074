"""IN: bodies that a client of Chat Completions should not send, and the error that says so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faces.chat.chatting import HI, asked, call, calling, refusal
from trunkline.errors import BadRequest
from trunkline.faces.chat.parse import parse

MESSAGES = b'"messages": [{"role": "user", "content": "Hi"}]'


def raw(member: str) -> bytes:
    """A good body with one more member, as raw text."""
    return b'{"model": "m", ' + MESSAGES + b", " + member.encode() + b"}"


def body(**members: Any) -> bytes:
    return json.dumps({"messages": [HI], **members}).encode()


@dataclass(frozen=True)
class Fault:
    """A body, and words that its error must hold."""

    id: str
    body: bytes
    words: tuple[str, ...] = ()


FAULTS = [
    Fault("IN-01 cut off in the middle", b'{"model":"m","mess'),
    Fault("IN-01 empty", b"", ("empty",)),
    Fault("IN-02 100,000 open brackets", b'{"messages":' + b"[" * 100_000, ("deep",)),
    Fault("IN-02 100,000 pairs of brackets", b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", ("deep",)),
    Fault("IN-02 129 pairs of brackets", raw('"x": ' + "[" * 129 + "]" * 129), ("deep",)),
    Fault("IN-03 a number of 5,001 digits", raw(f'"max_tokens": {"9" * 5001}')),
    *(Fault(f"IN-04 {text}", raw(f'"temperature": {text}')) for text in ("NaN", "Infinity", "-Infinity", "1e400")),
    Fault("IN-05 a key twice", raw('"model": "dear"'), ("model", "twice")),
    Fault(
        "IN-05 a key twice in a message", b'{"messages": [{"role": "user", "role": "user", "content": "a"}]}', ("role",)
    ),
    Fault("IN-07 half a surrogate pair in a text", b'{"messages":[{"role":"user","content":"\\ud800"}]}'),
    Fault("IN-07 half a surrogate pair in user", raw('"user": "\\udfff"')),
    Fault(
        "IN-08 NUL in a text", b'{"messages":[{"role":"user","content":"\\u0000"}]}', ("messages[0].content", "U+0000")
    ),
    Fault("IN-08 NUL in user", raw('"user": "\\u0000"'), ("user", "U+0000")),
    Fault(
        "IN-08 NUL in the name of a tool",
        raw('"tools": [{"type": "function", "function": {"name": "a\\u0000"}}]'),
        ("tools[0].function.name", "U+0000"),
    ),
    Fault("IN-09 no UTF-8", b'{"messages": "\xc3\x28"}', ("UTF-8",)),
    Fault("IN-09 UTF-16", '{"messages": "Hi"}'.encode("utf-16")),
    Fault("IN-14 17 pairs of metadata", body(metadata={str(n): "v" for n in range(17)}), ("metadata", "16")),
    Fault("IN-14 a key of 65 characters", body(metadata={"k" * 65: "v"}), ("64",)),
    Fault("IN-14 a value of 513 characters", body(metadata={"k": "v" * 513}), ("metadata.k", "512")),
    Fault("IN-14 a key with a bracket", body(metadata={"k[": "v"}), ("[ and ]",)),
    Fault("IN-15 129 characters of user", body(user="🚀" * 129), ("user", "128")),
    Fault("IN-15 129 characters of session_id", body(session_id="x" * 129), ("session_id", "128")),
    Fault("IN-19 an unknown key in provider", body(provider={"fastest": True}), ("provider.fastest",)),
    Fault("IN-20 a tier that is none", body(service_tier="x"), ("service_tier",)),
    Fault("IN-20 too many log probabilities", body(top_logprobs=21), ("top_logprobs",)),
    Fault("IN-20 too hot", body(temperature=2.01), ("temperature",)),
    Fault("IN-20 an unknown plugin", body(plugins=[{"id": "x"}]), ("plugins[0].id",)),
    *(
        Fault(f"IN-21 {name} {limit}", body(**{name: limit}), (name,))
        for name in ("max_tokens", "max_completion_tokens")
        for limit in (-1, 0, 1.5, 1e18)
    ),
    Fault("IN-22 10,001 messages", body(messages=[HI] * 10_001), ("messages has 10001",)),
    Fault(
        "IN-22 a few messages with 10,001 calls",
        body(messages=[HI, calling(*[call(str(n)) for n in range(10_001)]), HI]),
        ("messages has 10003",),
    ),
    Fault("IN-22 250,001 values", body(messages=[HI], x=[1] * 250_001), ("too many values",)),
    Fault("IN-23 1,000 models", body(models=[str(n) for n in range(1000)]), ("models", "32")),
    Fault("IN-23 an empty model", body(model=""), ("model", "must not be empty")),
]


@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.id) for fault in FAULTS])
def test_refused(fault: Fault) -> None:
    error = refusal(fault.body)
    for word in fault.words:
        assert word in error.message
    assert len(error.message) < 1_000


def test_IN_14_the_most_that_fits_of_metadata_is_taken() -> None:
    metadata = {f"{number:064}": "v" * 512 for number in range(16)}
    assert asked(metadata=metadata)[0].metadata == metadata


def test_IN_15_128_characters_are_taken() -> None:
    request, _ = asked(user="🚀" * 128, session_id="x" * 128)
    assert (request.user, request.session_id) == ("🚀" * 128, "x" * 128)


def test_IN_16_a_session_in_the_body_goes_before_that_of_the_header() -> None:
    assert parse(body(session_id="a"), "b", {}).request.session_id == "a"
    assert parse(body(session_id=None), "b", {}).request.session_id == "b"
    assert "128" in refusal(body(), "x" * 129).message


def test_IN_23_models_are_named_once() -> None:
    assert asked(models=["a", "b", "a"])[0].models == ("a", "b")


def test_IN_24_ends_of_lines_are_no_more_than_characters() -> None:
    said = "a\r\nX-Evil: 1"
    request, _ = asked(model=said, user=said, session_id=said, metadata={"k": said})
    assert (request.model, request.user, request.session_id, request.metadata) == (said, said, said, {"k": said})


def test_a_price_is_as_exact_as_it_is_written() -> None:
    price = "0.10000000000000000000001"
    request = parse(raw(f'"provider": {{"max_price": {{"prompt": {price}}}}}'), None, {}).request
    assert request.provider.max_price is not None
    assert str(request.provider.max_price.prompt) == price


def test_a_large_body_is_said_to_be_so() -> None:
    assert asked(messages=[{"role": "user", "content": "x" * 500_000}])[0].size == "long_texts"
    assert asked(messages=[{"role": "user", "content": "x" * 200}] * 2_500)[0].size == "large"


def test_nothing_but_a_bad_request_is_raised_for_a_body_that_is_no_object() -> None:
    for value in (b"[]", b"1", b'"a"', b"null"):
        with pytest.raises(BadRequest):
            parse(value, None, {})
