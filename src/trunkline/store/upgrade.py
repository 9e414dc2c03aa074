"""The Alembic revisions that a database lacks: run on SQLite, written as SQL for PostgreSQL. Imported only then.

A revision expands: code of before goes on with what it leaves. One that takes away what such code needs says so in its
file, `contracts = "0007"`: code whose newest revision is older than that does not work with the tables any more. On
PostgreSQL, which several nodes share, such a one waits until it is asked for.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, String, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import StaticPool

from trunkline.settings.reading import SettingsError

MIGRATIONS = Path(__file__).parent / "migrations"


class Steps(NamedTuple):
    """What brings a PostgreSQL database to a revision: statements, for one transaction.

    `oldest_code` is the oldest revision of code that works with it then, None where that stays as it is; `waiting` the
    first revision that is left out because it contracts.
    """

    statements: list[str]
    revision: str
    oldest_code: str | None
    waiting: str | None


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
        raise unknown_revision(error) from error
    except DBAPIError as error:
        raise error.orig or error from None


def write_steps(start: str | None, *, may_contract: bool, migrations: Path = MIGRATIONS) -> Steps:
    """Write what a PostgreSQL database of a revision lacks, of an empty one everything.

    Without `may_contract` it ends before a revision that contracts. Raises SettingsError for a revision that is not
    known, and where what this version needs comes behind such a one.
    """
    config = _config(migrations)
    try:
        pending = _pending(ScriptDirectory.from_config(config), start)
        ready = pending if may_contract or start is None else _before_contraction(pending)
        statements = _write(config, start, ready[-1].revision) if ready else []
    except CommandError as error:
        raise unknown_revision(error) from None
    return Steps(
        statements,
        ready[-1].revision if ready else start or "",
        max(filter(None, map(contracts, ready)), default=None),
        pending[len(ready)].revision if len(ready) < len(pending) else None,
    )


def contracts(script: Script) -> str | None:
    """The oldest revision of code that works after this one, where older code does not."""
    found: str | None = getattr(script.module, "contracts", None)
    return found


def verify_revision(revision: str) -> None:
    """Raise SettingsError for a revision that this version does not know."""
    try:
        ScriptDirectory(str(MIGRATIONS)).get_revision(revision)
    except CommandError as error:
        raise unknown_revision(error) from None


def unknown_revision(error: CommandError) -> SettingsError:
    """Make the error for a database that this version cannot read."""
    return SettingsError(
        [f"store.url: the database was made by another version ({error}); use that version or a newer one"]
    )


def alembic_config(connection: Connection) -> Config:
    """Point Alembic at our revisions and at an open connection; there is no `alembic.ini`."""
    config = _config(MIGRATIONS)
    config.attributes["connection"] = connection
    return config


def _config(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    return config


def _pending(scripts: ScriptDirectory, start: str | None) -> list[Script]:
    """The revisions behind one, the oldest first. Raises CommandError for one that is not known."""
    scripts.get_revision(start or "base")
    return list(scripts.iterate_revisions("head", start or "base"))[::-1]


def _before_contraction(pending: list[Script]) -> list[Script]:
    first = next((place for place, script in enumerate(pending) if contracts(script)), len(pending))
    if not all(map(contracts, pending[first:])):
        problem = f"store.url: revision {pending[first].revision} of the database takes away what older versions need"
        advice = "stop those that still run and call `trunkline store migrate --contract`"
        raise SettingsError([f"{problem}, and this version needs what comes after; {advice}"])
    return pending[:first]


class _Taken(list[str]):
    """What Alembic writes, a statement at a time, without what only people read."""

    def write(self, text: str) -> None:
        statement = text.strip().removesuffix(";")
        if statement and not statement.startswith("--"):
            self.append(statement)

    def flush(self) -> None:
        pass


def _write(config: Config, start: str | None, end: str) -> list[str]:
    taken = _Taken()
    config.output_buffer = taken  # type: ignore[assignment]  # all of a file that Alembic uses
    command.upgrade(config, f"{start}:{end}" if start else end, sql=True)
    return list(taken)


@compiles(String, "postgresql")  # type: ignore[untyped-decorator]
def _text(_type: String, _compiler: Any, **_options: Any) -> str:
    """Take texts of any length, as SQLite does, and compare them by their bytes, whatever the database's language."""
    return 'TEXT COLLATE "C"'
