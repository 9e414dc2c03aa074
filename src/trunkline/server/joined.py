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

    __slots__ = ("_held", "_is_half_closed", "_transport", "get_write_buffer_size", "hear_out", "write_now")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = b""
        self._is_half_closed = False
        self.hear_out: Callable[[], None] | None = None
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.write_now: Callable[[bytes], None] = transport.write

    def is_closing(self) -> bool:
        return self._is_half_closed or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            if len(data) > _MAX_COPIED_BYTES:
                self._transport.write(held)
                held = b""
            self._transport.write(held + data)
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n") and not data.startswith(_INTERIM):
            self._held = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Send a head that no body follows."""
        if self._held:
            self._transport.write(self._held)
            self._held = b""

    def close(self) -> None:
        self.flush()
        if self.hear_out is not None and not self.is_closing():
            self._is_half_closed = True
            self._transport.write_eof()
            self.hear_out()
        else:
            self._transport.close()

    def abort(self) -> None:
        self._held = b""
        self._transport.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
