"""The HTTP client over real sockets: connections that serve again, are replaced, bounded, found and left alone."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import pytest
import uvloop

from tests.upstream.loopback import Asked, answer, saying, serving
from trunkline.upstream.connection import READ_BUFFER_BYTES
from trunkline.upstream.dialing import Dialer, Origin
from trunkline.upstream.http import HttpClient
from trunkline.upstream.names import Names
from trunkline.upstream.patience import Timeouts
from trunkline.upstream.pool import Pool
from trunkline.upstream.reply import Reply
from trunkline.upstream.transport import UpstreamFailure
from trunkline.wire import UpstreamRequest

T = TypeVar("T")

RESETS = int(os.environ.get("TRUNKLINE_TEST_RESETS", "300"))
"""How often a provider breaks off in a row; a soak takes thousands."""

HELLO = answer(b"Hello")


def run(work: Coroutine[Any, Any, T]) -> T:
    async def play() -> T:
        async with asyncio.timeout(30.0):
            return await work

    return uvloop.run(play())


@asynccontextmanager
async def client(
    names: Names | None = None, max_connections: int = 100, connect_s: float = 5.0
) -> AsyncIterator[HttpClient]:
    http = HttpClient(Timeouts(connect_s, 5.0, 5.0), names, max_connections=max_connections)
    http.open()
    try:
        yield http
    finally:
        await http.close()


def soon(seconds: float = 20.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def sent(http: HttpClient, url: str, body: bytes = b"", deadline: float | None = None) -> Reply:
    return await http.send(UpstreamRequest("POST", url, {"x-key": "k"}, body), deadline or soon())


async def told(http: HttpClient, url: str, body: bytes = b"") -> bytes:
    reply = await sent(http, url, body)
    try:
        return await reply.body(2**30)
    finally:
        reply.close()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


@asynccontextmanager
async def staying(say: Serve) -> AsyncIterator[str]:
    """A server that leaves each connection to `say`, which hears how many were before; gives the URL."""
    count = 0
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await say(reader, writer, count - 1)
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def asked_by(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head + await reader.readexactly(size)


def reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class TestRequest:
    def test_the_head_is_ours_and_the_body_as_it_was(self) -> None:
        async def play() -> Asked:
            async with serving(saying(HELLO)) as server, client() as http:
                assert await told(http, server.url("/a%20b?c=d#e"), b"{}") == b"Hello"
                return server.asked[0]

        asked = run(play())
        assert (asked.method, asked.target, asked.body) == ("POST", "/a%20b?c=d", b"{}")
        assert asked.headers["x-key"] == "k"
        assert asked.headers["user-agent"].startswith("trunkline/")
        assert asked.headers["host"].startswith("127.0.0.1:")
        assert set(asked.headers) == {"x-key", "user-agent", "host", "content-length"}

    @pytest.mark.parametrize("size", [0, 1, 65536, 65537, 5_000_000])
    def test_a_body_of_any_size_goes_out(self, size: int) -> None:
        async def play() -> int:
            async with serving(saying(HELLO)) as server, client() as http:
                await told(http, server.url(), b"x" * size)
                return len(server.asked[0].body)

        assert run(play()) == size

    @pytest.mark.parametrize(
        "url",
        [
            "http://a.example/\r\nx: y",
            "http://a.example/a b",
            "http://a.example/\tb",
            "ftp://a.example/",
            "http:///path",
            "http://a.example:99999/",
            "http://[::1/",
            "http://" + "ä" * 70 + ".example/",
            "",
        ],
    )
    def test_an_address_that_is_none_is_not_asked(self, url: str) -> None:
        async def play() -> str:
            async with client(Names(lambda host: ["127.0.0.1"])) as http:
                with pytest.raises(UpstreamFailure) as failure:
                    await sent(http, url)
                return failure.value.fault.message

        assert run(play()) == "the provider's address or a header is not valid"

    def test_a_header_begins_no_line_of_its_own(self) -> None:
        async def play() -> None:
            async with client() as http:
                for value in ("a\r\nx: y", "a\nx: y", "a\rb"):
                    with pytest.raises(UpstreamFailure, match="not valid"):
                        await http.send(UpstreamRequest("GET", "http://127.0.0.1:9/", {"x": value}, b""), soon())

        run(play())

    def test_HEAD_has_no_body_whatever_its_head_says(self) -> None:
        async def play() -> None:
            async with serving(saying(answer(b"Hello")[:-5])) as server, client() as http:
                reply = await http.send(UpstreamRequest("HEAD", server.url(), {}, b""), soon())
                assert (reply.status, await reply.read()) == (200, b"")
                reply.close()

        run(play())


class TestReuse:
    def test_one_connection_serves_one_call_after_the_other(self) -> None:
        bodies: list[bytes] = []

        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            while True:
                bodies.append((await asked_by(reader))[-1:])
                writer.write(answer(b"%d" % number))

        async def play() -> list[bytes]:
            async with staying(say) as url, client() as http:
                return [await told(http, url, b"%d" % number) for number in range(5)]

        assert run(play()) == [b"0"] * 5
        assert bodies == [b"0", b"1", b"2", b"3", b"4"]

    @pytest.mark.parametrize("ending", ["closed", "reset", "closed as the request comes", "reset as the request comes"])
    def test_UP_20_a_connection_that_had_just_gone_is_replaced_once(self, ending: str) -> None:
        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            await asked_by(reader)
            writer.write(answer(b"%d" % number))
            if ending.endswith("comes"):
                await reader.readexactly(1)
            if ending.startswith("reset"):
                await writer.drain()
                await asyncio.sleep(0.01)
                reset(writer)

        async def play() -> list[bytes]:
            async with staying(say) as url, client() as http:
                found = []
                for _ in range(3):
                    found.append(await told(http, url, b"x" * 1000))
                    await asyncio.sleep(0.03)
                return found

        assert run(play()) == [b"0", b"1", b"2"]

    def test_UP_20_a_fresh_connection_is_not_replaced_nor_one_that_said_a_byte(self) -> None:
        said = [HELLO, b"H", b"", HELLO]
        seen: list[int] = []

        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            while said:
                await asked_by(reader)
                seen.append(number)
                what = said.pop(0)
                writer.write(what)
                await writer.drain()
                if what != HELLO:
                    return

        async def play() -> None:
            async with staying(say) as url, client() as http:
                assert await told(http, url) == b"Hello"
                for _ in range(2):
                    with pytest.raises(UpstreamFailure, match="closed before an answer came"):
                        await told(http, url)
                assert await told(http, url) == b"Hello"

        run(play())
        assert seen == [0, 0, 1, 2]

    def test_an_idle_connection_is_dropped_after_a_while_by_one_timer_for_all(self) -> None:
        async def play() -> None:
            async with serving(saying(HELLO)) as server:
                pool = Pool(Dialer(Names()), 5.0, kept_s=0.05)
                origin = Origin(False, "127.0.0.1", server.port)
                connections = [await pool.connect(origin, soon()) for _ in range(3)]
                for connection in connections[:2]:
                    pool.keep(connection)
                await asyncio.sleep(0.03)
                pool.keep(connections[2])
                assert pool.used(origin) is connections[2]
                pool.keep(connections[2])
                await asyncio.sleep(0.04)
                assert [each.is_closing for each in connections] == [True, True, False]
                await asyncio.sleep(0.03)
                assert connections[2].is_closing
                assert pool.used(origin) is None
                await pool.close()

        run(play())


class TestBound:
    """So many connections and no more, to all servers together."""

    def test_who_finds_no_place_waits_for_one_and_a_connection_that_is_done_with_serves_him(self) -> None:
        busy = [0, 0]

        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            busy[0] += 1
            busy[1] = max(busy)
            try:
                while True:
                    await asked_by(reader)
                    await asyncio.sleep(0.01)
                    writer.write(answer(b"%d" % number))
            finally:
                busy[0] -= 1

        async def play() -> list[bytes]:
            async with staying(say) as url, client(max_connections=2) as http:
                return await asyncio.gather(*(told(http, url) for _ in range(10)))

        assert set(run(play())) == {b"0", b"1"}
        assert busy[1] == 2

    def test_an_idle_connection_to_another_server_makes_room(self) -> None:
        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            while True:
                await asked_by(reader)
                writer.write(answer(b"%d" % number))

        async def play() -> None:
            async with staying(say) as one, staying(say) as other, client(max_connections=1) as http:
                found = [await told(http, url) for url in (one, one, other, other, one)]
                assert found == [b"0", b"0", b"0", b"0", b"1"]

        run(play())

    def test_nobody_waits_longer_than_for_a_connection(self) -> None:
        async def play() -> None:
            async with staying(hang) as url, client(max_connections=1, connect_s=0.05) as http:
                holding = asyncio.create_task(sent(http, url))
                await asyncio.sleep(0.02)
                with pytest.raises(UpstreamFailure) as failure:
                    await sent(http, url)
                fault = failure.value.fault
                assert (fault.kind, fault.message) == ("silent", "no connection in time")
                holding.cancel()
                await asyncio.gather(holding, return_exceptions=True)

        run(play())

    def test_a_turn_that_nobody_takes_is_passed_on(self) -> None:
        async def play() -> None:
            async with staying(hang) as url, client(max_connections=1) as http:
                holding = asyncio.create_task(sent(http, url))
                await asyncio.sleep(0.02)
                waiting = [asyncio.create_task(sent(http, url)) for _ in range(5)]
                await asyncio.sleep(0.01)
                for task in (holding, *waiting[:4]):
                    task.cancel()
                await asyncio.sleep(0.05)
                async with serving(saying(HELLO)) as server:
                    waiting[4].cancel()
                    assert await told(http, server.url()) == b"Hello"
                await asyncio.gather(holding, *waiting, return_exceptions=True)

        run(play())


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    await reader.read(-1)


class TestFinding:
    """From a name to a socket."""

    def test_a_dead_first_address_does_not_hold_up_the_second(self) -> None:
        async def play() -> float:
            loop = asyncio.get_running_loop()
            with socket.create_server(("127.0.0.2", 0), backlog=0) as full:
                port = full.getsockname()[1]
                crowd = [socket.socket() for _ in range(3)]  # nobody accepts them: further ones hang
                for each in crowd:
                    each.setblocking(False)
                    each.connect_ex(("127.0.0.2", port))
                server = await asyncio.start_server(_hello, "127.0.0.1", port)
                try:
                    async with client(Names(lambda host: ["127.0.0.2", "127.0.0.1"])) as http:
                        began = loop.time()
                        assert await told(http, f"http://two.example:{port}/") == b"Hello"
                        return loop.time() - began
                finally:
                    server.close()
                    for each in crowd:
                        each.close()

        assert 0.2 < run(play()) < 2.0

    def test_a_name_is_asked_for_anew_once_nobody_is_where_it_was(self) -> None:
        asked: list[str] = []
        places = ["127.0.0.2", "127.0.0.1"]

        def look_up(host: str) -> Sequence[str]:
            asked.append(host)
            return [places[len(asked) - 1]]

        async def play() -> None:
            async with serving(saying(HELLO)) as server, client(Names(look_up)) as http:
                url = server.url(host="moved.example")
                with pytest.raises(UpstreamFailure) as failure:
                    await told(http, url)
                assert failure.value.fault.detail == (
                    f"cannot connect to moved.example:{server.port}: Connection refused"
                )
                for _ in range(3):  # each a new connection
                    assert await told(http, url) == b"Hello"

        run(play())
        assert asked == ["moved.example"] * 2

    def test_a_numeric_address_is_asked_nobody_for(self) -> None:
        def look_up(host: str) -> Sequence[str]:
            raise AssertionError(host)

        async def play() -> None:
            async with serving(saying(HELLO)) as server, client(Names(look_up)) as http:
                assert await told(http, server.url()) == b"Hello"
                assert await told(http, f"http://[::ffff:127.0.0.1]:{server.port}/") == b"Hello"

        run(play())

    def test_a_deadline_that_is_near_bounds_it_too(self) -> None:
        async def play() -> str | None:
            with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
                place = full.getsockname()
                with socket.create_connection(place):
                    async with client(connect_s=5.0) as http:
                        for _ in range(2):
                            with pytest.raises(UpstreamFailure) as failure:
                                await sent(http, f"http://127.0.0.1:{place[1]}/", deadline=soon(0.05))
                    return failure.value.fault.message

        assert run(play()) == "no connection in time"


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asked_by(reader)
    writer.write(HELLO)
    writer.close()


def test_a_client_who_does_not_read_fills_no_more_than_one_buffer_and_a_read() -> None:
    taken = [0]

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await asked_by(reader)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while taken[0] < 2**26:
            writer.write(b"x" * 65536)
            await writer.drain()
            taken[0] += 65536

    async def play() -> int:
        async with staying(say) as url, client() as http:
            reply = await sent(http, url)
            await asyncio.sleep(0.3)
            first = await reply.read()
            reply.close()
            return len(first)

    held = run(play())
    assert 0 < held <= READ_BUFFER_BYTES + 256 * 1024
    assert taken[0] < 2**26


def test_a_provider_that_breaks_off_again_and_again_leaves_nothing_behind() -> None:
    """UP-04 many times over, at every place of an answer."""
    whole = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"5\r\nHello\r\n" * 3 + b"0\r\n\r\n"

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await asked_by(reader)
        writer.write(whole[: number % len(whole)])
        await writer.drain()
        reset(writer)

    async def one(http: HttpClient, url: str, *, pumps: bool) -> str:
        try:
            reply = await sent(http, url)
            try:
                if pumps:
                    await reply.pump(lambda piece: True)
                while await reply.read():
                    pass
                return "whole"
            finally:
                reply.close()
        except UpstreamFailure as failure:
            return failure.fault.message

    async def play() -> set[str]:
        tasks = len(asyncio.all_tasks())
        async with staying(say) as url, client() as http:
            sockets = open_files()
            found: set[str] = set()
            for first in range(0, RESETS, 20):
                numbers = range(first, first + 20)
                found |= set(await asyncio.gather(*(one(http, url, pumps=number % 2 == 0) for number in numbers)))
            for _ in range(100):
                if open_files() <= sockets and len(asyncio.all_tasks()) <= tasks:
                    return found
                await asyncio.sleep(0.01)
            raise AssertionError("something is left behind")

    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    broken = {"the connection broke", "the connection was closed before an answer came", "the answer was cut off"}
    assert run(play()) <= broken | {"the answer is not HTTP"}
