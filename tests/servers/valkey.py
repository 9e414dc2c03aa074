"""A Valkey or Redis of the tests' own, which is the same to a client: whichever of them this machine has."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.found import Programs, server_of, valkey_programs
from tests.servers.process import Server, watched_folder, within_reach


class Valkey(Server):
    """A Valkey or Redis that keeps nothing on the disk: when it is killed it comes back empty."""

    def __init__(self, programs: Programs, folder: Path) -> None:
        super().__init__(programs, folder, self._arguments)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def run(self, *words: str) -> bytes:
        """Run a command; its answer as it is on the wire."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            said = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
            connection.sendall(f"*{len(words)}\r\n{said}".encode())
            return connection.recv(65536)

    def clear(self) -> None:
        """Forget all that is in it, scripts too."""
        assert self.run("FLUSHALL") == self.run("SCRIPT", "FLUSH") == b"+OK\r\n"

    def is_ready(self) -> bool:
        return self.run("PING") == b"+PONG\r\n"

    def _arguments(self, port: int) -> Sequence[str]:
        program = self._programs.path(server_of(self._programs))
        told = ("--save", "", "--appendonly", "no", "--dir", str(self.folder), "--databases", "16")
        return [program, "--bind", "127.0.0.1", "--port", str(port), *told]


@contextlib.contextmanager
def started(programs: Programs | None = None) -> Iterator[Valkey]:
    """Start a Valkey or Redis, which is gone at the end."""
    found = programs or valkey_programs()
    assert found is not None, "there is neither Valkey nor Redis"
    with watched_folder("valkey") as folder, within_reach(found, folder) as reachable:
        server = Valkey(reachable, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
