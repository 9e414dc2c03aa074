"""store: migrate. It loads the store and nothing of the server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

import typer

from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.documents import AsJson, failing_as, show
from trunkline.cli.stores import require_database
from trunkline.cli.tree import tree_of
from trunkline.store.migrating import migrate_database
from trunkline.store.revisions import Migrated

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
        now_ms = int(time.time() * 1000)
        found = migrate_database(settings.store.url, MIGRATION_S, now_ms if contract else None)
        show(found._asdict(), as_json, _lines(found))


TREE = tree_of(STORE, "store")


def _lines(found: Migrated) -> Iterator[str]:
    yield f"The tables are at revision {found.revision}."
    if found.waiting is not None:
        yield f"Revision {found.waiting} takes away what older versions need: stop those, then add --contract."
