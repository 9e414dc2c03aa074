"""Request + catalog + health + policy → the ordered attempts, and why they are in this order.

Models → their endpoints → filters (`filters.py`) → ranks and draws (`ranking.py`) → attempts. Planning asks nobody and
changes nothing: the same arguments and the same dice give the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from trunkline.catalog.entries import Endpoint
from trunkline.errors import BadRequest, ClientError, NotFound
from trunkline.protocol.preferences import Partition, ProviderPreferences
from trunkline.protocol.request import Request
from trunkline.routing.affinity import Affinity, conversation
from trunkline.routing.explanation import By, Candidate, Dropped, Explanation, Step
from trunkline.routing.filters import Filter, Listed, filters, listed, soft_parameters, supports
from trunkline.routing.health import OUTAGE, Health
from trunkline.routing.measure import Measure, measure
from trunkline.routing.policy import Policy as Policy
from trunkline.routing.ranking import arrange, expected_price, has_cheap_cache, preference, rank, sort_figure
from trunkline.routing.refusal import refuse
from trunkline.routing.variants import SORTED, narrowing, resolve

Dice = Callable[[], float]
"""Uniform in [0, 1)."""

Issuer = Callable[[str], str | None]
"""The id of the endpoint that issued an encrypted thought, read off its tag; None when it carries none."""

_ROUTES: Final[Mapping[str, Partition]] = {"fallback": "model", "sort": "none"}


class Catalog(Protocol):
    """What planning asks of the catalog."""

    @property
    def default_model(self) -> str | None: ...

    def endpoints_of(self, model: str) -> tuple[Endpoint, ...]:
        """Raises NotFound; its metadata has `suggestions` when the model is unknown and not merely off."""
        ...

    def provider_slug(self, name: str) -> str:
        """Normalise a provider's name in any spelling; a variant after a slash is kept."""
        ...


