"""The store stuck, full, read-only or back again: what is over is kept, what is new is told, nobody waits for long."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.store.ledger import Books, open_books, record, refuse_writes, run, until, until_posted
from trunkline.errors import ServiceUnavailable
from trunkline.store import backlog
from trunkline.store import journal as journals
from trunkline.store.batch import Answer
from trunkline.store.rows import BudgetRow

PATIENCE_S = 0.8


@asynccontextmanager
async def stuck(books: Books) -> AsyncIterator[threading.Event]:
    """Have the writing connection hang, as on a frozen disk."""
    release = threading.Event()
    hanging = books.database.begin(lambda connection: release.wait(30))
    try:
        yield release
    finally:
        release.set()
        await hanging


class TestReadOnly:
    @pytest.mark.usefixtures("any_database")
    def test_DB_17_holds_are_refused_and_settles_kept_until_it_is_back(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r")
            await refuse_writes(books, True)
            await books.writer.settle(record("r", 10))
            with pytest.raises(ServiceUnavailable, match="cannot be written"):
                await books.hold("s")
            assert books.alarms == ["store.down"]
            assert books.writer.is_settling
            await refuse_writes(books, False)
            await until_posted(books, 1)
            assert await books.budget() == BudgetRow("a", 100, 10, 0)
            assert books.alarms == ["store.down", "store.back"]
            assert await books.hold("s") == 10

        run(scene, tmp_path, a=100)

    def test_DB_06_a_full_store_heals(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            held = 0
            # As when its disk is full: no page more than there are.
            await books.database.write(lambda c: c.execute("PRAGMA max_page_count = 1") and None)
            with contextlib.suppress(ServiceUnavailable):
                for _ in range(5000):
                    await books.hold(f"r{held}", 1)
                    held += 1
            assert 0 < held < 5000
            with pytest.raises(ServiceUnavailable, match="it is full"):
                await books.hold("one more", 1)
            await asyncio.gather(*(books.writer.settle(record(f"r{number}", 1)) for number in range(held)))
            await books.database.write(lambda c: c.execute("PRAGMA max_page_count = 1000000") and None)
            await until_posted(books, held)
            assert await books.hold("after") == 10
            assert await books.read(lambda c: c.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
            await books.writer.settle(record("after", 10))

        run(scene, tmp_path, a=10**6)

    @pytest.mark.usefixtures("any_database")
    def test_what_is_released_meanwhile_is_released_later(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r")
            await refuse_writes(books, True)
            with pytest.raises(ServiceUnavailable):
                await books.hold("s")
            books.writer.release("r")
            await asyncio.sleep(0.1)
            await refuse_writes(books, False)
            await until(books, "store.back")
            for _ in range(2):
                await books.writer.run(lambda _: None)
            assert await books.count("holds") == 0

        run(scene, tmp_path, a=100)

    def test_in_memory_it_waits_in_memory(self) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r")
            await refuse_writes(books, True)
            await books.writer.settle(record("r", 10))
            assert not books.writer.is_settling
            with pytest.raises(ServiceUnavailable, match="takes no records"):
                await books.hold("s")
            await refuse_writes(books, False)
            await until_posted(books, 1)
            await until(books, "journal.taken")
            assert await books.hold("s") == 10

        run(scene, a=100)


class TestStuck:
    def test_DB_05_a_settle_waits_for_the_timeout_and_goes_to_the_journal(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r")
            async with stuck(books):
                began = time.monotonic()
                await books.writer.settle(record("r", 10))
                assert PATIENCE_S * 0.9 < time.monotonic() - began < PATIENCE_S + 2
                began = time.monotonic()
                await asyncio.gather(*(books.writer.settle(record(f"u{n}", held_nano=None)) for n in range(20)))
                assert time.monotonic() - began < PATIENCE_S * 0.9  # it is known to be down
            await until_posted(books, 21)
            assert await books.budget() == BudgetRow("a", 100, 10, 0)

        run(scene, tmp_path, patience_s=PATIENCE_S, a=100)

    def test_DB_02_a_hold_is_refused_in_time_and_given_back_when_it_comes(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            async with stuck(books):
                began = time.monotonic()
                with pytest.raises(ServiceUnavailable, match="did not answer in time"):
                    await books.hold("r")
                assert time.monotonic() - began < PATIENCE_S + 2
            for _ in range(3):
                await books.writer.run(lambda _: None)
            assert await books.budget() == BudgetRow("a", 100, 0, 0)

        run(scene, tmp_path, patience_s=PATIENCE_S, a=100)

    def test_another_process_that_keeps_the_lock_is_waited_for_and_no_longer(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ServiceUnavailable, match=r"another process holds it|did not answer in time"):
                await books.hold("r")
            other.execute("ROLLBACK")
            other.close()
            assert await held_again(books) == 10

        run(scene, tmp_path, patience_s=PATIENCE_S, a=100)

    def test_it_closes_while_the_store_is_down_and_loses_nothing(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r")
            await refuse_writes(books, True)
            books.writer.settle(record("r", 10))

        run(scene, tmp_path, audits=False, a=100)

        async def later(books: Books) -> None:
            assert await books.budget() == BudgetRow("a", 100, 10, 0)
            assert "journal.adopted" in books.alarms

        run(later, tmp_path)


class TestJournal:
    def test_when_it_is_full_too_nothing_new_is_spent_and_nothing_lost(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journals, "MAX_BYTES", 1000)

        async def scene(books: Books) -> None:
            for number in range(10):
                await books.hold(f"r{number}")
            await refuse_writes(books, True)
            for number in range(10):
                await books.writer.settle(record(f"r{number}", 10))
            assert books.alarms == ["store.down", "journal.unwritable"]
            with pytest.raises(ServiceUnavailable, match="takes no records"):
                await books.hold("s")
            await refuse_writes(books, False)
            await until(books, "journal.taken")
            await until_posted(books, 10)
            assert books.writer.is_settling
            assert await books.budget() == BudgetRow("a", 100, 100, 0)

        run(scene, tmp_path, a=100)

    def test_a_record_comes_back_as_it_was(self, tmp_path: Path) -> None:
        whole = record("r", 7, told_nano=0, is_byok=True, user="ü", stop="", first_token_ms=0, upstream_nano=None)

        async def play() -> None:
            journal = journals.open_journal(tmp_path, "boot")
            await journal.append([whole, record("s")])
            assert await journal.read(1) == [whole]
            assert await journal.read(5) == [whole, record("s")]
            await journal.drop()
            assert journal.is_empty
            await journal.close()

        asyncio.run(play())
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("damage", ["cut", "flipped", "zeros", "noise"])
    def test_it_ends_where_a_record_is_not_whole(self, tmp_path: Path, damage: str) -> None:
        rows = [record(f"r{number}", 5) for number in range(20)]

        async def play() -> None:
            journal = journals.open_journal(tmp_path, "boot")
            await journal.append(rows[:19])
            size = (tmp_path / "boot.journal").stat().st_size
            await journal.append(rows[19:])
            await journal.close()
            data = bytearray((tmp_path / "boot.journal").read_bytes())
            match damage:
                case "cut":
                    data = data[:-1]
                case "flipped":
                    data[-3] ^= 1
                case "zeros":
                    data[size:] = bytes(1000)
                case "noise":
                    data[size:] = os.urandom(1000)
            (tmp_path / "boot.journal").write_bytes(data)
            ((boot_id, adopted),) = journals.adopt_journals(tmp_path)
            assert boot_id == "boot"
            assert await adopted.read(100) == rows[:19]
            await adopted.drop()
            assert adopted.is_empty
            await adopted.close()

        asyncio.run(play())

    def test_nobody_takes_the_journal_of_a_process_that_lives(self, tmp_path: Path) -> None:
        async def play() -> None:
            journal = journals.open_journal(tmp_path, "boot")
            await journal.append([record("r")])
            assert journals.is_running(tmp_path, "boot")
            assert list(journals.adopt_journals(tmp_path)) == []
            await journal.close()
            assert not journals.is_running(tmp_path, "boot")
            ((_, adopted),) = journals.adopt_journals(tmp_path)
            assert list(journals.adopt_journals(tmp_path)) == []
            await adopted.close()

        asyncio.run(play())

    @pytest.mark.usefixtures("any_database")
    def test_a_backlog_of_thousands_rides_along(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            await refuse_writes(books, True)
            await asyncio.gather(*(books.writer.settle(record(f"r{n}", held_nano=None)) for n in range(3000)))
            await refuse_writes(books, False)
            await until(books, "store.back")
            assert await books.hold("s") == 10
            await until_posted(books, 3000)

        run(scene, tmp_path, a=100)


def test_more_than_memory_holds_makes_room_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MAX_RING", 5)

    async def play() -> None:
        async with open_books(None) as books:
            await refuse_writes(books, True)
            for number in range(8):
                await books.writer.settle(record(f"r{number}", held_nano=None))
            assert "record.dropped" in books.alarms
            await refuse_writes(books, False)
            await until_posted(books, 5)

    asyncio.run(play())


async def held_again(books: Books) -> Answer:
    """Ask for a hold until the store is back; whether it was taken for gone depends on when it was looked at."""
    for _ in range(200):
        with contextlib.suppress(ServiceUnavailable):
            return await books.hold("s")
        await asyncio.sleep(0.05)
    raise AssertionError("the store does not come back")
