"""IN at the two other doors: bodies and heads that a client should not send, told of in the words of each API."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.gateway.fronts import CHAT, MESSAGES, OTHERS, RESPONSES, Front, at_all, at_others, written
from tests.gateway.server import KEY, Gateway, Reply, post, replies
from tests.gateway.test_input_faults import EMOJI, EVIL, MAX_BODY, PAIRS, with_line
from tests.gateway.upstream import Upstream

pytestmark = pytest.mark.usefixtures("no_socket_left")

MODEL = "fake/echo"
UNKNOWN = "tl-" + "x" * 43


def raw(member: str) -> Callable[[Front], bytes]:
    """A good body with one more member, as raw text."""
    return lambda front: written(front.body(MODEL, "Hi"))[:-1] + b", " + member.encode() + b"}"


def with_text(text: bytes) -> Callable[[Front], bytes]:
    """A good body but for its question, which is raw."""
    return lambda front: written(front.body(MODEL, "HERE")).replace(b'"HERE"', text)


def body(**members: Any) -> Callable[[Front], bytes]:
    return lambda front: written(front.body(MODEL, "Hi", **members))


def limited(value: str) -> Callable[[Front], bytes]:
    """A body whose limit is raw text."""

    def make(front: Front) -> bytes:
        good = {**front.body(MODEL, "Hi"), front.limit: "LIMIT"}
        return written(good).replace(b'"LIMIT"', value.encode())

    return make


def user(value: Any) -> Callable[[Front], bytes]:
    return lambda front: written(front.body(MODEL, "Hi", **front.user(value)))


def changed(make: Callable[[Front], bytes], change: Callable[[bytes], bytes]) -> Callable[[Front], bytes]:
    return lambda front: change(make(front))


def same(data: bytes) -> Callable[[Front], bytes]:
    return lambda _: data


@dataclass(frozen=True)
class Case:
    """A body at each door, the status it gets, and words that its error must hold; `at` are the doors that have it."""

    id: str
    make: Callable[[Front], bytes]
    status: int = 400
    words: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    at: tuple[Front, ...] = OTHERS


GOOD = body()
PACKED = {"content_encoding": "gzip"}
MESSAGE = b'{"role":"user","content":"x"},'

CASES = (
    Case("IN-01 cut off in the middle", same(b'{"model":"m","mess'), words=("not valid JSON",)),
    Case("IN-01 empty", same(b""), words=("empty",)),
    Case("IN-02 100,000 open brackets", same(b'{"messages":' + b"[" * 100_000), words=("deep",)),
    Case("IN-02 pairs of brackets", same(b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), words=("deep",)),
    Case("IN-02 129 pairs of brackets", raw('"x": ' + "[" * 129 + "]" * 129), words=("deep",)),
    Case("IN-03 a number of 5,001 digits", limited("9" * 5001)),
    *(Case(f"IN-04 {text}", raw(f'"temperature": {text}')) for text in ("NaN", "Infinity", "-Infinity", "1e400")),
    Case("IN-05 a key twice", raw('"model": "mock/chat"'), words=("model", "twice")),
    Case("IN-05 a key twice, spelled apart", raw('"mod\\u0065l": "mock/chat"'), words=("model", "twice")),
    Case("IN-07 half a surrogate pair in the question", with_text(b'"\\ud800"')),
    Case(
        "IN-07 half a surrogate pair in the user", changed(user("HERE"), lambda data: data.replace(b"HERE", b"\\udfff"))
    ),
    Case("IN-07 half a surrogate pair in a key", raw('"\\ud800": "x"')),
    Case("IN-08 NUL in the question", with_text(b'"a\\u0000"'), words=("U+0000", "messages")),
    Case("IN-08 NUL in the user", user("a\0"), words=("U+0000",)),
    Case("IN-08 NUL in session_id", body(session_id="\0"), words=("session_id", "U+0000")),
    Case("IN-08 NUL in a key", body(**{"a\0": 1}), words=("U+0000",)),
    Case("IN-09 broken UTF-8", with_text(b'"\xc3\x28"'), words=("UTF-8",)),
    Case("IN-09 a byte order mark", changed(GOOD, lambda data: b"\xef\xbb\xbf" + data), words=("byte order mark",)),
    Case("IN-09 UTF-16", changed(GOOD, lambda data: data.decode().encode("utf-16"))),
    Case(
        "IN-13 a packing that is not taken",
        changed(GOOD, gzip.compress),
        words=("Content-Encoding",),
        headers={"content_encoding": "br"},
    ),
    Case("IN-13 a body in gzip", changed(GOOD, gzip.compress), 200, headers=PACKED),
    Case("IN-13 no gzip", GOOD, words=("not gzip",), headers=PACKED),
    Case("IN-13 cut off", changed(GOOD, lambda data: gzip.compress(data)[:-9]), words=("cut off",), headers=PACKED),
    Case("IN-13 a bomb", same(gzip.compress(b" " * 10**8, compresslevel=1)), 413, headers=PACKED),
    Case("IN-14 16 pairs of metadata", body(metadata=PAIRS), 200, at=(CHAT,)),
    Case("IN-14 17 pairs of metadata", body(metadata={**PAIRS, "k": "v"}), words=("metadata", "16"), at=(CHAT,)),
    Case("IN-14 a key of 65 characters", body(metadata={"k" * 65: "v"}), words=("metadata", "64"), at=(CHAT,)),
    Case("IN-14 a value of 513 characters", body(metadata={"k": "v" * 513}), words=("metadata.k",), at=(CHAT,)),
    Case("IN-14 other members of metadata", body(metadata={"user_id": "u", "k": "v"}), 200, at=(MESSAGES,)),
    Case("IN-14 metadata that is a list", body(metadata=[]), words=("metadata",)),
    *(
        Case(f"IN-15 session_id of {count} {kind}", body(session_id=text * count), 200 if count == 128 else 400)
        for count in (128, 129)
        for kind, text in (("letters", "a"), ("rockets", EMOJI))
    ),
    *(
        Case(f"IN-15 a user of {count} rockets", user(EMOJI * count), 200 if count == 128 else 400, at=(CHAT,))
        for count in (128, 129)
    ),
    Case("IN-15 a user without bounds", user(EMOJI * 129), 200, at=(MESSAGES,)),
    Case("IN-15 a user that is a number", user(5)),
    Case("IN-16 a header of 129 characters", GOOD, words=("x-session-id",), headers={"x_session_id": "s" * 129}),
    Case("IN-16 a header of 128 characters", GOOD, 200, headers={"x_session_id": "s" * 128}),
    Case("IN-16 the body's value wins", body(session_id="s"), 200, headers={"x_session_id": "s" * 129}),
    Case("IN-17 plain text", GOOD, words=("Content-Type",), headers={"content_type": "text/plain"}),
    Case("IN-17 a form", GOOD, words=("Content-Type",), headers={"content_type": "multipart/form-data; boundary=x"}),
    Case("IN-19 an unknown preference", body(provider={"olny": ["x"]}), words=("provider.olny", "only")),
    Case("IN-20 another tier", body(service_tier="cheap"), words=("service_tier",)),
    Case("IN-20 21 logprobs", body(logprobs=True, top_logprobs=21), words=("top_logprobs", "20"), at=(CHAT,)),
    Case("IN-20 too warm", body(temperature=2.01), words=("temperature",)),
    Case("IN-20 an unknown plugin", body(plugins=[{"id": "x"}]), words=("plugins", "id")),
    *(
        Case(f"IN-21 {text} tokens", limited(text), words=("max_tokens",))
        for text in ("-1", "0", "1.5", "1e18", "true", '"5"')
    ),
    Case(
        "IN-22 60,000 messages",
        same(b'{"model":"fake/echo","max_tokens":9,"messages":[' + MESSAGE * 60_000 + b"1]}"),
        words=("messages", "10000"),
    ),
    Case(
        "IN-22 a million values",
        same(b'{"model":"fake/echo","max_tokens":9,"messages":[' + b"1," * 900_000 + b"1]}"),
        words=("too many values",),
    ),
    Case("IN-23 1,000 models", body(models=[f"a/{n}" for n in range(1000)]), words=("models", "32")),
    Case("IN-23 no model at all", raw('"models": []'), words=("model",)),
    Case("IN-23 one model many times", body(models=[MODEL] * 32), 200),
    Case("the body is an array", same(b"[]"), words=("object",)),
    Case("no messages", same(b'{"model":"fake/echo","max_tokens":9}'), words=("messages",)),
)
OF_RESPONSES = re.compile(r"\binput\b(?! data)|max_output_tokens|instructions")
IN_NO_MODEL = "IN-23 no model at all"


def paired(cases: tuple[Case, ...]) -> list[Any]:
    return [pytest.param(case, front, id=f"{front.name} {case.id}") for case in cases for front in case.at]


@pytest.mark.parametrize(("case", "front"), paired(CASES))
def test_a_body_is_taken_or_refused_with_a_reason(case: Case, front: Front, gateway: Gateway) -> None:
    data = case.make(front)
    if case.id == IN_NO_MODEL:
        data = data.replace(b'"model": "fake/echo", ', b"")
    reply = gateway.call(data, path=front.path, **case.headers)
    if case.status == 200:
        assert front.heard(reply).ending == "completed"
        return
    message = front.refused(reply, case.status)
    for word in case.words:
        assert word in message, message
    assert not OF_RESPONSES.search(message), message


ENDS = {"chat": ("/explain",), "messages": ("/explain", "/count_tokens")}
ELSEWHERE = [
    pytest.param(case, front, end, id=f"{front.name}{end} {case.id}")
    for case in CASES
    for front in case.at
    for end in ENDS[front.name]
    if case.id != IN_NO_MODEL
]


@pytest.mark.parametrize(("case", "front", "end"), ELSEWHERE)
def test_so_it_is_where_nobody_is_asked_for_an_answer(case: Case, front: Front, end: str, gateway: Gateway) -> None:
    reply = gateway.call(case.make(front), path=front.path + end, **case.headers)
    if case.status != 200:
        assert front.refused(reply, case.status) == front.refused(_asked(case, front, gateway), case.status)
        return
    assert reply.status == 200, reply.body
    assert reply.headers.get("request-id", reply.headers["x-request-id"]) == reply.headers["x-request-id"]
    assert ("request-id" in reply.headers) is (front is MESSAGES)


def _asked(case: Case, front: Front, gateway: Gateway) -> Reply:
    return gateway.call(case.make(front), path=front.path, **case.headers)


class TestSize:
    @at_others
    def test_IN_10_a_length_over_the_limit_is_refused_before_the_body_is_read(
        self, front: Front, gateway: Gateway
    ) -> None:
        head = post(b"", path=front.path).replace(b"content-length: 0", b"content-length: %d" % (MAX_BODY + 1))
        (reply,) = gateway.raw(head)
        front.refused(reply, 413)
        assert reply.headers["connection"] == "close"

    @at_others
    def test_IN_11_a_body_without_length_and_end_is_refused_at_the_limit(self, front: Front, gateway: Gateway) -> None:
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        sent = 0
        with gateway.connect() as client:
            head = post(b"", "transfer-encoding: chunked", path=front.path)
            client.send(head.replace(b"content-length: 0\r\n", b""))
            with suppress(ConnectionError):
                while sent < 4 * MAX_BODY and not client.has_input():
                    client.send(piece)
                    sent += 65536
            (reply,) = replies(client.read_to_end())
        front.refused(reply, 413)
        assert sent < 4 * MAX_BODY


def good(front: Front, *lines: str, key: str = KEY) -> bytes:
    return post(front.body(MODEL, "Hi"), "connection: close", *lines, key=key, path=front.path)


def chunked(front: Front, coding: bytes, rest: bytes) -> bytes:
    head = post(b"", path=front.path).replace(b"content-length: 0", b"transfer-encoding: " + coding)
    return head + rest


class TestHead:
    """What is no request, but says for which API it was meant, is told of in its words."""

    @at_all
    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(lambda front: with_line(b"transfer-encoding: chunked", good(front)), id="IN-12 both"),
            pytest.param(lambda front: with_line(b"content-length: 5", good(front)), id="IN-12 two lengths"),
            pytest.param(lambda front: chunked(front, b"xchunked", b""), id="IN-12 xchunked"),
            pytest.param(lambda front: chunked(front, b"chunked", b"zz\r\n"), id="IN-12 a chunk of zz bytes"),
            pytest.param(
                lambda front: with_line(b"\r\n".join(b"x-%d: 1" % n for n in range(300)), good(front)),
                id="IN-18 300 headers",
            ),
            pytest.param(lambda front: with_line(b"x-long: " + b"y" * 65536, good(front)), id="IN-18 a line of 64 KiB"),
            pytest.param(lambda front: with_line(b"x y: 1", good(front)), id="IN-18 a space in a name"),
            pytest.param(lambda front: with_line(b"host: y", good(front)), id="IN-26 two hosts"),
        ],
    )
    def test_a_wrong_head_is_400_and_the_end(
        self, make: Callable[[Front], bytes], front: Front, gateway: Gateway
    ) -> None:
        (reply,) = gateway.raw(make(front))
        front.refused(reply, 400)
        assert reply.headers["connection"] == "close"
        assert reply.headers["x-request-id"].startswith("req_")

    @at_others
    @pytest.mark.parametrize("host", [b"x/?#", b"a@b", b"evil.example"])
    def test_IN_26_the_host_opens_no_door(self, host: bytes, front: Front, gateway: Gateway) -> None:
        (reply,) = gateway.raw(good(front).replace(b"host: x", b"host: " + host))
        assert front.heard(reply).ending == "completed"
        (reply,) = gateway.raw(good(front, key="tl-wrong").replace(b"host: x", b"host: " + host))
        front.refused(reply, 401)

    @at_others
    @pytest.mark.parametrize("before", [b"http://evil", b"//evil"])
    def test_IN_26_neither_does_the_target(self, before: bytes, front: Front, gateway: Gateway) -> None:
        path = front.path.encode()
        (reply,) = gateway.raw(good(front, key="tl-wrong").replace(path, before + path, 1))
        front.refused(reply, 404 if reply.status == 404 else 401)

    def test_IN_28_pipelined_requests_are_answered_in_order_each_in_its_own_words(self, gateway: Gateway) -> None:
        def asked(front: Front, word: str, *lines: str, key: str = KEY) -> bytes:
            return post(front.body(MODEL, word), *lines, key=key, path=front.path)

        first, second, third, fourth, fifth = gateway.raw(
            asked(CHAT, "first")
            + asked(MESSAGES, "second", key=UNKNOWN)
            + post(b"{}", path=CHAT.path)
            + asked(MESSAGES, "fourth")
            + asked(RESPONSES, "fifth", "connection: close")
        )
        assert "first" in CHAT.heard(first).text
        MESSAGES.refused(second, 401)
        CHAT.refused(third, 400)
        assert "fourth" in MESSAGES.heard(fourth).text
        assert "fifth" in RESPONSES.heard(fifth).text

    @at_others
    def test_IN_29_a_body_that_is_announced_and_never_sent_is_408(self, front: Front, gateway: Gateway) -> None:
        data = post(front.body(MODEL), "expect: 100-continue", path=front.path)
        with gateway.connect() as client:
            client.send(data[: data.index(b"\r\n\r\n") + 4])
            client.read_until(b"100 Continue\r\n\r\n")
            interim, reply = replies(client.read_to_end())
        assert interim.status == 100
        front.refused(reply, 408)


@at_others
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", ["model", "session_id", "prompt_cache_key", "safety_identifier", "user"])
def test_IN_24_a_line_end_makes_no_header(
    name: str, streams: bool, front: Front, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    members = front.user(EVIL) if name == "user" else {name: EVIL}
    reply = gateway.call({**front.body("mock/chat", nonce, stream=streams), **members}, path=front.path)
    assert "x-evil" not in reply.headers
    if reply.status == 200:
        assert front.heard(reply).ending == "completed"
    else:
        front.refused(reply, 404)
    assert not any("x-evil" in seen.headers for seen in upstream.seen(nonce))


@pytest.mark.parametrize(
    "end", ["", "/", "?beta=true", "/?beta=true", "?x=%0d%0a"], ids=["plain", "slash", "beta", "both", "line end"]
)
@pytest.mark.parametrize("base", ["/api/v1", "/v1"])
@at_all
def test_a_door_is_found_in_every_spelling(front: Front, base: str, end: str, gateway: Gateway) -> None:
    path = front.path.replace("/api/v1", base) + end
    assert front.heard(gateway.call(front.body(MODEL, "Hi"), path=path)).ending == "completed"


@pytest.mark.parametrize("base", ["/api/v1", "/v1"])
@pytest.mark.parametrize("end", ["", "/", "?beta=true"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"])
@at_all
def test_CL_16_another_method_is_a_405_in_the_words_of_the_door(
    front: Front, method: str, end: str, base: str, gateway: Gateway
) -> None:
    reply = gateway.request(method, front.path.replace("/api/v1", base) + end)
    assert reply.headers["allow"] == "POST"
    if method == "HEAD":
        assert (reply.status, reply.body) == (405, b"")
    else:
        assert method in front.refused(reply, 405)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("path", "front"),
    [
        ("/v1/messages/batches", MESSAGES),
        ("/api/v1/messages/msg_1", MESSAGES),
        ("/messages", MESSAGES),
        ("/v1/v1/messages", MESSAGES),
        ("/v1/chat/completions/gen-1", CHAT),
        ("/openai/chat/completions", CHAT),
        ("/v1/responses/resp_1/input_items", RESPONSES),
        ("/v1/messages.json", RESPONSES),
        ("/v1/audio/speech", RESPONSES),
    ],
)
def test_CL_16_a_path_that_is_not_served_is_a_404_in_the_words_of_the_door_it_is_by(
    path: str, front: Front, method: str, gateway: Gateway
) -> None:
    assert "/" in front.refused(gateway.request(method, path), 404)
