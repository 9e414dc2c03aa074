"""What can be called: providers, models, endpoints, prices, data policies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cached_property, wraps
from typing import Literal, TypeVar

from msgspec import Struct

from trunkline.catalog.lookup import MAX_SUGGESTED_LENGTH, Spellings, fold_name, nearest
from trunkline.catalog.prices import Price
from trunkline.catalog.quirks import Quirks
from trunkline.errors import NotFound
from trunkline.protocol.preferences import Quantization
from trunkline.settings.secret import Secret

T = TypeVar("T")

Dialect = Literal[
    "responses", "chat", "messages", "gemini", "converse", "cohere", "mistral", "images", "bfl", "riverflow", "fake"
]
CredentialScheme = Literal["none", "bearer", "header", "query", "sigv4", "google", "azure"]
Modality = Literal["text", "image", "file", "audio", "video"]
PromptCaching = Literal["auto", "on_key", "off"]


class DataPolicy(Struct, frozen=True):
    """What a provider does with prompts. None is unknown, and unknown counts as the strict side.

    `sources` are the provider's own documents that say so, read on the day `seen`; `told` names the fields that the
    operator answers for instead. `models` are globs of slugs: the documents speak only of models whose last match does
    not begin with `!`, of all when there are none.
    """

    trains: bool | None = None
    zdr: bool | None = None
    retains_days: int | None = None
    sources: tuple[str, ...] = ()
    seen: str = ""
    models: tuple[str, ...] = ()
    told: frozenset[str] = frozenset()

    def of(self, model: str) -> DataPolicy:
        """The policy for one model: of what the documents do not speak only the operator's word is left."""
        if not self.models or self._speaks_of(model):
            return self
        return DataPolicy(
            trains=self.trains if "trains" in self.told else None,
            zdr=self.zdr if "zdr" in self.told else None,
            retains_days=self.retains_days if "retains_days" in self.told else None,
            told=self.told,
        )

    def _speaks_of(self, model: str) -> bool:
        last = next((glob for glob in reversed(self.models) if fnmatchcase(model, glob.removeprefix("!"))), "!")
        return not last.startswith("!")


class CredentialSpec(Struct, frozen=True):
    """How a provider wants its key, without the key.

    `scheme` names a row of `credentials/schemes.py`; `name` is the header or query parameter where the scheme needs
    one; `variables` are the conventional environment variables, best first.
    """

    scheme: CredentialScheme = "bearer"
    name: str = ""
    variables: tuple[str, ...] = ()


class Provider(Struct, frozen=True, kw_only=True):
    """A company or server that answers for models.

    `base_urls` has one address for each dialect spoken, the preferred dialect first; an address may hold `{names}`
    that `variables` or the operator fills. `dialect_quirks` stand in place of `quirks` where their dialect is spoken.
    `concurrency` is how many requests it takes at once, None where nobody said.
    `unlisted` says why the shipped list has no model of it; empty when it has some.
    """

    slug: str
    name: str
    base_urls: dict[Dialect, str] = {}
    url_variables: tuple[str, ...] = ()
    credential: CredentialSpec = CredentialSpec()
    quirks: Quirks = Quirks()
    dialect_quirks: dict[Dialect, Quirks] = {}
    data_policy: DataPolicy = DataPolicy()
    prompt_caching: PromptCaching = "auto"
    region: str | None = None
    headquarters: str | None = None
    status: str = "active"
    unlisted: str = ""
    note: str = ""
    concurrency: int | None = None
    requests_per_minute: int | None = None

    def quirks_in(self, dialect: Dialect) -> Quirks:
        """What differs from the dialect when this provider speaks it."""
        return self.dialect_quirks.get(dialect, self.quirks)


MAX_SWITCHES = 3
"""How many providers that are off an error names with what would turn them on."""


class Claim(Struct, frozen=True, kw_only=True):
    """What one list says of a price, and of which day it tells the state. USD per token."""

    source: str
    source_date: str
    input: Decimal
    output: Decimal


class Model(Struct, frozen=True, kw_only=True):
    """What is asked for; `slug` is `author/name[:variant]`, lower-case."""

    slug: str
    name: str = ""
    description: str = ""
    created_at: int = 0
    is_distillable: bool | None = None


