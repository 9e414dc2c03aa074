"""The store that nodes share, as an operator and an auditor see it from outside."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

from tests.gateway.waiting import eventually
from trunkline.accounts.administration import Accounts
from trunkline.accounts.audit import audit_now
from trunkline.accounts.keys import Keys
from trunkline.money import nano_of
from trunkline.store.database import Database, open_database

Result = TypeVar("Result")

PEPPER = "pepper-canary-Gk4Rz8Wq1Nc6Ld3T"
PATIENCE_S = 20.0
_numbers = itertools.count(1)


class Tenant(NamedTuple):
    """An account and a key of it."""

    account_id: str
    key_id: str
    key: str


@dataclass(frozen=True)
class Books:
    """The database at an address."""

    url: str

    def tenant(self, credit: str | None = None, **terms: object) -> Tenant:
        """Make an account with credit in USD, unlimited without, and a key with terms such as `rpm`."""

        async def work(database: Database) -> Tenant:
            number = next(_numbers)
            credit_nano = None if credit is None else nano_of(credit)
            account = await Accounts(database, time.time).create(f"team {number}", credit_nano, {})
            keys = Keys(database, PEPPER.encode(), clock=time.monotonic, wall_clock=time.time)
            made = await keys.create(f"key {number}", account_id=account.id, terms=terms)
            return Tenant(account.id, made.row.id, made.text)

        return self._do(work)

    def revoke(self, tenant: Tenant) -> None:
        """Revoke its key, as on another node."""

        async def work(database: Database) -> None:
            keys = Keys(database, PEPPER.encode(), clock=time.monotonic, wall_clock=time.time)
            assert await keys.revoke(tenant.key_id)

        self._do(work)

    def rows(self, statement: str, *values: object) -> list[Any]:
        """What a statement gives."""
        return self._do(lambda database: database.read(lambda c: list(c.execute(statement, values))))

    def charged_nano(self, tenant: Tenant) -> int:
        """What is charged to an account that has credit."""
        ((charged,),) = self.rows("SELECT charged_nano FROM budgets WHERE id = ?", tenant.account_id)
        return int(charged)

    def revision(self) -> str:
        """Which revision the tables are at."""
        return str(self.rows("SELECT version_num FROM alembic_version")[0][0])

    def held(self) -> int:
        """How many holds there are."""
        return int(self.rows("SELECT count(*) FROM holds")[0][0])

    def recorded(self, tenant: Tenant) -> dict[str, str]:
        """The records of an account: what became of each request, by its id."""
        return dict(self.rows("SELECT id, status FROM generations WHERE account_id = ?", tenant.account_id))

    def await_records(self, tenant: Tenant, ids: Collection[str], within_s: float = 10.0) -> None:
        """Wait until there is a record of each answer."""
        missing: set[str] = set(ids)

        def is_complete() -> bool:
            missing.difference_update(self.recorded(tenant))
            return not missing

        eventually(is_complete, f"{len(missing)} of {len(ids)} answers have no record", within_s)

    def check(self, within_s: float = 10.0) -> None:
        """Audit: no hold is left, and there is no difference."""
        eventually(lambda: self.held() == 0, "a hold is left", within_s)
        now_ms = int(time.time() * 1000)
        found: Sequence[Any] = self._do(lambda database: database.read(partial(audit_now, here_ms=now_ms))).differences
        assert not found, found[:5]

    def _do(self, work: Callable[[Database], Awaitable[Result]]) -> Result:
        async def run() -> Result:
            database = open_database(self.url, PATIENCE_S)
            try:
                return await work(database)
            finally:
                await database.close()

        return asyncio.run(run())
