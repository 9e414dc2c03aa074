"""What commands that read the store need: the store, ids of names, days and moments as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from functools import partial
from typing import TypeVar

from trunkline.accounts.records import number_of
from trunkline.cli.documents import Unknown
from trunkline.settings.reading import SettingsError
from trunkline.settings.sections import Settings
from trunkline.store.database import Database, open_database, sqlite_path
from trunkline.store.statements import records

Result = TypeVar("Result")


def with_store(settings: Settings, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Open the store, do one thing with it, and close it; a gateway may run on it meanwhile.

    Raises SettingsError where there is none: one that is made here would be empty.
    """
    path = sqlite_path(settings.store.url)
    if path is not None and not path.exists():
        problem = f"there is no database {path.resolve()}"
        raise SettingsError([f"{problem}; run this where `trunkline serve` runs, or name its file with --config"])

    async def run() -> Result:
        database = open_database(settings.store.url, settings.store.timeout)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


async def account_named(database: Database, name: str | None) -> str | None:
    """The id of the account with this id or name; None for none. Raises Unknown."""
    if name is None:
        return None
    return _only("account", name, await database.read(partial(records.find_account_ids, name=name)))


async def key_named(database: Database, name: str | None) -> str | None:
    """The id of the key with this id, first characters or name; None for none. Raises Unknown."""
    if name is None:
        return None
    return _only("key", name, await database.read(partial(records.find_key_ids, name=name.removesuffix("…"))))


def day_number(option: str, text: str) -> int:
    """Read a UTC day, as days are counted in the store. Raises SettingsError."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise SettingsError([f"{option} is a day as 2026-11-27, in UTC, not {text!r}"]) from None
    return number_of(day)


def moment(at_ms: int) -> str:
    """A time as documents tell it, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _only(kind: str, name: str, ids: list[str]) -> str:
    if not ids:
        raise Unknown(f"there is no {kind} {name!r}")
    if len(ids) > 1:
        raise Unknown(f"{name!r} is the name of {len(ids)} {kind}s; use one of their ids: {', '.join(ids)}")
    return ids[0]
