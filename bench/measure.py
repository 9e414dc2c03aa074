"""Measures the subjects beside each other: all run at once, and each round loads every one of them.

Microseconds swing by half from minute to minute on a shared machine, and all subjects with them. So what counts is the
ratio to the reference within one round: JSON calls and burst streams are loaded in turns of a second, in the other
order every other round; paced streams, which leave the core idle between tokens, at the same moment. The median of the
rounds' ratios is the result.

Does not judge or print; what it returns is only numbers.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from bench import load, tree
from bench.load import Limits, LoadFailed, Timings
from bench.recordings import Case
from bench.servers import Machine, Server, check, running
from bench.subjects import Subject

REFERENCES = ("smg", "relay")
"""What the ratios are to: the first of these that is measured."""

_IN_TURNS = (Case.JSON, Case.BURST)
_TOGETHER = 5
"""How many are loaded with paced streams at the same moment, the reference one of them: more would fill the core."""

_WARM_UP = Limits(connections=16, requests=600, seconds=2.0)
_SETTLE_SECONDS = 0.25


@dataclass(frozen=True)
class Effort:
    """How much is asked of every subject alike. `limits` holds one entry for each case that is loaded."""

    rounds: int
    limits: dict[Case, Limits]
    idle_streams: int


@dataclass(frozen=True)
class Round:
    """One load of one case.

    `load_share` is how busy generator and mock provider kept their core, `server_share` how busy all that were loaded
    at that moment kept theirs: near 1, requests per second and latency say more about the core than about the subject.
    `ratio` is of the CPU, to that of the reference in the same round; None without a reference.
    """

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    first_p50_ms: float
    cpu_us: float
    load_share: float
    server_share: float
    ratio: float | None = None


@dataclass(frozen=True)
class Measured:
    """All numbers of one subject. Bytes are those of the whole tree of processes."""

    name: str
    route: str
    ready_seconds: float
    ready_bytes: int
    loaded_bytes: int
    idle_stream_bytes: float
    rounds: dict[Case, list[Round]]


@dataclass
class Outcome:
    """What became of the subjects; the mappings are from a subject's name to the reason."""

    results: list[Measured] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Alone:
    """What is measured of a subject while no other runs."""

    ready_seconds: float
    idle_stream_bytes: float


async def measure(
    subjects: Sequence[Subject], machine: Machine, effort: Effort, tell: Callable[[str], None]
) -> Outcome:
    """Measure all subjects, each in two lives of its process: one alone, one beside the others.

    The idle streams get the first: after a load, memory that was freed and kept would hide their cost.
    """
    outcome = Outcome()
    alone: dict[str, _Alone] = {}
    contest = _Contest(machine, effort, outcome)
    for subject in subjects:
        tell(f"{subject.name:<20} {subject.absence or 'alone: start, idle streams'}")
        if subject.absence is not None:
            outcome.absent[subject.name] = subject.absence
            continue
        try:
            alone[subject.name] = await _measure_alone(subject, machine, effort)
        except LoadFailed as error:
            # Nothing of it is kept, but the minutes of the others are not thrown away with it.
            outcome.failed[subject.name] = str(error)
    async with AsyncExitStack() as stack:
        for subject in [it for it in subjects if it.name in alone]:
            try:
                contest.admit(await stack.enter_async_context(running(subject, machine)))
            except LoadFailed as error:
                outcome.failed[subject.name] = str(error)
        await contest.warm_up()
        for number in range(effort.rounds):
            tell(f"round {number + 1} of {effort.rounds}")
            await contest.run_round(is_backwards=number % 2 == 1)
        outcome.results = [contest.sum_up(server, alone[server.subject.name]) for server in contest.servers]
    return outcome


async def _measure_alone(subject: Subject, machine: Machine, effort: Effort) -> _Alone:
    async with running(subject, machine) as server:
        try:
            await check(server)
            await _warm_up(server)
            return _Alone(server.ready_seconds, await _idle_stream_bytes(server, effort.idle_streams))
        except LoadFailed as error:
            raise LoadFailed(f"{error}\n{server.last_words()}") from None


async def _warm_up(server: Server) -> None:
    """Run the paths until caches and pools are filled."""
    for case in _IN_TURNS:
        await load.drive(server.port, server.shot(case), _WARM_UP)


async def _idle_stream_bytes(server: Server, count: int) -> float:
    before = tree.anonymous_bytes(server.pid)
    writers = await load.hold_open(server.port, server.shot(Case.IDLE).request, count)
    await asyncio.sleep(2 * _SETTLE_SECONDS)
    after = tree.anonymous_bytes(server.pid)
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(_SETTLE_SECONDS)
    return (after - before) / count


