"""What accounting costs: a key with a budget beside one without, and the writer alone: `python -m bench.money`.

Gateways run side by side on one core, the load and the mock provider on the other. In each round every gateway is
loaded with whole answers for a second or more, in the other order every other round; a ratio is of the CPU of two
gateways in one round, and what counts is the median of the rounds. Does not measure streams, which account the same.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop

from bench import load, tree
from bench.holding import Held, fsync_ms, measure_writer
from bench.load import Limits, LoadFailed
from bench.recordings import Case
from bench.servers import Machine, Server, check, machine, running
from bench.subjects import Subject, beside, ours

ROUNDS = 5
IN_FLIGHT = 64
_SETTLE_S = 0.25
_WARM_UP = Limits(connections=IN_FLIGHT, requests=2_000, seconds=3.0)
_ROUND = Limits(connections=IN_FLIGHT, requests=1_000_000, seconds=2.0)
_SUSTAINED = Limits(connections=IN_FLIGHT, requests=1_000_000, seconds=20.0)
_HOLDS_IN_FLIGHT = (1, 50, 200)
_HOLDS_S = 4.0

_MOST_BY_BARE = 1.5
_MOST_OF_RECORDS = 1.15
_LEAST_PER_S = 1_200
_MOST_WRITER_US = 150
_MOST_P99_MS = 100

_CREDIT_USD = "1000000"
_LIMIT = ("--limit", "900000")
_RATES = ("--rpm", "100000000", "--tpm", "1000000000000", "--rpd", "1000000000000", "--concurrency", "1000")
_KEYS = {"budget": _LIMIT, "budget and limits": (*_LIMIT, *_RATES)}
"""The gateways whose key has a budget, and how that is made."""


@dataclass(frozen=True)
class Turn:
    """One gateway loaded once: the CPU of its processes for a request, and how much of it beside the loop's thread."""

    per_second: float
    cpu_us: float
    aside_us: float
    p50_ms: float
    p99_ms: float


def main(arguments: Sequence[str]) -> int:
    """Measure what the arguments say and print it; nothing that is missed fails the command."""
    options = _read(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        fsync = fsync_ms(Path(folder))
    held = uvloop.run(measure_writer(_HOLDS_IN_FLIGHT, _HOLDS_S))
    print(writer_table(held, fsync), flush=True)
    if options.writer_only:
        return 0
    with machine() as here:
        print(f"\ngateways on core {sorted(here.server_cores)}, load and mock provider on {sorted(here.load_cores)}")
        turns, sustained = uvloop.run(_measure(_subjects(options.beside), here, options.rounds))
    print(gateway_table(turns, sustained))
    return 0


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.money", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"how many rounds: {ROUNDS}")
    parser.add_argument("--beside", type=Path, metavar="PATH", help="a checkout from before there were records")
    parser.add_argument("--writer-only", action="store_true", help="no gateways")
    return parser.parse_args(arguments)


def _subjects(before: Path | None) -> list[Subject]:
    """The gateways by what they account: all before the chat dialect, whose answer is the shortest to make."""
    plain = next(it for it in ours() if it.name == "trunkline/chat")
    # Each begins with the first key of its installation, which has no limits; those of `_KEYS` get another.
    found = [replace(plain, name=name, headers={**plain.headers}) for name in (*_KEYS, "unlimited")]
    if before is not None:
        found.append(replace(beside(before.resolve())[0], name="before"))
    return found


def _give_key(server: Server, options: Sequence[str]) -> None:
    """Call a gateway from now on with a key of an account that has credit."""
    headers = server.subject.headers
    assert isinstance(headers, dict)
    account = _command(server, "accounts", "create", "bench", "--credit", _CREDIT_USD)
    made = _command(server, "keys", "create", "--account", str(account["id"]), "--name", "bench", *options)
    headers["authorization"] = f"Bearer {made['key']}"


def _command(server: Server, *words: str) -> dict[str, object]:
    folder = server.log.parent
    command = (str(server.subject.program), *words, "--config", "trunkline.toml", "--json")
    environment = {"HOME": str(folder), "MOCK_KEY": "bench"}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{' '.join(words)}: {ran.stderr.decode()}")
    made: dict[str, object] = json.loads(ran.stdout)
    return made


async def _measure(subjects: Sequence[Subject], here: Machine, rounds: int) -> tuple[dict[str, list[Turn]], Turn]:
    """All turns of the rounds, and a long one of the first subject."""
    turns: dict[str, list[Turn]] = {it.name: [] for it in subjects}
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(running(it, here)) for it in subjects]
        try:
            for server in servers:
                if (options := _KEYS.get(server.subject.name)) is not None:
                    _give_key(server, options)
                await check(server)
                await load.drive(server.port, server.shot(Case.JSON), _WARM_UP)
            for number in range(rounds):
                for server in servers[:: -1 if number % 2 else 1]:
                    turns[server.subject.name].append(await _load(server, _ROUND))
                print(f"  round {number + 1} of {rounds}", flush=True)
            return turns, await _load(servers[0], _SUSTAINED)
        except LoadFailed as error:
            raise SystemExit(f"{error}\n" + "\n".join(server.last_words() for server in servers)) from None


