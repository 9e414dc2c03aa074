"""A mock provider cheap enough never to be what is measured: fixed answers in four dialects, told apart by the path.

Does not read a request beyond three byte strings: whether it streams, whether it wants usage, which case it asks for.
"""

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import cast

import uvloop

from bench import recordings, wires
from bench.http1 import END_OF_HEAD, chunk, content_length
from bench.recordings import UPSTREAM_MODEL, Api, Case, Recording

SECONDS_PER_TOKEN = 0.02

_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class _Answers:
    """One recording, ready for the socket. A frame of a stream is an HTTP chunk of its own, as real providers send."""

    whole: bytes
    burst: bytes
    paced: tuple[bytes, ...]
    idle: bytes


def serve(port: int) -> None:
    """Answer on a loopback port until killed; prints one line when it listens."""
    uvloop.run(_serve(port))


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port, backlog=2048)
    print("ready", flush=True)
    await server.serve_forever()


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods but not the ancestry, so this cannot be asserted.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        buffer = self._rest + data if self._rest else data
        while (end_of_head := buffer.find(END_OF_HEAD)) >= 0:
            head = buffer[:end_of_head].lower()
            begin = end_of_head + len(END_OF_HEAD)
            end = begin + (content_length(head) or 0)
            if len(buffer) < end:
                break
            self._answer(head, buffer[begin:end])
            buffer = buffer[end:]
        self._rest = buffer

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get "):
            self._transport.write(_MODELS)
            return
        path = head.split(b" ", 2)[1]
        answers = _CHAT if path == _CHAT_PATH and b'"include_usage"' not in body else _ANSWERS.get(path)
        if answers is None:
            self._transport.write(_UNKNOWN)
        elif path != _GEMINI_STREAM and b'"stream":true' not in body and b'"stream": true' not in body:
            self._transport.write(answers.whole)
        elif _PACED in body:
            self._pace(answers.paced, 0, self._loop.time())
        elif _IDLE in body:
            self._transport.write(answers.idle)
        else:
            self._transport.write(answers.burst)

    def _pace(self, frames: tuple[bytes, ...], index: int, due: float) -> None:
        self._transport.write(frames[index])
        if index + 1 < len(frames):
            # Counted from the first frame, so that a late timer does not stretch the whole stream.
            due += SECONDS_PER_TOKEN
            self._timer = self._loop.call_at(due, self._pace, frames, index + 1, due)


def _whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


def _answers(recording: Recording) -> _Answers:
    opening = _STREAM_HEAD + b"".join(map(chunk, recording.opening))
    tokens = [chunk(token) for token in recording.tokens]
    closing = b"".join(map(chunk, recording.closing)) + _LAST_CHUNK
    return _Answers(
        whole=_whole(recording.body),
        burst=opening + b"".join(tokens) + closing,
        paced=(opening + tokens[0], *tokens[1:-1], tokens[-1] + closing),
        idle=opening + tokens[0],
    )


_PACED = Case.PACED.value.encode()
_IDLE = Case.IDLE.value.encode()
_CHAT_PATH = Api.CHAT.value.encode()
_GEMINI_WHOLE = f"/v1/models/{UPSTREAM_MODEL}:generatecontent".encode()
_GEMINI_STREAM = f"/v1/models/{UPSTREAM_MODEL}:streamgeneratecontent?alt=sse".encode()
_CHAT = _answers(recordings.chat(with_usage=False))
_GEMINI = _answers(wires.gemini().recording)
# Heads are read in lower case, and with them the paths.
_ANSWERS = {
    _CHAT_PATH: _answers(recordings.chat(with_usage=True)),
    Api.RESPONSES.value.encode(): _answers(recordings.responses()),
    b"/v1/messages": _answers(wires.messages().recording),
    _GEMINI_WHOLE: _GEMINI,
    _GEMINI_STREAM: _GEMINI,
}
_MODELS = _whole(recordings.models())
_UNKNOWN = _whole(json.dumps({"error": {"message": "no such path"}}).encode(), b"404 Not Found")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
