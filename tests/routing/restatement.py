"""The rules of routing once more: slow, plain, and written from the semantics without looking at the code.

A model's endpoints are filtered by one list of sentences; what is left is split again and again – those that are up
before those that are not, those that keep a preference before those that may – and each heap of equals is sorted or
drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.preferences import Cutoffs
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionTool, JsonSchemaFormat
from trunkline.routing.health import CONDITIONS, Health
from trunkline.routing.policy import Policy


class Ticket(NamedTuple):
    """One possible attempt."""

    model: int
    endpoint: Endpoint
    own_key: bool


def planned(
    request: Request,
    policy: Policy,
    models: Sequence[Sequence[Endpoint]],
    health: Health,
    dice: Iterator[float],
    now: float,
    served_by: str | None = None,
) -> list[tuple[str, bool]]:
    """The attempts as (endpoint id, uses the account's own key); empty when nobody may serve."""
    wish = request.provider
    said = [part for item in request.input if isinstance(item, Message) for part in item.content]
    characters = len(request.instructions or "") + sum(len(part.text) for part in said if isinstance(part, InputText))
    tickets: list[Ticket] = []
    for number, endpoints in enumerate(models):
        allowed = [one for one in endpoints if may_serve(one, request, policy, characters)]
        for one in with_soft_parameters(allowed, request):
            own = one.provider.slug in policy.own_keys
            if own:
                tickets.append(Ticket(number, one, True))
            if not (own and one.provider.slug in policy.own_keys_only):
                tickets.append(Ticket(number, one, False))

    expected_in = max(characters // 4, 300)
    expected_out = expected_in // 3
    if request.max_output_tokens is not None:
        expected_out = min(expected_out, request.max_output_tokens)

    def price(ticket: Ticket) -> Fraction | None:
        listed = ticket.endpoint.price
        if listed is None:
            return None
        hits = (
            Fraction(health.cache_hit_rate(ticket.endpoint.id, now)) if listed.cache_read is not None else Fraction(0)
        )
        fresh = Fraction(listed.input) * (1 - hits)
        cached = Fraction(listed.cache_read or 0) * hits
        return (fresh + cached) * expected_in + Fraction(listed.output) * expected_out + Fraction(listed.request)

    def condition(ticket: Ticket) -> str:
        return CONDITIONS[health.condition(ticket.endpoint.id, now, is_byok=ticket.own_key)]

    def ejected(ticket: Ticket) -> int:
        return int(condition(ticket) == "ejected")

    def outage(ticket: Ticket) -> int:
        if any(named(entry, ticket.endpoint) for entry in wish.order):
            return 0
        return int(condition(ticket) == "outage")

    def performance(ticket: Ticket) -> int:
        return max(
            against(wish.preferred_max_latency, ticket, lambda i, s: health.latency(i, s, now), at_most=True),
            against(wish.preferred_min_throughput, ticket, lambda i, s: health.throughput(i, s, now), at_most=False),
        )

    def model(ticket: Ticket) -> int:
        return 0 if partition(request) == "none" else ticket.model

    def key(ticket: Ticket) -> int:
        return 0 if ticket.own_key else 1

    def listed_place(ticket: Ticket) -> int:
        places = [place for place, entry in enumerate(wish.order) if named(entry, ticket.endpoint)]
        return places[0] if places else len(wish.order)

    def stickiness(ticket: Ticket) -> int:
        listed = ticket.endpoint.price
        cheap = listed is not None and listed.cache_read is not None and listed.cache_read < listed.input
        return 0 if cheap and not wish.order and ticket.endpoint.id == served_by else 1

    def uptime(ticket: Ticket) -> int:
        return {"degraded": 1, "fallback_only": 2}.get(condition(ticket), 0)

    def equals(heap: list[Ticket]) -> list[Ticket]:
        by = None if wish.order or wish.sort is None else wish.sort.by
        by_price = sorted(heap, key=lambda t: (price(t) is None, price(t) or 0))
        match by:
            case "price":
                return by_price
            case "latency":
                known = [t for t in by_price if health.latency(t.endpoint.id, 0.5, now) is not None]
                known.sort(key=lambda t: health.latency(t.endpoint.id, 0.5, now) or 0)
                return known + [t for t in by_price if t not in known]
            case "throughput":
                known = [t for t in by_price if health.throughput(t.endpoint.id, 0.5, now) is not None]
                known.sort(key=lambda t: -(health.throughput(t.endpoint.id, 0.5, now) or 0))
                return known + [t for t in by_price if t not in known]
            case None:
                free = [ticket for ticket in heap if price(ticket) == 0]
                rest = [ticket for ticket in heap if price(ticket) != 0]
                return drawn(free, [Fraction(1)] * len(free), dice) + drawn(rest, weights([*map(price, rest)]), dice)

    order = split(tickets, [ejected, outage, performance, model, key, listed_place, stickiness, uptime], equals)
    if not wish.allow_fallbacks and not wish.order:
        order = [t for place, t in enumerate(order) if t.model not in [earlier.model for earlier in order[:place]]]
    return [(ticket.endpoint.id, ticket.own_key) for ticket in order]


def split(
    heap: list[Ticket], sayings: Sequence[Callable[[Ticket], int]], equals: Callable[[list[Ticket]], list[Ticket]]
) -> list[Ticket]:
    """Those of whom the first saying says least come first; among them the next saying decides."""
    if not heap:
        return []
    if not sayings:
        return equals(heap)
    says, *others = sayings
    found: list[Ticket] = []
    for level in sorted({says(ticket) for ticket in heap}):
        found += split([ticket for ticket in heap if says(ticket) == level], others, equals)
    return found


def drawn(heap: list[Ticket], weights: list[Fraction], dice: Iterator[float]) -> list[Ticket]:
    """One after the other, without putting back."""
    left, order = [*zip(heap, weights, strict=True)], []
    while len(left) > 1:
        mark = Fraction(next(dice)) * sum(weight for _, weight in left)
        passed = Fraction(0)
        for pair in left:
            passed += pair[1]
            if mark < passed:
                break
        left.remove(pair)
        order.append(pair[0])
    return order + [ticket for ticket, _ in left]


def weights(prices: list[Fraction | None]) -> list[Fraction]:
    """One over price squared; who has no price counts as the dearest."""
    known = [price for price in prices if price is not None]
    dearest = max(known) if known else Fraction(1)
    return [1 / (dearest if price is None else price) ** 2 for price in prices]


def may_serve(one: Endpoint, request: Request, policy: Policy, characters: int) -> bool:
    """Whether an endpoint passes everything that is not a matter of taste."""
    wish = request.provider
    output = 0 if request.limit_is_wish else request.max_output_tokens or 0
    tools = [tool for tool in request.tools if isinstance(tool, FunctionTool)]
    rules = [
        not wish.only or any(named(entry, one) for entry in wish.only),
        not any(named(entry, one) for entry in wish.ignore),
        not policy.allowed_providers or any(named(entry, one) for entry in policy.allowed_providers),
        not any(named(entry, one) for entry in policy.ignored_providers),
        wish.allow_fallbacks or not wish.order or any(named(entry, one) for entry in wish.order),
        not policy.regions or one.region in policy.regions,
        "deny" not in (wish.data_collection, policy.data_collection) or one.data_policy.trains is False,
        not (wish.zdr or policy.zdr) or one.data_policy.zdr is True,
        not (wish.enforce_distillable_text or policy.enforce_distillable_text) or one.model.is_distillable is True,
        not wish.quantizations or one.quantization in wish.quantizations,
        one.max_output_tokens is None or output <= one.max_output_tokens,
        one.context_tokens is None or characters // 8 + output <= one.context_tokens,
        not tools or one.supports is None or "tools" in one.supports,
        not wish.require_parameters or one.supports is None or set(parameters(request)) <= one.supports,
        affordable(one, request),
        not (one.tag.endswith("/flex") and one.tag not in (*wish.only, *wish.order)),
    ]
    return all(rules)


def affordable(one: Endpoint, request: Request) -> bool:
    most = request.provider.max_price
    if most is None:
        return True
    if one.price is None:
        return False
    million = 1_000_000
    return (
        (most.prompt is None or one.price.input * million <= most.prompt)
        and (most.completion is None or one.price.output * million <= most.completion)
        and (most.request is None or one.price.request <= most.request)
    )


def parameters(request: Request) -> list[str]:
    names = {"max_output_tokens": "max_tokens", "temperature": "temperature", "top_k": "top_k"}
    used = [name for field, name in names.items() if getattr(request, field) is not None]
    if request.tools:
        used.append("tools")
    if request.text is not None and isinstance(request.text.format, JsonSchemaFormat):
        used += ["response_format", "structured_outputs"]
    return used


def with_soft_parameters(heap: list[Endpoint], request: Request) -> list[Endpoint]:
    """A schema draws the request to whoever takes one, if anybody does."""
    if request.text is None or not isinstance(request.text.format, JsonSchemaFormat):
        return heap
    better = [one for one in heap if one.supports is None or "structured_outputs" in one.supports]
    return better or heap


def named(entry: str, one: Endpoint) -> bool:
    """A provider's name or slug, in any case, means all but its tiers; slug/variant means that one."""
    entry = entry.lower().replace(" ", "-")
    if "/" in entry:
        return one.tag == entry
    return one.provider.slug == entry and not one.tag.endswith("/flex")


def against(
    cutoffs: Cutoffs | None, ticket: Ticket, percentile: Callable[[str, float], float | None], *, at_most: bool
) -> int:
    """0 when every bound is kept, 1 when nothing is known, 2 when one is missed."""
    if cutoffs is None:
        return 0
    bounds = {0.5: cutoffs.p50, 0.75: cutoffs.p75, 0.9: cutoffs.p90, 0.99: cutoffs.p99}
    asked = {share: bound for share, bound in bounds.items() if bound is not None}
    values = {share: percentile(ticket.endpoint.id, share) for share in asked}
    for share, bound in asked.items():
        value = values[share]
        if value is not None and (value > bound if at_most else value < bound):
            return 2
    return 1 if None in values.values() else 0


def partition(request: Request) -> str:
    sort = request.provider.sort
    if sort is not None and sort.partition is not None:
        return sort.partition
    return "none" if request.route == "sort" else "model"
