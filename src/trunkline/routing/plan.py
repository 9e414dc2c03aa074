"""Request + catalog + health + policy → the ordered attempts, and why they are in this order.

Models → their endpoints → filters (`sifting.py`) → ranks (`ranking.py`) → draws → attempts. Planning asks nobody and
changes nothing: the same arguments and the same dice give the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from trunkline.catalog.abilities import search_shortfall
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.preferences import Partition, ProviderPreferences
from trunkline.protocol.request import Request, Search
from trunkline.protocol.weighing import wanted_room
from trunkline.routing.affinity import Affinity, conversation
from trunkline.routing.explanation import By, Candidate, Explanation, FilteredOut, Step
from trunkline.routing.filters import ENDPOINTS_ALONE, ENGINE_TOO, NATIVE_ALONE, Listed, NativeSearch, listed
from trunkline.routing.health import Health, View
from trunkline.routing.measure import Measure, measure
from trunkline.routing.policy import Policy as Policy
from trunkline.routing.ranking import arrange, draw, expected_prices, has_cheap_cache, preference, rank, sort_figure
from trunkline.routing.sifting import Catalog as Catalog
from trunkline.routing.sifting import Kept, Sifted, filtered_out, room_tokens, sift, usual_key
from trunkline.stream.seals import provider_of, unseal

Offering = TypeVar("Offering", bound=Catalog)

Dice = Callable[[], float]
"""Uniform in [0, 1)."""

MAX_REMEMBERED: Final = 1_000
"""So many sorts of usual requests are remembered; when they are more, all are found out anew."""


class Reasons(Struct, frozen=True, gc=False):
    """What a plan was made of, as values: its explanation is made of them when somebody asks for it.

    `is_first_only`: of each model only the first may be asked.
    """

    sifted: Sifted
    input_tokens: int
    output_tokens: int
    steps: tuple[Step, ...]
    is_first_only: bool


class Plan(Struct, frozen=True, kw_only=True, gc=False):
    """The attempts in order, of which at most `max_attempts` are made.

    `is_byok` runs beside `attempts`: which of them use the account's own key. `conversations` names the conversation
    by model slug, to be kept in the affinity of the endpoint that serves it; it is empty where stickiness is off.
    """

    attempts: tuple[Endpoint, ...]
    is_byok: tuple[bool, ...] = ()
    max_attempts: int = 3
    partition: Partition = "model"
    conversations: Mapping[str, bytes] = {}
    reasons: Reasons | None = None

    @property
    def explanation(self) -> Explanation:
        """Why the attempts are in this order; made anew each time."""
        return explained(self.reasons)


def led_by(plan: Plan, endpoint: Endpoint) -> Plan:
    """The plan with an endpoint first, if it is in it: seals of thoughts and cached prompts are good there alone."""
    place = next((place for place, each in enumerate(plan.attempts) if each.id == endpoint.id), 0)
    if place == 0:
        return plan
    order = [place, *(each for each in range(len(plan.attempts)) if each != place)]
    is_byok = tuple([plan.is_byok[each] for each in order]) if plan.is_byok else ()
    return replace(plan, attempts=tuple([plan.attempts[each] for each in order]), is_byok=is_byok)


def kept_to(plan: Plan, is_meant: Callable[[Endpoint], bool]) -> Plan:
    """The plan without the endpoints that are not meant."""
    kept = [place for place, each in enumerate(plan.attempts) if is_meant(each)]
    if len(kept) == len(plan.attempts):
        return plan
    is_byok = tuple([plan.is_byok[place] for place in kept]) if plan.is_byok else ()
    return replace(plan, attempts=tuple([plan.attempts[place] for place in kept]), is_byok=is_byok)


class _Equals(Struct, frozen=True, gc=False):
    """Candidates of equal rank, in the catalog's order, and what they are sorted by."""

    candidates: tuple[Candidate, ...]
    by: By | None


class _Ranked(Struct, gc=False):
    """How the last of requests that are alike was ranked, good for the next that differs in nothing it was made of.

    `equals` are made of the issuer of its thought and of `views` of the endpoints, by model; `steps`, in which equals
    are yet to be drawn, of these and of the expected `tokens`, in and out. `settled` is the plan where nobody is drawn.
    """

    issuer: str | None
    views: Sequence[Sequence[View]]
    equals: Sequence[_Equals] = ()
    tokens: tuple[int, int] = (0, 0)
    steps: Sequence[Step] = ()
    settled: Plan | None = None


