"""OV, AU and others: what comes in before it is known who sends it, and how much of it is held."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.gateway.checks import ask, error_of, response_of
from tests.gateway.server import KEY, Client, Gateway, post, replies, running
from tests.gateway.waiting import eventually

MODEL = "fake/echo"
UNKNOWN = "tl-" + "x" * 43
MIB = 1024  # in KiB

SMALL = """
[server]
max_body = "20 MB"
body_memory = "30 MB"
body_timeout = "1 s"
whole_body_timeout = "1500 ms"
open_listings = false
[providers.fake-provider]
enabled = true
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with little room for bodies, and with closed listings."""
    with running(tmp_path_factory.mktemp("small"), SMALL) as gateway:
        yield gateway


def head_of(length: int, *lines: str, path: str = "/api/v1/responses", method: str = "POST") -> bytes:
    """The head of a request whose body is not here yet."""
    given = [f"{method} {path} HTTP/1.1", "host: x", "content-type: application/json", f"content-length: {length}"]
    return ("\r\n".join([*given, *lines]) + "\r\n\r\n").encode()


WITH_KEY = f"authorization: Bearer {KEY}"


class TestBeforeTheKeyIsKnown:
    """Nothing is read for somebody unknown."""

    @pytest.mark.parametrize("path", ["/api/v1/responses", "/v1/responses", "/api/v1/responses/explain"])
    @pytest.mark.parametrize("line", ["x-none: 1", f"authorization: Bearer {UNKNOWN}", f"x-api-key: {UNKNOWN}"])
    def test_OV_05_the_key_is_looked_at_before_the_body(self, path: str, line: str, gateway: Gateway) -> None:
        (reply,) = gateway.raw(head_of(1_000_000, line, path=path))
        error_of(reply, 401)
        assert reply.headers["connection"] == "close"

    def test_OV_05_a_client_that_goes_on_sending_is_told_so(self, gateway: Gateway) -> None:
        reply = gateway.call(b" " * 2_000_000, key=None)
        error_of(reply, 401)

    def test_OV_05_a_refusal_keeps_the_connection_when_the_body_is_here(self, gateway: Gateway) -> None:
        denied, served = gateway.raw(post(b"{}", key=UNKNOWN) + post(ask(MODEL, "Hi"), "connection: close"))
        error_of(denied, 401)
        assert "connection" not in denied.headers
        response_of(served)

    @pytest.mark.parametrize(
        "head",
        [
            pytest.param(head_of(19_900_000, f"authorization: Bearer {UNKNOWN}"), id="with an unknown key"),
            pytest.param(head_of(19_900_000), id="without a key"),
            pytest.param(head_of(19_900_000, path="/api/v1/responses/explain"), id="to explain"),
            pytest.param(head_of(19_900_000, path="/nowhere"), id="to nowhere"),
            pytest.param(head_of(19_900_000, path="/health/live", method="GET"), id="with a GET"),
            pytest.param(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n" * 3 + head_of(19_900_000), id="pipelined"),
        ],
    )
    def test_OV_05_sixty_bodies_without_a_key_are_not_held(self, head: bytes, gateway: Gateway) -> None:
        before = gateway.memory_kib
        peak = 0
        rest = b" " * (19_800_000 if b"authorization" in head else 4_000_000)

        def send(client: Client) -> None:
            with suppress(ConnectionError):
                client.send(head + rest)

        with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
            clients = [stack.enter_context(gateway.connect()) for _ in range(60)]
            sending = [pool.submit(send, client) for client in clients]
            while not all(future.done() for future in sending):
                peak = max(peak, gateway.memory_kib)
        assert peak < before + 80 * MIB
        eventually(lambda: gateway.memory_kib < before + 40 * MIB, "the memory is not given back")


class TestRoom:
    def test_OV_05_a_body_that_does_not_fit_is_503_at_once(self, small: Gateway) -> None:
        with small.connect() as first:
            first.send(head_of(19_900_000, WITH_KEY) + b" " * 19_000_000)
            eventually(lambda: self._is_full(small), "the bytes are not counted")
        eventually(lambda: not self._is_full(small), "the room is not given back")

    def test_OV_05_a_body_without_a_length_is_503_when_the_room_ends(self, small: Gateway) -> None:
        head = head_of(0, WITH_KEY).replace(b"content-length: 0", b"transfer-encoding: chunked")
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"

        def send() -> int:
            with small.connect() as client, suppress(ConnectionError):
                client.send(head)
                for _ in range(280):
                    if client.has_input():
                        break
                    client.send(piece)
                (reply,) = replies(client.read_to_end())
                assert reply.status == 408 or error_of(reply, 503)
                return reply.status
            return 0

        with ThreadPoolExecutor(3) as pool:
            found = [future.result() for future in [pool.submit(send) for _ in range(3)]]
        assert 503 in found
        eventually(lambda: not self._is_full(small), "the room is not given back")

    def test_a_whole_body_has_a_limit_of_its_own(self, small: Gateway) -> None:
        with small.connect() as client:
            client.send(head_of(19_900_000, WITH_KEY))
            while not client.has_input():
                client.send(b" " * 1_000_000)
                time.sleep(0.2)
            (reply,) = replies(client.read_to_end())
        error_of(reply, 408)

    @staticmethod
    def _is_full(gateway: Gateway) -> bool:
        (reply,) = gateway.raw(head_of(19_900_000, WITH_KEY, "expect: 100-continue", "connection: close"))[-1:]
        if reply.status == 503:
            error_of(reply, 503)
            assert reply.headers["retry-after"] == "1"
            assert reply.headers["connection"] == "close"
            return True
        assert reply.status == 408
        return False


class TestDearBodies:
    """What takes long is done beside the loop, in steps that are short."""

    def test_IN_22_six_million_brackets_hold_up_nobody(self, small: Gateway) -> None:
        body = b'{"model":"fake/echo","input":[' + b"[]," * 6_000_000 + b"1]}"
        longest_s = 0.0
        with ThreadPoolExecutor(1) as pool:
            refused = pool.submit(small.call, body)
            while not refused.done():
                started = time.monotonic()
                assert small.request("GET", "/health/live").status == 200
                longest_s = max(longest_s, time.monotonic() - started)
        assert "too many values" in error_of(refused.result(), 400)["message"]
        assert longest_s < 1.0  # decoded at once it took three

    def test_F14_ten_thousand_small_items_are_answered(self, gateway: Gateway) -> None:
        items = [{"role": "user", "content": "x"}] * 9_999
        with ThreadPoolExecutor(4) as pool:
            for reply in pool.map(gateway.call, [{**ask(MODEL), "input": items}] * 4):
                response_of(reply)


class TestCredentials:
    """Decision v."""

    @pytest.mark.parametrize("path", ["/api/v1/responses", "/v1/responses"])
    def test_a_key_in_x_api_key_is_read_like_a_bearer_key(self, path: str, gateway: Gateway) -> None:
        response_of(gateway.call(ask(MODEL, "Hi"), key=None, path=path, x_api_key=KEY))

    def test_the_same_key_twice_is_one_key(self, gateway: Gateway) -> None:
        response_of(gateway.call(ask(MODEL, "Hi"), x_api_key=KEY))

    @pytest.mark.parametrize(("bearer", "other"), [(KEY, UNKNOWN), (UNKNOWN, KEY), (KEY, ""), (KEY, f"{KEY}x")])
    def test_AU_12_two_credentials_that_differ_are_401(self, bearer: str, other: str, gateway: Gateway) -> None:
        error_of(gateway.call(ask(MODEL, "Hi"), key=bearer, x_api_key=other), 401)

    def test_a_listing_answers_without_api_in_the_path(self, gateway: Gateway) -> None:
        assert gateway.request("GET", "/v1/models").json == gateway.request("GET", "/api/v1/models").json

    @pytest.mark.parametrize(
        "path",
        [
            "/api/v1/models",
            "/v1/models",
            "/api/v1/models/count",
            "/api/v1/models/fake/echo/endpoints",
            "/api/v1/providers",
            "/api/v1/capabilities?model=fake/echo",
        ],
    )
    def test_closed_listings_want_a_key(self, path: str, small: Gateway, gateway: Gateway) -> None:
        error_of(small.request("GET", path), 401)
        error_of(small.request("GET", path, headers={"authorization": f"Bearer {UNKNOWN}"}), 401)
        assert small.request("GET", path, headers={"authorization": f"Bearer {KEY}"}).status == 200
        assert gateway.request("GET", path).status == 200


JDK = (
    "connection: Upgrade, HTTP2-Settings",
    "http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    "upgrade: h2c",
    "user-agent: Java-http-client/21.0.2",
)
"""What the JDK's HttpClient sends with every request to a cleartext address."""

