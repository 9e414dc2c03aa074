"""Request + catalog + health + policy → the ordered attempts, and why they are in this order.

Models → their endpoints → filters (`filters.py`) → ranks and draws (`ranking.py`) → attempts. Planning asks nobody and
changes nothing: the same arguments and the same dice give the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from trunkline.catalog.abilities import search_shortfall
from trunkline.catalog.entries import Endpoint
from trunkline.errors import BadRequest, ClientError, NotFound
from trunkline.protocol.preferences import Partition, ProviderPreferences
from trunkline.protocol.request import Request, Search, search_of
from trunkline.routing.affinity import Affinity, conversation
from trunkline.routing.explanation import By, Candidate, Explanation, FilteredOut, Step
from trunkline.routing.filters import Filter, Listed, filters, listed, soft_parameters, supports
from trunkline.routing.health import Health
from trunkline.routing.measure import Measure, measure
from trunkline.routing.policy import Policy as Policy
from trunkline.routing.ranking import arrange, expected_price, has_cheap_cache, preference, rank, sort_figure
from trunkline.routing.refusal import refuse
from trunkline.routing.unconfigured import refuse_unconfigured
from trunkline.routing.variants import SORTED, narrowing, resolve
from trunkline.stream.seals import provider_of, unseal

Dice = Callable[[], float]
"""Uniform in [0, 1)."""

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
    """

    attempts: tuple[Endpoint, ...]
    is_byok: tuple[bool, ...] = ()
    max_attempts: int = 3
    explanation: Explanation = Explanation()
    partition: Partition = "model"
    conversations: Mapping[str, bytes] = {}


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
    search: Search | None


class _Sifted(Struct, gc=False):
    """The endpoints of each model that the filters let pass, and those that they did not."""

    asked: Sequence[_Asked]
    active: Sequence[Filter]
    size: Measure
    kept: list[list[Endpoint]]
    filtered_out: list[FilteredOut]


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans requests over one catalog, by what is known of its endpoints at the moment.

    `dice` are thrown where equals are drawn, `clock` is the one that health is told; without `affinity` no conversation
    is kept where it was.
    """

    catalog: Catalog
    health: Health
    dice: Dice
    clock: Callable[[], float]
    affinity: Affinity | None = None

    def plan(self, request: Request, policy: Policy) -> Plan:
        """Choose the endpoints for a request.

        Raises NotFound when no model is known or every endpoint was filtered out (then with metadata
        `available_providers`, `requested_providers`, `excluded_by` and `would_serve_without`), and BadRequest when no
        model is named, no context is large enough, nobody can make a search that is demanded, or something is asked
        for that is not configured in this gateway.
        """
        sifted = self._sift(request, policy)
        preferred = self._preferred(request, policy, sifted.size)
        candidates, conversations = self._candidates(request, sifted, preferred)
        steps = _steps(candidates, sifted.asked, len(preferred.order), self.dice)
        order = _ordered(request.provider, sifted, steps)
        explanation = Explanation(
            models=tuple([each.name for each in sifted.asked]),
            partition=_partition(request),
            size=sifted.size,
            filters=tuple([each.name for each in sifted.active]),
            filtered_out=tuple(sifted.filtered_out),
            steps=tuple(steps),
            order=tuple(order),
        )
        return Plan(
            attempts=tuple([candidate.endpoint for candidate in order]),
            is_byok=tuple([candidate.is_byok for candidate in order]),
            max_attempts=policy.max_attempts,
            explanation=explanation,
            partition=explanation.partition,
            conversations=conversations,
        )

    def _sift(self, request: Request, policy: Policy) -> _Sifted:
        """Find the models that are asked for and let the filters at their endpoints."""
        asked = _asked(request, policy, self.catalog)
        size = measure(request)
        active = filters(request, policy, self.catalog.provider_slug, size)
        soft = soft_parameters(request)
        filtered_out: list[FilteredOut] = []
        kept = [_kept(each, active, soft, filtered_out) for each in asked]
        sifted = _Sifted(asked, active, size, kept, filtered_out)
        if not any(kept):
            raise _refusal(request, sifted)
        return sifted

    def _preferred(self, request: Request, policy: Policy, size: Measure) -> _Preferred:
        wish, now = request.provider, self.clock()
        order = tuple([listed((name,), self.catalog.provider_slug) for name in wish.order]) if wish.order else ()
        seal = unseal(size.sealed) if size.sealed is not None and not wish.order else None
        return _Preferred(
            wish,
            policy,
            self.health,
            now,
            Decimal(size.input_tokens),
            Decimal(size.output_tokens),
            order,
            None if seal is None else seal.endpoint_id,
            search_of(request),
        )

    def _candidates(
        self, request: Request, sifted: _Sifted, preferred: _Preferred
    ) -> tuple[list[Candidate], dict[str, bytes]]:
        """The candidates of all models, and the conversation they would go on with, by model slug."""
        affinity, wish = self.affinity, request.provider
        conversations: dict[str, bytes] = {}
        candidates: list[Candidate] = []
        for each, endpoints in zip(sifted.asked, sifted.kept, strict=True):
            served_by = None
            if affinity is not None and not wish.order and any(map(has_cheap_cache, endpoints)):
                model = endpoints[0].model.slug
                conversations[model] = conversation(request, preferred.policy.account, model)
                served_by = affinity.find(conversations[model], preferred.now)
            candidates += _candidates(each, endpoints, preferred, served_by)
        return candidates, conversations


def _partition(request: Request) -> Partition:
    sort = request.provider.sort
    if sort is not None and sort.partition is not None:
        return sort.partition
    return "model" if request.route is None else _ROUTES[request.route]


def _asked(request: Request, policy: Policy, catalog: Catalog) -> list[_Asked]:
    partition = _partition(request)
    first, more = request.model, request.models
    names = [first] if first and not more else list(dict.fromkeys([name for name in (first, *more) if name]))
    if not names:
        default = policy.default_model or catalog.default_model
        if default is None:
            raise BadRequest("No model is named, and this gateway has no default model.", param="model")
        names = [default]
    refuse_unconfigured(request, names)
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
            # A mistyped fallback is told; one whose providers are merely off, or that is gone, is passed over.
            if "suggestions" in error.metadata and "retired_on" not in error.metadata:
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


def _kept(
    asked: _Asked, active: Sequence[Filter], soft: Sequence[str], filtered_out: list[FilteredOut]
) -> list[Endpoint]:
    """Apply the filters to one model's endpoints."""
    if asked.wishes:
        active = [*active, *narrowing(asked.wishes, asked.endpoints)]
    kept: list[Endpoint] = []
    for endpoint in asked.endpoints:
        for name, check in active:
            reason = check(endpoint)
            if reason is not None:
                filtered_out.append(_filtered_out(endpoint, name, reason))
                break
        else:
            kept.append(endpoint)
    for parameter in soft:
        better = [endpoint for endpoint in kept if supports(endpoint, parameter)]
        if better and len(better) < len(kept):
            reason = f"does not support {parameter}, and others do"
            filtered_out += [_filtered_out(each, parameter, reason) for each in kept if not supports(each, parameter)]
            kept = better
    return kept


