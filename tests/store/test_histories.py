"""A few random histories of a ledger; `make crash` plays ten thousand."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.servers.postgres import Postgres
from tests.store import ledger
from tests.store.histories import History

History.TestCase.settings = settings(max_examples=12, stateful_step_count=40)
Test_MO_21 = History.TestCase


def test_MO_21_on_postgres(postgres: Postgres, ledger_template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def begin() -> History:
        url = postgres.new_database(ledger_template)
        monkeypatch.setattr(ledger, "url_in", lambda folder: url)
        return History()

    few = settings(max_examples=2, stateful_step_count=25)
    run_state_machine_as_test(begin, settings=few)  # type: ignore[arg-type]  # whatever makes one
