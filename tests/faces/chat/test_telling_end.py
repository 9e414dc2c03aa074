"""What stands in every chunk of a chat completion, how one ends, and what leaves when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

import pytest

from tests.faces.chat.grammar import DONE, check_chunks, check_completion, fold, read_chunks
from tests.faces.chat.play import PLAIN, body_of, chunks_of, stream_of, telling
from tests.stream.deltas_strategy import MODEL, PRICED
from trunkline.errors import BadGateway, ProviderOverloaded
from trunkline.faces.chat.form import ChatForm
from trunkline.protocol.items import Logprob
from trunkline.stream.deltas import Arguments, Began, Delta, FunctionCall, Reasoning, Spent, Stopped, Text, Usage

ASKS_USAGE = ChatForm(include_usage=True)
STOP = Stopped("stop")
LONE = Logprob("a", (97,), -0.5)


def test_every_chunk_says_the_same_of_its_answer() -> None:
    [first, *_] = chunks_of([Began("acme/other"), Text(0, "a"), STOP])
    del first["choices"]
    assert first == {"id": "gen-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "acme/other"}
    assert body_of([Text(0, "a"), STOP])["model"] == MODEL


def test_a_whole_answer_has_a_fingerprint_that_is_null() -> None:
    body = body_of([Began(MODEL), Text(0, "a"), STOP])
    assert body["system_fingerprint"] is None
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "a", "refusal": None}


def test_logprobs_stand_beside_their_text() -> None:
    deltas: list[Delta] = [Began(MODEL), Text(0, "a", (LONE,)), Text(0, "b"), Text(0, "", (LONE,)), STOP]
    one = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": []}
    choices = [chunk["choices"][0] for chunk in chunks_of(deltas)]
    told_of = {"content": [one], "refusal": None}
    assert [choice["logprobs"] for choice in choices] == [None, told_of, None, told_of, None]
    assert body_of(deltas)["choices"][0]["logprobs"] == {"content": [one, one], "refusal": None}


USED = Usage(
    input_tokens=10,
    cache_read_tokens=4,
    cache_write_tokens=3,
    output_tokens=7,
    reasoning_tokens=5,
    audio_input_tokens=2,
    searches=1,
)
USED_TOLD = {
    "prompt_tokens": 10,
    "completion_tokens": 7,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3, "audio_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 5},
    "cost": Decimal("0.003"),
    "is_byok": False,
    "cost_details": {
        "upstream_inference_cost": None,
        "upstream_inference_prompt_cost": Decimal("0.001"),
        "upstream_inference_completions_cost": Decimal("0.002"),
    },
    "server_tool_use": {"web_search_requests": 1},
}
SPENT = Spent(USED, PRICED, "ultrafast")


@pytest.mark.parametrize("form", [PLAIN, ASKS_USAGE], ids=["not asked", "asked"])
def test_usage_is_told_once_and_exactly(form: ChatForm) -> None:
    deltas: list[Delta] = [Began(MODEL), Text(0, "a"), Spent(Usage(1)), STOP, SPENT]
    chunks = chunks_of(deltas, form)
    check_chunks(chunks, asks_usage=form.include_usage)
    last = stream_of([deltas], form).split(b"\n\n")[-3].removeprefix(b"data: ")
    assert json.loads(last, parse_float=Decimal)["usage"] == USED_TOLD
    end = next(chunk for chunk in chunks if chunk["choices"] and chunk["choices"][0]["finish_reason"])
    assert end["service_tier"] == "priority"
    body = body_of(deltas, form)
    assert (body["usage"]["cost"], body["service_tier"]) == (0.003, "priority")


@pytest.mark.parametrize("form", [PLAIN, ASKS_USAGE], ids=["not asked", "asked"])
def test_no_usage_and_usage_of_zeros_are_told_as_zeros(form: ChatForm) -> None:
    for heard in ((), (Spent(Usage()),)):
        chunks = chunks_of([Began(MODEL), Text(0, "a"), *heard, STOP], form)
        check_chunks(chunks, asks_usage=form.include_usage)
        assert chunks[-1]["usage"]["total_tokens"] == 0


@pytest.mark.parametrize(
    "heard",
    [[], [Text(0, "half")], [FunctionCall(0, "c", "look"), Arguments(0, "{}")], [Reasoning(0, "hm")]],
    ids=["nothing", "text", "a call", "a thought"],
)
def test_an_answer_that_was_cut_off_failed(heard: Sequence[Delta]) -> None:
    deltas: list[Delta] = [Began(MODEL), *heard, SPENT]
    chunks = chunks_of(deltas)
    check_chunks(chunks)
    body = body_of(deltas)
    check_completion(body)
    for last in (chunks[-1], body):
        assert last["error"]["message"] == "The provider's answer was cut off before its end."
        assert (last["error"]["type"], last["error"]["code"]) == ("server_error", None)
        assert last["usage"]["total_tokens"] == 17


def test_a_failure_is_told_after_what_was_said() -> None:
    machine = telling(is_stream=True)
    said = machine.feed([Began(MODEL), Text(0, "a")])
    last = machine.fail(ProviderOverloaded("Too many.", metadata={"attempts": []}), [Text(0, "b")])
    chunks = read_chunks(said + last)
    check_chunks(chunks)
    assert fold(chunks)["message"]["content"] == "ab"
    assert chunks[-1]["error"] == {
        "message": "Too many.",
        "type": "server_error",
        "param": None,
        "code": "overloaded",
        "metadata": {"status": 529, "error_type": "provider_overloaded", "attempts": []},
    }
    assert "usage" not in chunks[-1]


def test_an_answer_that_fails_before_its_first_word_is_told_as_one() -> None:
    chunks = read_chunks(telling(is_stream=True).fail(BadGateway("gone")))
    check_chunks(chunks)


def test_what_comes_with_the_end_leaves_with_it() -> None:
    machine = telling(is_stream=True)
    heard: list[list[Delta]] = [[Began(MODEL), Text(0, "a")], [Text(0, "b"), STOP], [SPENT]]
    pieces = [machine.feed(batch) for batch in heard]
    assert [bool(piece) for piece in pieces] == [True, False, False]
    assert not machine.is_ending
    last = machine.end([Spent(Usage(2))])
    assert (machine.is_over, machine.is_ending, machine.more()) == (True, True, b"")
    assert last.count(DONE) == 1
    assert json.loads(last.split(b"\n\n")[-3].removeprefix(b"data: "))["usage"]["prompt_tokens"] == 2


@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])
def test_nothing_is_told_after_the_end(is_stream: bool) -> None:
    for error in (None, BadGateway("gone")):
        machine = telling(is_stream=is_stream)
        machine.feed([Began(MODEL), STOP])
        assert machine.end() if error is None else machine.fail(error)
        assert machine.is_over
        again = [machine.feed([Text(0, "a")]), machine.end(), machine.fail(BadGateway("again")), machine.more()]
        assert again == [b""] * 4


def test_a_whole_answer_leaves_at_its_end_alone() -> None:
    machine = telling(is_stream=False)
    heard: list[list[Delta]] = [[Began(MODEL), Text(0, "Hel")], [Text(0, "lo")], [STOP]]
    assert [machine.feed(batch) for batch in heard] == [b"", b"", b""]
    assert machine.go_on(["!"]) == b""
    assert json.loads(machine.end())["choices"][0]["message"]["content"] == "Hello!"
