"""Claims as one process sees them: those who wait for what is under way elsewhere ask the store together."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import pytest

from tests.store.ledger import START_MS, Books, run
from trunkline.accounts.claims import Claims
from trunkline.accounts.idempotency import Claim, Finding, Free, UnderWay
from trunkline.errors import ServiceUnavailable
from trunkline.settings.secret import Secret
from trunkline.store.connection import Work
from trunkline.store.database import Database, unavailable
from trunkline.store.rows import ClaimRow
from trunkline.store.statements.idempotency import add_claims

Result = TypeVar("Result")


class Counting(Database):
    """A database that counts what is read of it, and may be away."""

    def __init__(self, database: Database) -> None:
        self.__dict__.update(vars(database))
        self.reads = 0
        self.is_away = False

    async def read(self, work: Work[Result]) -> Result:
        self.reads += 1
        if self.is_away:
            await asyncio.sleep(0.01)
            raise unavailable("It is away.")
        return await super().read(work)


def claim_of(claims: Claims) -> Claim:
    return claims.make("a", "one", Secret("tl-1"), b"{}", "")


def test_CL_12_a_crowd_asks_the_store_once() -> None:
    async def scene(books: Books) -> None:
        database = Counting(books.database)
        claims = Claims(database, b"pepper")
        claim = claim_of(claims)

        async def look_by_all() -> list[Finding]:
            return list(await asyncio.gather(*(claims.look(claim) for _ in range(1_000))))

        assert await look_by_all() == [Free()] * 1_000
        row = ClaimRow(*claim.pledge, "r1", "elsewhere", START_MS)
        await books.writer.run(lambda connection: add_claims(connection, [row]))
        assert await look_by_all() == [UnderWay()] * 1_000
        assert database.reads == 2

    run(scene)


def test_a_crowd_is_told_that_the_store_is_away_and_asks_anew() -> None:
    async def scene(books: Books) -> None:
        database = Counting(books.database)
        claims = Claims(database, b"pepper")
        claim = claim_of(claims)
        database.is_away = True
        refused = await asyncio.gather(*(claims.look(claim) for _ in range(10)), return_exceptions=True)
        assert len({id(error) for error in refused if isinstance(error, ServiceUnavailable)}) == 10
        database.is_away = False
        assert await claims.look(claim) == Free()

    run(scene)


def test_who_leaves_lets_the_others_have_it() -> None:
    async def scene(books: Books) -> None:
        claims = Claims(books.database, b"pepper")
        claim = claim_of(claims)
        first, second = (asyncio.create_task(claims.look(claim)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == Free()
        with pytest.raises(asyncio.CancelledError):
            await first

    run(scene)
