"""The simulation of `bench/`, short: a provider dead, one that cuts streams, everybody dead, and an hour in small."""

from __future__ import annotations

import pytest

from bench.simulation import ALPHA, SCENARIOS, Report, plot, simulate

pytestmark = pytest.mark.law


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    return {scenario.name: simulate(scenario, seconds=600, per_second=20) for scenario in SCENARIOS}


def test_with_one_provider_of_three_dead_all_are_answered(reports: dict[str, Report]) -> None:
    report = reports["dead"]
    assert report.success >= 0.999
    assert report.load((), 0.2, 0.7) <= 1.1
    assert report.load(ALPHA, 0.25, 0.7) <= 0.05
    assert report.recovery_s("cheap", 0.7) <= 60


def test_with_a_fifth_of_the_streams_cut_before_output_all_are_answered(reports: dict[str, Report]) -> None:
    assert reports["cuts"].success >= 0.999


def test_RT_04_when_everybody_is_dead_nobody_is_asked_much_more_than_once(reports: dict[str, Report]) -> None:
    assert reports["all"].load((), 0.4, 0.5) <= 1.3
    assert reports["all"].recovery_s("cheap", 0.5) <= 60


def test_an_hour_of_trouble_costs_no_more_than_the_cheapest_that_is_always_there(reports: dict[str, Report]) -> None:
    assert reports["hour"].success >= 0.999
    assert reports["price"].mean_price <= 1.05 * reports["price"].always_available()


def test_the_same_seed_gives_the_same_figures() -> None:
    assert simulate(SCENARIOS[2], seconds=90, per_second=20) == simulate(SCENARIOS[2], seconds=90, per_second=20)


def test_a_plot_is_drawn(reports: dict[str, Report]) -> None:
    drawn = plot(reports["hour"])
    assert drawn.startswith("<svg")
    assert drawn.count("<polyline") == 5
