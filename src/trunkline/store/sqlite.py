"""An SQLite database: its connections opened, its tables made or migrated, what its failures mean."""

from __future__ import annotations

import contextlib
import importlib
import os
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote

from trunkline import failpoints
from trunkline.settings.reading import SettingsError
from trunkline.store.connection import Connection, StoreError, ValueRefused, Values, Work
from trunkline.store.schema import HEAD
from trunkline.store.statements.tables import make_tables, read_revision
from trunkline.store.urls import IN_MEMORY, sqlite_path

Result = TypeVar("Result")

# A connection would keep 2 MB of pages. The system keeps the file's as well, once for all: with half a megabyte for
# what a group of records touches, and half of that for sums of days, both took as long (`bench/records.py`).
_WRITES = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "cache_size = -512")
_READS_ONLY = ("query_only = ON", "cache_size = -256")

# A transaction that reads first and writes later fails at once when another wrote in between, whatever the busy
# timeout; taking the write lock at the start waits for it instead.
_BEGIN = "BEGIN IMMEDIATE"

# Looked up once: these run a dozen times in each transaction.
_execute = sqlite3.Connection.execute
_execute_many = sqlite3.Connection.executemany

# The driver asks every value but a text or a number what it is adapted by, at the cost of an error raised and caught: a
# microsecond for each None and each truth. These say it at once, and change nothing.
sqlite3.register_adapter(type(None), {}.get)  # type: ignore[arg-type]  # gives None for what is not there
sqlite3.register_adapter(bool, int)


class SQLiteConnection(sqlite3.Connection):
    """A connection of the driver that fails as all databases do here."""

    dialect: Literal["sqlite"] = "sqlite"
    _is_durable = True

    def execute(self, statement: str, values: Values = (), /) -> sqlite3.Cursor:  # type: ignore[override]
        """Run one statement."""
        try:
            return _execute(self, statement, values)
        except sqlite3.Error as error:
            raise store_error(error) from error

    def executemany(self, statement: str, rows: Iterable[Values], /) -> sqlite3.Cursor:  # type: ignore[override]
        """Run one statement for one set of values after the other."""
        try:
            return _execute_many(self, statement, rows)
        except sqlite3.Error as error:
            raise store_error(error) from error

    read = execute

    def restart(self) -> None:
        """Undo all that the transaction did, and begin it anew."""
        self.execute("ROLLBACK")
        self.execute(_BEGIN)

    def transact(self, work: Work[Result], is_write: bool, is_durable: bool = True) -> Result:
        """Run statements in a transaction, and commit it."""
        if is_write and is_durable != self._is_durable:
            self.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
            self._is_durable = is_durable
        try:
            _execute(self, _BEGIN if is_write else "BEGIN")
            result = work(self)
            if is_write and failpoints.armed:
                failpoints.reach("commit.before")
            _execute(self, "COMMIT")
            if is_write and failpoints.armed:
                failpoints.reach("commit.after")
            return result
        except sqlite3.Error as error:  # of these two, or while rows were taken one after the other
            raise store_error(error) from error
        finally:
            if self.in_transaction:  # else the database has undone it itself, as when its disk is full
                self.execute("ROLLBACK")


def open_sqlite(url: str, timeout: float) -> tuple[SQLiteConnection, SQLiteConnection | None]:
    """Open a connection that writes and, to a file, one that reads; make or migrate the tables.

    Raises SettingsError when it cannot be opened.
    """
    path = sqlite_path(url)
    try:
        _keep_private(path)
        connection = _connect(path, timeout)
    except OSError as error:
        raise _unopened(path, str(error.strerror)) from None
    except (sqlite3.Error, StoreError) as error:
        raise _unopened(path, _words(error)) from error
    try:
        if read_revision(connection) != HEAD:
            _bring_to_head(connection)
        reading = None if path is None else _connect(path, timeout, reads_only=True)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error | StoreError):
            raise _unopened(path, _words(error)) from error
        raise
    return connection, reading


def verify_sqlite(url: str) -> str | None:
    """Find out whether `open_sqlite` would refuse, as far as that can be told without making or changing anything.

    It gives the revision of the tables, None where there are none yet. Raises SettingsError.
    """
    path = sqlite_path(url)
    if path is None:
        return None
    if not path.exists():
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise SettingsError([f"store.url: cannot make {path}; {_advice(path)}"])
        return None
    revision = read_once(path, read_revision)
    if revision not in (None, HEAD):
        importlib.import_module("trunkline.store.upgrade").verify_revision(revision)
    return revision


