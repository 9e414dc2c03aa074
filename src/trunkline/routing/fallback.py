"""What a fault means: a table of fault kind × moment, which attempt comes next, and the last word to the client.

It sends nothing and keeps nothing; who carries out a plan asks here before every attempt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import isnan
from typing import Final

from msgspec import UNSET, Struct
from msgspec.structs import replace

from trunkline.catalog.entries import Endpoint
from trunkline.errors import (
    GatewayError,
    ServiceUnavailable,
)
from trunkline.routing.health import OUTAGE, Health
from trunkline.routing.meanings import MEANINGS, Next
from trunkline.routing.plan import Plan
from trunkline.stream.deltas import Usage
from trunkline.wire import Fault

MIN_ATTEMPT_S: Final = 1.0
"""With less time than this left before the deadline no attempt is begun."""

RETRY_AFTER_S: Final = (1.0, 3600.0)
"""The bounds of a Retry-After that we pass on; upstreams send dates in the past, -1 and years."""


class Attempted(Struct, frozen=True, kw_only=True):
    """One attempt that failed; times in seconds on the caller's clock.

    `usage` is what it used until then, as it told, or as what it said (`has_spoken`) is estimated; None where it did
    neither. `output_began`: a client is told of what it said.
    """

    endpoint: Endpoint
    fault: Fault
    started: float
    ended: float
    is_byok: bool = False
    output_began: bool = False
    has_spoken: bool = False
    usage: Usage | None = None


def as_told(attempted: Attempted) -> Attempted:
    """The same attempt, when a client is told what it had said after all."""
    return replace(attempted, output_began=True)


class Outrun(Struct, frozen=True, kw_only=True):
    """One attempt that was given up because another spoke first; `usage` is as that of one that failed."""

    endpoint: Endpoint
    started: float
    ended: float
    is_byok: bool = False
    usage: Usage | None = None


def after(fault: Fault, *, output_began: bool) -> Next:
    """Say where to go after a fault; once output began there is no way back."""
    return "stop" if output_began else MEANINGS[fault.kind].then


def next_attempt(
    plan: Plan,
    attempted: Sequence[Attempted],
    health: Health,
    *,
    now: float,
    remaining_s: float | None = None,
    passed: Collection[int] = (),
    own_keys: Mapping[str, str] = {},
) -> int | None:
    """Choose the next attempt by its place in `plan.attempts`; None when this was it.

    The plan's order holds, but for three things: an endpoint that is being probed or was set aside since is passed
    over while others remain; attempts run out with one left for each model not asked yet; and after the first attempt
    an endpoint in trouble is asked only within the retry budget. `passed` holds places that cannot be asked, because
    their dialect has no words for the request. `own_keys` are the ids of the account's own keys, by provider: what is
    wrong with one of them, and what is wrong with the gateway's own, is apart.
    """
    made = len(attempted)
    if made >= plan.max_attempts or (remaining_s is not None and remaining_s < MIN_ATTEMPT_S):
        return None
    if made and after(attempted[-1].fault, output_began=attempted[-1].output_began) == "stop":
        return None
    may_trouble = made == 0 or health.may_retry(now)
    last_resort: int | None = None
    for place in _open_places(plan, attempted) if made else range(len(plan.attempts)):
        if place in passed:
            continue
        endpoint = plan.attempts[place]
        own_key = own_keys.get(endpoint.provider.slug, "") if plan.is_byok and plan.is_byok[place] else None
        if not health.is_ejected(endpoint.id, now, own_key) and (
            may_trouble or health.condition(endpoint.id, now, is_byok=own_key is not None) < OUTAGE
        ):
            return place
        last_resort = place if last_resort is None else last_resort
    return last_resort if may_trouble else None


def next_hedge(
    plan: Plan,
    attempted: Sequence[Attempted],
    health: Health,
    *,
    first: int,
    now: float,
    remaining_s: float,
    passed: Collection[int] = (),
    own_keys: Mapping[str, str] = {},
) -> int | None:
    """Choose who is asked beside the attempt at the place `first`, which stays silent; None when nobody is.

    It must be another endpoint of the same model that is not in trouble, and both count as attempts.
    """
    if len(attempted) + 2 > plan.max_attempts or health.hedge_after(plan.attempts[first].id, now) is None:
        return None
    silent = plan.attempts[first]
    unfit = {
        place
        for place, endpoint in enumerate(plan.attempts)
        if endpoint.id == silent.id
        or endpoint.model.slug != silent.model.slug
        or health.condition(endpoint.id, now) >= OUTAGE
    }
    unfit.update(passed)
    return next_attempt(plan, attempted, health, now=now, remaining_s=remaining_s, passed=unfit, own_keys=own_keys)


def last_word(attempted: Sequence[Attempted]) -> GatewayError:
    """Make the one error that a client hears of all failed attempts, of which there is at least one.

    Attempts that failed alike keep the status of their kind, mixed ones are 503, whatever was known of the endpoints
    before. `metadata.attempts` lists every attempt.
    """
    error_type, kind = _verdict(attempted)
    metadata: dict[str, object] = {"attempts": [attempt_as_json(each) for each in attempted]}
    codes = {each.fault.code for each in attempted}
    if len(codes) == 1 and (code := codes.pop()) is not UNSET:
        kind = code
    if len(attempted) == 1:
        metadata["provider_name"] = attempted[0].endpoint.provider.name
        metadata["raw"] = attempted[0].fault.raw
    error = error_type(_message(attempted), kind=kind, metadata=metadata)
    if error.status in _PASSING_STATUSES:
        error.retry_after = _retry_after(attempted)
    return error


def attempt_as_json(attempted: Attempted) -> dict[str, object]:
    """Put a failed attempt into plain values that JSON can hold."""
    return {
        "provider": attempted.endpoint.provider.slug,
        "provider_name": attempted.endpoint.provider.name,
        "model": attempted.endpoint.model.slug,
        "kind": attempted.fault.kind,
        "status": attempted.fault.status,
        "message": attempted.fault.message,
        "is_byok": attempted.is_byok,
        "duration_ms": round((attempted.ended - attempted.started) * 1000),
    }


def _open_places(plan: Plan, attempted: Sequence[Attempted]) -> Sequence[int]:
    """The attempts that are left after some, with the model to ask next in front."""
    made = {(each.endpoint.id, each.is_byok) for each in attempted}
    closed = {each.endpoint.model.slug for each in attempted if MEANINGS[each.fault.kind].then == "next_model"}
    left = [
        place
        for place, endpoint in enumerate(plan.attempts)
        if endpoint.model.slug not in closed and (endpoint.id, bool(plan.is_byok) and plan.is_byok[place]) not in made
    ]
    if plan.partition == "none":
        return left
    asked = {each.endpoint.model.slug for each in attempted}
    fresh = [place for place in left if plan.attempts[place].model.slug not in asked]
    waiting = {plan.attempts[place].model.slug for place in fresh}
    return fresh if fresh and plan.max_attempts - len(attempted) <= len(waiting) else left


def _verdict(attempted: Sequence[Attempted]) -> tuple[type[GatewayError], str]:
    meanings = [MEANINGS[each.fault.kind] for each in attempted]
    are_alike = len({meaning.error for meaning in meanings}) == 1
    are_unavailable = all(each.fault.status == 503 and each.fault.kind in _BUSY for each in attempted)
    if are_unavailable or not are_alike:
        return ServiceUnavailable, "provider_unavailable"
    return meanings[-1].error, meanings[-1].kind


def _message(attempted: Sequence[Attempted]) -> str:
    told = " ".join(_sentence(each) for each in attempted)
    return told if len(attempted) == 1 else f"All {len(attempted)} attempts failed. {told}"


def _sentence(attempted: Attempted) -> str:
    message = attempted.fault.message.strip() or MEANINGS[attempted.fault.kind].words
    return f"{attempted.endpoint.provider.name}: {message}{'' if message.endswith(('.', '!', '?')) else '.'}"


def _retry_after(attempted: Sequence[Attempted]) -> float | None:
    low, high = RETRY_AFTER_S
    hints = [each.fault.retry_after for each in attempted if each.fault.retry_after is not None]
    return min((min(max(hint, low), high) for hint in hints if not isnan(hint)), default=None)


_PASSING_STATUSES: Final = frozenset({429, 503, 529})
"""What is over after a while; waiting helps with nothing else, whatever a provider says beside it."""

_BUSY: Final = frozenset({"overloaded", "unavailable"})
