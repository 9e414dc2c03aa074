"""The shapes of `providers.toml` and `models.toml`: what may stand in a row, as it is written there.

Rows hold prices per million tokens and addresses with braces; `standings.py` and `load.py` make entries of them.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from trunkline.catalog.entries import CredentialScheme, Dialect, Modality
from trunkline.catalog.quirks import Quirks
from trunkline.protocol.preferences import Quantization
from trunkline.settings import Json


class ProviderRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of `providers.toml`; the comment at its top explains the keys."""

    name: str = ""
    urls: dict[Dialect, str] = {}
    url_variables: dict[str, tuple[str, ...]] = {}
    scheme: CredentialScheme = "bearer"
    header: str = ""
    variables: tuple[str, ...] = ()
    quirks: Quirks = Quirks()
    trains: bool | None = None
    zdr: bool | None = None
    retains_days: int | None = None
    region: str | None = None
    headquarters: str | None = None
    status: str = "active"
    note: str = ""


class TierRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices that hold above a number of input tokens, USD per million tokens."""

    above_input_tokens: int
    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


class PriceRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD per million tokens; `request`, `image` and `search` are USD apiece."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    audio: Decimal | None = None
    request: Decimal = Decimal(0)
    image: Decimal | None = None
    search: Decimal | None = None
    tiers: tuple[TierRow, ...] = ()


class EndpointRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of `[[models.endpoints]]`; None is unknown."""

    provider: str
    upstream_model: str = ""
    tag: str = ""
    price: PriceRow | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    supports: frozenset[str] | None = None
    quantization: Quantization = "unknown"
    dialect: Dialect | None = None
    input_modalities: frozenset[Modality] | None = None
    output_modalities: frozenset[Modality] = frozenset({"text"})
    reasoning_efforts: tuple[str, ...] = ()
    quirks: dict[str, Json] = {}
    is_deprecated: bool = False
    source: str = "operator"
    source_date: str = ""


class ModelRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of `[[models]]`."""

    slug: str
    name: str = ""
    description: str = ""
    created_at: int = 0
    distillable: bool | None = None
    endpoints: tuple[EndpointRow, ...] = ()


class ModelsFile(Struct, frozen=True, forbid_unknown_fields=True):
    models: tuple[ModelRow, ...] = ()
