"""UP: what a provider can do wrong before and instead of a whole answer, and what the client hears of it."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import pytest

from tests.gateway.checks import IN_ORDER, ask, error_of, events_of, response_of, text_of
from tests.gateway.conftest import CONFIG, ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.tls import certificate, listening
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, stream, trickle, usage_chunk, whole
from tests.gateway.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_socket_left")

HELLO = json.dumps(completion()).encode()


def plain(body: bytes = HELLO, *lines: str, first: str = "HTTP/1.1 200 OK") -> Script:
    """An answer whose head is exactly these lines."""
    return Script(["\r\n".join([first, *lines, "", ""]).encode(), body])


def error_body(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


@dataclass(frozen=True)
class Case:
    """One way to fail: what the only provider sends, and the status and kind that the client gets for it.

    With another provider behind it the client gets that one's answer, unless `falls_back` is False.
    """

    id: str
    script: Script
    status: int = 502
    kind: str = "provider_unavailable"
    falls_back: bool = True


LIMITED = error_body("Slow down.", type="rate_limit_error")
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

CASES = (
    Case("UP-04 reset before any byte", Script([], "reset")),
    Case("UP-04 closed before any byte", Script([], "end")),
    Case("UP-05 not a byte", Script([], "stall"), 524, "timeout"),
    Case("UP-06 an error in a 200", whole(error_body("Something broke.", type="server_error"))),
    Case("UP-06 a limit in a 200", whole(LIMITED), 429, "rate_limit_exceeded"),
    Case("UP-06 overload in a 200", whole(OVERLOADED), 529, "provider_overloaded"),
    Case("UP-06 a code as the error of a 200", whole(error_body("Busy.", code=529)), 529, "provider_overloaded"),
    Case("UP-07 a page", plain(b"<html><title>Hi</title></html>", "content-type: text/html", "content-length: 30")),
    Case("UP-07 nothing", whole(b"")),
    Case("UP-07 null", whole(b"null")),
    Case("UP-07 an array", whole(b"[]")),
    Case("UP-07 an object that says nothing", whole(b"{}")),
    Case("UP-07 JSON cut at its end", whole(HELLO[:-20])),
    Case("UP-07 JSON cut short of its length", plain(HELLO[:-20], f"content-length: {len(HELLO)}")),
    Case("UP-08 500", whole(error_body("Oops."), 500)),
    Case("UP-08 502", whole(b"Bad Gateway", 502)),
    Case("UP-08 503, and all say so", whole(error_body("Back soon."), 503), 503),
    Case("UP-08 504, which says that somebody was silent", whole(b"", 504), 524, "timeout"),
    *(Case(f"UP-08 {status}", whole(b"<html>", status)) for status in (520, 521, 522, 523, 525, 526, 527)),
    Case("UP-08 524, which says that somebody was silent", whole(b"", 524), 524, "timeout"),
    Case("UP-09 a limit", whole(LIMITED, 429), 429, "rate_limit_exceeded"),
    Case("UP-10 529", whole(OVERLOADED, 529), 529, "provider_overloaded"),
    Case("UP-10 overload under another status", whole(OVERLOADED, 500), 529, "provider_overloaded"),
    Case("UP-11 our key is not known", whole(error_body("Invalid API key."), 401)),
    Case("UP-11 our key may not", whole(error_body("Forbidden."), 403)),
    Case("UP-12 402", whole(error_body("Payment required."), 402)),
    Case("UP-12 a 400 for want of money", whole(error_body("Your credit balance is too low."), 400)),
    Case(
        "UP-13 the input does not fit",
        whole(error_body("This model's maximum context length is 8 tokens.", code="context_length_exceeded"), 400),
        400,
        "context_length_exceeded",
        falls_back=False,
    ),
    Case(
        "UP-13 the request is wrong",
        whole(error_body("temperature must be at most 1", type="invalid_request_error"), 400),
        400,
        "invalid_request",
        falls_back=False,
    ),
    Case("UP-16 too many headers", plain(HELLO, *(f"x-{number}: 1" for number in range(10_000)))),
    Case("UP-16 a header of a megabyte", plain(HELLO, "x-long: " + "y" * 2**20)),
    Case("UP-16 two lengths", plain(HELLO, f"content-length: {len(HELLO)}", "content-length: 3")),
    Case("UP-17 marked as gzip but plain", whole(HELLO, content_encoding="gzip")),
    Case("UP-17 corrupt gzip", whole(gzip.compress(HELLO)[:-12] + b"x" * 12, content_encoding="gzip")),
    Case("UP-17 gzip cut off", whole(gzip.compress(HELLO)[:-12], content_encoding="gzip")),
    Case("UP-17 a packing nobody asked for", whole(HELLO, content_encoding="br")),
    Case("UP-17 a bomb", whole(zlib.compress(b" " * 2**24, 9) * 2, content_encoding="gzip, gzip")),
    Case("UP-21 no HTTP at all", Script([b"220 smtp.example ready\r\n"])),
)


_GRACE_S = 0.25
"""A little less than what the gateway waits before it sends the head of a stream."""


def ids(case: Case) -> str:
    return case.id


def first_of_two(script: Script, upstream: Upstream, nonce: str) -> None:
    upstream.play(nonce, script, host="a")


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES, ids=ids)
class TestFault:
    """UP-04 to UP-17, each from the only provider and from the first of two."""

    def test_from_the_only_provider(
        self, case: Case, streams: bool, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        upstream.play(nonce, case.script)
        began = time.monotonic()
        reply = gateway.call(ask(model, nonce, stream=streams))
        is_late = case.kind == "timeout" or time.monotonic() - began > _GRACE_S
        if is_late and streams and reply.status == 200:
            events_of(reply, "failed")  # the head went out with a comment before the fault came
        else:
            error = error_of(reply, case.status)
            assert error["metadata"]["error_type"] == case.kind
            assert [attempt["provider"] for attempt in error["metadata"]["attempts"]] == ["mock-chat"]
        assert len(upstream.seen(nonce)) == 1

    def test_from_the_first_of_two(
        self, case: Case, streams: bool, gateway: Gateway, upstream: Upstream, both: str, nonce: str
    ) -> None:
        first_of_two(case.script, upstream, nonce)
        reply = gateway.call(ask(both, nonce, stream=streams, **IN_ORDER))
        if not case.falls_back:
            error_of(reply, case.status)
            assert not upstream.seen(nonce, "b")
        elif streams:
            assert text_of(events_of(reply)) == "Hello."
        else:
            assert response_of(reply)["output_text"] == "Hello."
        assert len(upstream.seen(nonce, "a")) == 1
        assert len(upstream.seen(nonce)) == 1 + case.falls_back


class TestConnection:
    @pytest.mark.parametrize(("first", "status"), [("closed", 502), ("full", 524)])
    def test_UP_01_UP_02_no_connection_is_a_fallback_then_a_status(
        self, first: str, status: int, gateway: Gateway
    ) -> None:
        reply = gateway.call(ask(f"mock/{first}-then-b", provider={"order": [f"mock-{first}", "mock-b"]}))
        assert response_of(reply)["output_text"] == "Hello."
        assert reply.headers["x-trunkline-provider"] == "mock-b"
        error_of(gateway.call(ask(f"mock/{first}")), status)

    @pytest.mark.parametrize("is_over", [False, True], ids=["closed meanwhile", "closed as the request goes out"])
    def test_UP_20_a_pooled_connection_that_was_closed_is_replaced_once(
        self, is_over: bool, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        kept = Script([b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(HELLO), HELLO], "keep")
        upstream.hang_up()
        eventually(lambda: upstream.open_connections == 0, "a connection is still open")
        upstream.play(nonce, kept if is_over else Script(kept.steps, "end"), Script([], "end"), whole(completion()))
        response_of(gateway.call(ask(model, nonce)))
        if is_over:
            response_of(gateway.call(ask(model, nonce)))
            assert len(upstream.seen(nonce)) == 3
        else:
            eventually(lambda: upstream.open_connections == 0, "the connection is still open")
            error_of(gateway.call(ask(model, nonce)), 502)  # a fresh connection is not replaced
            assert len(upstream.seen(nonce)) == 2

    def test_UP_20_a_request_that_got_a_byte_is_not_sent_again(
        self, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        kept = Script([b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(HELLO), HELLO], "keep")
        upstream.play(nonce, kept, Script([b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"], "reset"))
        response_of(gateway.call(ask(model, nonce)))
        error_of(gateway.call(ask(model, nonce)), 502)
        assert len(upstream.seen(nonce)) == 2


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, list[bytes]]]:
    """A gateway with two providers whose TLS is not in order, and what these got to read."""
    folder = tmp_path_factory.mktemp("tls")
    heard: list[bytes] = []
    with listening(heard, certificate(folder)) as stranger, listening(heard, None) as cutting:
        config = CONFIG + "".join(
            PROVIDER.format(name=f"mock-{name}", dialect="chat", url=f"https://127.0.0.1:{port}/v1")
            + ENDPOINT.format(provider=f"mock-{name}", model=f"mock/{name}")
            for name, port in (("stranger", stranger), ("cutting", cutting))
        )
        with running(folder, config, MOCK_KEY=PROVIDER_KEY) as gateway:
            yield gateway, heard


@pytest.mark.parametrize("name", ["stranger", "cutting"])
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_UP_03_without_good_tls_nothing_is_sent(name: str, streams: bool, tls: tuple[Gateway, list[bytes]]) -> None:
    gateway, heard = tls
    error_of(gateway.call(ask(f"mock/{name}", stream=streams)), 502)
    assert heard
    assert not any(PROVIDER_KEY.encode() in data or b"POST" in data for data in heard)


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            pytest.param({"retry_after": "2"}, "2", id="two seconds"),
            pytest.param({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, "1", id="a date, and our clock is past it"),
            pytest.param(
                {"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2015 07:27:30 GMT"},
                "30",
                id="a date and the time it was sent",
            ),
            pytest.param({"retry_after": "-1"}, "1", id="below zero"),
            pytest.param({"retry_after": "abc"}, "30", id="no number"),
            pytest.param({"retry_after": "1e9"}, "3600", id="thirty years"),
            pytest.param({"retry_after": "inf"}, "3600", id="for ever"),
            pytest.param({"retry_after": "nan"}, "30", id="not a number"),
            pytest.param({}, None, id="absent"),
        ],
    )
    def test_UP_09_a_limit_everywhere_keeps_a_sane_hint(
        self, headers: dict[str, str], seconds: str | None, gateway: Gateway, upstream: Upstream, both: str, nonce: str
    ) -> None:
        upstream.play(nonce, whole(LIMITED, 429, **headers))
        reply = gateway.call(ask(both, nonce))
        error = error_of(reply, 429)
        assert reply.headers.get("retry-after") == seconds
        assert {attempt["provider"] for attempt in error["metadata"]["attempts"]} == {"mock-a", "mock-b"}
        assert len(upstream.seen(nonce)) == 2


class TestAll:
    @pytest.mark.parametrize(
        ("first", "second", "status"),
        [
            pytest.param(whole(b"", 500), whole(b"", 502), 502, id="UP-08 both broken"),
            pytest.param(whole(b"", 503), whole(b"", 503), 503, id="UP-08 both not available"),
            pytest.param(whole(OVERLOADED, 529), whole(OVERLOADED, 529), 529, id="UP-10 both overloaded"),
            pytest.param(whole(LIMITED, 429), whole(b"", 500), 503, id="in different ways"),
        ],
    )
    def test_the_last_word_on_two(
        self, first: Script, second: Script, status: int, gateway: Gateway, upstream: Upstream, both: str, nonce: str
    ) -> None:
        upstream.play(nonce, first, host="a")
        upstream.play(nonce, second, host="b")
        error = error_of(gateway.call(ask(both, nonce, **IN_ORDER)), status)
        assert [attempt["provider"] for attempt in error["metadata"]["attempts"]] == ["mock-a", "mock-b"]


@pytest.mark.parametrize(
    ("hint", "date", "least", "most"),
    [
        ("7", None, 7, 7),
        ("abc", None, 30, 30),
        ("in 90 s", None, 85, 90),
        ("in 90 s", "yesterday", 85, 90),
        ("in 90 s", "an hour ago", 3600, 3600),
    ],
)
def test_F14_retry_after_is_told_however_the_provider_says_it(
    hint: str, date: str | None, least: int, most: int, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    """A date counts from the provider's clock where it tells that, else from ours."""
    headers = {"retry_after": formatdate(time.time() + 90, usegmt=True) if hint == "in 90 s" else hint}
    if date is not None:
        headers["date"] = formatdate(time.time() - 3600, usegmt=True) if date == "an hour ago" else date
    upstream.play(nonce, whole(LIMITED, 429, **headers))
    reply = gateway.call(ask(model, nonce))
    error_of(reply, 429)
    assert least <= int(reply.headers["retry-after"]) <= most


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_UP_15_a_redirect_is_not_followed(
    status: int, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, whole(b"", status, location=f"{upstream.url}/b/v1/chat/completions"), host="chat")
    error_of(gateway.call(ask(model, nonce)), 502)
    assert not upstream.seen(nonce, "b")


