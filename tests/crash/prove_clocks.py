"""A node whose clock is minutes fast takes nobody for dead."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import nodes
from tests.cluster.conftest import settings_of
from tests.cluster.load import Got, at_once, shown
from tests.cluster.nodes import Cluster
from tests.cluster.outages import slow_stream
from tests.gateway.upstream import Upstream
from tests.gateway.waiting import eventually
from tests.servers.postgres import Postgres
from tests.servers.valkey import Valkey

pytestmark = pytest.mark.timeout(120)
FAST_S = 180.0


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="module")
def cluster(
    postgres: Postgres,
    shared_redis: Valkey,
    upstream: Upstream,
    clock_library: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    folder, store = tmp_path_factory.mktemp("clocks"), postgres.new_database()
    started = nodes.started(
        folder,
        store,
        shared_redis.url,
        settings=settings_of(upstream),
        count=2,
        clocks_s=(0.0, FAST_S),
    )
    with started as cluster:
        yield cluster


def test_TM_01_clocks_minutes_apart(cluster: Cluster, upstream: Upstream) -> None:
    """What one node holds while a stream goes on the other one lets be."""
    tenant = cluster.books.tenant(credit="10")
    nonce = upstream.play("nonce-fast-clock", slow_stream(14.0))
    got: list[Got] = []
    body = {"model": "mock/fee", "input": nonce, "stream": True}
    asking = threading.Thread(target=lambda: got.extend(at_once(cluster.ports, body, tenant.key, 2)))
    asking.start()
    eventually(lambda: len(upstream.seen(nonce)) == 2, "nobody is asked")
    began = time.monotonic()
    while time.monotonic() - began < 12:  # each node looks for dead ones every ten seconds
        assert cluster.books.held() == 2, "a live hold was expired"
        time.sleep(0.5)
    asking.join(30)
    assert [each.is_whole for each in got] == [True, True], shown(got)
    assert sorted(cluster.books.recorded(tenant).values()) == ["completed"] * 2
    ((apart_ms,),) = cluster.books.rows(
        "SELECT max(created_at_ms) - min(created_at_ms) FROM generations WHERE account_id = ?", tenant.account_id
    )
    assert apart_ms > FAST_S * 900, "the clock of the second node is not fast"
    cluster.books.check()
