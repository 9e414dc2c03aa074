"""Engines that did not answer as they should: told in the log each time, and once in a while to who can mend it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

ALARM_AGAIN_S: Final = 600.0

Report: TypeAlias = Callable[[str, str, str, float], None]
"""Told of each question that failed: the engine, the problem, further details for the operator, the seconds it took."""

Alarm: TypeAlias = Callable[[str, str, str], None]
"""Told, once in a while, what somebody must mend: the engine, the problem, what to do."""


class Troubles:
    """The troubles with some engines; the clock is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float], report: Report, alarm: Alarm) -> None:
        self._clock = clock
        self._report = report
        self._alarm = alarm
        self._quiet_until: dict[str, float] = {}

    def tell(self, engine: str, problem: str, to_do: str, detail: str, took_s: float) -> None:
        """Tell of a question that failed; `to_do` is empty where nobody can do anything."""
        self._report(engine, problem, detail, took_s)
        now = self._clock()
        if to_do and now >= self._quiet_until.get(engine, now):
            self._quiet_until[engine] = now + ALARM_AGAIN_S
            self._alarm(engine, problem, to_do)
