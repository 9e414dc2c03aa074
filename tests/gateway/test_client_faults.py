"""CL: clients that leave, freeze, dawdle or come in crowds."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest

from tests.gateway.checks import ask, error_of, response_of
from tests.gateway.fronts import CHAT, MESSAGES, RESPONSES, Front
from tests.gateway.server import THROUGH_ASGI, Client, Gateway, post, replies
from tests.gateway.upstream import Script, Upstream, chunk, head, sse
from tests.gateway.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_socket_left")

HEAD = head(200, "text/event-stream")
HUNDRED = sse([chunk(f"{number} ") for number in range(100)])
FLOOD = sse([chunk("x" * 1000)]) * 64
GET = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"

RESETS = int(os.environ.get("TRUNKLINE_RESETS", "300"))
STUCK_READERS = int(os.environ.get("TRUNKLINE_STUCK_READERS", "40"))
"""How many clients leave at any moment, and how many never read; 2000 and 100 to be sure."""

MOUNTED = replace(RESPONSES, name="responses through ASGI", path=THROUGH_ASGI)
WAYS = pytest.mark.parametrize("way", [RESPONSES, MOUNTED, CHAT, MESSAGES], ids=lambda way: way.name)
ENDS = (b"response.completed", b"response.failed", b"[DONE]", b"message_stop", b"event: error")

Leave = Callable[[Client], None]


def close(client: Client) -> None:
    client.socket.close()


def reset(client: Client) -> None:
    client.reset()


def half_close(client: Client) -> None:
    """A client that sends no more cannot be told from one that left: it is cancelled, and gets no answer."""
    client.socket.shutdown(socket.SHUT_WR)


@WAYS
@pytest.mark.parametrize("leave", [close, reset, half_close], ids=["CL-01 close", "CL-01 reset", "CL-04 half-close"])
@pytest.mark.parametrize(
    ("steps", "streams", "deltas"),
    [
        pytest.param([], True, 0, id="CL-01 before the head from upstream"),
        pytest.param([HEAD], True, 0, id="CL-01 before the first token"),
        pytest.param([HEAD, HUNDRED], True, 100, id="CL-02 after 100 deltas"),
        pytest.param([], False, 0, id="CL-03 while a whole answer is awaited"),
        pytest.param([head(), b'{"choices": ['], False, 0, id="CL-03 in the middle of a whole answer"),
    ],
)
def test_CL_01_to_CL_04_a_client_that_leaves_ends_the_call_upstream(
    steps: list[bytes | float],
    streams: bool,
    deltas: int,
    leave: Leave,
    way: Front,
    gateway: Gateway,
    upstream: Upstream,
    model: str,
    nonce: str,
) -> None:
    upstream.play(nonce, Script(steps, "stall"))
    with gateway.connect() as client:
        client.send(post(way.body(model, nonce, stream=streams), path=way.path))
        eventually(lambda: len(upstream.seen(nonce)) == 1, "the provider was not asked")
        client.read_until(way.delta, deltas)
        leave(client)
        assert upstream.seen(nonce)[0].is_closed_by_client.wait(5)
        if leave is half_close:
            rest = client.read_to_end()
            assert not any(end in rest for end in ENDS)


@WAYS
@pytest.mark.parametrize("leave", [close, reset, half_close])
@pytest.mark.parametrize("deltas", [0, 100])
def test_CL_01_another_request_behind_the_stream_hides_no_client_that_leaves(
    leave: Leave, deltas: int, way: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, Script([HEAD, HUNDRED] if deltas else [], "stall"))
    with gateway.connect() as client:
        behind = post(way.body(model, "never asked"), path=way.path)
        client.send(post(way.body(model, nonce, stream=True), path=way.path) + behind + GET)
        eventually(lambda: len(upstream.seen(nonce)) == 1, "the provider was not asked")
        client.read_until(way.delta, deltas)
        leave(client)
        assert upstream.seen(nonce)[0].is_closed_by_client.wait(5)


@WAYS
def test_CL_02_the_log_tells_what_was_produced(
    way: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, Script([HEAD, HUNDRED], "stall"))
    with gateway.connect() as client:
        client.send(post(way.body(model, nonce, stream=True), path=way.path))
        client.read_until(way.delta, 100)
        name = client.gathered.partition(b"x-generation-id: ")[2].partition(b"\r\n")[0].decode()

    def record() -> list[str]:
        return [line for line in gateway.log.read_text().splitlines() if "request.ended" in line and name in line]

    eventually(lambda: len(record()) == 1, "no record was written")
    assert '"ending": "left"' in record()[0]


class TestReading:
    """CL-05 to CL-07: what is not read is not gathered either."""

    @WAYS
    def test_CL_05_a_frozen_client_is_cut_off(
        self, way: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        before = gateway.memory_kib
        upstream.play(nonce, Script([HEAD, *[FLOOD] * 1000], "stall"))
        with gateway.connect(receive_buffer=4096) as client:
            client.send(post(way.body(model, nonce, stream=True), path=way.path))
            client.read(1000)
            assert upstream.calls_under_way == 1
            assert upstream_closed(upstream, nonce)
        assert upstream.seen(nonce)[0].bytes_sent < 40 * 2**20
        assert gateway.memory_kib < before + 32 * 1024

    @WAYS
    def test_CL_05_a_whole_answer_that_nobody_takes_is_cut_off(
        self, way: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        message = b'{"choices":[{"message":{"content":"' + b"x" * 6_000_000 + b'"},"finish_reason":"stop"}]}'
        upstream.play(nonce, Script([head(), message], "end"))
        before = gateway.sockets
        with gateway.connect(receive_buffer=4096) as client:
            client.send(post(way.body(model, nonce), path=way.path))
            client.read(1000)
            eventually(lambda: gateway.sockets - upstream.open_connections <= before, "the connection is still there")

    @WAYS
    def test_CL_06_a_slow_reader_slows_the_provider_down_whatever_it_asks_for_meanwhile(
        self, way: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        before = gateway.memory_kib
        upstream.play(nonce, Script([HEAD, *[FLOOD] * 1000], "stall"))
        # A window below the size of a segment is only told when the kernel asks, ever more seldom: so it is larger.
        with gateway.connect(receive_buffer=128 * 1024) as client:
            behind = post(way.body(model), path=way.path)
            client.send(post(way.body(model, nonce, stream=True), path=way.path) + behind + GET)
            for _ in range(6):
                for _ in range(10):
                    assert client.read(16384), "the connection was cut although it is read"
                    time.sleep(0.01)  # the reader's pace, not a wait for anything
                # Seldom: where other tests have left thousands of connections behind, the kernel takes a while to tell.
                assert gateway.unsent_bytes(client) < 2**20
            assert upstream.seen(nonce)[0].bytes_sent < 40 * 2**20
            assert gateway.memory_kib < before + 32 * 1024
            assert upstream.calls_under_way == 1

    @WAYS
    def test_CL_07_many_clients_that_never_read_leave_others_alone(
        self, way: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        before = gateway.memory_kib
        upstream.play(nonce, Script([HEAD, *[FLOOD] * 100], "stall"))
        with ExitStack() as stack:
            for _ in range(STUCK_READERS):
                client = stack.enter_context(gateway.connect(receive_buffer=4096))
                client.send(post(way.body(model, nonce, stream=True), path=way.path))
            eventually(lambda: len(upstream.seen(nonce)) == STUCK_READERS, "not all were asked for", 15)
            held = gateway.memory_kib
            response_of(gateway.call(ask("mock/chat")))
            eventually(lambda: upstream.calls_under_way == 0, "frozen clients are not cut off", 10)
        # A MiB for each, and some that is taken once: the pages of the store, an allocator's for each thread.
        assert max(held, gateway.memory_kib) < before + STUCK_READERS * 1024 + 4096


def upstream_closed(upstream: Upstream, nonce: str) -> bool:
    return upstream.seen(nonce)[0].is_closed_by_client.wait(10)


class TestSending:
    def test_CL_08_heads_that_come_byte_by_byte_are_cut_off(self, gateway: Gateway) -> None:
        with ExitStack() as stack:
            clients = [stack.enter_context(gateway.connect()) for _ in range(100)]
            for byte in GET[:10]:
                for client in clients:
                    client.send(bytes([byte]))
            assert gateway.request("GET", "/health/live").status == 200
            for client in clients:
                (reply,) = replies(client.read_to_end())
                error_of(reply, 408)

    @WAYS
    def test_CL_08_a_head_that_stops_behind_its_path_is_told_so_in_its_words(
        self, way: Front, gateway: Gateway
    ) -> None:
        with gateway.connect() as client:
            client.send(post(b"", path=way.path)[:-20])
            (reply,) = replies(client.read_to_end())
        way.refused(reply, 408)

    def test_CL_08_connections_that_never_speak_are_closed(self, gateway: Gateway) -> None:
        with ExitStack() as stack:
            clients = [stack.enter_context(gateway.connect()) for _ in range(20)]
            assert [client.read_to_end() for client in clients] == [b""] * 20

    @WAYS
    def test_CL_09_a_body_that_trickles_is_408(self, way: Front, gateway: Gateway) -> None:
        data = post(way.body("mock/chat", "x" * 1000), path=way.path)
        with gateway.connect() as client:
            client.send(data[:-900])
            for byte in data[-900:]:
                if client.has_input():
                    break
                client.send(bytes([byte]))
                time.sleep(0.1)  # the client's pace, not a wait for anything
            (reply,) = replies(client.read_to_end())
        way.refused(reply, 408)
        assert reply.headers["connection"] == "close"


def test_CL_10_the_longest_idle_connection_makes_room(gateway: Gateway) -> None:
    with ExitStack() as stack:
        clients = []
        for _ in range(430):
            client = stack.enter_context(gateway.connect())
            client.send(GET)
            client.read_until(b"}")
            clients.append(client)
        assert gateway.request("GET", "/health/live").status == 200
        for client in clients[:30]:
            client.read_to_end()
        clients[-1].send(GET)
        clients[-1].read_until(b"}", 2)


def test_CL_10_when_all_are_busy_one_more_is_refused(
    gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, Script([HEAD, HUNDRED], "stall"))
    with ExitStack() as stack:
        busy = stack.enter_context(gateway.connect())
        busy.send(post(ask(model, nonce, stream=True)))
        busy.read_until(b"response.output_text.delta")
        late: list[Client] = []
        for place in range(450):
            client = stack.enter_context(gateway.connect())
            with suppress(ConnectionError):
                client.send(b"GET / HT")
            late += [client] * (place >= 420)
        eventually(lambda: any(client.has_input() for client in late), "nobody is refused")
        for reply in (reply for client in late if client.has_input() for reply in replies(client.read_to_end())):
            error_of(reply, 503)
            assert reply.headers["retry-after"] == "1"
        busy.read_until(b"response.output_text.delta", 100)


def test_CL_15_hundreds_of_cancelled_calls_leave_the_pool_whole(
    gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    chunked = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    pieces: list[bytes | float] = [chunked]
    for _ in range(5):
        pieces += [b"%x\r\n%s\r\n" % (len(HUNDRED), HUNDRED), 0.01]
    upstream.play(nonce, Script([*pieces, b"0\r\n\r\n"], "keep"))
    dice = random.Random(15)

    def drop(wait_s: float) -> None:
        way = dice.choice([RESPONSES, MOUNTED, CHAT, MESSAGES])
        with gateway.connect() as client:
            client.send(post(way.body(model, nonce, stream=True), path=way.path) * dice.choice([1, 1, 2]))
            time.sleep(wait_s)  # when the client leaves
            dice.choice([close, reset])(client)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(drop, [dice.uniform(0, 0.05) for _ in range(RESETS)]))
        for reply in pool.map(gateway.call, [ask(model)] * 12):
            assert response_of(reply)["output_text"] == "Hello."


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"])
@pytest.mark.parametrize(
    "path", ["/api/v1/responses", "/api/v1/responses/", "/v1/responses/", "/api/v1/nothing", "/api"]
)
def test_CL_16_another_path_is_404_and_another_method_405(method: str, path: str, gateway: Gateway) -> None:
    reply, status = gateway.request(method, path), 405 if "responses" in path else 404
    if method == "HEAD":
        assert (reply.status, reply.body) == (status, b"")
    else:
        error_of(reply, status)
