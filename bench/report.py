"""Says what was measured: tables for the terminal, a dictionary for the file, a word for every target.

Does not decide whether the run failed; a missed target is a word, not an error.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from bench.measure import REFERENCES, Measured, Round
from bench.recordings import Case

_TITLES = {
    Case.JSON: "JSON call",
    Case.BURST: "stream of 64 tokens, sent by the upstream in one burst",
    Case.PACED: "stream of 64 tokens, sent by the upstream at 50 a second",
}
_NATIVE = REFERENCES[0]
_FULL = 0.9


@dataclass(frozen=True)
class _Bounds:
    """The most that one dialect may cost: of each case as a multiple of the native gateway's CPU."""

    json: float
    burst: float
    paced: float
    idle_stream_kib: float = 22.0
    ready_seconds: float = 0.7
    loaded_mb: float = 45.0


_DOOR_REFERENCE = "smg/chat"
_DOOR_BOUNDS = {Case.JSON: 1.3, Case.BURST: 0.6}
"""The most that a door costs in front of its own dialect: multiples of the native gateway's pass-through of chat."""

_TARGETS = {
    "trunkline/chat": _Bounds(1.05, 0.36, 0.82),
    "trunkline/responses": _Bounds(1.10, 0.38, 0.85),
    "trunkline/messages": _Bounds(1.20, 0.45, 0.95),
    "trunkline/gemini": _Bounds(1.20, 0.45, 0.95),
}


def tables(results: Sequence[Measured]) -> str:
    """All numbers: a table for each case, one for memory, and what each subject was asked to do."""
    reference = next((name for name in REFERENCES for it in results if it.name == name), None)
    parts = [_case_table(case, results, reference) for case in _TITLES]
    parts.append(_memory_table(results))
    parts += [*_before_table(results), *_door_table(results), *_doubts(results)]
    parts.append("\n".join(f"  {it.name:<20} {it.route}" for it in results))
    return "\n\n".join(parts)


def targets(results: Sequence[Measured]) -> str:
    """The targets, and whether they are met."""
    head = ("", f"JSON x {_NATIVE}", "burst", "paced", "KiB/idle stream", "ready s", "MB after load")
    is_related = any(it.name == _NATIVE for it in results)
    rows = [_target_row(it, _TARGETS[it.name], is_related) for it in results if it.name in _TARGETS]
    return _align("targets", [head, *rows])


def as_json(results: Sequence[Measured]) -> list[dict[str, object]]:
    """Every round of every subject, as it is kept in a file; the names tell the units."""
    return [asdict(it) for it in results]


def _target_row(it: Measured, bounds: _Bounds, is_related: bool) -> tuple[str, ...]:
    cases = ((Case.JSON, bounds.json), (Case.BURST, bounds.burst), (Case.PACED, bounds.paced))
    return (
        it.name,
        *(_word(statistics.median(_ratios(it, case)), bound) if is_related else "?" for case, bound in cases),
        _word(it.idle_stream_bytes / 1024, bounds.idle_stream_kib, digits=1),
        _word(it.ready_seconds, bounds.ready_seconds),
        _word(it.loaded_bytes / 1e6, bounds.loaded_mb, digits=1),
    )


def _word(value: float, bound: float, *, digits: int = 2) -> str:
    return f"{value:.{digits}f} <= {bound:g} {'met' if value <= bound else 'MISSED'}"


def _ratios(it: Measured, case: Case) -> list[float]:
    """Those of all rounds, sorted; empty without a reference."""
    return sorted(each.ratio for each in it.rounds[case] if each.ratio is not None)


def _case_table(case: Case, results: Sequence[Measured], reference: str | None) -> str:
    ratio = f"x {reference}" if reference else "no reference"
    head = (
        "",
        ratio,
        "lowest - highest",
        "CPU us",
        "req/s",
        "p50 ms",
        "p99 ms",
        "first ms",
        "server core",
        "load core",
    )
    rows = [(it.name, *_span(_ratios(it, case)), *_medians(it.rounds[case])) for it in results]
    return _align(_TITLES[case], [head, *rows])


