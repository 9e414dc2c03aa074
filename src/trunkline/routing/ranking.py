"""In which order endpoints are asked: the rank of each, and the sorting or drawing among equals.

Nothing is dropped here. A rank is a tuple whose parts go from what matters most to what matters least; each part is 0
for the better side:

    ejected     an open breaker or a cool-down: asked only when nobody else is left
    outage      half of at least 2 attempts failed in the last 30 s; endpoints named in `order` keep their place
    preference  `preferred_max_latency` and `preferred_min_throughput`: kept, unknown, missed
    group       the model's place in the request; 0 for all with `partition: none`
    issued      who issued the encrypted thought that is replayed; 2 for all with `order`
    house key   the account's own key goes first
    place       in `order`; those not named come after
    search      who can make the search that is offered goes first
    short       where the input may be made shorter, who can take all of it goes first
    sticky      who served the conversation last goes first
    uptime      below 95 %, below 80 % of at least 100 attempts in half an hour

Equals are sorted when the client asks for it, else drawn: one after the other without putting back, each with a weight
of 1/price².
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import accumulate
from math import inf
from typing import Final

from trunkline.catalog.entries import Endpoint
from trunkline.catalog.prices import Price
from trunkline.protocol.preferences import Cutoffs, ProviderPreferences
from trunkline.routing.explanation import By, Candidate, Step
from trunkline.routing.filters import rates, supports
from trunkline.routing.health import EJECTED, OUTAGE, Health

KEPT: Final = 0
UNKNOWN: Final = 1
MISSED: Final = 2

_SHARES: Final = (("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p99", 0.99))
_PRECISION: Final = {"fp32": 0, "bf16": 0, "fp16": 0, "fp8": 1, "int8": 1, "fp6": 2, "fp4": 3, "int4": 3, "unknown": 4}


def rank(candidate: Candidate, named: int) -> tuple[int, ...]:
    """Make the rank of a candidate; `named` is how many providers the client's `order` names."""
    condition = candidate.condition
    return (
        1 if condition == EJECTED else 0,
        1 if condition == OUTAGE and candidate.place >= named else 0,
        candidate.preference,
        candidate.group,
        candidate.issued,
        0 if candidate.is_byok else 1,
        candidate.place,
        1 if candidate.lacks_search else 0,
        1 if candidate.is_short else 0,
        0 if candidate.is_sticky else 1,
        condition if condition < OUTAGE else 0,
    )


def expected_prices(candidates: Iterable[Candidate], input_tokens: int, output_tokens: int) -> tuple[float | None, ...]:
    """The USD a request is expected to cost each, cache reads as often as lately; None where no price makes sense."""
    taken, given = Decimal(input_tokens), Decimal(output_tokens)
    return tuple([_expected_price(each.endpoint.price, taken, given, each.cache_hit_rate) for each in candidates])


def has_cheap_cache(endpoint: Endpoint) -> bool:
    """Whether reading from the provider's prompt cache costs less than reading anew."""
    price = endpoint.price
    return price is not None and price.cache_read is not None and price.cache_read < price.input


def preference(wish: ProviderPreferences, endpoint_id: str, health: Health, now: float) -> int:
    """How an endpoint does against the wished-for percentiles: all must be kept; without samples it is unknown."""
    latency = _against(wish.preferred_max_latency, lambda s: health.latency(endpoint_id, s, now), -1)
    throughput = _against(wish.preferred_min_throughput, lambda s: health.throughput(endpoint_id, s, now), 1)
    return max(latency, throughput)


def sort_figure(by: By | None, endpoint_id: str, health: Health, now: float) -> float | None:
    """The median that `sort` goes by, where it goes by one."""
    match by:
        case "latency":
            return health.latency(endpoint_id, 0.5, now)
        case "throughput":
            return health.throughput(endpoint_id, 0.5, now)
        case "price" | "quality" | None:
            return None


