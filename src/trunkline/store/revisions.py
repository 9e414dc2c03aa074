"""Which revision a PostgreSQL database is at, whether this code works with it, and bringing it further.

Nodes are restarted one after the other, so code of two versions uses one database for a while. A newer one migrates at
its start, and what it does then leaves what the older needs: a revision expands. A later version takes away what nobody
needs any more: such a revision contracts, names the oldest code that works after it, and is run when somebody asks for
it. The database tells older code, which knows nothing of newer revisions, whether it may still start.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

from trunkline.settings.reading import SettingsError
from trunkline.store.clock import read_clock
from trunkline.store.connection import Connection
from trunkline.store.schema import HEAD
from trunkline.store.statements.tables import (
    list_older_nodes,
    lock_tables,
    read_oldest_code,
    read_revision,
    run_steps,
)

if TYPE_CHECKING:
    from trunkline.store.upgrade import Steps

SEEN_MS = 60_000
"""A node that was not seen for so long is gone."""


class Migrated(NamedTuple):
    """At which revision a database is, and which one waits to be asked for, if one does."""

    revision: str
    waiting: str | None


def bring_to_head(connection: Connection) -> None:
    """Make or migrate the tables, unless they are of this version or a newer one that lets this one be.

    It runs in a transaction that writes; whoever comes second waits for the first. Raises SettingsError.
    """
    if not _is_usable(connection):
        migrate(connection)


def migrate(connection: Connection, *, may_contract: bool = False) -> Migrated:
    """Run the revisions that lack; those that contract only if they may, and without older nodes.

    Raises SettingsError.
    """
    lock_tables(connection)
    before = read_revision(connection)
    if before is not None and before > HEAD and _is_usable(connection):
        return Migrated(before, None)
    steps = _steps(before, may_contract)
    if before is not None and may_contract and steps.oldest_code is not None:
        _refuse_older_nodes(connection, steps.oldest_code)
    run_steps(connection, steps.statements, steps.oldest_code)
    return Migrated(steps.revision, steps.waiting)


def verify_revision(connection: Connection) -> str | None:
    """Give the revision, None where there are no tables, and change nothing.

    Raises SettingsError where `bring_to_head` would.
    """
    revision = read_revision(connection)
    if revision is not None and not _is_usable(connection):
        _steps(revision, False)
    return revision


def _is_usable(connection: Connection) -> bool:
    """Whether nothing is to be done. Raises SettingsError for a newer database that this code does not work with."""
    revision = read_revision(connection)
    if revision is None or revision < HEAD:
        return False
    if revision > HEAD and (oldest := read_oldest_code(connection)) > HEAD:
        problem = f"store.url: the database is at revision {revision} and works with code of {oldest} or newer"
        raise SettingsError([f"{problem}; this one is of {HEAD}: use a newer version"])
    return True


def _steps(revision: str | None, may_contract: bool) -> Steps:
    # By name, because Alembic and SQLAlchemy cost half a second that only a migration should pay.
    steps: Steps = importlib.import_module("trunkline.store.upgrade").write_steps(revision, may_contract=may_contract)
    return steps


def _refuse_older_nodes(connection: Connection, revision: str) -> None:
    nodes = list_older_nodes(connection, revision, read_clock(connection) - SEEN_MS)
    if nodes:
        problem = f"nodes of an older version than {revision} still run: {', '.join(nodes)}"
        raise SettingsError([f"{problem}; stop them, or wait for a minute if they have stopped"])
