"""keys: create, list, revoke. It loads the store and nothing of the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from trunkline.accounts.keys import Keys
from trunkline.accounts.opening import open_keys
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.tree import tree_of
from trunkline.settings.reading import SettingsError
from trunkline.settings.sections import Settings
from trunkline.store.database import sqlite_path
from trunkline.store.statements.keys import KeyRow

Result = TypeVar("Result")

KEYS = typer.Typer(help="Make, list and revoke the API keys of clients.", no_args_is_help=True)
TREE = tree_of(KEYS, "keys")


@KEYS.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="What the key is for; shown in lists.")] = "unnamed", config: Config = None
) -> None:
    """Make a key and print it, once. Only a hash of it is kept, in the database that is named on standard error."""
    settings, _ = read_settings(config)
    text = with_keys(settings, lambda keys: keys.create(name)).text
    typer.echo(f"kept in {database_name(settings)}", err=True)
    typer.echo(text)


@KEYS.command("list")
def list_keys(config: Config = None) -> None:
    """List the keys: id, first characters, name, day made, state."""
    settings, _ = read_settings(config)
    for row in with_keys(settings, lambda keys: keys.all()):
        day = time.strftime("%Y-%m-%d", time.gmtime(row.created_at_ms / 1000))
        typer.echo(f"{row.id}  {row.prefix}…  {row.name}  {day}  {state_of(row)}")


@KEYS.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(help="The key's id, first characters or name, as `keys list` shows them.")],
    config: Config = None,
) -> None:
    """Revoke a key for good. Running gateways refuse it within five seconds."""
    settings, _ = read_settings(config)
    wanted = key.removesuffix("…")
    known = [row for row in with_keys(settings, lambda keys: keys.all()) if wanted in (row.id, row.prefix, row.name)]
    if not known:
        raise SettingsError([f"there is no key {wanted!r}; see `trunkline keys list`"])
    if len(known) > 1:
        ids = ", ".join(row.id for row in known)
        raise SettingsError([f"{wanted!r} is the name of {len(known)} keys; use one of their ids: {ids}"])
    with_keys(settings, lambda keys: keys.revoke(known[0].id))
    typer.echo(f"revoked {known[0].id} ({known[0].name})")


def with_keys(settings: Settings, work: Callable[[Keys], Awaitable[Result]], *, makes: bool = False) -> Result:
    """Open the store, do one thing with its keys, and close it.

    Without `makes` the database must be there: one that is made in another folder would hold keys that the running
    gateway does not know. Raises SettingsError.
    """
    path = sqlite_path(settings.store.url)
    if not makes and path is not None and not path.exists():
        problem = f"there is no database {path.resolve()}"
        raise SettingsError([f"{problem}; run this where `trunkline serve` runs, or name its file with --config"])

    async def run() -> Result:
        database, keys = open_keys(settings)
        try:
            return await work(keys)
        finally:
            await database.close()

    return asyncio.run(run())


def database_name(settings: Settings) -> str:
    """Name the database in full, so that it is seen which of two it is."""
    path = sqlite_path(settings.store.url)
    return "memory" if path is None else str(path.resolve())


def state_of(row: KeyRow) -> str:
    """Say in a word whether a key may be used."""
    if row.disabled:
        return "revoked"
    return "expired" if row.expires_at_ms is not None and row.expires_at_ms <= time.time() * 1000 else "good"