LAST = post(ask(MODEL, "last"), "connection: close")


class TestUpgrade:
    """F11: an offer to speak another protocol is passed over."""

    def test_F11_the_body_is_read(self, gateway: Gateway) -> None:
        first, second, last = gateway.raw(post(ask(MODEL, "one"), *JDK) + post(ask(MODEL, "two"), *JDK) + LAST)
        assert "one" in response_of(first)["output_text"]
        assert "two" in response_of(second)["output_text"]
        assert "last" in response_of(last)["output_text"]

    def test_F11_so_it_is_in_any_pieces(self, gateway: Gateway) -> None:
        with gateway.connect() as client:
            for byte in post(ask(MODEL, "one"), *JDK):
                client.send(bytes([byte]))
            client.send(LAST)
            first, last = replies(client.read_to_end())
        assert "one" in response_of(first)["output_text"]
        response_of(last)

    def test_F11_in_chunks(self, gateway: Gateway) -> None:
        data = json.dumps(ask(MODEL, "one")).encode()
        head = post(b"", *JDK, "transfer-encoding: chunked").replace(b"content-length: 0\r\n", b"")
        first, _ = gateway.raw(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data) + LAST)
        response_of(first)

    def test_F11_after_a_pipelined_request(self, gateway: Gateway) -> None:
        first, second = gateway.raw(post(ask(MODEL, "one")) + post(ask(MODEL, "two"), *JDK, "connection: close"))
        assert "one" in response_of(first)["output_text"]
        assert "two" in response_of(second)["output_text"]

    def test_F11_of_http_1_0(self, gateway: Gateway) -> None:
        (reply,) = gateway.raw(post(ask(MODEL, "one"), *JDK).replace(b"HTTP/1.1", b"HTTP/1.0"))
        response_of(reply)

    def test_F11_without_a_body(self, gateway: Gateway) -> None:
        get = ("\r\n".join(["GET /health/live HTTP/1.1", "host: x", *JDK]) + "\r\n\r\n").encode()
        first, _ = gateway.raw(get + LAST)
        assert first.status == 200

    def test_F11_for_a_web_socket_too(self, gateway: Gateway) -> None:
        lines = ("connection: keep-alive, Upgrade", "upgrade: websocket", "sec-websocket-version: 13")
        first, _ = gateway.raw(post(ask(MODEL, "one"), *lines) + LAST)
        response_of(first)

    def test_F11_hides_no_second_request(self, gateway: Gateway) -> None:
        """What a parser that believes the offer takes for another protocol is a request to us, and answered once."""
        first, second = gateway.raw(post(ask(MODEL, "one"), *JDK) + LAST)
        response_of(first)
        response_of(second)


