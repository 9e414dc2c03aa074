"""Small catalogs and pasts of endpoints for the tests of routing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal

from msgspec import Struct

from trunkline.catalog.entries import DataPolicy, Endpoint, Modality, Model, Provider
from trunkline.catalog.prices import Price
from trunkline.catalog.quirks import Quirks
from trunkline.errors import NotFound
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.preferences import ProviderPreferences, Quantization
from trunkline.protocol.request import Request
from trunkline.routing.affinity import Affinity
from trunkline.routing.health import Health, Outcome
from trunkline.routing.plan import Catalog, Dice, Plan, Planner, Policy
from trunkline.wire import FaultKind

NOW = 100_000.0
HELLO = (Message(role="user", content=(InputText(text="Hello there"),)),)


class Shelf:
    """A catalog made of a list of endpoints; names are folded as simply as can be."""

    def __init__(self, endpoints: Iterable[Endpoint], *, default: str | None = None, off: Sequence[str] = ()) -> None:
        self._by_model: dict[str, tuple[Endpoint, ...]] = {}
        for one in endpoints:
            self._by_model[one.model.slug] = (*self._by_model.get(one.model.slug, ()), one)
        self._off = off
        self.default_model = default

    def endpoints_of(self, model: str, own_keys: Collection[str] = ()) -> tuple[Endpoint, ...]:
        if model.lower() in self._by_model:
            return self._by_model[model.lower()]
        if model in self._off:
            raise NotFound(f"No provider that serves {model} is on.", metadata={"requested_providers": ["alpha"]})
        raise NotFound(f"{model} is not known", metadata={"suggestions": sorted(self._by_model)})

    def provider_slug(self, name: str) -> str:
        provider, slash, variant = name.strip().partition("/")
        return provider.lower().replace(" ", "-").replace("_", "-") + slash + variant.lower()


def endpoint(
    provider: str = "alpha",
    model: str = "m/one",
    *,
    usd: str | tuple[str, str] | None = "1",
    cache_read: str | None = None,
    request_fee: str = "0",
    tag: str = "",
    context: int | None = 100_000,
    max_output: int | None = None,
    quantization: Quantization = "unknown",
    supports: Iterable[str] | None = None,
    drops: Iterable[str] = (),
    reads: Iterable[Modality] | None = None,
    makes: Iterable[Modality] = ("text",),
    trains: bool | None = None,
    zdr: bool | None = None,
    distillable: bool | None = None,
    region: str | None = None,
) -> Endpoint:
    """An endpoint; prices in USD per million tokens, one for both or input and output."""
    return Endpoint(
        model=Model(slug=model, is_distillable=distillable),
        provider=Provider(slug=provider, name=provider.title()),
        upstream_model=model,
        dialect="chat",
        base_url="https://provider.invalid/v1",
        price=_price(usd, cache_read, request_fee),
        context_tokens=context,
        max_output_tokens=max_output,
        quantization=quantization,
        supports=None if supports is None else frozenset(supports),
        input_modalities=None if reads is None else frozenset(reads),
        output_modalities=frozenset(makes),
        data_policy=DataPolicy(trains=trains, zdr=zdr),
        region=region,
        quirks=Quirks(drops=frozenset(drops)),
        tag=tag,
    )


def ask(model: str | None = "m/one", **fields: object) -> Request:
    """A request that says hello; `provider` fields may be given under their own names."""
    wishes = {name: fields.pop(name) for name in list(fields) if name in ProviderPreferences.__struct_fields__}
    return Request(model=model, **{"input": HELLO, **fields}, provider=ProviderPreferences(**wishes))  # type: ignore[arg-type]


class Past(Struct, frozen=True):
    """Attempts at one endpoint, `ago` seconds back, all alike; `alive`: with other first tokens in between."""

    endpoint_id: str
    times: int = 1
    fault: FaultKind | None = None
    ago: float = 5.0
    first_token_s: float | None = None
    tokens_per_s: float | None = None
    cached: float = 0.0
    alive: bool = False


def remembered(past: Iterable[Past]) -> Health:
    """A health that has seen a past."""
    health = Health()
    for each in sorted(past, key=lambda one: -one.ago):
        for _ in range(each.times):
            outcome = Outcome(
                fault=each.fault,
                first_token_s=each.first_token_s,
                generation_s=10.0 if each.tokens_per_s else None,
                output_tokens=int((each.tokens_per_s or 0) * 10),
                input_tokens=1000,
                cache_read_tokens=int(1000 * each.cached),
            )
            health.record(each.endpoint_id, outcome, NOW - each.ago)
            if each.alive:
                health.answered(each.endpoint_id, NOW - each.ago)
    return health


def thrown(*values: float) -> Iterator[float]:
    """Dice that fall as told, and then show nothing but 0."""
    yield from values
    while True:
        yield 0.0


def _price(usd: str | tuple[str, str] | None, cache_read: str | None, request_fee: str) -> Price | None:
    if usd is None:
        return None
    both = (usd, usd) if isinstance(usd, str) else usd
    return Price(
        input=Decimal(both[0]).scaleb(-6),
        output=Decimal(both[1]).scaleb(-6),
        cache_read=None if cache_read is None else Decimal(cache_read).scaleb(-6),
        request=Decimal(request_fee),
    )


def plan_at(
    request: Request,
    policy: Policy,
    catalog: Catalog,
    health: Health,
    dice: Dice,
    *,
    now: float,
    affinity: Affinity | None = None,
) -> Plan:
    """Plan one request at a moment."""
    return Planner(catalog, health, dice, lambda: now, affinity).plan(request, policy)
