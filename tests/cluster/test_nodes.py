"""Nodes as exact together as one, that come and go, and what one of them learns that the others must know."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.lists import SHIPPED, mock_model, newer, served
from tests.cluster.load import Got, Load, at_once, shown
from tests.cluster.nodes import Cluster, Node
from tests.cluster.outages import slow_stream
from tests.gateway.busy import Busy, Desk
from tests.gateway.server import Reply
from tests.gateway.upstream import Upstream, whole
from tests.gateway.waiting import eventually
from trunkline.money import nano_of

pytestmark = pytest.mark.timeout(180)
ASKED = {"model": "mock/fee", "input": "a"}
KNOWN_WITHIN_S = 5.0
TOLD_WITHIN_S = 3.0
"""A second, and what a busy machine adds; who only looks for a newer list has it in up to five."""
LISTED_WITHIN_S = 8.0
ROUNDS = 3


def is_first(node: Node, provider: str) -> bool:
    """Whether a node would ask a provider first, by what it knows of it."""
    assert node.gateway is not None
    told = node.gateway.call({"model": "mock/both", "input": "a"}, path="/api/v1/responses/explain")
    assert told.status == 200, told.body
    endpoint: str = told.json["order"][0]["endpoint"]
    return endpoint.startswith(provider)


def roll(
    cluster: Cluster,
    upstream: Upstream,
    *,
    rate: float,
    streams: int,
    stream_s: float,
    rest_s: float,
    path: Path | None = None,
) -> list[Got]:
    """Restart one node after the other under load; nothing fails, and everything is on record.

    With a path they come back with the version of the program that is there.
    """
    tenant = cluster.books.tenant(credit="1000000")
    nonce = f"nonce-rolling-{tenant.account_id.replace('_', '-')}"
    upstream.play(nonce, slow_stream(stream_s))

    def bodies(number: int) -> tuple[Any, str]:
        return {**ASKED, "stream": number % 2 == 0}, tenant.key

    def flow(_: int) -> tuple[Any, str]:
        return {**ASKED, "input": nonce, "stream": True}, tenant.key

    got: list[Got] = []
    with Load(cluster.ports, rate, bodies, got), Load(cluster.ports, streams / stream_s, flow, got):
        for node in cluster.nodes:
            time.sleep(rest_s)
            node.stop()
            if path is not None:
                node.environ["PYTHONPATH"] = str(path)
            node.start()
        time.sleep(rest_s)
    failed = [each for each in got if not each.is_whole]
    assert not failed, f"{len(failed)} of {len(got)}: {shown(failed)}"
    assert {each.port for each in got} == set(cluster.ports)
    cluster.books.await_records(tenant, [each.id for each in got])
    return got


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


def test_PR_05_what_a_killed_node_held_is_given_back(audited: Cluster, upstream: Upstream) -> None:
    tenant = audited.books.tenant(credit="100")
    nonce = upstream.play("nonce-killed-node", slow_stream(30.0))
    node = audited.nodes[1]
    body = {**ASKED, "input": nonce, "stream": True}
    asking = threading.Thread(target=lambda: at_once([node.port], body, tenant.key, 5))
    asking.start()
    eventually(lambda: len(upstream.seen(nonce)) == 5, "nobody is asked")
    node.kill()
    asking.join(20)
    others = at_once([audited.ports[0], audited.ports[2]], ASKED, tenant.key, 20)
    assert all(each.is_whole for each in others), shown(others)
    node.start()
    eventually(lambda: audited.books.held() == 0, "its holds are left", 10)
    assert sorted(audited.books.recorded(tenant).values()) == ["completed"] * 20 + ["lost"] * 5


def test_a_frozen_node_is_missed_by_nobody_else(audited: Cluster) -> None:
    tenant = audited.books.tenant(credit="1000")
    frozen = audited.nodes[2]
    assert frozen.call(ASKED, key=tenant.key).status == 200
    late: list[Reply] = []
    with frozen.paused():
        asking = threading.Thread(target=lambda: late.append(frozen.call(ASKED, key=tenant.key)))
        asking.start()
        got = at_once(audited.ports[:2], ASKED, tenant.key, 20)
        assert all(each.is_whole for each in got), shown(got)
        time.sleep(1)
    asking.join(20)
    assert late[0].status == 200


def test_AU_06_a_key_revoked_on_one_node_is_refused_on_the_others(audited: Cluster, upstream: Upstream) -> None:
    """Within five seconds; a stream that is open goes on to its end."""
    tenant = audited.books.tenant()
    nonce = upstream.play("nonce-revoked-key", slow_stream(6.0))
    assert all(node.call(ASKED, key=tenant.key).status == 200 for node in audited.nodes)
    with Load(audited.ports[1:2], 5, lambda _: ({**ASKED, "input": nonce, "stream": True}, tenant.key)) as streams:
        eventually(lambda: bool(upstream.seen(nonce)), "nobody is asked")
        streams.stop_sending()
        audited.books.revoke(tenant)
        began = time.monotonic()
        for node in audited.nodes:
            eventually(lambda node=node: node.call(ASKED, key=tenant.key).status == 401, "it is served", 8)  # type: ignore[misc]
        assert time.monotonic() - began < 7  # five seconds, and what a busy machine adds
    assert streams.got
    assert all(each.is_whole for each in streams.got), shown(streams.got)


def test_a_newer_list_of_models_is_taken_by_all_nodes(audited: Cluster) -> None:
    """At once where the board tells them; and where the message is lost each finds it by itself."""

    def statuses() -> set[int]:
        return {node.call({**ASKED, "model": "mock/listed"}).status for node in audited.nodes}

    with served() as site:
        site.puts(newer(models=(*SHIPPED.models, mock_model("mock/listed", "mock-a", "100"))))
        audited.run_plainly("catalog", "update", TRUNKLINE_CATALOG__URL=site.url)
    eventually(lambda: statuses() == {200}, "not all nodes were told", TOLD_WITHIN_S)
    audited.run_plainly("catalog", "rollback", TRUNKLINE_STORE__COUNTERS="redis://127.0.0.1:9/0")
    eventually(lambda: statuses() == {404}, "not all nodes look by themselves", LISTED_WITHIN_S)
    assert all(len(node.log("catalog.changed")) == 2 for node in audited.nodes)
    assert not any(node.log("catalog.refused") for node in audited.nodes)


def test_a_provider_that_dies_is_known_to_all_nodes(audited: Cluster, upstream: Upstream) -> None:
    """One node finds it out, and within five seconds hardly anything is sent there by the others."""
    tenant = audited.books.tenant()
    nonce = upstream.play("nonce-dying-provider", whole({"error": {"message": "gone"}}, 500), host="a")
    body = {"model": "mock/both", "input": nonce}
    got = at_once(audited.ports[:1], body, tenant.key, 30)
    assert all(each.is_whole for each in got), shown(got)
    assert upstream.seen(nonce, "a")

    for node in audited.nodes[1:]:
        eventually(lambda node=node: not is_first(node, "mock-a"), "it is not known", KNOWN_WITHIN_S)  # type: ignore[misc]
    before = len(upstream.seen(nonce, "a"))
    got = at_once(audited.ports[1:], body, tenant.key, 40)
    assert all(each.is_whole for each in got), shown(got)
    assert len(upstream.seen(nonce, "a")) - before < 2  # of 40: less than a twentieth


def test_what_a_provider_takes_at_once_is_shared_by_all_nodes(audited: Cluster, busy: Busy) -> None:
    """It takes eight; each node gives two turns of its own, streams and whole answers alike."""
    audited.await_acquaintance()
    desk = busy.desks["busy"] = Desk(takes_s=0.1)
    tenants = [audited.books.tenant() for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        bodies = [{"model": "mock/busy", "input": "a", "stream": is_stream} for is_stream in (False, True)]
        asked = [
            pool.submit(at_once, audited.ports, body, of.key, 36) for body, of in zip(bodies, tenants, strict=True)
        ]
        got = [each for one in asked for each in one.result(30)]
    assert all(each.is_whole for each in got), shown([each for each in got if not each.is_whole])
    assert len(desk.came) == len(got)
    assert 3 <= desk.most <= 8
