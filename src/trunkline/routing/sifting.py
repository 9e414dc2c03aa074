"""Which endpoints of which models may serve a request: what it names, and what the filters let pass.

In which order they are asked is `ranking.py`'s and `plan.py`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from msgspec import Struct

from trunkline.catalog.entries import Endpoint
from trunkline.errors import BadRequest, ClientError, NotFound
from trunkline.protocol.extensions import bound_to_anthropic
from trunkline.protocol.preferences import NO_PREFERENCES, Partition, ProviderPreferences
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionTool
from trunkline.routing.explanation import By, Explanation, FilteredOut
from trunkline.routing.filters import CONTEXT_LENGTH, Filter, NativeSearch, filters, soft_parameters, supports
from trunkline.routing.measure import Measure
from trunkline.routing.policy import Policy
from trunkline.routing.ranking import has_cheap_cache
from trunkline.routing.refusal import refuse
from trunkline.routing.unconfigured import refuse_unconfigured
from trunkline.routing.variants import SORTED, narrowing, resolve

_ROUTES: Final[Mapping[str, Partition]] = {"fallback": "model", "sort": "none"}
_MAX_NAMES: Final = 16
_MAX_NAME: Final = 200
_ENDLESS: Final = 2**63


class Catalog(Protocol):
    """What planning asks of the catalog."""

    @property
    def default_model(self) -> str | None: ...

    def endpoints_of(self, model: str, own_keys: Collection[str] = ()) -> tuple[Endpoint, ...]:
        """With the endpoints of providers that lack nothing but a key, where the account brings it.

        Raises NotFound; its metadata has `suggestions` when the model is unknown and not merely off.
        """
        ...

    def provider_slug(self, name: str) -> str:
        """Normalise a provider's name in any spelling; a variant after a slash is kept."""
        ...


class Asked(Struct, frozen=True, gc=False):
    """One model of the request: its place, its endpoints, what its suffixes wish, and what it is sorted by."""

    name: str
    group: int
    endpoints: tuple[Endpoint, ...]
    wishes: tuple[str, ...]
    by: By | None


class Kept(Struct, frozen=True, gc=False):
    """The endpoints of one model that may serve, and their ids; `has_cheap_cache`: one of them has."""

    asked: Asked
    endpoints: tuple[Endpoint, ...]
    ids: tuple[str, ...]
    has_cheap_cache: bool


