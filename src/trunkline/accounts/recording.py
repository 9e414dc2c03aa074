"""One request that is over, as the store keeps it: what it used, what that was worth, and who pays which part of it."""

from __future__ import annotations

import json

from trunkline.billing import given_up
from trunkline.generation import Generation
from trunkline.money import NanoUsd, usd_text
from trunkline.routing.fallback import Attempted, Outrun
from trunkline.store.rows import GenerationRow
from trunkline.stream.deltas import Cost, Spent, Usage

_NOTHING = Spent(Usage(), Cost(total=0, input=0, output=0))
_MAX_LENGTH = 256


def row_of(generation: Generation, price_id: int | None) -> GenerationRow:
    """Put a request into a row; somebody was asked for it.

    Where something was held, the charge is what the answer was worth, at most what was reserved. Everything else that
    it cost – the rest of it, attempts that failed, answers given up for a faster one – is the house's.
    """
    endpoint, spent = generation.endpoint, generation.spent or _NOTHING
    usage, price = spent.usage, spent.cost or _NOTHING.cost
    assert endpoint is not None
    assert price is not None
    worth, charged = price.total or 0, generation.charged or 0
    is_held, fees = generation.held_nano is not None, generation.fees
    gave_up = generation.attempted or generation.outrun
    return GenerationRow(  # by place: by name it costs three times as much
        generation.id,
        int(generation.received_at * 1000),  # created_at_ms
        generation.account_id,
        generation.key_id,
        generation.key_budget,
        endpoint.model.slug,
        generation.asked_model[:_MAX_LENGTH],
        endpoint.id,  # endpoint_id
        endpoint.provider.slug,
        generation.upstream_id,
        price_id,
        generation.status,
        generation.stop,
        generation.is_stream,  # streamed
        generation.is_byok,
        usage.estimated,  # is_estimated
        spent.service_tier,
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.cache_write_1h_tokens,
        usage.audio_input_tokens,
        usage.audio_cached_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.image_output_tokens,
        usage.images,
        usage.searches + sum(fee.count for fee in fees if fee.kind == "search") if fees else usage.searches,
        worth if is_held else charged,  # cost_nano
        price.input,  # cost_input_nano
        price.output,  # cost_output_nano
        price.fees,  # cost_fees_nano
        charged if is_held else 0,  # charged_nano
        worth - charged + _given_up_nano(generation) if gave_up else worth - charged,  # house_nano
        price.upstream,  # upstream_nano
        price.told,  # told_nano
        generation.held_nano,
        round(generation.queued_s * 1000),  # queued_ms
        None if generation.first_token_s is None else round(generation.first_token_s * 1000),  # first_token_ms
        round(generation.took_s * 1000),  # total_ms
        attempts_as_json(generation) if gave_up else None,  # attempts
        ", ".join(generation.dropped) if generation.dropped else None,
        generation.session_id,
        generation.user,
        plugins_as_json(generation) if fees or generation.plugins else None,  # plugins
    )


def attempts_as_json(generation: Generation) -> str:
    """The attempts that did not answer, each with what it may have cost, in the order in which they ended."""
    made: list[tuple[Attempted | Outrun, str, int | None, NanoUsd]] = [
        *((each, each.fault.kind, each.fault.status, _failed_nano(each)) for each in generation.attempted),
        *((each, "outrun", None, _paid(spent)) for each, spent in generation.outrun),
    ]
    told = [
        {
            "endpoint": attempt.endpoint.id,
            "kind": kind,
            "status": status,
            "ms": round((attempt.ended - attempt.started) * 1000),
            "is_byok": attempt.is_byok,
            "cost_usd": usd_text(paid_nano),
        }
        for attempt, kind, status, paid_nano in sorted(made, key=lambda each: each[0].ended)
    ]
    return json.dumps(told)


def plugins_as_json(generation: Generation) -> str:
    """What ran around the model, by plugin, and what that cost."""
    fees = [
        {"kind": fee.kind, "engine": fee.engine, "count": fee.count, "cost_usd": usd_text(fee.nano)}
        for fee in generation.fees
    ]
    return json.dumps({**generation.plugins, **({"fees": fees} if fees else {})})


def _given_up_nano(generation: Generation) -> NanoUsd:
    """What the house paid for what nobody was told."""
    failed = sum(_failed_nano(each) for each in generation.attempted)
    return failed + sum(_paid(spent) for _, spent in generation.outrun)


def _failed_nano(attempted: Attempted) -> NanoUsd:
    """What a failed attempt used; nothing where a client's own key paid, or where it neither told nor said anything."""
    if attempted.usage is None or attempted.output_began:
        return 0  # of an answer that broke off before the client's eyes the client pays
    return _paid(given_up(attempted.usage, attempted.endpoint, is_byok=attempted.is_byok))


def _paid(spent: Spent) -> NanoUsd:
    return 0 if spent.cost is None or spent.cost.is_byok else spent.cost.total or 0
