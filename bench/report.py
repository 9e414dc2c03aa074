"""Says what was measured: tables for the terminal, a dictionary for the file, a line for every target.

Does not decide whether the run failed; a missed target is a sentence, not an error.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from bench.measure import Measured, Round
from bench.recordings import Case

_TITLES = {
    Case.JSON: "JSON call",
    Case.BURST: "stream of 64 tokens, sent by the upstream in one burst",
    Case.PACED: "stream of 64 tokens, sent by the upstream at 50 a second",
}
_MEASURED_AGAINST = "smg"
_BUSY = 0.9


@dataclass(frozen=True)
class _Target:
    """A bound on one number of ours: a multiple of the same number of a peer, or that many units of its own."""

    title: str
    read: Callable[[Measured], float]
    bound: float
    unit: str
    is_relative: bool


_TARGETS = (
    _Target("CPU per JSON call", lambda it: it.median(Case.JSON).cpu_us, 1.6, "us", True),
    _Target("CPU per burst stream", lambda it: it.median(Case.BURST).cpu_us, 0.6, "us", True),
    _Target("CPU per paced stream", lambda it: it.median(Case.PACED).cpu_us, 1.0, "us", True),
    _Target("memory per idle stream", lambda it: it.idle_stream_bytes / 1024, 45.0, "KiB", False),
    _Target("memory after load", lambda it: it.loaded_bytes / 1e6, 90.0, "MB", False),
)


def tables(results: Sequence[Measured]) -> str:
    """All numbers, a table for each case and one for memory, and what each subject was asked to do."""
    parts = [_case_table(case, results) for case in _TITLES]
    parts.append(_memory_table(results))
    parts.append("\n".join(f"{it.name:<20} {it.route}" for it in results))
    return "\n\n".join(parts)


def verdicts(results: Sequence[Measured]) -> list[str]:
    """One line for each target and each of our subjects."""
    ours = [it for it in results if it.name.startswith("trunkline/")]
    peer = next((it for it in results if it.name == _MEASURED_AGAINST), None)
    return [_verdict(target, it, peer) for it in ours for target in _TARGETS]


def as_json(results: Sequence[Measured]) -> list[dict[str, object]]:
    """Every round of every subject, as it is kept in a file; the names tell the units."""
    return [asdict(it) for it in results]


def _verdict(target: _Target, ours: Measured, peer: Measured | None) -> str:
    value = target.read(ours)
    head = f"{ours.name:<20} {target.title:<24} {value:8.1f} {target.unit:<3}"
    if not target.is_relative:
        return f"{head}  target <= {target.bound:g} {target.unit}: {_word(value <= target.bound)}"
    if peer is None:
        return f"{head}  target <= {target.bound:g} x {_MEASURED_AGAINST}: not measured in this run (--peers)"
    ratio = value / target.read(peer)
    return f"{head}  {ratio:.2f} x {peer.name}, target <= {target.bound:g}: {_word(ratio <= target.bound)}"


def _word(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def _case_table(case: Case, results: Sequence[Measured]) -> str:
    head = ("", "req/s", "p50 ms", "p99 ms", "first ms", "CPU us/req", "lowest", "highest", "load core")
    rows = [_case_row(it.name, it.median(case), [round_.cpu_us for round_ in it.rounds[case]]) for it in results]
    return _align(_TITLES[case], [head, *rows])


def _case_row(name: str, middle: Round, cpu: Sequence[float]) -> tuple[str, ...]:
    return (
        name,
        f"{middle.per_second:.0f}",
        f"{middle.p50_ms:.2f}",
        f"{middle.p99_ms:.2f}",
        f"{middle.first_p50_ms:.2f}",
        f"{middle.cpu_us:.0f}",
        f"{min(cpu):.0f}",
        f"{max(cpu):.0f}",
        f"{middle.load_share:.0%}{'!' if middle.load_share > _BUSY else ' '}",
    )


def _memory_table(results: Sequence[Measured]) -> str:
    head = ("", "ready s", "warm MB", "after load MB", "peak MB", "KiB/idle stream")
    rows = [
        (
            it.name,
            f"{it.ready_seconds:.2f}",
            f"{it.ready_bytes / 1e6:.1f}",
            f"{it.loaded_bytes / 1e6:.1f}",
            f"{it.peak_bytes / 1e6:.1f}",
            f"{it.idle_stream_bytes / 1024:.1f}",
        )
        for it in results
    ]
    return _align("start and memory (own memory of the tree of processes)", [head, *rows])


def _align(title: str, rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join([title, *(_line(row, widths) for row in rows)])


def _line(row: Iterable[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    return "  ".join([f"  {first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)])
