"""An exchange is the same however its bytes are cut, and whether its body is read or pumped; strange bytes are a fault.

No socket: the connection is told what a transport would tell it.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar, cast

import pytest

from trunkline.upstream import causes
from trunkline.upstream.connection import MAX_HEADERS, MAX_LINE_BYTES, READ_BUFFER_BYTES, Connection
from trunkline.upstream.dialing import Origin
from trunkline.upstream.lane import Lane
from trunkline.upstream.patience import Timeouts
from trunkline.upstream.reply import Reply, Unanswered, ask
from trunkline.upstream.transport import UpstreamFailure
from trunkline.wire import Fault

T = TypeVar("T")
Way = Literal["read", "pump", "pump one, read on"]

WAYS: tuple[Way, ...] = ("read", "pump", "pump one, read on")


class Wire:
    """A transport without a socket."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.sent = b""
        self.is_closed = False
        self._is_paused = False
        connection.connection_made(cast("asyncio.BaseTransport", self))

    def writelines(self, pieces: Sequence[bytes]) -> None:
        self.sent += b"".join(pieces)

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        assert not self._is_paused
        self._is_paused = True

    def resume_reading(self) -> None:
        assert self._is_paused
        self._is_paused = False

    def is_paused(self) -> bool:
        return self._is_paused

    def abort(self) -> None:
        self.lose(None)

    def lose(self, error: Exception | None) -> None:
        if not self.is_closed:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, error)

    def receive(self, data: bytes) -> None:
        if not self.is_closed:
            self._connection.data_received(data)


@dataclass
class Shelf:
    """Keeps connections."""

    kept: list[Connection] = field(default_factory=list)
    lost: list[Connection] = field(default_factory=list)

    def keep(self, connection: Connection) -> None:
        self.kept.append(connection)

    def lose(self, connection: Connection) -> None:
        self.lost.append(connection)


@dataclass
class Line:
    """A connection, what carries it, and where it is kept."""

    shelf: Shelf
    connection: Connection
    wire: Wire


def new_line() -> Line:
    shelf = Shelf()
    connection = Connection(asyncio.get_running_loop(), Origin(False, "a.example", 80), shelf)
    return Line(shelf, connection, Wire(connection))


def run(work: Awaitable[T]) -> T:
    async def play() -> T:
        async with asyncio.timeout(20.0):
            return await work

    return asyncio.run(play())


async def asked(line: Line, *, has_body: bool = True, timeouts: Timeouts | None = None) -> Reply:
    deadline = asyncio.get_running_loop().time() + 60.0
    request = [b"GET / HTTP/1.1\r\n\r\n"]
    return await ask(line.connection, request, deadline, timeouts or Timeouts(), has_body=has_body)


@dataclass(frozen=True)
class Outcome:
    """What came of an exchange; `fault` is its message, `is_kept` says whether the connection serves again."""

    status: int
    body: bytes
    fault: str | None = None
    is_kept: bool = True


async def body_of(reply: Reply, way: Way) -> Iterator[bytes]:
    pieces: list[bytes] = []

    def take(piece: bytes) -> bool:
        assert piece
        pieces.append(piece)
        return way == "pump"

    if way != "read":
        await reply.pump(take)
    try:
        while piece := await reply.read():
            assert way != "pump", "nothing is left to read after a pump that was not told to stop"
            pieces.append(piece)
        assert await reply.read() == b""
    except UpstreamFailure as failure:
        with pytest.raises(UpstreamFailure, match=failure.fault.message):  # and again
            await reply.read()
        failure.args = (b"".join(pieces),)
        raise
    return iter(pieces)


async def outcome_of(line: Line, way: Way, *, has_body: bool) -> Outcome:
    try:
        reply = await asked(line, has_body=has_body)
    except UpstreamFailure as failure:
        return Outcome(0, b"", failure.fault.message)
    try:
        body = b"".join(await body_of(reply, way))
        fault = None
    except UpstreamFailure as failure:
        body, fault = failure.args[0], failure.fault.message
    reply.close()
    reply.close()  # once more does nothing
    return Outcome(reply.status, body, fault)


