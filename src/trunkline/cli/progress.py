"""Long reading: how far it has come, on a line of a terminal that is gone at the end; elsewhere nothing is written."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

import typer

from trunkline.store.connection import Connection
from trunkline.store.database import Database

Result = TypeVar("Result")

QUIET_S = 1.0
"""What takes no longer is not told of."""

_EVERY_S = 0.2
_ERASE = "\r\x1b[K"


class Stopped(Exception):
    """Nobody waits any more for what is read."""


async def read_at_length(database: Database, work: Callable[[Connection, Callable[[int], None]], Result]) -> Result:
    """Read what takes long; the work calls what it is given with how many records it has read, again and again.

    Who is interrupted need not wait for its end. Raises ServiceUnavailable.
    """
    line = _Line()
    try:
        return await database.read(lambda connection: work(connection, line.tell))
    finally:
        line.end()


class _Line:
    """Written in the thread that reads."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._next_s = time.monotonic() + QUIET_S
        self._is_shown = False
        self._is_over = False

    def tell(self, count: int) -> None:
        if self._is_over:
            raise Stopped
        now_s = time.monotonic()
        if self._is_terminal and now_s >= self._next_s:
            self._next_s = now_s + _EVERY_S
            self._is_shown = True
            typer.echo(f"{_ERASE}{count:,} records read", err=True, nl=False)

    def end(self) -> None:
        self._is_over = True
        if self._is_shown:
            typer.echo(_ERASE, err=True, nl=False)
