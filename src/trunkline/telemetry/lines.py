"""An event of the log → its line: one JSON object, or aligned words for people. Where it goes is not known here."""

from __future__ import annotations

import functools
import json
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Literal, NamedTuple

Level = Literal["debug", "info", "warning", "error"]

quote: Callable[[str], str] = json.encoder.encode_basestring_ascii
"""Writes a text as JSON."""


class Event(NamedTuple):
    """What happened, and when, in microseconds of Unix time. An exception is the field `exc_info`.

    What comes often may bring its fields as the members of a JSON object, and none besides.
    """

    name: str
    level: Level
    fields: dict[str, object]
    at_us: int
    members: str = ""


def json_line(event: Event) -> str:
    """Write an event as one JSON object; what JSON does not know is written as Python does."""
    members, problem = (event.members, "") if event.members else (_members(_plain(event)), _problem(event))
    end = f', "exception": {quote(problem)}}}' if problem else "}"
    comma = ", " if members else ""
    return f'{{{members}{comma}"event": "{event.name}", "level": "{event.level}", "timestamp": "{_time(event)}"{end}'


def console_line(event: Event, *, has_colors: bool) -> str:
    """Write an event for people: time, level, name, then its fields by name, and what was raised below."""
    problem = _problem(event)
    line = "".join(_cells(event, _COLORS if has_colors else _PLAIN))
    return f"{line.rstrip(' ')}\n{problem}" if problem else line.rstrip(" ")


def _cells(event: Event, styles: dict[str, str]) -> Iterator[str]:
    reset, bright = styles["reset"], styles["bright"]
    yield f"{styles['time']}{_time(event)}{reset} "
    yield f"[{styles[event.level]}{bright}{event.level:<{_LEVEL_WIDTH}}{reset}] "
    yield f"{bright}{event.name:<{_NAME_WIDTH}}{reset} "
    pairs = (
        f"{styles['name']}{name}{reset}={styles['value']}{_shown(value)}{reset}"
        for name, value in sorted(_plain(event).items())
    )
    yield " ".join(pairs)


def _members(fields: dict[str, object]) -> str:
    # What nearly every field is, is written here: an encoder is made anew for each object that it is given.
    return ", ".join(
        f'"{name}": {quote(value) if type(value) is str else "null" if value is None else _encode(value)}'
        for name, value in fields.items()
    )


def _shown(value: object) -> str:
    return value if isinstance(value, str) and not _TO_QUOTE.intersection(value) else repr(value)


def _plain(event: Event) -> dict[str, object]:
    fields = json.loads(f"{{{event.members}}}") if event.members else event.fields
    return {name: value for name, value in fields.items() if name != "exc_info"}


def _problem(event: Event) -> str:
    error = event.fields.get("exc_info")
    return "".join(traceback.format_exception(error)).removesuffix("\n") if isinstance(error, BaseException) else ""


def _time(event: Event) -> str:
    second, rest_us = divmod(event.at_us, 1_000_000)
    return f"{_second(second)}.{rest_us:06d}Z"


@functools.lru_cache(maxsize=2)
def _second(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_encode = json.JSONEncoder(default=repr).encode
_TO_QUOTE = frozenset(" \t=\r\n\"'")
_LEVEL_WIDTH = 9
_NAME_WIDTH = 30
_PLAIN = dict.fromkeys(("reset", "bright", "time", "name", "value", "debug", "info", "warning", "error"), "")
_COLORS = {
    "reset": "\033[0m",
    "bright": "\033[1m",
    "time": "\033[2m",
    "name": "\033[36m",
    "value": "\033[35m",
    "debug": "\033[32m",
    "info": "\033[32m",
    "warning": "\033[33m",
    "error": "\033[31m",
}