async def played(pieces: Sequence[bytes], ending: Exception | str | None, way: Way, *, has_body: bool) -> Outcome:
    """Receive these pieces, each in a turn of its own, then lose the connection, unless the ending is `stays`."""
    line = new_line()
    asking = asyncio.create_task(outcome_of(line, way, has_body=has_body))
    await asyncio.sleep(0)
    for piece in pieces:
        line.wire.receive(piece)
        await asyncio.sleep(0)
    if not isinstance(ending, str):
        line.wire.lose(ending)
    try:
        outcome = await asking
        await asyncio.sleep(0)
        return replace(outcome, is_kept=bool(line.shelf.kept) and not line.wire.is_closed)
    finally:
        line.wire.lose(None)
        await asyncio.sleep(0)


def head(*lines: str, first: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([first, *lines, "", ""]).encode()


TEXT = b'{"text":"A lake at dawn."}'
PACKED = gzip.compress(TEXT, mtime=0)
CHUNKED = b"5\r\nA lak\r\n1;x=y\r\ne\r\n0\r\n\r\n"
RESET = ConnectionResetError(104, "Connection reset by peer")


@dataclass(frozen=True)
class Case:
    id: str
    said: bytes
    outcome: Outcome
    ending: Exception | str | None = "stays"
    has_body: bool = True


CUT_OFF, NOT_HTTP = "the answer was cut off", "the answer is not HTTP"

CASES = (
    Case("a length", head(f"Content-Length: {len(TEXT)}") + TEXT, Outcome(200, TEXT)),
    Case("chunks", head("transfer-encoding: chunked") + CHUNKED, Outcome(200, b"A lake")),
    Case("chunks, and fields behind them", head("transfer-encoding: chunked") + CHUNKED[:-2] + b"a: x\r\n\r\n",
         Outcome(200, b"A lake")),
    Case("chunks whose sizes are padded", head("transfer-encoding: chunked") + b"3  \r\nabc\r\n0\r\n\r\n",
         Outcome(200, b"abc")),
    Case("until it closes", head("connection: close") + TEXT, Outcome(200, TEXT, is_kept=False), None),
    Case("until it closes, in HTTP/1.0", head(first="HTTP/1.0 200 OK") + TEXT, Outcome(200, TEXT, is_kept=False), None),
    Case("until it closes, in another coding", head("transfer-encoding: gzip") + b"abc",
         Outcome(200, b"abc", is_kept=False), None),
    Case("HTTP/1.0 that stays", head("connection: keep-alive", "content-length: 3", first="HTTP/1.0 200 OK") + b"abc",
         Outcome(200, b"abc")),
    Case("a length, and it closes", head("connection: close", "content-length: 3") + b"abc",
         Outcome(200, b"abc", is_kept=False), None),
    Case("nothing", head("content-length: 0"), Outcome(200, b"")),
    Case("204", head(first="HTTP/1.1 204 Nothing"), Outcome(204, b"")),
    Case("304 with a length", head("content-length: 9", first="HTTP/1.1 304 Same"), Outcome(304, b"")),
    Case("HEAD with a length", head("content-length: 9"), Outcome(200, b"", is_kept=False), has_body=False),
    Case("gzip", head(f"content-length: {len(PACKED)}", "CONTENT-ENCODING: gzip") + PACKED, Outcome(200, TEXT)),
    Case("gzip in chunks", head("transfer-encoding: chunked", "content-encoding: x-gzip") + b"%x\r\n%b\r\n0\r\n\r\n" % (
        len(PACKED), PACKED), Outcome(200, TEXT)),
    Case("deflate until it closes", head("connection: close", "content-encoding: deflate") + zlib.compress(TEXT),
         Outcome(200, TEXT, is_kept=False), None),
    Case("interim heads", b"HTTP/1.1 100 Continue\r\n\r\n" + head("link: </a>", first="HTTP/1.1 103 Early Hints")
         + head("content-length: 3") + b"abc", Outcome(200, b"abc")),
    Case("101, which nobody asked for", head("upgrade: x", "connection: upgrade", first="HTTP/1.1 101 Switch") + b"abc",
         Outcome(101, b"", is_kept=False)),
    Case("an answer that another follows", head("content-length: 3") + b"abc" + head("content-length: 3") + b"def",
         Outcome(200, b"abc", is_kept=False)),
    Case("an answer that half of another follows", head("content-length: 3") + b"abcHTTP/1.1 20",
         Outcome(200, b"abc", is_kept=False)),
    Case("an answer that rubbish follows", head("content-length: 3") + b"abc??", Outcome(200, b"abc", is_kept=False)),
    Case("204 with a body", head(first="HTTP/1.1 204 Nothing") + b"abc", Outcome(204, b"", is_kept=False)),
    Case("closed before a byte", b"", Outcome(0, b"", "the connection was closed before an answer came", False), None),
    Case("reset before a byte", b"", Outcome(0, b"", "the connection broke", False), RESET),
    Case("closed in the head", head("content-length: 3")[:-2],
         Outcome(0, b"", "the connection was closed before an answer came", False), None),
    Case("closed after an interim head", head(first="HTTP/1.1 100 Continue"),
         Outcome(0, b"", "the connection was closed before an answer came", False), None),
    Case("a length that is not met", head("content-length: 9") + b"abc", Outcome(200, b"abc", CUT_OFF, False), None),
    Case("a length that is not met, and a reset", head("content-length: 9") + b"abc",
         Outcome(200, b"abc", CUT_OFF, False), RESET),
    Case("chunks without an end", head("transfer-encoding: chunked") + CHUNKED[:-5],
         Outcome(200, b"A lake", CUT_OFF, False), None),
    Case("a chunk that is cut", head("transfer-encoding: chunked") + CHUNKED[:6], Outcome(200, b"A l", CUT_OFF, False),
         None),
    Case("a chunk without a size", head("transfer-encoding: chunked") + b"3\r\nabc\r\nzz\r\n",
         Outcome(200, b"abc", NOT_HTTP, False)),
    Case("a chunk that is too long", head("transfer-encoding: chunked") + b"3\r\nabcd\r\n",
         Outcome(200, b"abc", NOT_HTTP, False)),
    Case("gzip that is cut", head("connection: close", "content-encoding: gzip") + PACKED[:-9],
         Outcome(200, TEXT, "the compressed answer cannot be unpacked", False), None),
    Case("no gzip", head("content-length: 3", "content-encoding: gzip") + b"abc",
         Outcome(200, b"", "the compressed answer cannot be unpacked", False)),
    Case("a packing that nobody asked for", head("content-length: 3", "content-encoding: br") + b"abc",
         Outcome(0, b"", "the answer is packed as 'br', which nobody asked for", False)),
)  # fmt: skip


@pytest.mark.law
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_bytes_cut_anywhere_are_the_same_exchange(case: Case, way: Way) -> None:
    said = case.said
    cuts = [[said], [said[at : at + 1] for at in range(len(said))]]
    cuts += [[said[:at], said[at:]] for at in range(1, len(said))]

    async def play() -> list[Outcome]:
        return [await played(pieces, case.ending, way, has_body=case.has_body) for pieces in cuts]

    for pieces, outcome in zip(cuts, run(play()), strict=True):
        assert outcome == case.outcome, pieces


OK_HEAD = b"HTTP/1.1 200 OK\r\n"

STRANGE = {
    "no HTTP": b"220 smtp.example ready\r\n",
    "no status": b"HTTP/1.1 \r\n\r\n",
    "a word for a status": b"HTTP/1.1 OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status below all": b"HTTP/1.1 099 OK\r\n\r\n",
    "a version that is none": b"HTTP/9.9 200 OK\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "a line that is folded": OK_HEAD + b"a: 1\r\n 2\r\ncontent-length: 0\r\n\r\n",
    "NUL in a value": OK_HEAD + b"a: x\0y\r\ncontent-length: 0\r\n\r\n",
    "NUL in a name": OK_HEAD + b"a\0: x\r\ncontent-length: 0\r\n\r\n",
    "a space in a name": OK_HEAD + b"a b: x\r\ncontent-length: 0\r\n\r\n",
    "a bare carriage return": OK_HEAD + b"a: x\ry\r\ncontent-length: 0\r\n\r\n",
    "two lengths": OK_HEAD + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    "a length and chunks": OK_HEAD + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": OK_HEAD + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
    "a length below zero": OK_HEAD + b"content-length: -1\r\n\r\n",
    "a length beyond all": OK_HEAD + b"content-length: %d\r\n\r\n" % 10**30,
    "too many fields": OK_HEAD + b"".join(b"x-%d: 1\r\n" % number for number in range(MAX_HEADERS + 1)) + b"\r\n",
    "a field that is too long": OK_HEAD + b"x: " + b"y" * (MAX_LINE_BYTES + 1) + b"\r\n\r\n",
    "a head that is too long": OK_HEAD + b"".join(b"x-%d: %b\r\n" % (at, b"y" * 15_000) for at in range(5)) + b"\r\n",
    "a field of a megabyte": OK_HEAD + b"x: " + b"y" * 2**20,
    "a reason of a megabyte": b"HTTP/1.1 200 " + b"y" * 2**20,
    "a head without end": OK_HEAD + b"".join(b"x-%d: 1\r\n" % number for number in range(20_000)),
    "the same field without end": OK_HEAD + b"x: 1\r\n" * 20_000,
    "interim heads without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
}


@pytest.mark.parametrize("size", [7, 4096, 2**30], ids=["7 bytes", "4096 bytes", "all"])
@pytest.mark.parametrize("said", STRANGE.values(), ids=STRANGE.keys())
def test_UP_16_a_strange_head_is_no_http(said: bytes, size: int) -> None:
    said = said if size > 7 else said[:140_000]
    pieces = [said[at : at + size] for at in range(0, len(said), size)]
    assert run(played(pieces, "stays", "read", has_body=True)) == Outcome(0, b"", NOT_HTTP, is_kept=False)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "rest",
    [b"3;" + b"x" * 100_000, b"0\r\n" + b"x-trailer: 1\r\n" * 10_000, b"-3\r\nabc\r\n", b"fffffffffffffffff1\r\nabc"],
    ids=["an extension without end", "trailers without end", "a size below zero", "a size beyond all"],
)
def test_strange_chunks_are_no_http(rest: bytes, way: Way) -> None:
    said = head("transfer-encoding: chunked") + b"3\r\nabc\r\n" + rest
    pieces = [said[at : at + 1000] for at in range(0, len(said), 1000)]
    assert run(played(pieces, "stays", way, has_body=True)) == Outcome(200, b"abc", NOT_HTTP, is_kept=False)


