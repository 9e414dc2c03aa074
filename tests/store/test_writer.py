"""Holds and settles through the writer: never overspent, each hold resolved once, nobody kept waiting."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.store.ledger import Books, count, find_budget, make_accounts, make_writer, record, run, wish
from trunkline.errors import ServiceUnavailable
from trunkline.store import writer as writing
from trunkline.store.batch import Batch, Facts, Shortage, decide
from trunkline.store.rows import BudgetRow, HoldRow

pytestmark = pytest.mark.usefixtures("any_database")

FEW, MANY = 10, 50


class TestHolds:
    def test_MO_01_of_fifty_at_once_ten_are_admitted(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            answers = await asyncio.gather(*(books.hold(f"r{number}") for number in range(MANY)))
            assert sorted(answer for answer in answers if isinstance(answer, int)) == [10] * FEW
            assert [answer for answer in answers if answer == Shortage(0, "account")] == [Shortage(0, "account")] * 40
            assert await books.budget() == BudgetRow("a", 100, 0, 100)

        run(scene, tmp_path, a=100)

    @pytest.mark.parametrize(("credit", "is_granted"), [(10, True), (9, False)])
    def test_MO_23_credit_equal_to_the_hold_is_enough_and_one_unit_less_is_not(
        self, credit: int, is_granted: bool
    ) -> None:
        async def scene(books: Books) -> None:
            assert await books.hold("r", 10) == (10 if is_granted else Shortage(9, "account"))

        run(scene, a=credit)

    def test_MO_22_the_smaller_of_two_budgets_decides_and_is_named(self) -> None:
        async def scene(books: Books) -> None:
            of_key = {"key_budget": "key_k", "key_credit_nano": 15}
            assert await books.hold("r1", 10, **of_key) == 10
            assert await books.hold("r2", 10, **of_key) == Shortage(5, "key")
            assert await books.budget("key_k") == BudgetRow("key_k", 15, 0, 10)
            assert await books.hold("r3", 90) == 90
            assert await books.hold("r4", 5, key_budget="key_l", key_credit_nano=50) == Shortage(0, "account")

        run(scene, a=100)

    def test_a_key_of_an_unlimited_account_has_its_own_budget(self) -> None:
        async def scene(books: Books) -> None:
            terms = {"account_budget": None, "key_budget": "key_k@2025-11-24", "key_credit_nano": 20}
            assert await books.hold("r1", 20, **terms) == 20
            await books.writer.settle(record("r1", 12, held_nano=20, key_budget="key_k@2025-11-24"))
            assert await books.hold("r2", 9, **terms) == Shortage(8, "key")
            assert await books.budget("key_k@2025-11-24") == BudgetRow("key_k@2025-11-24", 20, 12, 0)

        run(scene)

    @pytest.mark.parametrize(
        ("credit", "wanted", "floor", "expected"),
        [
            (800, 1000, 10, 100),
            (800, 90, 10, 90),
            (800, 1000, 300, 300),
            (300, 1000, 300, 300),
            (299, 1000, 300, Shortage(299, "account")),
            (0, 0, 0, 0),
        ],
    )
    def test_a_hold_that_may_be_smaller_takes_an_eighth_or_the_floor(
        self, credit: int, wanted: int, floor: int, expected: int | Shortage
    ) -> None:
        async def scene(books: Books) -> None:
            assert await books.writer.hold(wish("r", wanted, floor_nano=floor)) == expected

        run(scene, a=credit or 1) if credit else run(_nothing_at_all)

    def test_of_a_batch_that_the_store_refuses_only_the_guilty_one_fails(self) -> None:
        async def scene(books: Books) -> None:
            await books.hold("twice")
            answers = await asyncio.gather(
                *(books.hold(id) for id in ("r1", "twice", "r2")),
                books.writer.settle(record("surrogate", 0, held_nano=None, user="\ud800")),
                books.writer.settle(record("whole", 0, held_nano=None)),
                return_exceptions=True,
            )
            assert [answers[0], answers[2]] == [10, 10]
            assert isinstance(answers[1], ServiceUnavailable)
            assert answers[3:] == [None, None]
            assert await books.count("holds") == 3
            assert await books.count("generations") == 1
            assert books.alarms == ["record.refused"]

        run(scene, a=100)

    def test_a_record_that_the_store_refuses_leaves_no_hold(self) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r")
            await books.writer.settle(record("r", 10, total_ms=2**63))
            assert await books.budget() == BudgetRow("a", 100, 0, 0)
            assert await books.read(lambda c: c.execute("SELECT id, status FROM generations").fetchall()) == [
                ("r", "lost")
            ]

        run(scene, a=100)

    def test_too_many_that_wait_are_told_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(writing, "MAX_WAITING", 3)

        async def scene(books: Books) -> None:
            answers = await asyncio.gather(*(books.hold(f"r{number}") for number in range(5)), return_exceptions=True)
            assert answers[:3] == [10, 10, 10]
            assert all(isinstance(answer, ServiceUnavailable) for answer in answers[3:])

        run(scene, a=100)


class TestRaises:
    """A hold that is there already, made larger."""

    def test_one_hold_of_the_sum_is_settled_as_any_other(self) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r", 30)
            assert await books.hold("r", 20, is_raise=True) == 20
            assert await books.hold("r", 40, floor_nano=5, is_raise=True) == 6  # an eighth of what is left
            assert await books.budget() == BudgetRow("a", 100, 0, 56)
            assert await books.count("holds") == 1
            await books.writer.settle(record("r", 55, held_nano=56))
            assert await books.budget() == BudgetRow("a", 100, 55, 0)

        run(scene, a=100)

    def test_without_credit_all_stays_as_it_was(self) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r", 30)
            assert await books.hold("r", 71, is_raise=True) == Shortage(70, "account")
            assert await books.budget() == BudgetRow("a", 100, 0, 30)

        run(scene, a=100)

    @pytest.mark.parametrize("is_settled", [True, False])
    def test_what_is_not_held_any_more_is_not_raised(self, is_settled: bool) -> None:
        async def scene(books: Books) -> None:
            if is_settled:
                await books.spend("r", 30)
            answer = await books.hold("r", 10, is_raise=True)
            assert answer == Shortage(0, "account")
            assert (await books.budget()).held_nano == 0

        run(scene, a=100)

    def test_one_that_nobody_waits_for_any_more_gives_nothing_back(self) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r", 30)
            raising = asyncio.ensure_future(books.hold("r", 20, is_raise=True))
            await asyncio.sleep(0)
            raising.cancel()
            await asyncio.gather(raising, return_exceptions=True)
            await books.hold("other", 1)
            await books.writer.settle(record("r", 30, held_nano=30))
            assert await books.budget() == BudgetRow("a", 100, 30, 1)

        run(scene, a=100)


async def _nothing_at_all(books: Books) -> None:
    """An account without a budget has nothing, which is enough for what costs nothing."""
    assert await books.hold("r", 0) == 0
    assert await books.hold("r2", 1) == Shortage(0, "account")


class TestEnds:
    def test_a_settle_charges_and_gives_the_rest_back(self) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r", 30)
            await books.writer.settle(record("r", 12, held_nano=30))
            assert await books.budget() == BudgetRow("a", 100, 12, 0)
            rows = await books.read(lambda c: c.execute("SELECT kind, debit, credit, amount_nano FROM entries"))
            assert list(rows) == [("topup", "world", "a", 100), ("charge", "a", "house", 12)]

        run(scene, a=100)

    def test_MO_06_two_settles_at_once_post_once(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r", 10)
            await asyncio.gather(*(books.writer.settle(record("r", 10)) for _ in range(5)))
            await books.writer.settle(record("r", 10))
            assert await books.budget() == BudgetRow("a", 100, 10, 0)
            assert [await books.count(table) for table in ("entries", "generations", "holds")] == [2, 1, 0]

        run(scene, tmp_path, a=100)

    @pytest.mark.parametrize("order", ["void post", "post void", "void void"])
    def test_MO_16_the_first_end_wins(self, order: str) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r", 10)
            for end in order.split():
                if end == "void":
                    books.writer.release("r")
                    await books.writer.run(lambda _: None)
                else:
                    await books.writer.settle(record("r", 10))
            charged = 10 if order == "post void" else 0
            assert await books.budget() == BudgetRow("a", 100, charged, 0)
            assert await books.count("generations") == (1 if charged else 0)

        run(scene, a=100)

    def test_never_more_is_charged_than_was_held(self) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r", 10)
            await books.writer.settle(record("r", 25, held_nano=10))
            assert await books.budget() == BudgetRow("a", 100, 10, 0)
            rows = await books.read(lambda c: c.execute("SELECT charged_nano, house_nano FROM generations").fetchall())
            assert rows == [(10, 15)]

        run(scene, a=100)

    def test_MO_28_what_is_not_limited_is_recorded_all_the_same(self) -> None:
        async def scene(books: Books) -> None:
            await books.writer.settle(record("r", 0, held_nano=None, cost_nano=7, cost_input_nano=7))
            books.writer.settle(record("r", 0, held_nano=None, cost_nano=7, cost_input_nano=7))
            books.writer.settle(record("s", 0, held_nano=None, cost_nano=7, cost_input_nano=7))
            await books.writer.run(lambda _: None)
            await books.writer.run(lambda _: None)
            usage = await books.read(lambda c: c.execute("SELECT requests, cost_nano FROM usage_daily").fetchall())
            assert usage == [(2, 14)]

        run(scene)

    def test_only_what_is_charged_waits_for_the_disk(self, any_database: str, tmp_path: Path) -> None:
        is_always_durable = any_database == "postgres"

        async def scene(books: Books) -> None:
            await books.hold("r", 10)
            await books.writer.settle(record("s", 0, held_nano=None))
            assert await books.is_durable() == is_always_durable
            await books.writer.settle(record("r", 10))
            assert await books.is_durable()
            await books.hold("t", 10)
            assert await books.is_durable() == is_always_durable
            await books.writer.run(lambda _: None)
            assert await books.is_durable()

        run(scene, tmp_path, a=100)

    @pytest.mark.law
    def test_MO_18_of_the_smallest_calls_each_is_counted(self) -> None:
        """Of 0.0000001 dollars; a hundred thousand here, a million in `make crash`."""
        settle_smallest(10)


def settle_smallest(rounds: int) -> None:
    """Settle ten thousand calls in each round; in the machine, for the tables sum whole numbers anyway."""
    calls, each = 10_000, 100
    everything = rounds * calls * each
    balance, one = BudgetRow("a", everything, 0, everything), record("", each)
    holds = {str(number): HoldRow(str(number), "a", "k", "a", None, each, "boot", 0) for number in range(calls)}
    rows = [one._replace(id=id) for id in holds]
    for _ in range(rounds):
        changes = decide(Batch(settles=rows), Facts(holds, {}, {"a": balance}), "boot", 0)
        ((charged, held, _),) = changes.moved
        balance = BudgetRow("a", everything, balance.charged_nano + charged, balance.held_nano + held)
    assert balance == BudgetRow("a", everything, everything, 0)


class TestWaiting:
    @pytest.mark.parametrize("waits", [True, False])
    def test_what_ends_after_the_writer_did_is_told_to_the_operator(self, waits: bool) -> None:
        async def scene(books: Books) -> None:
            await books.writer.close()
            if waits:
                await books.writer.settle(record("r", held_nano=None))
            else:
                books.writer.settle(record("r", held_nano=None))
            assert books.alarms == ["record.dropped"]

        run(scene)

    def test_a_hold_that_nobody_waits_for_any_more_is_given_back(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            for rounds in range(30):
                asked = [asyncio.create_task(books.hold(f"r{rounds}-{number}", 1)) for number in range(4)]
                for _ in range(rounds % 6):
                    await asyncio.sleep(0)
                if rounds % 3:
                    await asyncio.sleep(rounds / 5000)
                for each in asked:
                    each.cancel()
                answers = await asyncio.gather(*asked, return_exceptions=True)
                for number, answer in enumerate(answers):
                    if isinstance(answer, int):
                        books.writer.release(f"r{rounds}-{number}")
            for _ in range(3):
                await books.writer.run(lambda _: None)
            assert await books.budget() == BudgetRow("a", 100, 0, 0)
            assert await books.count("holds") == 0

        run(scene, tmp_path, a=100)

    def test_records_gather_until_somebody_asks_for_a_hold(
        self, any_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if any_database == "postgres":
            pytest.skip("its weeks are made ahead at the start, and records go with that")
        monkeypatch.setattr(writing, "GATHER_S", 60.0)

        async def scene(books: Books) -> None:
            for _ in range(5):  # what upkeep begins with is over, each of whose transactions ends the wait
                await books.writer.run(lambda _: None)
            for number in range(100):
                books.writer.settle(record(f"r{number}", held_nano=None))
                await asyncio.sleep(0)
            await asyncio.sleep(0.2)
            assert await books.count("generations") < 100
            assert await asyncio.wait_for(books.hold("h"), 10) == 10
            assert await books.count("generations") == 100

        run(scene, tmp_path, a=100)

    def test_a_settle_whose_caller_is_cancelled_is_kept(self) -> None:
        async def scene(books: Books) -> None:
            await books.hold("r", 10)

            async def settle() -> None:
                await books.writer.settle(record("r", 10))

            task = asyncio.create_task(settle())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await books.writer.run(lambda _: None)
            assert await books.budget() == BudgetRow("a", 100, 10, 0)

        run(scene, a=100)

    def test_what_is_appended_is_committed_at_the_end(self, tmp_path: Path) -> None:
        async def scene(books: Books) -> None:
            for number in range(1500):
                books.writer.settle(record(f"r{number}", held_nano=None))

        run(scene, tmp_path, a=100)

        async def later(books: Books) -> None:
            assert await books.count("generations") == 1500

        run(later, tmp_path)

    def test_who_comes_after_the_end_does_not_wait_for_ever(self) -> None:
        async def scene(books: Books) -> None:
            await books.writer.close()
            with pytest.raises(ServiceUnavailable, match="stopping"):
                await books.hold("r")
            with pytest.raises(ServiceUnavailable, match="stopping"):
                await books.writer.run(lambda _: None)
            async with asyncio.timeout(1):
                await books.writer.settle(record("r", held_nano=None))
            books.writer = make_writer(books, None)
            await books.writer.open()

        run(scene, a=100)

    def test_another_transaction_runs_in_turn_and_fails_alone(self) -> None:
        async def scene(books: Books) -> None:
            assert await books.writer.run(lambda connection: count(connection, "accounts")) == 1
            with pytest.raises(ServiceUnavailable):
                await books.writer.run(lambda connection: make_accounts(connection, {"a": 5}))
            with pytest.raises(KeyError):
                await books.writer.run(lambda connection: find_budget(connection, "nobody"))
            await books.spend("r")
            assert books.alarms == []

        run(scene, a=100)
