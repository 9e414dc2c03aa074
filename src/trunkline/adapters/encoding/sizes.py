"""The shape of a picture that is to be drawn: ratios, and the sizes nearest to them."""

from __future__ import annotations

from math import log
from typing import Final

from trunkline.protocol.items import Json

_SIZES: Final = {(1, 1): "1024x1024", (3, 2): "1536x1024", (2, 3): "1024x1536"}
"""The sizes that are known nearly everywhere, by their ratio.

https://platform.openai.com/docs/api-reference/images (2026-11-22).
"""


def ratio(text: Json) -> tuple[int, int] | None:
    """Read `16:9`; None for what is no ratio."""
    width, colon, height = text.partition(":") if isinstance(text, str) else ("", "", "")
    if not colon or not (width.isdecimal() and height.isdecimal()):
        return None
    found = int(width), int(height)
    return found if all(0 < side <= 100 for side in found) else None


def nearest_size(sides: Json) -> tuple[str | None, bool]:
    """The size nearest to a ratio such as `16:9`, and whether it has that ratio; None for what is no ratio."""
    wished = ratio(sides)
    if wished is None:
        return None, False
    return _SIZES[min(_SIZES, key=lambda known: _distance(known, wished))], wished in _SIZES


def _distance(one: tuple[int, int], other: tuple[int, int]) -> float:
    return abs(log(one[0] * other[1] / (one[1] * other[0])))
