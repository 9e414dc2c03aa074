"""Several writers on one PostgreSQL: what two of them decide at once is decided once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.store import ledger
from tests.store.ledger import START_MS, Books, open_books, record
from trunkline.accounts.audit import audit
from trunkline.store import sweep as sweeping
from trunkline.store.batch import Shortage
from trunkline.store.rows import BootRow, BudgetRow
from trunkline.store.statements.budgets import find_budgets

NODES = 3
CREDIT = 10**6


@asynccontextmanager
async def nodes(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Books]]:
    """Open a writer for each node, and give one account credit; at the end the books must be right."""
    monkeypatch.setattr(ledger, "url_in", lambda folder: url)
    opened = [open_books(folder / f"{number}", node=f"here:{number}", audits=False) for number in range(NODES)]
    books: list[Books] = []
    try:
        async with open_books(folder / "first", a=CREDIT):
            pass
        for each in opened:
            books.append(await each.__aenter__())
        yield books
        assert (await books[0].read(partial(audit, now_ms=START_MS))).differences == ()
        assert [each.alarms for each in books] == [[]] * NODES
    finally:
        for each in opened[: len(books)]:
            await each.__aexit__(None, None, None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (*range(NODES), "first"):
        (tmp_path / str(number)).mkdir()
    return tmp_path


def test_MO_02_the_first_holds_of_a_period_on_all_nodes_at_once(
    books_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each node thinks that it begins the budget; the others' rows are seen when the transaction is run again."""

    async def play() -> None:
        async with nodes(books_url, folder, monkeypatch) as books:
            for day in range(12):
                key = f"key_k@{day:010}"
                asked = [
                    each.hold(f"{place}-{number}-{day}", 10, key_budget=key, key_credit_nano=55)
                    for number in range(4)
                    for place, each in enumerate(books)
                ]
                answers = await asyncio.gather(*asked)
                assert sorted(answers, key=str)[:5] == [10] * 5
                refused = [answer for answer in answers if isinstance(answer, Shortage)]
                assert len(refused) == len(asked) - 5
                assert {answer.source for answer in refused} == {"key"}
                found = await books[0].read(partial(find_budgets, ids=[key]))
                assert found == {key: BudgetRow(key, 55, 0, 50)}

    asyncio.run(play())


def test_MO_03_several_nodes_expire_what_a_dead_one_held(
    books_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is expired the node wakes, and settles what it held: each hold is the one or the other."""

    async def play() -> None:
        async with nodes(books_url, folder, monkeypatch) as books:
            count = 60
            held = await asyncio.gather(*(books[0].hold(f"r{number}", 10) for number in range(count)))
            assert held == [10] * count
            now_ms = START_MS + sweeping.DEAD_MS + 1
            sweeps = [
                each.writer.run(
                    partial(
                        sweeping.sweep,
                        boot=BootRow(f"other{place}", f"there:{place}", now_ms, now_ms),
                        now_ms=now_ms,
                        is_running=lambda boot_id: True,
                    )
                )
                for place, each in enumerate(books)
            ]
            settles = [books[0].writer.settle(record(f"r{number}", 4, held_nano=10)) for number in range(0, count, 2)]
            await asyncio.gather(*sweeps, *settles)
            assert await books[0].budget() == BudgetRow("a", CREDIT, 4 * (count // 2), 0)
            assert await books[0].count("generations") == count
            told = await books[0].pairs("SELECT status, count(*) FROM generations GROUP BY status")
            assert told == {"completed": count // 2, "lost": count // 2}

    asyncio.run(play())
