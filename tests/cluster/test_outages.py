"""The store frozen, killed, slow and out of reach under load: who is told what, and that nothing is lost."""

from __future__ import annotations

import time

import pytest

from tests.cluster import outages
from tests.cluster.load import Load, at_once, shown
from tests.cluster.nodes import Cluster
from tests.gateway.upstream import Upstream
from tests.gateway.waiting import eventually
from tests.servers.postgres import Postgres

pytestmark = pytest.mark.timeout(120)
AWAY_S = 5.0
ASKED = {"model": "mock/fee", "input": "a"}


def test_DB_02_DB_05_AU_07_a_frozen_store(audited: Cluster, postgres: Postgres, upstream: Upstream) -> None:
    outage = outages.play(audited, upstream, postgres.paused(), AWAY_S)
    outage.check_statuses()
    outage.check_limited()
    outage.check_records()


def test_DB_01_DB_05_AU_07_a_store_that_is_gone(audited: Cluster, postgres: Postgres, upstream: Upstream) -> None:
    outage = outages.play(audited, upstream, postgres.gone(), AWAY_S)
    outage.check_statuses()
    outage.check_limited()
    outage.check_records()


def test_DB_03_packets_of_one_node_vanish(audited: Cluster) -> None:
    """Only that node refuses, and only what must be counted."""
    cut_off = audited.nodes[2]
    limited, unlimited = audited.books.tenant(credit="1000"), audited.books.tenant()
    for tenant in (limited, unlimited):
        assert all(node.call(ASKED, key=tenant.key).status == 200 for node in audited.nodes)
    with cut_off.store.swallowing():
        got = at_once([cut_off.port], ASKED, limited.key, 20)
        assert {each.status for each in got} == {503}, shown(got)
        assert all(each.took_s < outages.TOLD_WITHIN_S for each in got)
        got = at_once([cut_off.port], ASKED, unlimited.key, 20)
        assert all(each.is_whole for each in got), shown(got)
        others = at_once(audited.ports[:2], ASKED, limited.key, 20)
        assert all(each.is_whole for each in others), shown(others)
    eventually(lambda: cut_off.call(ASKED, key=limited.key).status == 200, "it is not good again", 10)
    audited.books.await_records(unlimited, [each.id for each in got])


def test_DB_04_a_store_that_is_late(audited: Cluster) -> None:
    """What is asked of a store that takes half a second for each statement is refused in time, not queued for ever."""
    late = audited.nodes[1]
    limited, unlimited = audited.books.tenant(credit="1000"), audited.books.tenant()
    for tenant in (limited, unlimited):
        assert late.call(ASKED, key=tenant.key).status == 200
    with late.store.late(0.5):
        got = at_once([late.port], ASKED, limited.key, 30) + at_once([late.port], ASKED, unlimited.key, 30)
    assert {each.status for each in got if each.key == limited.key} <= {200, 503}, shown(got)
    assert all(each.is_whole for each in got if each.key == unlimited.key), shown(got)
    assert all(each.took_s < outages.TOLD_WITHIN_S for each in got)
    eventually(lambda: late.call(ASKED, key=limited.key).status == 200, "it is not good again", 10)
    audited.books.await_records(unlimited, [each.id for each in got if each.key == unlimited.key])


def test_DB_15_connections_that_are_cut_are_made_again(audited: Cluster) -> None:
    limited = audited.books.tenant(credit="1000")
    body = lambda number: (ASKED, limited.key)  # noqa: E731
    with Load(audited.ports, 60, body) as load:
        for _ in range(10):
            time.sleep(0.15)
            for node in audited.nodes:
                node.store.cut()
        time.sleep(0.5)
    assert set(load.statuses()) <= {200, 503}, load.statuses()
    assert load.statuses()[200] > len(load.got) / 2
    audited.books.await_records(limited, [each.id for each in load.got if each.status == 200])
