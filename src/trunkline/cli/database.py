"""store: migrate, copy. It loads the store and nothing of the server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from trunkline.accounts.audit import Audit, audit
from trunkline.accounts.master_keys import MADE_ID
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.documents import AsJson, failing_as, member_lines, show
from trunkline.cli.stores import require_database, with_database
from trunkline.cli.tree import tree_of
from trunkline.settings.reading import SettingsError, shown_address, with_store_url
from trunkline.settings.sections import Settings
from trunkline.store.copying import copy_tables
from trunkline.store.database import Database
from trunkline.store.journal import journal_folder
from trunkline.store.migrating import migrate_database
from trunkline.store.revisions import Migrated
from trunkline.store.urls import is_shared, sqlite_path

STORE = typer.Typer(help="Look after the database.", no_args_is_help=True)
MIGRATION_S = 86_400.0
"""How long tables may take to be changed."""


@STORE.command("migrate")
def migrate_tables(
    contract: Annotated[
        bool, typer.Option("--contract", metavar="", help="Also take away what only older versions need.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Bring the tables to what this version needs.

    A start does the same, so this is for tables that take long. On PostgreSQL what older versions still need stays,
    until --contract takes it away; it is refused while a gateway of such a version runs.
    """
    with failing_as(as_json):
        settings, _ = read_settings(config)
        require_database(settings)
        found = migrate_database(settings.store.url, MIGRATION_S, may_contract=contract)
        show(found._asdict(), as_json, _lines(found))


@STORE.command("copy")
def copy_database(
    to: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="An empty PostgreSQL database, as postgresql://user@host:5432/name; with the password in PGPASSWORD "
            "no list of processes shows it.",
        ),
    ],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Copy an SQLite database to PostgreSQL, and check the books there.

    Gateways are stopped before. All is copied or nothing, and the SQLite database stays as it is.
    """
    with failing_as(as_json):
        settings, _ = read_settings(config)
        path = _source(settings)
        now_ms = int(time.time() * 1000)

        async def work(database: Database) -> tuple[dict[str, int], Audit]:
            counts = await database.write(partial(copy_tables, path=path, now_ms=now_ms))
            # What a killed gateway held the first one to start there gives back: at this time none of it is overdue.
            return counts, await database.read(partial(audit, now_ms=0))

        counts, found = with_database(_target(settings, to), work, timeout=MIGRATION_S)
        show({"copied": counts, "audit": found.document()}, as_json, _copied_lines(settings, path, counts, found))
        if not found.is_ok:
            raise typer.Exit(1)


TREE = tree_of(STORE, "store")


def _source(settings: Settings) -> Path:
    """The file that is copied, of which nothing waits elsewhere. Raises SettingsError."""
    require_database(settings)
    path, folder = sqlite_path(settings.store.url), journal_folder(settings)
    if path is None:
        raise SettingsError([f"store.url of the settings names no SQLite file: {shown_address(settings.store.url)}"])
    if folder is not None and any(folder.glob("*")):
        problem = f"records wait in {folder} to be put into {path}"
        raise SettingsError([f"{problem}; start a gateway on it until they are gone, then stop it"])
    return path


def _target(settings: Settings, to: str) -> Settings:
    if not is_shared(to):
        raise SettingsError(["--to names a PostgreSQL database, as postgresql://user@host:5432/name"])
    try:
        return with_store_url(settings, to)
    except ValueError as error:
        raise SettingsError([f"--to: {error}"]) from None


def _copied_lines(settings: Settings, path: Path, counts: dict[str, int], found: Audit) -> Iterator[str]:
    yield from member_lines({"copied": counts, "books are right": found.is_ok})
    yield "Now set store.url to it, and with it:"
    if settings.store.pepper is None:
        yield f'  store.pepper = {{ file = "{path}.pepper" }}'
    if not settings.store.master_keys and path.with_name(f"{path.name}.master").exists():
        yield f'  store.master_keys.{MADE_ID} = {{ file = "{path}.master" }}'
    yield "  store.journal = a folder on a disk that outlasts the gateway"


def _lines(found: Migrated) -> Iterator[str]:
    yield f"The tables are at revision {found.revision}."
    if found.waiting is not None:
        yield f"Revision {found.waiting} takes away what older versions need: stop those, then add --contract."
