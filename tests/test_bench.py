"""What the benchmark says of what it measured: ratios within a round, and whether a target is met."""

from __future__ import annotations

from bench.holding import Held
from bench.measure import Measured, Round
from bench.money import Turn, gateway_table, writer_table
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


def test_a_door_is_held_against_the_native_gateways_chat() -> None:
    native = measured("smg/chat", json=[(500, 1.0), (900, 1.0)], burst=[(3000, 1.0)], paced=[(6000, 1.0)])
    door = measured(
        "trunkline/chat, its own door", json=[(700, 1.4), (1080, 1.2)], burst=[(2100, 0.7)], paced=[(1, 1.0)]
    )
    row = tables([door, native]).partition("CPU x that of smg/chat")[2].splitlines()[2]
    assert "1.30 <= 1.3 met" in row
    assert "1.20 - 1.40" in row
    assert "0.70 <= 0.6 MISSED" in row
    assert "CPU x that of smg/chat" not in tables([door])


def test_a_machine_that_others_use_is_said() -> None:
    assert "NOT A QUIET MACHINE" not in tables([SMG])
    busy = Round(100, 1.0, 1.0, 1.0, 1.0, 500, 0.1, 0.4)
    alone = Measured("relay", "", 0.1, 1, 1, 1.0, {case: [busy] for case in (Case.JSON, Case.BURST, Case.PACED)})
    assert "NOT A QUIET MACHINE" in tables([alone])


def turns(*cpu_us: float) -> list[Turn]:
    return [Turn(1_500, each, 40, 30, 60) for each in cpu_us]


def test_accounting_is_judged_by_the_pairs_of_a_round() -> None:
    """Not by the medians of either, which would be as they should: 600 by 400."""
    limited = {"budget": turns(400, 800, 600), "budget and limits": turns(440, 880, 660)}
    measured = {**limited, "unlimited": turns(300, 600, 700)}
    before = {"before": turns(200, 400, 600)}
    lines = gateway_table(measured | before, Turn(1_100, 700, 40, 30, 60)).splitlines()
    assert lines[-4:] == [
        "CPU of 'budget' by 'before', lowest 1.00, highest 2.00, median: 2.00 <= 1.5 MISSED",
        "CPU of 'budget and limits' by 'budget', lowest 1.10, highest 1.10, median: 1.10",
        "CPU of 'unlimited' by 'before', lowest 1.17, highest 1.50, median: 1.50 <= 1.15 MISSED",
        "requests/s for 20 s: 1100 >= 1200 MISSED",
    ]
    alone = gateway_table(measured, Turn(1_300, 700, 40, 30, 60)).splitlines()
    assert alone[-3:] == [
        "CPU of 'budget' by 'unlimited', lowest 0.86, highest 1.33, median: 1.33 <= 1.5 met",
        "CPU of 'budget and limits' by 'budget', lowest 1.10, highest 1.10, median: 1.10",
        "requests/s for 20 s: 1300 >= 1200 met",
    ]


def test_what_a_hold_takes_is_told_with_what_the_disk_takes() -> None:
    lines = writer_table([Held(1, 10, 1, 900, 3, 9), Held(50, 10, 1, 151, 3, 9), Held(200, 10, 1, 90, 9, 99)], (2.1, 8))
    assert "2.10 ms (p50), 8.00 ms (p99)" in lines
    assert lines.splitlines()[-2:] == [
        "CPU of hold and settle, us, >= 50 in flight: 151 <= 150 MISSED",
        "hold p99, ms, 200 in flight: 99 <= 100 met",
    ]