async def _load(server: Server, limits: Limits) -> Turn:
    before, before_aside = tree.cpu_seconds(server.pid), tree.cpu_seconds_aside(server.pid)
    timings = await load.drive(server.port, server.shot(Case.JSON), limits)
    # What is written after the last answer belongs to the requests as well.
    await asyncio.sleep(_SETTLE_S)
    spent, aside = tree.cpu_seconds(server.pid) - before, tree.cpu_seconds_aside(server.pid) - before_aside
    count = len(timings.last_ms)
    return Turn(
        per_second=count / timings.seconds,
        cpu_us=spent / count * 1e6,
        aside_us=aside / count * 1e6,
        p50_ms=statistics.median(timings.last_ms),
        p99_ms=sorted(timings.last_ms)[count * 99 // 100],
    )


def writer_table(held: Sequence[Held], fsync: tuple[float, float]) -> str:
    lines = [
        f"the writer alone; this disk keeps a page of 4 KiB in {fsync[0]:.2f} ms (p50), {fsync[1]:.2f} ms (p99)",
        f"{'in flight':>10}{'holds/s':>10}{'CPU us':>9}{'hold p50 ms':>13}{'p99 ms':>9}",
    ]
    for it in held:
        per_second = it.requests / it.seconds
        lines.append(f"{it.in_flight:>10}{per_second:>10.0f}{it.cpu_us:>9.0f}{it.p50_ms:>13.1f}{it.p99_ms:>9.1f}")
    cpu_us = max(it.cpu_us for it in held if it.in_flight >= 50)
    lines.append(_judged("CPU of hold and settle, us, >= 50 in flight", cpu_us, _MOST_WRITER_US))
    lines.append(_judged("hold p99, ms, 200 in flight", held[-1].p99_ms, _MOST_P99_MS))
    return "\n".join(lines)


def gateway_table(turns: dict[str, list[Turn]], sustained: Turn) -> str:
    lines = [
        f"whole answers, {IN_FLIGHT} in flight, medians of {len(turns['budget'])} rounds",
        f"{'':<20}{'req/s':>8}{'CPU us':>9}{'beside the loop':>17}{'p50 ms':>9}{'p99 ms':>9}",
    ]
    for name, each in turns.items():
        figures = [
            statistics.median(getattr(turn, figure) for turn in each)
            for figure in ("per_second", "cpu_us", "aside_us", "p50_ms", "p99_ms")
        ]
        lines.append("{:<20}{:>8.0f}{:>9.0f}{:>17.0f}{:>9.1f}{:>9.1f}".format(name, *figures))
    bare = "before" if "before" in turns else "unlimited"
    lines += [_ratios(turns, "budget", bare, _MOST_BY_BARE), _ratios(turns, "budget and limits", "budget", None)]
    if "before" in turns:
        lines.append(_ratios(turns, "unlimited", "before", _MOST_OF_RECORDS))
    verdict = "met" if sustained.per_second >= _LEAST_PER_S else "MISSED"
    lines.append(f"requests/s for {_SUSTAINED.seconds:.0f} s: {sustained.per_second:.0f} >= {_LEAST_PER_S} {verdict}")
    return "\n".join(lines)


def _ratios(turns: dict[str, list[Turn]], name: str, other: str, most: float | None) -> str:
    pairs = sorted(one.cpu_us / two.cpu_us for one, two in zip(turns[name], turns[other], strict=True))
    said = f"CPU of '{name}' by '{other}', lowest {pairs[0]:.2f}, highest {pairs[-1]:.2f}, median"
    median = statistics.median(pairs)
    return f"{said}: {median:.2f}" if most is None else _judged(said, median, most, digits=2)


def _judged(what: str, value: float, most: float, *, digits: int = 0) -> str:
    return f"{what}: {value:.{digits}f} <= {most:g} {'met' if value <= most else 'MISSED'}"


if __name__ == "__main__":
    begun = time.perf_counter()
    status = main(sys.argv[1:])
    print(f"({time.perf_counter() - begun:.0f} s)")
    sys.exit(status)
