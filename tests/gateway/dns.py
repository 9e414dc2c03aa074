"""A name server on loopback, and a way to start a process that asks it: some names it answers, others it never does.

The process is put into a mount namespace where `/etc/resolv.conf` names our server. That takes root on Linux; where
it may not be done the tests are skipped.
"""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SERVER = "127.77.0.53"


@contextmanager
def answering(folder: Path, names: dict[str, str]) -> Iterator[tuple[str, ...]]:
    """Serve IPv4 addresses of `names` and stay silent on all others; gives the command that starts a process so."""
    resolv = folder / "resolv.conf"
    resolv.write_text(f"nameserver {SERVER}\n")
    script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    within = ("unshare", "--mount", "sh", "-c", script, str(resolv))
    if shutil.which("unshare") is None or subprocess.run([*within, "true"], capture_output=True).returncode:
        pytest.skip("a mount namespace may not be made here, so names cannot be made to hang")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        try:
            server.bind((SERVER, 53))
        except OSError as error:
            pytest.skip(f"no name server can listen here: {error}")
        thread = threading.Thread(target=_serve, args=(server, names), daemon=True)
        thread.start()
        try:
            yield within
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", (SERVER, 53))
            thread.join(5)


def _serve(server: socket.socket, names: dict[str, str]) -> None:
    while True:
        question, asker = server.recvfrom(512)
        if not question:
            return
        if (address := names.get(_name(question))) is not None:
            server.sendto(_answer(question, address), asker)


def _name(question: bytes) -> str:
    labels, at = [], 12
    while size := question[at]:
        labels.append(question[at + 1 : at + 1 + size].decode("latin-1"))
        at += 1 + size
    return ".".join(labels)


def _answer(question: bytes, address: str) -> bytes:
    """One address to a question for IPv4, none to one for IPv6 (RFC 1035, section 4)."""
    end = question.index(0, 12) + 5
    is_ipv4 = question[end - 4 : end - 2] == b"\0\x01"
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(address) if is_ipv4 else b""
    return question[:2] + struct.pack(">HHHHH", 0x8180, 1, int(is_ipv4), 0, 0) + question[12:end] + record
