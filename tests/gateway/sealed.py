"""A network of its own for a thread and all that it starts, and tripwires on addresses that nobody may contact.

Whoever may make a network namespace gets private and public addresses there, and the machine's name servers: each
attempt at any of them is heard, and nothing else can be reached. Elsewhere the tripwires are on loopback alone.
"""

from __future__ import annotations

import ctypes
import fcntl
import re
import selectors
import socket
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

METADATA, PRIVATE, PUBLIC, LOOPBACK = "169.254.169.254", "10.9.8.7", "93.184.216.34", "127.0.0.2"
_CLONE_NEWNET = 0x4000_0000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR = 0x8913, 0x8914, 0x8916
_IFF_UP = 1


class Tripwires:
    """Listeners that count who comes."""

    def __init__(self) -> None:
        self.links: list[str] = []
        self._sockets: list[socket.socket] = []
        self._touched: list[str] = []

    @property
    def touched(self) -> list[str]:
        """The addresses that were contacted so far, each as often as it was."""
        with selectors.DefaultSelector() as waiting:
            for each in self._sockets:
                waiting.register(each, selectors.EVENT_READ)
            while ready := waiting.select(0):
                for key, _ in ready:
                    self._take(key.fileobj)  # type: ignore[arg-type]
        return list(self._touched)

    def touch_all(self) -> int:
        """Contact each; gives how many there are."""
        for each in self._sockets:
            with socket.socket(each.family, each.type) as caller:
                caller.settimeout(5)
                caller.connect(each.getsockname())
                if each.type == socket.SOCK_DGRAM:
                    caller.send(b"?")
        return len(self._sockets)

    def put(self, stack: ExitStack, host: str, port: int = 0) -> None:
        listener = stack.enter_context(socket.create_server((host, port)))
        self._sockets.append(listener)
        self.links.append(f"http://{host}:{listener.getsockname()[1]}/page")

    def put_name_server(self, stack: ExitStack, host: str) -> None:
        server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server.bind((host, 53))
        self._sockets.append(server)

    def _take(self, each: socket.socket) -> None:
        self._touched.append("{}:{}".format(*each.getsockname()))
        if each.type == socket.SOCK_DGRAM:
            each.recv(512)
        else:
            each.accept()[0].close()


def sealed(work: Callable[[Tripwires], T]) -> T:
    """Do work in a thread with a network of its own, where that may be made, and tripwires around."""
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(_with_tripwires, work).result()


def _with_tripwires(work: Callable[[Tripwires], T]) -> T:
    servers = re.findall(r"^nameserver\s+([0-9.]+)\s*$", Path("/etc/resolv.conf").read_text(), re.MULTILINE)
    addresses = [METADATA, PRIVATE, PUBLIC, *(each for each in servers if not each.startswith("127."))]
    is_sealed = _unshare(addresses)
    with ExitStack() as stack:
        wires = Tripwires()
        wires.put(stack, LOOPBACK)
        wires.put(stack, "127.0.0.1")
        if is_sealed:
            for host in (METADATA, PRIVATE, PUBLIC):
                wires.put(stack, host, 80)
            for host in servers or ["127.0.0.1"]:
                wires.put_name_server(stack, host)
        return work(wires)


def _unshare(addresses: Sequence[str]) -> bool:
    """Give this thread a network that has these addresses of loopback and no other; False where it may not be."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        flags = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
        (set_flags,) = struct.unpack_from("H", flags, 16)
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", set_flags | _IFF_UP))
        for number, address in enumerate(addresses, 1):
            place = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(control, _SIOCSIFADDR, struct.pack("16s16s8x", b"lo:%d" % number, place))
    return True
