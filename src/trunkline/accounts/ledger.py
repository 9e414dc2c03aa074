"""What requests cost, given to the store: holds before, and for each request that is over its record and its charge.

What is held and charged is decided elsewhere (`routing/estimate.py`, `billing.py`), how it is written safely in
`store/writer.py`; here the one is put into the words of the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from trunkline import failpoints
from trunkline.accounts.recording import row_of
from trunkline.catalog.entries import Endpoint
from trunkline.catalog.price_texts import fingerprint_of, id_of, write_price
from trunkline.catalog.prices import Price
from trunkline.generation import Generation
from trunkline.store.batch import Answer, Outcome, Wish
from trunkline.store.rows import GenerationRow, PriceRow
from trunkline.store.writer import Writer


class Ledger:
    """The ledger and the records of one store."""

    def __init__(self, writer: Writer, wall_clock: Callable[[], float]) -> None:
        self._writer = writer
        self._wall_clock = wall_clock
        self._price_ids: dict[str, tuple[Price, int]] = {}

    def hold(self, wish: Wish) -> Awaitable[Answer]:
        """Keep credit from others, and a claim. Raises ServiceUnavailable."""
        return self._writer.hold(wish)

    def settle(self, generation: Generation, outcome: Outcome | None = None) -> Awaitable[None]:
        """Keep a record, charge it and resolve its hold: done, or sure to be done, once what is given was awaited.

        `outcome` is what becomes of its claim, if it has one.
        """
        if generation.endpoint is None:
            self._forget(generation, outcome)
            return asyncio.sleep(0)
        row = row_of(generation, self._price_id(generation.endpoint) if generation.has_one_price else None)
        return self._settle_in_steps(row, outcome) if failpoints.armed else self._writer.settle(row, outcome)

    async def _settle_in_steps(self, row: GenerationRow, outcome: Outcome | None) -> None:
        failpoints.reach("end.before")
        await self._writer.settle(row, outcome)
        failpoints.reach("end.settled")

    def settle_later(self, generation: Generation, outcome: Outcome | None = None) -> None:
        """The same without waiting."""
        if generation.endpoint is None:
            self._forget(generation, outcome)
            return
        row = row_of(generation, self._price_id(generation.endpoint) if generation.has_one_price else None)
        self._writer.settle(row, outcome)  # the record is kept, whoever waits for that

    def _forget(self, generation: Generation, outcome: Outcome | None) -> None:
        """Keep nothing, and hold nothing, of a request for which nobody was asked."""
        if generation.held_nano is not None:
            self._writer.release(generation.id)
        if outcome is not None:
            self._writer.end_claim(outcome)

    def _price_id(self, endpoint: Endpoint) -> int | None:
        """Name the price of an endpoint: the same on every node and for ever, so that nothing has to be looked up."""
        price = endpoint.price
        if price is None:
            return None
        known = self._price_ids.get(endpoint.id)
        if known is not None and known[0] is price:
            return known[1]
        text = write_price(price)
        fingerprint = fingerprint_of(endpoint.id, text)
        id = id_of(fingerprint)
        self._writer.add_price(PriceRow(id, endpoint.id, fingerprint, text, int(self._wall_clock() * 1000)))
        self._price_ids[endpoint.id] = price, id
        return id
