"""Running the Alembic revisions that a database lacks. Imported only when it lacks some."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from trunkline.settings.reading import SettingsError

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: sqlite3.Connection, revision: str = "head") -> None:
    """Bring the schema to a revision, in one transaction that holds the write lock from its beginning.

    Raises SettingsError for a database made by a newer version, and sqlite3.Error.
    """
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.connect() as bound, bound.begin():
            command.upgrade(alembic_config(bound), revision)
    except CommandError as error:
        problem = f"store.url: the database was made by another version ({error}); use that version or a newer one"
        raise SettingsError([problem]) from error
    except DBAPIError as error:
        raise error.orig or error from None


def verify_revision(revision: str) -> None:
    """Raise SettingsError for a revision that this version does not know."""
    try:
        ScriptDirectory(str(MIGRATIONS)).get_revision(revision)
    except CommandError as error:
        problem = f"store.url: the database was made by another version ({error}); use that version or a newer one"
        raise SettingsError([problem]) from None


def alembic_config(connection: Connection) -> Config:
    """Point Alembic at our revisions and at an open connection; there is no `alembic.ini`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
