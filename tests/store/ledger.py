"""A ledger for tests: accounts with credit, wishes and records, a writer that is opened, and one that is killed."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from trunkline.accounts.audit import audit
from trunkline.store.backlog import Backlog
from trunkline.store.batch import Answer, Wish
from trunkline.store.connection import Connection, Work
from trunkline.store.database import Database, open_database
from trunkline.store.journal import open_journal
from trunkline.store.notes import Notes
from trunkline.store.rows import BLANK, BootRow, BudgetRow, EntryRow, GenerationRow
from trunkline.store.statements import budgets
from trunkline.store.statements.credits import post_credit
from trunkline.store.upkeep import Upkeep
from trunkline.store.writer import Writer

Result = TypeVar("Result")

START_MS = 1_764_000_000_000
WRITES = "application_name LIKE 'trunkline-write-%'"


def wish(id: str, nano: int = 10, **changes: Any) -> Wish:
    """A wish of the account `a`, for as much as is said and no less."""
    base = Wish(id, "a", "k", "a", None, None, nano, nano, START_MS)
    return base._replace(**changes)


def record(id: str, charged: int = 0, **changes: Any) -> GenerationRow:
    """The record of a request of the account `a` for which something was held."""
    row = BLANK._replace(
        id=id,
        created_at_ms=START_MS,
        account_id="a",
        key_id="k",
        model="author/name",
        asked_model="author/name",
        provider="fakeprovider",
        status="completed",
        input_tokens=3,
        output_tokens=5,
        cost_nano=charged,
        cost_input_nano=charged,
        charged_nano=charged,
        held_nano=charged,
        total_ms=12,
    )
    return row._replace(**changes)


def top_up(connection: Connection, account: str, nano: int, reference: str | None = None) -> None:
    """Give an account credit, and a budget where it has none."""
    budgets.add_budgets(connection, [BudgetRow(account, 0, 0, 0)])
    entry = EntryRow(0, START_MS, "topup", "world", account, nano, None, reference, "test", None)
    post_credit(connection, entry, account)


def make_accounts(connection: Connection, credits: Mapping[str, int]) -> None:
    """Make accounts with credit."""
    for account, nano in credits.items():
        connection.execute(
            "INSERT INTO accounts (id, name, created_at_ms) VALUES (?, ?, ?)", (account, account, START_MS)
        )
        top_up(connection, account, nano)


def find_budget(connection: Connection, id: str = "a") -> BudgetRow:
    """The budget, which is there."""
    return budgets.find_budgets(connection, [id])[id]


def count(connection: Connection, table: str) -> int:
    """How many rows a table has."""
    (found,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found)


def url_in(folder: Path | None) -> str:
    """The database of a test: SQLite's, unless the fixture `any_database` has put another function in this place."""
    return "sqlite:///:memory:" if folder is None else f"sqlite:///{folder}/a.db"


class Books:
    """A database in a folder with a writer, and what it told the operator."""

    writer: Writer

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now_s = START_MS / 1000
        self.alarms: list[str] = []
        self._told = asyncio.Event()

    async def hold(self, id: str, nano: int = 10, **changes: Any) -> Answer:
        return await self.writer.hold(wish(id, nano, **changes))

    async def spend(self, id: str, nano: int = 10, **changes: Any) -> None:
        """Hold and charge all of it."""
        assert await self.hold(id, nano, **changes) == nano
        await self.writer.settle(record(id, nano))

    async def until(self, event: str) -> None:
        """Wait until the operator was told of an event."""
        while event not in self.alarms:
            self._told.clear()
            await self._told.wait()

    def alarm(self, event: str, detail: str) -> None:
        self.alarms.append(event)
        self._told.set()

    async def read(self, work: Work[Result]) -> Result:
        return await self.database.read(work)

    async def pairs(self, statement: str) -> dict[str, int]:
        """Read two columns."""
        return dict(await self.read(lambda connection: connection.execute(statement).fetchall()))

    async def budget(self, id: str = "a") -> BudgetRow:
        return await self.read(partial(find_budget, id=id))

    async def is_durable(self) -> bool:
        """Whether the last transaction that wrote waited for the disk."""

        def is_full(connection: Connection) -> bool:
            if connection.dialect == "sqlite":
                return bool(connection.execute("PRAGMA synchronous").fetchone()[0] == 2)
            return bool(connection.execute("SHOW synchronous_commit").fetchone()[0] != "off")

        return await self.database._writing.begin(is_full, is_write=False)

    async def count(self, table: str) -> int:
        return await self.read(partial(count, table=table))