def _span(ratios: Sequence[float]) -> tuple[str, str]:
    """The median of sorted ratios, and the ends."""
    if not ratios:
        return "", ""
    return f"{statistics.median(ratios):.2f}", f"{ratios[0]:.2f} - {ratios[-1]:.2f}"


def _medians(rounds: Sequence[Round]) -> tuple[str, ...]:
    return (
        f"{statistics.median(it.cpu_us for it in rounds):.0f}",
        f"{statistics.median(it.per_second for it in rounds):.0f}",
        f"{statistics.median(it.p50_ms for it in rounds):.2f}",
        f"{statistics.median(it.p99_ms for it in rounds):.2f}",
        f"{statistics.median(it.first_p50_ms for it in rounds):.2f}",
        _share(statistics.median(it.server_share for it in rounds)),
        _share(statistics.median(it.load_share for it in rounds)),
    )


def _share(value: float) -> str:
    return f"{value:.0%}{'!' if value > _FULL else ' '}"


def _memory_table(results: Sequence[Measured]) -> str:
    head = ("", "ready s", "warm MB", "after load MB", "KiB/idle stream")
    rows = [
        (
            it.name,
            f"{it.ready_seconds:.2f}",
            f"{it.ready_bytes / 1e6:.1f}",
            f"{it.loaded_bytes / 1e6:.1f}",
            f"{it.idle_stream_bytes / 1024:.1f}",
        )
        for it in results
    ]
    return _align("start and memory (own memory of the tree of processes)", [head, *rows])


def _before_table(results: Sequence[Measured]) -> list[str]:
    """Ours beside another checkout of ours, where there is one in the run."""
    by_name = {it.name: it for it in results}
    pairs = [(it, by_name.get(it.name.replace("trunkline/", "before/"))) for it in results if it.name in _TARGETS]
    rows = [
        (it.name, *(cell for case in _TITLES for cell in _span(_quotients(it.rounds[case], before.rounds[case]))))
        for it, before in pairs
        if before is not None
    ]
    head = ("", *(cell for case in ("JSON", "burst", "paced") for cell in (case, "")))
    return [_align("CPU x that of the other checkout", [head, *rows])] if rows else []


def _door_table(results: Sequence[Measured]) -> list[str]:
    """Our other doors beside the native gateway's chat, where that is in the run."""
    native = next((it for it in results if it.name == _DOOR_REFERENCE), None)
    doors = [it for it in results if it.name.endswith("door")]
    if native is None or not doors:
        return []
    head = ("", *(cell for case in _DOOR_BOUNDS for cell in (case.removeprefix("bench-"), "lowest - highest")))
    rows = [
        (
            it.name,
            *(
                cell
                for case, bound in _DOOR_BOUNDS.items()
                for found in (_quotients(it.rounds[case], native.rounds[case]),)
                for cell in (_word(statistics.median(found), bound), _span(found)[1])
            ),
        )
        for it in doors
    ]
    return [_align(f"CPU x that of {_DOOR_REFERENCE}", [head, *rows])]


def _quotients(ours: Sequence[Round], theirs: Sequence[Round]) -> list[float]:
    return sorted(one.cpu_us / other.cpu_us for one, other in zip(ours, theirs, strict=True))


def _doubts(results: Sequence[Measured]) -> list[str]:
    """A server that is asked without pause has all of its core, unless somebody else works there."""
    most = max(each.server_share for it in results for each in it.rounds[Case.JSON])
    if most > _FULL:
        return []
    return [
        f"NOT A QUIET MACHINE: no server got more than {most:.0%} of its core. Measure again before believing this."
    ]


def _align(title: str, rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join([title, *(_line(row, widths) for row in rows)])


def _line(row: Iterable[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    return "  ".join([f"  {first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)])
