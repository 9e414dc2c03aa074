"""A connection without a socket: the protocol on a transport that keeps what is written, with timers that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from trunkline.server.connection import BoundedProtocol
from trunkline.server.direct import HotPaths

REQUEST = b"GET /live HTTP/1.1\r\nhost: a\r\n\r\n"


@dataclass
class Timer:
    seconds: float
    act: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class Loop:
    """The running loop, but its timers go off only when told to."""

    timers: list[Timer] = field(default_factory=list)
    now: float = 0.0

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, act: Callable[[], None]) -> Timer:
        self.timers.append(Timer(seconds, act))
        return self.timers[-1]

    def call_at(self, when: float, act: Callable[..., None], *arguments: object) -> Timer:
        return self.call_later(when - self.now, partial(act, *arguments))

    def create_future(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    def create_task(self, work: Any) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work)

    def waiting(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.is_cancelled]


@dataclass
class Transport:
    written: bytes = b""
    is_closed: bool = False
    is_aborted: bool = False
    is_half_closed: bool = False
    reads: bool = True
    unsent_bytes: int = 0

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, data: Iterable[bytes]) -> None:
        self.written += b"".join(data)

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def write_eof(self) -> None:
        self.is_half_closed = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


@dataclass
class Connection:
    protocol: BoundedProtocol
    transport: Transport
    loop: Loop
    release: asyncio.Event
    heads: list[dict[str, Any]]

    async def receive(self, data: bytes) -> None:
        self.protocol.data_received(data)
        await rest()

    def expire(self, seconds: float | None = None) -> None:
        (timer,) = [timer for timer in self.loop.waiting() if seconds in (None, timer.seconds)]
        timer.is_cancelled = True
        self.loop.now += timer.seconds
        timer.act()


async def rest() -> None:
    """Let everybody run who can."""
    for _ in range(20):
        await asyncio.sleep(0)


def connect(
    act: Callable[[Connection], Awaitable[None]], hot: HotPaths | None = None, application: Any = None
) -> Connection:
    """Open a connection and do something with it; the application answers in two bytes unless another is given."""

    async def run() -> Connection:
        release, heads = asyncio.Event(), []

        async def answering(scope: dict[str, Any], receive: Any, send: Any) -> None:
            heads.append(scope)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await release.wait()
            await send({"type": "http.response.body", "body": b"ok"})

        release.set()
        bounded = BoundedProtocol if hot is None else type("_Bounded", (BoundedProtocol,), {"hot": hot, "idle": {}})
        served = application or answering
        config = uvicorn.Config(served, http=bounded, ws="none", log_config=None, access_log=False)
        loop, transport = Loop(), Transport()
        protocol = bounded(config, ServerState(), {}, loop)
        protocol.connection_made(transport)
        connection = Connection(protocol, transport, loop, release, heads)
        await act(connection)
        protocol.connection_lost(None)
        await rest()
        return connection

    return asyncio.run(run())
