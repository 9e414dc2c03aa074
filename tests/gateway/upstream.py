"""A scripted provider on loopback: for each call it sends exactly the bytes, pauses and breaks that a test asks for.

A test plays a script under a nonce; a request whose path or body holds the nonce gets it. Requests without a script
get the ordinary answer of their path. It runs in a thread with an event loop of its own and keeps every request it saw.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Break = Literal["end", "reset", "stall", "keep"]
"""How a script ends: FIN, RST, silence with the connection open, or ready for the next request."""

NONCE = re.compile(rb"nonce-[a-z0-9-]+")


@dataclass(frozen=True)
class Script:
    """What to send: bytes and pauses in seconds, in order, then `ending`."""

    steps: Sequence[bytes | float]
    ending: Break = "end"


@dataclass
class Seen:
    """One request as it came, and what became of its connection."""

    path: str
    headers: dict[str, str]
    body: bytes
    is_closed_by_client: threading.Event = field(default_factory=threading.Event)
    bytes_sent: int = 0

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> bytes:
        """Where a nonce may stand."""
        return self.path.encode() + b" " + self.body


def head(status: int = 200, content_type: str = "application/json", **headers: str) -> bytes:
    """The head of an answer that ends with its connection."""
    lines = [f"HTTP/1.1 {status} X", f"content-type: {content_type}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def whole(body: Any, status: int = 200, **headers: str) -> Script:
    """A JSON answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Script([head(status, **headers), data])


def sse(data: Iterable[Any]) -> bytes:
    """Data-only server-sent events; a string is sent as it is."""
    return b"".join(b"data: " + (d.encode() if isinstance(d, str) else json.dumps(d).encode()) + b"\n\n" for d in data)


def stream(data: Iterable[Any], ending: Break = "end") -> Script:
    """A stream of data-only server-sent events."""
    return Script([head(200, "text/event-stream"), sse(data)], ending)


def trickle(piece: bytes, pause_s: float, times: int) -> list[bytes | float]:
    """The steps of a script that sends the same bytes again and again."""
    return [step for _ in range(times) for step in (piece, pause_s)]


def chunk(content: str | None = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """One chat completion chunk."""
    body = dict(delta) if content is None else {"content": content, **delta}
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-x",
        "choices": [{"index": 0, "delta": body, "finish_reason": finish}],
    }


def usage_chunk(prompt: int = 7, completion: int = 3, **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-x",
        "choices": [],
        "usage": usage,
    }


def completion(content: str | None = "Hello.", finish: str = "stop", **message: Any) -> dict[str, Any]:
    """One whole chat completion."""
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-x",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def ordinary(request: Seen) -> Script:
    """What an untroubled chat server answers."""
    if request.json.get("stream"):
        return stream(
            [chunk("", role="assistant"), chunk("Hel"), chunk("lo."), chunk(finish="stop"), usage_chunk(), "[DONE]"]
        )
    return whole(completion())


class Upstream:
    """The provider. Use as a context manager.

    With `tls` it speaks HTTPS. `send_buffer` is how many bytes the kernel may hold of what nobody reads; its own
    choice, which is megabytes, when absent.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, send_buffer: int | None = None) -> None:
        self._tls = tls
        self._send_buffer = send_buffer
        self._scripts: dict[tuple[str, str], list[Script]] = {}
        self._lock = threading.Lock()
        self._seen: list[Seen] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections: set[asyncio.StreamWriter] = set()
        self._under_way = 0
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    @property
    def calls_under_way(self) -> int:
        return self._under_way

    def hang_up(self) -> None:
        """Close all connections, so that no pooled one is left."""
        for writer in list(self._connections):
            self._loop.call_soon_threadsafe(writer.close)

    def play(self, nonce: str, *scripts: Script, host: str = "") -> str:
        """Answer requests that hold `nonce` with these scripts, one a call, the last again and again.

        `host` is the first segment of the path, so that one server can be several providers.
        """
        assert NONCE.fullmatch(nonce.encode()), nonce
        with self._lock:
            self._scripts[host, nonce] = list(scripts)
        return nonce

    def seen(self, nonce: str, host: str = "") -> list[Seen]:
        """The requests that held `nonce`, in order."""
        with self._lock:
            return [s for s in self._seen if nonce.encode() in s.text and s.path.startswith(f"/{host}")]

    def last(self, nonce: str) -> Seen:
        """The last request that held `nonce`, found without a look at all that came before."""
        with self._lock:
            return next(s for s in reversed(self._seen) if nonce.encode() in s.text)

    def _script(self, request: Seen) -> Script:
        match = NONCE.search(request.text)
        with self._lock:
            self._seen.append(request)
            host = request.path.split("/")[1]
            nonce = match.group().decode() if match else ""
            scripts = self._scripts.get((host, nonce)) or self._scripts.get(("", nonce))
            if not scripts:
                return ordinary(request)
            return scripts.pop(0) if len(scripts) > 1 else scripts[0]

    async def _listen(self) -> asyncio.Server:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        if self._send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
        self.port = listener.getsockname()[1]
        return await asyncio.start_server(self._serve, sock=listener, limit=64 * 2**20, ssl=self._tls)

    async def _stop(self) -> None:
        self._server.close()
        for writer in list(self._connections):
            writer.transport.abort()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self._answer(reader, writer):
                pass
        self._connections.discard(writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; say whether the connection stays."""
        request = await _read(reader)
        script = self._script(request)
        gone = asyncio.ensure_future(_until_closed(reader, request))
        self._under_way += 1
        try:
            for step in script.steps:
                if isinstance(step, float | int):
                    await asyncio.wait([gone], timeout=step)
                    if gone.done():
                        return False
                else:
                    writer.write(step)
                    request.bytes_sent += len(step)
                    await writer.drain()
            match script.ending:
                case "end":
                    return False
                case "keep":
                    return True
                case "reset":
                    sock: socket.socket = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()
                    return False
                case "stall":
                    await gone
                    return False
        except ConnectionError:
            request.is_closed_by_client.set()
            raise
        finally:
            self._under_way -= 1
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone


async def _read(reader: asyncio.StreamReader) -> Seen:
    start = (await reader.readuntil(b"\r\n")).split(b" ")
    headers: dict[str, str] = {}
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(start[1].decode(), headers, body)


async def _until_closed(reader: asyncio.StreamReader, request: Seen) -> None:
    """Wait for the gateway to close its side; it pipelines nothing, so any byte or end means the end of this call."""
    with contextlib.suppress(ConnectionError):
        if not reader._buffer and await _peek(reader) == b"":  # type: ignore[attr-defined]
            pass
    if reader.at_eof() or reader.exception() is not None:
        request.is_closed_by_client.set()


async def _peek(reader: asyncio.StreamReader) -> bytes:
    await reader._wait_for_data("peek")  # type: ignore[attr-defined]
    return bytes(reader._buffer)  # type: ignore[attr-defined]
