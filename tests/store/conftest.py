"""The store's own tests on both databases: each test gets a PostgreSQL database of its own, with the tables in it."""

from __future__ import annotations

from functools import partial

import pytest

from tests.servers.postgres import Postgres
from tests.store import ledger
from trunkline.store.postgres import once_open
from trunkline.store.revisions import bring_to_head
from trunkline.store.statements.partitions import make_weeks_ahead

TEMPLATE = "ledger"


@pytest.fixture(scope="session")
def ledger_template(postgres: Postgres) -> str:
    """The name of a database with the tables and the weeks of these tests, to make others like it."""
    postgres.run(f"CREATE DATABASE {TEMPLATE}")
    for work in (bring_to_head, partial(make_weeks_ahead, now_ms=ledger.START_MS)):
        once_open(postgres.url_of(TEMPLATE), 20.0, work, is_write=True)
    return TEMPLATE


@pytest.fixture
def books_url(postgres: Postgres, ledger_template: str) -> str:
    """The address of a PostgreSQL database with the tables."""
    return postgres.new_database(ledger_template)


@pytest.fixture(params=["sqlite", "postgres"])
def any_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which database the books of this test are in: it runs once with each."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("books_url")
        monkeypatch.setattr(ledger, "url_in", lambda folder: url)
    return str(request.param)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is no test of deadlines: this machine may be busy."""
    monkeypatch.setattr("trunkline.store.board.DEADLINE_S", 20.0)
