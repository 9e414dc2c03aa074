"""The last requests and why each went where it went, so that somebody can ask afterwards.

It remembers in bounded memory and keeps references only; the words are `explanation.py`'s.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from msgspec import Struct

from trunkline.catalog.entries import Endpoint
from trunkline.routing.explanation import Explanation, as_json
from trunkline.routing.fallback import Attempted, Outrun, told
from trunkline.stream.deltas import Spent


class Record(Struct, frozen=True):
    """One request that is over: its plan's explanation, who answered, who failed, and who was outrun at what cost."""

    account: str
    explanation: Explanation
    answered: Endpoint | None
    attempted: Sequence[Attempted] = ()
    outrun: Sequence[tuple[Outrun, Spent]] = ()


class Recent:
    """Response id → record, of the last `size` requests."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._records: OrderedDict[str, Record] = OrderedDict()

    def keep(self, response_id: str, record: Record) -> None:
        """Note a request; the oldest makes room."""
        self._records[response_id] = record
        if len(self._records) > self._size:
            self._records.popitem(last=False)

    def find(self, response_id: str, account: str) -> Record | None:
        """The record of a request of this account."""
        record = self._records.get(response_id)
        return record if record is not None and record.account == account else None


def record_as_json(record: Record) -> dict[str, object]:
    """Put a record into plain values that JSON can hold: the explanation, and what became of the plan."""
    return {
        **as_json(record.explanation),
        "answered_by": None if record.answered is None else record.answered.id,
        "attempts": [told(each) for each in record.attempted],
        "outrun": [_outrun(each, spent) for each, spent in record.outrun],
    }


def _outrun(outrun: Outrun, spent: Spent) -> dict[str, object]:
    total = None if spent.cost is None else spent.cost.total
    return {
        "provider": outrun.endpoint.provider.slug,
        "provider_name": outrun.endpoint.provider.name,
        "model": outrun.endpoint.model.slug,
        "is_byok": outrun.is_byok,
        "duration_ms": round((outrun.ended - outrun.started) * 1000),
        "cost_usd": None if total is None else float(total),
        "is_estimated": spent.usage.estimated,
    }
