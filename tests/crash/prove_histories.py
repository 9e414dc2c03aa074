"""Ten thousand random histories of a ledger, and a million of the smallest calls."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.store.histories import History
from tests.store.test_writer import settle_smallest

pytestmark = pytest.mark.timeout(3600)  # else a test's usual minute ends all of them

settings.register_profile("often", parent=settings.get_profile("trunkline"), max_examples=10_000)
History.TestCase.settings = settings(settings.get_profile("often"), stateful_step_count=30)
Test_MO_21 = History.TestCase


def test_a_million_of_the_smallest_calls_sum_up_exactly() -> None:
    settle_smallest(100)
