"""Requests with an `Idempotency-Key`: the first is answered, those that come after it wait and are told the same.

Theory of operation. Who comes looks how its claim stands, as `accounts/idempotency.py` has it: while it is under way it
looks again after a pause, until its own deadline. A free one is claimed by `reserve`, in the transaction of the hold;
where another process was faster by that moment, it is looked at again. From then on the settlement says what becomes
of it; what is refused before that was never claimed.
"""

from __future__ import annotations

import asyncio
from typing import assert_never

from trunkline.accounts.idempotency import (
    Claim,
    Free,
    Gone,
    Kept,
    Other,
    UnderWay,
    not_kept,
    not_opened,
    open_kept,
    other,
    too_long_under_way,
)
from trunkline.call import Admitted, Call, Reservation, Services
from trunkline.credentials.sealing import Unopened
from trunkline.faces.lines import JSON
from trunkline.pipeline import admit, reserve
from trunkline.reserving import LateClaim
from trunkline.server.cycle import Cycle
from trunkline.server.streams import LINES
from trunkline.telemetry import logs

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.25
_LARGE_BYTES = 64 * 1024
_LOOKS_AT_OTHER = 2
"""So often another request is waited for: one that just failed is over before the store knows of it."""


async def begin_once(call: Call, claim: Claim, cycle: Cycle, services: Services) -> tuple[Admitted, Reservation] | None:
    """Admit a call and reserve for it, unless it was answered before: then that is told again, and None given.

    Raises a GatewayError.
    """
    admitted: Admitted | None = None
    while True:
        if (kept := await _wait(call, claim, cycle, services)) is not None:
            await _tell_again(kept, claim, cycle, services)
            return None
        services.claims.begin(claim)
        try:
            if admitted is None:
                admitted = await admit(call, services)
            cycle.generation_id = call.id
            return admitted, await reserve(admitted, services)
        except LateClaim:
            cycle.generation_id = None  # there is none of that id
            services.claims.leave(claim)
        except BaseException:
            services.claims.leave(claim)
            raise


async def _wait(call: Call, claim: Claim, cycle: Cycle, services: Services) -> Kept | None:
    """Wait until a claim is free, or give what is kept of it."""
    pause_s = _FIRST_PAUSE_S
    looks = 0
    while True:
        looks += 1
        match await services.claims.look(claim):
            case Free():
                return None
            case Kept() as kept:
                return kept
            case Other(is_under_way) if not is_under_way or looks > _LOOKS_AT_OTHER:
                raise other()
            case Gone(generation_id):
                cycle.generation_id = generation_id
                raise not_kept(generation_id)
            case UnderWay() | Other():
                if (rest_s := call.deadline - services.loop_clock()) <= 0:
                    raise too_long_under_way()
                # All that wait for so long look at the same time, so that one of them asks the store.
                await asyncio.sleep(min(pause_s - services.loop_clock() % pause_s, rest_s))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            case finding:
                assert_never(finding)


async def _tell_again(kept: Kept, claim: Claim, cycle: Cycle, services: Services) -> None:
    id = cycle.generation_id = kept.generation_id
    try:
        is_large = len(kept.sealed) > _LARGE_BYTES
        told = await services.aside.run(open_kept, claim, kept) if is_large else open_kept(claim, kept)
    except Unopened:
        raise not_opened(id) from None
    lines = f"x-request-id: {cycle.request_id}\r\nx-generation-id: {id}\r\nx-trunkline-replayed: true\r\n".encode()
    lines += cycle.face.answer_lines(cycle.request_id)
    logs.replayed(cycle.request_id, id)
    if told.is_stream:
        cycle.begin(200, LINES + lines)
        cycle.end(told.body)
    else:
        cycle.whole(200, JSON + lines, told.body)
