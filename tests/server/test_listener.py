"""The bounds of a request's head, on the protocol itself: a transport that keeps what is written, timers that wait."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from tests.server.connections import REQUEST, Connection, Transport, connect
from trunkline.server.binding import bind
from trunkline.server.connection import MAX_HEAD_BYTES, MAX_HEADERS, BoundedProtocol
from trunkline.settings.reading import SettingsError


def refusal(connection: Connection) -> tuple[int, dict[str, Any]]:
    head, _, body = connection.transport.written.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert f"content-length: {len(body)}".encode() in head
    return int(head.split()[1]), json.loads(body)["error"]


def test_an_ordinary_request_is_answered_and_leaves_only_the_keep_alive_timer() -> None:
    async def act(connection: Connection) -> None:
        await connection.receive(REQUEST)
        assert connection.transport.written.endswith(b"ok")
        assert [timer.seconds for timer in connection.loop.waiting()] == [connection.protocol.timeout_keep_alive]
        await connection.receive(REQUEST * 2)
        assert connection.transport.written.count(b"ok") == 3

    connection = connect(act)
    assert not connection.loop.waiting()


def test_a_connection_that_is_idle_is_closed_in_time_and_one_timer_does_for_all_its_answers() -> None:
    async def act(connection: Connection) -> None:
        idle_s = connection.protocol.timeout_keep_alive
        await connection.receive(REQUEST)
        connection.loop.now = 2.0
        await connection.receive(REQUEST)
        assert [timer.seconds for timer in connection.loop.waiting()] == [idle_s]
        connection.loop.now = 0.0
        connection.expire()
        assert not connection.transport.is_closed
        connection.expire(2.0)

    assert connect(act).transport.is_closed


def test_a_connection_that_answers_when_its_idle_timer_goes_off_stays_open() -> None:
    async def act(connection: Connection) -> None:
        await connection.receive(REQUEST)
        connection.release.clear()
        await connection.receive(REQUEST)
        connection.expire()
        assert not connection.transport.is_closed
        connection.release.set()
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.0)
        connection.expire(connection.protocol.timeout_keep_alive)

    assert connect(act).transport.is_closed


def test_CL_08_a_head_that_comes_byte_by_byte_is_cut_off_at_the_deadline() -> None:
    async def act(connection: Connection) -> None:
        for byte in REQUEST[:20]:
            await connection.receive(bytes([byte]))
        assert len(connection.loop.timers) == 1
        connection.expire()

    connection = connect(act)
    status, error = refusal(connection)
    assert (status, error["code"], error["metadata"]) == (408, 408, {"error_type": "timeout"})
    assert connection.transport.is_closed
    assert connection.heads == []


def test_CL_08_a_connection_that_never_speaks_is_closed() -> None:
    async def act(connection: Connection) -> None:
        connection.expire()

    connection = connect(act)
    assert (connection.transport.written, connection.transport.is_closed) == (b"", True)


def test_CL_08_the_second_head_on_a_connection_has_a_deadline_too() -> None:
    async def act(connection: Connection) -> None:
        await connection.receive(REQUEST)
        await connection.receive(b"GET / HT")
        connection.expire(connection.protocol.header_timeout_s)

    assert b"408" in connect(act).transport.written


def test_a_slow_second_head_does_not_break_into_an_answer() -> None:
    async def act(connection: Connection) -> None:
        connection.release.clear()
        await connection.receive(REQUEST + b"GET / HT")
        connection.expire()
        assert not connection.transport.is_closed
        connection.release.set()
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.0)
        assert connection.transport.written.endswith(b"ok")

    connect(act)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\n" + b"x: 1\r\n" * (MAX_HEADERS + 1) + b"\r\n", id="101 headers"),
        pytest.param(b"GET / HTTP/1.1\r\nx: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", id="one line of 64 KiB"),
        pytest.param(b"GET / HTTP/1.1\r\nx: " + b"y" * (MAX_HEAD_BYTES + 1), id="a line without end"),
        pytest.param(b"GET /" + b"y" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n", id="an address of 64 KiB"),
        pytest.param(b"GET / HTTP/1.1\r\nx y: 1\r\n\r\n", id="a space in a header's name"),
        pytest.param(b"\x00\x01\x02\r\n\r\n", id="no HTTP at all"),
    ],
)
@pytest.mark.parametrize("step", [1 << 20, 1000])
def test_IN_18_a_head_that_is_too_large_or_wrong_is_a_400(data: bytes, step: int) -> None:
    async def act(connection: Connection) -> None:
        for start in range(0, len(data), step):
            if not connection.transport.is_closed:
                await connection.receive(data[start : start + step])

    connection = connect(act)
    status, error = refusal(connection)
    assert (status, error["code"], error["metadata"]) == (400, 400, {"error_type": "invalid_request"})
    assert connection.transport.is_closed
    assert connection.heads == []


def test_IN_18_as_many_headers_as_are_allowed_pass() -> None:
    data = b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x: 1\r\n" * (MAX_HEADERS - 1) + b"\r\n"

    async def act(connection: Connection) -> None:
        await connection.receive(data)

    assert len(connect(act).heads[0]["headers"]) == MAX_HEADERS


def test_a_large_body_does_not_count_as_head() -> None:
    data = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n" + b"x" * 200_000

    async def act(connection: Connection) -> None:
        await connection.receive(data[:100_000])
        await connection.receive(data[100_000:])

    assert connect(act).transport.written.endswith(b"ok")


def test_a_broken_second_request_does_not_break_into_an_answer() -> None:
    async def act(connection: Connection) -> None:
        connection.release.clear()
        await connection.receive(REQUEST + b"\x00\x01\r\n\r\n")

    connection = connect(act)
    assert b"400" not in connection.transport.written
    assert connection.transport.is_closed


def test_CL_05_a_client_that_takes_not_one_byte_is_cut_off() -> None:
    async def act(connection: Connection) -> None:
        connection.release.clear()
        await connection.receive(REQUEST)
        connection.transport.unsent_bytes = 90_000
        connection.protocol.pause_writing()
        assert [timer.seconds for timer in connection.loop.waiting()] == [connection.protocol.write_timeout_s]
        connection.expire()
        assert connection.transport.is_aborted

    assert not connect(act).loop.waiting()


def test_CL_06_a_client_that_reads_slowly_is_waited_for() -> None:
    async def act(connection: Connection) -> None:
        connection.release.clear()
        await connection.receive(REQUEST)
        for unsent in (90_000, 89_999, 20_000):
            connection.transport.unsent_bytes = unsent
            if unsent == 90_000:
                connection.protocol.pause_writing()
            else:
                connection.expire()
        assert len(connection.loop.waiting()) == 1
        connection.protocol.resume_writing()
        assert connection.loop.waiting() == []
        assert not connection.transport.is_closed

    connect(act)


def test_CL_05_an_answer_that_is_over_must_be_read_too() -> None:
    async def act(connection: Connection) -> None:
        connection.transport.unsent_bytes = 100
        await connection.receive(REQUEST)
        (stall,) = (
            timer for timer in connection.loop.waiting() if timer.seconds == connection.protocol.write_timeout_s
        )
        stall.act()

    assert connect(act).transport.is_aborted


@pytest.mark.parametrize(
    ("data", "is_closed"), [(b"", True), (REQUEST, True), (b"GET / HT", False)], ids=["new", "used", "busy"]
)
def test_CL_10_a_new_connection_takes_the_place_of_an_idle_one(
    data: bytes, is_closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedProtocol, "max_connections", 1)

    async def act(connection: Connection) -> None:
        await connection.receive(data)
        transport = Transport()
        late = BoundedProtocol(
            connection.protocol.config,
            connection.protocol.server_state,
            {},
            connection.loop,  # type: ignore[arg-type]
        )
        late.connection_made(transport)  # type: ignore[arg-type]
        assert connection.transport.is_closed is is_closed
        assert (b" 503 " in transport.written and b"retry-after: 1" in transport.written) is not is_closed
        assert transport.is_closed is not is_closed
        late.connection_lost(None)

    connect(act)
    assert not BoundedProtocol.idle


def test_an_address_that_is_taken_is_one_clear_line() -> None:
    with bind("127.0.0.1:0") as taken:
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SettingsError, match=f"cannot listen on {address}: address already in use; choose another"):
            bind(address)


def test_an_address_of_the_sixth_version_has_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with bind("[::1]:0") as listening:
        assert listening.getsockname()[0] == "::1"


@pytest.mark.parametrize("listen", ["no.such.host.invalid:1", "127.0.0.1:99999"])
def test_an_address_that_does_not_exist_is_one_clear_line(listen: str) -> None:
    with pytest.raises(SettingsError, match="choose another with --host and --port"):
        bind(listen)
