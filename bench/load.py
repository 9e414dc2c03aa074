"""The load generator: a closed loop of keep-alive connections that checks every answer it times.

Does not retry or skip: one answer that is wrong ends the run. Talks to the loopback address only.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import cast

from bench.http1 import Answer, Malformed

HOST = "127.0.0.1"

_PATIENCE_SECONDS = 30.0


class LoadFailed(Exception):
    """An answer was wrong, late or missing."""


@dataclass(frozen=True)
class Shot:
    """One request as bytes, and the byte strings that a good answer to it holds."""

    name: str
    request: bytes
    marks: tuple[bytes, ...]


@dataclass(frozen=True)
class Limits:
    """How much load: connections at once, requests in all, and after how many seconds no more are begun.

    The connections begin spread over `ramp_seconds`, so that paced streams do not tick together.
    """

    connections: int
    requests: int
    seconds: float
    ramp_seconds: float = 0.0


@dataclass
class Timings:
    """Milliseconds of each answer, to its last byte and to the first of its body, and the length of it all."""

    last_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0


def post(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """A request as bytes."""
    fields = {"host": HOST, "content-type": "application/json", "content-length": str(len(body)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


async def ask(port: int, request: bytes) -> tuple[int, bytes]:
    """Send one request on a connection of its own: the status and body of the answer. Raises LoadFailed."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await _ask(port, request)
    except (OSError, Malformed, ValueError) as error:  # OSError is the ancestor of TimeoutError, too
        raise LoadFailed(str(error) or "no answer in time") from None


async def drive(port: int, shot: Shot, limits: Limits) -> Timings:
    """Keep every connection busy until the limits are reached, then wait for what is under way. Raises LoadFailed."""
    loop = asyncio.get_running_loop()
    turn = _Turn(shot, limits, loop.create_future())
    clients: list[_Client] = []
    try:
        async with asyncio.timeout(limits.seconds + _PATIENCE_SECONDS):
            for _ in range(limits.connections):
                _, client = await loop.create_connection(lambda: _Client(turn), HOST, port)
                clients.append(client)
            begun = turn.begin()
            for index, client in enumerate(clients):
                loop.call_later(limits.ramp_seconds * index / len(clients), client.next)
            await turn.finished
            turn.timings.seconds = time.perf_counter() - begun
    except TimeoutError:
        raise LoadFailed(f"{shot.name}: no end after {limits.seconds + _PATIENCE_SECONDS:.0f} s") from None
    except OSError as error:
        raise LoadFailed(f"{shot.name}: {error}") from None
    finally:
        for client in clients:
            client.leave()
    return turn.timings


async def hold_open(port: int, request: bytes, count: int) -> list[asyncio.StreamWriter]:
    """Open streams and leave each after the first bytes of its body; the caller closes them. Raises LoadFailed."""
    at_once = asyncio.Semaphore(25)
    writers: list[asyncio.StreamWriter] = []

    async def open_one() -> None:
        async with at_once:
            reader, writer = await asyncio.open_connection(HOST, port)
            writers.append(writer)
            writer.write(request)
            answer = Answer()
            while not answer.pieces:
                data = await reader.read(65536)
                if not data or answer.feed(data) or answer.status not in (0, 200):
                    raise LoadFailed(f"a stream to be left idle ended, status {answer.status}: {data[:300]!r}")

    try:
        async with asyncio.timeout(3 * _PATIENCE_SECONDS), asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(open_one())
    except (TimeoutError, ExceptionGroup) as error:
        for writer in writers:
            writer.close()
        cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else "too slow"
        raise LoadFailed(f"{len(writers)} of {count} idle streams opened: {cause}") from None
    return writers


async def _ask(port: int, request: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request)
        answer = Answer()
        while data := await reader.read(65536):
            if answer.feed(data):
                return answer.status, b"".join(answer.pieces)
        raise Malformed("the connection ended before the answer")
    finally:
        writer.close()


class _Turn:
    """What the connections of one `drive` share."""

    def __init__(self, shot: Shot, limits: Limits, finished: "asyncio.Future[None]") -> None:
        self.shot = shot
        self.finished = finished
        self.timings = Timings()
        self._limits = limits
        self._left = limits.requests
        self._busy = 0
        self._deadline = 0.0

    def begin(self) -> float:
        now = time.perf_counter()
        self._deadline = now + self._limits.seconds
        return now

    def take(self, now: float) -> bool:
        """Whether one more request may begin."""
        if self._left == 0 or now > self._deadline or self.finished.done():
            return False
        self._left -= 1
        self._busy += 1
        return True

    def give_back(self, now: float, sent_at: float, heard_at: float) -> None:
        self._busy -= 1
        self.timings.last_ms.append((now - sent_at) * 1000)
        self.timings.first_ms.append((heard_at - sent_at) * 1000)

    def end_if_idle(self) -> None:
        if self._busy == 0 and not self.finished.done():
            self.finished.set_result(None)

    def fail(self, reason: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(LoadFailed(f"{self.shot.name}: {reason}"))


class _Client(asyncio.Protocol):
    def __init__(self, turn: _Turn) -> None:
        self._turn = turn
        self._answer: Answer | None = None
        self._sent_at = 0.0
        self._heard_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods but not the ancestry, so this cannot be asserted.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        # One that waits for nothing may be closed by either side.
        if self._answer is not None:
            self._turn.fail(f"the server closed a connection ({exc or 'no reason given'})")

    def next(self) -> None:
        now = time.perf_counter()
        if self._turn.take(now):
            self._sent_at = now
            self._heard_at = 0.0
            self._answer = Answer()
            self._transport.write(self._turn.shot.request)
        else:
            self._answer = None
            self._turn.end_if_idle()

    def leave(self) -> None:
        self._answer = None
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self._turn.fail(f"bytes nobody asked for: {data[:300]!r}")
            return
        try:
            is_whole = answer.feed(data)
        except (Malformed, ValueError) as error:
            self._turn.fail(str(error))
            return
        if not self._heard_at and answer.pieces:
            self._heard_at = time.perf_counter()
        if is_whole:
            self._check(answer)

    def _check(self, answer: Answer) -> None:
        body = b"".join(answer.pieces)
        if answer.status != 200 or not all(mark in body for mark in self._turn.shot.marks):
            self._answer = None
            self._turn.fail(f"status {answer.status}, body {body[:300]!r} … {body[-300:]!r}")
            return
        self._turn.give_back(time.perf_counter(), self._sent_at, self._heard_at)
        self.next()
