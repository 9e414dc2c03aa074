"""The shapes of `providers.toml`, `models.toml`, `models.json` and `names.toml`: what may stand in a row.

Rows hold prices per million tokens and addresses with braces; `standings.py` and `load.py` make entries of them.
`models.toml` is written by hand, `models.json` by `tools/models/merge.py`; both have the shape of `ModelsFile`.
`names.toml` is written by hand, and the mill leaves out of `models.json` what it says is none of a maker's models.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

from msgspec import Raw, Struct

from trunkline.catalog.entries import CredentialScheme, Dialect, Modality, PromptCaching
from trunkline.catalog.quirks import Quirks, overlaid
from trunkline.protocol.preferences import Quantization
from trunkline.settings.forms import Json


class ProviderRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of `providers.toml`; the comment at its top explains the keys."""

    name: str = ""
    urls: dict[Dialect, str] = {}
    url_variables: dict[str, tuple[str, ...]] = {}
    url_unmarked: dict[str, str] = {}
    scheme: CredentialScheme = "bearer"
    header: str = ""
    variables: tuple[str, ...] = ()
    companions: dict[str, tuple[str, ...]] = {}
    quirks: Quirks = Quirks()
    quirks_in: dict[Dialect, dict[str, Json]] = {}
    trains: bool | None = None
    zdr: bool | None = None
    retains_days: int | None = None
    policy_sources: tuple[str, ...] = ()
    policy_seen: str = ""
    policy_models: tuple[str, ...] = ()
    region: str | None = None
    headquarters: str | None = None
    status: str = "active"
    unlisted: str = ""
    note: str = ""

    def dialect_quirks(self) -> dict[Dialect, Quirks]:
        """The quirks of the dialects that have some of their own, the provider's others included."""
        return {dialect: overlaid(self.quirks, given) for dialect, given in self.quirks_in.items()}


class TierRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Prices that hold above a number of input tokens, USD per million tokens."""

    above_input_tokens: int
    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


class PriceRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """USD per million tokens; `request`, `image` (made) and `search` are USD apiece, `service_tiers` are factors."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasoning: Decimal | None = None
    reasoning_per: Literal["token", "answer"] = "token"
    audio: Decimal | None = None
    audio_cached: Decimal | None = None
    image_token: Decimal | None = None
    request: Decimal = Decimal(0)
    image: Decimal | None = None
    search: Decimal | None = None
    search_per: Literal["query", "request"] = "query"
    tiers: tuple[TierRow, ...] = ()
    service_tiers: dict[str, Decimal] = {}


class OtherPriceRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a list says that was not believed, USD per million tokens."""

    source: str
    input: Decimal
    output: Decimal


class EndpointRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One entry of `[[models.endpoints]]`; None is unknown.

    `rejects` are parameters that are left out whatever else is said. `supports_set` and `quirks_set` are places in the
    lists of the file, in which endpoints share what they have alike. `prompt_caching` is the provider's where it is
    None. `reached_from`: the endpoint exists only where the provider's address holds one of these texts. `price_source`
    is named where the price is from another list than the rest; `is_disputed` means that the lists differ by more than
    a tenth about it, and `other_prices` are then theirs.
    """

    provider: str
    upstream_model: str = ""
    tag: str = ""
    price: PriceRow | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    supports: frozenset[str] | None = None
    supports_set: int | None = None
    rejects: frozenset[str] = frozenset()
    quantization: Quantization = "unknown"
    dialect: Dialect | None = None
    input_modalities: frozenset[Modality] | None = None
    output_modalities: frozenset[Modality] = frozenset({"text"})
    reasoning_efforts: tuple[str, ...] = ()
    quirks: dict[str, Json] = {}
    quirks_set: int | None = None
    prompt_caching: PromptCaching | None = None
    is_deprecated: bool = False
    deprecated_on: str = ""
    reached_from: tuple[str, ...] = ()
    source: str = "operator"
    price_source: str = ""
    is_disputed: bool = False
    other_prices: tuple[OtherPriceRow, ...] = ()
    concurrency: int | None = None
    requests_per_minute: int | None = None


class ModelRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One entry of `[[models]]`."""

    slug: str
    name: str = ""
    description: str = ""
    created_at: int = 0
    distillable: bool | None = None
    endpoints: tuple[EndpointRow, ...] = ()


class SourceRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A list that endpoints were taken from; `date` is the day it tells the state of."""

    name: str
    version: str = ""
    date: str = ""
    licence: str = ""
    url: str = ""


MOST_USD_PER_MILLION: Final = Decimal(2000)
"""A dearer token is a slip of the pen in a public list: the dearest one listed in 2026 asks 225."""

FORMAT: Final = 2
"""Raised when an older version of this program would misread the file."""


class ModelsFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file of models."""

    format: int = FORMAT
    sources: tuple[SourceRow, ...] = ()
    supports: tuple[frozenset[str], ...] = ()
    quirks: tuple[dict[str, Json], ...] = ()
    models: tuple[ModelRow, ...] = ()


class ModelsOutline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same with its models yet to be read."""

    format: int = FORMAT
    sources: tuple[SourceRow, ...] = ()
    supports: tuple[frozenset[str], ...] = ()
    quirks: tuple[dict[str, Json], ...] = ()
    models: tuple[Raw, ...] = ()


class AliasRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of `[[aliases]]`: names, with their author, by which a maker means a model under another slug."""

    names: tuple[str, ...]
    model: str
    source: str
    seen: str


class RetiredRow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of `[[retired]]`: slugs that a maker shut down; other hosts may serve them on.

    `on` is the day, empty where nobody told it; `instead` is the slug that the maker names in their place, if any.
    """

    models: tuple[str, ...]
    source: str
    seen: str
    on: str = ""
    instead: str = ""


class NamesFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of `names.toml`."""

    aliases: tuple[AliasRow, ...] = ()
    retired: tuple[RetiredRow, ...] = ()
