"""Amounts of money: whole nano-dollars to count with, dollars to be told. Prices are the catalogue's.

Nothing is rounded here; `billing.py` does that, once.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, TypeAlias

NanoUsd: TypeAlias = int
"""Thousand-millionths of a dollar, the smallest amount that is charged."""

NANO_PER_USD: Final = 10**9

_NANO: Final = Decimal(1) / NANO_PER_USD
_NOTHING: Final = Decimal(0)


def dollars_of(amount: NanoUsd) -> Decimal:
    """The amount in dollars, without zeros at its end."""
    return (amount * _NANO).normalize() if amount else _NOTHING
