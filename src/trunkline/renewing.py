"""A newer list of models taken by a gateway that runs: looked for in the store, built beside the loop, used whole.

Theory of operation. A catalogue names the list in the store that it was made beside by its digest, empty where there
was none. Every `LOOKS_EVERY_S`, and at once when somebody tells that it changed, the store is asked which it keeps:

    it is that of the catalogue in use, or was refused and not kept anew since ──▶ nothing
    it is another ──▶ its list is read, and a catalogue is made of it in the thread beside the loop
        that can be used ──▶ the next plan is made over it; requests under way keep what they were planned with
        that cannot      ──▶ it is refused, which is said once, and the catalogue in use stays
    the store is away ──▶ nothing

Which list is in force, and what stays as it is, is `inventory.py`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable
from typing import Final, NamedTuple, Self

from trunkline.catalog.entries import Catalog
from trunkline.catalog.renewal import Counts
from trunkline.errors import ServiceUnavailable
from trunkline.routing.plan import Planner
from trunkline.store.database import Database
from trunkline.store.rows import NO_LIST, ListRow, ListStamp
from trunkline.store.statements.model_lists import find_list, find_list_stamp
from trunkline.upstream.aside import Aside

LOOKS_EVERY_S: Final = 4.0
"""With what it takes to build a catalogue, a list is in use within five seconds."""


class Renewed(NamedTuple):
    """A catalogue to be used, what is other in it than in the one before, and the ids that other nodes may tell of."""

    catalog: Catalog
    counts: Counts
    ids: frozenset[str] = frozenset()


class Renewing:
    """Looks after the catalogue that a planner holds, from when it is entered until it is left.

    `make` builds one out of the one in use and the store's list, in another thread; whatever it raises refuses the
    list. `took` is told of the one before and the one that is used in its place, `refused` why a list is not. `told`
    is set when somebody tells that the list changed.
    """

    def __init__(
        self,
        database: Database,
        planner: Planner[Catalog],
        aside: Aside,
        make: Callable[[Catalog, ListRow | None], Renewed],
        took: Callable[[Catalog, Renewed], None],
        refused: Callable[[str], None],
        told: asyncio.Event,
        *,
        looks_every_s: float = LOOKS_EVERY_S,
    ) -> None:
        self._database = database
        self._planner = planner
        self._aside = aside
        self._make = make
        self._took = took
        self._tell_refused = refused
        self._told = told
        self._looks_every_s = looks_every_s
        self._refused: ListStamp | None = None
        self._rounds: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._rounds = asyncio.create_task(self._look_in_rounds())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._rounds is not None
        self._rounds.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._rounds

    async def _look_in_rounds(self) -> None:
        while True:
            try:
                await self._look()
            except ServiceUnavailable:
                pass  # the store is away; nothing changes
            except Exception as error:  # a defect, of which operators hear; lists are looked for all the same
                self._tell_refused(str(error) or type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._looks_every_s):
                    await self._told.wait()
            self._told.clear()

    async def _look(self) -> None:
        before = self._planner.catalog
        stamp = await self._database.read(find_list_stamp)
        if stamp.digest == before.stored_list or stamp == self._refused:
            return
        row = await self._database.read(find_list)
        try:
            renewed = await self._aside.run(self._build, before, row)
        except Exception as error:  # a list may be wrong in any way, and must not end what serves
            self._refused = NO_LIST if row is None else row.stamp
            self._tell_refused(str(error) or type(error).__name__)
            return
        self._planner.use(renewed.catalog)
        self._took(before, renewed)

    def _build(self, before: Catalog, row: ListRow | None) -> Renewed:
        # All of it lives until the next list comes. To look for garbage in it would hold up the loop for 20 ms.
        gc.disable()
        try:
            return self._make(before, row)
        finally:
            gc.freeze()
            gc.enable()