class _Alike(Struct, gc=False):
    """What requests that are alike have in common: who may serve them, while they need at most `room_tokens`.

    `last` is by who served the conversation last with each model.
    """

    sifted: Sifted
    room_tokens: int
    last: dict[tuple[str | None, ...], _Ranked] = {}


class _Preferred(Struct, gc=False):
    """What the places of candidates depend on, worked out once for all of them."""

    wish: ProviderPreferences
    policy: Policy
    health: Health
    now: float
    order: tuple[Listed, ...]
    issuer: str | None
    search: Search | None
    is_short: Callable[[Endpoint], bool] | None


@dataclass(slots=True, eq=False)
class Planner(Generic[Offering]):
    """Plans requests over the catalog in use, by what is known of its endpoints at the moment.

    It alone holds that catalog: whoever else needs it asks here, and `use` puts another in its place. `dice` are thrown
    where equals are drawn, `clock` is the one that health is told; without `affinity` no conversation is kept where it
    was. What usual requests that are alike have in common is remembered, and makes no other plan. `has_engine`: the
    gateway can search where an endpoint cannot.
    """

    catalog: Offering
    health: Health
    dice: Dice
    clock: Callable[[], float]
    affinity: Affinity | None = None
    has_engine: bool = False
    _known: dict[Hashable, _Alike] = field(default_factory=dict, init=False, repr=False)

    def use(self, catalog: Offering) -> None:
        """Plan over another catalog from now on; plans that were made stay as they are."""
        self.catalog = catalog
        self._known = {}

    def plan(self, request: Request, policy: Policy, *, is_native: bool = False) -> Plan:
        """Choose the endpoints for a request; `is_native`: its search is for those alone that have one of their own.

        Raises NotFound when no model is known or every endpoint was filtered out (then with metadata
        `available_providers`, `requested_providers`, `excluded_by` and `would_serve_without`), and BadRequest when no
        model is named, no context is large enough, nobody can make a search that is demanded, or something is asked
        for that is not configured in this gateway.
        """
        size = measure(request)
        key = usual_key(request, policy, size)
        alike = self._known.get(key)
        search = ENDPOINTS_ALONE if not self.has_engine else NATIVE_ALONE if is_native else ENGINE_TOO
        if alike is None or size.needed_tokens > alike.room_tokens:
            alike = self._find_out(request, policy, size, key, search)
        sifted, now = alike.sifted, self.clock()
        conversations, served_by = self._conversations(request, policy, sifted, now)
        issuer = None if size.sealed is None else _issuer(size.sealed, request.provider)
        views: list[Sequence[View]] = []
        for each in sifted.kept:
            views.append(self.health.views(each.ids, now))
        ranked = alike.last.get(served_by)
        if ranked is None or ranked.issuer != issuer or ranked.views != views:
            ranked = _Ranked(issuer, views)
            is_short = None if request.truncation != "auto" else partial(holds_too_little, request, size)
            ranked.equals = self._equals(request, policy, sifted, ranked, served_by, now, search.of(request), is_short)
            # Figures change with every request; what depends on them is never the same again.
            if not _needs_figures(request.provider, sifted):
                alike.last[served_by] = ranked
        tokens = (size.input_tokens, size.output_tokens)
        if ranked.tokens != tokens:
            ranked.tokens, ranked.steps = tokens, _steps(ranked.equals, *tokens)
            is_settled = all(step.order for step in ranked.steps)
            ranked.settled = self._drawn(request, policy, sifted, ranked) if is_settled else None
        plan = ranked.settled or self._drawn(request, policy, sifted, ranked)
        return replace(plan, conversations=conversations) if conversations else plan

    def sifted(self, request: Request, policy: Policy, models: tuple[str, ...]) -> Sifted:
        """Say who may serve a request if it named these models, without planning it.

        Raises as `plan` does.
        """
        bare = replace(request, model=None, models=(), plugins=())
        size = measure(bare)
        usual = usual_key(bare, policy, size)
        key = None if usual is None else (usual, models)
        alike = self._known.get(key)
        if alike is None or size.needed_tokens > alike.room_tokens:
            search = ENGINE_TOO if self.has_engine else ENDPOINTS_ALONE
            alike = self._find_out(replace(bare, models=models), policy, size, key, search)
        return alike.sifted

    def _find_out(self, request: Request, policy: Policy, size: Measure, key: Hashable, search: NativeSearch) -> _Alike:
        """Find out who may serve, and remember it where requests may be alike."""
        sifted = sift(request, policy, self.catalog, size, search)
        room = None if key is None else room_tokens(sifted)
        if room is None:
            return _Alike(sifted, 0)
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        found = self._known[key] = _Alike(sifted, room)
        return found

    def _conversations(
        self, request: Request, policy: Policy, sifted: Sifted, now: float
    ) -> tuple[dict[str, bytes], tuple[str | None, ...]]:
        """The conversation that goes on, by model slug, and who served it last with each model."""
        affinity = self.affinity
        conversations: dict[str, bytes] = {}
        served_by: list[str | None] = []
        for each in sifted.kept:
            if affinity is None or not each.has_cheap_cache or request.provider.order:
                served_by.append(None)
                continue
            model = each.endpoints[0].model.slug
            name = conversations[model] = conversation(request, policy.account, model)
            found = affinity.find(name, now)
            served_by.append(found if found in each.ids else None)
        return conversations, tuple(served_by)

    def _equals(
        self,
        request: Request,
        policy: Policy,
        sifted: Sifted,
        ranked: _Ranked,
        served_by: Sequence[str | None],
        now: float,
        search: Search | None,
        is_short: Callable[[Endpoint], bool] | None,
    ) -> Sequence[_Equals]:
        """Put candidates of equal rank together, from the best rank to the worst."""
        wish = request.provider
        order = tuple([listed((name,), self.catalog.provider_slug) for name in wish.order]) if wish.order else ()
        preferred = _Preferred(
            wish,
            policy,
            self.health,
            now,
            order,
            ranked.issuer,
            search,
            is_short,
        )
        candidates: list[Candidate] = []
        for kept, seen, served in zip(sifted.kept, ranked.views, served_by, strict=True):
            candidates += _candidates(kept, preferred, seen, served)
        return _equals(candidates, sifted.kept, len(order))

    def _drawn(self, request: Request, policy: Policy, sifted: Sifted, ranked: _Ranked) -> Plan:
        """Draw among equals, and take what comes of it as the plan."""
        wish = request.provider
        reasons = Reasons(
            sifted,
            *ranked.tokens,
            tuple([draw(step, self.dice) for step in ranked.steps]),
            not wish.allow_fallbacks and not wish.order,
        )
        order, _ = _ordered(reasons)
        return Plan(
            attempts=tuple([candidate.endpoint for candidate in order]),
            is_byok=tuple([candidate.is_byok for candidate in order]),
            max_attempts=policy.max_attempts,
            partition=sifted.partition,
            reasons=reasons,
        )


