"""Durations, sizes, prices and shares as an operator writes them: text with a unit → a number, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from msgspec import Meta

from trunkline.settings.forms import Written

_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_QUANTITY = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([A-Za-z]+)\s*")


def parse_duration(value: object) -> float:
    """Read `"10 min"` as seconds; a bare 0 is allowed because it has no unit to forget.

    Raises ValueError.
    """
    return _parse_quantity(value, _SECONDS, '"500 ms", "10 s", "10 min", "1 h"', str.lower)


def parse_size(value: object) -> int:
    """Read `"20 MB"` as bytes: MB is a million, MiB is 2 to the 20th.

    Raises ValueError.
    """
    return int(_parse_quantity(value, _BYTES, '"512 KB", "20 MB", "20 MiB"', str.upper))


def parse_usd(value: object) -> Decimal:
    """Read `"0.15"`; a float is refused, because no binary fraction is exactly 0.15.

    Raises ValueError.
    """
    try:
        usd = Decimal(value) if isinstance(value, str) or type(value) is int else None
    except InvalidOperation:
        usd = None
    if usd is None:
        raise ValueError('write the price as a string, as "0.15"')
    if not usd.is_finite() or usd < 0:
        raise ValueError(f"a price is a finite number and not below zero, not {value}")
    return usd


def parse_factor(value: object) -> Decimal:
    """Read `"0.5"`, by which a price is multiplied.

    Raises ValueError.
    """
    try:
        return parse_usd(value)
    except ValueError:
        raise ValueError('write the factor as a string that is not below zero, as "0.5"') from None


def format_duration(seconds: float) -> str:
    """Write seconds in the largest unit that keeps them a whole number."""
    for unit in ("d", "h", "min", "s"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f} {unit}"
    return f"{seconds * 1000:.6f}".rstrip("0").rstrip(".") + " ms" if seconds else "0"


def format_size(size: int) -> str:
    """Write bytes in the largest unit that keeps them a whole number."""
    for unit, written in (("GIB", "GiB"), ("GB", "GB"), ("MIB", "MiB"), ("MB", "MB"), ("KIB", "KiB"), ("KB", "KB")):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]} {written}"
    return f"{size} B"


def _parse_quantity(value: object, units: Mapping[str, float], examples: str, fold: Any) -> float:
    if value in (0, "0") and not isinstance(value, bool):
        return 0
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    factor = units.get(fold(match[2])) if match else None
    if match is None or factor is None:
        raise ValueError(f"write a number and its unit, as {examples}")
    return float(match[1]) * factor


Duration = Annotated[float, Written(parse_duration, format_duration), Meta(gt=0)]
Pause = Annotated[float, Written(parse_duration, format_duration)]
"""A duration that may be 0."""
Size = Annotated[int, Written(parse_size, format_size), Meta(gt=0)]
Usd = Annotated[Decimal, Written(parse_usd, str)]
Factor = Annotated[Decimal, Written(parse_factor, str)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
