"""Accounts, their API keys and the provider keys they bring, put into the database of a gateway that runs."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from trunkline.accounts.keys import Keys
from trunkline.accounts.master_keys import MasterKeys
from trunkline.accounts.provider_keys import ProviderKeys
from trunkline.settings.secret import Secret
from trunkline.store.connection import Connection
from trunkline.store.database import Database, open_database

Result = TypeVar("Result")


@dataclass(frozen=True)
class Tenant:
    """An account with one API key."""

    account_id: str
    key_id: str
    key: str


@dataclass
class Tenants:
    """The tenants of the gateway that runs in a folder."""

    folder: Path
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def path(self) -> Path:
        return self.folder / "trunkline.db"

    def add(self, **terms: object) -> Tenant:
        """Make an account without a limit, and a key for it."""
        account_id = f"acc_t{next(self._numbers)}"

        async def work(database: Database) -> Tenant:
            await database.write(lambda connection: _put_account(connection, account_id, json.dumps(terms)))
            return await self._new_key(database, account_id)

        return self._do(work)

    def add_key(self, tenant: Tenant) -> Tenant:
        """Make another key for the same account."""
        return self._do(lambda database: self._new_key(database, tenant.account_id))

    def bring(self, owner: str, provider: str, secret: str, *, only: bool = False) -> str:
        """Keep a provider key for an account or a key; its id."""

        async def work(database: Database) -> str:
            row, _ = await self._provider_keys(database).add(owner, provider, Secret(secret), only=only)
            return row.id

        return self._do(work)

    def take_back(self, id: str) -> None:
        """Remove a provider key."""

        async def work(database: Database) -> None:
            assert await self._provider_keys(database).remove(id) is not None

        self._do(work)

    def move(self, before: str, after: str) -> None:
        """Write another owner into the rows of one, as nobody may."""

        async def work(database: Database) -> None:
            change = "UPDATE provider_keys SET owner = ? WHERE owner = ?"
            await database.write(lambda connection: connection.execute(change, (after, before)))

        self._do(work)

    def texts(self) -> bytes:
        """All that is in the files of the database."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.iterdir()) if path.is_file())

    async def _new_key(self, database: Database, account_id: str) -> Tenant:
        pepper = self.path.with_name("trunkline.db.pepper").read_text().strip().encode()
        keys = Keys(database, pepper, clock=time.monotonic, wall_clock=time.time)
        made = await keys.create("t", account_id=account_id)
        return Tenant(account_id, made.row.id, made.text)

    def _provider_keys(self, database: Database) -> ProviderKeys:
        return ProviderKeys(database, MasterKeys({}, self.path, {}), wall_clock=time.time)

    def _do(self, work: Callable[[Database], Awaitable[Result]]) -> Result:
        async def run() -> Result:
            database = open_database(f"sqlite:///{self.path}", 5.0)
            try:
                return await work(database)
            finally:
                await database.close()

        return asyncio.run(run())


def _put_account(connection: Connection, account_id: str, terms: str) -> None:
    connection.execute(
        "INSERT INTO accounts (id, name, created_at_ms, terms) VALUES (?, ?, 0, ?)", (account_id, account_id, terms)
    )
