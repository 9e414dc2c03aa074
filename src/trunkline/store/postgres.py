"""PostgreSQL: one connection for the thread of a lane, made when it is needed and again when it was lost.

Theory of operation. The driver is asynchronous and statements are not, so each lane's thread has an event loop of its
own, which runs only while a statement does. A transaction has a deadline: when it is over the connection is cut, which
ends whatever statement waits.

    lost before COMMIT      nothing has happened: the transaction is run once more, on a new connection
    lost in COMMIT          all has happened or nothing, and the error is `is_unclear`
    another was in the way  (40001, 40P01) nothing has happened: it is run again, three times

A server that was frozen or out of reach may still run what a cut connection had asked for, keep its locks, or commit
it. So connections of a lane have a name that nobody else has, and whoever connects ends the one before first.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal, TypeVar

import asyncpg
import uvloop

from trunkline import failpoints
from trunkline.settings.reading import SettingsError
from trunkline.store.connection import InTheWay, StoreError, ValueRefused, Values, Work
from trunkline.store.revisions import bring_to_head, verify_revision

Result = TypeVar("Result")

TRIES: Final = 4
"""How often a transaction is begun that others are in the way of."""

READERS: Final = 2
"""How many lanes only read: one long question must leave one for look-ups."""

START_S: Final = 30.0
"""So long a start waits, since another node may be migrating."""

MAX_PREPARED: Final = 200
FETCHED_AT_ONCE: Final = 1_000

MANY: Final = 8
"""As many rows as are given as arrays; below that it costs more."""

_INSERTION = re.compile(r"(\s*INSERT INTO [^$]*?) VALUES \(\$1(?:, \$\d+)*\)([^$]*)", re.DOTALL)
_NAMED = re.compile(r"(?<![:\w]):([a-z_]+)")


class _Lost(StoreError):
    """The connection is gone, and with it the transaction."""


class PostgresConnection:
    """The synchronous face of one connection of the driver."""

    dialect: Literal["postgres"] = "postgres"

    def __init__(self, driver: asyncpg.Connection[Any], run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._driver = driver
        self._run = run
        self._prepared: OrderedDict[str, Any] = OrderedDict()

    @property
    def in_transaction(self) -> bool:
        """Whether there is something to roll back."""
        return not self._driver.is_closed() and bool(self._driver.is_in_transaction())

    def execute(self, statement: str, values: Values = (), /) -> PostgresRows:
        """Run one statement."""
        text, names = numbered(statement)
        prepared = self._prepare(text)
        records = self._run(prepared.fetch(*_ordered(values, names)))
        return PostgresRows(list(map(tuple, records)), prepared.get_statusmsg())

    def executemany(self, statement: str, rows: Iterable[Values], /) -> None:
        """Run one statement for one set of values after the other, in one round trip.

        Many rows to be inserted are one row of arrays: that costs the server half, and us a little more.
        """
        text, names = numbered(statement)
        given = [_ordered(values, names) for values in rows]
        prepared = self._prepare(text)
        insertion = _INSERTION.fullmatch(text) if len(given) >= MANY else None
        if insertion is None:
            self._run(prepared.executemany(given))
            return
        types = ", ".join(f"${place}::{kind.name}[]" for place, kind in enumerate(prepared.get_parameters(), 1))
        of_arrays = f"{insertion[1]} SELECT * FROM unnest({types}) {insertion[2]}"
        self._run(self._prepare(of_arrays).fetch(*map(list, zip(*given, strict=True))))

    def read(self, statement: str, values: Values = (), /) -> Iterator[tuple[Any, ...]]:
        """Read rows a few at a time."""
        text, names = numbered(statement)
        cursor = self._run(_open_cursor(self._prepare(text), _ordered(values, names)))
        while records := self._run(cursor.fetch(FETCHED_AT_ONCE)):
            yield from map(tuple, records)

    def restart(self) -> None:
        """Undo all that the transaction did, and begin it anew."""
        self.command("ROLLBACK")
        self.command(_BEGIN)

    def command(self, statement: str) -> str:
        """Run a statement that takes no values and gives no rows; what the server says of it."""
        status: str = self._run(self._driver.execute(statement))
        return status

    def _prepare(self, text: str) -> Any:
        prepared = self._prepared.get(text)
        if prepared is None:
            prepared = self._prepared[text] = self._run(self._driver.prepare(text))
            if len(self._prepared) > MAX_PREPARED:
                self._prepared.popitem(last=False)
        else:
            self._prepared.move_to_end(text)
        return prepared


class PostgresRows:
    """What a statement gave, all of it in memory."""

    def __init__(self, rows: list[tuple[Any, ...]], status: str) -> None:
        self._rows = iter(rows)
        self._status = status

    @property
    def rowcount(self) -> int:
        """How many rows were given or changed: the last word of what the server says."""
        count = self._status.rpartition(" ")[2]
        return int(count) if count.isdecimal() else -1

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows)


class PostgresSession:
    """What one lane needs of the database at `url`; a transaction takes `timeout_s` at most, connecting included."""

    def __init__(self, url: str, lane: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._name = f"trunkline-{lane}-{secrets.token_hex(8)}"
        self._loop = uvloop.new_event_loop()
        self._driver: asyncpg.Connection[Any] | None = None
        self._connection: PostgresConnection | None = None
        self._ends_at = 0.0
        self._is_late = self._was_lost = False

    def transact(self, work: Work[Result], is_write: bool, is_durable: bool = True) -> Result:
        """Run statements in a transaction, and commit it, always durably: the server may go down without its nodes."""
        self._is_late = False
        self._ends_at = self._loop.time() + self._timeout_s
        timer = self._loop.call_at(self._ends_at, self._cut)
        try:
            return self._try(work, is_write)
        finally:
            timer.cancel()

    def close(self) -> None:
        """Say that nothing more comes."""
        if self._driver is not None:
            self._loop.call_later(self._timeout_s, self._driver.terminate)
            with contextlib.suppress(StoreError):
                self._run(self._driver.close())
        self._loop.run_until_complete(asyncio.sleep(0))  # what was cut is closed by callbacks
        self._loop.close()

    def _try(self, work: Work[Result], is_write: bool) -> Result:
        was_lost, conflicts = False, 0
        while True:
            try:
                return self._attempt(work, is_write)
            except InTheWay:
                conflicts += 1
                if conflicts == TRIES:
                    raise
            except _Lost as error:
                if was_lost or error.is_unclear:
                    raise
                was_lost = True

    def _attempt(self, work: Work[Result], is_write: bool) -> Result:
        connection = self._connection or self._connect()
        connection.command(_BEGIN if is_write else _BEGIN_READING)
        try:
            result = work(connection)
            if is_write:
                failpoints.reach("commit.before")
            self._commit(connection)
        except BaseException:
            self._undo(connection)
            raise
        if is_write:
            failpoints.reach("commit.after")
        return result

    def _commit(self, connection: PostgresConnection) -> None:
        try:
            status = connection.command("COMMIT")
        except StoreError as error:
            if self._connection is None:
                raise _Lost(_LOST_IN_COMMIT, is_unclear=True) from error
            raise
        if status != "COMMIT":  # the server says so where a statement failed and nobody minded
            raise StoreError("the transaction was not committed")

    def _undo(self, connection: PostgresConnection) -> None:
        if self._connection is not None and connection.in_transaction:
            with contextlib.suppress(StoreError):
                connection.command("ROLLBACK")

    def _connect(self) -> PostgresConnection:
        try:
            self._driver = self._run(self._open())
        except _Lost as error:
            raise _Lost(_UNREACHABLE) from error
        self._connection = PostgresConnection(self._driver, self._run)
        return self._connection

    async def _open(self) -> asyncpg.Connection[Any]:
        left_s = max(0.001, self._ends_at - self._loop.time())
        driver = await asyncpg.connect(self._url, timeout=left_s, server_settings=self._server_settings)
        try:
            async with asyncio.timeout_at(self._ends_at):
                await _prepare_connection(driver)
                if self._was_lost:
                    await _end_earlier(driver, self._name)
                    self._was_lost = False
        except BaseException:
            driver.terminate()
            raise
        return driver

    @property
    def _server_settings(self) -> dict[str, str]:
        """What the server does by itself where we are cut off from it, or stand still."""
        bound = str(int(self._timeout_s * 1000) + 1000)
        return {
            "application_name": self._name,
            "default_transaction_isolation": "read committed",
            "statement_timeout": bound,
            "idle_in_transaction_session_timeout": bound,
        }

    def _run(self, statement: Coroutine[Any, Any, Result]) -> Result:
        try:
            return self._loop.run_until_complete(statement)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise self._store_error(error) from error

    def _cut(self) -> None:
        self._is_late = True
        if self._driver is not None:
            self._driver.terminate()

    def _forget(self) -> None:
        """Take the connection for lost; another is made for the next transaction."""
        self._was_lost = True
        if self._driver is not None:
            self._driver.terminate()
        self._driver = self._connection = None

    def _store_error(self, error: Exception) -> StoreError:
        """Say what happened. Where the connection cannot be used any more, it is forgotten."""
        if self._is_late or isinstance(error, TimeoutError):
            self._forget()
            return StoreError("it did not answer in time")
        found = _error_of(error)
        if isinstance(found, _Lost) or isinstance(error, _FORGOTTEN):
            self._forget()
        return found


async def _prepare_connection(driver: asyncpg.Connection[Any]) -> None:
    # What is summed up of whole numbers comes as a `numeric`, and is a whole number.
    await driver.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=int)
    # Who was told that money is held or charged must find it so whatever happens to the server.
    await driver.execute(
        "SELECT set_config('synchronous_commit', 'on', FALSE) WHERE current_setting('synchronous_commit') = 'off'"
    )


async def _end_earlier(driver: asyncpg.Connection[Any], name: str) -> None:
    """End what is left at the server of this lane's earlier connections, and wait until it is gone."""
    is_it = "application_name = $1 AND pid <> pg_backend_pid()"
    end = f"SELECT count(pg_terminate_backend(pid)), pg_sleep(0.01) FROM pg_stat_activity WHERE {is_it}"
    while await driver.fetchval(end, name):
        pass


