"""The straight way of an answer that goes on: from what is heard to what its client is sent, without waiting.

It is the sink of a course (`upstream/drivers.py`): each call comes from the callback that received the bytes, while the
request's task sleeps. Who waits for what when there is no room is said in `pipeline.told`.
"""

from __future__ import annotations

from collections.abc import Callable

from trunkline.faces.contract import Telling
from trunkline.settlement import Settlement
from trunkline.stream.deltas import Delta

Push = Callable[[bytes], bool]
"""Sends a piece to a client at once; False when the client reads too slowly for another."""


class Pushing:
    """Prices, tells and sends what a course hears; says whether there is room for more."""

    __slots__ = ("_push", "_settlement", "_telling", "count")

    def __init__(self, settlement: Settlement, telling: Telling, push: Push) -> None:
        self._settlement = settlement
        self._telling = telling
        self._push = push
        self.count = settlement.count

    def hear(self, batch: list[Delta]) -> bool:
        """Send what deltas say."""
        piece = self._telling.feed(self._settlement.price(batch))
        return self._push(piece) if piece else True

    def go_on(self, texts: list[str]) -> bool:
        """Send texts that only go on with the text heard last."""
        self._settlement.count(texts)
        return self._push(self._telling.go_on(texts))

    def run(self) -> Callable[[str, bytes], bool]:
        """What sends single texts of those, which are counted afterwards."""
        return self._telling.run(self._push).send
