"""What a request may spend, decided before anybody is asked: the credit it keeps from others, and the limit that sets.

Theory of operation. What is taken is taken in one order – requests under way, rates, credit – and what is refused gives
back all that came before it. Credit is *held*, and the hold is settled or released by whoever gets the reservation. A
client that names a limit of its answer is held for all of it, or refused. To one that names none, or whose limit is a
mere wish, an answer is given that is as long as an eighth of its credit pays for, and it is told so. A cap on the cost
shortens an answer likewise, and refuses only what would not even begin.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from trunkline import failpoints
from trunkline.accounts.budgets import period_budget
from trunkline.accounts.rates import UNBOUND_TOKENS, Counters, Refused, Taken, refusal
from trunkline.call import NOTHING_RESERVED, Admitted, Call, Reservation, Services, SharedCounters
from trunkline.errors import PaymentRequired
from trunkline.money import NanoUsd, usd_text
from trunkline.plugins.order import NO_STEPS
from trunkline.routing.estimate import Estimate, estimate, input_bound, with_fees
from trunkline.store.batch import Claimed, Shortage, Wish

SEARCHES_HELD: Final = 4
"""So many searches of an answer are held for beforehand; few answers have more."""


class LateClaim(Exception):
    """Another process has claimed meanwhile what the call claims; nothing is taken and nothing held."""


def is_bound(call: Call) -> bool:
    """Whether anything limits what a request may spend; most requests are bound by nothing."""
    return call.key.is_bound or call.max_cost_nano is not None


async def reserve(admitted: Admitted, services: Services) -> Reservation:
    """Take what a request may use, to be settled or released by whoever is given it.

    Raises RateLimited, PaymentRequired, LateClaim, and ServiceUnavailable where the store does not say what is there.
    """
    call = admitted.call
    if not is_bound(call) and call.claim is None:
        return NOTHING_RESERVED
    if failpoints.armed:
        failpoints.reach("reserve.before")
    if admitted.is_dear or admitted.steps is not NO_STEPS:
        found = await _estimated(admitted, services)
    else:
        counts_own = call.key.counts_own
        found = estimate(admitted.plan, admitted.request, call.body_bytes, services.bounds, counts_own=counts_own)
    cap_nano = _cap(call)
    if cap_nano is not None and found.least_nano > cap_nano:
        raise _above_cap(found, cap_nano)
    taken = None
    if call.key.rates:
        counters = services.rates
        if isinstance(counters, Counters):
            taken = _take(admitted, found, services, counters)
        else:
            taken = await _take_shared(admitted, found, services, counters)
    key_budget = _key_budget(call)
    try:
        held_nano = await _hold(call, found, cap_nano, key_budget, services)
    except BaseException:
        if taken is not None:
            services.rates.give_back(taken, None)
        raise
    if failpoints.armed:
        failpoints.reach("reserve.held")
    most_nano = held_nano
    if cap_nano is not None:
        most_nano = cap_nano if held_nano is None else min(held_nano, cap_nano)
    max_output_tokens = None if most_nano is None else found.tokens_for(most_nano)
    return Reservation(held_nano, most_nano, max_output_tokens, key_budget, taken)


async def raise_hold(
    call: Call, wanted_nano: NanoUsd, floor_nano: NanoUsd, most_nano: NanoUsd | None, services: Services
) -> NanoUsd:
    """Hold more for a request that may cost `most_nano` already: how much, or nothing where the floor is not to be had.

    Raises ServiceUnavailable where the store does not say what is there.
    """
    key, cap_nano = call.key, _cap(call)
    if cap_nano is not None and most_nano is not None:
        wanted_nano = min(wanted_nano, cap_nano - most_nano)
    if wanted_nano < floor_nano:
        return 0
    wish = Wish(
        id=call.id,
        account_id=key.account_id,
        key_id=key.id,
        account_budget=key.budget,
        key_budget=_key_budget(call),
        key_credit_nano=key.limit_nano,
        wanted_nano=wanted_nano,
        floor_nano=floor_nano,
        created_at_ms=int(call.received_at * 1000),
        is_raise=True,
    )
    granted = await services.ledger.hold(wish)
    return granted if isinstance(granted, int) else 0


async def _estimated(admitted: Admitted, services: Services) -> Estimate:
    """Estimate a request with steps around the model, or a large one, that beside the loop."""
    call, steps = admitted.call, admitted.steps
    work = estimate if steps.files is None else steps.files.estimated
    found = partial(work, admitted.plan, steps.asked or admitted.request, call.body_bytes, services.bounds)
    if admitted.is_dear:
        estimated = await services.aside.run(found, counts_own=call.key.counts_own)
    else:
        estimated = found(counts_own=call.key.counts_own)
    search = steps.search
    return estimated if search is None else with_fees(estimated, min(search.most, SEARCHES_HELD) * search.price_nano)


def _take(admitted: Admitted, found: Estimate, services: Services, counters: Counters) -> Taken:
    """Take of the limits of key and account. Raises RateLimited."""
    call, model = admitted.call, admitted.plan.attempts[0].model.slug
    return _granted(counters.take(call.key.rates, model, _tokens(admitted, found, services), call.id), admitted)


async def _take_shared(admitted: Admitted, found: Estimate, services: Services, counters: SharedCounters) -> Taken:
    """Do the same where other nodes take of them, too."""
    call, model = admitted.call, admitted.plan.attempts[0].model.slug
    return _granted(await counters.take(call.key.rates, model, _tokens(admitted, found, services), call.id), admitted)


def _tokens(admitted: Admitted, found: Estimate, services: Services) -> int:
    """How many tokens a request may use, read and written."""
    call, request = admitted.call, admitted.request
    read = found.input_tokens or input_bound(request, call.body_bytes, services.bounds)
    written = UNBOUND_TOKENS
    if request.max_output_tokens is not None:
        bound = min(request.max_output_tokens, found.output_tokens or request.max_output_tokens)
        # Claude Code names 32,000 tokens whatever it asks, so that no key with a small rate could use it.
        written = min(bound, UNBOUND_TOKENS) if request.limit_is_wish else bound
    return read + written


def _granted(answer: Taken | Refused, admitted: Admitted) -> Taken:
    if isinstance(answer, Refused):
        limit = admitted.request.paths.spelled("max_output_tokens")
        raise refusal(answer, admitted.plan.attempts[0].model.slug, limit)
    return answer


def _cap(call: Call) -> NanoUsd | None:
    """The most that the request may cost, as it says itself, else its key."""
    return call.key.max_cost_nano if call.max_cost_nano is None else call.max_cost_nano


def _key_budget(call: Call) -> str | None:
    """The budget that the key spends from at the moment, if it has a limit."""
    key = call.key
    if key.limit_nano is None:
        return None
    return period_budget(key.id, key.limit_reset, int(call.received_at * 1000))


async def _hold(
    call: Call, found: Estimate, cap_nano: NanoUsd | None, key_budget: str | None, services: Services
) -> NanoUsd | None:
    """Hold credit; None where nothing is limited, or the client's own keys pay for all."""
    created_at_ms = int(call.received_at * 1000)
    key = call.key
    if not key.is_limited or found.is_empty:
        if call.claim is not None:
            await _ask(Wish(call.id, key.account_id, key.id, None, None, None, 0, 0, created_at_ms), call, services)
        return None
    wanted, floor = found.wanted_nano, found.floor_nano
    if cap_nano is not None:
        wanted, floor = min(wanted, cap_nano), min(floor, cap_nano)
    wish = Wish(  # by place: by name it costs twice as much
        call.id,
        key.account_id,
        key.id,
        key.budget if found.is_charged else None,  # account_budget
        key_budget,
        key.limit_nano,  # key_credit_nano
        wanted,
        floor,
        created_at_ms,
    )
    granted = await _ask(wish, call, services)
    if isinstance(granted, Shortage):
        raise _short(found, granted, floor)
    return granted


