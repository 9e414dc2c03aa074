"""The books checked: each of the sums made wrong is found by the check that is there for it."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import pytest

from tests.store.ledger import START_MS, Books, record, run, top_up
from trunkline.accounts.audit import audit
from trunkline.catalog.price_texts import write_price
from trunkline.catalog.prices import Price

PRICE = Price(input=Decimal("0.000001"), output=Decimal("0.000002"))
KEY = "key_k@2025-11-24"


async def fill(books: Books) -> None:
    """A charge, one of a key's period, an open hold, a record without a hold, one with a price."""
    await books.spend("r1", 30)
    assert await books.hold("r2", 20, key_budget=KEY, key_credit_nano=50) == 20
    await books.writer.settle(record("r2", 15, held_nano=20, key_budget=KEY))
    await books.hold("open", 7)
    await books.writer.settle(record("free", held_nano=None))
    text = write_price(PRICE)
    insert = "INSERT INTO prices (id, endpoint_id, fingerprint, price, first_used_ms) VALUES (1, 'e', x'00', ?, 0)"
    await books.writer.run(lambda connection: connection.execute(insert, (text,)) and None)
    priced = record("priced", held_nano=None, price_id=1, cost_nano=13_000, cost_input_nano=3_000)
    await books.writer.settle(priced._replace(cost_output_nano=10_000))
    told = record("told", held_nano=None, price_id=1, cost_nano=77, cost_input_nano=77, told_nano=77)
    await books.writer.settle(told)


@pytest.mark.parametrize(
    ("statement", "checks"),
    [
        ("SELECT 1", set()),
        ("UPDATE budgets SET charged_nano = charged_nano + 1 WHERE id = 'a'", {"charged", "owners"}),
        ("UPDATE budgets SET charged_nano = charged_nano - 1 WHERE id = 'key_k@2025-11-24'", {"charged"}),
        ("UPDATE budgets SET credited_nano = credited_nano + 1 WHERE id = 'a'", {"credited", "owners"}),
        ("UPDATE budgets SET held_nano = held_nano - 1 WHERE id = 'a'", {"held"}),
        ("DELETE FROM holds", {"held"}),
        ("DELETE FROM entries WHERE charge_of = 'r1'", {"charged", "entries", "owners"}),
        ("UPDATE entries SET amount_nano = 29 WHERE charge_of = 'r1'", {"charged", "entries", "owners"}),
        ("DELETE FROM entries WHERE kind = 'topup'", {"credited", "owners"}),
        ("DELETE FROM generations WHERE id = 'r1'", {"entries", "usage"}),
        ("DELETE FROM generations WHERE id = 'free'", {"usage"}),
        ("UPDATE generations SET cost_fees_nano = 1 WHERE id = 'free'", {"parts"}),
        ("UPDATE generations SET charged_nano = 31 WHERE id = 'r1'", {"entries", "usage", "bearers"}),
        ("UPDATE usage_daily SET output_tokens = output_tokens + 1", {"usage"}),
        ("UPDATE boots SET seen_at_ms = seen_at_ms - 121000; UPDATE holds SET created_at_ms = 0", {"dead_holds"}),
        ("UPDATE boots SET seen_at_ms = seen_at_ms - 121000", set()),
        ("UPDATE holds SET created_at_ms = 0", set()),
        (
            "INSERT INTO entries (at_ms, kind, debit, credit, amount_nano) VALUES (0, 'topup', 'world', 'b', 5)",
            {"owners"},
        ),
        ("DELETE FROM prices", {"prices"}),
        ("UPDATE generations SET output_tokens = 6 WHERE id = 'priced'", {"rerated", "usage"}),
    ],
)
def test_a_sum_that_is_wrong_is_found(statement: str, checks: set[str]) -> None:
    async def scene(books: Books) -> None:
        await fill(books)
        await books.writer.run(lambda connection: [connection.execute(one) for one in statement.split(";")] and None)
        found = await books.read(partial(audit, now_ms=START_MS))
        assert {difference.check for difference in found.differences} == checks
        assert found.is_ok == (not checks)

    run(scene, audits=False, a=1000)


def test_a_request_that_came_to_nothing_is_worth_nothing_where_each_one_has_a_fee() -> None:
    async def scene(books: Books) -> None:
        text = write_price(Price(input=Decimal(1), output=Decimal(1), request=Decimal("0.005")))
        insert = "INSERT INTO prices (id, endpoint_id, fingerprint, price, first_used_ms) VALUES (1, 'e', x'00', ?, 0)"
        await books.writer.run(lambda connection: connection.execute(insert, (text,)) and None)
        failed = record("failed", held_nano=None, price_id=1, status="failed", input_tokens=0, output_tokens=0)
        await books.writer.settle(failed)
        paid = failed._replace(id="paid", cost_nano=5_000_000, cost_fees_nano=5_000_000)
        await books.writer.settle(paid)
        assert (await books.read(partial(audit, now_ms=START_MS))).differences == ()

    run(scene, a=1000)


def test_it_is_told_in_dollars() -> None:
    async def scene(books: Books) -> None:
        await fill(books)
        await books.writer.run(partial(top_up, account="a", nano=1))
        await books.writer.run(
            lambda c: c.execute("UPDATE budgets SET credited_nano = 1000000050 WHERE id = 'a'") and None
        )
        found = (await books.read(partial(audit, now_ms=START_MS))).document()
        assert found == {
            "ok": False,
            "checked": {"accounts": 1, "entries": 4, "holds": 1, "generations": 5},
            "open_holds": 1,
            "differences": [
                {"check": "credited", "subject": "a", "expected": "0.000001001", "found": "1.00000005"},
                {"check": "owners", "subject": "a", "expected": "0.000000956", "found": "1.000000005"},
            ],
        }

    run(scene, audits=False, a=1000)
