"""The auto-router: who may be chosen for a request that names no model but it, who is, and what is said of that.

Who may serve is the planner's to say, so that policy, preferences and abilities hold here as everywhere; how hard the
prompt is and who is good enough is `router.py`'s. A session keeps its model while that may serve and nothing harder is
asked, for a prompt cache that is lost costs more than a cheaper model saves.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import Final, NamedTuple

from msgspec.structs import replace

from trunkline.catalog.entries import Catalog, Endpoint, Modality, per_endpoint
from trunkline.catalog.lookup import is_auto
from trunkline.catalog.quality import Quality, guess
from trunkline.errors import BadRequest, ClientError, NotFound
from trunkline.generation import Noted
from trunkline.plugins.router import (
    TIERS,
    Choice,
    Contender,
    Difficulty,
    Tier,
    choose,
    need_of,
    weighed,
)
from trunkline.protocol.preferences import AutoRouterPlugin
from trunkline.protocol.request import Request
from trunkline.routing.affinity import MAX_CONVERSATIONS, TTL_S, conversation
from trunkline.routing.filters import glob, rates, soft_parameters, supports
from trunkline.routing.health import OUTAGE, View
from trunkline.routing.measure import Measure, measure
from trunkline.routing.plan import Planner, holds_too_little
from trunkline.routing.policy import Policy
from trunkline.routing.refusal import NoEndpoint
from trunkline.routing.sifting import Kept, Sifted
from trunkline.settings.router_sections import AutoRouterSettings

NO_MATCH: Final = "No models match your request and model restrictions"
MOST_TOLD: Final = 12
"""So many of those who were considered are told, from the first on."""

FAKE_AUTHOR: Final = "fake/"

_MOST_LISTED: Final = 1_000
"""Of so many sets of own keys the candidates are remembered."""

_MOST_TABLES: Final = 100

_PLUGIN: Final = AutoRouterPlugin()
_NOBODY: Final[frozenset[str]] = frozenset()
_TEXT_ALONE: Final[frozenset[Modality]] = frozenset()
_DAY: Final = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")


class Routed(NamedTuple):
    """A request with the models that were chosen for it, and what is said of that."""

    request: Request
    noted: Noted


class _Kept(NamedTuple):
    """What a session was given last."""

    model: str
    tier: Tier
    until: float


class _Row(NamedTuple):
    """What of a candidate does not depend on the prompt; `prices` are None where some depend on its length."""

    model: str
    quality: Quality
    kept: Kept
    prices: tuple[tuple[float, float, float] | None, ...] | None


class _Table(NamedTuple):
    """The candidates that the planner lets pass, and all their endpoints with their ids.

    It is found by the id of `sifted`, which is nobody else's while it is here. `shortest` has the shortest context;
    `able` are those who support what was wished for so far.
    """

    sifted: Sifted
    rows: tuple[_Row, ...]
    endpoints: tuple[Endpoint, ...]
    ids: tuple[str, ...]
    shortest: Endpoint
    able: dict[tuple[str, ...], frozenset[str]]


class AutoRouter:
    """Chooses models by settings and by facts of their quality; remembers the choice of each session for a while.

    `weigh` says how hard a request is.
    """

    def __init__(
        self,
        settings: AutoRouterSettings,
        facts: Mapping[str, Quality],
        weigh: Callable[[Request], Difficulty] = weighed,
    ) -> None:
        self._settings = settings
        self._weigh = weigh
        own = {slug.strip().lower(): Quality(value, "settings") for slug, value in settings.quality.items()}
        self._known = {**facts, **own}
        self._sessions: OrderedDict[bytes, _Kept] = OrderedDict()
        self._catalog: Catalog | None = None
        self._listed: dict[frozenset[str], tuple[str, ...]] = {}
        self._tables: dict[int, _Table] = {}

    def route(self, request: Request, policy: Policy, planner: Planner[Catalog], *, remembers: bool) -> Routed:
        """Put chosen models in the place of the auto-router's name, which the request has, or leaves to a default.

        Nothing is kept of a session unless it `remembers`. Raises NotFound where nobody may be chosen, BadRequest where
        nothing is to be chosen and no models are configured, and what the planner says of a request that none of them
        can serve.
        """
        catalog = planner.catalog
        names = [name for name in (request.model, *request.models) if name]
        names = names or [name for name in (policy.default_model or catalog.default_model,) if name]
        place = next(place for place, name in enumerate(names) if is_auto(name))
        named = [name for name in names if not is_auto(name)]
        suffix = names[place].partition(":")[2].strip().lower()
        plugin = next((each for each in request.plugins if type(each) is AutoRouterPlugin), _PLUGIN)
        models = self._allowed(catalog, policy, plugin)
        if not plugin.enabled:
            models = self._first_configured(models)
            noted: dict[str, object] = {"model": models[0], "models": list(models), "why": "it is off for this request"}
        else:
            try:
                models, noted = self._chosen(request, policy, planner, models, suffix, remembers=remembers)
            except ClientError as error:
                if not named:
                    raise
                # As any other model that may not serve, it is passed over where the request names one that may.
                models, noted = (), {"model": named[0], "models": [], "why": error.message}
        put = [_with_suffix(model, suffix) for model in models]
        asked = list(dict.fromkeys([*named[:place], *put, *named[place:]]))
        return Routed(replace(request, model=asked[0], models=tuple(asked[1:])), {"auto_router": noted})

    def candidates(self, catalog: Catalog, own_keys: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """The models that may be chosen at all; worked out once for each catalogue and the providers of own keys."""
        if self._catalog is not catalog or len(self._listed) >= _MOST_LISTED:
            self._catalog, self._listed, self._tables = catalog, {}, {}
        elif (known := self._listed.get(own_keys)) is not None:
            return known
        given = self._settings.models or self._known
        found = [slug for name in given if (slug := _slug_of(catalog, name, own_keys)) is not None]
        if not self._settings.models:
            # One that stands for a day is the same model: it would be a fallback in name alone.
            found = [slug for slug in found if not slug.startswith(FAKE_AUTHOR) and not _is_dated(slug, found)]
        models = self._listed[own_keys] = tuple(dict.fromkeys(found))
        return models

    def _allowed(self, catalog: Catalog, policy: Policy, plugin: AutoRouterPlugin) -> tuple[str, ...]:
        """The candidates that the request allows. Raises NotFound where there is none."""
        models = self.candidates(catalog, policy.own_keys)
        wanted = plugin.allowed_models
        if not wanted:
            if not models:
                raise NotFound(
                    f"{NO_MATCH}: the auto-router has no model to choose from. Turn a provider on whose models were "
                    "measured, or name candidates in the settings ([plugins.auto_router] models).",
                    metadata={"suggestions": []},
                )
            return models
        matches = glob(wanted)
        allowed = [slug for slug in models if matches(slug) or matches(slug.partition(":")[0])]
        if not self._settings.models:
            allowed += [slug for slug in self._named(catalog, wanted, policy) if slug not in allowed]
        if not allowed:
            told = ", ".join([repr(name[:100]) for name in wanted[:5]])
            few = f", as {', '.join(models[:3])}" if models else ""
            message = f"{NO_MATCH}: allowed_models ({told}) fits none of {len(models)} candidates{few}."
            raise NotFound(message, metadata={"suggestions": []})
        return tuple(allowed)

    def _named(self, catalog: Catalog, wanted: Sequence[str], policy: Policy) -> Iterator[str]:
        """Models that the request names in full, of which no quality is known; FakeProvider's are none of them."""
        for name in wanted:
            slug = None if "*" in name else _slug_of(catalog, name, policy.own_keys)
            if slug is not None and not slug.startswith(FAKE_AUTHOR):
                yield slug

    def _first_configured(self, models: tuple[str, ...]) -> tuple[str, ...]:
        """The first of the operator's list, for a request that wants nothing chosen. Raises BadRequest without one."""
        if not self._settings.models:
            raise BadRequest(
                "plugins: the auto-router is off for this request, and this gateway has no list of models for it "
                "([plugins.auto_router] models); name a model, or leave enabled out.",
                param="plugins",
            )
        return models[:1]

    def _chosen(
        self,
        request: Request,
        policy: Policy,
        planner: Planner[Catalog],
        models: tuple[str, ...],
        suffix: str,
        *,
        remembers: bool,
    ) -> tuple[tuple[str, ...], dict[str, object]]:
        """Choose, and say how that came about."""
        found = self._contenders(request, policy, planner, models, suffix)
        try:
            hard = self._weigh(request)
        except Exception as error:  # a rule of ours that is wrong costs nobody an answer: the first in the list serves
            first = tuple([each.model for each in found[: 1 + self._settings.fallbacks]])
            return first, {"model": first[0], "models": list(first), "why": f"its rules failed: {type(error).__name__}"}
        need = need_of(hard.tier, self._settings.preference)
        choice = choose(found, need, self._settings.fallbacks)
        kept = self._go_on(request, policy, planner.clock(), hard.tier, choice, remembers=remembers)
        if kept is not None:
            others = tuple([model for model in choice.models if model != kept])
            choice = choice._replace(models=(kept, *others)[: 1 + self._settings.fallbacks])
        return choice.models, _told(hard, choice, self._settings.preference, is_kept=kept is not None)

    def _contenders(
        self, request: Request, policy: Policy, planner: Planner[Catalog], models: tuple[str, ...], suffix: str
    ) -> list[Contender]:
        """Those that may serve, with their quality and what the request is expected to cost there."""
        variant = _without_online(suffix)
        names = tuple([f"{model}:{variant}" for model in models]) if variant else models
        try:
            sifted = planner.sifted(request, policy, names)
        except NoEndpoint as error:
            message = f"{NO_MATCH}. {error.message}"
            raise NoEndpoint(message, error.explanation, metadata=error.metadata) from None
        except NotFound:  # the candidates are all known, so it is what stands behind their names
            message = f"{NO_MATCH}: no candidate has a variant {suffix[:100]!r}."
            raise NotFound(message, metadata={"suggestions": []}) from None
        size, table = measure(request), self._table(sifted, len(variant) + 1 if variant else 0)
        out = _out(table, policy, planner.health.views(table.ids, planner.clock()))
        able = _able(table, _wished(request))
        # Most requests are of text and short: they fit everybody, where they fit whose context is the shortest.
        is_easy = not size.modalities and not holds_too_little(request, size, table.shortest)
        found: list[Contender] = []
        down: list[Contender] = []
        for row in table.rows:
            ends = row.kept.endpoints
            is_fit = not able.isdisjoint(row.kept.ids) and (
                is_easy or any(each.id in able and _takes_all(each, request, size) for each in ends)
            )
            contender = Contender(row.model, row.quality.value, row.quality.source, _least_usd(row, size), is_fit)
            (down if out and out.issuperset(row.kept.ids) else found).append(contender)
        return found or down

    def _table(self, sifted: Sifted, surplus: int) -> _Table:
        """What is known of those who may serve, worked out once for requests of which the planner says the same.

        `surplus`: so many characters at the end of their names are a variant.
        """
        table = self._tables.get(id(sifted))
        if table is None:
            if len(self._tables) >= _MOST_TABLES:
                self._tables.clear()
            rows = tuple([self._row(kept, surplus) for kept in sifted.kept if kept.endpoints])
            endpoints = tuple([each for row in rows for each in row.kept.endpoints])
            ids = tuple([each for row in rows for each in row.kept.ids])
            table = self._tables[id(sifted)] = _Table(sifted, rows, endpoints, ids, min(endpoints, key=_context), {})
        return table

    def _row(self, kept: Kept, surplus: int) -> _Row:
        name, endpoints = kept.asked.name, kept.endpoints
        model = name[:-surplus] if surplus else name
        quality = self._known.get(model) or self._known.get(model.partition(":")[0]) or guess(endpoints)
        prices = None if any(_has_tiers(each) for each in endpoints) else tuple(dict.fromkeys(map(_price, endpoints)))
        return _Row(model, quality, kept, prices)

    def _go_on(
        self, request: Request, policy: Policy, now: float, tier: Tier, choice: Choice, *, remembers: bool
    ) -> str | None:
        """The model that the session goes on with, where it is to; and keep what this request is given."""
        if not (request.session_id or request.prompt_cache_key):
            return None
        name = conversation(request, policy.account, "trunkline/auto")
        before = self._sessions.get(name)
        model, highest = choice.models[0], tier
        kept: str | None = None
        is_no_harder = before is not None and now < before.until and TIERS.index(tier) <= TIERS.index(before.tier)
        if before is not None and is_no_harder and any(each.model == before.model for each in choice.considered):
            kept = model = before.model
            highest = before.tier
        if remembers:
            self._sessions[name] = _Kept(model, highest, now + TTL_S)
            self._sessions.move_to_end(name)
            if len(self._sessions) > MAX_CONVERSATIONS:
                self._sessions.popitem(last=False)
        return kept


