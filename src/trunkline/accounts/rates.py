"""How much a key and its account may ask for in a while: which limits a request has, and what it takes of each.

A limit lets `amount` through at once and then as much as comes back: `amount` in a period, evenly. So in any stretch of
a period's length at most twice the amount passes, and who waits as long as he is told passes. All limits of a request
are taken together or none is. Tokens are taken as they are estimated; what was not used is given back at the end, and
what was used beyond is owed. Where several processes count without common counters, each has its share of an amount,
and of a small one at least a single request at a time.

Here is no clock and no store: moments come from the counters (`store/counters.py`), the time of day from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from math import ceil, inf
from typing import Final, Literal, NamedTuple, Protocol, assert_never

from trunkline.errors import RateLimited
from trunkline.routing.filters import glob
from trunkline.store.counters import Buckets, Demand, Denied, Place, Return

MINUTE_S: Final = 60
DAY_S: Final = 86_400

UNBOUND_TOKENS: Final = 1_024
"""What is taken for an answer that neither its client nor its hold bounds."""

PLACE_RETRY_S: Final = 1.0
"""When to ask again for a place: nobody knows when one is free."""


class Rate(NamedTuple):
    """A limit of a key or an account, of which `scope` is the id: `amount` in `period_s` seconds.

    `streams` are requests under way, streamed or not; they have no period. `model` is a glob: each model that it
    matches is counted apart.
    """

    scope: str
    kind: Literal["requests", "tokens", "streams"]
    amount: int
    period_s: int
    model: str | None = None


class Paces(Protocol):
    """The limits in the terms of a key, an account or a model: requests and tokens, by minute and by day."""

    @property
    def rpm(self) -> int | None: ...
    @property
    def tpm(self) -> int | None: ...
    @property
    def rpd(self) -> int | None: ...
    @property
    def tpd(self) -> int | None: ...


class PacedTerms(Paces, Protocol):
    """… with requests under way, and what holds for single models, by globs of their slugs."""

    @property
    def concurrency(self) -> int | None: ...
    @property
    def model_rates(self) -> Mapping[str, Paces]: ...


class Refused(NamedTuple):
    """What a request was refused by, with the figures of the limit that it would wait for longest.

    `limit` is the share of this process. `retry_after_s` is None where waiting does not help, for more than `amount` is
    asked. `reset_ms` is when all of it is there again, as Unix time; `tokens` is what the request asked for.
    """

    rate: Rate
    limit: int
    remaining: int
    retry_after_s: float | None
    reset_ms: int
    tokens: int


class _Tokens(NamedTuple):
    """A bucket of tokens, of which all of `amount` are there again after `period_us`."""

    bucket: str
    room_us: int
    period_us: int
    amount: int


class Limits(NamedTuple):
    """The limits that hold for requests for one model: what each takes of them, as far as it is always the same.

    `requests` runs beside `by_requests` and `tokens` beside `by_tokens`.
    """

    places: tuple[Place, ...]
    by_requests: tuple[Rate, ...]
    requests: tuple[Demand, ...]
    by_tokens: tuple[Rate, ...]
    tokens: tuple[_Tokens, ...]


@dataclass(slots=True)
class Taken:
    """What a request took of its limits, to be given back once; `demands` and `full_at_us` run beside each other.

    Where several processes count together `share` is the same in the measure of what is this one's alone.
    """

    holder: str
    tokens: int
    sharers: int
    limits: Limits
    demands: Sequence[Demand]
    full_at_us: Sequence[int] = ()
    is_given_back: bool = False
    is_on_board: bool = False
    share: Taken | None = None


def rates_of(scope: str, terms: PacedTerms) -> tuple[Rate, ...]:
    """Read the limits off the terms of a key or an account. An amount is 1 at least."""
    found = [*_paced(scope, terms, None)]
    for model, paces in terms.model_rates.items():
        found += _paced(scope, paces, model)
    if terms.concurrency is not None:
        found.append(Rate(scope, "streams", terms.concurrency, 0))
    return tuple(found)


class Counters:
    """Takes of the limits of requests.

    `wall_clock` is Unix time. `sharers` tells how many processes count, each for itself, what is limited for all.
    """

    def __init__(
        self, buckets: Buckets, wall_clock: Callable[[], float], sharers: Callable[[], int] = lambda: 1
    ) -> None:
        self._buckets = buckets
        self._wall_clock = wall_clock
        self._sharers = sharers

    def take(self, rates: tuple[Rate, ...], model: str, tokens: int, id: str) -> Taken | Refused:
        """Take of all limits that hold for a request, or of none; `tokens` is how many it may use at most."""
        asked = asked_of(rates, model, tokens, id, self._sharers())
        answer = self._buckets.take(asked.demands, asked.limits.places, id)
        if isinstance(answer, Denied):
            return refused_by(answer, asked, rates, self._wall_clock())
        asked.full_at_us = answer.full_at_us
        return asked

    def give_back(self, taken: Taken, tokens_used: int | None) -> None:
        """Give back what was not used and take what was used beyond; None is for a request that was not made at all."""
        if taken.is_given_back:
            return
        taken.is_given_back = True
        self._buckets.give_back(returns_of(taken, tokens_used), taken.limits.places, taken.holder)


def asked_of(rates: tuple[Rate, ...], model: str, tokens: int, id: str, sharers: int) -> Taken:
    """Find what a request has to take, where so many processes count apart; nothing is taken yet."""
    limits = _limits(rates, model, sharers)
    demands = [*limits.requests]
    for bucket, room_us, period_us, amount in limits.tokens:
        cost_us = -(-period_us * tokens // amount)
        # More than a share passes alone, when all of the share is there; more than the limit never does.
        is_alone = room_us < cost_us and tokens <= amount
        demands.append(Demand(bucket, cost_us, cost_us if is_alone else room_us))
    return Taken(id, tokens, sharers, limits, demands)


def returns_of(taken: Taken, tokens_used: int | None) -> list[Return]:
    """Find what of its buckets a request gives back, and what it takes beyond."""
    limits, demands = taken.limits, taken.demands
    returns: list[Return] = []
    if tokens_used is None:
        for demand, full_at_us in zip(demands, taken.full_at_us, strict=True):
            returns.append(Return(demand.bucket, -demand.cost_us, full_at_us))
    elif tokens_used != taken.tokens:
        index = len(limits.requests)
        for bucket, _, period_us, amount in limits.tokens:
            used_us = -(-period_us * tokens_used // amount)
            returns.append(Return(bucket, used_us - demands[index].cost_us, taken.full_at_us[index]))
            index += 1
    return returns


def refused_by(denied: Denied, asked: Taken, rates: Sequence[Rate], wall_s: float) -> Refused:
    """Find which limit a request would wait for longest, and what of it is there; `wall_s` is Unix time."""
    limits, sharers = asked.limits, asked.sharers
    if denied.full_place is not None:
        rate = next(each for each in rates if each.kind == "streams" and each.scope == denied.full_place)
        wait_s: float | None = PLACE_RETRY_S
        remaining, back_in_s = 0, PLACE_RETRY_S
    else:
        counted = [*limits.by_requests, *limits.by_tokens]
        waits_us = list(map(_wait_us, counted, asked.demands, denied.taken_us, repeat(asked.tokens)))
        longest = waits_us.index(max(waits_us))
        rate, taken_us = counted[longest], denied.taken_us[longest]
        wait_s = waits_us[longest] / 1_000_000 if waits_us[longest] < inf else None
        remaining, back_in_s = _left(rate, taken_us, sharers), taken_us / 1_000_000
    reset_ms = ceil((wall_s + back_in_s) * 1000)
    return Refused(rate, _share(rate, sharers), remaining, wait_s, reset_ms, asked.tokens)


def refusal(refused: Refused, model: str, limit: str = "max_output_tokens") -> RateLimited:
    """Say to a client which limit refused its request, and what to do; `limit` is its word for that of an answer."""
    rate = refused.rate
    source = "key" if rate.scope.startswith("key_") else "account"
    return RateLimited(
        _message(refused, source, model, limit),
        limit=refused.limit,
        remaining=refused.remaining,
        reset_ms=refused.reset_ms,
        retry_after=refused.retry_after_s,
        metadata={
            "limit_source": source,
            "limit_kind": rate.kind,
            "limit_amount": rate.amount,
            "limit_period_s": rate.period_s or None,
            "limit_model": rate.model,
        },
    )


def _paced(scope: str, paces: Paces, model: str | None) -> Iterator[Rate]:
    """The limits of a scope, or of a model in it."""
    if paces.rpm is not None:
        yield Rate(scope, "requests", paces.rpm, MINUTE_S, model)
    if paces.tpm is not None:
        yield Rate(scope, "tokens", paces.tpm, MINUTE_S, model)
    if paces.rpd is not None:
        yield Rate(scope, "requests", paces.rpd, DAY_S, model)
    if paces.tpd is not None:
        yield Rate(scope, "tokens", paces.tpd, DAY_S, model)


@lru_cache(maxsize=4_096)
def _limits(rates: tuple[Rate, ...], model: str, sharers: int) -> Limits:
    """Find the limits that hold; what is worked out for a key is kept, for it asks again."""
    places: list[Place] = []
    requests: list[Rate] = []
    tokens: list[Rate] = []
    for rate in rates:
        if rate.kind == "streams":
            places.append(Place(rate.scope, _share(rate, sharers)))
        elif rate.model is None or _matches(rate.model, model):
            (requests if rate.kind == "requests" else tokens).append(rate)
    return Limits(
        places=tuple(places),
        by_requests=tuple(requests),
        requests=tuple(_request_demand(rate, model, sharers) for rate in requests),
        by_tokens=tuple(tokens),
        tokens=tuple(_tokens(rate, model, sharers) for rate in tokens),
    )


def _request_demand(rate: Rate, model: str, sharers: int) -> Demand:
    cost_us = _request_us(rate, sharers)
    return Demand(_bucket_of(rate, model), cost_us, max(cost_us, _room_us(rate, sharers)))


def _tokens(rate: Rate, model: str, sharers: int) -> _Tokens:
    return _Tokens(_bucket_of(rate, model), _room_us(rate, sharers), _period_us(rate, sharers), rate.amount)


def _bucket_of(rate: Rate, model: str) -> str:
    name = f"{rate.scope} {rate.kind} {rate.period_s}"
    return name if rate.model is None else f"{name} {rate.model} {model}"


def _request_us(rate: Rate, sharers: int) -> int:
    """How long it takes until one more request is there; rounded up, so that no more than the amount is."""
    return -(-_period_us(rate, sharers) // rate.amount)


def _room_us(rate: Rate, sharers: int) -> int:
    if rate.kind == "tokens":
        return rate.period_s * 1_000_000
    # As often as it is allowed, with what each was rounded up by: the last of them must still pass.
    return _request_us(rate, sharers) * (rate.amount // sharers)


def _period_us(rate: Rate, sharers: int) -> int:
    return rate.period_s * 1_000_000 * sharers


def _wait_us(rate: Rate, demand: Demand, taken_us: int, tokens: int) -> float:
    return inf if _is_beyond(rate, tokens) else taken_us + demand.cost_us - demand.room_us


def _left(rate: Rate, taken_us: int, sharers: int) -> int:
    """How much passes now."""
    free_us = max(0, _room_us(rate, sharers) - taken_us)
    if rate.kind == "tokens":
        return free_us * rate.amount // _period_us(rate, sharers)
    return free_us // _request_us(rate, sharers)


def _share(rate: Rate, sharers: int) -> int:
    return max(1, rate.amount // sharers)


def _is_beyond(rate: Rate, tokens: int) -> bool:
    return rate.kind == "tokens" and tokens > rate.amount


def _matches(pattern: str, model: str) -> bool:
    matches = glob((pattern,))
    return matches(model) or matches(model.partition(":")[0])


def _message(refused: Refused, source: str, model: str, limit: str) -> str:
    rate, tokens = refused.rate, refused.tokens
    period = "minute" if rate.period_s == MINUTE_S else "day"
    of_model = "" if rate.model is None else f" of {model}"
    wait = f"Wait {ceil(refused.retry_after_s)} s" if refused.retry_after_s is not None else ""
    one = rate.amount == 1
    match rate.kind:
        case "streams":
            end = "Wait until it has ended, or cancel it." if one else "Wait until one has ended, or cancel one."
            return f"This {source} may have {rate.amount:,} {_requests(one)} under way at once, and has. {end}"
        case "requests":
            return (
                f"This {source} may make {rate.amount:,} {_requests(one)}{of_model} a {period}, and has. "
                f"{wait}, or ask the operator for a higher limit."
            )
        case "tokens" if refused.retry_after_s is None:
            return (
                f"This request may use {tokens:,} tokens, and this {source} {rate.amount:,}{of_model} a {period}. "
                f"Send a shorter input or a smaller {limit}."
            )
        case "tokens":
            return (
                f"This {source} may use {rate.amount:,} tokens{of_model} a {period}; {refused.remaining:,} are left, "
                f"and this request may use {tokens:,}. {wait}, or send a shorter input or a smaller {limit}."
            )
    assert_never(rate.kind)


def _requests(one: bool) -> str:
    return "request" if one else "requests"
