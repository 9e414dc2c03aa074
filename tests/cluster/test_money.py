"""One account over three nodes: as exact as over one, whichever of them is killed, frozen or restarted."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.cluster.load import at_once, shown
from tests.cluster.nodes import Cluster
from trunkline.money import nano_of

ROUNDS = 3


def play_round(cluster: Cluster) -> None:
    """Ask fifty times at once with credit for ten."""
    tenant = cluster.books.tenant(credit="10")
    got = at_once(cluster.ports, {"model": "mock/fee", "input": "a"}, tenant.key, 50)
    assert Counter(each.status for each in got) == {200: 10, 402: 40}, shown(got)
    assert {each.port for each in got if each.status == 200} <= set(cluster.ports)
    assert cluster.books.charged_nano(tenant) == nano_of("10")


@pytest.mark.parametrize("number", range(ROUNDS))
def test_MO_02_of_fifty_over_three_nodes_ten_are_answered(audited: Cluster, number: int) -> None:
    play_round(audited)
