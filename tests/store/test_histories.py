"""A few random histories of a ledger; `make crash` plays ten thousand."""

from __future__ import annotations

from hypothesis import settings

from tests.store.histories import History

History.TestCase.settings = settings(max_examples=12, stateful_step_count=40)
Test_MO_21 = History.TestCase
