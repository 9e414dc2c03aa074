"""Standard output and standard error that never block, never fail, and never keep the process from ending.

Theory of operation. A write puts a line into a queue and returns; a thread of its own takes lines out and waits for
the reader for as long as that takes. It lets some gather first, for to be woken for each line of a busy gateway costs
more than the line:

    idle    Nothing waits. The first line wakes the thread.
    slow    Lines that come often, and that nobody waits for, have a quarter of a second, or until there are enough for
            one write. So where some come all the time nobody wakes the thread: it looks at the end of each quarter.
    quick   Some other line came, and brings all before it along: what follows it closely has ten milliseconds.
    now     What is there is taken; after it everything is slow again, and idle where nothing came.

A line that comes often is not made before it is taken either: many made one after the other cost half of what they do
one by one between other work. But where the reader is slow, each is made at once, for what a line is made of may be
large. A line that finds the queue full, and one that the system does not take (a full disk, a reader that is gone), is
dropped and counted. After the next write that succeeds the count is told, in a line that whoever opened the outlet
makes. At the end nothing gathers any more; the thread gets a little time for what is left, and is left behind.

What a line means is not known here.
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

MAX_WAITING_BYTES = 4 * 2**20
"""How much waits for a slow reader: some ten thousand lines."""

FLUSH_S = 1.0
"""How long the end of the process waits for a reader."""

Made = Callable[[], str]
"""Makes a line, in whatever thread."""

_Pace = Literal["idle", "slow", "quick", "now"]
_PATIENCE_S: Final[dict[_Pace, float]] = {"idle": -1, "slow": 0.25, "quick": 0.01}
"""How long the thread waits at each pace; idle for as long as nobody rings."""

_PIECE_BYTES = 32 * 1024
_ENOUGH_BYTES = _PIECE_BYTES // 2  # so that there is room for what comes while the thread wakes
_UNMADE_BYTES = 512
_ODD = "backslashreplace"


class Outlet(io.BufferedIOBase):
    """A file to write to, before a descriptor; each write is a line, or some whole lines."""

    name = "<outlet>"

    def __init__(self, descriptor: int, report: Callable[[int], str]) -> None:
        """Take what makes the line that tells how many were dropped; an empty one is not written."""
        self._descriptor = descriptor
        self._report = report
        self._waiting: deque[bytes | Made] = deque()
        self._waiting_bytes = 0
        self.dropped = 0  # lines, and not told yet
        self._pace: _Pace = "idle"
        self._is_ending = False
        self._is_torn = False
        self._lock = threading.Lock()
        # Who changes the pace rings by releasing it. A condition does the same, but for thirty calls of functions.
        self._bell = threading.Lock()
        self._bell.acquire()
        self._thread = threading.Thread(target=self._run, name=f"outlet-{descriptor}", daemon=True)
        self._thread.start()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, line: Any, /) -> int:
        data = bytes(line)
        with self._lock:
            if self._waiting_bytes + len(data) > MAX_WAITING_BYTES:
                self.dropped += 1
            else:
                self._waiting.append(data)
                self._waiting_bytes += len(data)
                if self._pace in ("idle", "slow"):
                    self._change_pace("quick")
        return len(data)

    def write_made(self, make: Made) -> None:
        """Write a line, in its turn, that is made when it goes out, for which there is time."""
        if self._waiting_bytes > _PIECE_BYTES:
            self.write(_encoded(make()))
            return
        with self._lock:
            self._waiting.append(make)
            self._waiting_bytes += _UNMADE_BYTES
            if self._pace == "idle":
                self._change_pace("slow")
            elif self._pace == "slow" and self._waiting_bytes >= _ENOUGH_BYTES:
                self._change_pace("now")

    def finish(self, until: float) -> None:
        """Wait for what is left to be written, but not beyond `until` on the monotonic clock."""
        with self._lock:
            self._is_ending = True
            self._change_pace("now")
        self._thread.join(max(0.0, until - time.monotonic()))

    def _change_pace(self, pace: _Pace) -> None:
        self._pace = pace
        if self._bell.locked():
            self._bell.release()

    def _run(self) -> None:
        while taken := self._take():
            lines, lost = _made(taken)
            lost += self._send(lines)
            with self._lock:
                self.dropped += lost
                count = self.dropped
            if count and not lost and not self._send([self._report(count).encode()]):
                with self._lock:
                    self.dropped -= count

    def _take(self) -> list[bytes | Made]:
        """Wait for lines and take some; none at the end."""
        taken: list[bytes | Made] = []
        size = 0
        self._gather()
        with self._lock:
            while self._waiting and size < _PIECE_BYTES:
                taken.append(line := self._waiting.popleft())
                size += len(line) if isinstance(line, bytes) else _UNMADE_BYTES
            self._waiting_bytes -= size
            self._pace = "now" if self._waiting or self._is_ending else "slow"
        return taken

    def _gather(self) -> None:
        """Wait until what is there is to be taken."""
        while (pace := self._pace) != "now":
            if self._bell.acquire(timeout=_PATIENCE_S[pace]):
                continue  # at another pace
            with self._lock:
                if self._pace == pace:
                    self._pace = "now" if self._waiting else "idle"

    def _send(self, lines: Sequence[bytes]) -> int:
        """Write lines; say how many of them are lost."""
        data = (b"\n" if self._is_torn else b"") + b"".join(lines)
        sent = 0
        while sent < len(data):
            try:
                sent += os.write(self._descriptor, memoryview(data)[sent:])
            except BlockingIOError:  # somebody else made the descriptor so
                select.select([], [self._descriptor], [])
            except OSError:
                break
        self._is_torn = 0 < sent < len(data) and data[sent - 1 : sent] != b"\n"
        unsent = len(data) - sent
        lost = 0
        while unsent > 0:
            lost += 1
            unsent -= len(lines[-lost])
        return lost


def _made(taken: Sequence[bytes | Made]) -> tuple[list[bytes], int]:
    """Make the lines that are not, and say how many could not be."""
    lines: list[bytes] = []
    for line in taken:
        # Whatever is wrong with one line, the thread has to write the others.
        try:
            lines.append(line if isinstance(line, bytes) else _encoded(line()))
        except Exception:
            pass
    return lines, len(taken) - len(lines)


def _encoded(line: str) -> bytes:
    return line.encode("utf-8", _ODD)


@contextmanager
def outlets(report: Callable[[int], str]) -> Iterator[None]:
    """Put outlets in the place of `sys.stdout` and `sys.stderr`: for our logs, and for all that others print."""
    _hold_descriptors()
    before = sys.stdout, sys.stderr
    opened = Outlet(1, lambda _: ""), Outlet(2, report)
    sys.stdout, sys.stderr = (io.TextIOWrapper(outlet, "utf-8", _ODD, line_buffering=True) for outlet in opened)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        until = time.monotonic() + FLUSH_S
        for outlet in opened:
            outlet.finish(until)


def _hold_descriptors() -> None:
    """Open what was closed at the start; else a socket or the database would get its number, and be logged into."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
