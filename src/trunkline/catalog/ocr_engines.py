"""The engines that read scanned files, with their keys: values of which it is known here whether they can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from trunkline.catalog.standings import Surroundings, find_engine_key
from trunkline.settings.files_sections import OcrKind, OcrSettings
from trunkline.settings.secret import Secret


class OcrEngine(Struct, frozen=True, kw_only=True):
    """One engine; `reason` says why it is on or off. `price` is USD a page."""

    name: str
    kind: OcrKind
    base_url: str | None
    model: str
    price: Decimal
    timeout_s: float
    secret: Secret | None
    is_on: bool
    reason: str


def find_ocr_engines(ocr: Mapping[str, OcrSettings], around: Surroundings) -> dict[str, OcrEngine]:
    """Look for the key of every engine; one without it is off, as a provider is."""
    return {name: _engine(name, settings, around) for name, settings in ocr.items()}


def _engine(name: str, settings: OcrSettings, around: Surroundings) -> OcrEngine:
    key = find_engine_key(settings.api_key, around)
    return OcrEngine(
        name=name,
        kind=settings.kind,
        base_url=settings.base_url,
        model=settings.model,
        price=settings.price,
        timeout_s=settings.timeout,
        secret=key.secret,
        is_on=key.is_on,
        reason=key.reason,
    )
