"""What the benchmark says of what it measured: ratios within a round, and whether a target is met."""

from __future__ import annotations

from bench.measure import Measured, Round
from bench.recordings import Case
from bench.report import tables, targets


def measured(name: str, **cpu_us: list[tuple[float, float | None]]) -> Measured:
    """A subject with the CPU and the ratio of each round of each case."""
    rounds = {
        case: [Round(100, 1.0, 1.0, 1.0, 1.0, cpu, 0.1, 0.95, ratio) for cpu, ratio in cpu_us[case.name.lower()]]
        for case in (Case.JSON, Case.BURST, Case.PACED)
    }
    return Measured(name, "somewhere", 0.5, 40_000_000, 50_000_000, 20 * 1024, rounds)


SMG = measured("smg", json=[(500, 1.0), (900, 1.0), (600, 1.0)], burst=[(3000, 1.0)], paced=[(6000, 1.0)])
CHAT = measured(
    "trunkline/chat", json=[(525, 1.05), (720, 0.8), (900, 1.5)], burst=[(1110, 0.37)], paced=[(4900, 0.82)]
)
BEFORE = measured("before/chat", json=[(1050, 2.1), (1440, 1.6), (900, 1.5)], burst=[(2220, 0.7)], paced=[(9800, 1.6)])


def test_a_target_is_held_against_the_median_of_the_rounds_ratios() -> None:
    row = targets([CHAT, SMG]).splitlines()[-1].split("  ")
    words = [cell.strip() for cell in row if cell.strip()]
    assert words[0] == "trunkline/chat"
    assert words[1:4] == ["1.05 <= 1.05 met", "0.37 <= 0.36 MISSED", "0.82 <= 0.82 met"]
    assert words[4:] == ["20.0 <= 22 met", "0.50 <= 0.7 met", "50.0 <= 45 MISSED"]


def test_without_the_native_gateway_only_absolute_targets_are_judged() -> None:
    row = targets([CHAT]).splitlines()[-1].split()
    assert row[1:4] == ["?", "?", "?"]


def test_another_checkout_is_compared_round_by_round() -> None:
    table = tables([CHAT, BEFORE, SMG]).partition("the other checkout")[2]
    row = table.splitlines()[2]
    assert row.split()[:5] == ["trunkline/chat", "0.50", "0.50", "-", "1.00"]


def test_a_machine_that_others_use_is_said() -> None:
    assert "NOT A QUIET MACHINE" not in tables([SMG])
    busy = Round(100, 1.0, 1.0, 1.0, 1.0, 500, 0.1, 0.4)
    alone = Measured("relay", "", 0.1, 1, 1, 1.0, {case: [busy] for case in (Case.JSON, Case.BURST, Case.PACED)})
    assert "NOT A QUIET MACHINE" in tables([alone])
