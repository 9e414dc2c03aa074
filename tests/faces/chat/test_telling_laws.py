"""The laws of docs/architecture.md, section 10, for Chat Completions: over every cassette, and over any deltas."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faces.chat.grammar import CUTS, Json, check_chunks, check_completion, fold, read_chunks
from tests.faces.chat.play import body_of, chunks_of, stream_of, telling
from tests.record import Cassette, cassettes, hear
from tests.stream.deltas_strategy import ANY_DELTAS, MODEL, UNSTOPPED_DELTAS, answers, reads
from trunkline.errors import BadGateway
from trunkline.faces.chat.form import ChatForm
from trunkline.protocol.items import UrlCitation
from trunkline.protocol.render import render_text
from trunkline.stream.deltas import Began, Citation, Delta, Reasoning, ReasoningSeal, Stopped, Text
from trunkline.stream.seals import read_proof

pytestmark = pytest.mark.law

FORMS = st.builds(ChatForm, include_usage=st.booleans(), tells_thoughts=st.booleans(), calls_function=st.booleans())
ALL = [(cassette, suffix) for cassette in cassettes() for suffix in cassette.answers]
every_answer = pytest.mark.parametrize(
    ("cassette", "suffix"), ALL, ids=[cassette.name + suffix for cassette, suffix in ALL]
)


def check(deltas: Sequence[Delta], form: ChatForm) -> None:
    """Laws 2, 3 and 5 for one answer, as a stream and whole."""
    chunks, body = chunks_of(deltas, form), body_of(deltas, form)
    check_chunks(chunks, asks_usage=form.include_usage)
    check_completion(body)
    if "error" in chunks[-1]:
        assert chunks[-1]["error"] == body["error"]
        return
    [choice] = body["choices"]
    assert chunks[-1]["usage"] == body["usage"]
    end = next(c["choices"][0] for c in chunks if c["choices"] and c["choices"][0]["finish_reason"])
    assert end["finish_reason"] == choice["finish_reason"]
    told = fold(chunks)
    if end["finish_reason"] in CUTS:
        _leave_out_cut(told["message"], choice["message"])
    assert {"message": choice["message"], "logprobs": choice["logprobs"]} == told


def _leave_out_cut(told: Json, message: Json) -> None:
    """Take out of what a stream told the calls that a whole answer has not: only the last that spoke may be cut."""
    whole = [call["id"] for call in message.get("tool_calls", ())]
    calls = [call for call in told.pop("tool_calls", ()) if call["id"] in whole]
    if calls:
        told["tool_calls"] = calls
    if "function_call" not in message:
        told.pop("function_call", None)
    if told["content"] is None and not (calls or told["refusal"] or "function_call" in told):
        told["content"] = ""


@given(ANY_DELTAS, FORMS)
def test_laws_2_and_3_whatever_is_heard(deltas: list[Delta], form: ChatForm) -> None:
    check(deltas, form)


@given(answers(), FORMS)
def test_laws_2_and_3_of_an_answer_that_keeps_all_rules(deltas: list[Delta], form: ChatForm) -> None:
    check(deltas, form)


@given(st.data(), ANY_DELTAS, FORMS)
def test_law_1_however_it_is_cut_the_same_is_told(data: st.DataObject, deltas: list[Delta], form: ChatForm) -> None:
    batches = data.draw(reads(deltas))
    assert stream_of(batches, form) == stream_of([deltas], form)
    machine = telling(is_stream=True, form=form)
    said = b"".join([machine.feed(batch) for batch in batches[:-1]])
    assert said + machine.end(batches[-1]) == stream_of([deltas], form)


@given(UNSTOPPED_DELTAS, FORMS)
def test_law_4_an_answer_cut_short_has_no_reason_for_its_end(deltas: list[Delta], form: ChatForm) -> None:
    chunks = chunks_of(deltas, form)
    check_chunks(chunks, asks_usage=form.include_usage)
    assert "error" in chunks[-1]
    assert "error" in body_of(deltas, form)


@given(st.data(), answers(), st.sampled_from(CUTS))
def test_law_4_a_call_of_an_answer_that_was_cut_is_one_of_the_whole_answer(
    data: st.DataObject, deltas: list[Delta], reason: Literal["length", "content_filter"]
) -> None:
    length = data.draw(st.integers(0, len(deltas) - 1))
    assert is_beginning(calls_of([*deltas[:length], Stopped(reason)]), calls_of(deltas))


def calls_of(deltas: Sequence[Delta]) -> list[Json]:
    """The calls that a client of a whole answer makes."""
    return [call for choice in body_of(deltas)["choices"] for call in choice["message"].get("tool_calls", ())]


def is_beginning(some: list[Json], every: list[Json]) -> bool:
    return some == every[: len(some)]


@given(ANY_DELTAS, FORMS)
def test_a_failure_ends_any_answer(deltas: list[Delta], form: ChatForm) -> None:
    machine = telling(is_stream=True, form=form)
    chunks = read_chunks(machine.feed(deltas[:5]) + machine.fail(BadGateway("gone"), deltas[5:]))
    check_chunks(chunks)
    assert chunks[-1]["error"]["message"] == "gone"


WORDS = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5)


@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])
@given(WORDS, WORDS)
def test_a_text_that_goes_on_is_told_as_any_other(is_stream: bool, texts: list[str], later: list[str]) -> None:
    after: list[Delta] = [
        Citation(0, UrlCitation("u:a", "", 0, 1)),
        Text(1, "b"),
        Citation(1, UrlCitation("u:b", "", 0, 1)),
    ]
    usual, short = telling(is_stream=is_stream), telling(is_stream=is_stream)
    begun: list[Delta] = [Began(MODEL), Reasoning(2, "hm"), Text(0, "a")]
    fed = b"".join([usual.feed(begun), *(usual.feed([Text(0, text)]) for text in (*texts, *later)), usual.feed(after)])
    sent: list[bytes] = [short.feed(begun), short.go_on(texts)]
    if is_stream:
        run = short.run(partial(_keep, sent))
        assert all(run.send(text, render_text(text)[1:-1]) for text in later)
    else:
        sent.append(short.go_on(later))
    sent.append(short.feed(after))
    assert b"".join(sent) == fed
    assert short.end() == usual.end()


def _keep(sent: list[bytes], frame: bytes) -> bool:
    sent.append(frame)
    return True


def test_a_run_says_whether_there_is_room() -> None:
    machine = telling(is_stream=True)
    machine.feed([Began(MODEL), Text(0, "a")])
    machine.go_on(["b"])
    assert machine.run(lambda _: True).send("c", b"c")
    assert not machine.run(lambda _: False).send("c", b"c")


@every_answer
def test_laws_2_and_3_of_a_cassette(cassette: Cassette, suffix: str) -> None:
    heard = hear(cassette, suffix, [cassette.answers[suffix]])
    if heard.fault is None:
        check(heard.deltas, ChatForm(include_usage=True))
        return
    machine = telling(is_stream=True)
    check_chunks(read_chunks(machine.feed(heard.deltas) + machine.fail(BadGateway(heard.fault.message))))


@every_answer
def test_every_proof_of_a_cassette_comes_back_byte_for_byte(cassette: Cassette, suffix: str) -> None:
    heard = [*hear(cassette, suffix, [cassette.answers[suffix]]).deltas, Stopped("stop")]
    seals = [delta for delta in heard if isinstance(delta, ReasoningSeal)]
    given = [(seal.encrypted or "", seal.signature or "") for seal in seals if seal.encrypted or seal.signature]
    for message in (fold(chunks_of(heard))["message"], body_of(heard)["choices"][0]["message"]):
        assert [_proof(detail) for detail in message.get("reasoning_details", ()) if _is_proof(detail)] == given


def _is_proof(detail: Json) -> bool:
    return "data" in detail or "signature" in detail


def _proof(detail: Json) -> tuple[str, str]:
    is_data = "data" in detail
    told = detail["data"] if is_data else detail["signature"]
    proof = read_proof(told, form=detail["format"], is_data=is_data)
    assert proof is not None
    return proof.blob, proof.signature


@every_answer
def test_law_4_of_a_cassette(cassette: Cassette, suffix: str) -> None:
    heard = hear(cassette, suffix, [cassette.answers[suffix]]).deltas
    stops = [place for place, delta in enumerate(heard) if isinstance(delta, Stopped)]
    every = calls_of(heard) if stops and _is_uncut(heard[stops[0]]) else None
    for length in range(stops[0] if stops else len(heard)):
        chunks = chunks_of(heard[:length])
        assert "error" in chunks[-1]
        assert not any(chunk["choices"] and chunk["choices"][0]["finish_reason"] for chunk in chunks)
        if every is not None:
            assert is_beginning(calls_of([*heard[:length], Stopped("length")]), every)


def _is_uncut(delta: Delta) -> bool:
    return isinstance(delta, Stopped) and delta.reason not in CUTS