@pytest.mark.parametrize("way", WAYS)
def test_a_read_of_many_chunks_is_one_piece(way: Way) -> None:
    async def play() -> list[bytes]:
        line = new_line()
        asking = asyncio.create_task(asked(line))
        await asyncio.sleep(0)
        line.wire.receive(head("transfer-encoding: chunked"))
        reply = await asking
        reading = asyncio.create_task(body_of(reply, way))
        await asyncio.sleep(0)
        line.wire.receive(b"3\r\nabc\r\n" * 64)
        await asyncio.sleep(0)
        line.wire.receive(b"3\r\ndef\r\n" * 64 + b"0\r\n\r\n")
        pieces = list(await reading)
        reply.close()
        line.wire.abort()
        return pieces

    assert run(play()) == [b"abc" * 64, b"def" * 64]


def test_what_is_here_with_the_head_is_waited_for_no_more() -> None:
    async def play() -> None:
        line = new_line()
        asking = asyncio.create_task(asked(line))
        await asyncio.sleep(0)
        line.wire.receive(head("content-length: 3") + b"abc")
        reply = await asking
        for work, result in ((reply.read(), b"abc"), (reply.read(), b""), (reply.finish(1.0), None)):
            with pytest.raises(StopIteration) as ended:
                work.send(None)
            assert ended.value.value == result
        reply.close()
        assert line.shelf.kept == [line.connection]
        line.wire.abort()

    run(play())