async def _open_cursor(prepared: Any, values: Sequence[Any]) -> Any:
    return await prepared.cursor(*values)


@functools.lru_cache(maxsize=1024)
def numbered(statement: str) -> tuple[str, tuple[str, ...] | None]:
    """Write a statement's places as PostgreSQL does, `$1`; and name what stands there, None where they have no names.

    A statement has places of one kind, and no `?` in its texts.
    """
    if "?" in statement:
        first, *rest = statement.split("?")
        return first + "".join(f"${place}{part}" for place, part in enumerate(rest, 1)), None
    names = tuple(dict.fromkeys(_NAMED.findall(statement)))
    return _NAMED.sub(lambda found: f"${names.index(found[1]) + 1}", statement), names


def _ordered(values: Values, names: tuple[str, ...] | None) -> Sequence[Any]:
    if isinstance(values, Mapping):
        return [values[name] for name in names or ()]
    return values


_BEGIN = "BEGIN"
_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_LOST = "the connection to it was lost"
_UNREACHABLE = "it takes no connection: see that it runs, and that store.url names it"
_LOST_IN_COMMIT = "the connection to it was lost while committing"

_CONFLICTS = frozenset(("40001", "40P01", "55P03"))
_GONE = frozenset(("57P01", "57P02", "57P03", "57P05", "25P03"))

