"""IN: bodies and heads that a client should not send, and the error that says so."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.gateway.checks import ask, error_of, events_of, response_of
from tests.gateway.server import KEY, Gateway, post, replies
from tests.gateway.upstream import Upstream
from tests.gateway.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_socket_left")

MODEL = "fake/echo"
MAX_BODY = 2_000_000


def raw(member: str) -> bytes:
    """A good body with one more member, as raw text."""
    return b'{"model": "fake/echo", "input": "Hi", ' + member.encode() + b"}"


def body(**members: Any) -> bytes:
    return json.dumps(ask(MODEL, "Hi", **members)).encode()


@dataclass(frozen=True)
class Case:
    """A body, the status it gets, and words that its error must hold."""

    id: str
    body: bytes
    status: int = 400
    words: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)


EMOJI = "🚀"
PAIRS = {f"k{number}": "v" for number in range(16)}

CASES = (
    Case("IN-01 cut off in the middle", b'{"model":"m","inp'),
    Case("IN-01 empty", b"", words=("empty",)),
    Case("IN-02 100,000 open brackets", b'{"input":' + b"[" * 100_000, words=("deep",)),
    Case("IN-02 100,000 pairs of brackets", b'{"input":' + b"[" * 100_000 + b"]" * 100_000 + b"}", words=("deep",)),
    Case("IN-02 129 pairs of brackets", raw('"x": ' + "[" * 129 + "]" * 129), words=("deep",)),
    Case("IN-03 a number of 5,001 digits", raw(f'"max_output_tokens": {"9" * 5001}')),
    *(Case(f"IN-04 {text}", raw(f'"temperature": {text}')) for text in ("NaN", "Infinity", "-Infinity", "1e400")),
    Case("IN-05 a key twice", raw('"model": "mock/chat"'), words=("model", "twice")),
    Case("IN-05 a key twice, spelled apart", raw('"mod\\u0065l": "mock/chat"'), words=("model", "twice")),
    Case("IN-07 half a surrogate pair in the input", b'{"model":"fake/echo","input":"\\ud800"}'),
    Case("IN-07 half a surrogate pair in user", raw('"user": "\\udfff"')),
    Case("IN-07 half a surrogate pair in a key", raw('"metadata": {"\\ud800": "x"}')),
    *(
        Case(f"IN-08 NUL in {where}", raw(text), words=("U+0000",))
        for where, text in (
            ("user", '"user": "a\\u0000"'),
            ("session_id", '"session_id": "\\u0000"'),
            ("metadata", '"metadata": {"a": "\\u0000"}'),
            ("a key of metadata", '"metadata": {"\\u0000": "a"}'),
            ("the name of a tool", '"tools": [{"type": "function", "name": "a\\u0000b", "parameters": {}}]'),
        )
    ),
    Case("IN-09 broken UTF-8", b'{"model":"fake/echo","input":"\xc3\x28"}'),
    Case("IN-09 a byte order mark", b"\xef\xbb\xbf" + body(), words=("byte order mark",)),
    Case("IN-09 UTF-16", body().decode().encode("utf-16")),
    Case(
        "IN-13 a body in a packing that is not taken",
        gzip.compress(body()),
        words=("Content-Encoding", "gzip"),
        headers={"content_encoding": "br"},
    ),
    Case("IN-13 a body in gzip", gzip.compress(body()), 200, headers={"content_encoding": "gzip"}),
    Case("IN-13 two members", gzip.compress(b" ") + gzip.compress(body()), 200, headers={"content_encoding": "gzip"}),
    Case("IN-13 no gzip", body(), words=("not gzip",), headers={"content_encoding": "gzip"}),
    Case("IN-13 cut off", gzip.compress(body())[:-9], words=("cut off",), headers={"content_encoding": "gzip"}),
    Case("IN-13 no byte of it", b"", words=("cut off",), headers={"content_encoding": "gzip"}),
    Case("IN-13 blanks", gzip.compress(b" " * 10**6), headers={"content_encoding": "gzip"}),
    Case("IN-13 a bomb", gzip.compress(b" " * 10**8, compresslevel=1), 413, headers={"content_encoding": "gzip"}),
    Case("IN-14 16 pairs of metadata", body(metadata=PAIRS), 200),
    Case("IN-14 17 pairs of metadata", body(metadata={**PAIRS, "k": "v"}), words=("metadata", "16")),
    Case("IN-14 a key of 64 characters", body(metadata={"k" * 64: "v"}), 200),
    Case("IN-14 a key of 65 characters", body(metadata={"k" * 65: "v"}), words=("metadata", "64")),
    Case("IN-14 a value of 512 characters", body(metadata={"k": "v" * 512}), 200),
    Case("IN-14 a value of 513 characters", body(metadata={"k": "v" * 513}), words=("metadata.k", "512")),
    Case("IN-14 a key with a bracket", body(metadata={"a[0]": "v"}), words=("metadata",)),
    *(
        Case(f"IN-15 {name} of {count} {kind}", body(**{name: text * count}), 200 if count == 128 else 400)
        for name in ("user", "session_id")
        for count in (128, 129)
        for kind, text in (("letters", "a"), ("rockets", EMOJI))
    ),
    Case(
        "IN-16 a header of 129 characters", body(), words=("x-session-id", "128"), headers={"x_session_id": "s" * 129}
    ),
    Case("IN-16 a header of 128 characters", body(), 200, headers={"x_session_id": "s" * 128}),
    Case("IN-16 the body's value wins", body(session_id="s"), 200, headers={"x_session_id": "s" * 129}),
    Case("IN-17 plain text", body(), words=("Content-Type",), headers={"content_type": "text/plain"}),
    Case("IN-19 an unknown preference", body(provider={"olny": ["x"]}), words=("provider.olny", "only")),
    Case("IN-20 store", body(store=True), words=("store", "stored")),
    Case("IN-20 another tier", body(service_tier="cheap"), words=("service_tier", "flex")),
    Case("IN-20 21 logprobs", body(top_logprobs=21), words=("top_logprobs", "20")),
    Case("IN-20 too warm", body(temperature=2.01), words=("temperature", "2")),
    Case("IN-20 an unknown plugin", body(plugins=[{"id": "x"}]), words=("plugins[0].id",)),
    *(
        Case(f"IN-21 {text} tokens", raw(f'"max_output_tokens": {text}'), words=("max_output_tokens",))
        for text in ("-1", "0", "1.5", "1e18", "true", '"5"')
    ),
    Case("IN-22 200,000 items", b'{"model":"fake/echo","input":[' + b"1," * 200_000 + b"1]}", words=("input", "10000")),
    Case(
        "IN-22 a million items",
        b'{"model":"fake/echo","input":[' + b"1," * 900_000 + b"1]}",
        words=("too many values",),
    ),
    Case("IN-23 1,000 models", body(models=[f"a/{n}" for n in range(1000)]), words=("models", "32")),
    Case("IN-23 no model at all", json.dumps({"input": "Hi", "models": []}).encode(), words=("model",)),
    Case("IN-23 one model many times", body(models=[MODEL] * 32), 200),
    Case("the body is an array", b"[]", words=("object",)),
    Case("no input", b'{"model":"fake/echo"}', words=("input",)),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_IN_a_body_is_taken_or_refused_with_a_reason(case: Case, gateway: Gateway) -> None:
    reply = gateway.call(case.body, **case.headers)
    if case.status == 200:
        response_of(reply)
        return
    error = error_of(reply, case.status)
    for word in case.words:
        assert word in error["message"], error["message"]


class TestSize:
    def test_IN_10_a_length_over_the_limit_is_refused_before_the_body_is_read(self, gateway: Gateway) -> None:
        head = post(b"").replace(b"content-length: 0", b"content-length: %d" % (MAX_BODY + 1))
        (reply,) = gateway.raw(head)
        error_of(reply, 413)
        assert reply.headers["connection"] == "close"

    def test_IN_10_a_body_of_just_the_limit_is_taken(self, gateway: Gateway) -> None:
        full = body(input="Hi")
        response_of(gateway.call(full + b" " * (MAX_BODY - len(full))))

    def test_IN_11_a_body_without_length_and_end_is_refused_at_the_limit(self, gateway: Gateway) -> None:
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        sent = 0
        with gateway.connect() as client:
            client.send(post(b"", "transfer-encoding: chunked").replace(b"content-length: 0\r\n", b""))
            with suppress(ConnectionError):
                while sent < 4 * MAX_BODY and not client.has_input():
                    client.send(piece)
                    sent += 65536
            (reply,) = replies(client.read_to_end())
        error_of(reply, 413)
        assert sent < 4 * MAX_BODY

    def test_IN_22_many_large_bodies_at_once_leave_others_alone(self, gateway: Gateway) -> None:
        large = b'{"model":"fake/echo","input":[' + b'{"role":"user","content":"x"},' * 60_000 + b"1]}"
        with ThreadPoolExecutor(4) as pool:
            refused = [pool.submit(gateway.call, large) for _ in range(10)]
            while not all(future.done() for future in refused):
                assert gateway.request("GET", "/health/live").status == 200
        for future in refused:
            error_of(future.result(), 400)

    def test_OV_05_many_bodies_at_once_are_given_back(self, gateway: Gateway) -> None:
        large = body() + b" " * (MAX_BODY - 1000)
        before = gateway.memory_kib
        with ThreadPoolExecutor(4) as pool:
            for reply in pool.map(gateway.call, [large] * 12):
                response_of(reply)
        eventually(lambda: gateway.memory_kib < before + 64 * 1024, "the memory is not given back")


GET = b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
GOOD = post(ask(MODEL, "Hi"), "connection: close")


def with_line(line: bytes, request: bytes = GOOD) -> bytes:
    """Put one more line into a head, after the first."""
    first, _, rest = request.partition(b"\r\n")
    return first + b"\r\n" + line + b"\r\n" + rest


class TestHead:
    """Bytes that no client library would send: 400 and the end of the connection."""

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(with_line(b"transfer-encoding: chunked"), id="IN-12 a length and chunks"),
            pytest.param(with_line(b"content-length: 5"), id="IN-12 two lengths"),
            pytest.param(
                post(b"", "transfer-encoding: xchunked").replace(b"content-length: 0\r\n", b""), id="IN-12 xchunked"
            ),
            pytest.param(with_line(b"content-length: -1", GET), id="IN-12 a negative length"),
            pytest.param(with_line(b"content-length: 5,5", GET), id="IN-12 a list of lengths"),
            pytest.param(with_line(b"\r\n".join(b"x-%d: 1" % n for n in range(300))), id="IN-18 300 headers"),
            pytest.param(with_line(b"x-long: " + b"y" * 65536), id="IN-18 a line of 64 KiB"),
            pytest.param(with_line(b"x y: 1"), id="IN-18 a space in a name"),
            pytest.param(with_line(b"x : 1"), id="IN-18 a space before the colon"),
            pytest.param(with_line(b"x: a\x00b"), id="IN-18 NUL in a value"),
            pytest.param(with_line(b"no colon"), id="a line that is no field"),
            pytest.param(
                post(b"", "transfer-encoding: chunked").replace(b"content-length: 0\r\n", b"") + b"zz\r\n",
                id="a chunk of zz bytes",
            ),
            pytest.param(b"GET /\x80 HTTP/1.1\r\nhost: x\r\n\r\n", id="an address that is not ASCII"),
            pytest.param(b"GET / HTTP/9.9\r\nhost: x\r\n\r\n", id="another version"),
            pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="a TLS handshake"),
            pytest.param(
                b"CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\n\r\n", id="a request to be a proxy"
            ),
        ],
    )
    def test_IN_12_IN_18_a_wrong_head_is_400_and_the_end(self, data: bytes, gateway: Gateway) -> None:
        (reply,) = gateway.raw(data)
        error_of(reply, 400)
        assert reply.headers["connection"] == "close"

    def test_IN_17_a_boundary_of_a_million_characters(self, gateway: Gateway) -> None:
        (reply,) = gateway.raw(with_line(b"content-type: multipart/form-data; boundary=" + b"-" * 10**6))
        error_of(reply, 400)

    def test_IN_12_nothing_that_is_smuggled_is_answered(self, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
        hidden = post(ask("mock/chat", nonce))
        for line in (b"transfer-encoding: chunked", b"transfer-encoding: identity, chunked"):
            request = with_line(line, post(b"0\r\n\r\n" + hidden))
            assert len(gateway.raw(request)) == 1
        assert not upstream.seen(nonce)

    @pytest.mark.parametrize("host", [b"x/?#", b"a@b", b"evil.example", b"x/health/live"])
    def test_IN_26_the_host_opens_no_door(self, host: bytes, gateway: Gateway) -> None:
        (reply,) = gateway.raw(GOOD.replace(b"host: x", b"host: " + host))
        response_of(reply)
        (reply,) = gateway.raw(GOOD.replace(b"host: x", b"host: " + host).replace(KEY.encode(), b"tl-wrong"))
        error_of(reply, 401)

    @pytest.mark.parametrize(
        "target", [b"http://evil/api/v1/responses", b"//evil/api/v1/responses", b"/api/v1/responses?x#y"]
    )
    def test_IN_26_neither_does_the_target(self, target: bytes, gateway: Gateway) -> None:
        data = GOOD.replace(b"/api/v1/responses", target).replace(KEY.encode(), b"tl-wrong")
        (reply,) = gateway.raw(data)
        assert reply.status in (400, 401, 404)
        error_of(reply, reply.status)

    def test_IN_28_pipelined_requests_are_answered_in_order_each_with_its_own_key(self, gateway: Gateway) -> None:
        wrong = post(ask(MODEL, "one"), key="tl-" + "x" * 43)
        first, second, third = gateway.raw(
            post(ask(MODEL, "first"), "x-session-id: a") + post(b"{}") + post(ask(MODEL, "third"), "connection: close")
        )
        assert "first" in response_of(first)["output_text"]
        error_of(second, 400)
        assert "third" in response_of(third)["output_text"]
        denied, served = gateway.raw(wrong + GOOD)
        error_of(denied, 401)
        response_of(served)

    def test_IN_29_a_body_that_is_announced_and_never_sent_is_408(self, gateway: Gateway) -> None:
        data = post(body(), "expect: 100-continue")
        with gateway.connect() as client:
            client.send(data[: data.index(b"\r\n\r\n") + 4])
            client.read_until(b"100 Continue\r\n\r\n")
            interim, reply = replies(client.read_to_end())
        assert interim.status == 100
        error_of(reply, 408)

    def test_IN_29_a_body_that_is_announced_and_sent_is_answered(self, gateway: Gateway) -> None:
        data = post(body(), "expect: 100-continue", "connection: close")
        with gateway.connect() as client:
            head, body_sent = data[: data.index(b"\r\n\r\n") + 4], data[data.index(b"\r\n\r\n") + 4 :]
            client.send(head)
            client.read_until(b"100 Continue\r\n\r\n")
            client.send(body_sent)
            _, reply = replies(client.read_to_end())
        response_of(reply)


EVIL = "a\r\nX-Evil: 1"


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"model": EVIL}, id="model"),
        pytest.param({"session_id": EVIL}, id="session_id"),
        pytest.param({"user": EVIL}, id="user"),
        pytest.param({"metadata": {EVIL: EVIL}}, id="metadata"),
        pytest.param({"prompt_cache_key": EVIL}, id="prompt_cache_key"),
        pytest.param({"safety_identifier": EVIL}, id="safety_identifier"),
        pytest.param({"instructions": EVIL}, id="instructions"),
    ],
)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_IN_24_a_line_end_makes_no_header(
    members: dict[str, Any], streams: bool, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    reply = gateway.call({**ask("mock/chat", nonce, stream=streams), **members})
    assert "x-evil" not in reply.headers
    if reply.status != 200:
        error_of(reply, 404)
    elif streams:
        events_of(reply)
    else:
        response_of(reply)
    assert not any("x-evil" in seen.headers for seen in upstream.seen(nonce))


KEYS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("AU-01 no header", lambda data: data.replace(b"authorization: Bearer " + KEY.encode() + b"\r\n", b"")),
    ("AU-01 no key", lambda data: data.replace(KEY.encode(), b"")),
    ("AU-01 another scheme", lambda data: data.replace(b"Bearer", b"Basic")),
    ("AU-01 half a key", lambda data: data.replace(KEY.encode(), KEY[:30].encode())),
    ("AU-03 SQL", lambda data: data.replace(KEY.encode(), b"x' OR '1'='1")),
    ("AU-03 a key of 50 KB", lambda data: data.replace(KEY.encode(), b"k" * 50_000)),
    ("AU-11 a cookie", lambda data: data.replace(b"authorization: Bearer", b"cookie: key=")),
    ("AU-12 two headers", lambda data: with_line(b"authorization: Bearer " + KEY.encode(), data)),
)


@pytest.mark.parametrize("change", [change for _, change in KEYS], ids=[name for name, _ in KEYS])
def test_AU_without_one_good_key_nothing_is_served(change: Callable[[bytes], bytes], gateway: Gateway) -> None:
    (reply,) = gateway.raw(change(post(ask(MODEL, "Hi"), "connection: close")))
    error_of(reply, 401)