def _filtered_out(endpoint: Endpoint, name: str, reason: str) -> FilteredOut:
    return FilteredOut(endpoint.id, endpoint.provider.slug, endpoint.model.slug, name, reason)


def _refusal(request: Request, sifted: _Sifted) -> ClientError:
    filtered = [(each.endpoints, [*sifted.active, *narrowing(each.wishes, each.endpoints)]) for each in sifted.asked]
    explanation = Explanation(
        models=tuple([each.name for each in sifted.asked]),
        size=sifted.size,
        filters=tuple(dict.fromkeys([name for _, found in filtered for name, _ in found])),
        filtered_out=tuple(sifted.filtered_out),
    )
    return refuse(request, filtered, explanation)


def _candidates(
    asked: _Asked, endpoints: Sequence[Endpoint], preferred: _Preferred, served_by: str | None
) -> list[Candidate]:
    """Find out everything that the places of one model's endpoints depend on."""
    wish, policy, health, now = preferred.wish, preferred.policy, preferred.health, preferred.now
    input_tokens, output_tokens = preferred.input_tokens, preferred.output_tokens
    order, issuer, search = preferred.order, preferred.issuer, preferred.search
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
            lacks_search=search is not None and search_shortfall(endpoint, search) is not None,
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
    return 1 if provider_of(issuer) == provider_of(endpoint_id) else 2


def _steps(candidates: Sequence[Candidate], asked: Sequence[_Asked], named: int, dice: Dice) -> list[Step]:
    """Put the candidates in order: by rank, and equals by sorting or drawing."""
    # Without partition all are in group 0, and what the first model is sorted by holds for all.
    by = {each.group: each.by for each in reversed(asked)}
    if len(candidates) == 1:
        return arrange(candidates, by[candidates[0].group], dice)
    equals: dict[tuple[int, ...], list[Candidate]] = {}
    for candidate in candidates:
        equals.setdefault(rank(candidate, named), []).append(candidate)
    steps: list[Step] = []
    for _, together in sorted(equals.items()) if len(equals) > 1 else equals.items():
        steps += arrange(together, by[together[0].group], dice)
    return steps


def _ordered(wish: ProviderPreferences, sifted: _Sifted, steps: Sequence[Step]) -> list[Candidate]:
    """String the steps together; what may not be asked after all is filtered out."""
    order = [step.candidates[index] for step in steps for index in step.order]
    if len(sifted.asked) > 1:
        order = _once(order)
    if not wish.allow_fallbacks and not wish.order:
        order = _first_of_each_model(order, sifted.filtered_out)
    return order


def _once(found: Sequence[Candidate]) -> list[Candidate]:
    """Leave out what comes again: one model may be named twice, in two spellings or at two prices."""
    first: dict[tuple[str, bool], Candidate] = {}
    for candidate in found:
        first.setdefault((candidate.endpoint.id, candidate.is_byok), candidate)
    return list(first.values())


def _first_of_each_model(found: Sequence[Candidate], filtered_out: list[FilteredOut]) -> list[Candidate]:
    """`allow_fallbacks: false` is about providers: other models may still be asked."""
    first: dict[str, Candidate] = {}
    for candidate in found:
        if first.setdefault(candidate.endpoint.model.slug, candidate) is not candidate:
            filtered_out.append(_filtered_out(candidate.endpoint, "allow_fallbacks", "is not the first"))
    return list(first.values())