async def open_stream(line: Line, timeouts: Timeouts | None = None) -> Reply:
    asking = asyncio.create_task(asked(line, timeouts=timeouts))
    await asyncio.sleep(0)
    line.wire.receive(head("transfer-encoding: chunked"))
    return await asking


class Refusal(Exception):
    """What a `take` may raise."""


@pytest.mark.parametrize("error", [Refusal("no"), KeyError("x"), asyncio.CancelledError()], ids=repr)
def test_what_take_raises_is_raised_where_it_is_pumped_and_nowhere_else(error: BaseException) -> None:
    async def play() -> None:
        line = new_line()
        reply = await open_stream(line)

        def take(piece: bytes) -> bool:
            raise error

        pumping = asyncio.ensure_future(reply.pump(take))
        await asyncio.sleep(0)
        line.wire.receive(b"3\r\nabc\r\n")
        with pytest.raises(type(error)):
            await pumping
        line.wire.receive(b"3\r\ndef\r\n")
        assert await reply.read() == b"def"
        reply.close()
        await asyncio.sleep(0)
        assert line.shelf.lost

    run(play())


def test_take_may_close_what_it_is_given_by() -> None:
    async def play() -> None:
        line = new_line()
        reply = await open_stream(line)

        def take(piece: bytes) -> bool:
            reply.close()
            return True

        pumping = asyncio.ensure_future(reply.pump(take))
        await asyncio.sleep(0)
        line.wire.receive(b"3\r\nabc\r\n")
        await pumping
        assert await reply.read() == b""
        assert line.wire.is_closed

    run(play())