class TestHost:
    @pytest.mark.parametrize("host", [b"", b"host: x\r\nhost: x\r\n", b"host: x\r\nHost: y\r\n"])
    def test_IN_26_a_request_has_one_host(self, host: bytes, gateway: Gateway) -> None:
        (reply,) = gateway.raw(LAST.replace(b"host: x\r\n", host))
        assert "Host" in error_of(reply, 400)["message"]
        assert reply.headers["connection"] == "close"

    def test_IN_26_http_1_0_needs_none(self, gateway: Gateway) -> None:
        (reply,) = gateway.raw(LAST.replace(b"host: x\r\n", b"").replace(b"HTTP/1.1", b"HTTP/1.0"))
        response_of(reply)


def test_many_pipelined_requests_end_the_connection(gateway: Gateway) -> None:
    before = gateway.memory_kib
    with ExitStack() as stack:
        for _ in range(40):
            client = stack.enter_context(gateway.connect())
            with suppress(ConnectionError):
                client.send(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n" * 5_000)
        assert gateway.memory_kib < before + 80 * MIB
    response_of(gateway.call(ask(MODEL, "Hi")))


def test_the_store_is_readable_by_its_owner_only(small: Gateway) -> None:
    folder = Path(small.log.parent)
    kept = [*folder.glob("trunkline.db*"), *folder.glob("trunkline.db.journal/*")]
    found = {path.name: path.stat().st_mode & 0o777 for path in kept if path.is_file()}
    assert {"trunkline.db", "trunkline.db-wal", "trunkline.db-shm", "trunkline.db.pepper"} <= found.keys()
    assert set(found.values()) == {0o600}
    assert (folder / "trunkline.db.journal").stat().st_mode & 0o777 == 0o700
