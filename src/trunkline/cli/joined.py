"""A transport that sends the head of an answer together with the first piece of its body.

uvicorn writes the two apart, and each write is a system call of its own: the dearest thing a short answer does.
"""

from __future__ import annotations

import asyncio
from typing import Any

_INTERIM = b"HTTP/1.1 100"
_MAX_COPIED_BYTES = 256 * 1024


class JoinedTransport:
    """Stands before a transport; holds a head back until the write that follows it, or until the end."""

    __slots__ = ("_held", "_transport", "get_extra_info", "get_write_buffer_size", "is_closing", "pause_reading")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = b""
        self.get_extra_info = transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading

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
        self._transport.close()

    def abort(self) -> None:
        self._held = b""
        self._transport.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
