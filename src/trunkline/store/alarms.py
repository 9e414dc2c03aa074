"""How stores and boards tell the operator what happened to them."""

from __future__ import annotations

from collections.abc import Callable

Alarm = Callable[[str, str], None]
"""Tells an event by its name, and more about it; `telemetry/logs.py` knows which are good news."""
