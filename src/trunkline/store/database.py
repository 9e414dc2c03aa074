"""Opening the database by its URL, and running statements off the event loop.

SQLite runs in two worker threads, each with a connection: one writes and waits for the disk at every commit, one only
reads, so that no look-up waits for a commit. A database in memory has one of both. Threads keep a slow disk from
holding the loop. Nothing above this folder knows which database it is. What a statement says is in `statements/`;
retrying and caching are the callers' part.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Callable, Sequence
from operator import attrgetter
from queue import SimpleQueue
from types import ModuleType
from typing import Any, TypeVar

from trunkline.errors import ServiceUnavailable
from trunkline.settings.reading import SettingsError
from trunkline.store.connection import Session, StoreError, Work
from trunkline.store.sqlite import open_sqlite, verify_sqlite
from trunkline.store.urls import is_shared

Result = TypeVar("Result")

RETRY_AFTER_S = 1.0
LATE = "The store did not answer in time."


class Database:
    """An open database. `timeout` is the longest a statement may wait, in seconds.

    Without a session that is `reading` the writing one serves both, as it must for a database in memory.
    """

    def __init__(self, writing: Session, timeout: float, reading: Sequence[Session] = ()) -> None:
        self.timeout = timeout
        self._writing = _Lane(writing, "trunkline-write")
        self._reading = [_Lane(session, "trunkline-read") for session in reading] or [self._writing]

    async def read(self, work: Work[Result]) -> Result:
        """Run statements that change nothing; they see one state of the database.

        Raises ServiceUnavailable when the database fails or does not answer in time.
        """
        # The least busy, so that no look-up waits for a long question while another lane is free.
        lane = self._reading[0] if len(self._reading) == 1 else min(self._reading, key=attrgetter("load"))
        return await self._run(lane.begin(work, is_write=False))

    async def write(self, work: Work[Result]) -> Result:
        """Run statements and commit them together; when one fails, none happened.

        Raises ServiceUnavailable as `read` does. A write that ran out of time may still be committed.
        """
        return await self._run(self.begin(work))

    def begin(self, work: Work[Result], *, is_durable: bool = True) -> asyncio.Future[Result]:
        """Start what `write` does without waiting for it: for `writer.py`, which keeps watch itself.

        What need not be durable survives the end of the process, but for some seconds not that of the machine. The
        future raises StoreError, and must not be cancelled.
        """
        return self._writing.give(self._writing.session.transact, work, True, is_durable)

    async def close(self) -> None:
        """Wait for the statements that are running and close the connections; the last to close tidies the file."""
        for lane in self._reading:
            if lane is not self._writing:
                await lane.close()
        await self._writing.close()

    async def _run(self, running: asyncio.Future[Result]) -> Result:
        try:
            return await asyncio.wait_for(running, self.timeout)
        except TimeoutError:
            raise unavailable(LATE) from None
        except StoreError as error:
            raise unavailable(str(error)) from error


class _Lane:
    """One session and the thread that it is used in.

    An executor of the library's does the same for four times the CPU, in futures of two kinds that watch each other.
    """

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self._given: SimpleQueue[_Given] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._begun = self._done = 0

    @property
    def load(self) -> int:
        """How many transactions are under way or wait."""
        return self._begun - self._done

    def begin(self, work: Work[Result], *, is_write: bool) -> asyncio.Future[Result]:
        return self.give(self.session.transact, work, is_write)

    async def close(self) -> None:
        await self.give(self.session.close)
        self._given.put(None)

    def give(self, call: Callable[..., Any], *values: Any) -> asyncio.Future[Any]:
        if not self._begun:
            self._thread.start()
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._begun += 1
        self._given.put((done, call, values))
        return done

    def _serve(self) -> None:
        while (each := self._given.get()) is not None:
            self._run_given(*each)
            del each  # else a thread that waits keeps what was done last

    def _run_given(self, done: asyncio.Future[Any], call: Callable[..., Any], values: tuple[Any, ...]) -> None:
        result, error = None, None
        if not done.cancelled():  # else whoever asked waited for too long
            try:
                result = call(*values)
            except BaseException as raised:
                error = raised
        self._done += 1  # before it is told, for whoever hears it may choose a lane at once
        try:
            done.get_loop().call_soon_threadsafe(_tell, done, result, error)
        except RuntimeError:
            pass  # the loop is closed, and nobody is there to be told


_Given = tuple["asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...]] | None


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
    if is_shared(url):
        writing, reading = load_postgres().open_postgres(url, timeout)
        return Database(writing, timeout, reading)
    writer, reader = open_sqlite(url, timeout)
    return Database(writer, timeout, () if reader is None else (reader,))


def verify_database(url: str) -> str | None:
    """Find out whether `open_database` would refuse, as far as that can be told without making or changing anything.

    It gives the revision of the tables, None where there are none yet. Raises SettingsError.
    """
    revision: str | None = load_postgres().verify_postgres(url) if is_shared(url) else verify_sqlite(url)
    return revision


def load_postgres() -> ModuleType:
    """Load what only the users of PostgreSQL have the driver of. Raises SettingsError where they have not."""
    try:
        return importlib.import_module("trunkline.store.postgres")
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        problem = "store.url: PostgreSQL needs a driver that is not installed"
        raise SettingsError([f"{problem}; pip install 'trunkline[cluster]'"]) from None


def unavailable(message: str) -> ServiceUnavailable:
    """Make the error that a request gets when the store does not serve it."""
    return ServiceUnavailable(message, kind="server", retry_after=RETRY_AFTER_S)
