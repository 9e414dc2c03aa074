"""A transport that sends the head of an answer together with the first piece of its body.

uvicorn writes the two apart, and each write is a system call of its own: the dearest thing a short answer does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

_INTERIM = b"HTTP/1.1 100"
_MAX_COPIED_BYTES = 256 * 1024


class JoinedTransport:
    """Stands before a transport; holds a head back until the write that follows it, or until the end.

    Closed while `hear_out` is set, it ends only what goes out and calls that; closed again, it ends all.
    """

    __slots__ = ("_transport", "get_write_buffer_size", "hear_out", "held", "is_closing", "write_now")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.held = b""
        self.hear_out: Callable[[], None] | None = None
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.is_closing: Callable[[], bool] = transport.is_closing
        self.write_now: Callable[[bytes], None] = transport.write

    def write(self, data: bytes) -> None:
        if self.held:
            held, self.held = self.held, b""
            if len(data) > _MAX_COPIED_BYTES:
                self._transport.write(held)
                held = b""
            self._transport.write(held + data)
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n") and not data.startswith(_INTERIM):
            self.held = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Send a head that no body follows."""
        if self.held:
            self._transport.write(self.held)
            self.held = b""

    def close(self) -> None:
        self.flush()
        if self.hear_out is not None and not self.is_closing():
            self.is_closing = _yes
            self._transport.write_eof()
            self.hear_out()
        else:
            self._transport.close()

    def abort(self) -> None:
        self.held = b""
        self._transport.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _yes() -> bool:
    return True