def in_members(data: bytes) -> bytes:
    return gzip.compress(data[:20]) + gzip.compress(data[20:])


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, in members"])
def test_UP_17_a_packed_answer_is_unpacked(
    encoding: str, streams: bool, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    packs: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
    pack = packs.get(encoding, in_members)
    encoding = encoding.partition(",")[0]
    if streams:
        body = sse([chunk("Hello."), chunk(finish="stop"), usage_chunk(), "[DONE]"])
        packed = pack(body)
        steps = [head(200, "text/event-stream", content_encoding=encoding), packed[:9], packed[9:]]
        upstream.play(nonce, Script(steps))
        assert text_of(events_of(gateway.call(ask(model, nonce, stream=True)))) == "Hello."
    else:
        upstream.play(nonce, whole(pack(HELLO), content_encoding=encoding))
        assert response_of(gateway.call(ask(model, nonce)))["output_text"] == "Hello."


@pytest.mark.parametrize("packed", [False, True])
def test_UP_18_an_answer_without_end_is_cut_at_the_cap(
    packed: bool, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    before = gateway.memory_kib
    if packed:
        deflate = zlib.compressobj(1, wbits=31)
        body = [deflate.compress(b" " * 2**24) for _ in range(24)]
        upstream.play(nonce, Script([head(content_encoding="gzip"), *body], "end"))
    else:
        upstream.play(nonce, Script([head(), b'{"choices": [', *[b" " * 2**20] * 200], "end"))
    error_of(gateway.call(ask(model, nonce)), 502)
    assert upstream.seen(nonce)[0].bytes_sent < 200 * 2**20
    eventually(lambda: gateway.memory_kib < before + 64 * 1024, "the memory is not given back")


def test_UP_19_an_answer_that_trickles_ends_at_the_deadline(
    gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, Script([head(), b"{", *trickle(b'"x":1,', 0.2, 200)], "stall"))
    with ThreadPoolExecutor() as pool:
        whole_reply, stream_reply = pool.map(
            lambda streams: gateway.call(ask(both, nonce, stream=streams)), [False, True]
        )
    error_of(whole_reply, 524)
    events_of(stream_reply, "failed")
    first, second = upstream.seen(nonce)  # no time was left to ask another provider
    assert first.is_closed_by_client.wait(5)
    assert second.is_closed_by_client.wait(5)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("before", "first"),
    [
        pytest.param(b"", b"HTTP/1.0 200 OK\r\n", id="HTTP 1.0"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nconnection: close\r\n", id="100 before"),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", b"HTTP/1.1 200\r\nconnection: close\r\n", id="103 before"
        ),
    ],
)
def test_UP_21_old_and_talkative_servers_are_understood(
    before: bytes, first: bytes, streams: bool, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    kind = b"text/event-stream" if streams else b"application/json"
    body = sse([chunk("Hello."), chunk(finish="stop"), "[DONE]"]) if streams else HELLO
    upstream.play(nonce, Script([before + first + b"content-type: " + kind + b"\r\n\r\n", body]))
    reply = gateway.call(ask(model, nonce, stream=streams))
    if streams:
        assert text_of(events_of(reply)) == "Hello."
    else:
        assert response_of(reply)["output_text"] == "Hello."


def odd(**members: str) -> bytes:
    """A completion whose members are replaced by raw text."""
    body = {"id": '"c1"', "choices": json.dumps(completion()["choices"]), "usage": "null", **members}
    return b"{" + b",".join(f'"{name}": {text}'.encode() for name, text in body.items()) + b"}"


USAGE = '{"prompt_tokens": 7, "completion_tokens": 3}'


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("body", "is_understood"),
    [
        pytest.param(odd(usage=f'{USAGE}, "usage": {USAGE}'), True, id="usage twice"),
        pytest.param(odd(usage='{"prompt_tokens": NaN, "completion_tokens": 3}'), None, id="NaN"),
        pytest.param(odd(usage=f'{{"prompt_tokens": {"9" * 5001}}}'), None, id="a number of 5,001 digits"),
        pytest.param(odd(usage='{"prompt_tokens": 1e308, "completion_tokens": -5}'), True, id="impossible counts"),
        pytest.param(odd(usage='"many"'), True, id="usage that is text"),
        pytest.param(odd(extra="[" * 10_000 + "]" * 10_000), None, id="10,000 levels"),
        pytest.param(HELLO.replace(b"Hello.", b"\\ud800"), None, id="half a surrogate pair"),
        pytest.param(HELLO.replace(b"Hello.", b"\xff\xfe"), None, id="broken UTF-8"),
        pytest.param(HELLO.replace(b"Hello.", b"\\u0000"), True, id="NUL in the text"),
        pytest.param(odd(choices="{}"), False, id="choices that are an object"),
        pytest.param(odd(choices='[{"message": "hi"}]'), False, id="a message that is text"),
        pytest.param(b"\xef\xbb\xbf" + HELLO, None, id="a byte order mark"),
    ],
)
def test_UP_22_odd_json_is_an_answer_or_a_502(
    body: bytes, is_understood: bool | None, streams: bool, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, whole(body))
    reply = gateway.call(ask(model, nonce, stream=streams))
    assert is_understood is None or (reply.status == 200) is is_understood, reply.body
    if reply.status != 200:
        error_of(reply, 502)
    elif streams:
        events_of(reply)
    else:
        usage = response_of(reply)["usage"]
        assert usage["input_tokens"] >= 0
        assert usage["cost"] >= 0


def test_UP_23_the_gateway_has_ids_of_its_own(gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
    nameless = {key: value for key, value in completion().items() if key not in ("id", "model")}
    upstream.play(nonce, *(whole(body) for body in (completion(), completion(), nameless)))
    found = [response_of(gateway.call(ask(model, nonce))) for _ in range(3)]
    names = [response["id"] for response in found] + [response["output"][0]["id"] for response in found]
    assert len(set(names)) == 6
    assert not {"c1"} & set(names)
    assert {response["model"] for response in found} == {model}


SECRETIVE: Sequence[Script] = (
    whole(error_body(f"Incorrect API key provided: {PROVIDER_KEY}."), 401),
    whole(error_body(f"You sent Authorization: Bearer {PROVIDER_KEY}"), 400),
    whole(f"<title>{PROVIDER_KEY}</title>".encode(), 500),
    whole(error_body("no", param=PROVIDER_KEY, detail={"key": PROVIDER_KEY})),
    stream([chunk("Hi"), error_body(f"key {PROVIDER_KEY} expired")]),
)


@pytest.mark.parametrize("script", SECRETIVE, ids=["401", "400", "page", "in a 200", "in a stream"])
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_SE_01_a_key_that_the_provider_repeats_is_masked(
    script: Script, streams: bool, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, script)
    reply = gateway.call(ask(model, nonce, stream=streams))  # every answer is searched for the key
    assert b"***" in reply.body


def test_SE_10_headers_of_the_provider_stay_there(gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
    upstream.play(nonce, whole(completion(), set_cookie="a=b", x_request_id="theirs", server="x", location="/y"))
    reply = gateway.call(ask(model, nonce))
    response_of(reply)
    assert not {"set-cookie", "server", "location"} & reply.headers.keys()
    assert reply.headers["x-request-id"].startswith("req_")
