"""What a request and its answer are on a connection, the same below ASGI and through it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import repeat

import pytest

from tests.server.connections import Connection, connect, rest
from trunkline.errors import BadRequest, GatewayError
from trunkline.faces.contract import Face
from trunkline.faces.responses.face import RESPONSES
from trunkline.server.connection import MAX_AHEAD_BYTES
from trunkline.server.cycle import Cycle
from trunkline.server.direct import HotPaths
from trunkline.server.edge import Edge
from trunkline.server.foreign import Mounted
from trunkline.server.origins import AllowingOrigins, Origins
from trunkline.server.streams import EventStream
from trunkline.stopping import Stopping

Serve = Callable[[Cycle], Awaitable[None]]
Act = Callable[[Connection], Awaitable[None]]
LINES = b"content-type: text/plain\r\n"
ORIGIN = "https://app.example"


def request(path: str, body: bytes = b"{}", *lines: str) -> bytes:
    head = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@dataclass
class Served:
    """A route of a function."""

    serve: Serve
    face: Face = RESPONSES

    async def __call__(self, cycle: Cycle) -> None:
        await self.serve(cycle)


def served(serve: Serve, act: Act, stopping: Stopping | None = None) -> Connection:
    """A connection on which /hot leads to the route below ASGI, and /mounted through it."""
    route = Served(serve)
    ends = stopping or Stopping(1.0, time.monotonic)
    allowed = Origins([ORIGIN])
    hot = HotPaths({b"/hot": route}, repeat("req_id"), ends, allowed)
    return connect(act, hot, AllowingOrigins(Edge(Mounted(route, ends), repeat("req_id"), ends), allowed))


async def read(cycle: Cycle) -> None:
    while cycle.more_body:
        await cycle.wait(asyncio.get_running_loop().time() + 5)


async def echo(cycle: Cycle) -> None:
    await read(cycle)
    cycle.whole(200, LINES, b"heard " + bytes(cycle.take()))


async def stream(cycle: Cycle) -> None:
    cycle.begin(200, LINES)
    for piece in (b"a", b"b", b"c"):
        if cycle.is_full:
            await cycle.drained()
        cycle.write(piece)
    cycle.end(b"d")


async def refuse(cycle: Cycle) -> None:
    cycle.owner = "somebody"
    raise BadRequest("No.")


async def fail(cycle: Cycle) -> None:
    raise RuntimeError("secret words")


async def break_off(cycle: Cycle) -> None:
    def end(error: GatewayError) -> None:
        cycle.end(error.message.encode())

    cycle.begin(200, LINES)
    cycle.write(b"a")
    cycle.break_off = end
    raise RuntimeError("secret words")


async def fall_silent(cycle: Cycle) -> None:
    cycle.begin(200, LINES)
    cycle.write(b"a")
    raise BadRequest("No.")


async def close(cycle: Cycle) -> None:
    cycle.whole(503, LINES, b"later", closes=True)


async def say_nothing(cycle: Cycle) -> None:
    """A route that gives no answer."""


ANSWERS = [
    pytest.param(echo, b"heard {}", True, id="whole"),
    pytest.param(stream, b"1\r\nd\r\n0\r\n\r\n", True, id="stream"),
    pytest.param(refuse, b'"user_id":"somebody"}', True, id="error"),
    pytest.param(fail, b"Its log says more under req_id.", True, id="defect"),
    pytest.param(break_off, b"says more under req_id.\r\n0\r\n\r\n", True, id="defect in mid-stream"),
    pytest.param(close, b"later", False, id="last answer"),
]


@pytest.mark.parametrize(("route", "ending", "stays"), ANSWERS)
@pytest.mark.parametrize("lines", [[], [f"origin: {ORIGIN}"]], ids=["plain", "from a page"])
def test_both_ways_give_the_same_bytes(route: Serve, ending: bytes, stays: bool, lines: list[str]) -> None:
    async def act(connection: Connection) -> None:
        for times in (1, 2):
            await connection.receive(request(path, b"{}", *lines))
            if stays:
                assert connection.transport.written.count(ending.strip()) == times

    path, written = "", []
    for each in ("/hot", "/mounted"):
        path = each
        connection = served(route, act)
        assert not connection.protocol.tasks
        written.append(b"".join(connection.transport.written.split(b"HTTP/1.1")))
    below, through = ({*part.split(b"\r\n")} for part in written)
    assert below == through
    assert (b"access-control-allow-origin" in written[0]) is bool(lines)
    assert ending in written[0]
    assert b"secret" not in written[0]
    assert (b"connection: close" in written[0]) is not stays


@pytest.mark.parametrize("path", ["/hot", "/mounted"])
@pytest.mark.parametrize("route", [fall_silent, say_nothing])
def test_an_answer_that_cannot_be_ended_is_cut(route: Serve, path: str) -> None:
    async def act(connection: Connection) -> None:
        await connection.receive(request(path))
        if path == "/hot" or route is fall_silent:
            assert connection.transport.is_closed

    connection = served(route, act)
    assert b"0\r\n\r\n" not in connection.transport.written
    assert not connection.protocol.tasks


@pytest.mark.parametrize("path", ["/hot", "/mounted"])
class TestBody:
    @pytest.mark.parametrize("step", [1, 7, 1000])
    def test_it_comes_in_any_pieces(self, path: str, step: int) -> None:
        body = bytes(range(256))

        async def act(connection: Connection) -> None:
            sent = request(path, body)
            for start in range(0, len(sent), step):
                await connection.receive(sent[start : start + step])

        assert served(echo, act).transport.written.endswith(b"\r\n\r\nheard " + body)

    def test_a_client_that_asks_is_told_to_go_on(self, path: str) -> None:
        async def act(connection: Connection) -> None:
            sent = request(path, b"body", "expect: 100-continue")
            await connection.receive(sent[:-4])
            assert connection.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
            await connection.receive(sent[-4:])

        assert served(echo, act).transport.written.endswith(b"heard body")

    def test_an_answer_before_its_end_closes(self, path: str) -> None:
        async def act(connection: Connection) -> None:
            await connection.receive(request(path, b"x" * 1000)[:-900])
            assert connection.transport.is_half_closed
            await connection.receive(b"x" * 900)

        written = served(refuse, act).transport.written
        assert b"connection: close" in written
        assert written.count(b"HTTP/1.1") == 1

    def test_no_more_than_a_read_is_held_of_what_nobody_asked_for(self, path: str) -> None:
        async def wait(cycle: Cycle) -> None:
            await asyncio.Event().wait()

        async def act(connection: Connection) -> None:
            await connection.receive(request(path, b"x" * 100_000)[:-50_000])
            assert not connection.transport.reads

        served(wait, act)

    def test_a_body_that_does_not_come_is_given_up(self, path: str) -> None:
        async def hasten(cycle: Cycle) -> None:
            try:
                await cycle.wait(asyncio.get_running_loop().time() - 1)
            except TimeoutError:
                cycle.whole(408, LINES, b"late")

        async def act(connection: Connection) -> None:
            await connection.receive(request(path)[:-2])
            for timer in connection.loop.waiting():
                timer.act()
            await rest()

        assert served(hasten, act).transport.written.endswith(b"late")


def reads(connection: Connection) -> bool:
    """Whether what the client sends is read now."""
    return connection.transport.reads


class Waiting:
    """A route that begins a stream, or does not, and goes on when told; it knows who was cancelled."""

    def __init__(self, *, begins: bool = True) -> None:
        self.begins = begins
        self.goes_on = asyncio.Event()
        self.cycles: list[Cycle] = []
        self.cancelled = 0

    async def __call__(self, cycle: Cycle) -> None:
        self.cycles.append(cycle)
        try:
            await read(cycle)
            if self.begins:
                cycle.begin(200, LINES)
                cycle.write(b"first")
                await cycle.drained()
            await self.goes_on.wait()
            if not cycle.has_started:
                cycle.begin(200, LINES)
            cycle.end(b"last")
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


@pytest.mark.parametrize("path", ["/hot", "/mounted"])
@pytest.mark.parametrize("later", ["/hot", "/mounted", "/cold"])
class TestPipelining:
    """The request that is answered is told what happens on its connection, however many were read since."""

    def test_they_are_answered_one_after_the_other(self, path: str, later: str) -> None:
        route = Waiting()

        async def act(connection: Connection) -> None:
            await connection.receive(request(path) + request(later) + request(path))
            assert len(route.cycles) == 1
            route.goes_on.set()
            await rest()
            assert len(route.cycles) == 3
            assert connection.transport.written.count(b"4\r\nlast\r\n0\r\n\r\n") == 3
            assert connection.protocol in connection.protocol.idle

        served(route, act)

    @pytest.mark.parametrize("begins", [True, False])
    def test_a_client_that_leaves_ends_them_all(self, path: str, later: str, begins: bool) -> None:
        route = Waiting(begins=begins)

        async def act(connection: Connection) -> None:
            await connection.receive(request(path) + request(later))
            assert connection.transport.reads, "nobody would see it leave"
            connection.protocol.connection_lost(ConnectionResetError())
            await rest()
            assert route.cancelled == len(route.cycles) == 1
            assert not connection.protocol.tasks

        served(route, act)

    def test_one_that_does_not_read_is_waited_for(self, path: str, later: str) -> None:
        route = Waiting()

        async def act(connection: Connection) -> None:
            await connection.receive(request(path) + request(later))
            (cycle,) = route.cycles
            connection.protocol.pause_writing()
            cycle.write(b"second")
            assert cycle.is_full
            waiting = asyncio.ensure_future(cycle.drained())
            await rest()
            assert not waiting.done()
            connection.protocol.resume_writing()
            await rest()
            assert waiting.done()
            assert not cycle.is_full

        served(route, act)

    def test_what_is_read_ahead_is_bounded(self, path: str, later: str) -> None:
        route = Waiting()

        async def act(connection: Connection) -> None:
            await connection.receive(request(path) + request(later))
            for _ in range(2):
                assert reads(connection) is True
                await connection.receive(request(later, b"x" * (MAX_AHEAD_BYTES // 2)))
            assert reads(connection) is False
            route.goes_on.set()
            await rest()
            assert reads(connection) is True
            assert len(route.cycles) == 4

        served(route, act)


def test_the_next_answer_knows_that_the_last_one_is_not_read_yet() -> None:
    route = Waiting()

    async def act(connection: Connection) -> None:
        await connection.receive(request("/hot") + request("/hot"))
        connection.protocol.pause_writing()
        route.goes_on.set()
        await rest()
        assert route.cycles[-1].is_full
        connection.protocol.resume_writing()
        await rest()
        assert connection.transport.written.count(b"last") == 2

    served(route, act)


class TestStopping:
    @pytest.mark.parametrize("path", ["/hot", "/mounted"])
    def test_a_request_that_comes_then_is_refused(self, path: str) -> None:
        stopping = Stopping(1.0, time.monotonic)
        stopping.begin()
        stopping.refuse()

        async def act(connection: Connection) -> None:
            await connection.receive(request(path))
            assert connection.transport.is_closed

        head, _, body = served(echo, act, stopping).transport.written.partition(b"\r\n\r\n")
        assert b" 503 " in head
        assert b"connection: close" in head
        assert "stopping" in json.loads(body)["error"]["message"]

    @pytest.mark.parametrize("path", ["/hot", "/mounted"])
    def test_one_that_is_under_way_is_told(self, path: str) -> None:
        stopping = Stopping(1.0, time.monotonic)

        async def act(connection: Connection) -> None:
            await connection.receive(request(path))
            stopping.begin()
            stopping.end()
            for task in connection.protocol.tasks:
                task.cancel()
            await rest()
            assert b" 503 " in connection.transport.written

        served(Waiting(begins=False), act, stopping)


class TestComments:
    """Of a stream that is silent, on the real loop: the timers are its own."""

    @pytest.mark.parametrize("path", ["/hot", "/mounted"])
    def test_silence_is_filled_and_a_full_buffer_is_not(self, path: str) -> None:
        streams: list[EventStream] = []

        async def be_silent(cycle: Cycle) -> None:
            streams.append(EventStream(cycle, LINES, 0.02, 0.02))
            await asyncio.sleep(10)

        async def act(connection: Connection) -> None:
            await connection.receive(request(path))
            async with asyncio.timeout(10):
                while connection.transport.written.count(b": keep-alive\n\n") < 2:  # noqa: ASYNC110  # nothing else tells
                    await asyncio.sleep(0.01)
            assert connection.transport.written.count(b"HTTP/1.1 200") == 1
            assert streams[0].push(b"data") is (path == "/hot")
            connection.protocol.pause_writing()
            assert streams[0].push(b"more") is False
            written = connection.transport.written
            await asyncio.sleep(0.06)
            assert connection.transport.written.count(b": keep-alive") == written.count(b": keep-alive")
            streams[0].close()

        served(be_silent, act)