def _slug_of(catalog: Catalog, name: str, own_keys: frozenset[str]) -> str | None:
    """The slug of a model that can be called, by its slug with or without a variant; None where nobody serves it."""
    slug = name.strip().lower()
    if slug in catalog.endpoints or slug in catalog.by_name:
        return slug
    keyless = catalog.keyless.get(slug, ()) if own_keys else ()
    return slug if any(each.provider.slug in own_keys for each in keyless) else None


def _wished(request: Request) -> tuple[str, ...]:
    """What a request would like beyond what routing insists on, by the names of parameters."""
    wished = soft_parameters(request)
    if request.reasoning is not None and request.reasoning.effort not in (None, "none"):
        wished = [*wished, "reasoning"]
    return tuple(wished)


def _able(table: _Table, wished: tuple[str, ...]) -> frozenset[str]:
    """The ids of the endpoints that support all that is wished for, of which there are few kinds."""
    able = table.able.get(wished)
    if able is None:
        found = [each.id for each in table.endpoints if all(supports(each, name) for name in wished)]
        able = table.able[wished] = frozenset(found)
    return able


def _takes_all(endpoint: Endpoint, request: Request, size: Measure) -> bool:
    """Whether an endpoint likely takes all of a request.

    Who does not say whether it reads a medium is tried by routing; here those go first that say so.
    """
    reads = size.modalities <= (endpoint.input_modalities or _TEXT_ALONE)
    return reads and not holds_too_little(request, size, endpoint)