def test_take_may_cancel_who_pumps() -> None:
    async def play() -> None:
        line = new_line()
        reply = await open_stream(line)
        taken: list[bytes] = []

        def take(piece: bytes) -> bool:
            taken.append(piece)
            return not pumping.cancel()

        pumping = asyncio.ensure_future(reply.pump(take))
        await asyncio.sleep(0)
        line.wire.receive(b"3\r\nabc\r\n")
        line.wire.receive(b"3\r\ndef\r\n")  # before who pumps has heard of it
        with pytest.raises(asyncio.CancelledError):
            await pumping
        assert (taken, await reply.read()) == ([b"abc"], b"def")
        reply.close()

    run(play())


@pytest.mark.parametrize("is_pumped_before", [False, True])
def test_while_nobody_takes_only_so_much_is_read(is_pumped_before: bool) -> None:
    async def play() -> None:
        line = new_line()
        reply = await open_stream(line)
        chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
        if is_pumped_before:
            pumping = asyncio.ensure_future(reply.pump(lambda piece: False))
            await asyncio.sleep(0)
            line.wire.receive(chunk)
            await pumping
        count = 0
        while not line.wire.is_paused():
            line.wire.receive(chunk)
            count += 1
            assert (count - 1) * 4096 <= READ_BUFFER_BYTES
        assert count * 4096 > READ_BUFFER_BYTES
        pieces = [await reply.read(), await reply.read()]
        assert b"".join(pieces) == b"x" * 4096 * count
        assert max(map(len, pieces)) <= READ_BUFFER_BYTES
        assert not line.wire.is_paused()
        line.wire.receive(b"0\r\n\r\n")
        assert await reply.read() == b""
        reply.close()
        assert line.shelf.kept
        line.wire.abort()

    run(play())


def token(text: str) -> bytes:
    piece = b'data: {"delta":"%b"}\n\n' % text.encode()
    return b"%x\r\n%b\r\n" % (len(piece), piece)