class Sifted(Struct, frozen=True, gc=False):
    """The endpoints of each model that the filters let pass, the filters by name, and what they did not let pass."""

    kept: tuple[Kept, ...]
    partition: Partition
    filters: tuple[str, ...]
    filtered_out: tuple[FilteredOut, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models, as they were asked for."""
        return tuple([each.asked.name for each in self.kept])


def sift(request: Request, policy: Policy, catalog: Catalog, size: Measure, search: NativeSearch) -> Sifted:
    """Find the models that are asked for and let the filters at their endpoints.

    Raises NotFound and BadRequest, as `Planner.plan` says.
    """
    partition = _partition(request)
    asked = _asked(request, policy, catalog, partition)
    active = filters(request, policy, catalog.provider_slug, size, search)
    soft = soft_parameters(request)
    filtered_out: list[FilteredOut] = []
    kept = tuple([_kept(each, active, soft, filtered_out) for each in asked])
    if not any(each.endpoints for each in kept):
        raise _refusal(request, asked, active, size, filtered_out)
    return Sifted(kept, partition, tuple([each.name for each in active]), tuple(filtered_out))


def usual_key(request: Request, policy: Policy, size: Measure) -> Hashable:
    """All that `sift` looks at in a usual request but `size.needed_tokens`; None where a request is not usual.

    Usual is one model, its default included, without plugins, media and search, in words that every dialect knows, and
    with an input that stays as long as it is; and a few preferences that ask the same of every request.
    """
    name, wish = request.model, request.provider
    if (
        request.models
        or request.route is not None
        or request.plugins
        or request.modalities
        or request.has_extensions
        or (request.anthropic is not None and bound_to_anthropic(request))
        or request.has_prefill
        or request.truncation == "auto"
        or size.modalities
        or (name is not None and len(name) > _MAX_NAME)
        or (wish is not NO_PREFERENCES and not _is_usual(wish))
    ):
        return None
    for tool in request.tools:
        if type(tool) is not FunctionTool:
            return None
    soft = () if request.text is None else tuple(soft_parameters(request))
    limit = None if request.limit_is_wish else request.max_output_tokens
    return name, wish, policy, bool(request.tools), limit, soft


def room_tokens(sifted: Sifted) -> int | None:
    """The longest input and output together that is sifted alike; None where it is too long for somebody already."""
    earlier = sifted.filters[: sifted.filters.index(CONTEXT_LENGTH)]
    # Who was removed later might be removed by its context instead: the explanation would name another filter.
    removed: set[str] = set()
    for each in sifted.filtered_out:
        if each.filter == CONTEXT_LENGTH:
            return None
        if each.filter in earlier:
            removed.add(each.endpoint_id)
    passed = [one for kept in sifted.kept for one in kept.asked.endpoints if one.id not in removed]
    return min([one.context_tokens for one in passed if one.context_tokens is not None], default=_ENDLESS)


def filtered_out(endpoint: Endpoint, name: str, reason: str) -> FilteredOut:
    """Note that a filter removed an endpoint."""
    return FilteredOut(endpoint.id, endpoint.provider.slug, endpoint.model.slug, name, reason)


def _is_usual(wish: ProviderPreferences) -> bool:
    """Whether preferences ask the same of every request, and are few enough to be remembered."""
    names = (*wish.only, *wish.ignore, *wish.order, *wish.quantizations)
    return (
        wish.max_price is None
        and not wish.require_parameters
        and len(names) <= _MAX_NAMES
        and all(len(name) <= _MAX_NAME for name in names)
    )


def _partition(request: Request) -> Partition:
    sort = request.provider.sort
    if sort is not None and sort.partition is not None:
        return sort.partition
    return "model" if request.route is None else _ROUTES[request.route]


def _asked(request: Request, policy: Policy, catalog: Catalog, partition: Partition) -> list[Asked]:
    first, more = request.model, request.models
    names = [first] if first and not more else list(dict.fromkeys([name for name in (first, *more) if name]))
    if not names:
        default = policy.default_model or catalog.default_model
        if default is None:
            raise BadRequest("No model is named, and this gateway has no default model.", param="model")
        names = [default]
    refuse_unconfigured(names)
    found: list[Asked] = []
    wishes: tuple[str, ...] = ()
    off: NotFound | None = None
    endpoints_of = catalog.endpoints_of
    if policy.own_keys:
        endpoints_of = partial(catalog.endpoints_of, own_keys=policy.own_keys)
    for place, name in enumerate(names):
        try:
            if ":" in name:
                endpoints, wishes = resolve(name, endpoints_of)
            else:
                endpoints, wishes = endpoints_of(name), ()
        except NotFound as error:
            # A mistyped fallback is told; one whose providers are merely off, or that is gone, is passed over.
            if "suggestions" in error.metadata and "retired_on" not in error.metadata:
                raise
            off = off or error
            continue
        group = place if partition == "model" else 0
        found.append(Asked(name, group, endpoints, wishes, _by(request.provider, wishes)))
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


def _kept(asked: Asked, active: Sequence[Filter], soft: Sequence[str], removed: list[FilteredOut]) -> Kept:
    """Apply the filters to one model's endpoints."""
    if asked.wishes:
        active = [*active, *narrowing(asked.wishes, asked.endpoints)]
    kept: list[Endpoint] = []
    for endpoint in asked.endpoints:
        for name, check in active:
            reason = check(endpoint)
            if reason is not None:
                removed.append(filtered_out(endpoint, name, reason))
                break
        else:
            kept.append(endpoint)
    for parameter in soft:
        better = [endpoint for endpoint in kept if supports(endpoint, parameter)]
        if better and len(better) < len(kept):
            reason = f"does not support {parameter}, and others do"
            removed += [filtered_out(each, parameter, reason) for each in kept if not supports(each, parameter)]
            kept = better
    return Kept(asked, tuple(kept), tuple([each.id for each in kept]), any(map(has_cheap_cache, kept)))


def _refusal(
    request: Request, asked: Sequence[Asked], active: Sequence[Filter], size: Measure, removed: Sequence[FilteredOut]
) -> ClientError:
    filtered = [(each.endpoints, [*active, *narrowing(each.wishes, each.endpoints)]) for each in asked]
    explanation = Explanation(
        models=tuple([each.name for each in asked]),
        input_tokens=size.input_tokens,
        output_tokens=size.output_tokens,
        filters=tuple(dict.fromkeys([name for _, found in filtered for name, _ in found])),
        filtered_out=tuple(removed),
    )
    return refuse(request, filtered, explanation)
