"""ST: what can go wrong in a stream from a provider, and the whole, valid stream that the client gets all the same."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.gateway.checks import IN_ORDER, ask, error_of, events_of, response_of, text_of
from tests.gateway.server import Gateway, post
from tests.gateway.test_openai_sdk import RESPONSES_ANSWER, responses_stream
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, stream, trickle, usage_chunk, whole
from tests.gateway.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_socket_left")

HEAD = head(200, "text/event-stream")
END: tuple[Any, ...] = (chunk(finish="stop"), usage_chunk(), "[DONE]")


def told(
    gateway: Gateway, upstream: Upstream, model: str, nonce: str, script: Script, ending: str = "completed"
) -> str:
    """Play a stream and give the text that came of it."""
    upstream.play(nonce, script)
    return text_of(events_of(gateway.call(ask(model, nonce, stream=True)), ending))


def letters(text: str) -> list[Any]:
    return [chunk(letter) for letter in text]


class TestFraming:
    """ST-01 to ST-06: any bytes that the rules of server-sent events allow."""

    def test_ST_01_characters_are_cut_at_each_of_their_bytes(
        self, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        text = "a🚀é漢b"
        body = json.dumps(chunk(text), ensure_ascii=False).encode()
        start = b"data: " + body
        cuts = [start.index("🚀".encode()) + offset for offset in range(1, 4)]
        pieces: list[bytes | float] = []
        for before, after in zip([0, *cuts], [*cuts, len(start)], strict=True):
            pieces += [start[before:after], 0.02]
        script = Script([HEAD, *pieces, b"\n\n", sse(END)])
        assert told(gateway, upstream, model, nonce, script) == text

    def test_ST_02_one_byte_per_packet(self, gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
        body = sse([*letters("Hé 🚀!"), *END])
        pieces: list[bytes | float] = []
        for at in range(len(body)):
            pieces += [body[at : at + 1], 0.0]
        assert told(gateway, upstream, model, nonce, Script([HEAD, *pieces])) == "Hé 🚀!"

    @pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CR LF"])
    def test_ST_03_line_ends_comments_and_odd_fields(
        self, end: bytes, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        one = json.dumps(chunk("Hel"))
        split = json.dumps(chunk("lo"), indent=1)
        lines = [": hi", "retry: 5", "id: 7", f"data:{one}", "", ":", *(f"data: {line}" for line in split.split("\n"))]
        lines += ["", "event: message", f"data: {json.dumps(chunk('!'))}", "", "unknown: x", ""]
        lines += ["data: " + json.dumps(chunk(finish="stop")), "", "data: [DONE]", "", ""]
        body = b"\xef\xbb\xbf" + end.join(line.encode() for line in lines)
        assert told(gateway, upstream, model, nonce, Script([HEAD, body])) == "Hello!"

    def test_ST_03_mixed_line_ends(self, gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
        body = sse(letters("Hel")) + sse(letters("lo")).replace(b"\n", b"\r\n") + sse(END).replace(b"\n", b"\r")
        assert told(gateway, upstream, model, nonce, Script([HEAD, body])) == "Hello"

    @pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c"], ids=ascii)
    def test_ST_04_marks_that_are_no_line_ends(
        self, mark: str, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        text = f"one{mark}two"
        raw = json.dumps(chunk("TEXT"), ensure_ascii=False).replace(
            "TEXT", text if ord(mark) > 31 else ascii(mark)[1:-1]
        )
        if ord(mark) < 32:
            raw = json.dumps(chunk(text))
        assert told(gateway, upstream, model, nonce, stream([raw, *END])) == text

    def test_ST_05_text_that_looks_like_an_event(
        self, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        text = '\n\ndata: {"type":"response.completed"}\n\nevent: response.completed\r\ndata: [DONE]\n\n'
        assert told(gateway, upstream, model, nonce, stream([chunk(text), *END])) == text

    def test_ST_06_names_with_line_ends(self, gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
        evil = "a\r\n\r\nevent: response.completed\r\ndata: {}\r\n\r\n"
        call = {"index": 0, "id": evil, "type": "function", "function": {"name": evil, "arguments": "{}"}}
        upstream.play(nonce, stream([chunk(tool_calls=[call]), chunk(finish="tool_calls"), "[DONE]"]))
        tool = {"type": "function", "name": "a", "parameters": {"type": "object"}}
        events = events_of(gateway.call(ask(model, nonce, stream=True, tools=[tool])))
        assert events[-1]["response"]["output"][0]["type"] == "function_call"

    def test_ST_06_an_event_name_with_line_ends(
        self, gateway: Gateway, upstream: Upstream, responses_model: str, nonce: str
    ) -> None:
        events = responses_stream("Hi")
        events[2]["item"]["id"] = events[1]["type"] = "x\r\nevent: response.completed\r\n"
        upstream.play(nonce, stream(events))
        events_of(gateway.call(ask(responses_model, nonce, stream=True)))


@dataclass(frozen=True)
class Case:
    """A stream from a provider and what becomes of it: its ending, and its text if there is any."""

    id: str
    script: Script
    ending: str
    text: str
    code: str | None = None


TWENTY = letters("abcdefghijklmnopqrst")
BROKEN = Script([HEAD, sse(TWENTY)], "end")
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def in_chunks(*pieces: bytes) -> list[bytes | float]:
    return [CHUNKED, *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)]


CASES = (
    Case("ST-07 FIN without an end mark", BROKEN, "failed", "abcdefghijklmnopqrst", "server_error"),
    Case("ST-07 FIN inside of chunked coding", Script(in_chunks(sse(TWENTY))), "failed", "abcdefghijklmnopqrst"),
    Case("ST-07 FIN with a finish but no end mark", stream([*TWENTY, END[0]]), "completed", "abcdefghijklmnopqrst"),
    Case("ST-07 an end mark without a finish", stream([*TWENTY, "[DONE]"]), "completed", "abcdefghijklmnopqrst"),
    Case("ST-08 RST", Script([HEAD, sse(TWENTY), 0.1], "reset"), "failed", "abcdefghijklmnopqrst", "server_error"),
    Case("ST-09 silence", Script([HEAD, sse(TWENTY)], "stall"), "failed", "abcdefghijklmnopqrst", "server_error"),
    Case(
        "ST-12 an error after content",
        stream([*letters("ab"), {"error": {"message": "Broke.", "type": "server_error"}}, *letters("cd"), *END]),
        "failed",
        "ab",
        "server_error",
    ),
    Case(
        "ST-12 a limit after content",
        stream([*letters("ab"), {"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}]),
        "failed",
        "ab",
        "rate_limit_exceeded",
    ),
    Case("ST-13 a broken line", stream([*letters("ab"), '{"choices": [', *letters("cd"), *END]), "failed", "ab"),
    Case("ST-13 a line that is an array", stream([*letters("ab"), "[1]", *END]), "failed", "ab"),
    Case("ST-17 two usages", stream([*letters("ab"), END[0], usage_chunk(9, 9), *END[1:]]), "completed", "ab"),
    Case("ST-17 two end marks", stream([*letters("ab"), *END, "[DONE]"]), "completed", "ab"),
    Case("ST-17 data after the end mark", stream([*letters("ab"), *END, *letters("cd"), *END]), "completed", "ab"),
    Case(
        "ST-29 a content filter", stream([*letters("ab"), chunk(finish="content_filter"), *END[1:]]), "incomplete", "ab"
    ),
    Case("a limit of tokens", stream([*letters("ab"), chunk(finish="length"), *END[1:]]), "incomplete", "ab"),
    Case(
        "ST-18 a chunk of 2^68 bytes",
        Script([*in_chunks(sse(letters("ab"))), 0.1, b"FFFFFFFFFFFFFFFFF\r\nx\r\n"]),
        "failed",
        "ab",
    ),
    Case(
        "ST-18 a chunk of 2^64 - 1 bytes",
        Script([*in_chunks(sse(letters("ab"))), 0.1, b"FFFFFFFFFFFFFFFF\r\nx\r\n"]),
        "failed",
        "ab",
    ),
    Case("ST-18 a chunk of -1 bytes", Script([*in_chunks(sse(letters("ab"))), 0.1, b"-1\r\nx\r\n"]), "failed", "ab"),
    Case("ST-18 a chunk of zz bytes", Script([*in_chunks(sse(letters("ab"))), 0.1, b"zz\r\nx\r\n"]), "failed", "ab"),
    Case("ST-18 a chunk without its end", Script([*in_chunks(sse(letters("ab"))), 0.1, b"1\r\nxyz"]), "failed", "ab"),
    Case(
        "ST-19 an extension of a megabyte",
        Script([*in_chunks(sse(letters("ab"))), 0.1, b"1;x=" + b"y" * 2**20 + b"\r\n:\r\n0\r\n\r\n"]),
        "failed",
        "ab",
    ),
    Case(
        "ST-19 trailers",
        Script([*in_chunks(sse([*letters("ab"), *END])), b"0\r\nset-cookie: secret=1\r\n\r\n"]),
        "completed",
        "ab",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_ST_07_to_ST_29_one_terminal_event_and_no_second_provider(
    case: Case, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, case.script, host="a")
    events = events_of(gateway.call(ask(both, nonce, stream=True, **IN_ORDER)), case.ending)
    assert text_of(events) == case.text
    response = events[-1]["response"]
    if case.ending == "failed":
        assert response["error"]["code"] == (case.code or "server_error")
    if case.ending == "incomplete":
        reason = "content_filter" if "filter" in case.id else "max_output_tokens"
        assert response["incomplete_details"] == {"reason": reason}
    (seen,) = upstream.seen(nonce)
    assert seen.path.startswith("/a/")
    if case.script.ending == "stall":
        assert seen.is_closed_by_client.wait(5)


def test_F13_a_stream_that_breaks_off_tells_what_was_heard_of_it(
    gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, stream(letters("x" * 80)), host="a")
    events = events_of(gateway.call(ask(both, nonce, stream=True, **IN_ORDER)), "failed")
    usage = events[-1]["response"]["usage"]
    assert usage["output_tokens"] == 20
    assert usage["input_tokens"] > 0
    assert usage["cost"] == pytest.approx((usage["input_tokens"] + 2 * 20) / 1e6)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_ST_21_a_stream_that_was_not_asked_for_is_gathered(
    case: Case, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, case.script)
    response = response_of(gateway.call(ask(model, nonce)), case.ending)
    assert response["output_text"] == case.text
    if case.ending == "failed":
        assert response["error"]["code"] == (case.code or "server_error")


def test_ST_20_a_whole_body_is_turned_into_events(gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
    assert told(gateway, upstream, model, nonce, whole(completion("Whole."))) == "Whole."


@pytest.mark.parametrize(
    ("opening", "status", "dialect"),
    [
        pytest.param({"error": {"type": "overloaded_error", "message": "Overloaded"}}, 529, "chat", id="ST-11 chat"),
        pytest.param(
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            529,
            "messages",
            id="ST-11 messages",
        ),
        pytest.param({"error": {"code": 429, "message": "Slow down."}}, 429, "chat", id="a limit"),
        pytest.param('{"choices": [', 502, "chat", id="ST-13 a broken first line"),
        pytest.param("[DONE]", 502, "chat", id="ST-28 nothing but the end mark"),
        pytest.param(chunk("", finish=""), 502, "chat", id="ST-28 a blank finish"),
    ],
)
def test_ST_11_ST_28_a_first_event_that_is_no_answer_is_a_status(
    opening: Any,
    status: int,
    dialect: str,
    gateway: Gateway,
    upstream: Upstream,
    both: str,
    messages_model: str,
    nonce: str,
) -> None:
    named = [json.dumps(opening)] if isinstance(opening, dict) else [opening]
    upstream.play(nonce, stream(named), host="a" if dialect == "chat" else dialect)
    if dialect == "chat":
        events = events_of(gateway.call(ask(both, nonce, stream=True, **IN_ORDER)))
        assert text_of(events) == "Hello."
        upstream.play(nonce, stream(named), host="b")
        error_of(gateway.call(ask(both, nonce, stream=True)), status)
    else:
        error_of(gateway.call(ask(messages_model, nonce, stream=True)), status)


def test_ST_18_a_wrong_chunk_before_any_event_is_a_status(
    gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, Script([CHUNKED, b"zz\r\nx\r\n"]))
    error_of(gateway.call(ask(model, nonce, stream=True)), 502)


def test_ST_14_a_line_without_end_is_cut_at_the_cap(
    gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    before = gateway.memory_kib
    script = Script([HEAD, sse(letters("ab")), b"data: ", *[b"x" * 2**20] * 100], "stall")
    assert told(gateway, upstream, model, nonce, script, "failed") == "ab"
    assert upstream.seen(nonce)[0].bytes_sent < 90 * 2**20
    eventually(lambda: gateway.memory_kib < before + 48 * 1024, "the memory is not given back")


@pytest.mark.parametrize("each_read", [1, 100], ids=["piece by piece", "many at once"])
def test_ST_16_a_stream_that_goes_on_after_its_limit_is_cut(
    each_read: int, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    pieces = [chunk(f"piece {number} ") for number in range(1_000)]
    reads = [sse(pieces[place : place + each_read]) for place in range(0, len(pieces), each_read)]
    upstream.play(nonce, Script([HEAD, *[part for read in reads for part in (read, 0.002)], sse(END)]), host="a")
    body = ask(both, nonce, stream=True, max_output_tokens=50, **IN_ORDER)
    events = events_of(gateway.call(body), "incomplete")
    response = events[-1]["response"]
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert 50 * 4 <= len(text_of(events)) < 50 * 8 + 100
    assert 0 < response["usage"]["output_tokens"] <= 110
    (seen,) = upstream.seen(nonce)
    assert seen.is_closed_by_client.wait(5)


def test_ST_15_a_stream_without_end_is_ended_at_the_deadline(
    gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, Script([HEAD, *trickle(sse(letters("a")), 0.05, 400)], "stall"), host="a")
    events = events_of(gateway.call(ask(both, nonce, stream=True, **IN_ORDER)), "failed")
    assert len(events) > 20
    assert upstream.seen(nonce)[0].is_closed_by_client.wait(5)


def test_ST_22_what_one_client_left_unread_reaches_nobody_else(
    gateway: Gateway, upstream: Upstream, model: str
) -> None:
    def pieces(text: str) -> list[bytes | float]:
        return [*in_chunks(*(sse([part]) for part in [*letters(text), *END])), b"0\r\n\r\n"]

    for number in range(20):
        left, stayed = (
            upstream.play(f"nonce-st22-{number}-{name}", Script(pieces(name), "keep")) for name in ("xyz", "abc")
        )
        with gateway.connect() as client:
            client.send(post(ask(model, left, stream=True)))
            client.read(1 + 40 * number)
        reply = gateway.call(ask(model, stayed, stream=True))
        assert text_of(events_of(reply)) == "abc"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda events: events[:2] + events[4:], id="a delta before its item"),
        pytest.param(
            lambda events: [{**e, "output_index": 7} if "output_index" in e else e for e in events], id="index"
        ),
        pytest.param(lambda events: [e for e in events if "added" not in e["type"]], id="done without added"),
        pytest.param(lambda events: [e for e in events if "done" not in e["type"]], id="added without done"),
        pytest.param(lambda events: [e for e in events if e["type"] != "response.created"], id="not created"),
        pytest.param(lambda events: [{**e, "sequence_number": 0} for e in events], id="all have the number 0"),
        pytest.param(lambda events: [*events[:5], *events[2:]], id="an item begins twice"),
    ],
)
def test_ST_23_a_responses_server_that_breaks_the_order_is_mended(
    spoil: Any, gateway: Gateway, upstream: Upstream, responses_model: str, nonce: str
) -> None:
    upstream.play(nonce, stream(spoil(responses_stream("Hello."))))
    reply = gateway.call(ask(responses_model, nonce, stream=True))
    ending = reply.events[-1]["type"].removeprefix("response.")
    assert ending in ("completed", "failed")
    events_of(reply, ending)


def test_ST_25_ten_thousand_events_and_a_pause(gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
    half = sse(letters("x" * 5_000))
    upstream.play(nonce, Script([HEAD, half, 1.3, half, sse(END)]))
    reply = gateway.call(ask(model, nonce, stream=True))
    assert reply.body.count(b": keep-alive\n\n") >= 1
    events = events_of(reply)
    assert text_of(events) == "x" * 10_000
    assert events[-1]["sequence_number"] == len(events) - 1 > 10_000


def picture_events(sizes: Sequence[int]) -> list[dict[str, Any]]:
    """What a Responses server streams for one image with partial ones before it."""
    at = {"item_id": "ig_up", "output_index": 0}
    item = {"id": "ig_up", "type": "image_generation_call", "status": "in_progress", "result": None}
    final = {**item, "status": "completed", "result": base64.b64encode(b"p" * 900).decode()}
    opening = {**RESPONSES_ANSWER, "status": "in_progress", "output": [], "usage": None}
    step = "response.image_generation_call"
    return [
        {"type": "response.created", "response": opening},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": f"{step}.in_progress", **at},
        {"type": f"{step}.generating", **at},
        *(
            {"type": f"{step}.partial_image", **at, "partial_image_index": n, "partial_image_b64": "A" * size}
            for n, size in enumerate(sizes)
        ),
        {"type": f"{step}.completed", **at},
        {"type": "response.output_item.done", "output_index": 0, "item": final},
        {"type": "response.completed", "response": {**RESPONSES_ANSWER, "output": [final]}},
    ]


def test_ST_26_large_partial_images_are_passed_on(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    before = gateway.memory_kib
    upstream.play(nonce, stream(picture_events([4_000_000] * 8)))
    events = events_of(gateway.call(ask("mock/pictures", nonce, stream=True, modalities=["image"])))
    partial = [event for event in events if event["type"] == "response.image_generation_call.partial_image"]
    assert [len(event["partial_image_b64"]) for event in partial] == [4_000_000] * 8
    eventually(lambda: gateway.memory_kib < before + 64 * 1024, "the memory is not given back")


def test_ST_30_silence_is_filled_with_comments(gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
    upstream.play(nonce, Script([HEAD, *trickle(b": still thinking\n\n", 1.2, 2), sse([*letters("ab"), *END])]))
    reply = gateway.call(ask(model, nonce, stream=True, reasoning={"effort": "high"}))
    assert reply.body.startswith(b": keep-alive\n\n")
    assert reply.body.count(b": keep-alive\n\n") >= 3
    assert text_of(events_of(reply)) == "ab"
