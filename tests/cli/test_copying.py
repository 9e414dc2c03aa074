"""`trunkline store copy`: an SQLite database of a gateway moved to PostgreSQL, where its keys and books go on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.gateway.server import running
from tests.gateway.tenants import Store, Tenant
from tests.gateway.waiting import eventually
from tests.recorded import DAY, keep, opened, record
from tests.servers.postgres import PASSWORD, Postgres
from tests.store.base import Base
from trunkline.store.database import open_database
from trunkline.store.statements.partitions import WEEK_MS, week_at

FAKE = """
[providers.fake-provider]
enabled = true
"""
ASKED = {"model": "fake/echo", "input": "hi"}
SHARED = """
[store]
url = "{url}"
pepper = {{ file = "{folder}/trunkline.db.pepper" }}
journal = "journal"
"""


@pytest.fixture
def tenant(tmp_path: Path) -> Tenant:
    """A tenant of a gateway that has answered and stopped; there is a record of long ago, too."""
    with running(tmp_path, FAKE, key=None) as gateway:
        store = Store(gateway, tmp_path / "trunkline.db")
        tenant = store.tenant(credit=10**9, limit_nano=10**9, limit_reset="monthly")
        for number in range(3):
            assert tenant.call(ASKED, idempotency_key=str(number)).status == 200
    with opened(tmp_path / "trunkline.db") as connection:
        keep(connection, [record("resp_old", created_at_ms=DAY, session_id="a\0b", price_id=None)])
    return tenant


@pytest.fixture
def base(postgres_url: str) -> Iterator[Base]:
    with closing(Base(postgres_url)) as base:
        yield base


def weeks_ahead() -> list[str]:
    return [week_at(int(time.time() * 1000) + ahead * WEEK_MS).name for ahead in range(3)]


def weeks_of(base: Base) -> list[str]:
    """All tables of weeks, those that are no part of the records any more included."""
    tables = "SELECT tablename::text FROM pg_tables WHERE tablename LIKE 'generations_2%' ORDER BY 1"
    return [name for (name,) in base.rows(tables)]


def test_keys_credit_and_records_are_there_and_go_on(
    run: Run, tmp_path: Path, tenant: Tenant, base: Base, postgres: Postgres
) -> None:
    without_password = base.url.replace(f":{PASSWORD}", "")
    ran = run("store", "copy", "--to", without_password, "--json", PGPASSWORD=PASSWORD)
    assert (ran.code, ran.err) == (0, "")
    told = json.loads(ran.out)
    assert told["audit"]["ok"] is True
    assert {name: told["copied"][name] for name in ("accounts", "keys", "generations", "claims", "boots", "holds")} == {
        "accounts": 2,
        "keys": 2,
        "generations": 4,
        "claims": 3,
        "boots": 0,
        "holds": 0,
    }
    assert base.rows("SELECT session_id, tableoid::regclass::text FROM generations WHERE id = 'resp_old'") == [
        ("a\ufffdb", "generations_20240930")
    ]
    again = run("store", "copy", "--to", base.url, "--json")
    assert again.code == 1
    assert json.loads(again.err)["error"]["message"].startswith("the database to copy to is not empty: it has accounts")
    folder = tmp_path / "node"
    folder.mkdir()
    with running(folder, FAKE + SHARED.format(url=base.url, folder=tmp_path), key=None) as gateway:
        moved = Tenant(Store(gateway, Path()), tenant.account_id, tenant.key_id, tenant.text)
        assert moved.call(ASKED, idempotency_key="0").headers["x-trunkline-replayed"] == "true"
        assert moved.call(ASKED, idempotency_key="new").status == 200
        assert moved.data("credits")["total_usage"] > 0
        eventually(lambda: weeks_of(base) == weeks_ahead(), "the weeks are not those that are kept and to come")
    assert base.rows("SELECT count(*) FROM entries WHERE kind = 'charge'") == [(4,)]
    assert json.loads(run("ledger", "audit", "--json", text=SHARED.format(url=base.url, folder=tmp_path)).out)["ok"]


def test_a_database_in_use_is_not_copied(run: Run, tmp_path: Path, base: Base) -> None:
    asyncio.run(open_database(f"sqlite:///{tmp_path}/trunkline.db", 5.0).close())
    now_ms = int(time.time() * 1000)
    with opened(tmp_path / "trunkline.db") as connection:
        connection.execute("INSERT INTO boots VALUES ('boot_1', 'here:1', ?, ?)", (now_ms, now_ms))
    ran = run("store", "copy", "--to", base.url)
    assert (ran.code, ran.err) == (
        2,
        "trunkline: gateways have the database in use: here:1; stop them, or wait for a minute if they were killed\n",
    )
    assert base.rows("SELECT count(*) FROM accounts") == [(0,)]


def test_what_a_killed_gateway_held_is_copied_and_no_fault_of_the_books(run: Run, tmp_path: Path, base: Base) -> None:
    """The first node that starts there gives it back."""
    asyncio.run(open_database(f"sqlite:///{tmp_path}/trunkline.db", 5.0).close())
    with opened(tmp_path / "trunkline.db") as connection:
        connection.execute("INSERT INTO boots VALUES ('boot_1', 'here:1', 1, 1)")
        connection.execute("INSERT INTO holds VALUES ('r1', 'a', 'k', NULL, NULL, 0, 'boot_1', 1)")
    ran = run("store", "copy", "--to", base.url, "--json")
    assert (ran.code, json.loads(ran.out)["audit"]["ok"]) == (0, True)
    assert base.rows("SELECT id, boot_id FROM holds") == [("r1", "boot_1")]


@pytest.mark.parametrize(
    ("to", "problem"),
    [
        ("sqlite:///b.db", "--to names a PostgreSQL database, as postgresql://user@host:5432/name"),
        ("postgresql://me:canary@db", "--to: write url as postgresql://user:password@host:5432/name"),
    ],
)
def test_another_kind_of_target_is_refused(run: Run, tmp_path: Path, to: str, problem: str) -> None:
    run("accounts", "list")
    (tmp_path / "trunkline.db").touch()
    ran = run("store", "copy", "--to", to)
    assert ran.code == 2
    assert problem in ran.err
    assert "canary" not in ran.err
