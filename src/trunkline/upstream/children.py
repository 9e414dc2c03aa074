"""A child that reads one document, as the gateway sees it: started, given the document, heard, ended.

What goes on within it is in `documents/`. Whatever it answers is held against its bounds as it comes, and it is killed
once its answer is whole, is none, or nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from trunkline.upstream.documents.frames import Bounds, Job, Kind, Malformed, Said, Told, order_of, read_answer

Ended = Literal["died", "late"]
"""How a child ends that gives no answer: by itself or somebody's signal, or because its time is up."""

_ROOT: Final = str(Path(__file__).parents[2])
_FIND: Final = "import sys\nif sys.argv[1] not in sys.path: sys.path.insert(0, sys.argv[1])\n"
"""Where the gateway is run from; a folder that is on the path already stays in its place there."""

_READ_BYTES: Final = 262_144

PROGRAM: Final = ("-c", _FIND + "from trunkline.upstream.documents.child import main\nmain()", _ROOT)
PROBE: Final = (
    "-c",
    _FIND + "from trunkline.upstream.documents.confining import leave_network\nsys.exit(not leave_network())",
    _ROOT,
)


class Child:
    """One child. Made on the loop, whose thread must live as long as it: a child ends with the thread it is from."""

    def __init__(self, program: Sequence[str], bounds: Bounds) -> None:
        """Start it; `program` are the arguments of this Python. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._bounds = bounds
        # Not by the loop: uvloop copies the gateway's page tables for it, which takes 10 ms where this takes two.
        self._process = subprocess.Popen(
            [sys.executable, "-I", *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={},
            cwd="/",
            start_new_session=True,
        )
        self._heard = bytearray()
        self._untold = memoryview(b"")
        self._answer: asyncio.Future[Said | Told | Ended] = loop.create_future()
        self._exited: asyncio.Future[int] = loop.create_future()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._into = self._process.stdin
        self._out = self._process.stdout
        _watch(self._process, self._exited)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return not self._exited.done()

    async def read(self, kind: Kind, job: Job, document: bytes) -> Said | Told | Ended:
        """Give it its document, and wait for what it says; once."""
        # No transports: uvloop ends the process where a file is closed that it was about to make one of.
        loop = asyncio.get_running_loop()
        for pipe in (self._into, self._out):
            os.set_blocking(pipe.fileno(), False)
        with contextlib.suppress(OSError):  # a few bytes always have room; that it is gone is seen at the other pipe
            os.write(self._into.fileno(), order_of(kind, job, len(document)))
        self._untold = memoryview(document)
        loop.add_reader(self._out.fileno(), self._hear)
        loop.add_writer(self._into.fileno(), self._tell)
        answer = await self._answer
        if answer != "died":
            return answer
        self._kill()  # which changes nothing about how it ended, if it did
        return "late" if await self.wait() == -signal.SIGXCPU else "died"

    def end(self) -> None:
        """Kill it, with whatever it may have started, and close what leads to it; once or more."""
        self._kill()
        self._close_into()
        self._close_out()
        self._finish("died")

    async def wait(self) -> int:
        """Wait until it is gone; its status, negative where a signal ended it."""
        return await asyncio.shield(self._exited)

    def _kill(self) -> None:
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _tell(self) -> None:
        """Write what it takes of its document."""
        try:
            self._untold = self._untold[os.write(self._into.fileno(), self._untold) :]
        except BlockingIOError:
            return
        except OSError:
            self._close_into()  # it reads no more; whether it said something is seen at the other pipe
            return
        if not self._untold:
            self._close_into()

    def _hear(self) -> None:
        """Read what it says."""
        try:
            data = os.read(self._out.fileno(), _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._heard += data
        try:
            answer = read_answer(self._heard, self._bounds)
        except Malformed:
            self._finish("died")
            return
        if answer is not None:
            self._finish(answer)
        elif not data:
            self._finish("died")

    def _finish(self, answer: Said | Told | Ended) -> None:
        """Note what came of it, and hear nothing more."""
        self._close_out()
        self._heard.clear()
        if not self._answer.done():
            self._answer.set_result(answer)

    def _close_into(self) -> None:
        self._untold = memoryview(b"")
        if not self._into.closed:
            asyncio.get_running_loop().remove_writer(self._into.fileno())
            self._into.close()

    def _close_out(self) -> None:
        if not self._out.closed:
            asyncio.get_running_loop().remove_reader(self._out.fileno())
            self._out.close()


def _watch(process: subprocess.Popen[bytes], exited: asyncio.Future[int]) -> None:
    """Have a process taken off the system's list as soon as it is gone."""
    loop = asyncio.get_running_loop()

    def note(status: int) -> None:
        if not exited.done():
            exited.set_result(status)

    if sys.platform != "linux":
        waiting = loop.run_in_executor(None, process.wait)
        waiting.add_done_callback(lambda done: note(done.result()))
        return
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        process.kill()
        process.communicate()
        raise

    def take_note() -> None:
        loop.remove_reader(handle)
        os.close(handle)
        note(process.wait())

    loop.add_reader(handle, take_note)