def make_writer(books: Books, folder: Path | None, node: str = "here:8080", keep_records_s: float = 0.0) -> Writer:
    """Make a writer of the books with a boot of its own; it is not opened yet."""
    now_ms = int(books.now_s * 1000)
    boot = BootRow(f"boot_{secrets.token_hex(8)}", node, now_ms, now_ms)
    journals = None if folder is None else folder / "a.db.journal"
    journal = None if journals is None else open_journal(journals, boot.id)
    is_shared = url_in(folder).startswith("postgresql:")
    upkeep = Upkeep(boot, journals, keep_records_s, lambda: books.now_s, books.alarm, is_shared=is_shared)
    notes = Notes(None if is_shared else journal)
    return Writer(
        books.database, boot, Backlog(journal, notes, books.alarm), notes, upkeep, lambda: books.now_s, books.alarm
    )


@asynccontextmanager
async def open_books(
    folder: Path | None,
    *,
    node: str = "here:8080",
    patience_s: float = 20.0,
    audits: bool = True,
    keep_records_s: float = 0.0,
    **credits: int,
) -> AsyncIterator[Books]:
    """Open a writer on a file in the folder, or in memory; at its end nothing must be wrong in the books."""
    database = open_database(url_in(folder), patience_s)
    if credits:
        await database.write(partial(make_accounts, credits=credits))
    books = Books(database)
    books.writer = make_writer(books, folder, node, keep_records_s)
    try:
        await books.writer.open()
        try:
            yield books
        finally:
            await books.writer.close()
        if audits:
            assert (await database.read(partial(audit, now_ms=START_MS))).differences == ()
    finally:
        await database.close()


async def until(books: Books, event: str) -> None:
    async with asyncio.timeout(10):
        await books.until(event)


async def until_posted(books: Books, count: int) -> None:
    """Wait until there are so many records; some of them may come from the journal."""
    async with asyncio.timeout(10):
        for _ in iter(lambda: None, 1):
            if await books.count("generations") >= count:
                return


async def refuse_writes(books: Books, refuses: bool) -> None:
    """Make the store read-only, or writable again; a transaction that writes could not do the latter."""
    if url_in(None).startswith("postgresql:"):
        await _refuse_writes_of_postgres(url_in(None), refuses)
        return
    statement = f"PRAGMA query_only = {int(refuses)}"
    await books.database._writing.begin(lambda connection: connection.execute(statement) and None, is_write=False)


async def let_write(url: str) -> None:
    """Undo what a process left that was killed while it had a PostgreSQL refuse writes."""
    await _refuse_writes_of_postgres(url, False)


async def _refuse_writes_of_postgres(url: str, refuses: bool) -> None:
    """Have the connections to a database be read-only that are made from now on, and end those that write."""
    other = await asyncpg.connect(url, server_settings={"default_transaction_read_only": "off"})
    name = await other.fetchval("SELECT current_database()")
    await other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {'on' if refuses else 'off'}")
    await other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND {WRITES}")
    await other.close()


async def drop(writer: Writer) -> None:
    """End a writer as a kill does: what waits in it is gone, what is under way in the store goes on."""
    for task in (writer._keeping, writer._driving):
        task.cancel()
    await asyncio.wait({writer._keeping, writer._driving})
    if writer._backlog._journal is not None:
        os.close(writer._backlog._journal._handle)


def run(scene: Callable[[Books], Awaitable[None]], folder: Path | None = None, **terms: Any) -> None:
    """Play a scene on new books."""

    async def play() -> None:
        async with open_books(folder, **terms) as books:
            await scene(books)

    asyncio.run(play())