class _Contest:
    """The subjects that run beside each other, and what was heard of each. One that answers wrong is out."""

    def __init__(self, machine: Machine, effort: Effort, outcome: Outcome) -> None:
        self.servers: list[Server] = []
        self._machine = machine
        self._effort = effort
        self._outcome = outcome
        self._warm_bytes: dict[str, int] = {}
        self._rounds: dict[str, dict[Case, list[Round]]] = {}

    def admit(self, server: Server) -> None:
        self.servers.append(server)
        self._rounds[server.subject.name] = {case: [] for case in self._effort.limits}

    async def warm_up(self) -> None:
        for server in self.servers[:]:
            try:
                await _warm_up(server)
            except LoadFailed as error:
                self._exclude(server, error)
            self._warm_bytes[server.subject.name] = tree.anonymous_bytes(server.pid)

    async def run_round(self, *, is_backwards: bool) -> None:
        for case in _IN_TURNS:
            turns: dict[Server, Round] = {}
            for server in self.servers[:: -1 if is_backwards else 1]:
                turns |= await self._load([server], case)
            self._keep(case, turns)
        for group in self._groups():
            self._keep(Case.PACED, await self._load(group, Case.PACED))

    def sum_up(self, server: Server, alone: _Alone) -> Measured:
        name = server.subject.name
        return Measured(
            name=name,
            route=server.subject.route,
            ready_seconds=min(alone.ready_seconds, server.ready_seconds),
            ready_bytes=self._warm_bytes[name],
            loaded_bytes=tree.anonymous_bytes(server.pid),
            idle_stream_bytes=alone.idle_stream_bytes,
            rounds=self._rounds[name],
        )

    @property
    def _reference(self) -> Server | None:
        by_name = {server.subject.name: server for server in self.servers}
        return next((by_name[name] for name in REFERENCES if name in by_name), None)

    def _groups(self) -> Iterator[list[Server]]:
        """Who is loaded at the same moment; the reference is in every group, one that is heavy alone with it."""
        reference = self._reference
        first = [reference] if reference is not None else []
        others = [server for server in self.servers if server is not reference]
        light = [server for server in others if not server.subject.is_heavy]
        size = _TOGETHER - len(first)
        for at in range(0, max(len(light), 1), size):
            yield [*first, *light[at : at + size]]
        for server in others:
            if server.subject.is_heavy:
                yield [*first, server]

    async def _load(self, servers: Sequence[Server], case: Case) -> dict[Server, Round]:
        """Load some at the same moment; a round of each that answered well."""
        limits = self._effort.limits[case]
        before, load_before = [tree.cpu_seconds(server.pid) for server in servers], self._load_seconds()
        drives = [load.drive(server.port, server.shot(case), limits) for server in servers]
        heard = await asyncio.gather(*drives, return_exceptions=True)
        # A server may still be recording what it has answered; that work belongs to the requests.
        await asyncio.sleep(_SETTLE_SECONDS)
        spent = [tree.cpu_seconds(server.pid) - was for server, was in zip(servers, before, strict=True)]
        load_spent = self._load_seconds() - load_before
        rounds = {}
        for server, timings, cpu in zip(servers, heard, spent, strict=True):
            if isinstance(timings, LoadFailed):
                self._exclude(server, timings)
            elif isinstance(timings, BaseException):
                raise timings
            else:
                rounds[server] = _round(timings, cpu, load_spent, sum(spent))
        return rounds

    def _load_seconds(self) -> float:
        return time.process_time() + tree.cpu_seconds(self._machine.upstream_pid)

    def _keep(self, case: Case, rounds: dict[Server, Round]) -> None:
        reference = self._reference
        base = rounds[reference].cpu_us if reference in rounds else None
        for server, each in rounds.items():
            ratio = None if base is None else each.cpu_us / base
            self._rounds[server.subject.name][case].append(replace(each, ratio=ratio))

    def _exclude(self, server: Server, error: LoadFailed) -> None:
        self.servers.remove(server)
        self._outcome.failed[server.subject.name] = f"{error}\n{server.last_words()}"


def _round(timings: Timings, cpu_seconds: float, load_seconds: float, server_seconds: float) -> Round:
    count = len(timings.last_ms)
    return Round(
        requests=count,
        per_second=count / timings.seconds,
        p50_ms=statistics.median(timings.last_ms),
        p99_ms=sorted(timings.last_ms)[int(count * 0.99)],
        first_p50_ms=statistics.median(timings.first_ms),
        cpu_us=cpu_seconds / count * 1e6,
        load_share=load_seconds / timings.seconds,
        server_share=server_seconds / timings.seconds,
    )
