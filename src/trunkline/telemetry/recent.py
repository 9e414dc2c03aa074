"""The last generations, so that somebody can ask afterwards why each went where it went. Memory is bounded."""

from __future__ import annotations

from collections import OrderedDict

from trunkline.generation import Generation


class Recent:
    """Response id → generation, of the last `size` requests."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._generations: OrderedDict[str, Generation] = OrderedDict()

    def keep(self, generation: Generation) -> None:
        """Note a request; the oldest makes room."""
        self._generations[generation.id] = generation
        if len(self._generations) > self._size:
            self._generations.popitem(last=False)

    def find(self, response_id: str, account_id: str) -> Generation | None:
        """The generation of a request of this account."""
        generation = self._generations.get(response_id)
        return generation if generation is not None and generation.account_id == account_id else None
