"""Every statement there is, run on SQLite and on PostgreSQL with the same rows in them: both say the same."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.store.ledger import START_MS, make_accounts, record
from trunkline.days import DAY_MS, day_at
from trunkline.store import statements
from trunkline.store.batch import Outcome
from trunkline.store.connection import Connection, Session
from trunkline.store.rows import (
    BootRow,
    BudgetRow,
    ClaimRow,
    EntryRow,
    HoldRow,
    ListRow,
    PriceRow,
    ProviderKeyRow,
    UsageRow,
)
from trunkline.store.sqlite import open_sqlite
from trunkline.store.statements import (
    accounts,
    audits,
    boots,
    budgets,
    carrying,
    credits,
    generations,
    idempotency,
    keys,
    model_lists,
    pricing,
    provider_keys,
    records,
    retention,
    tables,
    templates,
)
from trunkline.store.statements.keys import KeyRow

DAY = day_at(START_MS)
OF_POSTGRES = {
    *("make_weeks", "make_weeks_ahead", "list_weeks", "retire_week"),
    *("lock_tables", "read_oldest_code", "list_older_nodes", "run_steps"),
}
"""What is said to one database only; tested where it is used."""


def key_row(id: str, **changes: Any) -> KeyRow:
    values: dict[str, Any] = {"id": id, "account_id": "a", "name": f"n{id}", "prefix": f"tl-{id}", **changes}
    return KeyRow(**{"created_at_ms": START_MS, "disabled": False, "expires_at_ms": None, **values})


def own(id: str, owner: str, **changes: Any) -> ProviderKeyRow:
    base = ProviderKeyRow(id, owner, "acme", "m1", b"nonce" + id.encode(), b"\0sealed", "…abc", True, START_MS)
    return base._replace(**changes)


PRICE = PriceRow(2**62 + 7, "acme:acme/large", b"\1" * 32, "{}", START_MS)
USAGE = UsageRow("a", DAY, "k", "author/name", "fakeprovider", False, 1, 3, 0, 5, 0, 7, 0)
CLAIMS = [
    ClaimRow(b"%d\0" % number, b"body", f"r{number}", boot, START_MS + number)
    for number, boot in enumerate(("boot", "gone", "boot", "old"))
]
LIST = ListRow("d" * 64, b"\0packed", "https://lists.example/é", '"1"', START_MS)
KEPT = Outcome(CLAIMS[0].mark, "r0", is_free=False, nonce=b"\0nonce", sealed=b"\0sealed")


def fill(connection: Connection) -> None:
    """Put something of everything into the tables."""
    make_accounts(connection, {"a": 10**12, "b": 5})
    keys.add_key(connection, key_row("k", limit_nano=2**53, limit_reset="daily", byok_counts=True), b"k" * 32)
    keys.add_key(connection, key_row("q", account_id="new", terms='{"a":1}'), b"q" * 32)
    boots.note_boot(connection, BootRow("boot", "here:1", START_MS, START_MS))
    budgets.add_budgets(connection, [BudgetRow("k@2025-11-24", 100, 0, 30), BudgetRow("k", 7, 0, 0)])
    budgets.add_holds(
        connection,
        [HoldRow(f"h{n}", "a", "k", "a", "k@2025-11-24", 10, ("boot", "gone")[n % 2], START_MS + n) for n in range(3)],
    )
    generations.add_prices(connection, [PRICE])
    rows = [
        record("r1", 7, price_id=PRICE.id, endpoint_id="acme:acme/large", key_budget="k@2025-11-24"),
        record("r2", 0, held_nano=None, is_byok=True, upstream_nano=5, model="au_thor/na%me", user="u\\n"),
        record("r3", 1, created_at_ms=START_MS + DAY_MS, streamed=True, attempts="[]", session_id="é"),
    ]
    generations.add_generations(connection, rows)
    generations.add_usage(
        connection, [USAGE, USAGE._replace(day=DAY + 1, cost_nano=1), USAGE._replace(day=DAY + 2, requests=0)]
    )
    budgets.add_charges(connection, [EntryRow(0, START_MS, "charge", "a", "house", 7, "r1", None, None, None)])
    provider_keys.put_provider_key(connection, own("p1", "a"))
    provider_keys.put_provider_key(connection, own("p2", "k", only_this=False))
    idempotency.add_claims(connection, CLAIMS)
    idempotency.end_claims(connection, [KEPT], START_MS + 9)
    model_lists.keep_list(connection, LIST._replace(digest="b" * 64))
    model_lists.keep_list(connection, LIST)
    for number, id in enumerate(("t", "t", "T", "t", "gone")):
        templates.add_template(connection, id, f'{{"input": "{number}é"}}', START_MS + number)
    for id, version in (("t", 2), ("gone", None)):
        templates.remove_template(connection, id, version)


def _then(act: Callable[..., Any], look: Callable[[Connection], Any], **terms: Any) -> Callable[[Connection], Any]:
    """Act, and tell what came of it besides what it gave."""

    def work(connection: Connection) -> Any:
        return act(connection, **terms), look(connection)

    return work


def _all(statement: str) -> Callable[[Connection], Any]:
    return lambda connection: connection.execute(statement).fetchall()


_BUDGETS = _all("SELECT id, credited_nano, charged_nano, held_nano FROM budgets ORDER BY id")
_KEYS = _all("SELECT id, hash, pepper_id, last_used_ms FROM keys ORDER BY id")
_USAGE = _all("SELECT account_id, day, requests, cost_nano FROM usage_daily ORDER BY day")
_CLAIMS = _all("SELECT * FROM claims ORDER BY mark")
_LISTS = _all("SELECT * FROM model_lists ORDER BY place")
_TEMPLATES = _all("SELECT * FROM templates ORDER BY id, version")
_ENTRIES = _all("SELECT seq, kind, debit, credit, amount_nano, charge_of, reference FROM entries ORDER BY seq")


def _post(connection: Connection, entry: EntryRow) -> object:
    """Where a transaction is undone SQLite gives its numbers again, and PostgreSQL does not."""
    seq = credits.post_credit(connection, entry, "a")
    assert credits.list_entries(connection, None)[-1] == entry._replace(seq=seq)
    return _BUDGETS(connection)


def _carry(connection: Connection) -> object:
    """Carry the charges of a month whose records are gone, and those that come to it later."""
    retention.delete_records_before(connection, at_ms=START_MS + 40 * DAY_MS, limit=10)
    counts = []
    for id in ("c1", "c2"):
        budgets.add_charges(connection, [EntryRow(0, START_MS, "charge", "a", "house", 3, id, None, None, None)])
        counts.append(carrying.carry_charges(connection, limit=10))
    return counts, sorted(row[1:] for row in _ENTRIES(connection))


def _roll_back_all(connection: Connection) -> list[bool]:
    return [model_lists.roll_back_list(connection) for _ in range(3)]


_WANTED = records.RecordFilter(account_id="a")
_SUMS = records.UsageFilter("a", None, DAY, DAY + 1)

CASES: dict[str, list[Callable[[Connection], Any]]] = {
    "list_accounts": [accounts.list_accounts],
    "accounts_named": [partial(accounts.accounts_named, name=name) for name in ("a", "name", "none")],
    "lock_account": [partial(accounts.lock_account, id=id) for id in ("a", "none")],
    "add_account": [
        _then(accounts.add_account, accounts.list_accounts, id="c", name="see", created_at_ms=1, terms=None)
    ],
    "change_account": [_then(accounts.change_account, accounts.list_accounts, id="a", disabled=True, terms="{}")],
    "keep_records": [audits.keep_records],
    "count_rows": [partial(audits.count_rows, table=table) for table in ("entries", "generations")],
    "compare_charges": [partial(audits.compare_charges, horizon_ms=at) for at in (0, START_MS, START_MS - 9 * DAY_MS)],
    "compare_credits": [audits.compare_credits],
    "compare_holds": [audits.compare_holds],
    "compare_entries": [partial(audits.compare_entries, horizon_ms=at) for at in (0, START_MS + 1)],
    "compare_parts": [audits.compare_parts],
    "compare_bearers": [audits.compare_bearers],
    "compare_usage": [partial(audits.compare_usage, horizon_ms=at) for at in (0, START_MS + DAY_MS)],
    "list_dead_holds": [partial(audits.list_dead_holds, dead_ms=START_MS + 2)],
    "compare_owners": [audits.compare_owners],
    "list_missing_prices": [audits.list_missing_prices],
    "note_boot": [_then(boots.note_boot, boots.list_boots, row=BootRow("boot", "elsewhere", 1, START_MS + 5))],
    "list_boots": [boots.list_boots],
    "delete_boot": [_then(boots.delete_boot, boots.list_boots, id="boot")],
    "find_budgets": [partial(budgets.find_budgets, ids=ids) for ids in ((), ("a",), ("a", "b", "none"))],
    "lock_budgets": [partial(budgets.lock_budgets, ids=ids) for ids in ((), ("b", "a", "none"))],
    "add_budgets": [_then(budgets.add_budgets, _BUDGETS, rows=[BudgetRow("a", 1, 0, 0), BudgetRow("z", 9, 0, 0)])],
    "move_budgets": [_then(budgets.move_budgets, _BUDGETS, changes=[(3, -10, "k@2025-11-24"), (5, 5, "a")])],
    "find_holds": [partial(budgets.find_holds, ids=["h1", "none", "h0"])],
    "lock_holds": [partial(budgets.lock_holds, ids=["h1", "none", "h0"])],
    "add_holds": [
        _then(
            budgets.add_holds,
            partial(budgets.find_holds, ids=["n"]),
            rows=[HoldRow("n", "a", "k", None, "k", 0, "boot", 1)],
        )
    ],
    "delete_holds": [
        _then(budgets.delete_holds, partial(budgets.find_holds, ids=["h0", "h1", "h2"]), ids=["h0", "h2", "none"])
    ],
    "list_holds": [partial(budgets.list_holds, boots=boots, limit=limit) for boots, limit in (((), 9), (("boot",), 2))],
    "add_charges": [
        _then(budgets.add_charges, _ENTRIES, rows=[EntryRow(0, 9, "charge", "a", "house", 3, "r3", None, None, None)])
    ],
    "select_in": [partial(budgets.select_in, statement="SELECT id FROM accounts WHERE id", values=["a"])],
    "find_posting": [partial(credits.find_posting, reference="none")],
    "post_credit": [
        partial(_post, entry=EntryRow(0, 5, "topup", "world", "a", 3, None, "ref", "me", "é")),
        partial(_post, entry=EntryRow(0, 5, "adjust", "a", "world", 3, None, None, "me", None)),
    ],
    "open_budget": [_then(credits.open_budget, _BUDGETS, id=id) for id in ("a", "new")],
    "fit_budget": [
        _then(credits.fit_budget, _BUDGETS, id=id, credited_nano=nano)
        for id, nano in (("k@2025-11-24", 1), ("k@2025-11-24", 2**60), ("new", 4))
    ],
    "list_entries": [
        partial(credits.list_entries, account_id=None),
        partial(credits.list_entries, account_id="a", after=1, limit=3),
        partial(credits.list_entries, account_id=None, after=1, limit=1),
    ],
    "find_generations": [partial(generations.find_generations, ids=["r1", "r3", "none"])],
    "add_generations": [
        _then(
            generations.add_generations,
            partial(generations.find_generations, ids=["n1", "n2"]),
            rows=[record("n1", 3, stop="stop"), record("n2", created_at_ms=START_MS - 400 * DAY_MS)],
        )
    ],
    "delete_generations": [
        _then(generations.delete_generations, partial(generations.find_generations, ids=["r1", "r2"]), ids=["r1"])
    ],
    "add_usage": [_then(generations.add_usage, _USAGE, rows=[USAGE, USAGE._replace(account_id="0", requests=-1)])],
    "delete_empty_usage": [_then(generations.delete_empty_usage, _USAGE, rows=[USAGE._replace(day=DAY + 2), USAGE])],
    "add_prices": [
        _then(generations.add_prices, pricing.list_prices, rows=[PRICE, PRICE._replace(id=3, fingerprint=b"2")])
    ],
    "find_claim": [partial(idempotency.find_claim, mark=mark) for mark in (CLAIMS[0].mark, CLAIMS[1].mark, b"none")],
    "lock_claims": [
        partial(idempotency.lock_claims, marks=marks) for marks in ([], [b"", b"none", CLAIMS[3].mark, CLAIMS[0].mark])
    ],
    "add_claims": [_then(idempotency.add_claims, _CLAIMS, rows=[CLAIMS[0]._replace(mark=b"new")])],
    "end_claims": [
        _then(
            idempotency.end_claims,
            _CLAIMS,
            outcomes=[
                KEPT._replace(mark=CLAIMS[2].mark, generation_id="r2", nonce=None, sealed=None),
                Outcome(CLAIMS[0].mark, "r0"),
                Outcome(CLAIMS[3].mark, "other"),
                Outcome(CLAIMS[1].mark, "r1"),
            ],
            now_ms=START_MS + 10,
        ),
        _then(idempotency.end_claims, _CLAIMS, outcomes=[], now_ms=0),
    ],
    "list_strays": [
        partial(idempotency.list_strays, gone=gone, limit=limit) for gone, limit in (((), 9), (("boot",), 9), ((), 1))
    ],
    "delete_claims_before": [
        _then(idempotency.delete_claims_before, _CLAIMS, at_ms=START_MS + 3, limit=limit) for limit in (2, 9)
    ],
    "find_keys": [partial(keys.find_keys, hashes=[b"k" * 32, b"x", b"q" * 32])],
    "list_keys": [keys.list_keys],
    "keys_named": [partial(keys.keys_named, name=name) for name in ("k", "tl-k", "nk", "none")],
    "count_keys": [keys.count_keys],
    "add_key": [_then(keys.add_key, keys.list_keys, row=key_row("z", account_id="fresh"), hash=b"z" * 32)],
    "has_first_key": [partial(keys.has_first_key, hashes=hashes) for hashes in ([], [b"none"], [b"q" * 32])],
    "add_first_key": [
        _then(keys.add_first_key, keys.count_keys, row=key_row("z"), hash=b"z" * 32, hashes=hashes)
        for hashes in ([], [b"none"])
    ],
    "lock_key": [partial(keys.lock_key, id=id) for id in ("k", "none")],
    "change_key": [
        _then(
            keys.change_key,
            keys.list_keys,
            id="k",
            changes={"disabled": True, "limit_nano": None, "terms": "{}", "hash": b"y" * 32, "expires_at_ms": 5},
        )
    ],
    "disable_keys": [_then(keys.disable_keys, keys.list_keys, name="tl-k")],
    "note_keys": [
        _then(
            keys.note_keys,
            _KEYS,
            used=[("k", 5), ("q", 7), ("k", 3)],
            renewed=[("k", b"k" * 32, b"K" * 32), ("q", b"other", b"Q" * 32), ("q", b"q" * 32, b"K" * 32)],
            pepper_id="p",
        )
    ],
    "find_list": [model_lists.find_list],
    "find_list_if_any": [model_lists.find_list_if_any],
    "find_list_stamp": [model_lists.find_list_stamp, _then(_roll_back_all, model_lists.find_list_stamp)],
    "keep_list": [
        _then(model_lists.keep_list, _LISTS, row=LIST._replace(digest="e" * 64)),
        _then(model_lists.keep_list, _LISTS, row=LIST._replace(etag="", kept_at_ms=START_MS + 1)),
    ],
    "roll_back_list": [
        _then(model_lists.roll_back_list, _LISTS),
        _then(_roll_back_all, _LISTS),
    ],
    "list_prices": [pricing.list_prices],
    "find_priced_endpoint": [partial(pricing.find_priced_endpoint, price_id=id) for id in (PRICE.id, 1)],
    "list_priced": [lambda connection: list(pricing.list_priced(connection))],
    "list_used": [
        lambda connection: sorted(pricing.list_used(connection, 0, START_MS + 1)),
        lambda connection: list(pricing.list_used(connection, 0, 2**62, "acme:acme/large")),
    ],
    "list_answered": [lambda connection: sorted(pricing.list_answered(connection, "fakeprovider", 0, 2**62))],
    "list_providers": [pricing.list_providers],
    "find_keys_and_own": [
        partial(provider_keys.find_keys_and_own, hashes=hashes, opened=lambda row: row)
        for hashes in ([b"k" * 32], [b"none"])
    ],
    "list_provider_keys": [provider_keys.list_provider_keys],
    "put_provider_key": [
        _then(provider_keys.put_provider_key, provider_keys.list_provider_keys, row=own("p9", owner))
        for owner in ("a", "q")
    ],
    "reseal_provider_keys": [
        _then(
            provider_keys.reseal_provider_keys,
            provider_keys.list_provider_keys,
            rows=[(own("p1", "a"), own("p1", "a", sealed=b"new")), (own("p2", "k", nonce=b"x"), own("p2", "k"))],
        )
    ],
    "remove_provider_key": [
        _then(provider_keys.remove_provider_key, provider_keys.list_provider_keys, id=id) for id in ("p1", "none")
    ],
    "find_record": [partial(records.find_record, id=id, account_id=of) for id, of in (("r2", None), ("r2", "b"))],
    "list_newest_records": [
        partial(records.list_newest_records, wanted=wanted, limit=2)
        for wanted in (
            _WANTED,
            _WANTED._replace(model="au_thor/*%*"),
            _WANTED._replace(model="au*_*", status="completed"),
            _WANTED._replace(model="author/name", key_id="k"),
        )
    ],
    "open_tail": [lambda connection: records.open_tail(connection, _WANTED, 5)[0]],
    "follow_tail": [lambda connection: records.follow_tail(connection, _WANTED, 0, 10)[0]],
    "sum_usage": [
        partial(records.sum_usage, wanted=_SUMS._replace(key_id=key), by=by)
        for by in ("day", "model", "key")
        for key in (None, "k")
    ],
    "list_activity": [partial(records.list_activity, account_id="a", from_day=DAY, to_day=DAY + 1)],
    "find_key_figures": [
        partial(records.find_key_figures, key_id=id, budget=budget, since=(DAY + 1, DAY, 0))
        for id, budget in (("k", "k@2025-11-24"), ("none", None))
    ],
    "list_key_names": [records.list_key_names],
    "carry_charges": [_carry],
    "find_horizon": [retention.find_horizon],
    "delete_records_before": [
        _then(retention.delete_records_before, retention.find_horizon, at_ms=(DAY // 7 * 7 + 4) * DAY_MS, limit=10)
    ],
    "add_template": [
        _then(templates.add_template, _TEMPLATES, id=id, body="{}", now_ms=START_MS) for id in ("t", "gone", "new")
    ],
    "find_template": [
        partial(templates.find_template, id=id, version=version)
        for id, version in (("t", None), ("t", 1), ("t", 2), ("t", 9), ("t", -1), ("gone", None), ("none", None))
    ],
    "list_templates": [partial(templates.list_templates, id=id) for id in (None, "t", "gone", "none")],
    "remove_template": [
        _then(templates.remove_template, _TEMPLATES, id=id, version=version)
        for id, version in (("t", None), ("t", 3), ("t", 2), ("none", None))
    ],
    "read_revision": [tables.read_revision],
    "make_tables": [],  # both have them
}


@pytest.fixture(scope="module")
def on_sqlite() -> Iterator[Session]:
    session, _ = open_sqlite("sqlite:///:memory:", 5.0)
    session.transact(fill, is_write=True)
    yield session
    session.close()


@pytest.fixture(scope="module")
def on_postgres(postgres: Any, ledger_template: str) -> Iterator[Session]:
    # By name where it is used: who has no PostgreSQL has no driver of it.
    sessions = importlib.import_module("trunkline.store.postgres")
    session: Session = sessions.PostgresSession(postgres.new_database(ledger_template), "test", 5.0)
    session.transact(fill, is_write=True)
    yield session
    session.close()


def told(session: Session, work: Callable[[Connection], Any]) -> Any:
    """What statements give; what they change is undone."""

    def once(connection: Connection) -> Any:
        found = work(connection)
        connection.restart()
        return found

    return session.transact(once, is_write=True)


@pytest.mark.parametrize(("name", "number"), [(name, number) for name in CASES for number in range(len(CASES[name]))])
def test_both_databases_say_the_same(name: str, number: int, on_sqlite: Session, on_postgres: Session) -> None:
    work = CASES[name][number]
    expected, found = told(on_sqlite, work), told(on_postgres, work)
    assert found == expected
    # A sum that comes as a fraction is equal to it, and yet is none of ours.
    assert "Decimal" not in repr(found)


def _add_many(connection: Connection) -> object:
    """Add so many rows that PostgreSQL is given arrays."""
    ids = [f"m{number:02}" for number in range(30)]
    budgets.add_budgets(connection, [BudgetRow("a", 1, 0, 0), *(BudgetRow(id, 9, 0, 0) for id in ids)])
    budgets.add_holds(connection, [HoldRow(id, "a", "k", "a", None, 0, "boot", START_MS) for id in ids])
    budgets.add_charges(connection, [EntryRow(0, 1, "charge", "a", "house", 5, id, None, None, None) for id in ids])
    generations.add_prices(connection, [PRICE, *(PRICE._replace(id=n, fingerprint=bytes((n,))) for n in range(20))])
    rows = [record(id, 5, streamed=id > "m07", stop=None if id > "m05" else "s", user="é\0" * 2) for id in ids]
    generations.add_generations(connection, rows)
    generations.add_usage(connection, [USAGE._replace(key_id=id[:2]) for id in (ids[0], ids[10], ids[20])])
    generations.add_usage(connection, [USAGE, *(USAGE._replace(key_id=id, is_byok=True) for id in ids)])
    found = generations.find_generations(connection, ids)
    assert {row.user for row in found.values()} <= {"é\0" * 2, "é\ufffd" * 2}
    return (
        budgets.find_budgets(connection, ids),
        budgets.find_holds(connection, ids),
        {id: row._replace(user=None) for id, row in found.items()},
        [row[1:] for row in _ENTRIES(connection)],
        records.sum_usage(connection, _SUMS, "key"),
        pricing.list_prices(connection),
    )


def test_many_rows_are_the_same_too(on_sqlite: Session, on_postgres: Session) -> None:
    assert told(on_postgres, _add_many) == told(on_sqlite, _add_many)


def test_every_statement_is_among_them() -> None:
    there = set()
    for module in pkgutil.iter_modules(statements.__path__, f"{statements.__name__}."):
        loaded = importlib.import_module(module.name)
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            parameters = list(inspect.signature(function).parameters)
            if function.__module__ == module.name and parameters[:1] == ["connection"] and name[0] != "_":
                there.add(name)
    assert there == CASES.keys() | OF_POSTGRES
