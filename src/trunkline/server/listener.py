"""The listening socket, and the server that runs the application until it is told to end: uvicorn on uvloop.

The first signal closes the listening socket, once all that wait at it are taken, and a moment later begins the drain:
what a balancer sent before it could know of the end is served. When the drain is over, or a second signal comes, the
connections that are left are cut. What requests get meanwhile is told in `stopping.py`. A thread sees to it that the
process ends in time even when something hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from trunkline.server.allocator import give_large_pieces_back, use_large_pages
from trunkline.server.bare import Config, Server
from trunkline.server.connection import BoundedProtocol
from trunkline.server.routes import Application
from trunkline.settings.sections import ServerSettings
from trunkline.stopping import Stopping
from trunkline.telemetry import logs
from trunkline.upstream.aside import take_short_turns

BACKLOG = 2048

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TICK_S = 0.02
_LAST_WRITES_S = 0.2
"""How long the last errors may take to leave, however short the drain is."""
_LATECOMERS_S = 0.1
"""How long what comes on open connections is still served after the listening socket is closed."""
_HANG_S = 0.45
"""How long after the drain the process ends even when something hangs; as long after a second signal."""

_GARBAGE_THRESHOLDS = (20_000, 20, 50)
"""How many new objects are let be before cycles among them are looked for. A request makes hardly any."""


class _Server(Server):
    def __init__(self, config: Config, stopping: Stopping, drain_s: float, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._drain_s = drain_s
        self._on_ready = on_ready
        self._signal = ""
        self._is_forced = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_told = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        # What lives now lives to the end: looking through it again and again would cost a twentieth of all time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GARBAGE_THRESHOLDS)
        use_large_pages()
        # The loop would note each generator's beginning, to close at its end those that nobody closes; ours are closed
        # where they are made, and a request takes four.
        sys.set_asyncgen_hooks(firstiter=None)
        if self.started:
            self._on_ready()

    async def main_loop(self) -> None:
        # uvicorn looks ten times a second whether it is to end, and what time it is for a header that we do not send.
        if not self.should_exit:
            await self._is_told.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Who starts a process with SIGHUP ignored, as `nohup` does, wants it to outlive its terminal.
        taken = [number for number in _SIGNALS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self.handle_exit) for number in taken}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = True
            self._is_forced.set()
        else:
            self.should_exit = True
            self._signal = signal.Signals(sig).name
            self._stopping.begin()
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._is_told.set)  # all that a handler may do to a loop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        began = time.monotonic()
        threading.Thread(target=self._end_in_time, daemon=True).start()
        await self._leave(sockets or [], began + min(_LATECOMERS_S, self._stopping.lead_s))
        tasks, connections = self.server_state.tasks, self.server_state.connections
        logs.stopping(self._signal, len(tasks), self._drain_s)
        told_at = began + self._drain_s - self._stopping.lead_s
        await self._until(lambda: not tasks, told_at)
        self._stopping.end()
        for task in list(tasks):
            task.cancel()
        await self._until(lambda: not tasks, time.monotonic() + _LAST_WRITES_S, is_patient=True)
        over_at = max(began + self._drain_s, told_at + _LAST_WRITES_S)
        await self._until(lambda: not tasks, over_at)
        for connection in list(connections):
            connection.transport.close()
        await self._until(lambda: not connections, over_at)
        for connection in list(connections):
            connection.transport.abort()
        await self._until(lambda: not tasks, time.monotonic() + _LAST_WRITES_S, is_patient=True)
        await self.lifespan.shutdown()

    async def _leave(self, sockets: list[socket.socket], until: float) -> None:
        """Take no connection any more, and serve for a moment what comes on those that are open."""
        began = time.monotonic()
        connections = self.server_state.connections
        await self._close_listening(sockets)
        await self._until(lambda: False, until)
        # Who connected before the end and has asked nothing yet is about to: a balancer on a busy machine took 124 ms,
        # and may not ask elsewhere what it has sent.
        await self._until(lambda: not any(map(_has_asked_nothing, connections)), began + self._stopping.lead_s)
        self._stopping.refuse()
        for connection in list(connections):
            connection.shutdown()

    async def _close_listening(self, sockets: list[socket.socket]) -> None:
        """Close the listening sockets; whoever waited at one is taken, where the kernel would reset the connection."""
        waiting = []
        for listening in sockets:
            with contextlib.suppress(OSError):
                while True:
                    waiting.append(listening.accept()[0])
        for server in self.servers:
            server.close()
        for listening in sockets:
            listening.close()
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._make_protocol, connection)

    def _make_protocol(self) -> BoundedProtocol:
        """Make what uvicorn makes for a connection that it takes."""
        protocol = self.config.http_protocol_class
        assert issubclass(protocol, BoundedProtocol)
        return protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    async def _until(self, is_done: Callable[[], bool], limit: float, *, is_patient: bool = False) -> None:
        """Wait until something is so, or for `limit`, or, unless patient, until a second signal comes."""
        # Nobody wakes us: the sets are uvicorn's, and a signal handler may not touch the loop.
        while not is_done() and time.monotonic() < limit and (is_patient or not self.force_exit):  # noqa: ASYNC110
            await asyncio.sleep(_TICK_S)

    def _end_in_time(self) -> None:
        self._is_forced.wait(self._drain_s + _HANG_S)
        if self._is_forced.is_set():
            time.sleep(_HANG_S)
        os._exit(1 if self.force_exit else 0)


def _has_asked_nothing(connection: object) -> bool:
    return isinstance(connection, BoundedProtocol) and connection.has_asked_nothing


def serve(
    application: Application,
    listening: socket.socket,
    settings: ServerSettings,
    stopping: Stopping,
    *,
    on_ready: Callable[[], None],
) -> None:
    """Serve the application until a signal ends it; requests in flight get `drain` to finish.

    Raises SystemExit when a second signal ended it.
    """
    give_large_pieces_back()
    take_short_turns()
    # uvicorn's own messages repeat what we print and what our log tells; what is left of them are defects.
    logs.relay("uvicorn.error")
    logs.relay("asyncio")
    bounds = {
        "header_timeout_s": settings.header_timeout,
        "write_timeout_s": settings.write_timeout,
        "max_connections": settings.max_connections,
        "idle": {},
        "hot": application.hot,
    }
    config = Config(
        application,
        loop="uvloop",
        http=type("_Protocol", (BoundedProtocol,), bounds),
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=max(1, round(settings.idle_timeout)),
    )
    server = _Server(config, stopping, settings.drain, on_ready)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
    if server.force_exit:
        sys.exit(1)
