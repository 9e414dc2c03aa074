"""Three nodes for longer: stores and boards away for half a minute under load, whole windows of limits, many rounds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import trunkline
from tests.cluster import nodes, outages
from tests.cluster.conftest import settings_of
from tests.cluster.load import Load, at_once, shown
from tests.cluster.nodes import Cluster
from tests.cluster.test_limits import FAULTS, LIMIT, await_exact, play_fault
from tests.cluster.test_nodes import is_first, play_round, roll
from tests.gateway.newer import EXPANDED, newer_path
from tests.gateway.upstream import Upstream, completion, whole
from tests.gateway.waiting import eventually
from tests.servers.postgres import Postgres
from tests.servers.valkey import Valkey
from trunkline.store.schema import HEAD

__all__ = ["newer_path"]

pytestmark = pytest.mark.timeout(600)
AWAY_S = 30.0
RATE = 100.0
ROUNDS = 20
OWN_PATH = Path(trunkline.__file__).parent.parent
ASKED = {"model": "mock/fee", "input": "a"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="module")
def cluster(
    postgres: Postgres, shared_redis: Valkey, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder, store = tmp_path_factory.mktemp("cluster"), postgres.new_database()
    with nodes.started(folder, store, shared_redis.url, settings=settings_of(upstream)) as started:
        yield started


@pytest.fixture(autouse=True)
def audited(cluster: Cluster) -> Iterator[None]:
    yield
    cluster.books.check()


@pytest.mark.parametrize("number", range(ROUNDS))
def test_MO_02_ten_of_fifty(cluster: Cluster, number: int) -> None:
    play_round(cluster)


@pytest.mark.parametrize("fault", ["frozen", "gone"])
def test_DB_01_DB_02_half_a_minute_without_a_store(
    cluster: Cluster, postgres: Postgres, upstream: Upstream, fault: str
) -> None:
    away = postgres.paused() if fault == "frozen" else postgres.gone()
    outage = outages.play(cluster, upstream, away, AWAY_S, RATE)
    outage.check_statuses()
    outage.check_limited()
    outage.check_records()
    refused = sorted(each.took_s for each in outage.load.got if each.status == 503)
    told = f"refused within {refused[len(refused) // 2]:.2f} s, {refused[-1]:.2f} s at the longest"
    print(f"{fault}: {dict(outage.load.statuses())}, {told}", flush=True)


def test_RL_03_a_window_without_the_board(cluster: Cluster, shared_redis: Valkey) -> None:
    """Sixty a minute for a minute, half of it without the board: no more than twice as much, and soon."""
    cluster.await_acquaintance()
    await_exact(cluster)
    tenant = cluster.books.tenant(rpm=LIMIT)
    with Load(cluster.ports, 20, lambda _: (ASKED, tenant.key)) as load:
        time.sleep(15)
        with shared_redis.gone():
            time.sleep(AWAY_S)
        began = time.monotonic()
        time.sleep(15)
    statuses = load.statuses()
    assert set(statuses) <= {200, 429}, statuses
    # What a limit lets through in its first minute is its amount and what comes back.
    assert statuses[200] <= 2 * 2 * LIMIT
    times = sorted(each.took_s for each in load.got)
    print(f"{dict(statuses)}, p99 {times[len(times) * 99 // 100]:.3f} s", flush=True)
    assert times[len(times) * 99 // 100] < 0.2
    await_exact(cluster, within_s=max(1.0, began + 10 - time.monotonic()) + 10)


@pytest.mark.parametrize("fault", FAULTS)
def test_RL_04_RL_11_a_board_that_fails(cluster: Cluster, fault: str) -> None:
    await_exact(cluster)
    play_fault(cluster, fault)


def test_PR_04_a_rolling_restart(cluster: Cluster, upstream: Upstream) -> None:
    roll(cluster, upstream, rate=RATE, streams=50, stream_s=4.0, rest_s=2.0)


def test_PR_04_a_rolling_restart_with_a_migration_in_its_middle(
    cluster: Cluster, upstream: Upstream, newer_path: Path
) -> None:
    """The first node that comes back migrates, and those of the version before go on; then back to that."""
    assert cluster.books.revision() == HEAD
    got = roll(cluster, upstream, rate=RATE, streams=50, stream_s=4.0, rest_s=2.0, path=newer_path)
    assert cluster.books.revision() == EXPANDED
    times = sorted(each.took_s for each in got)
    print(f"{len(got)} whole, the longest {times[-1]:.1f} s", flush=True)
    roll(cluster, upstream, rate=RATE, streams=50, stream_s=4.0, rest_s=2.0, path=OWN_PATH)
    assert cluster.books.revision() == EXPANDED


def test_a_provider_dies_and_returns(cluster: Cluster, upstream: Upstream) -> None:
    tenant = cluster.books.tenant()
    nonce = "nonce-dies-and-returns"
    body: dict[str, Any] = {"model": "mock/both", "input": nonce}
    upstream.play(nonce, whole({"error": {"message": "gone"}}, 500), host="a")
    with Load(cluster.ports, 10, lambda _: (body, tenant.key)) as load:
        began = time.monotonic()
        eventually(lambda: not any(is_first(node, "mock-a") for node in cluster.nodes), "it is not known", 5)
        known_s = time.monotonic() - began
        before = len(upstream.seen(nonce, "a")), len(load.got)
        time.sleep(20)
        share = (len(upstream.seen(nonce, "a")) - before[0]) / (len(load.got) - before[1])
        assert share < 0.05, share
        upstream.play(nonce, whole(completion()), host="a")
        began = time.monotonic()
        eventually(lambda: all(is_first(node, "mock-a") for node in cluster.nodes), "it is not asked again", 60)
        print(
            f"known after {known_s:.1f} s, {share:.1%} asked, back after {time.monotonic() - began:.1f} s", flush=True
        )
    assert all(each.is_whole for each in load.got), shown([each for each in load.got if not each.is_whole])


def test_a_node_that_slept_for_more_than_a_minute(cluster: Cluster) -> None:
    """What it held is given back, and when it wakes it charges what is still there."""
    tenant = cluster.books.tenant(credit="5")
    assert cluster.nodes[2].call(ASKED, key=tenant.key).status == 200
    with cluster.nodes[2].paused():
        time.sleep(90)
        got = at_once(cluster.ports[:2], ASKED, tenant.key, 10)
        assert sorted(each.status for each in got) == [200] * 4 + [402] * 6, shown(got)
    eventually(lambda: cluster.nodes[2].call(ASKED, key=tenant.key).status == 402, "it serves what is spent", 20)