class Endpoint(Struct, frozen=True, kw_only=True, dict=True):
    """One model at one provider: what routing chooses among.

    `base_url` is filled in and has no trailing slash. `supports` holds parameter names as in section C5 of the
    semantics (`tools`, `structured_outputs`, `reasoning`, …); None means that nothing is known and all is tried.
    `price` is None when nobody told it: the endpoint is then served without a cost, and says so. `is_disputed`: public
    lists differ by more than a tenth about it; `claims` then are what each says, that in force first. `deprecated_on`
    is the day the provider stops serving it, where known; `source_date` the day that `source` tells the state of.
    `prompt_caching`: when a dialect that marks what is to be cached does so (`adapters/encoding/caching.py`).
    `needs_own_key`: the gateway has no key for the provider, so only an account that brings one is served.
    `concurrency` is how many requests it takes at once, within its provider's; None where nobody said.
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
    prompt_caching: PromptCaching = "auto"
    region: str | None = None
    is_deprecated: bool = False
    deprecated_on: str = ""
    is_disputed: bool = False
    claims: tuple[Claim, ...] = ()
    source: str = "operator"
    source_date: str = ""
    tag: str = ""
    needs_own_key: bool = False
    concurrency: int | None = None
    requests_per_minute: int | None = None

    @cached_property
    def id(self) -> str:
        """The endpoint's name in logs, seals and health: `provider/variant:model`, unique in a catalog."""
        return f"{self.tag or self.provider.slug}:{self.model.slug}"

    def takes(self, parameter: str) -> bool:
        """Whether a parameter, by its name in `supports`, may be sent: it is not refused, nor known to be unknown."""
        return parameter not in self.quirks.drops and (self.supports is None or parameter in self.supports)


def per_endpoint(work_out: Callable[[Endpoint], T]) -> Callable[[Endpoint], T]:
    """Have what follows from an endpoint alone worked out once; the endpoint keeps it. Nobody may change it then."""
    name = f"{work_out.__module__}.{work_out.__qualname__}"

    @wraps(work_out)
    def kept(endpoint: Endpoint) -> T:
        known = endpoint.__dict__
        if name not in known:
            known[name] = work_out(endpoint)
        found: T = known[name]
        return found

    return kept


class Standing(Struct, frozen=True, kw_only=True):
    """Whether a provider is in use: where its credential came from, or why it is off and what would turn it on.

    `hidden` is what else of the operator's entry may be secret: the values of fixed headers. `answers_by_name`: it is
    off, and what nobody else serves can be called of it all the same; nothing lists it and no other name leads there.
    `obstacle` is what would keep it from being called with any key; empty if nothing would.
    """

    provider: Provider
    is_on: bool
    reason: str
    secret: Secret | None = None
    hidden: tuple[Secret, ...] = ()
    answers_by_name: bool = False
    obstacle: str = ""

    @property
    def lacks_key(self) -> bool:
        """Whether it is off for want of the gateway's own key and nothing else, so that an account may bring one."""
        return not self.is_on and not self.obstacle and self.provider.credential.scheme != "none"

    @property
    def is_callable(self) -> bool:
        """Whether requests may go there."""
        return self.is_on or self.answers_by_name


class Retired(Struct, frozen=True):
    """What is known of a model that its maker shut down: the day and the slug to ask for now, each empty if untold."""

    on: str
    instead: str