class Plan(Struct, frozen=True, kw_only=True):
    """The attempts in order, of which at most `max_attempts` are made.

    `is_byok` runs beside `attempts`: which of them use the account's own key. `conversations` names the conversation
    by model slug, to be kept in the affinity of the endpoint that serves it; it is empty where stickiness is off.
    `is_last_resort` says that every endpoint is known to be down.
    """

    attempts: tuple[Endpoint, ...]
    is_byok: tuple[bool, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    max_attempts: int = 3
    explanation: Explanation = Explanation()
    partition: Partition = "model"
    conversations: Mapping[str, bytes] = {}
    wishes: tuple[str, ...] = ()
    is_last_resort: bool = False


class _Asked(Struct, gc=False):
    """One model of the request: its place, its endpoints, what its suffixes wish, and what it is sorted by."""

    name: str
    group: int
    endpoints: tuple[Endpoint, ...]
    wishes: tuple[str, ...]
    by: By | None


class _Preferred(Struct, gc=False):
    """What the places of candidates depend on, worked out once for all of them."""

    wish: ProviderPreferences
    policy: Policy
    health: Health
    now: float
    input_tokens: Decimal
    output_tokens: Decimal
    order: tuple[Listed, ...]
    issuer: str | None


def plan(
    request: Request,
    policy: Policy,
    catalog: Catalog,
    health: Health,
    dice: Dice,
    *,
    now: float,
    affinity: Affinity | None = None,
    issuer: Issuer | None = None,
) -> Plan:
    """Choose the endpoints for a request.

    Raises NotFound when no model is known or every endpoint was dropped (then with metadata `available_providers`,
    `requested_providers`, `excluded_by` and `would_serve_without`), and BadRequest when no model is named or no
    context is large enough.
    """
    wish = request.provider
    partition = _partition(request)
    asked = _asked(request, policy, catalog, partition)
    size = measure(request)
    active = filters(request, policy, catalog.provider_slug, size)
    soft = soft_parameters(request)
    dropped: list[Dropped] = []
    kept = [_kept(each, active, soft, dropped) for each in asked]
    if not any(kept):
        raise _refusal(request, asked, active, size, dropped)
    preferred = _Preferred(
        wish,
        policy,
        health,
        now,
        Decimal(size.input_tokens),
        Decimal(size.output_tokens),
        tuple([listed((name,), catalog.provider_slug) for name in wish.order]) if wish.order else (),
        issuer(size.sealed) if issuer is not None and size.sealed is not None and not wish.order else None,
    )
    conversations: dict[str, bytes] = {}
    candidates: list[Candidate] = []
    for each, endpoints in zip(asked, kept, strict=True):
        served_by = None
        if affinity is not None and not wish.order and any(map(has_cheap_cache, endpoints)):
            model = endpoints[0].model.slug
            conversations[model] = conversation(request, policy.account, model)
            served_by = affinity.find(conversations[model], now)
        candidates += _candidates(each, endpoints, preferred, served_by)
    steps = _steps(candidates, asked, len(preferred.order), dice)
    order = [step.candidates[index] for step in steps for index in step.order]
    if len(asked) > 1:
        order = _once(order)
    if not wish.allow_fallbacks and not wish.order:
        order = _first_of_each_model(order, dropped)
    return Plan(
        attempts=tuple([candidate.endpoint for candidate in order]),
        is_byok=tuple([candidate.is_byok for candidate in order]),
        dropped=tuple(dropped),
        max_attempts=policy.max_attempts,
        explanation=Explanation(
            models=tuple([each.name for each in asked]),
            partition=partition,
            size=size,
            filters=tuple([each.name for each in active]),
            dropped=tuple(dropped),
            steps=tuple(steps),
            order=tuple(order),
        ),
        partition=partition,
        conversations=conversations,
        wishes=tuple([suffix for each in asked for suffix in each.wishes]),
        is_last_resort=min([candidate.condition for candidate in order]) >= OUTAGE,
    )


def _partition(request: Request) -> Partition:
    sort = request.provider.sort
    if sort is not None and sort.partition is not None:
        return sort.partition
    return "model" if request.route is None else _ROUTES[request.route]


def _asked(request: Request, policy: Policy, catalog: Catalog, partition: Partition) -> list[_Asked]:
    first, more = request.model, request.models
    names = [first] if first and not more else list(dict.fromkeys([name for name in (first, *more) if name]))
    if not names:
        default = policy.default_model or catalog.default_model
        if default is None:
            raise BadRequest("No model is named, and this gateway has no default model.", param="model")
        names = [default]
    found: list[_Asked] = []
    wishes: tuple[str, ...] = ()
    off: NotFound | None = None
    for place, name in enumerate(names):
        try:
            if ":" in name:
                endpoints, wishes = resolve(name, catalog.endpoints_of)
            else:
                endpoints, wishes = catalog.endpoints_of(name), ()
        except NotFound as error:
            # A mistyped fallback is told; one whose providers are merely off is passed over.
            if "suggestions" in error.metadata:
                raise
            off = off or error
            continue
        group = place if partition == "model" else 0
        found.append(_Asked(name, group, endpoints, wishes, _by(request.provider, wishes)))
    if off is not None and not found:
        raise off
    return found


def _by(wish: ProviderPreferences, wishes: Sequence[str]) -> By | None:
    """What a model's endpoints are sorted by: an explicit wish goes before a suffix, and `order` before both."""
    if wish.order:
        return None
    if wish.sort is not None and wish.sort.by is not None:
        return wish.sort.by
    return next((SORTED[suffix] for suffix in wishes if suffix in SORTED), None) if wishes else None


def _kept(asked: _Asked, active: Sequence[Filter], soft: Sequence[str], dropped: list[Dropped]) -> list[Endpoint]:
    """Apply the filters to one model's endpoints."""
    if asked.wishes:
        active = [*active, *narrowing(asked.wishes, asked.endpoints)]
    kept: list[Endpoint] = []
    for endpoint in asked.endpoints:
        for name, check in active:
            reason = check(endpoint)
            if reason is not None:
                dropped.append(_dropped(endpoint, name, reason))
                break
        else:
            kept.append(endpoint)
    for parameter in soft:
        better = [endpoint for endpoint in kept if supports(endpoint, parameter)]
        if better and len(better) < len(kept):
            reason = f"does not support {parameter}, and others do"
            dropped += [_dropped(endpoint, parameter, reason) for endpoint in kept if not supports(endpoint, parameter)]
            kept = better
    return kept


def _dropped(endpoint: Endpoint, name: str, reason: str) -> Dropped:
    return Dropped(endpoint.id, endpoint.provider.slug, endpoint.model.slug, name, reason)


def _refusal(
    request: Request, asked: Sequence[_Asked], active: Sequence[Filter], size: Measure, dropped: Sequence[Dropped]
) -> ClientError:
    filtered = [(each.endpoints, [*active, *narrowing(each.wishes, each.endpoints)]) for each in asked]
    explanation = Explanation(
        models=tuple([each.name for each in asked]),
        size=size,
        filters=tuple(dict.fromkeys([name for _, found in filtered for name, _ in found])),
        dropped=tuple(dropped),
    )
    return refuse(request, filtered, explanation)


def _candidates(
    asked: _Asked, endpoints: Sequence[Endpoint], preferred: _Preferred, served_by: str | None
) -> list[Candidate]:
    """Find out everything that the places of one model's endpoints depend on."""
    wish, policy, health, now = preferred.wish, preferred.policy, preferred.health, preferred.now
    input_tokens, output_tokens = preferred.input_tokens, preferred.output_tokens
    order, issuer = preferred.order, preferred.issuer
    by, group = asked.by, asked.group
    has_preference = wish.preferred_max_latency is not None or wish.preferred_min_throughput is not None
    found: list[Candidate] = []
    for endpoint in endpoints:
        endpoint_id = endpoint.id
        condition, cache_hit_rate = health.view(endpoint_id, now)
        candidate = Candidate(
            endpoint=endpoint,
            is_byok=False,
            condition=condition,
            preference=preference(wish, endpoint_id, health, now) if has_preference else 0,
            group=group,
            place=_place(endpoint, order) if order else 0,
            issued=2 if issuer is None else _issued(issuer, endpoint_id),
            is_sticky=endpoint_id == served_by and has_cheap_cache(endpoint),
            price=expected_price(endpoint.price, input_tokens, output_tokens, cache_hit_rate),
            figure=None if by is None else sort_figure(by, endpoint_id, health, now),
        )
        slug = endpoint.provider.slug
        if slug in policy.own_keys:
            found.append(replace(candidate, is_byok=True))
            if slug in policy.own_keys_only:
                continue
        found.append(candidate)
    return found


def _place(endpoint: Endpoint, order: Sequence[Listed]) -> int:
    return next((place for place, meant in enumerate(order) if meant.has(endpoint)), len(order))


def _issued(issuer: str, endpoint_id: str) -> int:
    """0 for the endpoint that issued a thought, 1 for the others of its provider, which share its keys."""
    if issuer == endpoint_id:
        return 0
    return 1 if _provider_of(issuer) == _provider_of(endpoint_id) else 2


def _provider_of(endpoint_id: str) -> str:
    return endpoint_id.partition(":")[0].partition("/")[0]


def _steps(candidates: Sequence[Candidate], asked: Sequence[_Asked], named: int, dice: Dice) -> list[Step]:
    """Put the candidates in order: by rank, and equals by sorting or drawing."""
    equals: dict[tuple[int, ...], list[Candidate]] = {}
    for candidate in candidates:
        equals.setdefault(rank(candidate, named), []).append(candidate)
    # Without partition all are in group 0, and what the first model is sorted by holds for all.
    by = {each.group: each.by for each in reversed(asked)}
    steps: list[Step] = []
    for _, together in sorted(equals.items()) if len(equals) > 1 else equals.items():
        steps += arrange(together, by[together[0].group], dice)
    return steps


def _once(found: Sequence[Candidate]) -> list[Candidate]:
    """Leave out what comes again: one model may be named twice, in two spellings or at two prices."""
    first: dict[tuple[str, bool], Candidate] = {}
    for candidate in found:
        first.setdefault((candidate.endpoint.id, candidate.is_byok), candidate)
    return list(first.values())


def _first_of_each_model(found: Sequence[Candidate], dropped: list[Dropped]) -> list[Candidate]:
    """`allow_fallbacks: false` is about providers: other models may still be asked."""
    first: dict[str, Candidate] = {}
    for candidate in found:
        if first.setdefault(candidate.endpoint.model.slug, candidate) is not candidate:
            dropped.append(_dropped(candidate.endpoint, "allow_fallbacks", "is not the first"))
    return list(first.values())