def _candidates(kept: Kept, preferred: _Preferred, views: Sequence[View], served_by: str | None) -> list[Candidate]:
    """Find out everything that the places of one model's endpoints depend on."""
    wish, policy, health, now = preferred.wish, preferred.policy, preferred.health, preferred.now
    order, issuer, search, is_short = preferred.order, preferred.issuer, preferred.search, preferred.is_short
    by, group = kept.asked.by, kept.asked.group
    has_preference = wish.preferred_max_latency is not None or wish.preferred_min_throughput is not None
    found: list[Candidate] = []
    for endpoint, endpoint_id, seen in zip(kept.endpoints, kept.ids, views, strict=True):
        candidate = Candidate(
            endpoint=endpoint,
            is_byok=False,
            condition=seen.condition,
            preference=preference(wish, endpoint_id, health, now) if has_preference else 0,
            group=group,
            place=_place(endpoint, order) if order else 0,
            issued=2 if issuer is None else _issued(issuer, endpoint_id),
            is_sticky=endpoint_id == served_by and has_cheap_cache(endpoint),
            cache_hit_rate=seen.cache_hit_rate,
            figure=None if by is None else sort_figure(by, endpoint_id, health, now),
            lacks_search=search is not None and search_shortfall(endpoint, search) is not None,
            is_short=is_short is not None and is_short(endpoint),
        )
        slug = endpoint.provider.slug
        if slug in policy.own_keys:
            found.append(replace(candidate, is_byok=True, condition=seen.own_condition))
            if slug in policy.own_keys_only or endpoint.needs_own_key:
                continue
        found.append(candidate)
    return found


