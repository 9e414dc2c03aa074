"""Rows of text as a table whose columns line up; what is in them is the callers' business."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

LEFT = "<"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], alignment: str = "") -> Iterator[str]:
    """Lay out rows under a header, one line each; `alignment` has one of `<` and `>` for each column."""
    sides = alignment.ljust(len(header), LEFT)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        yield "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