_FORGOTTEN = (asyncpg.ReadOnlySQLTransactionError, asyncpg.InvalidCachedStatementError)
"""Another server may be the one that can be written now; other plans may be the ones that fit the tables."""

_REASONS = {
    "25006": "it cannot be written: let store.url name the server that takes writes",
    "28": "it lets this user in no more: look at the user and password in store.url",
    "3D000": "there is no such database: make it, or name another in store.url",
    "42501": "this user may not do that: grant it the rights",
    "53100": "it is full: make room on its disk",
    "53300": "it takes no more connections: raise its max_connections",
    "57014": "it did not answer in time",
}
"""What the server's codes mean. Its messages repeat values of a statement and are not passed on."""


def _error_of(error: Exception) -> StoreError:
    code = str(getattr(error, "sqlstate", None) or "")
    name = type(error).__name__
    if code in _CONFLICTS or isinstance(error, asyncpg.InvalidCachedStatementError):
        return InTheWay("other transactions were in the way, again and again")
    if code[:2] in ("22", "23") or isinstance(error, ValueError):
        where = getattr(error, "constraint_name", None) or getattr(error, "column_name", None) or code
        return ValueRefused(name, f"{name}: {where}")
    if code in _GONE or code[:2] == "08" or not code:
        return _Lost(_LOST)
    return StoreError(_REASONS.get(code) or _REASONS.get(code[:2]) or name)


def open_postgres(url: str, timeout_s: float) -> tuple[PostgresSession, Sequence[PostgresSession]]:
    """Make the session that writes, and those that read; bring the tables to the newest revision.

    Raises SettingsError when it cannot be reached, or has tables that this version does not work with.
    """
    once_open(url, timeout_s, bring_to_head, is_write=True)
    return PostgresSession(url, "write", timeout_s), [PostgresSession(url, "read", timeout_s) for _ in range(READERS)]


def verify_postgres(url: str) -> str | None:
    """Give the revision of the tables, None where there are none yet, and change nothing.

    Raises SettingsError where `open_postgres` would.
    """
    return once_open(url, 0.0, verify_revision, is_write=False)


def once_open(url: str, timeout_s: float, work: Work[Result], *, is_write: bool, at_least_s: float = START_S) -> Result:
    """Run statements on a connection of their own. Raises SettingsError when it cannot be reached."""

    def run() -> Result:
        session = PostgresSession(url, "start", max(timeout_s, at_least_s))
        try:
            return session.transact(work, is_write)
        finally:
            session.close()

    # In a thread, since in this one an event loop may be running.
    with ThreadPoolExecutor(1, "trunkline-start") as threads:
        try:
            return threads.submit(run).result()
        except StoreError as error:
            raise SettingsError([f"store.url: {error}"]) from error
