"""Measures one subject: starts it, asks it, loads it, reads what it used, stops it.

Does not judge or print; what it returns is only numbers.
"""

import asyncio
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import load, tree
from bench.load import Limits, LoadFailed, Shot, Timings
from bench.recordings import TEXT, Case, heard_text, request_body, terminal_marks
from bench.subjects import Launch, Place, Subject

_LOADED = (Case.JSON, Case.BURST, Case.PACED)
_WARMED = (Case.JSON, Case.BURST)
_CHECK_SECONDS = 60.0
_SAMPLE_SECONDS = 0.25
_STOP_SECONDS = 2.0


@dataclass(frozen=True)
class Effort:
    """How much is asked of every subject alike. `limits` holds one entry for each case that is loaded."""

    repeats: int
    limits: dict[Case, Limits]
    idle_streams: int


@dataclass(frozen=True)
class Machine:
    """Which cores the server and everything else are kept on, and where the mock provider listens."""

    server_cores: frozenset[int]
    load_cores: frozenset[int]
    upstream_pid: int
    upstream_port: int


@dataclass(frozen=True)
class Round:
    """One load of one case.

    `load_share` is how busy generator and mock provider kept their core: near 1, requests per second and latency
    say more about them than about the subject; the CPU of a request stays true.
    """

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    first_p50_ms: float
    cpu_us: float
    load_share: float


@dataclass(frozen=True)
class Measured:
    """All numbers of one subject. Bytes are those of the whole tree of processes."""

    name: str
    route: str
    ready_seconds: float
    ready_bytes: int
    loaded_bytes: int
    peak_bytes: int
    idle_stream_bytes: float
    rounds: dict[Case, list[Round]]

    def median(self, case: Case) -> Round:
        """The round of a case whose CPU per request is the median."""
        ordered = sorted(self.rounds[case], key=lambda round_: round_.cpu_us)
        return ordered[(len(ordered) - 1) // 2]


@dataclass(frozen=True)
class _Running:
    pid: int
    port: int
    ready_seconds: float


async def measure(subject: Subject, machine: Machine, effort: Effort) -> Measured:
    """Measure one subject in two lives of its process. Raises LoadFailed.

    The idle streams get a process of their own: after a load, memory that was freed and kept would hide their cost.
    """
    async with _running(subject, machine) as server:
        await _check(subject, server)
        await _warm_up(subject, server, effort)
        idle_stream_bytes = await _idle_stream_bytes(subject, server, effort.idle_streams)
        first_ready = server.ready_seconds
    async with _running(subject, machine) as server:
        await _warm_up(subject, server, effort)
        ready_bytes = tree.anonymous_bytes(server.pid)
        async with _peak(server.pid) as peak:
            rounds: dict[Case, list[Round]] = {case: [] for case in _LOADED}
            for _ in range(effort.repeats):
                for case in _LOADED:
                    rounds[case].append(await _round(subject, server, machine, case, effort.limits[case]))
        return Measured(
            name=subject.name,
            route=subject.route,
            ready_seconds=min(first_ready, server.ready_seconds),
            ready_bytes=ready_bytes,
            loaded_bytes=tree.anonymous_bytes(server.pid),
            peak_bytes=max(peak),
            idle_stream_bytes=idle_stream_bytes,
            rounds=rounds,
        )


@contextlib.contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
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


@contextlib.asynccontextmanager
async def _running(subject: Subject, machine: Machine) -> AsyncIterator[_Running]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = Place(Path(folder), free_port(), free_port(), machine.upstream_port)
        launch = subject.launch(place)
        with (place.folder / "log").open("wb") as log:
            begun = time.perf_counter()
            with pinned(machine.server_cores):
                process = _spawn(launch, place.folder, log.fileno())
            try:
                await _first_answer(subject, place.port, process)
                yield _Running(process.pid, place.port, time.perf_counter() - begun)
            except LoadFailed as error:
                said = (place.folder / "log").read_text(errors="replace")[-3000:]
                raise LoadFailed(f"{error}\n--- the end of its log ---\n{said}") from None
            finally:
                stop(process)


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


async def _check(subject: Subject, server: _Running) -> None:
    """Read one whole answer and one stream in full."""
    for case in _WARMED:
        status, body = await load.ask(server.port, _shot(subject, case).request)
        with contextlib.suppress(ValueError, LookupError):
            if status == 200 and heard_text(subject.api, case, body) == TEXT:
                continue
        raise LoadFailed(f"{case}: status {status}, not the answer that was recorded: {body[:2000]!r}")


async def _warm_up(subject: Subject, server: _Running, effort: Effort) -> None:
    """Run the paths until caches and pools are filled."""
    for case in _WARMED:
        usual = effort.limits[case]
        await load.drive(server.port, _shot(subject, case), Limits(usual.connections, usual.requests // 4, seconds=1.0))


async def _round(subject: Subject, server: _Running, machine: Machine, case: Case, limits: Limits) -> Round:
    cpu, load_cpu = tree.cpu_seconds(server.pid), _load_cpu(machine)
    timings = await load.drive(server.port, _shot(subject, case), limits)
    # A server may still be recording what it has answered; that work belongs to the requests.
    await asyncio.sleep(_SAMPLE_SECONDS)
    return _sum_up(timings, tree.cpu_seconds(server.pid) - cpu, _load_cpu(machine) - load_cpu)


def _load_cpu(machine: Machine) -> float:
    return time.process_time() + tree.cpu_seconds(machine.upstream_pid)


def _sum_up(timings: Timings, cpu_seconds: float, load_seconds: float) -> Round:
    count = len(timings.last_ms)
    return Round(
        requests=count,
        per_second=count / timings.seconds,
        p50_ms=statistics.median(timings.last_ms),
        p99_ms=sorted(timings.last_ms)[int(count * 0.99)],
        first_p50_ms=statistics.median(timings.first_ms),
        cpu_us=cpu_seconds / count * 1e6,
        load_share=load_seconds / timings.seconds,
    )


async def _idle_stream_bytes(subject: Subject, server: _Running, count: int) -> float:
    before = tree.anonymous_bytes(server.pid)
    writers = await load.hold_open(server.port, _shot(subject, Case.IDLE).request, count)
    await asyncio.sleep(2 * _SAMPLE_SECONDS)
    after = tree.anonymous_bytes(server.pid)
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(_SAMPLE_SECONDS)
    return (after - before) / count


@contextlib.asynccontextmanager
async def _peak(pid: int) -> AsyncIterator[list[int]]:
    samples = [tree.anonymous_bytes(pid)]

    async def sample() -> None:
        while True:
            await asyncio.sleep(_SAMPLE_SECONDS)
            samples.append(tree.anonymous_bytes(pid))

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        task.cancel()


def _shot(subject: Subject, case: Case) -> Shot:
    body = request_body(subject.api, case, subject.model)
    return Shot(case, load.post(subject.path, dict(subject.headers), body), terminal_marks(subject.api, case))
