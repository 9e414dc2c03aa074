"""Opening the database by its URL, and running statements off the event loop.

SQLite runs in two worker threads, each with a connection: one writes and waits for the disk at every commit, one only
reads, so that no look-up waits for a commit. A database in memory has one of both. Threads keep a slow disk from
holding the loop. Nothing above this folder knows which database it is. What a statement says is in `statements/`;
retrying and caching are the callers' part.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar
from urllib.parse import quote

from trunkline import failpoints
from trunkline.errors import ServiceUnavailable
from trunkline.settings.reading import SettingsError
from trunkline.store.schema import HEAD
from trunkline.store.statements.tables import make_tables, read_revision

Result = TypeVar("Result")
Connection = sqlite3.Connection
Work = Callable[[Connection], Result]
"""Statements to run in one transaction."""

RETRY_AFTER_S = 1.0
LATE = "The store did not answer in time."
_SCHEME = "sqlite:///"
_IN_MEMORY = ":memory:"
_WRITES = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")
_READS_ONLY = ("query_only = ON",)

# The driver asks every value but a text or a number what it is adapted by, at the cost of an error raised and caught: a
# microsecond for each None and each truth. These say it at once, and change nothing.
sqlite3.register_adapter(type(None), {}.get)  # type: ignore[arg-type]  # gives None for what is not there
sqlite3.register_adapter(bool, int)


class Database:
    """An open database. `timeout` is the longest a statement may wait, in seconds.

    Without a `reading` connection the writing one serves both, as it must for a database in memory.
    """

    def __init__(self, writing: sqlite3.Connection, timeout: float, reading: sqlite3.Connection | None = None) -> None:
        self.timeout = timeout
        self._writing = _Lane(writing, "trunkline-write")
        self._reading = self._writing if reading is None else _Lane(reading, "trunkline-read")

    async def read(self, work: Work[Result]) -> Result:
        """Run statements that change nothing; they see one state of the database.

        Raises ServiceUnavailable when the database fails or does not answer in time.
        """
        return await self._run(self._reading.begin(work, is_write=False))

    async def write(self, work: Work[Result]) -> Result:
        """Run statements and commit them together; when one fails, none happened.

        Raises ServiceUnavailable as `read` does. A write that ran out of time may still be committed.
        """
        return await self._run(self.begin(work))

    def begin(self, work: Work[Result], *, is_durable: bool = True) -> asyncio.Future[Result]:
        """Start what `write` does without waiting for it: for `writer.py`, which keeps watch itself.

        What need not be durable survives the end of the process, but for some seconds not that of the machine. The
        future raises sqlite3.Error, and must not be cancelled.
        """
        return self._writing.begin(work, is_write=True, is_durable=is_durable)

    async def close(self) -> None:
        """Wait for the statements that are running and close the connections; the last to close tidies the file."""
        if self._reading is not self._writing:
            await self._reading.close()
        await self._writing.close()

    async def _run(self, running: asyncio.Future[Result]) -> Result:
        try:
            return await asyncio.wait_for(running, self.timeout)
        except TimeoutError:
            raise unavailable(LATE) from None
        except sqlite3.Error as error:
            raise unavailable(failure(error)) from error


class _Lane:
    """One connection and the thread that it is used in.

    An executor of the library's does the same for four times the CPU, in futures of two kinds that watch each other.
    """

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self._is_durable = True
        self._given: SimpleQueue[_Given] = SimpleQueue()
        self._thread = threading.Thread(target=_serve, args=(self._given,), name=name, daemon=True)

    def begin(self, work: Work[Result], *, is_write: bool, is_durable: bool = True) -> asyncio.Future[Result]:
        return self._give(partial(self._transact, work, is_write, is_durable))

    def _transact(self, work: Work[Result], is_write: bool, is_durable: bool) -> Result:
        if is_write and is_durable != self._is_durable:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
            self._is_durable = is_durable
        return _transact(self._connection, work, is_write)

    async def close(self) -> None:
        await self._give(self._connection.close)
        self._given.put(None)

    def _give(self, call: Callable[[], Result]) -> asyncio.Future[Result]:
        if self._thread.ident is None:
            self._thread.start()
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._given.put((call, done))
        return done


_Given = tuple[Callable[[], Any], "asyncio.Future[Any]"] | None


def _serve(given: SimpleQueue[_Given]) -> None:
    while (each := given.get()) is not None:
        _run_given(*each)
        del each  # else a thread that waits keeps what was done last


def _run_given(call: Callable[[], Any], done: asyncio.Future[Any]) -> None:
    if done.cancelled():  # whoever asked waited for too long
        return
    result, error = None, None
    try:
        result = call()
    except BaseException as raised:
        error = raised
    with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody is there to be told
        done.get_loop().call_soon_threadsafe(_tell, done, result, error)


def _tell(done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


def open_database(url: str, timeout: float) -> Database:
    """Open the database, and make or migrate its tables; a second node that starts now waits for the first.

    Raises SettingsError when it cannot be opened.
    """
    path = sqlite_path(url)
    try:
        _keep_private(path)
        connection = _connect(path, timeout)
    except OSError as error:
        raise _unopened(path, str(error.strerror)) from None
    except sqlite3.Error as error:
        raise _unopened(path, str(error)) from error
    try:
        if read_revision(connection) != HEAD:
            _bring_to_head(connection)
        reading = None if path is None else _connect(path, timeout, reads_only=True)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise _unopened(path, str(error)) from error
        raise
    return Database(connection, timeout, reading)


def verify_database(url: str) -> None:
    """Find out whether `open_database` would refuse, as far as that can be told without making or changing anything.

    Raises SettingsError.
    """
    path = sqlite_path(url)
    if path is None:
        return
    if not path.exists():
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise SettingsError([f"store.url: cannot make {path}; {_advice(path)}"])
        return
    try:
        address = f"file:{quote(str(path.resolve()))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
            revision = read_revision(connection)
    except sqlite3.Error as error:
        raise _unopened(path, str(error)) from None
    if revision not in (None, HEAD):
        importlib.import_module("trunkline.store.upgrade").verify_revision(revision)


def sqlite_path(url: str) -> Path | None:
    """Name the file of an SQLite database; None for one in memory.

    Raises SettingsError for a URL that says more than that.
    """
    database, mark, _ = url.removeprefix(_SCHEME).partition("?")
    if mark:
        raise SettingsError([f"store.url: leave out what follows the ?, as in {_SCHEME}{database}"])
    return None if database in ("", _IN_MEMORY) else Path(database)


def _transact(connection: sqlite3.Connection, work: Work[Result], is_write: bool) -> Result:
    # A transaction that reads first and writes later fails at once when another wrote in between, whatever the busy
    # timeout; taking the write lock at the start waits for it instead.
    connection.execute("BEGIN IMMEDIATE" if is_write else "BEGIN")
    try:
        result = work(connection)
        if is_write:
            failpoints.reach("commit.before")
        connection.execute("COMMIT")
        if is_write:
            failpoints.reach("commit.after")
        return result
    finally:
        if connection.in_transaction:  # else the database has undone it itself, as when its disk is full
            connection.execute("ROLLBACK")


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


def failure(error: sqlite3.Error) -> str:
    """Say what happened to the store, in words that repeat no value of a statement."""
    return f"The store failed ({_reason(error)})."


def unavailable(message: str) -> ServiceUnavailable:
    """Make the error that a request gets when the store does not serve it."""
    return ServiceUnavailable(message, kind="server", retry_after=RETRY_AFTER_S)


def _reason(error: sqlite3.Error) -> str:
    code = str(getattr(error, "sqlite_errorname", ""))
    known = next((reason for name, reason in _REASONS.items() if code.startswith(name)), None)
    return known or type(error).__name__


def _connect(path: Path | None, timeout: float, *, reads_only: bool = False) -> sqlite3.Connection:
    """Open a connection; it begins no transaction by itself."""
    # Opened in one thread, used in another, never in two at once.
    connection = sqlite3.connect(
        _IN_MEMORY if path is None else path, timeout, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in _READS_ONLY if reads_only else _WRITES:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


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


def _bring_to_head(connection: sqlite3.Connection) -> None:
    """Make or migrate the tables under the write lock: whoever comes second finds the work done."""
    revision = _transact(connection, _make_missing_tables, True)
    if revision not in (None, HEAD):
        # By name, because Alembic and SQLAlchemy cost half a second that only an upgrade should pay.
        importlib.import_module("trunkline.store.upgrade").upgrade(connection)


def _make_missing_tables(connection: sqlite3.Connection) -> str | None:
    """Make the tables of a new database, and give the revision of one that is not new."""
    revision = read_revision(connection)
    if revision is None:
        make_tables(connection)
    return revision


def _unopened(path: Path | None, reason: str) -> SettingsError:
    return SettingsError([f"store.url: cannot open {path or _IN_MEMORY}: {reason}; {_advice(path)}"])


def _advice(path: Path | None) -> str:
    folder = Path(path or ".").resolve().parent
    if not folder.is_dir():
        return f"create the directory {folder}"
    return "check that the file and its directory can be written"