def _is_dated(slug: str, slugs: Sequence[str]) -> bool:
    """Whether a slug is that of another model with a day behind it."""
    return (plain := _DAY.sub("", slug)) != slug and plain in slugs


def _with_suffix(model: str, suffix: str) -> str:
    return f"{model}:{suffix}" if suffix else model


def _without_online(suffix: str) -> str:
    """The suffixes without the search, which is no matter of who may serve: it is made around the model, or refused."""
    return ":".join([each for each in suffix.split(":") if each.strip() != "online"])


@per_endpoint
def _price(endpoint: Endpoint) -> tuple[float, float, float] | None:
    """USD per token in and out, and per request, for a short input; None where no price is known."""
    price = endpoint.price
    return None if price is None else (float(price.input), float(price.output), float(price.request or 0))


def _context(endpoint: Endpoint) -> float:
    return inf if endpoint.context_tokens is None else endpoint.context_tokens


def _has_tiers(endpoint: Endpoint) -> bool:
    return endpoint.price is not None and bool(endpoint.price.tiers)


def _least_usd(row: _Row, size: Measure) -> float | None:
    """What a request is expected to cost at the least, as `ranking.py` expects it but for what a cache saves."""
    into, out = size.input_tokens, size.output_tokens
    least = inf
    for known in row.prices if row.prices is not None else [_price_at(each, into) for each in row.kept.endpoints]:
        if known is not None:
            usd = known[0] * into + known[1] * out + known[2]
            if 0 <= usd < least:
                least = usd
    return None if least == inf else least


