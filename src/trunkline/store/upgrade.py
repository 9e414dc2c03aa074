"""Running the Alembic revisions that a database lacks. Imported only when it lacks some."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from trunkline.settings.reading import SettingsError

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the schema to a revision inside the caller's transaction.

    Raises SettingsError for a database made by a newer version.
    """
    config = alembic_config(connection)
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        problem = f"store.url: the database was made by another version ({error}); use that version or a newer one"
        raise SettingsError([problem]) from error


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
