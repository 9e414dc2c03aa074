"""Claims of one process: looked up, and ended with what became of them. The rule is `idempotency.py`'s.

What is under way here is known here, so that those who wait for it ask the store for nothing. Of those who wait for
what is under way elsewhere one asks at a time, and all that came meanwhile hear the same.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from functools import partial

from trunkline.accounts.idempotency import Claim, Finding, Free, Other, UnderWay, judge, keep, make_claim
from trunkline.credentials.sealing import NONCE_BYTES, load
from trunkline.errors import ServiceUnavailable
from trunkline.settings.secret import Secret
from trunkline.store.batch import Outcome
from trunkline.store.database import Database, unavailable
from trunkline.store.rows import ClaimRow
from trunkline.store.statements.idempotency import find_claim

Drawing = Callable[[int], bytes]


class Claims:
    """The claims of one store, as this process sees them. `draw` gives so many random bytes."""

    def __init__(self, database: Database, pepper: bytes, draw: Drawing = secrets.token_bytes) -> None:
        self._database = database
        self._pepper = pepper
        self._draw = draw
        self._here: dict[bytes, bytes] = {}
        self._asked: dict[bytes, asyncio.Task[ClaimRow | str | None]] = {}
        self.is_loaded = False
        """Whether making one takes no longer than what is asked with it."""

    def make(self, account_id: str, text: str, api_key: Secret, asked: bytes | bytearray, more: str) -> Claim:
        """Make a claim of a request; the first that is made loads a library."""
        load()
        self.is_loaded = True
        return make_claim(self._pepper, account_id, text, api_key, asked, more)

    async def look(self, claim: Claim) -> Finding:
        """Find out how a claim stands. Raises ServiceUnavailable where only the store knows."""
        mark, body_hash = claim.pledge
        here = self._here.get(mark)
        if here is not None:
            return UnderWay() if here == body_hash else Other(is_under_way=True)
        found = judge(await self._find(mark), claim.pledge)
        # Somebody here may have begun meanwhile.
        return UnderWay() if isinstance(found, Free) and mark in self._here else found

    def begin(self, claim: Claim) -> None:
        """Say that a claim, which is free, is under way here."""
        self._here[claim.pledge.mark] = claim.pledge.body_hash

    def leave(self, claim: Claim) -> None:
        """Say that it is not any more; how it stands is in the store, or soon will be."""
        self._here.pop(claim.pledge.mark, None)

    def keep(self, claim: Claim, id: str, packed: bytes | None, *, is_stream: bool) -> Outcome:
        """Keep an answer that is about to be told to its end; None for one that is too large."""
        return keep(claim, id, packed, self._draw(NONCE_BYTES), is_stream=is_stream)

    async def _find(self, mark: bytes) -> ClaimRow | None:
        if (asked := self._asked.get(mark)) is None:
            asked = self._asked[mark] = asyncio.create_task(self._read(mark))
            asked.add_done_callback(lambda _: self._asked.pop(mark))
        # Who leaves lets the others have it; and an error that many raised would gather the frames of all.
        found = await asyncio.shield(asked)
        if isinstance(found, str):
            raise unavailable(found)
        return found

    async def _read(self, mark: bytes) -> ClaimRow | str | None:
        """A claim, or why the store does not say."""
        try:
            return await self._database.read(partial(find_claim, mark=mark))
        except ServiceUnavailable as error:
            return error.message
