"""What an answer costs for which more is paid than one turn of a model: turns, each by its own count, and fees.

It takes the place of the one meter of a plain answer, and its `price` and `close` are called like that one's: of what
comes to it everything is priced.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from trunkline.billing import NO_FEE, Meter, Told, told_within
from trunkline.catalog.entries import Endpoint
from trunkline.generation import Fee
from trunkline.money import NanoUsd, usd_text
from trunkline.protocol.opaque import Json
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Cost, Delta, Spent, Stopped, StopReason, Usage

_NOTHING = Spent(Usage(), Cost(total=0, input=0, output=0))


class Totals:
    """Sums what the turns of one answer spent. `most_nano` bounds what its client is told."""

    __slots__ = ("_byok_fee", "_ended", "_most_nano", "_turn", "beside", "fees", "stop")

    def __init__(self, most_nano: NanoUsd | None = None, byok_fee: Decimal = NO_FEE) -> None:
        self._most_nano = most_nano
        self._byok_fee = byok_fee
        self._ended: list[tuple[Endpoint, Spent]] = []
        self._turn: Meter | None = None
        self.fees: Sequence[Fee] = ()
        self.beside: Sequence[Fee] = ()
        """What is paid for steps around all turns."""
        self.stop: StopReason | None = None

    @property
    def spent(self) -> Spent | None:
        """What all turns and fees came to until now; None while there is nothing."""
        turns = [spent for _, spent in self._ended]
        if self._turn is not None and self._turn.spent is not None:
            turns.append(self._turn.spent)
        if not turns and not self.fees and not self.beside:
            return None
        return summed(turns, (*self.fees, *self.beside))

    @property
    def noted(self) -> list[Json]:
        """What is kept on record of each turn that is over."""
        return [
            {
                "endpoint": endpoint.id,
                "input_tokens": spent.usage.input_tokens,
                "output_tokens": spent.usage.output_tokens,
                "cost_usd": None if spent.cost is None or spent.cost.total is None else usd_text(spent.cost.total),
            }
            for endpoint, spent in self._ended
        ]

    @property
    def output_tokens(self) -> int:
        """What the turns that are over wrote."""
        return sum(spent.usage.output_tokens for _, spent in self._ended)

    def raise_most(self, nano: NanoUsd) -> None:
        """Let the answer cost more by so much, where anything bounds it."""
        if self._most_nano is not None:
            self._most_nano += nano

    @property
    def most_nano(self) -> NanoUsd | None:
        """The most that the client is told that it cost."""
        return self._most_nano

    @property
    def left_nano(self) -> NanoUsd | None:
        """How much more the answer may cost; None where nothing bounds it."""
        if self._most_nano is None:
            return None
        spent = self.spent
        total = 0 if spent is None or spent.cost is None else spent.cost.total or 0
        return max(0, self._most_nano - total)

    # A turn

    def begin_turn(self, request: Request, told: Told | None = None) -> None:
        """Count what comes as an answer to this, or to what an endpoint was `told` of it."""
        self._turn = Meter(request, None, self._byok_fee, told)

    def hear(self, batch: list[Delta], endpoint: Endpoint, *, is_byok: bool) -> list[Delta]:
        """Count what a turn says."""
        return batch if self._turn is None else self._turn.price(batch, endpoint, is_byok=is_byok)

    def end_turn(self, endpoint: Endpoint | None, *, is_byok: bool) -> None:
        """Close the count of a turn; one in which nobody spoke, and has no endpoint, cost nothing."""
        turn, self._turn = self._turn, None
        if turn is None or endpoint is None:
            return
        turn.close(endpoint, is_byok=is_byok)
        if turn.spent is not None:
            self._ended.append((endpoint, turn.spent))

    # As the meter of the whole answer

    def price(self, batch: list[Delta], endpoint: Endpoint, *, is_byok: bool = False) -> list[Delta]:
        """Give the same deltas on."""
        if type(batch[-1]) is Stopped:
            self.stop = batch[-1].reason
        return batch

    def count(self, texts: list[str]) -> None:
        """Count nothing: what turns say has been heard."""

    def close(self, endpoint: Endpoint, *, is_byok: bool = False) -> list[Delta]:
        """The `Spent` that the answer ends with."""
        return [told_within(self.spent or _NOTHING, self._most_nano)]


class Beside:
    """The account of an answer of one turn for which more is paid than the model: in the place of its meter.

    `fees` may grow until the answer is over; `most_nano` bounds what its client is told.
    """

    __slots__ = ("_fees", "_meter", "_most_nano")

    def __init__(
        self,
        request: Request,
        fees: Sequence[Fee],
        most_nano: NanoUsd | None = None,
        byok_fee: Decimal = NO_FEE,
        told: Told | None = None,
    ) -> None:
        self._meter = Meter(request, None, byok_fee, told)
        self._fees = fees
        self._most_nano = most_nano

    @property
    def spent(self) -> Spent | None:
        """What turn and fees came to until now; None while there is nothing."""
        spent = self._meter.spent
        return self._with_fees(spent) if spent is not None else summed((), self._fees) if self._fees else None

    @property
    def stop(self) -> StopReason | None:
        """Why the model ended its turn, where it did."""
        return self._meter.stop

    def raise_most(self, nano: NanoUsd) -> None:
        """Let the answer cost more by so much, where anything bounds it."""
        if self._most_nano is not None:
            self._most_nano += nano

    def price(self, batch: list[Delta], endpoint: Endpoint, *, is_byok: bool = False) -> list[Delta]:
        """Give the same deltas on, each `Spent` with its cost and the fees."""
        return self._told(self._meter.price(batch, endpoint, is_byok=is_byok))

    def count(self, texts: list[str]) -> None:
        """Count texts as `price` counts the deltas that say them."""
        self._meter.count(texts)

    def close(self, endpoint: Endpoint, *, is_byok: bool = False) -> list[Delta]:
        """The `Spent` that an answer ends with when nobody counted it to its end."""
        return self._told(self._meter.close(endpoint, is_byok=is_byok))

    def _told(self, batch: list[Delta]) -> list[Delta]:
        for index, delta in enumerate(batch):
            if type(delta) is Spent:
                batch[index] = told_within(self._with_fees(delta), self._most_nano)
        return batch

    def _with_fees(self, spent: Spent) -> Spent:
        return summed((spent,), self._fees) if self._fees else spent


def summed(turns: Sequence[Spent], fees: Sequence[Fee]) -> Spent:
    """What turns and fees come to, together; a turn without a price adds nothing, and alone leaves the cost unknown."""
    paid = sum(fee.nano for fee in fees)
    usage = _usage([each.usage for each in turns])
    costs = [each.cost for each in turns if each.cost is not None]
    totals = [cost.total for cost in costs if cost.total is not None]
    is_unpriced = not totals and bool(costs) and not paid
    paid_elsewhere = [cost.upstream for cost in costs if cost.upstream is not None]
    told = [cost.told for cost in costs]
    cost = Cost(
        total=None if is_unpriced else sum(totals) + paid,
        input=sum(cost.input for cost in costs),
        output=sum(cost.output for cost in costs),
        is_byok=bool(costs) and all(cost.is_byok for cost in costs),
        upstream=sum(paid_elsewhere) if paid_elsewhere else None,
        fees=sum(cost.fees for cost in costs) + paid,
        told=None if None in told or not told else sum(filter(None, told)),
    )
    return Spent(usage, cost, turns[-1].service_tier if turns else None)


def _usage(turns: Sequence[Usage]) -> Usage:
    """All counts of turns together."""
    if len(turns) == 1:
        return turns[0]
    told = [each.upstream_cost_usd for each in turns if each.upstream_cost_usd is not None]
    sums = {name: sum(getattr(each, name) for each in turns) for name in _COUNTS}
    return Usage(
        **sums,
        estimated=any(each.estimated for each in turns),
        upstream_cost_usd=sum(told, Decimal(0)) if told and len(told) == len(turns) else None,
    )


_COUNTS = tuple(name for name in Usage.__struct_fields__ if name not in ("estimated", "upstream_cost_usd"))