def read_once(path: Path, work: Work[Result]) -> Result:
    """Run statements on a file that is there, and make or change nothing. Raises SettingsError."""
    try:
        address = f"file:{quote(str(path.resolve()))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, factory=SQLiteConnection)) as connection:
            return work(connection)
    except (sqlite3.Error, StoreError) as error:
        raise _unopened(path, _words(error)) from None


_REASONS = {
    "SQLITE_FULL": "it is full: make room on its disk",
    "SQLITE_READONLY": "it cannot be written: let this user write the file and its directory",
    "SQLITE_CANTOPEN": "it cannot be opened: let this user write the file and its directory",
    "SQLITE_IOERR": "its disk fails: reading, writing or making durable was refused",
    "SQLITE_BUSY": "another process holds it",
    "SQLITE_CORRUPT": "its file is damaged: put a copy back",
    "SQLITE_NOTADB": "its file is not a database",
}
"""What the driver's codes mean. Its messages repeat the values of a statement and are not passed on."""


_OF_VALUE = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)


def store_error(error: sqlite3.Error) -> StoreError:
    """Say what happened to the store."""
    if isinstance(error, _OF_VALUE):
        return ValueRefused(type(error).__name__, f"{type(error).__name__}: {error}")
    return StoreError(_reason(error))


def _reason(error: sqlite3.Error) -> str:
    code = str(getattr(error, "sqlite_errorname", ""))
    known = next((reason for name, reason in _REASONS.items() if code.startswith(name)), None)
    return known or type(error).__name__


def _connect(path: Path | None, timeout: float, *, reads_only: bool = False) -> SQLiteConnection:
    """Open a connection; it begins no transaction by itself."""
    # Opened in one thread, used in another, never in two at once.
    connection = sqlite3.connect(
        IN_MEMORY if path is None else path,
        timeout,
        isolation_level=None,
        check_same_thread=False,
        factory=SQLiteConnection,
    )
    try:
        for pragma in _READS_ONLY if reads_only else _WRITES:
            _set(connection, pragma, timeout)
    except BaseException:
        connection.close()
        raise
    return connection


def _set(connection: SQLiteConnection, pragma: str, timeout: float) -> None:
    """Say how the file is to be used; of several that open a new one at once all but one may have to wait."""
    ends_at = time.monotonic() + timeout
    while True:
        try:
            connection.execute(f"PRAGMA {pragma}")
            return
        except StoreError as error:
            # Where two begin to write ahead, one is refused at once, whatever the busy timeout.
            is_busy = getattr(error.__cause__, "sqlite_errorname", "") == "SQLITE_BUSY"
            if not is_busy or time.monotonic() > ends_at:
                raise
        time.sleep(0.01)


def _keep_private(path: Path | None) -> None:
    """Make the file for its owner alone, or make it so; SQLite gives the files beside it the same rights."""
    if path is None:
        return
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    for name in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with contextlib.suppress(FileNotFoundError, PermissionError):  # one of another user stays as it is
            if name.stat().st_mode & 0o077:
                name.chmod(0o600)


def _bring_to_head(connection: SQLiteConnection) -> None:
    """Make or migrate the tables under the write lock: whoever comes second finds the work done."""
    revision = connection.transact(_make_missing_tables, True)
    if revision not in (None, HEAD):
        # By name, because Alembic and SQLAlchemy cost half a second that only an upgrade should pay.
        importlib.import_module("trunkline.store.upgrade").upgrade(connection)


def _make_missing_tables(connection: Connection) -> str | None:
    """Make the tables of a new database, and give the revision of one that is not new."""
    revision = read_revision(connection)
    if revision is None:
        make_tables(connection)
    return revision


def _unopened(path: Path | None, reason: str) -> SettingsError:
    return SettingsError([f"store.url: cannot open {path or IN_MEMORY}: {reason}; {_advice(path)}"])


def _words(error: Exception) -> str:
    """What the driver says itself: nothing was asked yet whose values it could repeat."""
    return str(error.__cause__ or error)


def _advice(path: Path | None) -> str:
    folder = Path(path or ".").resolve().parent
    if not folder.is_dir():
        return f"create the directory {folder}"
    return "check that the file and its directory can be written"
