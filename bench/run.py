"""The command behind `make bench`: measures every subject in turn beside the same mock provider, and reports.

Does not install anything (see `bench.peers`) and does not fail on a missed target; one wrong answer fails a subject.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import report
from bench.load import Limits, LoadFailed
from bench.measure import Effort, Machine, Measured, free_port, measure, pinned, stop
from bench.recordings import Case
from bench.subjects import ROOT, Subject, ours, peers

_RESULTS = Path(__file__).parent / "results"

_FULL = Effort(
    repeats=3,
    limits={
        Case.JSON: Limits(connections=32, requests=4000, seconds=3.0),
        Case.BURST: Limits(connections=32, requests=1500, seconds=3.0),
        Case.PACED: Limits(connections=100, requests=200, seconds=3.0, ramp_seconds=1.0),
    },
    idle_streams=500,
)
_QUICK = Effort(
    repeats=1,
    limits={
        Case.JSON: Limits(connections=32, requests=1000, seconds=1.0),
        Case.BURST: Limits(connections=32, requests=300, seconds=1.0),
        Case.PACED: Limits(connections=100, requests=100, seconds=1.0, ramp_seconds=0.5),
    },
    idle_streams=200,
)


@dataclass
class _Outcome:
    """What became of the subjects; the mappings are from a subject's name to the reason."""

    results: list[Measured] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments say; the status to exit with."""
    options = _read(arguments)
    subjects = [it for it in (*ours(), *(peers() if options.peers else ())) if _is_wanted(it, options.only)]
    _allow_open_files()
    effort = _QUICK if options.quick else _FULL
    begun = time.perf_counter()
    outcome = _measure_all(subjects, effort)
    print(f"\n{report.tables(outcome.results)}\n")
    print("\n".join(report.verdicts(outcome.results)))
    print(f"\n{_write(outcome, effort)} ({time.perf_counter() - begun:.0f} s)")
    for name, reason in outcome.failed.items():
        print(f"\nFAILED {name}: {reason}", file=sys.stderr)
    return 1 if outcome.failed else 0


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of each case, about half a minute")
    parser.add_argument("--peers", action="store_true", help="measure the other gateways that are installed, too")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only subjects whose name begins so")
    return parser.parse_args(arguments)


def _is_wanted(subject: Subject, only: Sequence[str]) -> bool:
    return not only or subject.name.startswith(tuple(only))


def _measure_all(subjects: Sequence[Subject], effort: Effort) -> _Outcome:
    server_cores, load_cores = _share_cores()
    print(f"server on core {sorted(server_cores)}, load and mock provider on {sorted(load_cores)}", flush=True)
    outcome = _Outcome()
    with pinned(load_cores), _upstream() as (pid, port):
        for subject in subjects:
            print(f"  {subject.name:<20} {subject.absence or 'measuring'}", flush=True)
            _measure_one(subject, Machine(server_cores, load_cores, pid, port), effort, outcome)
    return outcome


def _measure_one(subject: Subject, machine: Machine, effort: Effort, outcome: _Outcome) -> None:
    if subject.absence is not None:
        outcome.absent[subject.name] = subject.absence
        return
    try:
        outcome.results.append(uvloop.run(measure(subject, machine, effort)))
    except LoadFailed as error:
        # Nothing of it is kept, but the minutes of the others are not thrown away with it.
        outcome.failed[subject.name] = str(error)
        print(f"  {subject.name:<20} FAILED, see below", flush=True)


@contextlib.contextmanager
def _upstream() -> Iterator[tuple[int, int]]:
    """The mock provider, running: its process id and port."""
    port = free_port()
    process = subprocess.Popen((sys.executable, "-m", "bench.upstream", str(port)), cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("the mock provider did not start")
        yield process.pid, port
    finally:
        stop(process)


def _share_cores() -> tuple[frozenset[int], frozenset[int]]:
    """One core for the server and one for all else; the same one when there is no other."""
    cores = sorted(os.sched_getaffinity(0))
    return frozenset(cores[:1]), frozenset(cores[1:2] or cores)


def _allow_open_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _write(outcome: _Outcome, effort: Effort) -> Path:
    now = datetime.now(UTC)
    _RESULTS.mkdir(exist_ok=True)
    file = _RESULTS / f"{now:%Y-%m-%dT%H%M%SZ}.json"
    kept = {
        "at": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "repeats": effort.repeats,
        "idle_streams": effort.idle_streams,
        "limits": {case: vars(limits) for case, limits in effort.limits.items()},
        "absent": outcome.absent,
        "failed": outcome.failed,
        "subjects": report.as_json(outcome.results),
        "verdicts": report.verdicts(outcome.results),
    }
    file.write_text(json.dumps(kept, indent=1) + "\n")
    return file.relative_to(ROOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
