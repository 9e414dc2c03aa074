"""Accounts and their credit against a real SQLite store; the books are right after each test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from trunkline.accounts.administration import Accounts, Declined, Posted, available_nano, is_unlimited
from trunkline.accounts.audit import audit
from trunkline.money import MAX_USD, NANO_PER_USD
from trunkline.store.connection import Connection
from trunkline.store.database import Database, open_database

Result = TypeVar("Result")
USD = NANO_PER_USD


@dataclass
class Scene:
    accounts: Accounts
    database: Database

    async def spend(self, id: str, charged: int, held: int = 0) -> None:
        """Make it what is charged to an account and held in it."""

        def work(connection: Connection) -> None:
            connection.execute("UPDATE budgets SET charged_nano = ?, held_nano = ? WHERE id = ?", (charged, held, id))

        await self.database.write(work)


def play(path: Path, act: Callable[[Scene], Awaitable[Result]]) -> Result:
    async def scene() -> Result:
        database = open_database(f"sqlite:///{path}/a.db", 5.0)
        try:
            result = await act(Scene(Accounts(database, lambda: 1_800_000_000.0), database))
            assert (await database.read(partial(audit, now_ms=0))).differences == ()
            return result
        finally:
            await database.close()

    return asyncio.run(scene())


async def declined(work: Awaitable[object]) -> str:
    with pytest.raises(Declined) as raised:
        await work
    return raised.value.code


def test_an_account_has_its_first_credit_as_a_top_up(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        rich, poor, free = [await scene.accounts.create("a", credit, {}) for credit in (25 * USD, 0, None)]
        assert [is_unlimited(each) for each in (rich, poor, free)] == [False, False, True]
        assert [available_nano(each) for each in (rich, poor)] == [25 * USD, 0]
        (entry,) = await scene.accounts.entries(rich.id, 0)
        assert (entry.kind, entry.debit, entry.credit, entry.reference) == (
            "topup",
            "world",
            rich.id,
            f"create:{rich.id}",
        )
        assert await scene.accounts.entries(poor.id, 0) == []
        assert {each.id for each in await scene.accounts.named("a")} == {rich.id, poor.id, free.id}

    play(tmp_path, act)


def test_MO_20_a_top_up_that_is_replayed_adds_nothing(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        one, other = [await scene.accounts.create(name, 0, {}) for name in "ab"]
        posted = [await scene.accounts.add_credit(one.id, 5 * USD, "payment-1") for _ in range(3)]
        assert [each.is_new for each in posted] == [True, False, False]
        assert {(each.entry, available_nano(each.account)) for each in posted} == {(1, 5 * USD)}
        accounts = scene.accounts
        assert await declined(accounts.add_credit(one.id, 5 * USD + 1, "payment-1")) == "reference_conflict"
        assert await declined(accounts.add_credit(other.id, 5 * USD, "payment-1")) == "reference_conflict"
        assert await declined(accounts.remove_credit(one.id, 5 * USD, "payment-1")) == "reference_conflict"
        assert len(await accounts.entries(None, 0)) == 1

    play(tmp_path, act)


def test_MO_20_of_many_at_once_one_adds(tmp_path: Path) -> None:
    async def act(scene: Scene) -> list[Posted]:
        account = await scene.accounts.create("a", 0, {})
        return await asyncio.gather(*(scene.accounts.add_credit(account.id, USD, "payment-1") for _ in range(20)))

    posted = play(tmp_path, act)
    assert sorted(each.is_new for each in posted) == [False] * 19 + [True]
    assert {each.account.credited_nano for each in posted} == {USD}


def test_credit_is_taken_back_as_far_as_it_is_neither_spent_nor_held(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        account = await scene.accounts.create("a", 10 * USD, {})
        taken = await scene.accounts.remove_credit(account.id, 4 * USD, "r1")
        assert (taken.amount_nano, taken.is_new, available_nano(taken.account)) == (4 * USD, True, 6 * USD)
        await scene.spend(account.id, 1 * USD, 2 * USD)
        taken = await scene.accounts.remove_credit(account.id, 100 * USD, "r2")
        assert (taken.amount_nano, available_nano(taken.account)) == (3 * USD, 0)
        again = await scene.accounts.remove_credit(account.id, 100 * USD, "r2")
        assert (again.entry, again.amount_nano, again.is_new) == (taken.entry, 3 * USD, False)
        assert await declined(scene.accounts.remove_credit(account.id, 99 * USD, "r2")) == "reference_conflict"
        assert await declined(scene.accounts.remove_credit(account.id, USD, "r3")) == "nothing_left"
        await scene.spend(account.id, 0)
        assert (await scene.accounts.named(account.id))[0].credited_nano == 3 * USD
        await scene.accounts.remove_credit(account.id, 3 * USD, "r4")

    play(tmp_path, act)


def test_an_account_never_has_more_than_can_be_counted(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        account = await scene.accounts.create("a", 0, {})
        for number in range(9):
            await scene.accounts.add_credit(account.id, MAX_USD * USD, f"r{number}")
        assert await declined(scene.accounts.add_credit(account.id, MAX_USD * USD, "r9")) == "too_much"
        (found,) = await scene.accounts.named(account.id)
        assert found.credited_nano == 9 * MAX_USD * USD

    play(tmp_path, act)


def test_an_unlimited_account_takes_no_credit_until_it_is_limited_and_keeps_its_books(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        accounts = scene.accounts
        account = await accounts.create("a", None, {"rpm": 5})
        assert await declined(accounts.add_credit(account.id, USD, "r1")) == "unlimited"
        assert not is_unlimited(await accounts.change(account.id, unlimited=False))
        await accounts.add_credit(account.id, USD, "r1")
        free = await accounts.change(account.id, unlimited=True)
        assert is_unlimited(free)
        assert free.terms == '{"rpm": 5, "unlimited": true}'
        assert await declined(accounts.add_credit(account.id, USD, "r2")) == "unlimited"
        limited = await accounts.change(account.id, unlimited=False)
        assert (is_unlimited(limited), available_nano(limited), limited.terms) == (False, USD, '{"rpm": 5}')

    play(tmp_path, act)


def test_an_account_is_found_by_its_id_before_any_name(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        first = await scene.accounts.create("a", 0, {})
        await scene.accounts.create(first.id, 0, {})
        assert [each.id for each in await scene.accounts.named(first.id)] == [first.id]
        assert await declined(scene.accounts.change("a", disabled=True)) == "not_found"
        assert await declined(scene.accounts.create("b", 0, {"rpm": -1})) == "invalid"
        assert len(await scene.accounts.all()) == 2

    play(tmp_path, act)
