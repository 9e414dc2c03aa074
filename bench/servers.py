"""Starts the servers that are compared, asks each whether it answers right, and stops it again.

Does not load or measure; each server runs in an empty temporary folder, on the cores that are for servers.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import load, tree
from bench.load import LoadFailed, Shot
from bench.recordings import TEXT, Case, heard_text, request_body, terminal_marks
from bench.subjects import ROOT, Launch, Place, Subject

_CHECK_SECONDS = 60.0
_STOP_SECONDS = 2.0


@dataclass(frozen=True)
class Machine:
    """Which cores the servers and everything else are kept on, and where the mock provider listens."""

    server_cores: frozenset[int]
    load_cores: frozenset[int]
    upstream_pid: int
    upstream_port: int


@dataclass(frozen=True, eq=False)
class Server:
    """A subject that runs. `ready_seconds` is from its start to the first call that it answered in full."""

    subject: Subject
    pid: int
    port: int
    log: Path
    ready_seconds: float

    def shot(self, case: Case) -> Shot:
        """The request that has `case` happen."""
        return _shot(self.subject, case)

    def last_words(self) -> str:
        """The end of its log."""
        return _last_words(self.log)


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    """This machine, shared out: one core for servers, one for all else, this process and the mock provider included."""
    cores = sorted(os.sched_getaffinity(0))
    server_cores, load_cores = frozenset(cores[:1]), frozenset(cores[1:2] or cores)
    port = free_port()
    with _pinned(load_cores):
        command = (sys.executable, "-m", "bench.upstream", str(port))
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError("the mock provider did not start")
            yield Machine(server_cores, load_cores, process.pid, port)
        finally:
            stop(process)


@contextlib.asynccontextmanager
async def running(subject: Subject, machine: Machine) -> AsyncIterator[Server]:
    """Start a subject, wait for its first answer, and stop it at the end. Raises LoadFailed when it does not start."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = Place(Path(folder), free_port(), free_port(), machine.upstream_port)
        launch = subject.launch(place)
        log = place.folder / "log"
        with log.open("wb") as sink:
            begun = time.perf_counter()
            with _pinned(machine.server_cores):
                process = _spawn(launch, place.folder, sink.fileno())
            try:
                try:
                    await _first_answer(subject, place.port, process)
                except LoadFailed as error:
                    raise LoadFailed(f"{error}\n{_last_words(log)}") from None
                yield Server(subject, process.pid, place.port, log, time.perf_counter() - begun)
            finally:
                stop(process)


async def check(server: Server) -> None:
    """Read one whole answer and one stream in full. Raises LoadFailed when the text is not the provider's."""
    for case in (Case.JSON, Case.BURST):
        status, body = await load.ask(server.port, server.shot(case).request)
        with contextlib.suppress(ValueError, LookupError):
            if status == 200 and heard_text(server.subject.api, case, body) == TEXT:
                continue
        raise LoadFailed(f"{case}: status {status}, not the answer that was recorded: {body[:2000]!r}")


def _shot(subject: Subject, case: Case) -> Shot:
    body = request_body(subject.api, case, subject.model)
    return Shot(case, load.post(subject.path, dict(subject.headers), body), terminal_marks(subject.api, case))


def _last_words(log: Path) -> str:
    return f"--- the end of its log ---\n{log.read_text(errors='replace')[-3000:]}"


@contextlib.contextmanager
def _pinned(cores: frozenset[int]) -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, on some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind((load.HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _spawn(launch: Launch, folder: Path, log: int) -> "subprocess.Popen[bytes]":
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **launch.environment}
    return subprocess.Popen(
        launch.command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
    )


async def _first_answer(subject: Subject, port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait for the first call that is answered in full, which is more than a health route promises."""
    request = _shot(subject, Case.JSON).request
    deadline = time.perf_counter() + _CHECK_SECONDS
    last = ""
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise LoadFailed(f"it ended with status {process.returncode} before it was ready")
        try:
            status, body = await load.ask(port, request)
        except LoadFailed as error:
            last = str(error)
        else:
            if status == 200:
                return
            last = f"status {status}: {body[:500]!r}"
        await asyncio.sleep(0.01)
    raise LoadFailed(f"not ready in {_CHECK_SECONDS:.0f} s: {last}")


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process that was started here, and every descendant that outlives it, each by its id."""
    members = tree.members(process.pid)
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in members[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
