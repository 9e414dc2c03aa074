"""What an account's own provider key paid: charged to nobody, counted on a key's limit where that says so."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.store.ledger import START_MS, Books, record, run
from trunkline.store.batch import Batch
from trunkline.store.connection import Connection
from trunkline.store.posting import post
from trunkline.store.rows import BudgetRow, GenerationRow
from trunkline.store.statements import budgets, generations

pytestmark = pytest.mark.usefixtures("any_database")

LIMIT = 1_000


@dataclass(frozen=True)
class Case:
    """What is held, the fee, and what the key paid; then what the account and the key's limit are charged."""

    id: str
    held: int
    fee: int
    paid: int
    counts: bool
    of_account: int
    of_key: int


CASES = [
    Case("it counts for nothing", 100, 0, 60, False, 0, 0),
    Case("it counts on the key's limit alone", 100, 0, 60, True, 0, 60),
    Case("no further than was held", 100, 0, 160, True, 0, 100),
    Case("a fee is the account's", 100, 6, 60, False, 6, 0),
    Case("a fee counts with it", 100, 6, 60, True, 6, 66),
    Case("a fee is not above what was held", 100, 106, 60, True, 100, 100),
    Case("nothing was paid", 100, 0, 0, True, 0, 0),
]


def paid(id: str, case: Case) -> GenerationRow:
    return record(
        id,
        case.fee,
        held_nano=case.held,
        is_byok=True,
        upstream_nano=case.paid,
        cost_input_nano=case.paid,
        key_budget="key_k" if case.counts else None,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_MO_25_of_an_account_with_credit_and_a_key_with_a_limit(case: Case) -> None:
    async def scene(books: Books) -> None:
        assert await books.hold("r", case.held, key_budget="key_k", key_credit_nano=LIMIT) == case.held
        await books.writer.settle(paid("r", case))
        assert await books.budget() == BudgetRow("a", 500, case.of_account, 0)
        assert await books.budget("key_k") == BudgetRow("key_k", LIMIT, case.of_key, 0)
        assert await books.count("entries") == 1 + (case.of_account > 0)

    run(scene, a=500)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_MO_25_of_an_unlimited_account_the_key_alone_may_count_it(case: Case) -> None:
    async def scene(books: Books) -> None:
        terms = {"account_budget": None, "key_budget": "key_k", "key_credit_nano": LIMIT}
        assert await books.hold("r", case.held, **terms) == case.held
        await books.writer.settle(paid("r", case))
        assert await books.budget("key_k") == BudgetRow("key_k", LIMIT, case.of_key, 0)
        found = (await books.read(lambda connection: generations.find_generations(connection, ["r"])))["r"]
        assert found.charged_nano == (min(case.fee, case.held) if case.counts else 0)

    run(scene)


def test_MO_25_where_the_account_pays_nothing_only_the_limit_is_held() -> None:
    async def scene(books: Books) -> None:
        terms = {"account_budget": None, "key_budget": "key_k", "key_credit_nano": 150}
        assert await books.hold("r1", 100, **terms) == 100
        assert await books.budget() == BudgetRow("a", 1, 0, 0)
        await books.writer.settle(paid("r1", CASES[1]))
        assert await books.budget() == BudgetRow("a", 1, 0, 0)
        assert (await books.budget("key_k")).charged_nano == 60

    run(scene, a=1)


def expire(connection: Connection) -> None:
    """Give up every hold, as those of a process that died are."""
    post(connection, Batch(expired=tuple(budgets.find_holds(connection, ["r"]).values())), "boot", START_MS)


def test_MO_25_late_it_counts_for_nothing() -> None:
    async def scene(books: Books) -> None:
        await books.hold("r", 100, key_budget="key_k", key_credit_nano=LIMIT)
        await books.writer.run(expire)
        await books.writer.settle(paid("r", CASES[4]))
        assert await books.budget() == BudgetRow("a", 500, 6, 0)
        assert await books.budget("key_k") == BudgetRow("key_k", LIMIT, 0, 0)

    run(scene, a=500)
