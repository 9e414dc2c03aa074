"""The store that the settings name, open while one command runs. It loads nothing of the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from trunkline.accounts.administration import Accounts, Declined
from trunkline.cli.documents import Refusal, Unknown
from trunkline.cli.start import load
from trunkline.settings.reading import SettingsError
from trunkline.settings.sections import Settings
from trunkline.store.database import Database, open_database
from trunkline.store.journal import journal_folder
from trunkline.store.notes import posted_in
from trunkline.store.rows import AccountRow
from trunkline.store.statements.keys import keys_named
from trunkline.store.urls import sqlite_path

Result = TypeVar("Result")


class HasId(Protocol):
    @property
    def id(self) -> str: ...


Named = TypeVar("Named", bound=HasId)


PATIENCE_S = 30.0
"""How long a command waits for the database at least: gateways that write may keep it from its turn for a while."""


def with_database(
    settings: Settings, work: Callable[[Database], Awaitable[Result]], *, timeout: float = PATIENCE_S
) -> Result:
    """Open the database, do one thing with it within so many seconds, and close it.

    It holds the record of every answer that was told before.
    Raises SettingsError, a Refusal for what the books do not allow, ServiceUnavailable.
    """
    require_database(settings)

    async def run() -> Result:
        if (folder := journal_folder(settings)) is not None:
            await posted_in(folder)
        database = open_database(settings.store.url, max(timeout, settings.store.timeout))
        try:
            return await work(database)
        finally:
            await database.close()

    return run_work(run())


def with_accounts(settings: Settings, work: Callable[[Accounts], Awaitable[Result]]) -> Result:
    """Do one thing with the accounts of the database, as `with_database` does."""
    return with_database(settings, lambda database: work(Accounts(database, time.time)))


def tell_nodes(settings: Settings, *owner_ids: str) -> None:
    """Tell running gateways which keys or accounts were changed, where they share a board; others see it within 5 s."""
    if settings.store.counters is not None:
        load("trunkline.nodes.telling").tell_changed(settings, owner_ids)


def run_work(work: Coroutine[Any, Any, Result]) -> Result:
    """Run what a command waits for, and tell what is declined as its refusal."""
    try:
        return asyncio.run(work)
    except Declined as declined:
        raise Refusal(declined.code, declined.message) from None


def require_database(settings: Settings) -> None:
    """Raise SettingsError where there is no database: one made elsewhere would be none that the gateway knows."""
    path = sqlite_path(settings.store.url)
    if path is not None and not path.exists():
        problem = f"there is no database {path.resolve()}"
        raise SettingsError([f"{problem}; run this where `trunkline serve` runs, or name its file with --config"])


async def find_account(accounts: Accounts, name: str) -> AccountRow:
    """Find the one account with this id or name. Raises Unknown."""
    return the_one("account", name, await accounts.named(name))


async def id_of_account(database: Database, name: str | None) -> str | None:
    """The id of the one account with this id or name; None for none. Raises Unknown."""
    return None if name is None else (await find_account(Accounts(database, time.time), name)).id


async def id_of_key(database: Database, name: str | None) -> str | None:
    """The id of the one key with this id, first characters or name; None for none. Raises Unknown."""
    if name is None:
        return None
    found = await database.read(partial(keys_named, name=name.removesuffix("…")))
    return the_one("key", name, [row for row in found if row.id == name] or found).id


def the_one(kind: str, name: str, found: Sequence[Named]) -> Named:
    """What a name stands for, where it stands for one thing. Raises Unknown."""
    if not found:
        raise Unknown(f"there is no {kind} {name!r}; see `trunkline {kind}s list`")
    if len(found) > 1:
        ids = ", ".join(each.id for each in found)
        raise Unknown(f"{name!r} is the name of {len(found)} {kind}s; use one of their ids: {ids}")
    return found[0]
