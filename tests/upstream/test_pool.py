"""The alarm of a connection: one timer for all its exchanges, on a loop whose timers go off only when told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from trunkline.upstream.connection import Alarm


@dataclass
class Timer:
    due: float
    act: Callable[[], None]
    is_cancelled: bool = False

    def when(self) -> float:
        return self.due

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class Loop:
    timers: list[Timer] = field(default_factory=list)

    def call_at(self, due: float, act: Callable[[], None]) -> Timer:
        self.timers.append(Timer(due, act))
        return self.timers[-1]

    def waiting(self) -> list[float]:
        return [timer.due for timer in self.timers if not timer.is_cancelled]

    def expire(self) -> None:
        (timer,) = [timer for timer in self.timers if not timer.is_cancelled]
        timer.is_cancelled = True
        timer.act()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def alarm(loop: Loop) -> Alarm:
    return Alarm(loop)  # type: ignore[arg-type]  # it has all that is used


def test_whoever_set_it_last_is_called_once(alarm: Alarm, loop: Loop) -> None:
    rung: list[str] = []
    alarm.set(10.0, lambda: rung.append("first"))
    alarm.set(10.0, lambda: rung.append("second"))
    loop.expire()
    assert (rung, loop.waiting()) == (["second"], [])


def test_a_timer_that_rings_early_enough_serves_the_next_exchange(alarm: Alarm, loop: Loop) -> None:
    for due in (10.0, 11.0, 12.0):
        alarm.set(due, lambda: None)
        alarm.stop()
    assert loop.waiting() == [10.0]


def test_one_that_would_ring_too_late_is_set_anew(alarm: Alarm, loop: Loop) -> None:
    alarm.set(10.0, lambda: None)
    alarm.set(5.0, lambda: None)
    assert loop.waiting() == [5.0]


def test_nobody_is_called_between_two_exchanges(alarm: Alarm, loop: Loop) -> None:
    rung: list[str] = []
    alarm.set(10.0, lambda: rung.append("first"))
    alarm.stop()
    loop.expire()
    alarm.set(20.0, lambda: rung.append("second"))
    assert (rung, loop.waiting()) == ([], [20.0])


def test_a_connection_that_is_lost_leaves_no_timer_behind_once_its_exchange_is_over(alarm: Alarm, loop: Loop) -> None:
    alarm.set(10.0, lambda: None)
    alarm.end()
    assert loop.waiting() == [10.0]
    alarm.stop()
    assert loop.waiting() == []


def test_a_connection_that_is_lost_between_two_exchanges_leaves_none(alarm: Alarm, loop: Loop) -> None:
    alarm.set(10.0, lambda: None)
    alarm.stop()
    alarm.end()
    assert loop.waiting() == []
