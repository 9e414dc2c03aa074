"""How far long work has come, on one line of a terminal that is gone at the end; elsewhere nothing is written."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

import typer

QUIET_S = 1.0
"""Work that takes no longer is not told of."""

_EVERY_S = 0.2
_ERASE = "\r\x1b[K"


@contextlib.contextmanager
def telling_progress() -> Iterator[Callable[[int], None]]:
    """Give what is to be called, in any thread, with how many records have been read."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    line = _Line()
    try:
        yield line.tell
    finally:
        line.erase()


class _Line:
    def __init__(self) -> None:
        self._next_s = time.monotonic() + QUIET_S
        self._is_shown = False

    def tell(self, count: int) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + _EVERY_S
            self._is_shown = True
            typer.echo(f"{_ERASE}{count:,} records read", err=True, nl=False)

    def erase(self) -> None:
        if self._is_shown:
            typer.echo(_ERASE, err=True, nl=False)