def holds_too_little(request: Request, size: Measure, endpoint: Endpoint) -> bool:
    """Whether an endpoint's context likely cannot hold all of a request and its answer."""
    context = endpoint.context_tokens
    return context is not None and size.input_tokens + wanted_room(context, request) > context


def _place(endpoint: Endpoint, order: Sequence[Listed]) -> int:
    return next((place for place, meant in enumerate(order) if meant.has(endpoint)), len(order))


def _issuer(sealed: str, wish: ProviderPreferences) -> str | None:
    """The endpoint that issued an encrypted thought; None where nobody knows, or `order` goes before it."""
    seal = None if wish.order else unseal(sealed)
    return None if seal is None else seal.endpoint_id


def _needs_figures(wish: ProviderPreferences, sifted: Sifted) -> bool:
    """Whether places depend on latency or throughput, which change with every request."""
    return (
        wish.preferred_max_latency is not None
        or wish.preferred_min_throughput is not None
        or any(each.asked.by in ("latency", "throughput") for each in sifted.kept)
    )


def _issued(issuer: str, endpoint_id: str) -> int:
    """0 for the endpoint that issued a thought, 1 for the others of its provider, which share its keys."""
    if issuer == endpoint_id:
        return 0
    return 1 if provider_of(issuer) == provider_of(endpoint_id) else 2


def _equals(candidates: Sequence[Candidate], kept: Sequence[Kept], named: int) -> Sequence[_Equals]:
    # Without partition all are in group 0, and what the first model is sorted by holds for all.
    by = {each.asked.group: each.asked.by for each in reversed(kept)}
    found: dict[tuple[int, ...], list[Candidate]] = {}
    for candidate in candidates:
        found.setdefault(rank(candidate, named), []).append(candidate)
    return [_Equals(tuple(together), by[together[0].group]) for _, together in sorted(found.items())]


def _steps(equals: Sequence[_Equals], input_tokens: int, output_tokens: int) -> Sequence[Step]:
    """Sort equals, or weigh them, by what they are expected to cost."""
    if len(equals) == 1 and len(equals[0].candidates) == 1:
        return [Step(equals[0].by, equals[0].candidates, (0,))]
    steps: list[Step] = []
    for each in equals:
        steps += arrange(each.candidates, expected_prices(each.candidates, input_tokens, output_tokens), each.by)
    return steps


def explained(reasons: Reasons | None) -> Explanation:
    """Put the reasons together with what follows from them."""
    if reasons is None:
        return Explanation()
    sifted = reasons.sifted
    order, cut = _ordered(reasons)
    return Explanation(
        models=sifted.models,
        partition=sifted.partition,
        input_tokens=reasons.input_tokens,
        output_tokens=reasons.output_tokens,
        filters=sifted.filters,
        filtered_out=(*sifted.filtered_out, *cut),
        steps=reasons.steps,
        order=tuple(order),
        prices=expected_prices(order, reasons.input_tokens, reasons.output_tokens),
    )


def _ordered(reasons: Reasons) -> tuple[list[Candidate], list[FilteredOut]]:
    """String the steps together; what may not be asked after all is filtered out."""
    order = [step.candidates[index] for step in reasons.steps for index in step.order]
    if len(reasons.sifted.kept) > 1:
        order = _once(order)
    return _first_of_each_model(order) if reasons.is_first_only else (order, [])


def _once(found: Sequence[Candidate]) -> list[Candidate]:
    """Leave out what comes again: one model may be named twice, in two spellings or at two prices."""
    first: dict[tuple[str, bool], Candidate] = {}
    for candidate in found:
        first.setdefault((candidate.endpoint.id, candidate.is_byok), candidate)
    return list(first.values())


def _first_of_each_model(found: Sequence[Candidate]) -> tuple[list[Candidate], list[FilteredOut]]:
    """`allow_fallbacks: false` is about providers: other models may still be asked."""
    first: dict[str, Candidate] = {}
    cut: list[FilteredOut] = []
    for candidate in found:
        if first.setdefault(candidate.endpoint.model.slug, candidate) is not candidate:
            cut.append(filtered_out(candidate.endpoint, "allow_fallbacks", "is not the first"))
    return list(first.values()), cut
