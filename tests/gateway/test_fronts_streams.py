"""ST at the two other doors: what can go wrong in a stream from a provider, told whole and in the words of each API."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.gateway.checks import IN_ORDER
from tests.gateway.fronts import CHAT, MESSAGES, OTHERS, Front, at_all, at_others
from tests.gateway.server import Gateway
from tests.gateway.test_openai_sdk import responses_stream
from tests.gateway.test_silence import CASES as SILENT
from tests.gateway.test_silence import COMMENT, PINGS, pinging
from tests.gateway.test_silence import Case as Silence
from tests.gateway.test_stream_faults import CASES, CHUNKED, END, HEAD, Case, letters, picture_events
from tests.gateway.upstream import Script, Upstream, chunk, completion, sse, stream, trickle, usage_chunk, whole

pytestmark = pytest.mark.usefixtures("no_socket_left")


def ids(case: Any) -> str:
    name: str = case.id
    return name


def status_of(case: Case) -> int:
    """The status of a whole answer that fails so."""
    if case.code == "rate_limit_exceeded":
        return 429
    return 524 if case.script.ending == "stall" else 502


@at_others
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_a_stream_ends_once_as_it_ended_and_no_second_provider_is_asked(
    case: Case, front: Front, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, case.script, host="a")
    heard = front.heard(gateway.call(front.body(both, nonce, stream=True, **IN_ORDER), path=front.path))
    assert (heard.text, heard.ending) == (case.text, case.ending)
    assert bool(heard.error) is (case.ending == "failed")
    (seen,) = upstream.seen(nonce)
    assert seen.path.startswith("/a/")
    if case.script.ending == "stall":
        assert seen.is_closed_by_client.wait(5)


@at_others
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_ST_21_a_stream_that_was_not_asked_for_is_gathered_or_its_failure_is_the_status(
    case: Case, front: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, case.script)
    reply = gateway.call(front.body(model, nonce), path=front.path)
    if case.ending == "failed":
        assert "abc" not in front.refused(reply, status_of(case))
    else:
        heard = front.heard(reply)
        assert (heard.text, heard.ending) == (case.text, case.ending)


# Bytes and words


@dataclass(frozen=True)
class Said:
    """A stream that is in order, and what the model says in it."""

    id: str
    script: Script
    text: str


_CUT = json.dumps(chunk("a🚀é漢b"), ensure_ascii=False).encode()
_AT = _CUT.index("🚀".encode()) + 2
_FORGED = (
    '\n\ndata: [DONE]\n\nevent: message_stop\r\ndata: {"type": "message_stop"}\n\nevent: error\ndata: {"error": {}}\n\n'
)

SAID = (
    Said(
        "ST-01 a character cut", Script([HEAD, b"data: " + _CUT[:_AT], 0.02, _CUT[_AT:], b"\n\n", sse(END)]), "a🚀é漢b"
    ),
    Said(
        "ST-02 one byte per packet",
        Script([HEAD, *(step for byte in sse([*letters("Hé 🚀!"), *END]) for step in (bytes([byte]), 0.0))]),
        "Hé 🚀!",
    ),
    Said(
        "ST-03 all line ends",
        Script(
            [
                HEAD,
                b"\xef\xbb\xbf: hi\nretry: 5\n",
                sse(letters("Hel")) + sse(letters("lo")).replace(b"\n", b"\r\n") + sse(END).replace(b"\n", b"\r"),
            ]
        ),
        "Hello",
    ),
    *(
        Said(f"ST-04 {mark!a}", stream([json.dumps(chunk(f"one{mark}two")), *END]), f"one{mark}two")
        for mark in ("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x00", "\x1b")
    ),
    Said("ST-05 text that looks like events", stream([chunk(_FORGED), *END]), _FORGED),
    Said("ST-05 the same in pieces", stream([*letters(_FORGED), *END]), _FORGED),
    Said("ST-20 a whole body", whole(completion("Whole.")), "Whole."),
)


@at_others
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("said", SAID, ids=ids)
def test_what_was_said_is_told(
    said: Said, streams: bool, front: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, said.script)
    heard = front.heard(gateway.call(front.body(model, nonce, stream=streams), path=front.path))
    assert (heard.text, heard.ending) == (said.text, "completed")


_NAME = "a\r\n\r\nevent: message_stop\r\ndata: [DONE]\r\n\r\n"
_TOOLS = {
    "chat": [{"type": "function", "function": {"name": "a", "parameters": {"type": "object"}}}],
    "messages": [{"name": "a", "input_schema": {"type": "object"}}],
}


@at_others
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_ST_06_names_and_ids_with_line_ends_make_no_frame(
    streams: bool, front: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    call = {"index": 0, "id": _NAME, "type": "function", "function": {"name": _NAME, "arguments": "{}"}}
    upstream.play(nonce, stream([chunk(tool_calls=[call]), chunk(finish="tool_calls"), "[DONE]"]))
    reply = gateway.call(front.body(model, nonce, stream=streams, tools=_TOOLS[front.name]), path=front.path)
    assert front.heard(reply).ending == "completed"
    assert b"message_stop\\r" in reply.body


@at_others
@pytest.mark.parametrize("arguments", ['{"x"', "{}"], ids=["half a call", "what looks like a whole one"])
def test_ST_07_a_stream_that_breaks_off_in_a_call_makes_none(
    arguments: str, front: Front, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "a", "arguments": arguments}}
    upstream.play(nonce, stream([*letters("ab"), chunk(tool_calls=[call])]), host="a")
    body = front.body(both, nonce, tools=_TOOLS[front.name], **IN_ORDER)
    reply = gateway.call({**body, "stream": True}, path=front.path)
    heard = front.heard(reply)
    assert (heard.text, heard.ending) == ("ab", "failed")
    assert b"tool_calls" not in reply.body.rpartition(b"finish_reason")[2]
    assert reply.body.count(b"event: content_block_stop") <= 1  # of the text
    assert not upstream.seen(nonce, "b")
    # Of a whole answer nothing has been told yet, so another is asked for it.
    assert front.heard(gateway.call(body, path=front.path)).text == "Hello."


# Before the first word


@at_others
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("opening", "status"),
    [
        pytest.param({"error": {"type": "overloaded_error", "message": "Overloaded"}}, 529, id="ST-11 overloaded"),
        pytest.param({"error": {"code": 429, "message": "Slow down."}}, 429, id="ST-11 a limit"),
        pytest.param('{"choices": [', 502, id="ST-13 a broken first line"),
        pytest.param("[DONE]", 502, id="ST-28 nothing but the end mark"),
        pytest.param(chunk("", finish=""), 502, id="ST-28 a blank finish"),
    ],
)
def test_a_first_event_that_is_no_answer_is_a_fallback_and_then_a_status(
    opening: Any, status: int, streams: bool, front: Front, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, stream([opening]), host="a")
    body = front.body(both, nonce, stream=streams, **IN_ORDER)
    assert front.heard(gateway.call(body, path=front.path)).text == "Hello."
    upstream.play(nonce, stream([opening]), host="b")
    front.refused(gateway.call(body, path=front.path), status)


@at_others
def test_ST_18_a_wrong_chunk_before_any_event_is_a_status(
    front: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, Script([CHUNKED, b"zz\r\nx\r\n"]))
    front.refused(gateway.call(front.body(model, nonce, stream=True), path=front.path), 502)


@at_all
def test_a_fault_after_the_grace_is_told_in_the_stream(
    front: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, Script([0.7, *whole({"error": {"message": "Broken."}}, 500).steps]))
    reply = gateway.call(front.body(model, nonce, stream=True), path=front.path)
    assert reply.body.startswith(front.keep_alive)
    heard = front.heard(reply)
    assert (heard.text, heard.ending) == ("", "failed")
    assert "Broken." in heard.error


# Silence


@at_others
@pytest.mark.parametrize("case", SILENT, ids=ids)
def test_ST_10_pings_before_any_output_are_silence_and_told_so(
    case: Silence,
    front: Front,
    gateway: Gateway,
    upstream: Upstream,
    model: str,
    responses_model: str,
    messages_model: str,
    nonce: str,
) -> None:
    asked = {"chat": model, "responses": responses_model, "messages": messages_model}[case.dialect]
    upstream.play(nonce, case.script)
    heard = front.heard(gateway.call(front.body(asked, nonce, stream=True), path=front.path))
    assert (heard.text, heard.ending) == ("", "failed")
    assert PINGS in heard.error


def test_ST_10_pings_in_mid_stream_end_it_at_the_idle_limit(gateway: Gateway, upstream: Upstream, model: str) -> None:
    def ask(front: Front) -> None:
        nonce = upstream.play(f"nonce-idle-{front.name}", pinging(sse([chunk("ab")]), ping=COMMENT))
        heard = front.heard(gateway.call(front.body(model, nonce, stream=True), path=front.path))
        assert (heard.text, heard.ending) == ("ab", "failed")
        assert PINGS in heard.error

    with ThreadPoolExecutor(len(OTHERS)) as pool:
        list(pool.map(ask, OTHERS))


@at_all
def test_ST_30_silence_is_filled_with_what_each_api_says_then(
    front: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    thinking = trickle(b": still thinking\n\n", 1.2, 2)
    upstream.play(nonce, Script([HEAD, *thinking, sse(letters("a")), 1.2, sse([*letters("b"), *END])]))
    reasoning = {"thinking": {"type": "enabled", "budget_tokens": 2000}} if front is MESSAGES else _EFFORT[front.name]
    reply = gateway.call(front.body(model, nonce, stream=True, **reasoning), path=front.path)
    before, _, after = reply.body.partition(front.delta)
    assert before.startswith(front.keep_alive)
    assert before.count(front.keep_alive) >= 3
    assert after.count(front.keep_alive) >= 1
    assert front.heard(reply).text == "ab"


_EFFORT: dict[str, Any] = {"responses": {"reasoning": {"effort": "high"}}, "chat": {"reasoning_effort": "high"}}


@at_others
def test_ST_25_ten_thousand_events_and_a_pause(
    front: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    half = sse(letters("x" * 5_000))
    upstream.play(nonce, Script([HEAD, half, 1.3, half, sse(END)]))
    reply = gateway.call(front.body(model, nonce, stream=True), path=front.path)
    assert reply.body.partition(front.delta)[2].count(front.keep_alive) >= 1
    assert reply.body.count(front.delta) == 10_000
    heard = front.heard(reply)
    assert (heard.text, heard.ending) == ("x" * 10_000, "completed")


def test_ST_15_a_stream_without_end_is_ended_at_the_deadline(gateway: Gateway, upstream: Upstream, both: str) -> None:
    def ask(front: Front) -> None:
        endless = Script([HEAD, *trickle(sse(letters("a")), 0.05, 400)], "stall")
        nonce = upstream.play(f"nonce-endless-{front.name}", endless, host="a")
        heard = front.heard(gateway.call(front.body(both, nonce, stream=True, **IN_ORDER), path=front.path))
        assert (set(heard.text), heard.ending) == ({"a"}, "failed")
        assert upstream.seen(nonce)[0].is_closed_by_client.wait(5)

    with ThreadPoolExecutor(len(OTHERS)) as pool:
        list(pool.map(ask, OTHERS))


@at_others
def test_ST_16_a_stream_that_goes_on_after_its_limit_is_cut(
    front: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    pieces = [sse([chunk(f"piece {number} ")]) for number in range(1_000)]
    upstream.play(nonce, Script([HEAD, *[part for piece in pieces for part in (piece, 0.002)], sse(END)]))
    heard = front.heard(gateway.call(front.body(model, nonce, stream=True) | {front.limit: 50}, path=front.path))
    assert heard.ending == "incomplete"
    assert 50 * 4 <= len(heard.text) < 50 * 8 + 100
    (seen,) = upstream.seen(nonce)
    assert seen.is_closed_by_client.wait(5)


@at_others
@pytest.mark.parametrize("first", [2, 4], ids=["whole", "a delta before its item"])
def test_ST_23_a_responses_server_that_breaks_the_order_is_mended(
    first: int, front: Front, gateway: Gateway, upstream: Upstream, responses_model: str, nonce: str
) -> None:
    events = responses_stream("Hello.")
    upstream.play(nonce, stream([*events[:2], *events[first:]]))
    heard = front.heard(gateway.call(front.body(responses_model, nonce, stream=True), path=front.path))
    assert (heard.text, heard.ending) == ("Hello.", "completed")


@at_others
def test_ST_26_of_large_partial_images_only_the_last_is_told(
    front: Front, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, stream(picture_events([400_000] * 8)))
    more = {"modalities": ["image", "text"]} if front is CHAT else {}
    reply = gateway.call(front.body("mock/pictures", nonce, stream=True, **more), path=front.path)
    assert front.heard(reply).ending == "completed"
    assert b"A" * 1000 not in reply.body
    assert reply.body.count(b"data:image/") == 1


@at_others
def test_ST_17_usage_that_comes_twice_is_told_once(
    front: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, stream([*letters("ab"), END[0], usage_chunk(9, 9), usage_chunk(7, 3), "[DONE]"]))
    reply = gateway.call(front.body(model, nonce, stream=True), path=front.path)
    assert front.heard(reply).ending == "completed"
    assert reply.body.count(b'"cost":') == 1