class Laned:
    """Takes pieces, and texts by a lane; stops at a text that says so."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.heard: list[str | bytes] = []
        self.lane = Lane(lambda: (self.tell, 10_000))
        self._error = error

    def take(self, piece: bytes) -> bool:
        text = piece.partition(b':"')[2].partition(b'"')[0].decode()
        self.heard.append(piece)
        self.lane.last = text if text.isalpha() else None
        return True

    def tell(self, text: str, inner: bytes) -> bool:
        assert inner == text.encode()
        self.heard.append(text)
        if text == "full" and self._error is not None:
            raise self._error
        return text != "full"


def test_what_goes_by_a_lane_leaves_the_parser_where_it_was() -> None:
    async def play() -> None:
        line, taker = new_line(), Laned()
        reply = await open_stream(line)
        pumping = asyncio.ensure_future(reply.pump(taker.take, taker.lane))
        await asyncio.sleep(0)
        first, *rest = [token(text) for text in ("one", "two", "three", "is 4", "five", "six")]
        for read in (first, *rest, token("a") + token("b"), token("c")[:9], token("c")[9:], token("d"), token("e")):
            line.wire.receive(read)
        line.wire.receive(b"0\r\n\r\n")
        await pumping
        assert await reply.read() == b""
        reply.close()
        assert line.shelf.kept
        texts = [each if isinstance(each, str) else each.partition(b':"')[2].partition(b'"')[0] for each in taker.heard]
        assert texts == [b"one", "two", "three", "is 4", "five", "six", b"a", b"", b"c", b"d", "e"]
        line.wire.abort()

    run(play())


@pytest.mark.parametrize("error", [None, RuntimeError("secret")])
def test_a_lane_ends_where_there_is_no_room(error: BaseException | None) -> None:
    async def play() -> None:
        line, taker = new_line(), Laned(error)
        reply = await open_stream(line)
        pumping = asyncio.ensure_future(reply.pump(taker.take, taker.lane))
        await asyncio.sleep(0)
        for text in ("one", "full", "after"):
            line.wire.receive(token(text))
        if error is None:
            await pumping
        else:
            with pytest.raises(type(error)):
                await pumping
        assert taker.heard[1:] == ["full"]
        assert b"after" in await reply.read()
        reply.close()

    run(play())


def test_who_is_served_next_finds_nothing_of_the_last_answer() -> None:
    async def play() -> None:
        line = new_line()
        for number in range(3):
            asking = asyncio.create_task(asked(line))
            await asyncio.sleep(0)
            line.wire.receive(
                head(f"x-number-{number}: 1", "transfer-encoding: chunked") + b"3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n"
            )
            reply = await asking
            assert reply.headers == {f"x-number-{number}": "1", "transfer-encoding": "chunked"}
            if number:  # what is whole may be left unread
                assert await reply.read() == b"abc"
            reply.close()
        assert len(line.shelf.kept) == 3
        line.wire.abort()

    run(play())


class TestIdle:
    @pytest.mark.parametrize("said", [b"HTTP/1.1 408 Timeout\r\n\r\n", b"x", b"\r\n"])
    def test_what_nobody_asked_for_ends_an_idle_connection(self, said: bytes) -> None:
        async def play() -> bool:
            line = new_line()
            reply = await open_stream(line)
            line.wire.receive(b"0\r\n\r\n")
            reply.close()
            assert line.shelf.kept
            line.wire.receive(said)
            return line.wire.is_closed

        assert run(play())

    def test_a_connection_that_ends_before_a_byte_is_told_apart(self) -> None:
        async def play(said: bytes) -> type[UpstreamFailure]:
            line = new_line()
            asking = asyncio.create_task(asked(line))
            await asyncio.sleep(0)
            if said:
                line.wire.receive(said)
            line.wire.lose(None)
            with pytest.raises(UpstreamFailure) as failure:
                await asking
            return type(failure.value)

        assert run(play(b"")) is Unanswered
        assert run(play(b"H")) is UpstreamFailure
        assert run(play(head(first="HTTP/1.1 100 Continue"))) is UpstreamFailure


class TestFinish:
    """Many servers say that they are done and end the body a moment later."""

    @staticmethod
    async def closed_early(wait_s: float) -> Line:
        line = new_line()
        reply = await open_stream(line)
        line.wire.receive(b"3\r\nabc\r\n")
        assert await reply.read() == b"abc"
        await reply.finish(wait_s)
        reply.close()
        assert not line.wire.is_closed
        return line

    def test_the_end_that_comes_later_gives_the_connection_back(self) -> None:
        async def play() -> None:
            line = await self.closed_early(5.0)
            line.wire.receive(b"3\r\ndef\r\n")
            assert not line.shelf.kept
            line.wire.receive(b"0\r\n\r\n")
            assert line.shelf.kept
            line.wire.abort()

        run(play())

    def test_what_breaks_meanwhile_is_told_nobody(self) -> None:
        async def play(said: bytes, ending: Exception | None) -> Line:
            line = await self.closed_early(5.0)
            line.wire.receive(said)
            line.wire.lose(ending)
            await asyncio.sleep(0)
            return line

        for said, ending in ((b"zz\r\n", None), (b"3\r\n", None), (b"3\r\n", RESET)):
            line = run(play(said, ending))
            assert line.shelf.lost
            assert not line.shelf.kept

    def test_it_is_not_waited_for_longer_than_that(self) -> None:
        async def play() -> None:
            line = await self.closed_early(0.01)
            await asyncio.sleep(0.05)
            assert line.wire.is_closed

        run(play())


class TestSilence:
    SHORT = Timeouts(first_byte=0.03, idle=0.03)

    @staticmethod
    async def fault_of(work: Awaitable[object]) -> Fault:
        with pytest.raises(UpstreamFailure) as failure:
            await work
        return failure.value.fault

    def test_no_head(self) -> None:
        assert run(self.fault_of(self._head())) is causes.NO_BYTE

    async def _head(self) -> Reply:
        return await asked(new_line(), timeouts=self.SHORT)

    @pytest.mark.parametrize("says", [False, True], ids=["no output yet", "after output"])
    @pytest.mark.parametrize("way", ["read", "pump"])
    def test_no_further_byte(self, way: str, says: bool) -> None:
        async def play() -> Fault:
            line = new_line()
            reply = await open_stream(line, self.SHORT)

            def take(piece: bytes) -> bool:
                if says:
                    reply.note_output()
                return True

            line.wire.receive(b"3\r\nabc\r\n")
            if way == "pump":
                await reply.pump(take)
            else:
                take(await reply.read())
            try:
                return await self.fault_of(reply.read())
            finally:
                reply.close()

        assert run(play()) is (causes.NO_BYTE if says else causes.PINGS_ALONE)

    def test_while_nobody_waits_nobody_is_blamed(self) -> None:
        async def play() -> None:
            line = new_line()
            reply = await open_stream(line, self.SHORT)
            await asyncio.sleep(0.1)
            line.wire.receive(b"3\r\nabc\r\n0\r\n\r\n")
            await asyncio.sleep(0.1)
            assert await reply.read() == b"abc"
            reply.close()
            assert line.shelf.kept
            line.wire.abort()

        run(play())

    def test_a_pump_that_is_fed_is_not_silent(self) -> None:
        async def play() -> None:
            line = new_line()
            reply = await open_stream(line, self.SHORT)

            def take(piece: bytes) -> bool:
                reply.note_output()
                return True

            pumping = asyncio.ensure_future(reply.pump(take))
            for _ in range(20):
                await asyncio.sleep(0.01)
                line.wire.receive(b"3\r\nabc\r\n")
            line.wire.receive(b"0\r\n\r\n")
            await pumping
            assert await reply.read() == b""
            reply.close()
            line.wire.abort()

        run(play())

    def test_a_lane_that_is_fed_is_not_silent_until_it_is(self) -> None:
        async def play() -> None:
            line, taker = new_line(), Laned()
            reply = await open_stream(line, self.SHORT)

            def take(piece: bytes) -> bool:
                reply.note_output()
                return taker.take(piece)

            pumping = asyncio.ensure_future(reply.pump(take, taker.lane))
            for _ in range(20):
                await asyncio.sleep(0.01)
                line.wire.receive(token("word"))
            assert taker.heard[1:] == ["word"] * 19
            await pumping
            assert await self.fault_of(reply.read()) is causes.NO_BYTE
            reply.close()

        run(play())

    def test_the_deadline_holds_whoever_waits(self) -> None:
        async def play() -> Fault:
            line = new_line()
            deadline = asyncio.get_running_loop().time() + 0.03
            asking = asyncio.create_task(ask(line.connection, [b"GET"], deadline, Timeouts()))
            await asyncio.sleep(0)
            line.wire.receive(head("transfer-encoding: chunked"))
            reply = await asking
            try:
                return await self.fault_of(reply.read())
            finally:
                reply.close()

        assert run(play()) is causes.OVERDUE


def test_an_exchange_that_is_called_off_drops_its_connection() -> None:
    async def play() -> None:
        line = new_line()
        asking = asyncio.create_task(asked(line))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert line.wire.is_closed

    run(play())


HEADS: Sequence[tuple[str, Callable[[Reply], object], object]] = (
    ("content-type: text/event-stream", lambda reply: reply.content_type, "text/event-stream"),
    ("Content-Type: a/b", lambda reply: reply.content_type, "a/b"),
    ("CONTENT-TYPE: a/b", lambda reply: reply.content_type, "a/b"),
    ("x: y", lambda reply: reply.content_type, ""),
    ("X-RateLimit-Reset: 7", lambda reply: reply.tells_limits, True),
    ("anthropic-ratelimit-reset: 7", lambda reply: reply.tells_limits, True),
    ("x: ratelimit", lambda reply: reply.tells_limits, False),
    ("X-Odd: \xe4", lambda reply: reply.headers["x-odd"], "ä"),
    ("empty:", lambda reply: reply.headers["empty"], ""),
    ("retry-after: 2", lambda reply: set(reply.headers), {"retry-after", "content-length", "date"}),
)


@pytest.mark.parametrize(("line", "ask_for", "told"), HEADS)
def test_what_the_head_says(line: str, ask_for: Callable[[Reply], object], told: object) -> None:
    async def play() -> object:
        connection = new_line()
        asking = asyncio.create_task(asked(connection))
        await asyncio.sleep(0)
        connection.wire.receive(head(line, "content-length: 0"))
        reply = await asking
        try:
            return ask_for(reply)
        finally:
            reply.close()
            connection.wire.abort()

    assert run(play()) == told
