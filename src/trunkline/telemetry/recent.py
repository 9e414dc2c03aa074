"""The last generations, so that somebody can ask afterwards why each went where it went. Memory is bounded."""

from __future__ import annotations

from collections import OrderedDict

from trunkline.generation import Generation, Past


class Recent:
    """Response id → what is told of it, of the last `size` requests."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._past: OrderedDict[str, Past] = OrderedDict()

    def keep(self, generation: Generation) -> None:
        """Note a request; the oldest makes room."""
        self._past[generation.id] = Past(
            generation.id,
            generation.account_id,
            generation.plan.reasons,
            generation.endpoint if generation.has_answered else None,
            generation.dropped,
            generation.queued_s,
            generation.attempted or (),
            generation.outrun,
        )
        if len(self._past) > self._size:
            self._past.popitem(last=False)

    def find(self, response_id: str, account_id: str) -> Past | None:
        """What is remembered of a request of this account."""
        past = self._past.get(response_id)
        return past if past is not None and past.account_id == account_id else None