def arrange(candidates: tuple[Candidate, ...], prices: Sequence[float | None], by: By | None) -> list[Step]:
    """Sort candidates of equal rank, or weigh them: those are yet to be drawn. Free ones go before all others then."""
    if len(candidates) == 1:
        return [Step(by, candidates, (0,))]
    if by is not None:
        key = _KEYS[by]
        order = sorted(range(len(candidates)), key=lambda index: key(candidates[index], prices[index]))
        return [Step(by, candidates, tuple(order))]
    if 0 < prices.count(0) < len(prices):
        pairs = list(zip(candidates, prices, strict=True))
        free = tuple([candidate for candidate, price in pairs if price == 0])
        others, known = zip(*[(candidate, price) for candidate, price in pairs if price != 0], strict=True)
        return [*arrange(free, [0.0] * len(free), None), *arrange(others, known, None)]
    return [Step(None, candidates, (), tuple(_weights(prices)))]


def draw(step: Step, dice: Callable[[], float]) -> Step:
    """Draw those that are yet to be drawn, one after the other."""
    if step.order:
        return step
    left = list(step.weights)
    indices = list(range(len(left)))
    order: list[int] = []
    thrown = [dice() for _ in indices[1:]]
    for value in thrown:
        sums = [*accumulate(left)]
        # Rounding may put the point at the very end; then the last one is meant.
        drawn = bisect_right(sums, value * sums[-1], 0, len(sums) - 1)
        del left[drawn]
        order.append(indices.pop(drawn))
    return Step(None, step.candidates, (*order, *indices), step.weights, tuple(thrown))


def _expected_price(
    price: Price | None, input_tokens: Decimal, output_tokens: Decimal, cache_hit_rate: float
) -> float | None:
    if price is None:
        return None
    tier = rates(price, int(input_tokens)) if price.tiers else price
    cost = tier.input * input_tokens + tier.output * output_tokens
    usd = float(cost + price.request if price.request else cost)
    if cache_hit_rate and tier.cache_read is not None:
        usd -= float((tier.input - tier.cache_read) * input_tokens) * cache_hit_rate
    # Also False for what is not a number.
    return usd if 0 <= usd < inf else None


def _weights(prices: Sequence[float | None]) -> list[float]:
    """1/price², as shares of the cheapest so that tiny prices do not overflow.

    Who tells no price is drawn like the dearest, and all alike when nobody does or all are free.
    """
    known = [price for price in prices if price]
    if not known:
        return [1.0] * len(prices)
    cheapest, dearest = min(known), max(known)
    shares = [cheapest / (price or dearest) for price in prices]
    return [share * share for share in shares]


def _against(cutoffs: Cutoffs | None, percentile: Callable[[float], float | None], direction: int) -> int:
    if cutoffs is None:
        return KEPT
    found = KEPT
    for name, share in _SHARES:
        bound = getattr(cutoffs, name)
        if bound is None:
            continue
        value = percentile(share)
        if value is None:
            found = max(found, UNKNOWN)
        elif (value - bound) * direction < 0:
            return MISSED
    return found


def _by_price(_: Candidate, price: float | None) -> tuple[float, ...]:
    return (inf if price is None else price,)


def _by_latency(candidate: Candidate, price: float | None) -> tuple[float, ...]:
    return (inf if candidate.figure is None else candidate.figure, *_by_price(candidate, price))


def _by_throughput(candidate: Candidate, price: float | None) -> tuple[float, ...]:
    return (inf if candidate.figure is None else -candidate.figure, *_by_price(candidate, price))


def _by_quality(candidate: Candidate, price: float | None) -> tuple[float, ...]:
    # What `:exacto` can mean without a benchmark of our own: says that it takes tools, and least rounded weights.
    endpoint = candidate.endpoint
    takes_tools = endpoint.supports is not None and supports(endpoint, "tools")
    return (0 if takes_tools else 1, _PRECISION[endpoint.quantization], *_by_price(candidate, price))


_KEYS: Final[dict[By, Callable[[Candidate, float | None], tuple[float, ...]]]] = {
    "price": _by_price,
    "latency": _by_latency,
    "throughput": _by_throughput,
    "quality": _by_quality,
}
