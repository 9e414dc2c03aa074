"""What routing knows of endpoints, in the words of the listings: status, uptime, latency, throughput.

The names are OpenRouter's. Uptime covers half an hour, latency and throughput the last five minutes, all of it this
gateway's own traffic; null is unknown.
"""

from __future__ import annotations

from trunkline.protocol.items import Json
from trunkline.routing.health import Condition, Figures, Percentiles

_STATUS: dict[Condition, int] = {"stable": 0, "degraded": -1, "fallback_only": -2, "outage": -3, "ejected": -5}
"""Clients know a fixed list of numbers, 0 for good and the lower the worse."""


def list_figures(figures: Figures) -> dict[str, Json]:
    """Percent, milliseconds, tokens per second; of throughput, `p90` is what 90 % of the answers reach."""
    return {
        "status": _STATUS[figures.condition],
        "condition": figures.condition,
        "uptime_last_30m": None if figures.uptime is None else round(100 * figures.uptime, 2),
        "latency_last_30m": _percentiles(figures.latency, 1000),
        "throughput_last_30m": _percentiles(figures.throughput, 1),
    }


def _percentiles(found: Percentiles | None, factor: int) -> Json:
    if found is None:
        return None
    named = {"p50": found.p50, "p75": found.p75, "p90": found.p90, "p99": found.p99}
    return {name: round(value * factor, 1) for name, value in named.items()}
