"""Rows of text as a table whose columns line up; what is in them is the callers' business.

On a terminal that is narrower, the widest columns are folded, word by word, so that each stays a column: headers before
what is below them, and numbers, which stand on the right, last. What goes to a pipe or file keeps a line a row.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

LEFT = "<"


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], alignment: str = "", spare: Sequence[str] = ()
) -> Iterator[str]:
    """Lay out rows under a header, one line each; `alignment` has one of `<` and `>` for each column.

    The columns named in `spare` are left out, in this order, where a terminal is too narrow for all.
    """
    sides = alignment.ljust(len(header), LEFT)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns - len(_GAP) * (len(header) - 1) - MARGIN
        leasts = list(_least(header, rows, sides))
        if spare and sum(leasts[0]) > room:
            kept = [index for index, name in enumerate(header) if name != spare[0]]
            narrower, *others = ([line[index] for index in kept] for line in (header, *rows))
            yield from table(narrower, others, "".join(sides[index] for index in kept), spare[1:])
            return
        for least in leasts:
            widths = fitted(widths, room, least)
    for row in (header, *rows):
        folded = [_folded(cell, width) for cell, width in zip(row, widths, strict=True)]
        for line in zip_longest(*folded, fillvalue=""):
            cells = (f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True))
            yield _GAP.join(cells).rstrip()


_GAP = "  "
MARGIN = 2
"""Some tables are indented by so much."""
NARROWEST = 6
"""Letters that a column keeps, however narrow the terminal."""


def fitted(widths: Sequence[int], room: int, least: Sequence[int]) -> list[int]:
    """Take from the widest column, a letter at a time, until all fit or each is at its least."""
    fitting = list(widths)
    while sum(fitting) > room:
        giving = [index for index, width in enumerate(fitting) if width > least[index]]
        if not giving:
            break
        fitting[max(giving, key=fitting.__getitem__)] -= 1
    return fitting


def _least(header: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> Iterator[list[int]]:
    """To what columns are narrowed one after the other, until all fit."""
    words = [max(map(len, name.split()), default=0) for name in header]
    cells = [max((len(cell) for cell in column), default=0) for column in zip(*rows, strict=True)] or words
    whole = list(map(max, words, cells))
    yield whole
    for numbers in (whole, cells):
        yield [NARROWEST if side == LEFT else width for side, width in zip(sides, numbers, strict=True)]
    yield [NARROWEST] * len(header)


def _folded(cell: str, width: int) -> list[str]:
    return [cell] if len(cell) <= width else textwrap.wrap(cell, width)
