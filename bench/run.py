"""The command behind `make bench`: measures all subjects beside each other and the same mock provider, and reports.

Does not install anything (see `bench.peers`) and does not fail on a missed target; one wrong answer fails a subject.
"""

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import report
from bench.load import Limits
from bench.measure import Effort, Outcome, measure
from bench.recordings import Case
from bench.servers import machine
from bench.subjects import ROOT, Subject, beside, litellm, ours, peers

_RESULTS = Path(__file__).parent / "results"
_LIMITS = {
    Case.JSON: Limits(connections=32, requests=1200, seconds=1.2),
    Case.BURST: Limits(connections=32, requests=400, seconds=1.2),
    Case.PACED: Limits(connections=30, requests=60, seconds=2.5, ramp_seconds=0.8),
}
_IDLE_STREAMS = 500


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments say; the status to exit with."""
    options = _read(arguments)
    _allow_open_files()
    begun = time.perf_counter()
    effort = Effort(options.rounds or (1 if options.quick else 7 if options.peers else 3), _LIMITS, _IDLE_STREAMS)
    with machine() as here:
        print(f"servers on core {sorted(here.server_cores)}, load and mock provider on {sorted(here.load_cores)}")
        outcome = uvloop.run(measure(_chosen(options), here, effort, lambda line: print(f"  {line}", flush=True)))
    if outcome.results:
        print(f"\n{report.tables(outcome.results)}\n\n{report.targets(outcome.results)}\n")
    print(f"{_write(outcome, effort)} ({time.perf_counter() - begun:.0f} s)")
    for name, reason in outcome.failed.items():
        print(f"\nFAILED {name}: {reason}", file=sys.stderr)
    return 1 if outcome.failed else 0


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, about a minute")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many rounds: 3 if not said, with --peers 7")
    parser.add_argument("--peers", action="store_true", help="measure the native gateway beside, too")
    parser.add_argument("--litellm", action="store_true", help="measure LiteLLM beside, too, which takes minutes more")
    parser.add_argument("--beside", type=Path, metavar="PATH", help="measure another checkout beside, as before/…")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only subjects whose name begins so")
    return parser.parse_args(arguments)


def _chosen(options: argparse.Namespace) -> list[Subject]:
    """The subjects in the order of the tables, each of another checkout behind its like."""
    before = {it.path + it.model: it for it in (beside(options.beside.resolve()) if options.beside else ())}
    found = [each for it in ours() for each in (it, before.pop(it.path + it.model, None)) if each is not None]
    found += [*(peers() if options.peers else ()), *([litellm()] if options.litellm else ())]
    return [it for it in found if not options.only or it.name.startswith(tuple(options.only))]


def _allow_open_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _write(outcome: Outcome, effort: Effort) -> Path:
    now = datetime.now(UTC)
    _RESULTS.mkdir(exist_ok=True)
    file = _RESULTS / f"{now:%Y-%m-%dT%H%M%SZ}.json"
    kept = {
        "at": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "rounds": effort.rounds,
        "idle_streams": effort.idle_streams,
        "limits": {case: vars(limits) for case, limits in effort.limits.items()},
        "absent": outcome.absent,
        "failed": outcome.failed,
        "subjects": report.as_json(outcome.results),
        "targets": report.targets(outcome.results).splitlines(),
    }
    file.write_text(json.dumps(kept, indent=1) + "\n")
    return file.relative_to(ROOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