def _price_at(endpoint: Endpoint, input_tokens: int) -> tuple[float, float, float] | None:
    """The same for an input of that size."""
    known = _price(endpoint)
    if known is None or endpoint.price is None or not endpoint.price.tiers:
        return known
    tier = rates(endpoint.price, input_tokens)
    return float(tier.input), float(tier.output), known[2]


def _out(table: _Table, policy: Policy, views: Sequence[View]) -> frozenset[str]:
    """The ids of endpoints that are out to whoever asks: to who brings a key, its own condition counts as well."""
    if not policy.own_keys and max([view.condition for view in views]) < OUTAGE:
        return _NOBODY
    out: list[str] = []
    for endpoint, name, view in zip(table.endpoints, table.ids, views, strict=True):
        slug, condition = endpoint.provider.slug, view.condition
        if slug in policy.own_keys:
            is_theirs_alone = slug in policy.own_keys_only or endpoint.needs_own_key
            condition = view.own_condition if is_theirs_alone else min(condition, view.own_condition)
        if condition >= OUTAGE:
            out.append(name)
    return frozenset(out)


def _told(hard: Difficulty, choice: Choice, preference: float, *, is_kept: bool) -> dict[str, object]:
    """Put a choice into plain values that JSON can hold."""
    why = f"{choice.models[0]} was chosen for this session before" if is_kept else choice.reason
    return {
        "model": choice.models[0],
        "models": list(choice.models),
        "tier": hard.tier,
        "difficulty": hard.points,
        "terms": [{"term": term.name, "value": term.value, "points": term.points} for term in hard.terms],
        "need": choice.need,
        "preference": preference,
        "is_kept": is_kept,
        "why": why,
        "considered": len(choice.considered),
        "candidates": [
            {
                "model": each.model,
                "quality": each.quality,
                "source": each.source,
                "expected_usd": each.usd and round(each.usd, 10),
            }
            for each in choice.considered[:MOST_TOLD]
        ],
    }
