"""What processes leave that were killed: journals posted first, holds expired then, each settled late at most once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.store.ledger import START_MS, Books, drop, make_writer, open_books, record, refuse_writes, run
from trunkline.accounts.audit import audit
from trunkline.days import DAY_MS
from trunkline.store import sweep as sweeping
from trunkline.store import upkeep
from trunkline.store import writer as writing
from trunkline.store.rows import BootRow, BudgetRow
from trunkline.store.statements.boots import list_boots, note_boot
from trunkline.store.statements.retention import find_horizon

of_any = pytest.mark.usefixtures("any_database")


async def restart(books: Books, folder: Path | None, node: str = "here:8080") -> None:
    """Drop the writer as a kill does, and open another one."""
    await drop(books.writer)
    books.writer = make_writer(books, folder, node)
    await books.writer.open()


async def sweep(books: Books) -> sweeping.Swept:
    """Expire as another process does, that is alone in its place."""
    other = BootRow("other", "there:1", 0, 0)
    now_ms = int(books.now_s * 1000)
    return await books.writer.run(partial(sweeping.sweep, boot=other, now_ms=now_ms, is_running=lambda boot_id: False))


@of_any
class TestSweep:
    def test_MO_03_what_a_killed_process_held_is_given_back_at_its_next_start(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r", 30)
            await restart(books, tmp_path)
            assert await books.budget() == BudgetRow("a", 100, 0, 0)
            rows = await books.read(lambda c: c.execute("SELECT id, status, charged_nano FROM generations").fetchall())
            assert rows == [("r", "lost", 0)]
            assert "hold.expired" in books.alarms

        run(scene, tmp_path, a=100)

    @pytest.mark.parametrize(("later_s", "is_expired"), [(59, False), (61, True)])
    def test_MO_03_elsewhere_it_is_given_back_after_a_minute(
        self, tmp_path: Path, later_s: int, is_expired: bool
    ) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r", 30)
            books.now_s += later_s
            await restart(books, tmp_path, node="there:8080")
            assert (await books.budget()).held_nano == (0 if is_expired else 30)
            books.now_s += 100
            assert (await sweep(books)).expired == (0 if is_expired else 1)

        run(scene, tmp_path, a=100)

    def test_one_that_is_about_to_end_keeps_its_holds(self, tmp_path: Path) -> None:
        """Of two processes of one name the older still has its journal, as in a start that overlaps."""

        async def scene(books: Books) -> None:
            await books.hold("r", 30)
            async with open_books(tmp_path, audits=False) as newer:
                assert (await newer.budget()).held_nano == 30
                await books.writer.settle(record("r", 20, held_nano=30))
            assert await books.budget() == BudgetRow("a", 100, 20, 0)

        run(scene, tmp_path, a=100)

    @pytest.mark.parametrize(
        ("seen_s", "is_double"), [(-3, False), (5, True), (4_000, False)], ids=["killed", "alive", "clock set back"]
    )
    def test_a_namesake_that_goes_on_elsewhere_is_let_be_and_told(self, seen_s: int, is_double: bool) -> None:
        """Two machines were given one `store.node`; the journal of the other is not here."""

        async def scene(books: Books) -> None:
            await books.hold("r", 30)
            now_ms = START_MS + 10_000
            (boot,) = await books.read(list_boots)
            await books.writer.run(partial(note_boot, row=boot._replace(seen_at_ms=START_MS + seen_s * 1000)))
            namesake = BootRow("other", boot.node, START_MS, now_ms)
            swept = await books.writer.run(
                partial(sweeping.sweep, boot=namesake, now_ms=now_ms, is_running=lambda boot_id: False)
            )
            assert (swept.has_double, swept.expired) == (is_double, 0 if is_double else 1)
            assert swept.living == (2 if is_double else 1)

        run(scene, audits=False, a=100)

    def test_many_holds_are_expired_in_several_transactions(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            count = sweeping.MAX_EXPIRED + 20
            await asyncio.gather(*(books.hold(f"r{number}", 1) for number in range(count)))
            await restart(books, tmp_path)
            assert await books.budget() == BudgetRow("a", 10_000, 0, 0)
            assert await books.count("generations") == count

        run(scene, tmp_path, a=10_000)

    def test_a_hold_of_a_boot_that_nobody_knows_is_expired(self) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r", 30)
            await books.writer.run(lambda c: c.execute("DELETE FROM boots") and None)
            assert (await sweep(books)).expired == 1

        run(scene, a=100)

    def test_boots_are_forgotten_when_they_are_long_gone(self) -> None:
        async def scene(books: Books) -> None:
            for id, age_ms in (("old", DAY_MS + 1), ("dead", 61_000), ("alive", 59_000)):
                await books.writer.run(partial(note_boot, row=BootRow(id, f"node-{id}", 0, START_MS - age_ms)))
            assert (await sweep(books)).living == 3  # this writer, the one that is alive, and who asks
            assert {boot.id for boot in await books.read(list_boots)} >= {"dead", "alive"}
            assert "old" not in {boot.id for boot in await books.read(list_boots)}

        run(scene)

    def test_it_is_seen_for_as_long_as_it_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(writing, "BEAT_S", 0.05)

        async def scene(books: Books) -> None:
            books.now_s += 20
            async with asyncio.timeout(10):
                for _ in iter(lambda: None, 1):
                    # The first word of a boot may still be under way to the database.
                    if [boot.seen_at_ms for boot in await books.read(list_boots)] == [START_MS + 20_000]:
                        return

        run(scene)

    def test_a_clean_end_leaves_no_boot(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            await books.spend("r")
            assert len(await books.read(list_boots)) == 1
            await books.writer.close()
            assert await books.read(list_boots) == []
            assert list((tmp_path / "a.db.journal").iterdir()) == []
            books.writer = make_writer(books, tmp_path)
            await books.writer.open()

        run(scene, tmp_path, a=100)

    def test_a_round_that_fails_does_not_keep_the_writer_from_its_work(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(folder: Path) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(upkeep, "adopt_journals", fail)

        async def scene(books: Books) -> None:
            assert books.alarms == ["upkeep.failed"]
            await books.hold("r", 30)
            await restart(books, tmp_path)
            assert (await books.budget()).held_nano == 0

        run(scene, tmp_path, a=100)


@of_any
class TestLate:
    @pytest.mark.parametrize(
        ("others", "expected", "house"), [(0, 25, 0), (80, 20, 5), (100, 0, 25)], ids=["all", "part", "nothing"]
    )
    def test_a_settle_that_finds_its_hold_expired_charges_what_is_left(
        self, others: int, expected: int, house: int
    ) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r", 30)
            books.now_s += 61
            assert (await sweep(books)).expired == 1
            if others:
                await books.spend("s", others)
            for _ in range(3):
                await books.writer.settle(record("r", 25, held_nano=30))
            assert await books.budget() == BudgetRow("a", 100, others + expected, 0)
            select = "SELECT status, charged_nano, house_nano FROM generations WHERE id = 'r'"
            assert await books.read(lambda c: c.execute(select).fetchall()) == [("completed", expected, house)]
            usage = await books.read(lambda c: c.execute("SELECT model, requests FROM usage_daily").fetchall())
            assert usage == [("author/name", 2 if others else 1)]

        run(scene, a=100)

    def test_of_a_key_it_charges_the_period_that_it_was_held_in(self) -> None:
        async def scene(books: Books) -> None:
            terms = {"account_budget": None, "key_budget": "key_k@2025-11-24", "key_credit_nano": 40}
            await books.hold("r", 30, **terms)
            books.now_s += 61
            await sweep(books)
            assert await books.hold("s", 25, **terms) == 25
            await books.writer.settle(record("r", 25, held_nano=30, key_budget="key_k@2025-11-25"))
            assert await books.budget("key_k@2025-11-24") == BudgetRow("key_k@2025-11-24", 40, 15, 25)

        run(scene)

    def test_MO_04_a_killed_process_left_it_in_its_journal(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r", 30)
            async with read_only(books):
                await books.writer.settle(record("r", 25, held_nano=30))
                await drop(books.writer)
            books.now_s += 3600  # however late: journals come before the sweep
            books.writer = make_writer(books, tmp_path)
            await books.writer.open()
            assert await books.budget() == BudgetRow("a", 100, 25, 0)
            assert "hold.expired" not in books.alarms

        run(scene, tmp_path, a=100)


class TestRetention:
    def test_old_records_go_and_their_sums_stay(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(upkeep, "SLICE", 7)

        async def scene(books: Books) -> None:
            for number in range(30):
                at_ms = START_MS - (number % 6) * DAY_MS
                await books.hold(f"r{number}", 10)
                await books.writer.settle(record(f"r{number}", 3, held_nano=10, created_at_ms=at_ms))
            await books.writer.close()
            books.writer = make_writer(books, tmp_path, keep_records_s=2 * 86_400)
            await books.writer.open()
            async with asyncio.timeout(10):
                for _ in iter(lambda: None, 1):
                    if await books.count("generations") == 15:
                        break
            assert await books.count("entries") == 31
            assert await books.read(find_horizon) == (START_MS // DAY_MS - 2) * DAY_MS
            (requests,) = await books.read(lambda c: c.execute("SELECT sum(requests) FROM usage_daily").fetchone())
            assert requests == 30
            assert (await books.budget()).charged_nano == 90
            await books.writer.settle(record("r5", 3, held_nano=10))  # nobody knows it any more: nothing is charged
            assert (await books.budget()).charged_nano == 90

        run(scene, tmp_path, a=1000)

    def test_charges_of_closed_months_become_one_entry_for_each_owner(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(upkeep, "SLICE", 2)

        async def spend(books: Books, number: int) -> None:
            key_budget = "key_k" if number % 2 else None
            of_key = {"account_budget": None, "key_budget": key_budget, "key_credit_nano": 1000} if key_budget else {}
            assert await books.hold(f"r{number}", 10, **of_key) == 10
            at_ms = START_MS - number * 5 * DAY_MS  # on the 24th, 19th and so on, back to 2025-09-25
            row = record(f"r{number}", 3, held_nano=10, created_at_ms=at_ms, key_budget=key_budget)
            await books.writer.settle(row)

        async def scene(books: Books) -> None:
            await asyncio.gather(*(spend(books, number) for number in range(13)))
            for _ in range(2):  # what is carried already stays so
                await books.writer.close()
                books.writer = make_writer(books, tmp_path, keep_records_s=20 * 86_400)  # since 2025-11-04
                await books.writer.open()
                async with asyncio.timeout(30):
                    for _ in iter(lambda: None, 1):
                        if (await books.pairs("SELECT kind, count(*) FROM entries GROUP BY kind"))["charge"] == 5:
                            break
            carried = "SELECT reference, amount_nano FROM entries WHERE kind = 'carry' ORDER BY reference"
            assert await books.pairs(carried) == {
                "carry:a:2025-09": 3, "carry:a:2025-10": 9, "carry:key_k:2025-09": 3, "carry:key_k:2025-10": 9,
            }  # fmt: skip

        run(scene, tmp_path, a=1000)


@asynccontextmanager
async def read_only(books: Books) -> AsyncIterator[None]:
    """Have the store refuse every write meanwhile."""
    await refuse_writes(books, True)
    yield
    await refuse_writes(books, False)


@of_any
def test_the_audit_still_finds_a_record_that_is_gone_without_being_old(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        await books.spend("r")
        await books.writer.run(lambda c: c.execute("DELETE FROM generations") and None)
        found = await books.read(partial(audit, now_ms=START_MS))
        assert {difference.check for difference in found.differences} == {"entries", "usage"}

    run(scene, tmp_path, audits=False, a=100)