class Catalog(Struct, frozen=True, kw_only=True):
    """All that can be called; never changed, only replaced whole.

    `standings` is by provider slug, those that are off included. `endpoints` is by model slug and holds only what
    providers that are on serve; `offers` names for every known model the slugs of all its providers.
    `by_name` is `endpoints` of those that only answer by name, `keyless` of those whose provider lacks nothing but the
    gateway's own key. `provider_slugs` leads from a folded name to the slug;
    `pairs` holds the letter pairs of each slug in `endpoints`, `offered_pairs` those of each in `offers`, with its
    author and without; `spellings` knows by which other names the models of `offers` go. `retired` is by the slug of
    a model that its maker shut down, whether others serve it or not. `stored_list` names the store's list of models
    beside which the one in force was chosen; empty where there is none.
    """

    standings: Mapping[str, Standing]
    models: Mapping[str, Model]
    endpoints: Mapping[str, tuple[Endpoint, ...]]
    offers: Mapping[str, tuple[str, ...]]
    provider_slugs: Mapping[str, str]
    pairs: Mapping[str, frozenset[str]]
    by_name: Mapping[str, tuple[Endpoint, ...]] = {}
    keyless: Mapping[str, tuple[Endpoint, ...]] = {}
    offered_pairs: Mapping[str, frozenset[str]] = {}
    spellings: Spellings = Spellings()
    retired: Mapping[str, Retired] = {}
    default_model: str | None = None
    warnings: tuple[str, ...] = ()
    stored_list: str = ""

    def endpoints_of(self, model: str, own_keys: Collection[str] = ()) -> tuple[Endpoint, ...]:
        """List the endpoints of a model, in the catalog's order; a name without its author will do if only one has it.

        `own_keys` are the slugs of providers that the caller brings a key for: those that lack nothing else come last.
        A name that is no slug stands for the one model that is spelled like it, or that one provider calls so.
        Raises NotFound: for an unknown model with the nearest slugs, for one that is gone with its successor, for a
        known one with the providers that would serve it if they were on.
        """
        if own_keys and (brought := self._brought(model, own_keys)):
            return brought
        found = self.endpoints.get(model)
        if found is None:
            slug = model.strip().lower()
            found = self.endpoints.get(slug) or self.by_name.get(slug)
            if found is None:
                meant = self._meant(slug)
                found = self.endpoints.get(meant)
                if found is None:
                    raise self._missing(meant)
        return found

    def _brought(self, model: str, own_keys: Collection[str]) -> tuple[Endpoint, ...]:
        """The endpoints with those that only lack a key, where the caller brings it; nothing where there are none."""
        slug = self._meant(model.strip().lower())
        brought = tuple([each for each in self.keyless.get(slug, ()) if each.provider.slug in own_keys])
        return brought and self.endpoints.get(slug, self.by_name.get(slug, ())) + brought

    def _meant(self, name: str) -> str:
        """The slug that a name stands for; the name itself when that is none, or more than one."""
        if name in self.offers:
            return name
        # Models whose providers are off count too: a name must not change its meaning when a key is added.
        known = self.spellings.of(name)
        return known[0] if len(known) == 1 else name

    def provider_slug(self, name: str) -> str:
        """Turn a name in any spelling ("Amazon Bedrock", "AMAZON_BEDROCK") into the slug.

        A variant after a slash is kept (`DeepInfra/Turbo` → `deepinfra/turbo`); an unknown name comes back in lower
        case.
        """
        provider, slash, variant = name.strip().partition("/")
        slug = self.provider_slugs.get(fold_name(provider), provider.lower())
        return f"{slug}{slash}{variant.lower()}"

    def _missing(self, slug: str) -> NotFound:
        gone = self.retired.get(slug)
        day = f" on {gone.on}" if gone is not None and gone.on else ""
        advice = f"; try {gone.instead}." if gone is not None and gone.instead else "."
        if slug in self.offers:
            offers = list(self.offers[slug])
            message = f"No provider that serves {slug} is on: {self._switches(slug)}."
            if gone is not None:
                message += f" Its maker retired it{day}{advice}"
            return NotFound(message, metadata={"available_providers": [], "requested_providers": offers})
        if gone is not None:
            message = f"{slug} was retired by its maker{day}{advice}{self._off(gone.instead)}"
            near = [gone.instead] if gone.instead else []
            return NotFound(message, metadata={"suggestions": near, "retired_on": gone.on or None})
        near = self.spellings.of(slug) or nearest(self.pairs, slug) or self._nearest_offered(slug)
        hint = f"Did you mean {' or '.join(near)}?{self._off(near[0])}" if near else "A model is named author/name."
        message = f"{slug[:MAX_SUGGESTED_LENGTH]!r} is not a known model. {hint}"
        return NotFound(message, metadata={"suggestions": near})

    def _off(self, slug: str) -> str:
        """Say, where nobody serves a suggested model now, what would change that."""
        if slug in self.endpoints or slug in self.by_name or slug not in self.offers:
            return ""
        return f" Its provider is off: {self._switches(slug)}."

    def _switches(self, slug: str) -> str:
        """Say what would turn a model's providers on; only the public names of variables, for clients read it."""
        author, providers, named = slug.partition("/")[0], self.offers[slug], []
        for provider in sorted(providers, key=lambda each: each != author)[:MAX_SWITCHES]:
            standing = self.standings[provider]
            variables = standing.provider.credential.variables if standing.secret is None else ()
            named.append(f"{provider} (set {variables[0]})" if variables else provider)
        if len(providers) > MAX_SWITCHES:
            named.append(f"{len(providers) - MAX_SWITCHES} more")
        return ", ".join(named)

    def _nearest_offered(self, slug: str) -> list[str]:
        """Name the known models nearest to a name, whether it has an author or not."""
        found = nearest(self.offered_pairs, slug)
        return list(dict.fromkeys(name if name in self.offers else self.spellings.of(name)[0] for name in found))
