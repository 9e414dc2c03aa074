"""A server as a child process: started by a user without rights, frozen, killed, started again, gone at the end.

Each has a folder of its own and runs in it, which is how its processes are found: those it started too, and those that
outlived it. A watchdog kills them and removes the folder once this process is gone or lets it go, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from tests.gateway.ports import free_port
from tests.servers import watchdog
from tests.servers.found import Programs

NOBODY = 65534
"""Whom a server runs as where the tests run as root."""

_START_S = 40
_STARTS = 3


class Server:
    """A server that runs, or is frozen or killed in between, on one port of this machine all its life."""

    def __init__(self, programs: Programs, folder: Path, command: Callable[[int], Sequence[str]]) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "server.log"
        self._programs = programs
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that others belong to."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def is_ready(self) -> bool:
        """Whether it serves."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it serves; where another process took its port meanwhile it gets another one."""
        for _ in range(_STARTS):
            if self._begin():
                return
            self.port = free_port()
        raise AssertionError(f"{self._command(self.port)[0]} did not start:\n" + self.log.read_text()[-3000:])

    def restart(self) -> None:
        """Start it again where it was, whether or not it runs."""
        self.kill()
        assert self._begin(), "the server did not start again:\n" + self.log.read_text()[-3000:]

    def pause(self) -> None:
        """Freeze it: connections are taken by the kernel and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)  # first, that it starts no other meanwhile
        self._tell_others(signal.SIGSTOP)

    def resume(self) -> None:
        self._tell_others(signal.SIGCONT)
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it and all that it started, as SIGKILL does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        watchdog.kill(str(self.folder))

    def stop(self) -> None:
        """End it in its own way, and by force if that takes long."""
        watchdog.end(str(self.folder))
        if self._process is not None:
            self._process.wait()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.pause()
        try:
            yield
        finally:
            self.resume()

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        """Kill it, and start it again at the end."""
        self.kill()
        try:
            yield
        finally:
            self.restart()

    def _tell_others(self, sign: signal.Signals) -> None:
        for pid in watchdog.members(str(self.folder)):
            if pid != self.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)

    def _begin(self) -> bool:
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                self._command(self.port),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=environ_of(self._programs),
                start_new_session=True,
                **owner_of(self.folder),
            )
        until = time.monotonic() + _START_S
        while self.is_running and time.monotonic() < until:
            with contextlib.suppress(OSError):
                if self.is_ready():
                    return True
            time.sleep(0.01)
        self.kill()
        return False


def environ_of(programs: Programs) -> dict[str, str]:
    """What a server's program finds in its environment."""
    return {"PATH": os.environ["PATH"], "TZ": "GMT", "LC_ALL": "C", **programs.environ}


class Identity(TypedDict, total=False):
    """Whom a process is to run as, in the words of `subprocess`; nothing of it means as this one does."""

    user: int
    group: int
    extra_groups: list[int]


def owner_of(folder: Path) -> Identity:
    """Whom a process has to be to own a folder."""
    found = folder.stat()
    if found.st_uid == os.geteuid():
        return {}
    return {"user": found.st_uid, "group": found.st_gid, "extra_groups": []}


@contextlib.contextmanager
def watched_folder(name: str) -> Iterator[Path]:
    """Make a folder for a server; at the end nothing that runs in it is left, and neither is it."""
    folder = Path(tempfile.mkdtemp(prefix=f"trunkline-{name}-")).resolve()
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    command = [sys.executable, "-I", "-S", watchdog.__file__, str(folder)]
    dog = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    assert dog.stdin is not None
    try:
        yield folder
    finally:
        dog.stdin.close()
        dog.wait()


@contextlib.contextmanager
def within_reach(programs: Programs, folder: Path) -> Iterator[Programs]:
    """Copy programs beside a server's folder where its user cannot read them, as in a checkout of root's."""
    owner = owner_of(folder)
    # Another program than this one's: what is asked is whether the kernel lets that user in.
    if not owner or subprocess.run(["test", "-x", programs.path("")], check=False, **owner).returncode == 0:
        yield programs
        return
    copied = folder / "programs"
    root = next(each for each in programs.folder.parents if each.name == "usr")
    shutil.copytree(root, copied / "usr", symlinks=True)
    moved = {name: value.replace(str(root), str(copied / "usr")) for name, value in programs.environ.items()}
    yield Programs(copied / "usr" / programs.folder.relative_to(root), moved)
