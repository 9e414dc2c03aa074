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


class Record(Struct, frozen=True):
    """One request that is over: its plan's explanation and what came of it.

    `endpoint` is the one asked last: it answered, unless it is the last of `attempted`.
    """

    account: str
    explanation: Explanation
    endpoint: Endpoint | None
    attempted: Sequence[Attempted]
    outrun: Sequence[Outrun]


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
    has_failed = bool(record.attempted) and record.endpoint is record.attempted[-1].endpoint
    return {
        **as_json(record.explanation),
        "answered_by": None if has_failed or record.endpoint is None else record.endpoint.id,
        "attempts": [told(each) for each in record.attempted],
        "outrun": [
            {
                "endpoint": each.endpoint.id,
                "provider": each.endpoint.provider.slug,
                "is_byok": each.is_byok,
                "duration_ms": round((each.ended - each.started) * 1000),
                "cost_usd": None if each.cost_usd is None else float(each.cost_usd),
            }
            for each in record.outrun
        ],
    }
