"""What can be called: providers, models, endpoints, prices, data policies."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct

from trunkline.catalog.quirks import Quirks
from trunkline.protocol.preferences import Quantization

Dialect = Literal[
    "responses", "chat", "messages", "gemini", "converse", "cohere", "mistral", "images", "bfl", "riverflow", "fake"
]
Modality = Literal["text", "image", "file", "audio", "video"]


class DataPolicy(Struct, frozen=True):
    """What a provider does with prompts. None is unknown, and unknown counts as the strict side."""

    trains: bool | None = None
    zdr: bool | None = None
    retains_days: int | None = None


class CredentialSpec(Struct, frozen=True):
    """How a provider wants its key, without the key.

    `scheme` names a row of `credentials/schemes.py`; `name` is the header or query parameter where the scheme needs
    one; `variables` are the conventional environment variables, best first.
    """

    scheme: Literal["none", "bearer", "header", "query", "sigv4", "google", "azure"] = "bearer"
    name: str = ""
    variables: tuple[str, ...] = ()


class Provider(Struct, frozen=True, kw_only=True):
    """A company or server that answers for models.

    `base_urls` has one address for each dialect spoken, the preferred dialect first; an address may hold `{names}`
    that `variables` or the operator fills.
    """

    slug: str
    name: str
    base_urls: dict[Dialect, str] = {}
    url_variables: tuple[str, ...] = ()
    credential: CredentialSpec = CredentialSpec()
    quirks: Quirks = Quirks()
    data_policy: DataPolicy = DataPolicy()
    region: str | None = None
    headquarters: str | None = None
    status: str = "active"
    note: str = ""


class PriceTier(Struct, frozen=True, kw_only=True):
    """The prices that hold when the input has more than `above_input_tokens` tokens. USD per token."""

    above_input_tokens: int
    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


class Price(Struct, frozen=True, kw_only=True):
    """USD per token, image, request or search. None: not priced apart from the kind it belongs to."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    audio_input: Decimal | None = None
    image_input: Decimal | None = None
    image_output: Decimal | None = None
    request: Decimal = Decimal(0)
    search: Decimal | None = None
    tiers: tuple[PriceTier, ...] = ()


class Model(Struct, frozen=True, kw_only=True):
    """What is asked for; `slug` is `author/name[:variant]`, lower-case."""

    slug: str
    name: str = ""
    description: str = ""
    created_at: int = 0
    is_distillable: bool | None = None


class Endpoint(Struct, frozen=True, kw_only=True):
    """One model at one provider: what routing chooses among.

    `base_url` is filled in and has no trailing slash. `supports` holds parameter names as in section C5 of the
    semantics (`tools`, `structured_outputs`, `reasoning`, …); None means that nothing is known and all is tried.
    `price` is None when nobody told it: the endpoint is then served without a cost, and says so.
    """

    model: Model
    provider: Provider
    upstream_model: str
    dialect: Dialect
    base_url: str
    price: Price | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    quantization: Quantization = "unknown"
    supports: frozenset[str] | None = None
    input_modalities: frozenset[Modality] | None = None
    output_modalities: frozenset[Modality] = frozenset({"text"})
    reasoning_efforts: tuple[str, ...] = ()
    quirks: Quirks = Quirks()
    data_policy: DataPolicy = DataPolicy()
    region: str | None = None
    is_deprecated: bool = False
    source: str = "operator"
    source_date: str = ""
    tag: str = ""

    @property
    def id(self) -> str:
        """The endpoint's name in logs, seals and health: `provider/variant:model`, unique in a catalog."""
        return f"{self.tag or self.provider.slug}:{self.model.slug}"