async def _ask(wish: Wish, call: Call, services: Services) -> NanoUsd | Shortage:
    """Ask for a hold, and with it for what the call claims."""
    if call.claim is not None:
        wish = wish._replace(claim=call.claim.pledge)
    granted = await services.ledger.hold(wish)
    if isinstance(granted, Claimed):
        raise LateClaim
    return granted


_ADVICE = {
    "account": "To go on, ask the operator to add credit to the account.",
    "key": "To go on, ask the operator for a key with a higher limit.",
    "request": "To go on, allow the request to cost more (x-trunkline-max-cost), or send a shorter input.",
}


def _short(found: Estimate, shortage: Shortage, needed_nano: NanoUsd) -> PaymentRequired:
    return _refusal(found, needed_nano, shortage.available_nano, found.floor_tokens, shortage.source)


def _above_cap(found: Estimate, cap_nano: NanoUsd) -> PaymentRequired:
    return _refusal(found, found.least_nano, cap_nano, min(found.least_tokens, found.output_tokens), "request")


def _refusal(
    found: Estimate, needed_nano: NanoUsd, available_nano: NanoUsd, wanted_tokens: int, source: str
) -> PaymentRequired:
    """Say what is missing, and how much of an answer is not: clients read the two numbers out of this very sentence."""
    affordable = found.tokens_for(available_nano) or 0
    return PaymentRequired(
        f"This request requires more credits, or fewer max_tokens. You requested up to {wanted_tokens} tokens, but can"
        f" only afford {affordable}. It needs {usd_text(needed_nano)} USD, and {usd_text(available_nano)} USD are"
        f" available. {_ADVICE[source]}",
        metadata={
            "needed_usd": usd_text(needed_nano),
            "available_usd": usd_text(available_nano),
            "affordable_output_tokens": affordable,
            "limit_source": source,
        },
    )
