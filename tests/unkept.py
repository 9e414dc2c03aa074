"""A ledger that keeps nothing, for what is tested without a store; what was settled may be looked at."""

from __future__ import annotations

from typing import cast

from trunkline.accounts.ledger import Ledger
from trunkline.generation import Generation
from trunkline.store.batch import Outcome


class Unkept:
    def __init__(self) -> None:
        self.settled: list[Generation] = []

    async def settle(self, generation: Generation, outcome: Outcome | None = None) -> None:
        self.settled.append(generation)

    def settle_later(self, generation: Generation, outcome: Outcome | None = None) -> None:
        self.settled.append(generation)


def unkept() -> Ledger:
    return cast("Ledger", Unkept())
