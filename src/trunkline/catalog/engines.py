"""The search engines that the settings name and the environment → which are on, with which key, or why not.

How one is asked is `upstream/engines/table.py`'s; nothing is called here.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from trunkline.catalog.standings import Surroundings, find_engine_key
from trunkline.settings.plugin_sections import EngineKind, SearchSettings
from trunkline.settings.secret import Secret


class Engine(Struct, frozen=True, kw_only=True):
    """One search engine; `reason` says why it is on or off. `price` is USD a search."""

    name: str
    kind: EngineKind
    base_url: str | None
    price: Decimal
    timeout_s: float
    secret: Secret | None
    is_on: bool
    reason: str


def find_engines(search: Mapping[str, SearchSettings], around: Surroundings) -> dict[str, Engine]:
    """Look for the key of every engine; one without it is off, as a provider is."""
    return {name: _engine(name, settings, around) for name, settings in search.items()}


def _engine(name: str, settings: SearchSettings, around: Surroundings) -> Engine:
    key = find_engine_key(settings.api_key, around)
    return Engine(
        name=name,
        kind=settings.kind,
        base_url=settings.base_url,
        price=settings.price,
        timeout_s=settings.timeout,
        secret=key.secret,
        is_on=key.is_on,
        reason=key.reason,
    )
