"""Random histories of a ledger: top-ups, holds, settles, releases, kills, resets, a store that is down; MO-21.

After each of them all money that came in is spent, held or still there, and the audit finds nothing. What is killed is
the writer; the database lives on in memory or in a server, journals in a folder.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.store import ledger
from tests.store.ledger import START_MS, Books, drop, make_accounts, make_writer, record, refuse_writes, top_up, wish
from trunkline.accounts.audit import audit
from trunkline.days import DAY_MS
from trunkline.errors import ServiceUnavailable
from trunkline.store.batch import Shortage
from trunkline.store.connection import Connection
from trunkline.store.database import open_database
from trunkline.store.rows import BootRow, BudgetRow, GenerationRow
from trunkline.store.statements.budgets import find_budgets
from trunkline.store.sweep import sweep

Result = TypeVar("Result")

ACCOUNTS = [f"acc{number}" for number in range(20)]
KEY_CREDIT = 70
PATIENCE_S = 60.0
"""A busy machine is no fault of the store."""
MEMORY = Path("/dev/shm")

accounts = st.sampled_from(ACCOUNTS)
amounts = st.integers(1, 60)
picks = st.integers(0, 10**6)


class Held(NamedTuple):
    """A hold that was granted and of which no end is known."""

    account: str
    key: str | None
    nano: int
    created_at_ms: int


class History(RuleBasedStateMachine):
    """A ledger, and what its clients know of it."""

    def __init__(self) -> None:
        super().__init__()
        self.scope = ExitStack()
        folder = self.scope.enter_context(tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None))
        self.folder = Path(folder)
        self.loop = asyncio.new_event_loop()
        self.scope.callback(self.loop.close)
        self.books = self.do(self._open())
        self.credits = dict.fromkeys(ACCOUNTS, 100)
        self.held: dict[str, Held] = {}
        self.expired: dict[str, Held] = {}
        self.charges: dict[str, int] = {}
        self.node = "here:8080"
        self.is_down = False
        self.day = 0
        self.number = 0

    def do(self, work: Awaitable[Result]) -> Result:
        return self.loop.run_until_complete(work)

    async def settled(self, row: GenerationRow) -> None:
        """Wait until a request is settled; it is handed over on the loop."""
        await self.books.writer.settle(row)

    async def _open(self) -> Books:
        books = Books(open_database(ledger.url_in(None), PATIENCE_S))
        await books.database.write(partial(make_accounts, credits=dict.fromkeys(ACCOUNTS, 100)))
        books.writer = make_writer(books, self.folder)
        await books.writer.open()
        return books

    def new_id(self) -> str:
        self.number += 1
        return f"r{self.number}"

    @rule(account=accounts, nano=amounts)
    @precondition(lambda self: not self.is_down)
    def add_credit(self, account: str, nano: int) -> None:
        self.do(self.books.writer.run(partial(top_up, account=account, nano=nano, reference=self.new_id())))
        self.credits[account] += nano

    @rule(account=accounts, nano=amounts, floor=amounts, of_account=st.booleans(), of_key=st.booleans())
    def hold(self, account: str, nano: int, floor: int, of_account: bool, of_key: bool) -> None:
        key = f"key_{account}@{self.day:010}" if of_key or not of_account else None
        asked = wish(self.new_id(), nano, floor_nano=min(nano, floor), account_id=account, created_at_ms=self.now_ms)
        asked = asked._replace(
            account_budget=account if of_account else None, key_budget=key, key_credit_nano=KEY_CREDIT
        )
        before = self.do(self._available(asked.account_budget, key))
        try:
            answer = self.do(self.books.writer.hold(asked))
        except ServiceUnavailable:
            assert self.is_down
            return
        assert not self.is_down
        if before < asked.floor_nano:
            assert isinstance(answer, Shortage)
            assert answer.available_nano == before
        else:
            assert answer == min(nano, max(before // 8, asked.floor_nano))
            self.held[asked.id] = Held(account, key, answer, self.now_ms)

    async def _available(self, account: str | None, key: str | None) -> int:
        ids = {id for id in (account, key) if id is not None}
        rows = await self.books.read(partial(find_budgets, ids=ids))
        left = {id: row.credited_nano - row.charged_nano - row.held_nano for id, row in rows.items()}
        return min(left.get(id, KEY_CREDIT) for id in ids)

    @rule(pick=picks, share=st.floats(0, 1), times=st.integers(1, 3), waits=st.booleans())
    @precondition(lambda self: self.held)
    def settle(self, pick: int, share: float, times: int, waits: bool) -> None:
        id, held = self.pick(self.held, pick)
        self.charges[id] = charged = int(held.nano * share)
        row = self.row(id, held, charged)
        for _ in range(times):
            if waits:
                self.do(self.settled(row))
            else:
                self.do(self._append(id, held, charged))

    async def _append(self, id: str, held: Held, charged: int) -> None:
        self.books.writer.settle(self.row(id, held, charged))
        await self.books.writer.settle(record(f"after-{id}", held_nano=None))

    @rule(pick=picks)
    @precondition(lambda self: self.held and not self.is_down)
    def release(self, pick: int) -> None:
        id, held = self.pick(self.held, pick)
        self.books.writer.release(id)
        self.do(self.books.writer.run(lambda _: None))
        self.do(self.books.writer.run(lambda _: None))
        self.charges[id] = 0
        self.do(self.settled(self.row(id, held, held.nano)))  # void, then post

    @rule(pick=picks, share=st.floats(0, 1))
    @precondition(lambda self: self.expired and not self.is_down)
    def settle_late(self, pick: int, share: float) -> None:
        id, held = self.pick(self.expired, pick)
        wanted = int(held.nano * share)
        # The account pays where it has credit now, whatever the hold was in: all of these have.
        left = self.do(self._available(held.account, held.key))
        self.charges[id] = min(wanted, left)
        self.do(self.settled(self.row(id, held, wanted)))

    @rule(is_elsewhere=st.booleans())
    def kill(self, is_elsewhere: bool) -> None:
        """The next process is in the same place, or in another, and then a minute has to pass."""
        self.do(self._kill(is_elsewhere))
        self.is_down = False
        self.expire()

    async def _kill(self, is_elsewhere: bool) -> None:
        await drop(self.books.writer)
        await refuse_writes(self.books, False)
        if is_elsewhere:
            self.node = f"there:{self.number}"
            self.books.now_s += 61
        self.books.writer = make_writer(self.books, self.folder, self.node)
        await self.books.writer.open()

    @rule()
    @precondition(lambda self: not self.is_down)
    def freeze(self) -> None:
        """The process is not seen for a minute; another one expires its holds."""
        self.books.now_s += 61
        other = BootRow("other", "there:1", 0, 0)
        expiring = partial(sweep, boot=other, now_ms=self.now_ms, is_running=lambda boot_id: True)
        self.do(self.books.writer.run(expiring))
        self.expire()

    def expire(self) -> None:
        self.expired |= self.held
        self.charges |= dict.fromkeys(self.held, 0)
        self.held.clear()

    @rule()
    def go_down(self) -> None:
        self.do(refuse_writes(self.books, True))
        self.is_down = True

    @rule()
    def come_back(self) -> None:
        self.do(self._come_back())
        self.is_down = False

    async def _come_back(self) -> None:
        await refuse_writes(self.books, False)
        backlog = self.books.writer._backlog
        for _ in iter(lambda: None, 1):
            try:
                await self.books.writer.run(lambda _: None)
            except ServiceUnavailable:
                continue
            if not backlog.is_in_journal and not self.books.writer._ended:
                return

    @rule()
    def reset(self) -> None:
        """A day is over: keys get a new budget, and what is held stays in the old one."""
        self.day += 1
        self.books.now_s += DAY_MS / 1000

    @invariant()
    def all_money_is_somewhere(self) -> None:
        if not self.is_down:
            charges, holds, rows = self.do(self.books.read(_read))
            assert charges == {id: nano for id, nano in self.charges.items() if nano}
            assert holds == {id: held.nano for id, held in self.held.items()}
            for row in rows:
                assert 0 <= row.charged_nano + row.held_nano <= row.credited_nano
                assert row.credited_nano == self.credits.get(row.id, KEY_CREDIT)

    def teardown(self) -> None:
        with self.scope:
            try:
                if self.is_down:
                    self.come_back()
                self.all_money_is_somewhere()
                found = self.do(self.books.read(partial(audit, now_ms=START_MS)))
                assert found.differences == ()
            finally:
                self.do(self.books.writer.close())
                self.do(self.books.database.close())

    @property
    def now_ms(self) -> int:
        return int(self.books.now_s * 1000)

    @staticmethod
    def pick(among: dict[str, Held], pick: int) -> tuple[str, Held]:
        id = sorted(among)[pick % len(among)]
        return id, among.pop(id)

    @staticmethod
    def row(id: str, held: Held, charged: int) -> GenerationRow:
        return record(
            id,
            charged,
            account_id=held.account,
            held_nano=held.nano,
            key_budget=held.key,
            created_at_ms=held.created_at_ms,
        )


def _read(connection: Connection) -> tuple[dict[str, int], dict[str, int], list[BudgetRow]]:
    """What is charged for each request, what is held for each, and all budgets."""
    charges = connection.execute("SELECT charge_of, amount_nano FROM entries WHERE kind = 'charge'").fetchall()
    holds = connection.execute("SELECT id, amount_nano FROM holds").fetchall()
    rows = connection.execute("SELECT id, credited_nano, charged_nano, held_nano FROM budgets").fetchall()
    return dict(charges), dict(holds), [BudgetRow(*row) for row in rows]
