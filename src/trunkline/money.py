"""Amounts of money: whole nano-dollars to count with, dollars to be read and told. Prices are the catalogue's.

Nothing is rounded here; `billing.py` does that, once.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, TypeAlias

NanoUsd: TypeAlias = int
"""Thousand-millionths of a dollar, the smallest amount that is charged."""

NANO_PER_USD: Final = 10**9
MAX_USD: Final = 10**9
"""The largest amount that is taken, in dollars."""

_NANO: Final = Decimal(1) / NANO_PER_USD
_NOTHING: Final = Decimal(0)
_WRITTEN: Final = re.compile(r"([0-9]{1,32})(?:\.([0-9]+))?")
_MAX_DECIMALS: Final = 9


def dollars_of(amount: NanoUsd) -> Decimal:
    """The amount in dollars, without zeros at its end."""
    return (amount * _NANO).normalize() if amount else _NOTHING


def usd_text(amount: NanoUsd) -> str:
    """The amount in dollars as it is written: digits and a point, never an exponent."""
    whole, rest = divmod(abs(amount), NANO_PER_USD)
    text = f"{whole}.{rest:09d}".rstrip("0") if rest else f"{whole}"
    return f"-{text}" if amount < 0 else text


def nano_of(text: str) -> NanoUsd:
    """Read an amount in dollars, as `12` or `0.25`; 0 is one.

    Raises ValueError, with what to write, for anything else: a sign, an exponent, more than 9 decimals, more than
    `MAX_USD`.
    """
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError("write an amount in USD as 12 or 0.25, with digits and a point alone")
    whole, decimals = written[1], written[2] or ""
    if len(decimals) > _MAX_DECIMALS:
        raise ValueError(f"an amount in USD has at most {_MAX_DECIMALS} decimals, not {len(decimals)}")
    amount = int(whole) * NANO_PER_USD + int(decimals.ljust(_MAX_DECIMALS, "0"))
    if amount > MAX_USD * NANO_PER_USD:
        raise ValueError(f"an amount is at most {MAX_USD} USD")
    return amount
