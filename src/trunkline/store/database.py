"""Opening the database by its URL, and running statements off the event loop.

SQLite runs in one worker thread with one connection: its writers take turns anyway, and a thread keeps a slow disk
from holding the loop. Nothing above this folder knows which database it is. What a statement says is in
`statements.py`; retrying and caching are the callers' part.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from trunkline.errors import ServiceUnavailable
from trunkline.settings.reading import SettingsError
from trunkline.store.schema import ALEMBIC_VERSION, HEAD, METADATA
from trunkline.store.statements import read_revision

Result = TypeVar("Result")
Work = Callable[[Connection], Result]
"""Statements to run in one transaction."""

RETRY_AFTER_S = 1.0


class Database:
    """An open database. `timeout` is the longest a statement may wait, in seconds."""

    def __init__(self, engine: Engine, timeout: float) -> None:
        self._engine = engine
        self._timeout = timeout
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trunkline-store")

    async def read(self, work: Work[Result]) -> Result:
        """Run statements that change nothing.

        Raises ServiceUnavailable when the database fails or does not answer in time.
        """
        return await self._run(work, is_write=False)

    async def write(self, work: Work[Result]) -> Result:
        """Run statements and commit them together; when one fails, none happened.

        Raises ServiceUnavailable as `read` does. A write that ran out of time may still be committed.
        """
        return await self._run(work, is_write=True)

    async def close(self) -> None:
        """Wait for the statement that is running and close the connection."""
        await asyncio.get_running_loop().run_in_executor(self._worker, self._engine.dispose)
        self._worker.shutdown(wait=False)

    async def _run(self, work: Work[Result], *, is_write: bool) -> Result:
        running = asyncio.get_running_loop().run_in_executor(self._worker, _transact, self._engine, work, is_write)
        try:
            return await asyncio.wait_for(running, self._timeout)
        except TimeoutError:
            raise _unavailable("The store did not answer in time.") from None
        except DBAPIError as error:
            raise _unavailable(f"The store failed ({_reason(error)}).") from error


def open_database(url: str, timeout: float) -> Database:
    """Open the database, and make or migrate its tables; a second node that starts now waits for the first.

    Raises SettingsError when it cannot be opened.
    """
    parsed = make_url(url)
    engine = _sqlite_engine(parsed, timeout)
    try:
        _keep_private(sqlite_path(url))
        with engine.connect() as connection:
            revision = read_revision(connection)
        if revision != HEAD:
            _bring_to_head(engine)
    except OSError as error:
        raise SettingsError(
            [f"store.url: cannot open {parsed.database}: {error.strerror}; {_advice(parsed)}"]
        ) from None
    except SQLAlchemyError as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise SettingsError([f"store.url: cannot open {parsed.database}: {reason}; {_advice(parsed)}"]) from error
    return Database(engine, timeout)


def verify_database(url: str) -> None:
    """Find out whether `open_database` would refuse, as far as that can be told without making or changing anything.

    Raises SettingsError.
    """
    parsed, path = make_url(url), sqlite_path(url)
    if path is None:
        return
    if not path.exists():
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise SettingsError([f"store.url: cannot make {parsed.database}; {_advice(parsed)}"])
        return
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            revision = read_revision(connection)
    except SQLAlchemyError as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise SettingsError([f"store.url: cannot open {parsed.database}: {reason}; {_advice(parsed)}"]) from None
    if revision not in (None, HEAD):
        importlib.import_module("trunkline.store.upgrade").verify_revision(revision)


def sqlite_path(url: str) -> Path | None:
    """Name the file of an SQLite database; None for one in memory."""
    database = make_url(url).database
    return None if database in (None, "", ":memory:") else Path(str(database))


def _transact(engine: Engine, work: Work[Result], is_write: bool) -> Result:
    with engine.connect().execution_options(trunkline_write=is_write) as connection, connection.begin():
        return work(connection)


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


def _reason(error: DBAPIError) -> str:
    code = str(getattr(error.orig, "sqlite_errorname", ""))
    known = next((reason for name, reason in _REASONS.items() if code.startswith(name)), None)
    return known or type(error.orig).__name__


def _unavailable(message: str) -> ServiceUnavailable:
    return ServiceUnavailable(message, kind="server", retry_after=RETRY_AFTER_S)


def _sqlite_engine(url: URL, timeout: float) -> Engine:
    # Opened in one thread, used in another, never in two at once.
    arguments = {"check_same_thread": False, "timeout": timeout, "isolation_level": None}
    engine = create_engine(url, poolclass=StaticPool, connect_args=arguments)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


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


def _prepare(connection: Any, record: object) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once when another wrote in between, whatever the busy
    # timeout; taking the write lock at the start waits for it instead.
    is_write = connection.get_execution_options().get("trunkline_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")


def _bring_to_head(engine: Engine) -> None:
    """Migrate under the write lock: whoever comes second finds the work done."""
    with engine.connect().execution_options(trunkline_write=True) as connection, connection.begin():
        revision = read_revision(connection)
        if revision is None:
            METADATA.create_all(connection, checkfirst=False)
            ALEMBIC_VERSION.create(connection)
            connection.execute(insert(ALEMBIC_VERSION), {"version_num": HEAD})
        elif revision != HEAD:
            # By name, because Alembic costs a fifth of a second that only an upgrade should pay.
            importlib.import_module("trunkline.store.upgrade").upgrade(connection)


def _advice(url: URL) -> str:
    path = Path(str(url.database)).resolve()
    if not path.parent.is_dir():
        return f"create the directory {path.parent}"
    return "check that the file and its directory can be written"
