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
from trunkline.settings.reading import SettingsError
from trunkline.settings.sections import Settings
from trunkline.store.statements import KeyRow

Result = TypeVar("Result")

KEYS = typer.Typer(help="Make, list and revoke the API keys of clients.", no_args_is_help=True)
TREE = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables, and with them secrets
    context_settings={"help_option_names": ["-h", "--help"]},
)
"""The tree of commands with nothing but these in it."""

TREE.add_typer(KEYS, name="keys")


@KEYS.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="What the key is for; shown in lists.")] = "unnamed", config: Config = None
) -> None:
    """Make a key and print it, once. Only a hash of it is kept."""
    settings, _ = read_settings(config)
    typer.echo(with_keys(settings, lambda keys: keys.create(name)).text)


@KEYS.command("list")
def list_keys(config: Config = None) -> None:
    """List the keys: id, first characters, name, day made, state."""
    settings, _ = read_settings(config)
    for row in with_keys(settings, lambda keys: keys.all()):
        day = time.strftime("%Y-%m-%d", time.gmtime(row.created_at_ms / 1000))
        typer.echo(f"{row.id}  {row.prefix}…  {row.name}  {day}  {_state(row)}")


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


def with_keys(settings: Settings, work: Callable[[Keys], Awaitable[Result]]) -> Result:
    """Open the store, do one thing with its keys, and close it."""

    async def run() -> Result:
        database, keys = open_keys(settings)
        try:
            return await work(keys)
        finally:
            await database.close()

    return asyncio.run(run())


def _state(row: KeyRow) -> str:
    if row.disabled:
        return "revoked"
    return "expired" if row.expires_at_ms is not None and row.expires_at_ms <= time.time() * 1000 else "good"
