"""ST-10, PR-13: providers that only show that they are there, and a gateway that was stopped for a while."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import dataclass
from typing import Any

import pytest

from tests.gateway.checks import IN_ORDER, ask, error_of, events_of, response_of, text_of
from tests.gateway.server import Gateway, post, replies
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, trickle, usage_chunk

pytestmark = pytest.mark.usefixtures("no_socket_left")

LIMIT_S = 1.5
"""What the settings of these tests say for `first_byte` and `idle`."""

PINGS = "only pings, no output"
HEAD = head(200, "text/event-stream")
COMMENT = b": ping\n\n"
END = [chunk(finish="stop"), usage_chunk(), "[DONE]"]


def named(*events: dict[str, Any]) -> bytes:
    """Server-sent events with their names."""
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)


def pinging(*steps: bytes, ping: bytes) -> Script:
    """Say something, then send the same bytes every fifth of a second, for longer than anybody should wait."""
    return Script([HEAD, *steps, *trickle(ping, 0.2, 40)], "stall")


RESPONSE = {"id": "r1", "object": "response", "status": "in_progress", "model": "gpt-x", "output": []}
BEGUN = {
    "type": "message_start",
    "message": {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "usage": {"input_tokens": 5, "output_tokens": 1},
    },
}
EMPTY_TEXT = {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": ""}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
EMPTY_BLOCK = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ""}}


@dataclass(frozen=True)
class Case:
    """Pings of one dialect, which say nothing."""

    id: str
    dialect: str
    script: Script


CASES = (
    Case("chat, comments", "chat", pinging(ping=COMMENT)),
    Case("chat, a role and comments", "chat", pinging(sse([chunk("", role="assistant")]), ping=COMMENT)),
    Case("chat, empty deltas", "chat", pinging(ping=sse([chunk("")]))),
    Case("chat, empty thoughts", "chat", pinging(ping=sse([chunk(None, reasoning_content="")]))),
    Case(
        "responses, in progress",
        "responses",
        pinging(
            named({"type": "response.created", "response": RESPONSE}),
            ping=named({"type": "response.in_progress", "response": RESPONSE}),
        ),
    ),
    Case("responses, keepalives", "responses", pinging(ping=named({"type": "keepalive", "sequence_number": 1}))),
    Case("responses, empty deltas", "responses", pinging(ping=named(EMPTY_TEXT))),
    Case("messages, pings", "messages", pinging(named(BEGUN), ping=named({"type": "ping"}))),
    Case("messages, empty deltas", "messages", pinging(named(BEGUN, BLOCK), ping=named(EMPTY_BLOCK))),
)


def ids(case: Case) -> str:
    return case.id


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_ST_10_pings_before_any_output_are_silence_and_told_so(
    case: Case,
    gateway: Gateway,
    upstream: Upstream,
    model: str,
    responses_model: str,
    messages_model: str,
    nonce: str,
) -> None:
    asked = {"chat": model, "responses": responses_model, "messages": messages_model}[case.dialect]
    upstream.play(nonce, case.script)
    began = time.monotonic()
    events = events_of(gateway.call(ask(asked, nonce, stream=True)), "failed")
    assert LIMIT_S - 0.1 < time.monotonic() - began < LIMIT_S + 1.0
    assert PINGS in events[-1]["response"]["error"]["message"]


@pytest.mark.parametrize("case", [case for case in CASES if case.dialect == "chat"], ids=ids)
def test_ST_10_the_next_provider_is_asked_within_the_limit(
    case: Case, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, case.script, host="a")
    began = time.monotonic()
    events = events_of(gateway.call(ask(both, nonce, stream=True, **IN_ORDER)))
    assert time.monotonic() - began < LIMIT_S + 1.0
    assert text_of(events) == "Hello."
    assert upstream.seen(nonce, "a")[0].is_closed_by_client.wait(5)


def test_ST_10_a_whole_answer_that_is_padded_with_blanks_is_silence(
    gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, Script([head(), *trickle(b"\n", 0.2, 40)], "stall"), host="a")
    began = time.monotonic()
    response = response_of(gateway.call(ask(both, nonce, **IN_ORDER)))
    assert time.monotonic() - began < LIMIT_S + 1.0
    assert response["output_text"] == "Hello."


def test_ST_10_it_is_told_of_a_whole_answer_too(gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
    upstream.play(nonce, Script([head(), *trickle(b" ", 0.2, 40)], "stall"))
    error = error_of(gateway.call(ask(model, nonce)), 524)
    assert PINGS in error["message"]
    assert error["metadata"]["attempts"][0]["kind"] == "silent"


def test_ST_10_a_whole_answer_behind_a_few_blanks_is_served(
    gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    body = json.dumps(completion()).encode()
    upstream.play(nonce, Script([head(), *trickle(b"\n", 0.2, 4), body[:50], 1.0, body[50:]]))
    assert response_of(gateway.call(ask(model, nonce)))["output_text"] == "Hello."


@pytest.mark.parametrize("ping", [COMMENT, sse([chunk("")])], ids=["comments", "empty deltas"])
def test_ST_10_pings_in_mid_stream_end_it_at_the_idle_limit(
    ping: bytes, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, pinging(sse([chunk("ab")]), ping=ping), host="a")
    began = time.monotonic()
    events = events_of(gateway.call(ask(both, nonce, stream=True, **IN_ORDER)), "failed")
    assert LIMIT_S - 0.1 < time.monotonic() - began < LIMIT_S + 1.0
    assert text_of(events) == "ab"
    assert PINGS in events[-1]["response"]["error"]["message"]
    assert not upstream.seen(nonce, "b")


def test_ST_10_output_between_pings_goes_on_for_longer_than_the_limits(
    gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    thought = [step for letter in "abc" for step in (sse([chunk(None, reasoning_content=letter)]), COMMENT, 0.5)]
    upstream.play(nonce, Script([HEAD, *thought, sse([chunk("d")]), COMMENT, 0.5, sse([chunk("e"), *END])]))
    assert text_of(events_of(gateway.call(ask(model, nonce, stream=True)))) == "de"


def test_ST_30_a_model_that_was_asked_to_think_may_only_ping_for_longer(
    gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, Script([HEAD, *trickle(COMMENT, 0.4, 6), sse([chunk("ab"), *END])]))
    reply = gateway.call(ask(model, nonce, stream=True, reasoning={"effort": "high"}))
    assert text_of(events_of(reply)) == "ab"


def test_ST_30_but_it_must_show_that_it_is_there(gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
    upstream.play(nonce, Script([HEAD, COMMENT], "stall"))
    began = time.monotonic()
    reply = gateway.call(ask(model, nonce, stream=True, reasoning={"effort": "high"}))
    assert "no byte in time" in events_of(reply, "failed")[-1]["response"]["error"]["message"]
    assert time.monotonic() - began < LIMIT_S + 1.0


def test_F14_what_came_while_the_process_was_stopped_is_read_before_anybody_is_blamed(
    gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, Script([HEAD, sse([chunk("ab")]), 0.4, sse([chunk("cd")]), 2.2, sse([chunk("ef"), *END])]))
    with gateway.connect() as client:
        client.send(post(ask(model, nonce, stream=True), "connection: close"))
        client.read_until(b'"delta":"ab"')
        gateway.process.send_signal(signal.SIGSTOP)
        time.sleep(LIMIT_S + 0.4)
        gateway.process.send_signal(signal.SIGCONT)
        (reply,) = replies(client.read_to_end())
    assert text_of(events_of(reply)) == "abcdef"


def test_ST_10_fakeprovider_keeps_the_same_limits(gateway: Gateway) -> None:
    pings = "\n".join(["!wait 600ms", "!noise"] * 4)
    began = time.monotonic()
    events = events_of(gateway.call(ask("fake/echo", pings, stream=True)), "failed")
    assert PINGS in events[-1]["response"]["error"]["message"]
    assert time.monotonic() - began < LIMIT_S + 1.0
