"""Limits over three nodes: one window for all while the board is there, shares of it while it is not."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import pytest

from tests.cluster.books import Tenant
from tests.cluster.load import at_once, shown
from tests.cluster.nodes import Cluster
from tests.cluster.proxy import Proxy
from tests.gateway.waiting import eventually
from tests.servers.valkey import Valkey

pytestmark = pytest.mark.timeout(120)
ASKED = {"model": "mock/fee", "input": "a"}
LIMIT = 60
BACK_WITHIN_S = 10.0
"""How soon after its return the board is used. To see that takes longer on a busy machine, where it may be late."""
TOLD_WITHIN_S = 8.0
"""A generous bound, for a busy machine; `make crash` looks closer."""


def ask_gently(ports: Sequence[int], tenant: Tenant, count: int = 90) -> tuple[int, int]:
    """Ask so many times, a few at a time; how many pass, and how many have come back to the limit meanwhile.

    The others are refused by it, and soon. A burst would keep the nodes themselves, on a machine with few cores, from
    hearing the board within its 50 ms.
    """
    began = time.monotonic()
    got = at_once(ports, ASKED, tenant.key, count, width=6)
    counted = Counter(each.status for each in got)
    assert set(counted) <= {200, 429}, shown([each for each in got if each.status not in (200, 429)])
    assert all(each.took_s < TOLD_WITHIN_S for each in got), max(each.took_s for each in got)
    return counted[200], math.ceil((time.monotonic() - began) * LIMIT / 60)


def is_exact(cluster: Cluster, ports: Sequence[int] = ()) -> bool:
    """Whether of what is asked as many pass as the limit says, and as come back meanwhile.

    The first node is asked four times as often as each of the others, else the shares of nodes that count alone would
    come to the same.
    """
    first, *others = ports or cluster.ports
    passed, back = ask_gently([*[first] * 4, *others], cluster.books.tenant(rpm=LIMIT))
    assert passed <= 2 * LIMIT + back
    return LIMIT <= passed <= LIMIT + back


def await_return(cluster: Cluster, once: Sequence[int]) -> None:
    """Wait until all nodes say that the board is back, once more than before."""

    def is_back() -> bool:
        return all(now > before for now, before in zip(returns(cluster), once, strict=True))

    eventually(is_back, "not all nodes have the board", BACK_WITHIN_S)


def returns(cluster: Cluster) -> list[int]:
    """How often each node said that the board is back."""
    return [len(node.log("board.back")) for node in cluster.nodes]


def await_exact(cluster: Cluster, ports: Sequence[int] = (), within_s: float = 2 * BACK_WITHIN_S) -> None:
    eventually(lambda: is_exact(cluster, ports), "limits are not exact", within_s)


@pytest.fixture(scope="module", autouse=True)
def exact_at_first(cluster: Cluster) -> None:
    """All nodes have the board; each case leaves it so."""
    await_exact(cluster)


def test_RL_02_one_limit_for_three_nodes(audited: Cluster) -> None:
    # On a busy machine the board may be late at times, and then counts nothing for a while.
    for _ in range(3):
        await_exact(audited)


def test_RL_07_one_window_though_a_clock_is_minutes_off(audited: Cluster) -> None:
    first, second, fast = audited.ports
    for ports in ((fast, first, second), (first, fast), (fast, second)):
        await_exact(audited, ports)


def test_RL_11_scripts_that_the_board_has_forgotten_are_told_again(audited: Cluster, shared_redis: Valkey) -> None:
    assert shared_redis.run("SCRIPT", "FLUSH") == b"+OK\r\n"
    await_exact(audited)


def test_RL_03_the_board_is_killed_and_comes_back(audited: Cluster, shared_redis: Valkey) -> None:
    """In the window in which it goes no more than twice the limit passes, and afterwards the limit."""
    audited.await_acquaintance()
    tenant = audited.books.tenant(rpm=LIMIT)
    before, _ = ask_gently(audited.ports, tenant)
    with shared_redis.gone():
        during, back = ask_gently(audited.ports, tenant, 150)
        assert before + during <= 2 * LIMIT + back
        fresh, back = ask_gently(audited.ports, audited.books.tenant(rpm=LIMIT), 150)
        assert LIMIT - 3 <= fresh <= LIMIT + back
        once = returns(audited)
    await_return(audited, once)
    await_exact(audited)


FAULTS: dict[str, Callable[[Proxy], AbstractContextManager[None]]] = {
    "late": lambda board: board.late(2.0),
    "swallowing": lambda board: board.swallowing(),
    "closed": lambda board: board.closed(),
    "READONLY": lambda board: board.refusing(b"-READONLY You can't write against a read only replica.\r\n"),
    "MOVED": lambda board: board.refusing(b"-MOVED 1234 127.0.0.1:1\r\n"),
    "NOSCRIPT": lambda board: board.refusing(b"-NOSCRIPT No matching script.\r\n"),
}


def play_fault(cluster: Cluster, fault: str) -> None:
    """The board is missing to one node alone: that one lets its share through, and the others go on exactly."""
    cluster.await_acquaintance()
    node = cluster.nodes[0]
    assert node.board is not None
    with FAULTS[fault](node.board):
        alone, back = ask_gently([node.port], cluster.books.tenant(rpm=LIMIT), 40)
        assert LIMIT / 3 - 1 <= alone <= LIMIT / 3 + back
        await_exact(cluster, cluster.ports[1:])
    await_exact(cluster)


# The breaker looks again after some seconds, so each costs as much; `make crash` plays all of them. That a node waits
# for no board that is late is shown by one that is frozen, too.
@pytest.mark.parametrize("fault", ["READONLY"])
def test_RL_04_RL_11_a_board_that_fails_is_done_without(audited: Cluster, fault: str) -> None:
    play_fault(audited, fault)


def test_a_board_that_is_frozen_holds_nobody_up(audited: Cluster, shared_redis: Valkey) -> None:
    audited.await_acquaintance()
    with shared_redis.paused():
        passed, back = ask_gently(audited.ports, audited.books.tenant(rpm=LIMIT), 150)
        assert LIMIT - 3 <= passed <= LIMIT + back
    await_exact(audited)
